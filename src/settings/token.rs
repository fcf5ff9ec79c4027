//! What the tokens of an issuer say and look like, typed: who made them, for whom, in which form,
//! of which kind, and to which sender they are bound.
//!
//! Each is a closed choice, so that a rule which was not written is a rule and not a gap.

use std::time::Duration;

use std::fmt;

use super::defaults;
use crate::model::TrustDomain;

/// Who a token says has made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Maker {
    /// `issuer`: the whole `iss` claim.
    Issuer(String),
    /// `trust_domain`: `sub` is a SPIFFE ID of this trust domain (JWT-SVID 3.1), whose bundle holds
    /// the keys. `iss`, which no JWT-SVID needs, is looked at only where `issuer` is written too.
    TrustDomain(TrustDomain, Option<String>),
}

/// For whom a token must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AudienceRule {
    /// `aud` holds at least one of these; at least one.
    OneOf(Vec<String>),
    /// `audience = "absent"`, for a shared secret only: there is no `aud`, for the secret itself
    /// says who the two are. A token that has one is for somebody else.
    Absent,
}

/// How a token is written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenForm {
    /// A compact JWS (RFC 7515 7.1) with a claims set (RFC 7519).
    Jwt,
    /// What an AWS Application Load Balancer writes: base64url *with* padding, `iss`, `exp` and the
    /// audience (`client`) in the JOSE header, and beside them the `signer`: the load balancer's
    /// ARN, one of these. AWS signs for every customer with the same keys.
    AwsAlb(Vec<String>),
}

/// Which kinds of token are meant, by the `typ` of the JOSE header (RFC 8725 3.11).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TypeRule {
    /// Media types without `application/`.
    types: Vec<String>,
    /// Whether the header may have no `typ`.
    absent: bool,
}

/// Whether a token must be bound to its sender (RFC 8705 3). A binding that is there is enforced
/// always.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SenderRule {
    /// `sender_constrained = "if-bound"`
    IfBound,
    /// `sender_constrained = "required"`
    Required,
}

/// In which field a peer hands over the certificate of the client behind it, to which tokens are
/// then bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandsOver {
    /// `Client-Cert` (RFC 9440).
    ClientCert,
    /// `X-Forwarded-Client-Cert`, as Envoy writes it.
    Xfcc(XfccElement),
}

/// Which element of `X-Forwarded-Client-Cert` counts: every hop may add one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum XfccElement {
    /// There is one; more are refused.
    Only,
    /// The one nearest to the end client. Good only where every hop before the peer is trusted.
    First,
    /// The one that the peer itself has added.
    Last,
}

/// What a refusal does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enforcement {
    /// `enforce = "refuse"`
    Refuse,
    /// `enforce = "report"`: it is logged and counted, and the request goes on.
    Report,
}

/// A token passes once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SingleUseSettings {
    /// `remember`: how many used tokens at most.
    pub remember: usize,
    /// `when_full`
    pub when_full: WhenFull,
    /// `retry_grace`: in whole seconds.
    pub retry_grace: Duration,
}

/// What becomes of a token that there is no room to remember.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// The one that ends first is forgotten, and could pass again.
    ForgetOldest,
}

/// A header name, or all names that start so: `x-pomerium-claim-*`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderPattern {
    /// This name, and its twins that differ only in `-` and `_`.
    Name(String),
    /// Every name with this start, and their twins.
    Prefix(String),
}

/// The word for a member that is not there, in `typ` and `audience`.
pub(super) const ABSENT: &str = "absent";

// === impl Maker ===

impl Maker {
    /// The `iss` that tokens must have, if any.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        match self {
            Self::Issuer(issuer) => Some(issuer),
            Self::TrustDomain(_, issuer) => issuer.as_deref(),
        }
    }

    /// Whether one token could be of both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Issuer(one), Self::Issuer(two)) => one == two,
            (Self::TrustDomain(one, first), Self::TrustDomain(two, second)) => {
                one == two && (first.is_none() || second.is_none() || first == second)
            }
            // Told apart by `iss` where both name one. Where the trust domain names none, the whole
            // `iss` wins.
            (Self::Issuer(issuer), Self::TrustDomain(_, also))
            | (Self::TrustDomain(_, also), Self::Issuer(issuer)) => also.as_ref() == Some(issuer),
        }
    }
}

// === impl TypeRule ===

/// What `typ` is where it is not written.
impl Default for TypeRule {
    fn default() -> Self {
        Self::new(defaults::TYPES.map(str::to_owned))
    }
}

impl TypeRule {
    pub(crate) fn new(words: impl IntoIterator<Item = String>) -> Self {
        let (absent, types): (Vec<String>, Vec<String>) =
            words.into_iter().partition(|word| word == ABSENT);
        let types = types.iter().map(|typ| bare(typ).to_owned()).collect();
        Self {
            types,
            absent: !absent.is_empty(),
        }
    }

    /// Whether a token with this `typ` is of a kind that is meant. Media types are compared without
    /// regard to case, and with or without `application/` (RFC 7515 4.1.9).
    #[must_use]
    pub fn admits(&self, typ: Option<&str>) -> bool {
        let Some(typ) = typ else {
            return self.absent;
        };
        let typ = bare(typ);
        self.types.iter().any(|one| one.eq_ignore_ascii_case(typ))
    }
}

impl fmt::Display for TypeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let absent = self.absent.then_some(ABSENT);
        let words: Vec<&str> = self
            .types
            .iter()
            .map(String::as_str)
            .chain(absent)
            .collect();
        f.write_str(&words.join(", "))
    }
}

/// The media type without `application/`, which may be left out where no other slash follows.
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_the_same_in_any_case_and_with_or_without_application() {
        let rule = TypeRule::new(["at+jwt".to_owned(), "application/JWT".to_owned()]);
        for typ in [
            "at+jwt",
            "AT+JWT",
            "application/at+jwt",
            "Application/AT+jwt",
            "jwt",
        ] {
            assert!(rule.admits(Some(typ)), "{typ}");
        }
        for typ in [
            "",
            "jw",
            "jwtx",
            "at+jwt ",
            "logout+jwt",
            "text/jwt",
            "application/x/jwt",
            "absent",
        ] {
            assert!(!rule.admits(Some(typ)), "{typ}");
        }
        assert!(!rule.admits(None));
        assert!(TypeRule::new(["absent".to_owned()]).admits(None));
        assert!(!TypeRule::new(["absent".to_owned()]).admits(Some("absent")));
    }

    #[test]
    fn makers_overlap_where_one_token_could_be_of_both() {
        let issuer = |text: &str| Maker::Issuer(text.to_owned());
        let domain = |name: &str, issuer: Option<&str>| {
            Maker::TrustDomain(TrustDomain::parse(name).unwrap(), issuer.map(str::to_owned))
        };
        for (one, other, overlap) in [
            (issuer("a"), issuer("a"), true),
            (issuer("a"), issuer("b"), false),
            (domain("d", None), domain("d", Some("a")), true),
            (domain("d", Some("a")), domain("d", Some("b")), false),
            (domain("d", None), domain("e", None), false),
            (issuer("a"), domain("d", Some("a")), true),
            (issuer("a"), domain("d", None), false),
        ] {
            assert_eq!(one.overlaps(&other), overlap, "{one:?} {other:?}");
            assert_eq!(other.overlaps(&one), overlap, "{one:?} {other:?}");
        }
    }
}
