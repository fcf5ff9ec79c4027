//! What the file may say: every key, and no meaning yet.
//!
//! The doc comments of the fields are the descriptions of the JSON Schema and the reference in the
//! README, so they speak to operators. Everything is optional here: what must be there, and what it
//! means, is `parse`'s business.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::json;

use crate::model::Algorithm;

use super::defaults::{self, Bounded, Written};
use super::place::{At, List, Number, Pairs};
use super::units::{DURATION_OR_OFF_PATTERN, DURATION_PATTERN};

/// Written as `[section]` or `key = value`; absent is `None`.
type Maybe<T> = Option<At<T>>;

/// The configuration of sidegate.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSettings {
    /// Where mTLS connections are accepted.
    pub(super) listen: Maybe<RawListen>,
    /// The gate's own certificate, and whose client certificates it believes.
    #[schemars(required)]
    pub(super) tls: Maybe<RawTls>,
    /// A front proxy that may connect. At least one; any one of its marks (`uri`, `dns`, `ip`,
    /// `cn`, `sha256`, `spki`) is enough, after the chain of its certificate has been verified.
    #[schemars(required)]
    pub(super) peer: Option<Vec<At<RawPeer>>>,
    /// A maker of tokens, and what its tokens must be. At least one.
    #[schemars(required)]
    pub(super) issuer: Option<Vec<At<RawIssuer>>>,
    /// The service behind the gate.
    pub(super) upstream: Maybe<RawUpstream>,
    /// What the service is told about the caller.
    pub(super) identity: Maybe<RawIdentity>,
    /// The read-only port for probes and Prometheus, in plain HTTP.
    pub(super) admin: Maybe<RawAdmin>,
    /// How much of everything.
    pub(super) limits: Maybe<RawLimits>,
    /// How long everything may take.
    pub(super) timeouts: Maybe<RawTimeouts>,
    /// What happens after SIGTERM. Both together should stay below the time that the supervisor
    /// gives: 30s in Kubernetes.
    pub(super) shutdown: Maybe<RawShutdown>,
    /// How the log looks.
    pub(super) log: Maybe<RawLog>,
    /// What the process takes of the machine.
    pub(super) runtime: Maybe<RawRuntime>,
}

/// `[listen]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListen {
    /// IP address and port; port 0 takes a free one. Also `SIDEGATE_LISTEN` and `--listen`.
    #[schemars(extend("default" = defaults::LISTEN.to_string(), "examples" = ["0.0.0.0:8443", "[::]:8443"]))]
    pub(super) address: Maybe<String>,
}

/// `[tls]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTls {
    /// PEM file with the gate's certificate: the leaf first, then its intermediates. A relative
    /// path, here and elsewhere, starts at the folder of the configuration file.
    #[schemars(required, extend("examples" = ["/etc/sidegate/tls/tls.crt"]))]
    pub(super) certificate: Maybe<String>,
    /// PEM file with the unencrypted private key of that certificate.
    #[schemars(required, extend("examples" = ["/etc/sidegate/tls/tls.key"]))]
    pub(super) private_key: Maybe<String>,
    /// PEM file with the CAs that issue client certificates: one private CA, not the public ones.
    #[schemars(required, extend("examples" = ["/etc/sidegate/ca/ca.crt"]))]
    pub(super) client_ca: Maybe<String>,
    /// PEM file with the revocation lists of those CAs.
    #[schemars(extend("examples" = ["/etc/sidegate/ca/ca.crl"]))]
    pub(super) client_crl: Maybe<String>,
    /// The oldest TLS version spoken.
    #[schemars(extend("default" = defaults::MIN_VERSION, "enum" = ["1.2", "1.3"]))]
    pub(super) min_version: Maybe<String>,
}

