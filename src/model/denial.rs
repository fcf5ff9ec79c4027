//! The closed set of reasons for which a caller is refused, and the stage each belongs to.
//!
//! One variant, one stable code: the same word in the log, in the metric and in `sidegate explain`.
//! No variant carries text from a request, so nothing a caller sent can leak through a reason.
//! What a caller is told about each is `deny`'s business, not this file's.

/// Why a request, or a connection, was refused.
///
/// Ordered by stage: the order is the order in which a request meets the checks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Denial {
    // Stage `tls`: the connection never became a peer. The caller sees a TLS alert.
    /// The client sent no certificate.
    CertificateMissing,
    /// The client's certificate does not chain to the configured CA.
    CertificateUntrusted,
    /// The client's certificate has expired.
    CertificateExpired,
    /// The client's certificate is not valid yet.
    CertificateNotYetValid,
    /// The client's certificate is on the CRL, or the CRL cannot speak for it.
    CertificateRevoked,
    /// The client's certificate cannot be used: wrong purpose, bad encoding or an X509-SVID that
    /// breaks the SPIFFE rules.
    CertificateInvalid,
    /// An entry of the deny list names it.
    CertificateDenied,
    /// The certificate is good and no `[[peer]]` lists it.
    PeerNotListed,
    /// The certificate is good and more than one `[[peer]]` lists it.
    PeerAmbiguous,
    /// The handshake was not finished in time.
    HandshakeTooSlow,
    /// Not TLS, or no protocol version or cipher in common.
    HandshakeFailed,
    /// Too many handshakes or connections at once.
    ConnectionLimit,
    /// This peer holds its full share of connections.
    PeerConnectionLimit,

    // Stage `request`: the message itself.
    /// The request cannot be read in exactly one way.
    RequestMalformed,
    /// The client certificate that the peer handed over cannot be read in exactly one way.
    ClientCertMalformed,
    /// More bytes or fields in the header than allowed.
    HeaderTooLarge,
    /// The header was not received in time.
    HeaderTooSlow,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The body, or the whole exchange, was not finished in time.
    RequestTooSlow,
    /// The path can be read in more than one way.
    PathAmbiguous,

    // Stage `route`, first half: which rule is the request's? Before the token, for it decides
    // whether one is needed.
    /// There are routes, and none is for this path, method and host.
    RouteUnmatched,

    // Stage `token`: is the token what it says it is?
    /// No token at any configured place.
    TokenMissing,
    /// The place is there and holds nothing: Pomerium sends this when it could not sign.
    TokenEmpty,
    /// A token found twice, joined by commas, or in two places.
    TokenRepeated,
    /// Longer than `limits.token_bytes`.
    TokenTooLong,
    /// Not three canonical base64url parts around JSON objects.
    TokenMalformed,
    /// The header carries something refused on sight: `crit`, `b64`, `zip`, `enc`, embedded keys.
    TokenHeaderRefused,
    /// No configured issuer made this token.
    IssuerUnknown,
    /// The algorithm is not on the issuer's list.
    AlgorithmRefused,
    /// The `typ` is none of those that the issuer's tokens are meant to have.
    TokenTypeRefused,
    /// Another load balancer signed, or the token does not say which.
    SignerRefused,
    /// No key of the issuer has this `kid`.
    KeyUnknown,
    /// The key that `kid` names is of another kind than the algorithm needs.
    KeyMismatch,
    /// The issuer's keys are not available.
    KeysUnavailable,
    /// The signature does not fit.
    SignatureInvalid,

    // Stage `claims`: signed, but not good enough.
    /// The claims are not one JSON object without duplicate members, or a claim has a wrong type.
    ClaimsMalformed,
    /// `iss` is missing or another one.
    IssuerMismatch,
    /// `aud` is missing or names somebody else.
    AudienceMismatch,
    /// `exp` is missing.
    ExpiryMissing,
    /// `exp` has passed.
    TokenExpired,
    /// `nbf` has not come.
    TokenNotYetValid,
    /// `iat` lies in the future.
    TokenIssuedInFuture,
    /// The token lives, or lived, longer than the issuer allows.
    LifetimeTooLong,
    /// `sub` is missing or empty.
    SubjectMissing,
    /// `sub` is no SPIFFE ID of the issuer's trust domain.
    SubjectRefused,
    /// `jti` is missing or empty, and the issuer's tokens pass once.
    JtiMissing,
    /// An entry of the deny list names the token, its key, subject, session or age.
    TokenDenied,

    // Stage `pair`: both halves are good, together they are not.
    /// This peer may not bring tokens of this issuer.
    IssuerNotForPeer,
    /// The token is bound to nobody though it must be, or there is no certificate to compare.
    SenderMissing,
    /// The token is bound to another certificate than the sender's.
    SenderMismatch,
    /// The token is bound to something that sidegate cannot compare.
    SenderUnsupported,

    // Stage `route`, second half: does the pair have what its rule asks for?
    /// The route is not for this peer.
    RoutePeerRefused,
    /// The route is not for tokens of this issuer.
    RouteIssuerRefused,
    /// The token lacks a scope.
    ScopeMissing,
    /// A claim is not what the route asks for.
    ClaimUnmet,

    // Stage `use`: the last check, for a refused request must not use a token up.
    /// The token has passed before, and may only once.
    TokenUsed,
    /// There is no room to remember that the token was used.
    SingleUseFull,

    // Stage `forward`: the request was allowed and could not be passed on.
    /// A claim has no safe or short enough form as a header.
    IdentityUnforwardable,
    /// As many requests as allowed are being passed on already.
    RequestLimit,
    /// The upstream refused the connection.
    UpstreamUnavailable,
    /// The upstream broke off, or answered with something that is not HTTP.
    UpstreamFailed,
    /// The upstream did not connect or answer in time.
    UpstreamTooSlow,
}

