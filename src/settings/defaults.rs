//! What holds where the operator says nothing, and how far an operator may go.
//!
//! Written for a sidecar: one service behind it, a few proxies in front. The schema and the
//! reference are generated from these, so a value stands here and nowhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::model::Algorithm;

use super::units::{duration_text, size_text};

/// A default with the range around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounded<T> {
    /// What holds where nothing is said.
    pub(super) default: T,
    /// The least that may be said.
    pub(super) least: T,
    /// The most that may be said.
    pub(super) most: T,
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Bytes(pub(super) u64);

/// A value as it is written in the file.
pub(super) trait Written {
    /// The value, in JSON.
    fn written(&self) -> serde_json::Value;
}

const fn millis(default: u64, least: u64, most: u64) -> Bounded<Duration> {
    Bounded {
        default: Duration::from_millis(default),
        least: Duration::from_millis(least),
        most: Duration::from_millis(most),
    }
}

const fn seconds(default: u64, least: u64, most: u64) -> Bounded<Duration> {
    millis(default * 1_000, least * 1_000, most * 1_000)
}

const fn count(default: u32, least: u32, most: u32) -> Bounded<u32> {
    Bounded {
        default,
        least,
        most,
    }
}

const fn bytes(default: u64, least: u64, most: u64) -> Bounded<Bytes> {
    Bounded {
        default: Bytes(default),
        least: Bytes(least),
        most: Bytes(most),
    }
}

const DAY: u64 = 24 * 3_600;

