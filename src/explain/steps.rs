//! The checks in the order in which they are made, and the reasons that each can give.
//!
//! One table, read from top to bottom. It decides nothing: which check failed is read off the reason
//! that the decision returned.

use crate::model::{Denial, Stage};

/// One check of the gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Check {
    /// A client certificate came.
    Certificate,
    /// It chains to a client CA, is in time, not revoked, and made for clients.
    Chain,
    /// The deny list does not name it.
    CertificateAllowed,
    /// Exactly one `[[peer]]` lists it.
    Peer,
    /// The message can be read in exactly one way, and is not too large.
    Message,
    /// The path can be read in exactly one way.
    Path,
    /// A route is for it.
    Route,
    /// One token stands where one is looked for.
    TokenFound,
    /// It is not too long.
    TokenLength,
    /// It is a compact JWS.
    TokenForm,
    /// An issuer is known whose token it may be.
    IssuerKnown,
    /// That issuer's keys are there.
    Keys,
    /// The JOSE header has nothing that is refused on sight.
    TokenHeader,
    /// The algorithm is on the issuer's list.
    Algorithm,
    /// The kind of token is one that is meant.
    TokenType,
    /// A load balancer's token is of one of ours.
    Signer,
    /// A key of the issuer fits.
    Key,
    /// The signature holds.
    Signature,
    /// The claims can be read in exactly one way.
    ClaimsForm,
    /// `iss`
    Issuer,
    /// `aud`
    Audience,
    /// `exp`
    Expiry,
    /// `nbf`
    NotBefore,
    /// `iat`
    IssuedAt,
    /// From `iat` to `exp`.
    Lifetime,
    /// `sub`
    Subject,
    /// `sub` is of the trust domain.
    SubjectDomain,
    /// `jti`, where tokens pass once.
    TokenId,
    /// The deny list does not name the token.
    TokenAllowed,
    /// The peer may bring tokens of this issuer.
    Pair,
    /// The token came from the sender that it is bound to.
    Sender,
    /// The route is for this peer.
    RoutePeer,
    /// The route is for tokens of this issuer.
    RouteIssuer,
    /// The token has the scopes that the route asks for.
    Scope,
    /// Its claims are what the route asks for.
    Claims,
    /// It was not used before.
    Use,
    /// The claims fit into the headers that the service is told by.
    Identity,
}

impl Check {
    /// Every check, first to last.
    pub const ALL: [Self; 37] = [
        Self::Certificate,
        Self::Chain,
        Self::CertificateAllowed,
        Self::Peer,
        Self::Message,
        Self::Path,
        Self::Route,
        Self::TokenFound,
        Self::TokenLength,
        Self::TokenForm,
        Self::IssuerKnown,
        Self::Keys,
        Self::TokenHeader,
        Self::Algorithm,
        Self::TokenType,
        Self::Signer,
        Self::Key,
        Self::Signature,
        Self::ClaimsForm,
        Self::Issuer,
        Self::Audience,
        Self::Expiry,
        Self::NotBefore,
        Self::IssuedAt,
        Self::Lifetime,
        Self::Subject,
        Self::SubjectDomain,
        Self::TokenId,
        Self::TokenAllowed,
        Self::Pair,
        Self::Sender,
        Self::RoutePeer,
        Self::RouteIssuer,
        Self::Scope,
        Self::Claims,
        Self::Use,
        Self::Identity,
    ];

    /// The check that gives this reason; `None` for what only a running gate can meet: limits,
    /// deadlines and the service behind it.
    ///
    /// No wildcard: a new reason does not compile until it has its check.
    #[must_use]
    pub const fn of(denial: Denial) -> Option<Self> {
        use Denial as D;
        Some(match denial {
            D::CertificateMissing => Self::Certificate,
            D::CertificateUntrusted
            | D::CertificateExpired
            | D::CertificateNotYetValid
            | D::CertificateRevoked
            | D::CertificateInvalid => Self::Chain,
            D::CertificateDenied => Self::CertificateAllowed,
            D::PeerNotListed | D::PeerAmbiguous => Self::Peer,
            D::RequestMalformed | D::ClientCertMalformed | D::HeaderTooLarge | D::BodyTooLarge => {
                Self::Message
            }
            D::PathAmbiguous => Self::Path,
            D::RouteUnmatched => Self::Route,
            D::TokenMissing | D::TokenEmpty | D::TokenRepeated => Self::TokenFound,
            D::TokenTooLong => Self::TokenLength,
            D::TokenMalformed => Self::TokenForm,
            D::IssuerUnknown => Self::IssuerKnown,
            D::KeysUnavailable => Self::Keys,
            D::TokenHeaderRefused => Self::TokenHeader,
            D::AlgorithmRefused => Self::Algorithm,
            D::TokenTypeRefused => Self::TokenType,
            D::SignerRefused => Self::Signer,
            D::KeyUnknown | D::KeyMismatch => Self::Key,
            D::SignatureInvalid => Self::Signature,
            D::ClaimsMalformed => Self::ClaimsForm,
            D::IssuerMismatch => Self::Issuer,
            D::AudienceMismatch => Self::Audience,
            D::ExpiryMissing | D::TokenExpired => Self::Expiry,
            D::TokenNotYetValid => Self::NotBefore,
            D::TokenIssuedInFuture => Self::IssuedAt,
            D::LifetimeTooLong => Self::Lifetime,
            D::SubjectMissing => Self::Subject,
            D::SubjectRefused => Self::SubjectDomain,
            D::JtiMissing => Self::TokenId,
            D::TokenDenied => Self::TokenAllowed,
            D::IssuerNotForPeer => Self::Pair,
            D::SenderMissing | D::SenderMismatch | D::SenderUnsupported => Self::Sender,
            D::RoutePeerRefused => Self::RoutePeer,
            D::RouteIssuerRefused => Self::RouteIssuer,
            D::ScopeMissing => Self::Scope,
            D::ClaimUnmet => Self::Claims,
            D::TokenUsed | D::SingleUseFull => Self::Use,
            D::IdentityUnforwardable => Self::Identity,
            D::HandshakeTooSlow
            | D::HandshakeFailed
            | D::ConnectionLimit
            | D::PeerConnectionLimit
            | D::HeaderTooSlow
            | D::RequestTooSlow
            | D::RequestLimit
            | D::UpstreamUnavailable
            | D::UpstreamFailed
            | D::UpstreamTooSlow => return None,
        })
    }

