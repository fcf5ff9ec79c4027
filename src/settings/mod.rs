//! The settings, complete and typed: what the rest of the program is built from.
//!
//! Every value here has been parsed, bounded and put in relation to the others; nobody below
//! validates again. How the text of a file, the environment and the flags becomes this is the
//! business of the sibling files.

mod annotate;
mod defaults;
mod in_force;
mod keys;
mod load;
mod node;
mod overrides;
mod parse;
mod place;
mod presets;
mod problem;
mod raw;
mod raw_keys;
mod raw_route;
mod reference;
mod route;
mod schema;
mod shape;
mod single_use;
mod suggest;
mod syntax;
mod token;
mod units;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use crate::model::{Algorithm, ClaimPath};

pub use defaults::{MOST_LEEWAY, MOST_LIFETIME, MOST_TOKEN_BYTES};
pub use in_force::{InForce, in_force, preset_reference};
pub use keys::{Access, DocumentPlace, KeyForm, KeySource, Pace, RemoteKeys, RemotePlace};
pub use overrides::{Override, Overrides, VARIABLES};
pub use presets::Preset;
pub use problem::{Problem, SettingsError, Warning};
pub use reference::config_reference;
pub use route::{
    ClaimCondition, ClaimTest, Glob, HostPattern, PathPattern, PathSettings, Requirement,
    RouteSettings, Scalar, Segment,
};
pub use schema::{JSON_SCHEMA, generate_schema};
pub(crate) use suggest::instead;
pub use token::{
    AudienceRule, Enforcement, HandsOver, HeaderPattern, Maker, SenderRule, SingleUseSettings,
    TokenForm, TypeRule, WhenFull, XfccElement,
};
pub(crate) use units::parse_duration;
pub use upstream::{UpstreamAddress, UpstreamProtocol, UpstreamSettings};

/// Everything that an operator can say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[listen]`
    pub listen: ListenSettings,
    /// `[tls]`
    pub tls: TlsSettings,
    /// `[[peer]]`, at least one.
    pub peers: Vec<PeerSettings>,
    /// `[[issuer]]`, at least one; an [`IssuerIndex`] is a place in this list.
    pub issuers: Vec<IssuerSettings>,
    /// `[deny]`
    pub deny: DenySettings,
    /// `[[route]]`, the first match wins; none where every path needs a good token and no more.
    pub routes: Vec<RouteSettings>,
    /// `[paths]`
    pub paths: PathSettings,
    /// `[upstream]`
    pub upstream: UpstreamSettings,
    /// `[identity]`
    pub identity: IdentitySettings,
    /// `[admin]`
    pub admin: AdminSettings,
    /// `[limits]`
    pub limits: LimitSettings,
    /// `[timeouts]`
    pub timeouts: TimeoutSettings,
    /// `[shutdown]`
    pub shutdown: ShutdownSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[runtime]`
    pub runtime: RuntimeSettings,
}

impl Settings {
    /// What an issuer is called.
    #[must_use]
    pub fn issuer_name(&self, index: IssuerIndex) -> Option<Arc<str>> {
        self.issuers
            .get(usize::from(index.0))
            .map(|issuer| Arc::clone(&issuer.name))
    }
}

/// Where mTLS connections are accepted.
#[derive(Clone, Debug)]
pub struct ListenSettings {
    /// `address`: host and port; port 0 takes a free one.
    pub address: SocketAddr,
}

/// The gate's own certificate, and whose client certificates it believes.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// `certificate`: PEM, the leaf first, then its intermediates.
    pub certificate: PathBuf,
    /// `private_key`: PEM, unencrypted.
    pub private_key: PathBuf,
    /// `client_ca`: PEM, one or more CAs that issue client certificates.
    pub client_ca: PathBuf,
    /// `client_crl`: PEM, the revocation lists of those CAs.
    pub client_crl: Option<PathBuf>,
    /// `min_version`
    pub min_version: TlsVersion,
}

/// The oldest TLS version spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsVersion {
    /// RFC 5246, with AEAD ciphers and forward secrecy only.
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// One front proxy that may connect: any one of its marks is enough.
#[derive(Clone, Debug)]
pub struct PeerSettings {
    /// `name`: unique; what logs and metrics call it.
    pub name: Arc<str>,
    /// `uri`: whole URI SANs; a `spiffe://` one holds the certificate to the X509-SVID rules.
    pub uri: Vec<String>,
    /// `dns`: whole DNS SANs, lower case, no wildcards.
    pub dns: Vec<String>,
    /// `ip`: whole IP SANs.
    pub ip: Vec<std::net::IpAddr>,
    /// `cn`: whole common names of the subject.
    pub cn: Vec<String>,
    /// `sha256`: SHA-256 of the whole leaf certificate in DER.
    pub sha256: Vec<[u8; 32]>,
    /// `spki`: SHA-256 of the leaf's SubjectPublicKeyInfo in DER.
    pub spki: Vec<[u8; 32]>,
    /// `issuers`: whose tokens this peer may bring; at least one.
    pub issuers: Vec<IssuerIndex>,
    /// `hands_over` and `xfcc_element`; `None` where its own certificate is the sender's.
    pub hands_over: Option<HandsOver>,
}

/// A place in [`Settings::issuers`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IssuerIndex(pub u16);

