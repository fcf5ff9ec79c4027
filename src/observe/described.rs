//! Every metric by its name, its labels and what it says: one table for the registry and the README.

/// A metric as the README's table shows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Described {
    /// The name in the exposition.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! described {
    ($($id:ident = $kind:literal $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $id: Described = Described { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*
        /// Every metric, in the order of a request's way.
        pub const DESCRIBED: &[Described] = &[$($id),*];
    };
}

described! {
    BUILD_INFO = "gauge" "sidegate_build_info" ["version"] "Always 1; the label says which build runs.";
    READY = "gauge" "sidegate_ready" [] "1 while /readyz answers 200.";
    GENERATION = "gauge" "sidegate_generation" ["object"] "Which edition of a reloadable object is in force.";
    RELOADS = "counter" "sidegate_reload_total" ["object", "result"] "Editions of a reloadable object that came into force or could not be used.";
    STALE_SINCE = "gauge" "sidegate_reload_stale_since_timestamp_seconds" ["object"] "Since when a newer edition could not be used, in Unix time; 0 while the newest is in force.";
    CERTIFICATE_END = "gauge" "sidegate_certificate_not_after_timestamp_seconds" ["role"] "When a certificate expires, in Unix time.";
    JWKS_KEYS = "gauge" "sidegate_jwks_keys" ["issuer"] "Usable verification keys of an issuer.";
    DENY_ENTRIES = "gauge" "sidegate_deny_entries" [] "Entries of the deny list in force.";
    JWKS_FETCHES = "counter" "sidegate_jwks_fetch_total" ["issuer", "result"] "Fetches of an issuer's keys, by result.";
    JWKS_SUCCESS = "gauge" "sidegate_jwks_last_success_timestamp_seconds" ["issuer"] "When an issuer's keys were last fetched or confirmed, in Unix time; 0 while never.";
    JWKS_UNKNOWN = "counter" "sidegate_jwks_unknown_kid_total" ["issuer", "outcome"] "Tokens that named a key which was not there, by what asking for it gave.";
    CONNECTIONS = "gauge" "sidegate_connections_open" [] "Connections that passed the TLS handshake and are open.";
    RESTING = "gauge" "sidegate_connections_resting" [] "Those of them over HTTP/1.1 that have been idle for a second and were relieved of their buffers.";
    CLOSED = "counter" "sidegate_connections_closed_total" ["cause"] "Connections closed, by cause.";
    HANDSHAKES = "counter" "sidegate_tls_handshakes_total" ["result"] "TLS handshakes finished, by result.";
    ACCEPT_ERRORS = "counter" "sidegate_accept_errors_total" [] "Failures of the listening socket, such as too many open files.";
    REFUSED = "counter" "sidegate_refused_total" ["stage", "reason"] "Connections and requests refused, by stage and reason.";
    WOULD_REFUSE = "counter" "sidegate_would_refuse_total" ["stage", "reason"] "Requests let through that would have been refused, were their issuer or route not in report mode.";
    REPORT_MODE = "gauge" "sidegate_report_mode" ["scope"] "Issuers and routes in report mode: their refusals are counted and let through.";
    REQUESTS = "counter" "sidegate_requests_total" ["decision", "status"] "Requests that are over, by decision and status class; 4xx (499) where the caller left first.";
    TOKENS = "counter" "sidegate_tokens_verified_total" ["source"] "Tokens accepted, by whether a signature was computed or remembered.";
    VERIFY = "histogram" "sidegate_jwt_verify_seconds" [] "Time to judge one token.";
    UPSTREAM = "histogram" "sidegate_upstream_seconds" [] "Time from a request passed on to the head of its response.";
    STREAMS_ENDED = "counter" "sidegate_streams_ended_total" ["reason"] "Running streams and uploads cut off because they would not be let in any more.";
    UPSTREAM_CONNECTIONS = "counter" "sidegate_upstream_connections_total" ["use"] "Upstream connections taken for a request, by whether they were new.";
    UPSTREAM_RETRIES = "counter" "sidegate_upstream_retries_total" [] "Requests sent again because a kept-alive connection had gone stale.";
}