    /// The stable name of the check.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.described().0
    }

    /// What it asks, for people.
    #[must_use]
    pub const fn question(self) -> &'static str {
        self.described().1
    }

    /// The stage that it belongs to.
    #[must_use]
    pub const fn stage(self) -> Stage {
        self.described().2
    }

    const fn described(self) -> (&'static str, &'static str, Stage) {
        use Stage as S;
        match self {
            Self::Certificate => ("certificate", "a client certificate came", S::Tls),
            Self::Chain => ("chain", "it is good: CA, dates, CRL, purpose", S::Tls),
            Self::CertificateAllowed => (
                "certificate_allowed",
                "the deny list does not name it",
                S::Tls,
            ),
            Self::Peer => ("peer", "one [[peer]] lists it", S::Tls),
            Self::Message => ("message", "the request has one reading", S::Request),
            Self::Path => ("path", "the path has one reading", S::Request),
            Self::Route => ("route", "a route is for it", S::Route),
            Self::TokenFound => ("token_found", "there is one token", S::Token),
            Self::TokenLength => ("token_length", "it is not too long", S::Token),
            Self::TokenForm => ("token_form", "it has the form of a signed JWT", S::Token),
            Self::IssuerKnown => ("issuer_known", "its issuer is known", S::Token),
            Self::Keys => ("keys", "the issuer's keys are there", S::Token),
            Self::TokenHeader => ("token_header", "nothing in its header is refused", S::Token),
            Self::Algorithm => ("algorithm", "alg is on the issuer's list", S::Token),
            Self::TokenType => ("token_type", "typ is on the issuer's list", S::Token),
            Self::Signer => ("signer", "its load balancer is ours", S::Token),
            Self::Key => ("key", "kid names a key that fits", S::Token),
            Self::Signature => ("signature", "the signature holds", S::Token),
            Self::ClaimsForm => ("claims_form", "the claims have one reading", S::Claims),
            Self::Issuer => ("iss", "iss is the issuer's", S::Claims),
            Self::Audience => ("aud", "aud names this service", S::Claims),
            Self::Expiry => ("exp", "exp has not passed", S::Claims),
            Self::NotBefore => ("nbf", "nbf has come", S::Claims),
            Self::IssuedAt => ("iat", "iat is not in the future", S::Claims),
            Self::Lifetime => ("lifetime", "it does not live too long", S::Claims),
            Self::Subject => ("sub", "sub says for whom", S::Claims),
            Self::SubjectDomain => ("sub_domain", "sub is of the trust domain", S::Claims),
            Self::TokenId => ("jti", "it has a jti where it may pass once", S::Claims),
            Self::TokenAllowed => (
                "token_allowed",
                "the deny list does not name the token",
                S::Claims,
            ),
            Self::Pair => ("pair", "this peer may bring its tokens", S::Pair),
            Self::Sender => ("sender", "it came from whom it is bound to", S::Pair),
            Self::RoutePeer => ("route_peer", "the route is for this peer", S::Route),
            Self::RouteIssuer => ("route_issuer", "the route is for its issuer", S::Route),
            Self::Scope => (
                "scope",
                "it has the scopes that the route asks for",
                S::Route,
            ),
            Self::Claims => ("claims", "its claims are what the route asks for", S::Route),
            Self::Use => ("use", "it was not used before", S::Use),
            Self::Identity => ("identity", "the identity fits into headers", S::Forward),
        }
    }

    /// Whether it has nothing to look at where no token is asked for.
    pub(super) const fn is_about_tokens(self) -> bool {
        match self.stage() {
            Stage::Token | Stage::Claims | Stage::Pair | Stage::Use => true,
            Stage::Route => matches!(self, Self::RouteIssuer | Self::Scope | Self::Claims),
            Stage::Tls | Stage::Request | Stage::Forward => false,
        }
    }

    /// Its place in the order.
    pub(super) fn place(self) -> usize {
        Self::ALL
            .iter()
            .position(|check| *check == self)
            .unwrap_or(Self::ALL.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_in_the_table_once_and_in_the_order_of_its_reasons() {
        let mut last = 0;
        for denial in Denial::ALL {
            let Some(check) = Check::of(*denial) else {
                continue;
            };
            assert!(check.place() < Check::ALL.len(), "{denial:?}");
            assert_eq!(check.stage(), denial.stage(), "{denial:?}");
            // Of the stage `token` the form comes before the header and the keys before both, while
            // their reasons stand in the order in which people think of them.
            if denial.stage() != Stage::Token {
                assert!(check.place() >= last, "{denial:?}");
                last = check.place();
            }
        }
        let mut codes: Vec<&str> = Check::ALL.iter().map(|check| check.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Check::ALL.len());
    }
}