/// `[[peer]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPeer {
    /// What logs and metrics call this peer; unique.
    #[schemars(required, extend("examples" = ["pomerium"]))]
    pub(super) name: Maybe<String>,
    /// Whole URI SANs. A `spiffe://` one holds the certificate to the X509-SVID rules.
    #[schemars(extend("examples" = [["spiffe://prod.example/ns/edge/sa/pomerium"]]))]
    pub(super) uri: Maybe<List>,
    /// Whole DNS SANs, in lower case, without wildcards.
    #[schemars(extend("examples" = [["pomerium.internal"]]))]
    pub(super) dns: Maybe<List>,
    /// Whole IP SANs.
    #[schemars(extend("examples" = [["10.1.2.3"]]))]
    pub(super) ip: Maybe<List>,
    /// Whole common names. Legacy: prefer a SAN.
    #[schemars(extend("examples" = [["pomerium"]]))]
    pub(super) cn: Maybe<List>,
    /// SHA-256 of the whole leaf certificate in DER: hex, with or without colons, or base64.
    #[schemars(extend("examples" = [["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]]))]
    pub(super) sha256: Maybe<List>,
    /// SHA-256 of the leaf's public key (SubjectPublicKeyInfo in DER); outlives a renewal that
    /// keeps the key.
    #[schemars(extend("examples" = [["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]]))]
    pub(super) spki: Maybe<List>,
    /// Names of the `[[issuer]]`s whose tokens this peer may bring. At least one: the pair is one
    /// decision.
    #[schemars(required, extend("examples" = [["pomerium"]]))]
    pub(super) issuers: Maybe<List>,
}

/// `[[issuer]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    /// What logs, metrics and `peer.issuers` call this issuer; unique.
    #[schemars(required, extend("examples" = ["pomerium"]))]
    pub(super) name: Maybe<String>,
    /// The whole `iss` claim.
    #[schemars(required, extend("examples" = ["api.example.com"]))]
    pub(super) issuer: Maybe<String>,
    /// `aud` must hold at least one of these.
    #[schemars(required, extend("examples" = [["api.example.com"]]))]
    pub(super) audience: Maybe<List>,
    /// The signature algorithms accepted. HS256, HS384 and HS512 never stand beside others, and
    /// need `keys.secret`.
    #[schemars(transform = algorithms)]
    pub(super) algorithms: Maybe<List>,
    /// Where the verification keys come from: exactly one of `file`, `pem` and `secret`.
    #[schemars(required)]
    pub(super) keys: Maybe<RawKeys>,
    /// The header that brings the token. Where only `cookie` is written, no header does.
    #[schemars(extend("default" = defaults::TOKEN_HEADER, "examples" = ["X-Pomerium-Jwt-Assertion"]))]
    pub(super) header: Maybe<String>,
    /// `Bearer` where that word stands before the token, `none` for the bare token. By default
    /// `Bearer` in `Authorization` and `none` in any other header.
    #[schemars(extend("enum" = ["Bearer", "none"]))]
    pub(super) scheme: Maybe<String>,
    /// A cookie that may bring the token.
    #[schemars(extend("examples" = ["CF_Authorization"]))]
    pub(super) cookie: Maybe<String>,
    /// Whether the service sees the token.
    #[schemars(extend("default" = false))]
    pub(super) forward: Maybe<bool>,
    /// How far the clocks of issuer and gate may be apart.
    #[schemars(transform = duration(&defaults::LEEWAY))]
    pub(super) leeway: Maybe<String>,
    /// The longest time from `iat` to `exp`. By default 1h for a token in `Authorization`, and 10m
    /// anywhere else: a proxy makes its assertions anew for each request.
    #[schemars(transform = lifetime)]
    pub(super) max_lifetime: Maybe<String>,
    /// Whether `sub` may be empty or absent.
    #[schemars(extend("default" = false))]
    pub(super) allow_empty_subject: Maybe<bool>,
    /// Further headers that this issuer's proxy sets beside the token, unsigned: they are removed.
    /// A `*` at the end stands for any rest.
    #[schemars(extend("examples" = [["x-pomerium-claim-*"]]))]
    pub(super) strip_headers: Maybe<List>,
}

/// `issuer.keys`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeys {
    /// A JWKS document with public keys.
    #[schemars(extend("examples" = ["/etc/sidegate/jwks/jwks.json"]))]
    pub(super) file: Maybe<String>,
    /// A PEM file with public keys or certificates.
    #[schemars(extend("examples" = ["/etc/sidegate/jwks/issuer.pem"]))]
    pub(super) pem: Maybe<String>,
    /// A file with the shared secret of an HS algorithm; never the secret itself.
    #[schemars(extend("examples" = ["/etc/sidegate/secret/hs256.key"]))]
    pub(super) secret: Maybe<String>,
}