/// Every address: the proxies come from other hosts. 8443 needs no privilege.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8443);
/// Loopback: metrics and status are nobody else's business unless the operator says so.
pub(super) const ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// The front proxies in use all speak 1.3; 1.2 is a choice.
pub(super) const MIN_VERSION: &str = "1.3";
/// The two that Pomerium, Cloudflare Access, Google IAP and most OIDC issuers sign with.
pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::Rs256];
/// A gate that only watches must have been asked to.
pub(super) const ENFORCE: &str = "refuse";
/// Where RFC 6750 2.1 puts a bearer token.
pub(super) const TOKEN_HEADER: &str = "Authorization";
/// Access tokens (RFC 9068), JWTs that say no more of themselves, and those that say nothing. Not
/// what the same issuer signs for other ends: logout tokens, security events, DPoP proofs.
pub(super) const TYPES: [&str; 3] = ["JWT", "at+jwt", "absent"];
/// RFC 7519.
pub(super) const FORM: &str = "jwt";
/// Envoy's default mode removes what came before it.
pub(super) const XFCC_ELEMENT: &str = "only";
/// What RFC 8705 3 has a resource server do.
pub(super) const SENDER: &str = "if-bound";
/// What Google IAP asks its verifiers to allow; NTP keeps hosts far closer.
pub(super) const LEEWAY: Bounded<Duration> = seconds(30, 0, 300);
/// A stream ends with its token: more is the operator's decision.
pub(super) const STREAM_GRACE: Bounded<Duration> = seconds(0, 0, DAY);
/// Ten megabytes at most: Pomerium's five minutes at three hundred requests a second.
pub(super) const REMEMBER: Bounded<u32> = count(100_000, 1, 10_000_000);
/// Whoever asks for single use would rather lose a request than see a token twice.
pub(super) const WHEN_FULL: &str = "refuse";
/// None: what is sent again is not told from what was stolen.
pub(super) const RETRY_GRACE: Bounded<Duration> = seconds(0, 0, 60);
/// Access tokens commonly live an hour.
pub(super) const MAX_LIFETIME: Bounded<Duration> = seconds(3_600, 10, 30 * DAY);
/// A proxy signs its assertion anew for each request: Pomerium for 5 minutes, IAP for 10.
pub(super) const MAX_LIFETIME_FORWARDED: Duration = Duration::from_secs(600);
/// Beyond a day a lifetime is worth a warning.
pub(super) const LONG_LIFETIME: Duration = Duration::from_secs(DAY);
/// The most that `leeway` may be.
pub const MOST_LEEWAY: Duration = LEEWAY.most;
/// The most that `max_lifetime` may be.
pub const MOST_LIFETIME: Duration = MAX_LIFETIME.most;
/// The most that `limits.token_bytes` may be.
pub const MOST_TOKEN_BYTES: u64 = TOKEN_BYTES.most.0;
/// What issuers publish.
pub(super) const KEYS_FORMAT: &str = "jwks";
/// Soon enough for a planned rotation; an unplanned one is noticed by its unknown `kid`.
pub(super) const KEYS_REFRESH: Bounded<Duration> = seconds(600, 30, DAY);
/// An issuer that cannot be reached for a day is gone, and may have withdrawn a key.
pub(super) const KEYS_MAX_STALE: Bounded<Duration> = seconds(DAY, 60, 30 * DAY);
/// What nearly every legacy service speaks.
pub(super) const PROTOCOL: &str = "http/1.1";
/// Loopback connects in microseconds, unless the service's queue is full (Python's holds five): then
/// the kernel tries again after one second and after three.
pub(super) const CONNECT_TIMEOUT: Bounded<Duration> = millis(5_000, 10, 60_000);
/// Longer than a slow page, as in nginx.
pub(super) const RESPONSE_TIMEOUT: Bounded<Duration> = millis(60_000, 100, DAY * 1_000);
/// Shorter than the 5 s keep-alive of common servers, so that a pooled connection is rarely stale.
pub(super) const IDLE_TIMEOUT: Bounded<Duration> = millis(4_000, 100, 3_600_000);
/// Readable without a JSON parser.
pub(super) const ARRAYS: &str = "join";
/// Open sockets of a sidecar; well below the usual limit on file descriptors.
pub(super) const CONNECTIONS: Bounded<u32> = count(4_096, 1, 1_000_000);
/// Half of all: one proxy gone wild leaves room for the others.
pub(super) const CONNECTIONS_PER_PEER: Bounded<u32> = count(2_048, 1, 1_000_000);
/// As many as a proxy may open at once when it starts anew, and as the kernel holds for us. The more
/// there are, the longer a stranger's idle ones take to push out an honest one.
pub(super) const HANDSHAKES: Bounded<u32> = count(1_024, 1, 65_536);
/// RFC 9113 6.5.2 recommends no less than 100.
pub(super) const STREAMS: Bounded<u32> = count(100, 1, 10_000);
/// As many as connections: one for each of an HTTP/1.1 crowd, and a bound for the service behind.
pub(super) const REQUESTS: Bounded<u32> = count(4_096, 1, 1_000_000);
/// Twice what common proxies let through, so that theirs is the limit that is met first.
pub(super) const HEADER_BYTES: Bounded<Bytes> = bytes(65_536, 1_024, 1 << 20);
/// Twice what browsers and proxies together send.
pub(super) const HEADER_COUNT: Bounded<u32> = count(100, 10, 1_000);
/// From one byte to an exbibyte: where there is a limit, any may be it.
pub(super) const BODY_BYTES: Bounded<Bytes> = bytes(1 << 20, 1, 1 << 60);
/// What common servers accept as one header line.
pub(super) const TOKEN_BYTES: Bounded<Bytes> = bytes(8_192, 256, 65_536);
/// At the usual 1 to 2 KiB for a token: a few megabytes at most.
pub(super) const CACHED_TOKENS: Bounded<u32> = count(4_096, 0, 1_000_000);
/// Several round trips over the worst of links.
pub(super) const HANDSHAKE: Bounded<Duration> = millis(10_000, 100, 120_000);
/// A proxy has the whole header before it begins to send.
pub(super) const HEADER_READ: Bounded<Duration> = millis(10_000, 100, 300_000);
/// Longer than the pools of common proxies keep a connection, so that they close first.
pub(super) const IDLE: Bounded<Duration> = seconds(300, 1, DAY);
/// Longer than the pings of common WebSocket libraries are apart.
pub(super) const STREAM_IDLE: Bounded<Duration> = seconds(300, 1, DAY);
/// Off by default: downloads and event streams may take as long as they move.
pub(super) const REQUEST: Bounded<Duration> = seconds(300, 1, 7 * DAY);
/// Long enough for endpoints to be withdrawn everywhere.
pub(super) const DELAY: Bounded<Duration> = seconds(5, 0, 3_600);
/// Together with the delay below the 30 s that Kubernetes gives.
pub(super) const DRAIN: Bounded<Duration> = seconds(20, 0, 3_600);
/// What Kubernetes gives between SIGTERM and SIGKILL.
pub(super) const KUBERNETES_GRACE: Duration = Duration::from_secs(30);
/// One line for each decision.
pub(super) const LEVEL: &str = "info";
/// Text for people, JSON for machines: told apart by whether there is a terminal.
pub(super) const FORMAT: &str = "auto";
/// More than any machine that runs sidecars has.
pub(super) const THREADS: Bounded<u32> = count(1, 1, 1_024);
/// The gate is there to see tokens.
pub(super) const REQUIRE: &str = "token";

// === impl Written ===

impl Written for Duration {
    fn written(&self) -> serde_json::Value {
        duration_text(*self).into()
    }
}

impl Written for Bytes {
    fn written(&self) -> serde_json::Value {
        size_text(self.0).into()
    }
}

impl Written for u32 {
    fn written(&self) -> serde_json::Value {
        (*self).into()
    }
}
