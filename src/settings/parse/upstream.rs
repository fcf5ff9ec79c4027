//! `[upstream]`: where allowed requests go.
//!
//! Whoever can reach the service around the gate needs no proof at all, so anything but loopback
//! must be called unsafe in as many words.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::address::with_port;
use super::value;
use crate::settings::place::At;
use crate::settings::problem::Report;
use crate::settings::raw::RawUpstream;
use crate::settings::{UpstreamAddress, UpstreamProtocol, UpstreamSettings, defaults};

const KEY: &str = "upstream.address";
/// What `sockaddr_un` holds on Linux, without the final NUL.
const LONGEST_SOCKET_PATH: usize = 107;

/// What is wrong with an address, and what to write.
type Flaw = (String, String);

pub(super) fn upstream(at: &At<RawUpstream>, report: &mut Report<'_>) -> Option<UpstreamSettings> {
    let raw = &at.value;
    let protocols = [
        ("http/1.1", UpstreamProtocol::Http1),
        ("h2c", UpstreamProtocol::H2c),
    ];
    let protocol = raw.protocol.as_ref();
    let key = "upstream.protocol";
    let protocol = value::word(protocol, key, &protocols, defaults::PROTOCOL, report);
    let connect = raw.connect_timeout.as_ref();
    let key = "upstream.connect_timeout";
    let connect_timeout = value::duration(connect, key, &defaults::CONNECT_TIMEOUT, report);
    let response = raw.response_timeout.as_ref();
    let key = "upstream.response_timeout";
    let response_timeout = value::duration(response, key, &defaults::RESPONSE_TIMEOUT, report);
    let idle = raw.idle_timeout.as_ref();
    let key = "upstream.idle_timeout";
    let idle_timeout = value::duration(idle, key, &defaults::IDLE_TIMEOUT, report);
    let Some(written) = &raw.address else {
        let fix = "write address = \"127.0.0.1:8080\", the port of the service on loopback, \
                   or set SIDEGATE_UPSTREAM";
        report.missing("upstream", &at.place, "address", fix);
        return None;
    };
    let address = match parse(written.text()) {
        Ok(address) => allow(address, written, raw.unsafe_address.as_ref(), report)?,
        Err((text, fix)) => {
            report.refuse(
                &written.place,
                KEY,
                format!("{:?} {text}", written.text()),
                fix,
            );
            return None;
        }
    };
    Some(UpstreamSettings {
        address,
        protocol: protocol?,
        connect_timeout,
        response_timeout,
        idle_timeout,
    })
}

/// Lets loopback through, and anything else only where the operator called it unsafe.
fn allow(
    address: UpstreamAddress,
    written: &At<String>,
    unsafe_address: Option<&At<bool>>,
    report: &mut Report<'_>,
) -> Option<UpstreamAddress> {
    let (is_local, port) = match &address {
        UpstreamAddress::Unix(_) => (true, 0),
        UpstreamAddress::Tcp(socket) => (socket.ip().is_loopback(), socket.port()),
        UpstreamAddress::Name(name) => {
            let port = name.rsplit(':').next().and_then(|port| port.parse().ok());
            (false, port.unwrap_or(0))
        }
    };
    let is_allowed = unsafe_address.is_some_and(|at| at.value);
    match (is_local, unsafe_address) {
        (true, Some(at)) if at.value => {
            let text = "not needed: the address is local";
            report.warn(
                &at.place,
                "upstream.unsafe_address",
                text,
                "take the line out",
            );
        }
        (false, Some(at)) if at.value => {
            let text = "everybody on the way to the service can read and forge, and whoever \
                        reaches it directly needs no proof";
            let fix = "let only the gate reach the service, or bring the two together";
            report.warn(&at.place, "upstream.unsafe_address", text, fix);
        }
        _ => {}
    }
    if is_local || is_allowed {
        return Some(address);
    }
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let text = format!("{:?} is not on loopback", written.text());
    let fix = format!(
        "write \"{local}\", or unsafe_address = true if nobody else can reach the way there"
    );
    report.refuse(&written.place, KEY, text, fix);
    None
}