/// `[upstream]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUpstream {
    /// IP address and port on loopback, or `unix:` and an absolute path. Required; also
    /// `SIDEGATE_UPSTREAM` and `--upstream`.
    #[schemars(extend("examples" = ["127.0.0.1:8080", "[::1]:8080", "unix:/run/app.sock"]))]
    pub(super) address: Maybe<String>,
    /// Allows an address beyond loopback, where everybody on the way can read and forge.
    #[schemars(extend("default" = false))]
    pub(super) unsafe_address: Maybe<bool>,
    /// What the service speaks; `h2c` is HTTP/2 without TLS, as gRPC needs it.
    #[schemars(extend("default" = defaults::PROTOCOL, "enum" = ["http/1.1", "h2c"]))]
    pub(super) protocol: Maybe<String>,
    /// How long connecting may take.
    #[schemars(transform = duration(&defaults::CONNECT_TIMEOUT))]
    pub(super) connect_timeout: Maybe<String>,
    /// From the whole request head sent to the whole response head received.
    #[schemars(transform = duration(&defaults::RESPONSE_TIMEOUT))]
    pub(super) response_timeout: Maybe<String>,
    /// How long an unused connection is kept; shorter than the keep-alive of the service.
    #[schemars(transform = duration(&defaults::IDLE_TIMEOUT))]
    pub(super) idle_timeout: Maybe<String>,
}

/// `[identity]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIdentity {
    /// Header name to claim. A claim that starts with `/` is a JSON Pointer (RFC 6901); any other
    /// is the whole name of a top-level claim.
    #[schemars(extend("examples" = [{ "X-Auth-Subject": "sub", "X-Auth-Roles": "/realm_access/roles" }]))]
    pub(super) headers: Maybe<Pairs>,
    /// How a claim that is an array becomes one header: `join` puts commas between the elements
    /// (a comma inside of one becomes `%2C`), `json` writes an ASCII JSON array.
    #[schemars(extend("default" = defaults::ARRAYS, "enum" = ["join", "json"]))]
    pub(super) arrays: Maybe<String>,
    /// Further headers that no caller may set. Those in `headers` are removed anyway. A `*` at the
    /// end stands for any rest.
    #[schemars(extend("examples" = [["x-forwarded-user", "x-internal-*"]]))]
    pub(super) strip_headers: Maybe<List>,
}

/// `[admin]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAdmin {
    /// IP address and port, or `off`. Also `SIDEGATE_ADMIN` and `--admin`.
    #[schemars(extend("default" = defaults::ADMIN.to_string(), "examples" = ["127.0.0.1:9090", "off"]))]
    pub(super) address: Maybe<String>,
}

/// `[limits]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Connections open at once.
    #[schemars(transform = count(&defaults::CONNECTIONS))]
    pub(super) connections: Maybe<i64>,
    /// Connections open at once for each `[[peer]]`.
    #[schemars(transform = count(&defaults::CONNECTIONS_PER_PEER))]
    pub(super) connections_per_peer: Maybe<i64>,
    /// TLS handshakes at once.
    #[schemars(transform = count(&defaults::HANDSHAKES))]
    pub(super) handshakes: Maybe<i64>,
    /// HTTP/2 streams at once on one connection.
    #[schemars(transform = count(&defaults::STREAMS))]
    pub(super) streams: Maybe<i64>,
    /// Requests passed on to the upstream at once.
    #[schemars(transform = count(&defaults::REQUESTS))]
    pub(super) requests: Maybe<i64>,
    /// Names and values of one request's header in all.
    #[schemars(transform = size(&defaults::HEADER_BYTES))]
    pub(super) header_bytes: Maybe<Number>,
    /// Fields of one request's header.
    #[schemars(transform = count(&defaults::HEADER_COUNT))]
    pub(super) header_count: Maybe<i64>,
    /// The largest request body, or `off` for any.
    #[schemars(extend("default" = "off", "examples" = ["off", "10MiB"]))]
    pub(super) body_bytes: Maybe<Number>,
    /// The longest token that is looked at.
    #[schemars(transform = size(&defaults::TOKEN_BYTES))]
    pub(super) token_bytes: Maybe<Number>,
    /// Verified tokens remembered; 0 for none.
    #[schemars(transform = count(&defaults::CACHED_TOKENS))]
    pub(super) cached_tokens: Maybe<i64>,
}

