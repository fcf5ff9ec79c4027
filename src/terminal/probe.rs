//! `sidegate probe`: one GET to the side port, told as an exit code.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::args::Probe;
use super::{DONE, FAILED, USAGE, say};
use crate::settings::Overrides;

const DEFAULT: &str = "127.0.0.1:9090";

pub(super) fn probe(args: &Probe, environment: &Overrides) -> u8 {
    let from_environment = environment.admin.as_ref().map(|found| found.value.as_str());
    let address = args
        .admin
        .as_deref()
        .or(from_environment)
        .unwrap_or(DEFAULT);
    let Ok(address) = address.parse::<SocketAddr>() else {
        say(&format!(
            "--admin {address}: not an address; write one such as {DEFAULT}"
        ));
        return USAGE;
    };
    let path = if args.question == "live" {
        "/livez"
    } else {
        "/readyz"
    };
    match ask(local(address), path, Duration::from_secs(args.timeout)) {
        Ok(answer) => {
            let line = answer.lines().next().unwrap_or_default();
            say(&format!("{address}{path}: {line}"));
            if line.starts_with("HTTP/1.1 200 ") {
                DONE
            } else {
                FAILED
            }
        }
        Err(error) => {
            say(&format!("{address}{path}: {error}"));
            FAILED
        }
    }
}

/// A gate that listens everywhere is asked over loopback.
fn local(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, v6.port()).into()
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => address,
    }
}

fn ask(address: SocketAddr, path: &str, timeout: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