fn parse(text: &str) -> Result<UpstreamAddress, Flaw> {
    let flaw = |text: &str, fix: &str| Err((text.to_owned(), fix.to_owned()));
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if text.starts_with("https://") {
        let fix = "the service is spoken to in plain HTTP: write the address of its HTTP port, \
                   such as \"127.0.0.1:8080\"";
        return flaw("is a URL with TLS", fix);
    }
    if let Some(rest) = text.strip_prefix("http://") {
        let host = rest.split('/').next().unwrap_or(rest);
        let host = if host
            .rsplit(']')
            .next()
            .is_some_and(|rest| rest.contains(':'))
        {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        return Err(("is a URL".to_owned(), format!("write \"{host}\"")));
    }
    if text.starts_with('/') {
        return Err(("is a path".to_owned(), format!("write \"unix:{text}\"")));
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return tcp(socket);
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Err((
            "has no port".to_owned(),
            format!("write \"{}\"", with_port(ip, "8080")),
        ));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => (host, port),
        Some((_, port)) => {
            return flaw(
                &format!("has no port: {port:?} is none"),
                "write one from 1 to 65535",
            );
        }
        None if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() => {
            return Err((
                "has no host".to_owned(),
                format!("write \"127.0.0.1:{text}\""),
            ));
        }
        None => {
            return flaw(
                "has no port",
                "write an address and a port: \"127.0.0.1:8080\"",
            );
        }
    };
    name(host, port).map(|()| UpstreamAddress::Name(text.to_owned()))
}

fn tcp(socket: SocketAddr) -> Result<UpstreamAddress, Flaw> {
    if socket.port() == 0 {
        let fix = "write the port of the service, from 1 to 65535".to_owned();
        return Err(("has port 0".to_owned(), fix));
    }
    if socket.ip().is_unspecified() {
        let local = match socket.ip() {
            IpAddr::V4(_) => "127.0.0.1",
            IpAddr::V6(_) => "[::1]",
        };
        let fix = format!("write \"{local}:{}\"", socket.port());
        return Err((
            "is an address to listen on, not one to call".to_owned(),
            fix,
        ));
    }
    Ok(UpstreamAddress::Tcp(socket))
}

fn name(host: &str, port: &str) -> Result<(), Flaw> {
    if host.eq_ignore_ascii_case("localhost") || host.is_empty() {
        // What `localhost` resolves to is decided by files and servers that are not ours.
        let fix = format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\"");
        return Err(("must be resolved first".to_owned(), fix));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !host.chars().all(plain) {
        let fix = "write an IP address and a port, or unix: and an absolute path".to_owned();
        return Err(("is no address".to_owned(), fix));
    }
    Ok(())
}

fn unix(path: &str) -> Result<UpstreamAddress, Flaw> {
    let plain = path.strip_prefix("//").unwrap_or(path);
    if !plain.starts_with('/') || plain != path || plain.contains('\0') {
        let fix = format!(
            "write unix: and an absolute path: \"unix:/{}\"",
            plain.trim_matches('/')
        );
        return Err(("is no absolute path".to_owned(), fix));
    }
    if path.len() > LONGEST_SOCKET_PATH {
        let fix = format!("write a path of at most {LONGEST_SOCKET_PATH} bytes");
        return Err(("is longer than a socket's path may be".to_owned(), fix));
    }
    Ok(UpstreamAddress::Unix(PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_address_is_read() {
        let tcp = |text: &str| UpstreamAddress::Tcp(text.parse().unwrap());
        assert_eq!(parse("127.0.0.1:80"), Ok(tcp("127.0.0.1:80")));
        assert_eq!(parse("[::1]:80"), Ok(tcp("[::1]:80")));
        let name = UpstreamAddress::Name("app_1.internal:80".to_owned());
        assert_eq!(parse("app_1.internal:80"), Ok(name));
        let unix = UpstreamAddress::Unix("/run/app.sock".into());
        assert_eq!(parse("unix:/run/app.sock"), Ok(unix));
    }

    #[test]
    fn every_other_form_gets_the_address_to_write() {
        for (text, fix) in [
            ("", "\"127.0.0.1:8080\""),
            ("8080", "\"127.0.0.1:8080\""),
            (":8080", "\"127.0.0.1:8080\" or \"[::1]:8080\""),
            ("LOCALHOST:81", "\"127.0.0.1:81\""),
            ("127.0.0.1:0", "from 1 to 65535"),
            ("app:0", "from 1 to 65535"),
            ("app:99999", "from 1 to 65535"),
            ("::1", "\"[::1]:8080\""),
            ("[::]:81", "\"[::1]:81\""),
            ("a b:80", "unix:"),
            ("http://app/x", "\"app:80\""),
            ("http://[::1]/", "\"[::1]:80\""),
            ("unix:///run/app.sock", "\"unix:/run/app.sock\""),
            ("unix:", "absolute path"),
            ("unix:@app", "absolute path"),
        ] {
            let (_, said) = parse(text).unwrap_err();
            assert!(said.contains(fix), "{text}: {said}");
        }
        let long = format!("unix:/{}", "a".repeat(107));
        assert!(parse(&long).unwrap_err().1.contains("107"));
    }
}