/// `[timeouts]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTimeouts {
    /// From accepted socket to finished TLS handshake.
    #[schemars(transform = duration(&defaults::HANDSHAKE))]
    pub(super) handshake: Maybe<String>,
    /// From the first byte of a request's header to its last.
    #[schemars(transform = duration(&defaults::HEADER_READ))]
    pub(super) header_read: Maybe<String>,
    /// A connection without a request.
    #[schemars(transform = duration(&defaults::IDLE))]
    pub(super) idle: Maybe<String>,
    /// A body or an upgraded connection in which no byte moves either way.
    #[schemars(transform = duration(&defaults::STREAM_IDLE))]
    pub(super) stream_idle: Maybe<String>,
    /// A whole exchange, bodies included, or `off` for as long as it moves.
    #[schemars(extend("default" = "off", "pattern" = DURATION_OR_OFF_PATTERN, "examples" = ["off", "5m"]))]
    pub(super) request: Maybe<String>,
}

/// `[shutdown]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShutdown {
    /// How long to go on accepting after SIGTERM, while `/readyz` already says no.
    #[schemars(transform = duration(&defaults::DELAY))]
    pub(super) delay: Maybe<String>,
    /// Then, without new connections, how long requests may take to finish.
    #[schemars(transform = duration(&defaults::DRAIN))]
    pub(super) drain: Maybe<String>,
}

/// `[log]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    /// The least important lines that are written. Also `SIDEGATE_LOG_LEVEL` and `--log-level`.
    #[schemars(extend("default" = defaults::LEVEL, "enum" = ["error", "warn", "info", "debug", "trace"]))]
    pub(super) level: Maybe<String>,
    /// `json` is one object a line, `text` is for people, `auto` is text on a terminal and JSON
    /// elsewhere. Also `SIDEGATE_LOG_FORMAT` and `--log-format`.
    #[schemars(extend("default" = defaults::FORMAT, "enum" = ["auto", "json", "text"]))]
    pub(super) format: Maybe<String>,
}

/// `[runtime]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRuntime {
    /// Threads that serve, or `auto` for as many as the processor quota of the cgroup gives.
    #[schemars(extend("default" = "auto", "examples" = [json!("auto"), json!(2)]))]
    pub(super) threads: Maybe<Number>,
}

// === What the derive cannot say ===

fn bounded<T: Written>(schema: &mut Schema, bounds: &Bounded<T>) {
    schema.insert("default".to_owned(), bounds.default.written());
    range(schema, bounds);
}

fn range<T: Written>(schema: &mut Schema, bounds: &Bounded<T>) {
    let said = schema.get("description").and_then(|text| text.as_str());
    let plain = |value: serde_json::Value| value.to_string().replace('"', "");
    let text = format!(
        "{} From {} to {}.",
        said.unwrap_or_default(),
        plain(bounds.least.written()),
        plain(bounds.most.written())
    );
    schema.insert("description".to_owned(), text.into());
}

fn duration(bounds: &'static Bounded<std::time::Duration>) -> impl FnMut(&mut Schema) {
    |schema| {
        schema.insert("pattern".to_owned(), DURATION_PATTERN.into());
        bounded(schema, bounds);
    }
}

fn size(bounds: &'static Bounded<defaults::Bytes>) -> impl FnMut(&mut Schema) {
    |schema| bounded(schema, bounds)
}

fn count(bounds: &'static Bounded<u32>) -> impl FnMut(&mut Schema) {
    |schema| {
        schema.remove("format");
        schema.insert("minimum".to_owned(), bounds.least.into());
        schema.insert("maximum".to_owned(), bounds.most.into());
        bounded(schema, bounds);
    }
}

/// The default depends on the header: it is in the words.
fn lifetime(schema: &mut Schema) {
    schema.insert("pattern".to_owned(), DURATION_PATTERN.into());
    schema.insert("examples".to_owned(), json!(["1h", "10m"]));
    range(schema, &defaults::MAX_LIFETIME);
}

fn algorithms(schema: &mut Schema) {
    let names = |list: &[Algorithm]| list.iter().map(|one| one.name()).collect::<Vec<_>>();
    let every = json!({ "type": "string", "enum": names(&Algorithm::ALL) });
    schema.insert("items".to_owned(), every);
    schema.insert("default".to_owned(), json!(names(&defaults::ALGORITHMS)));
}