/// Where on its way a request was refused. The `stage` label of `sidegate_refused_total`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// The TLS handshake.
    Tls,
    /// The HTTP message.
    Request,
    /// The rule for this path, method and host.
    Route,
    /// The token and its signature.
    Token,
    /// The signed claims.
    Claims,
    /// The peer and the issuer together.
    Pair,
    /// The one use of a token.
    Use,
    /// The way to the upstream.
    Forward,
}

// === impl Denial ===

macro_rules! codes {
    ($($variant:ident => $stage:ident, $code:literal, $meaning:literal;)*) => {
        impl Denial {
            /// Every reason, in the order of the stages.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name of the reason: what logs, metrics and documentation call it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// Where the request was when it was refused.
            #[must_use]
            pub const fn stage(self) -> Stage {
                match self { $(Self::$variant => Stage::$stage),* }
            }

            /// One line for an operator who meets the code for the first time.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
    };
}

codes! {
    CertificateMissing => Tls, "certificate_missing", "the client sent no certificate";
    CertificateUntrusted => Tls, "certificate_untrusted", "the client certificate does not chain to tls.client_ca";
    CertificateExpired => Tls, "certificate_expired", "the client certificate has expired";
    CertificateNotYetValid => Tls, "certificate_not_yet_valid", "the client certificate is not valid yet";
    CertificateRevoked => Tls, "certificate_revoked", "the client certificate is revoked, or tls.client_crl cannot speak for its CA";
    CertificateInvalid => Tls, "certificate_invalid", "the client certificate cannot be used: wrong purpose, bad encoding, or an X509-SVID that breaks the SPIFFE rules";
    CertificateDenied => Tls, "certificate_denied", "the client certificate is on the deny list";
    PeerNotListed => Tls, "peer_not_listed", "the client certificate is good and no [[peer]] lists it";
    PeerAmbiguous => Tls, "peer_ambiguous", "the client certificate is good and more than one [[peer]] lists it";
    HandshakeTooSlow => Tls, "handshake_too_slow", "the TLS handshake was not finished within timeouts.handshake";
    HandshakeFailed => Tls, "handshake_failed", "not TLS, or no protocol version or cipher in common";
    ConnectionLimit => Tls, "connection_limit", "more connections or handshakes at once than limits allow";
    PeerConnectionLimit => Tls, "peer_connection_limit", "this peer holds limits.connections_per_peer connections already";
    RequestMalformed => Request, "request_malformed", "the request cannot be read in exactly one way";
    ClientCertMalformed => Request, "client_cert_malformed", "the client certificate that the peer hands over, as peer.hands_over says, cannot be read in exactly one way";
    HeaderTooLarge => Request, "header_too_large", "more header bytes or fields than limits allow";
    HeaderTooSlow => Request, "header_too_slow", "the header was not received within timeouts.header_read";
    BodyTooLarge => Request, "body_too_large", "the body is larger than limits.body_bytes";
    RequestTooSlow => Request, "request_too_slow", "the body or the whole exchange took longer than timeouts allow";
    PathAmbiguous => Request, "path_ambiguous", "the path has a second reading: dot segments, double slashes, needless or hidden escapes; see [paths]";
    RouteUnmatched => Route, "route_unmatched", "no [[route]] is for this path, method and host";
    TokenMissing => Token, "token_missing", "no token at any place where a configured issuer puts one";
    TokenEmpty => Token, "token_empty", "the token's header is there and empty: the front proxy could not sign";
    TokenRepeated => Token, "token_repeated", "more than one token: twice in one place, joined by commas, or in two places";
    TokenTooLong => Token, "token_too_long", "the token is longer than limits.token_bytes";
    TokenMalformed => Token, "token_malformed", "not three canonical base64url parts with a JSON object as header";
    TokenHeaderRefused => Token, "token_header_refused", "the token's header holds crit, b64, zip, enc, an embedded key or a key address";
    IssuerUnknown => Token, "issuer_unknown", "several issuers share the header and none of them has the token's iss";
    AlgorithmRefused => Token, "algorithm_refused", "the token's alg is not on the issuer's list";
    TokenTypeRefused => Token, "token_type_refused", "the token's typ is not on the issuer's list";
    SignerRefused => Token, "signer_refused", "the token's signer is missing or not one of issuer.signer";
    KeyUnknown => Token, "key_unknown", "no key of the issuer has the token's kid";
    KeyMismatch => Token, "key_mismatch", "the key that kid names does not fit the token's alg";
    KeysUnavailable => Token, "keys_unavailable", "the issuer's keys are not available";
    SignatureInvalid => Token, "signature_invalid", "the signature does not fit the token and the key";
    ClaimsMalformed => Claims, "claims_malformed", "the claims are not one JSON object without repeated members, or a claim has a wrong type";
    IssuerMismatch => Claims, "issuer_mismatch", "iss is missing or not issuer.issuer";
    AudienceMismatch => Claims, "audience_mismatch", "aud is missing or holds none of issuer.audience; or it is there where it must be absent";
    ExpiryMissing => Claims, "expiry_missing", "exp is missing";
    TokenExpired => Claims, "token_expired", "exp has passed";
    TokenNotYetValid => Claims, "token_not_yet_valid", "nbf has not come";
    TokenIssuedInFuture => Claims, "token_issued_in_future", "iat lies in the future";
    LifetimeTooLong => Claims, "lifetime_too_long", "the token lives longer than issuer.max_lifetime";
    SubjectMissing => Claims, "subject_missing", "sub is missing or empty";
    SubjectRefused => Claims, "subject_refused", "sub is no SPIFFE ID of issuer.trust_domain";
    JtiMissing => Claims, "jti_missing", "jti is missing or empty, and issuer.single_use needs it";
    TokenDenied => Claims, "token_denied", "the token, its key, subject or session is on the deny list";
    IssuerNotForPeer => Pair, "issuer_not_for_peer", "the peer's issuers do not list the token's issuer";
    SenderMissing => Pair, "sender_missing", "issuer.sender_constrained is required and the token has no cnf; or it has one, and the peer handed over no client certificate";
    SenderMismatch => Pair, "sender_mismatch", "cnf names another certificate than the sender's";
    SenderUnsupported => Pair, "sender_unsupported", "cnf binds the token to something else than a certificate, which cannot be checked here";
    RoutePeerRefused => Route, "route_peer_refused", "the peers of the route do not list this peer";
    RouteIssuerRefused => Route, "route_issuer_refused", "the issuers of the route do not list the token's issuer";
    ScopeMissing => Route, "scope_missing", "the token lacks a scope that the route asks for";
    ClaimUnmet => Route, "claim_unmet", "a claim is missing or not what the route asks for";
    TokenUsed => Use, "token_used", "the token was used before, and issuer.single_use lets it pass once";
    SingleUseFull => Use, "single_use_full", "single_use.remember used tokens are remembered already";
    IdentityUnforwardable => Forward, "identity_unforwardable", "a claim, or a certificate, that identity tells the service is too large for a header";
    RequestLimit => Forward, "request_limit", "limits.requests requests are being passed on already";
    UpstreamUnavailable => Forward, "upstream_unavailable", "the upstream refused the connection";
    UpstreamFailed => Forward, "upstream_failed", "the upstream broke off or did not speak HTTP";
    UpstreamTooSlow => Forward, "upstream_too_slow", "the upstream did not connect or answer in time";
}

impl Denial {
    /// Whether report mode may let it pass: never the handshake, never a message with two readings.
    #[must_use]
    pub const fn can_be_reported(self) -> bool {
        match self.stage() {
            Stage::Token | Stage::Claims | Stage::Pair | Stage::Route | Stage::Use => true,
            Stage::Tls | Stage::Request | Stage::Forward => false,
        }
    }
}

// === impl Stage ===

impl Stage {
    /// The stable name of the stage.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::Request => "request",
            Self::Route => "route",
            Self::Token => "token",
            Self::Claims => "claims",
            Self::Pair => "pair",
            Self::Use => "use",
            Self::Forward => "forward",
        }
    }
}
