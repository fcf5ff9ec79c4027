//! What the file may say: every key, and no meaning yet.
//!
//! The doc comments of the fields are the descriptions of the JSON Schema and the reference in the
//! README, so they speak to operators. Everything is optional here: what must be there, and what it
//! means, is `parse`'s business.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::annotate::{algorithms, client_cert, count, duration, lifetime, presets, size};
use super::defaults;
use super::place::{At, List, Number, Pairs};
use super::raw_keys::RawKeys;
use super::raw_route::{RawPaths, RawRoute};
use super::single_use::{RawSingleUse, Switch};
use super::units::DURATION_OR_OFF_PATTERN;

/// Written as `[section]` or `key = value`; absent is `None`.
pub(super) type Maybe<T> = Option<At<T>>;

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
    /// Who may do what: the first route that matches a request's path, method and host decides what
    /// it needs. Once there is one, what matches none is refused; without any, every path needs a
    /// good token and no more.
    pub(super) route: Option<Vec<At<RawRoute>>>,
    /// How paths are read.
    pub(super) paths: Maybe<RawPaths>,
    /// Certificates and tokens that are refused although everything else about them is good.
    pub(super) deny: Maybe<RawDeny>,
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
    /// How this peer hands over the certificate of the client behind it: `client-cert` in
    /// `Client-Cert` (RFC 9440), `xfcc` in `X-Forwarded-Client-Cert` as Envoy writes it. Tokens with
    /// `cnf` are then held to that certificate alone. The peer must remove what its own callers send
    /// under this name.
    #[schemars(extend("enum" = ["client-cert", "xfcc"]))]
    pub(super) hands_over: Maybe<String>,
    /// Which element of `X-Forwarded-Client-Cert` counts, where several proxies add one: `only` for
    /// one and no more, `last` for the one that this peer added, `first` for the one nearest to the
    /// client, if every proxy before this peer can be trusted.
    #[schemars(extend("default" = defaults::XFCC_ELEMENT, "enum" = ["only", "last", "first"]))]
    pub(super) xfcc_element: Maybe<String>,
}

/// `[[issuer]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    /// What logs, metrics and `peer.issuers` call this issuer; unique.
    #[schemars(required, extend("examples" = ["pomerium"]))]
    pub(super) name: Maybe<String>,
    /// The system whose tokens these are. It writes the keys below that are not written, as
    /// `sidegate check` shows; whatever is written wins.
    #[schemars(transform = presets)]
    pub(super) preset: Maybe<String>,
    /// The whole `iss` claim. Required, unless the preset knows it or `trust_domain` is written.
    #[schemars(extend("examples" = ["api.example.com"]))]
    pub(super) issuer: Maybe<String>,
    /// The SPIFFE trust domain of JWT-SVIDs: `sub` must be a SPIFFE ID in it. `iss` is then looked
    /// at only where `issuer` is written too.
    #[schemars(extend("examples" = ["prod.example"]))]
    pub(super) trust_domain: Maybe<String>,
    /// `aud` must hold at least one of these. Required, unless the preset knows it. With
    /// `keys.secret` it may be `absent`: then a token must have no `aud`.
    #[schemars(extend("examples" = [["api.example.com"]]))]
    pub(super) audience: Maybe<List>,
    /// The signature algorithms accepted. HS256, HS384 and HS512 never stand beside others, and
    /// need `keys.secret`.
    #[schemars(transform = algorithms)]
    pub(super) algorithms: Maybe<List>,
    /// Where the verification keys come from: exactly one of `url`, `discovery`, `pem_url`, `file`,
    /// `pem`, `directory` and `secret`.
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
    /// How much longer than its token a running stream may go on.
    #[schemars(transform = duration(&defaults::STREAM_GRACE))]
    pub(super) stream_grace: Maybe<String>,
    /// Whether a token passes only once, by its `jti`: `true`, or a table with the keys below.
    #[schemars(extend("default" = false))]
    pub(super) single_use: Maybe<Switch<RawSingleUse>>,
    /// The longest time from `iat` to `exp`. By default 1h for a token in `Authorization`, and 10m
    /// anywhere else: a proxy makes its assertions anew for each request.
    #[schemars(transform = lifetime)]
    pub(super) max_lifetime: Maybe<String>,
    /// Whether `sub` may be empty or absent.
    #[schemars(extend("default" = false))]
    pub(super) allow_empty_subject: Maybe<bool>,
    /// What the refusal of its token does: `refuse` the request, or `report` it, which logs and
    /// counts what would be refused (`would_refuse`) and lets it through without an identity: for
    /// peers that may bring this issuer's tokens, and where no route asks more of the token.
    #[schemars(extend("default" = defaults::ENFORCE, "enum" = ["refuse", "report"]))]
    pub(super) enforce: Maybe<String>,
    /// Which `typ` of the JOSE header is meant: media types, in any case and with or without
    /// `application/`; `absent` stands for none. A token of another kind, made by the same issuer
    /// for another purpose, is refused.
    #[schemars(extend("default" = defaults::TYPES))]
    pub(super) typ: Maybe<List>,
    /// How a token is written: `jwt`, or `aws-alb`, which has padding, `iss`, `exp` and the audience
    /// (as `client`) in the JOSE header, and needs `signer`.
    #[schemars(extend("default" = defaults::FORM, "enum" = ["jwt", "aws-alb"]))]
    pub(super) form: Maybe<String>,
    /// Whole ARNs of the load balancers that may have signed. Required with `form = "aws-alb"`:
    /// AWS signs for every customer with the same keys.
    #[schemars(extend("examples" = [["arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c495c0c9188"]]))]
    pub(super) signer: Maybe<List>,
    /// `required` where every token must be bound to its sender by `cnf` and `x5t#S256` (RFC 8705).
    /// A binding that is there is enforced in any case.
    #[schemars(extend("default" = defaults::SENDER, "enum" = ["if-bound", "required"]))]
    pub(super) sender_constrained: Maybe<String>,
    /// Further headers that this issuer's proxy sets beside the token, unsigned: they are removed.
    /// A `*` at the end stands for any rest.
    #[schemars(extend("examples" = [["x-pomerium-claim-*"]]))]
    pub(super) strip_headers: Maybe<List>,
}

/// `[deny]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeny {
    /// The deny list: one certificate, key, token, subject or session a line.
    #[schemars(extend("examples" = ["/etc/sidegate/deny/deny.list"]))]
    pub(super) file: Maybe<String>,
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
    /// A header that holds the verified claims in one piece: a JSON object, base64url without padding.
    #[schemars(extend("examples" = ["X-Auth-Claims"]))]
    pub(super) claims_header: Maybe<String>,
    /// The names of the top-level claims in `claims_header`; all of them where it is not written.
    #[schemars(extend("examples" = [["sub", "email"]]))]
    pub(super) claims: Maybe<List>,
    /// How the service is told the peer's certificate: `client-cert` as `Client-Cert` (RFC 9440),
    /// `xfcc` as `X-Forwarded-Client-Cert` in Envoy's format, or both.
    #[schemars(transform = client_cert, extend("examples" = [["client-cert"]]))]
    pub(super) client_cert: Maybe<List>,
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
