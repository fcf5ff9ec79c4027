//! Socket addresses, and the rule that no two of them may be the same.
//!
//! Names are never resolved here: an address that must be known is written as one.

use std::net::SocketAddr;

use crate::settings::place::At;
use crate::settings::problem::Report;
use crate::settings::{AdminSettings, ListenSettings, UpstreamAddress, UpstreamSettings};

/// An IP address and a port to listen on; `like` is what a good one looks like.
pub(super) fn socket(
    at: &At<String>,
    key: &str,
    like: SocketAddr,
    report: &mut Report<'_>,
) -> Option<SocketAddr> {
    let text = at.text();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => (host, port.to_owned()),
        _ => (text, like.port().to_string()),
    };
    let fix = match host {
        "localhost" => format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
        "" | "*" => format!("write \"0.0.0.0:{port}\" or \"[::]:{port}\""),
        _ => match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => format!("write \"{}\"", with_port(ip, &port)),
            Err(_) => format!("write an IP address and a port, such as \"{like}\""),
        },
    };
    report.refuse(
        &at.place,
        key,
        format!("{text:?} is no address and port"),
        fix,
    );
    None
}

/// `ip` with a port behind it, in brackets where it needs them.
pub(super) fn with_port(ip: std::net::IpAddr, port: &str) -> String {
    if ip.is_ipv6() {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    }
}

/// Refuses addresses that would meet: two listeners on one port, or a gate that calls itself.
pub(super) fn keep_apart(
    (listen, listen_at): (Option<&ListenSettings>, &Option<At<String>>),
    (admin, admin_at): (Option<&AdminSettings>, &Option<At<String>>),
    (upstream, upstream_at): (Option<&UpstreamSettings>, &Option<At<String>>),
    report: &mut Report<'_>,
) {
    let listen = listen.map(|listen| listen.address);
    let admin = admin.and_then(|admin| admin.address);
    if let (Some(listen), Some(admin)) = (listen, admin)
        && meet(listen, admin)
    {
        let (key, at) = match (admin_at, listen_at) {
            (Some(at), _) => ("admin.address", at),
            (None, Some(at)) => ("listen.address", at),
            // The two defaults are apart.
            (None, None) => return,
        };
        let text = format!("listen.address ({listen}) and admin.address ({admin}) meet");
        report.refuse(&at.place, key, text, "write another port");
    }
    let (Some(upstream), Some(at)) = (upstream, upstream_at) else {
        return;
    };
    let UpstreamAddress::Tcp(address) = upstream.address else {
        return;
    };
    for (name, own) in [("listen.address", listen), ("admin.address", admin)] {
        if let Some(own) = own
            && meet(own, address)
        {
            let text = format!("the gate would call itself: {name} is {own}");
            let fix = "write the address of the service, and give each its own port";
            report.refuse(&at.place, "upstream.address", text, fix);
        }
    }
}

/// Whether a socket on `a` could be the one that `b` names. Port 0 is whichever is free.
fn meet(a: SocketAddr, b: SocketAddr) -> bool {
    let everywhere = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && (a.ip() == b.ip() || everywhere)
}