/// One maker of tokens, and what its tokens must be.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// `name`: unique; what logs, metrics and `peer.issuers` call it.
    pub name: Arc<str>,
    /// `preset`, and the keys that it wrote.
    pub preset: Option<(Preset, Vec<&'static str>)>,
    /// `issuer` and `trust_domain`
    pub maker: Maker,
    /// `audience`
    pub audience: AudienceRule,
    /// `form` and `signer`
    pub form: TokenForm,
    /// `typ`
    pub types: TypeRule,
    /// `sender_constrained`
    pub sender: SenderRule,
    /// `algorithms`: at least one; never symmetric ones beside others.
    pub algorithms: Vec<Algorithm>,
    /// `keys`
    pub keys: KeySource,
    /// `header`, `scheme` and `cookie`: where the token may stand; at least one place.
    pub places: Vec<TokenPlace>,
    /// `forward`
    pub token_to_upstream: TokenToUpstream,
    /// `leeway`: how far clocks may be apart.
    pub leeway: Duration,
    /// `stream_grace`: how long what is running outlives its token.
    pub stream_grace: Duration,
    /// `single_use`, where it is on.
    pub single_use: Option<SingleUseSettings>,
    /// `max_lifetime`: the longest time from `iat` to `exp`.
    pub max_lifetime: Duration,
    /// `allow_empty_subject`
    pub subject: SubjectRule,
    /// `enforce`
    pub enforcement: Enforcement,
    /// `strip_headers`: this issuer's unsigned companions.
    pub companions: Vec<HeaderPattern>,
}

/// One place in a request where a token may stand.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum TokenPlace {
    /// A header that holds the bare token.
    Header(HeaderName),
    /// A header that holds `Bearer` and the token (RFC 6750 2.1).
    Bearer(HeaderName),
    /// A cookie of this name (RFC 6265 4.2).
    Cookie(String),
}

/// Whether the upstream sees the token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenToUpstream {
    /// `forward = true`
    Forward,
    /// The default.
    Remove,
}

/// Whether a token must say who it speaks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SubjectRule {
    /// `sub` is there and not empty.
    Required,
    /// `allow_empty_subject = true`
    MayBeEmpty,
}

/// Who is refused although everything else is good.
#[derive(Clone, Debug, Default)]
pub struct DenySettings {
    /// `file`: the deny list.
    pub file: Option<PathBuf>,
}

/// What the application is told about the caller.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// `headers`: header name to claim.
    pub headers: Vec<(HeaderName, ClaimPath)>,
    /// `arrays`
    pub arrays: ArrayForm,
    /// `claims_header` and `claims`
    pub claims: Option<ClaimsHeader>,
    /// `client_cert`: the forms in which the peer's certificate is told.
    pub client_cert: Vec<CertificateForm>,
    /// `strip_headers`: further names that a caller may never set.
    pub strip: Vec<HeaderPattern>,
}

/// The header that holds the claims in one piece.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClaimsHeader {
    /// `claims_header`
    pub name: HeaderName,
    /// `claims`: which ones; `None` for all.
    pub only: Option<Vec<String>>,
}

/// How a certificate is told in a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateForm {
    /// `Client-Cert` (RFC 9440).
    ClientCert,
    /// `X-Forwarded-Client-Cert`, as Envoy writes it.
    Xfcc,
}

/// How a claim that is an array becomes one header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ArrayForm {
    /// `join`: elements with commas between, a comma inside an element as `%2C`.
    Join,
    /// `json`: one ASCII JSON array.
    Json,
}

/// The read-only port for probes and Prometheus.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// `address`; `None` for `"off"`.
    pub address: Option<SocketAddr>,
}

/// Everything that is counted has an end.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// `connections`: open at once, in all.
    pub connections: usize,
    /// `connections_per_peer`: open at once, for each `[[peer]]`.
    pub connections_per_peer: usize,
    /// `handshakes`: TLS handshakes at once.
    pub handshakes: usize,
    /// `streams`: HTTP/2 streams at once on one connection.
    pub streams: u32,
    /// `requests`: passed on at once, in all.
    pub requests: usize,
    /// `header_bytes`: names and values of one request's header, in all.
    pub header_bytes: usize,
    /// `header_count`: fields of one request's header.
    pub header_count: usize,
    /// `body_bytes`; `None` for `"off"`.
    pub body_bytes: Option<u64>,
    /// `token_bytes`: the longest token looked at.
    pub token_bytes: usize,
    /// `cached_tokens`: verified tokens remembered; 0 for none.
    pub cached_tokens: usize,
}

/// Everything that is waited for has an end.
#[derive(Clone, Debug)]
pub struct TimeoutSettings {
    /// `handshake`: from accepted socket to finished TLS handshake.
    pub handshake: Duration,
    /// `header_read`: from a header's first byte to its last.
    pub header_read: Duration,
    /// `idle`: a connection without a request.
    pub idle: Duration,
    /// `stream_idle`: a body or an upgraded connection in which no byte moves either way.
    pub stream_idle: Duration,
    /// `request`: a whole exchange, bodies included; `None` for `"off"`.
    pub request: Option<Duration>,
}

/// How the end goes.
#[derive(Clone, Debug)]
pub struct ShutdownSettings {
    /// `delay`: after SIGTERM: not ready any more, but still accepting.
    pub delay: Duration,
    /// `drain`: then: no new connections; time for what is running to finish.
    pub drain: Duration,
}

/// How the log looks.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// `level`
    pub level: tracing::level_filters::LevelFilter,
    /// `format`
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Readable on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What the process takes of the machine.
#[derive(Clone, Debug)]
pub struct RuntimeSettings {
    /// `threads`; `None` for as many as the cgroup's processor quota gives.
    pub threads: Option<usize>,
}
