//! The service behind the gate, as far as an operator describes it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The service behind the gate.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// `address`
    pub address: UpstreamAddress,
    /// `protocol`
    pub protocol: UpstreamProtocol,
    /// `connect_timeout`
    pub connect_timeout: Duration,
    /// `response_timeout`: from the whole head sent to the whole head received.
    pub response_timeout: Duration,
    /// `idle_timeout`: how long an unused connection is kept.
    pub idle_timeout: Duration,
}

/// An address that may be forwarded to: not loopback only by `unsafe_address = true`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UpstreamAddress {
    /// `127.0.0.1:8080`
    Tcp(SocketAddr),
    /// `app:8080`, resolved at each connect; only with `unsafe_address`.
    Name(String),
    /// `unix:/run/app.sock`
    Unix(PathBuf),
}

/// As the configuration writes it.
impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What the upstream speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UpstreamProtocol {
    /// `http/1.1`
    Http1,
    /// `h2c`: HTTP/2 without TLS by prior knowledge (RFC 9113 3.3).
    H2c,
}
