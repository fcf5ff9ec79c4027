//! What the claims of an issuer's tokens must be.
//!
//! The order is fixed, because the first rule that fails names the reason: who made the token, for
//! whom, when, for how long, about whom. Which sender a token is bound to is judged last, with the peer
//! in hand. Time comes in as an argument; no sum can overflow.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::claims::Claims;
use super::header::Peeked;
use crate::model::{Denial, Timestamp};
use crate::settings::{
    AudienceRule, IssuerSettings, Maker, SenderRule, SingleUseSettings, SubjectRule,
};

/// The SHA-256 of a certificate in DER, base64url without padding (RFC 8705 3.1).
const THUMBPRINT: &str = "x5t#S256";

/// By what a token claims to be an issuer's. A whole `iss` says more than a trust domain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Claim {
    Issuer,
    TrustDomain,
}

/// The rules of one issuer.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    maker: Maker,
    audience: AudienceRule,
    leeway: Duration,
    stream_grace: Duration,
    single_use: Option<SingleUseSettings>,
    max_lifetime: Duration,
    subject: SubjectRule,
    sender: SenderRule,
}

impl Rules {
    pub(super) fn build(settings: &IssuerSettings) -> Self {
        Self {
            maker: settings.maker.clone(),
            audience: settings.audience.clone(),
            leeway: settings.leeway,
            stream_grace: settings.stream_grace,
            single_use: settings.single_use,
            max_lifetime: settings.max_lifetime,
            subject: settings.subject,
            sender: settings.sender,
        }
    }

    /// Whether a token that says this of itself, unverified, would be one of the issuer's.
    pub(super) fn claimed_by(&self, peeked: &Peeked) -> Option<Claim> {
        let issuer = peeked.issuer.as_deref();
        match &self.maker {
            Maker::Issuer(ours) => (issuer == Some(ours)).then_some(Claim::Issuer),
            Maker::TrustDomain(domain, ours) => {
                let named = ours.is_none() || issuer == ours.as_deref();
                let subject = peeked.subject.as_deref();
                let holds = named && subject.is_some_and(|id| domain.holds(id));
                holds.then_some(Claim::TrustDomain)
            }
        }
    }

    /// What a token says that may be one of the issuer's: its `iss`, or the name of its trust domain.
    pub(super) fn said(&self) -> &str {
        match &self.maker {
            Maker::Issuer(issuer) => issuer,
            Maker::TrustDomain(domain, _) => domain.name(),
        }
    }

    /// How a token passes once, if it does.
    pub(super) fn single_use(&self) -> Option<&SingleUseSettings> {
        self.single_use.as_ref()
    }

    /// For how long after `exp` a token passes.
    pub(super) fn leeway(&self) -> Duration {
        self.leeway
    }

    /// Judges the claims at the time `now`.
    ///
    /// # Errors
    ///
    /// The stage `claims` of [`Denial`], in the order of its variants.
    pub(super) fn judge(&self, claims: &Claims, now: Timestamp) -> Result<(), Denial> {
        self.judge_with(Duration::ZERO, claims, now)
    }

    /// Judges the claims that something was begun with and that is still running, at the time `now`.
    /// Says how long they hold if nothing changes.
    ///
    /// # Errors
    ///
    /// As [`Rules::judge`].
    pub(super) fn judge_again(&self, claims: &Claims, now: Timestamp) -> Result<Duration, Denial> {
        self.judge_with(self.stream_grace, claims, now)?;
        let expires = claims.expires().ok_or(Denial::ExpiryMissing)?;
        Ok(expires.plus(self.leeway).plus(self.stream_grace).since(now))
    }

    fn judge_with(&self, grace: Duration, claims: &Claims, now: Timestamp) -> Result<(), Denial> {
        let ours = self.maker.issuer();
        if ours.is_some() && claims.issuer() != ours {
            return Err(Denial::IssuerMismatch);
        }
        let meant = match &self.audience {
            AudienceRule::OneOf(names) => claims
                .audience()
                .any(|name| names.iter().any(|ours| ours == name)),
            AudienceRule::Absent => !claims.has("aud"),
        };
        if !meant {
            return Err(Denial::AudienceMismatch);
        }
        self.judge_time(grace, claims, now)?;
        let subject = claims.subject().filter(|subject| !subject.is_empty());
        // SECURITY: guarded by `a_workload_of_another_trust_domain_is_refused`.
        if let Maker::TrustDomain(domain, _) = &self.maker {
            let subject = subject.ok_or(Denial::SubjectMissing)?;
            if !domain.holds(subject) {
                return Err(Denial::SubjectRefused);
            }
        }
        match self.subject {
            SubjectRule::Required if subject.is_none() => return Err(Denial::SubjectMissing),
            SubjectRule::Required | SubjectRule::MayBeEmpty => {}
        }
        let numbered = claims.id().is_some_and(|id| !id.is_empty());
        if self.single_use.is_some() && !numbered {
            return Err(Denial::JtiMissing);
        }
        Ok(())
    }

    /// Judges whether a token may come from the holder of the certificate with this SHA-256 (RFC 8705
    /// 3.1). Asked anew for every request: one token may come from many.
    ///
    /// # Errors
    ///
    /// [`Denial::SenderMissing`], [`Denial::SenderMismatch`], [`Denial::SenderUnsupported`], and
    /// [`Denial::ClaimsMalformed`] for a `cnf` that is none.
    pub(super) fn judge_sender(
        &self,
        claims: &Claims,
        sender: Option<&[u8; 32]>,
    ) -> Result<(), Denial> {
        let Some(cnf) = claims.confirmation() else {
            return match self.sender {
                SenderRule::Required => Err(Denial::SenderMissing),
                SenderRule::IfBound => Ok(()),
            };
        };
        let cnf = cnf.as_object().ok_or(Denial::ClaimsMalformed)?;
        // SECURITY: whoever bound the token to something else meant it to be checked. Guarded by
        // `a_binding_that_cannot_be_checked_is_refused`.
        if cnf.keys().any(|name| name != THUMBPRINT) {
            return Err(Denial::SenderUnsupported);
        }
        let bound = cnf.get(THUMBPRINT).ok_or(Denial::SenderUnsupported)?;
        let bound = bound.as_str().ok_or(Denial::ClaimsMalformed)?;
        let sender = sender.ok_or(Denial::SenderMissing)?;
        // SECURITY: guarded by `a_stolen_bound_token_is_worth_nothing_to_another_peer`.
        if URL_SAFE_NO_PAD.encode(sender) == bound {
            Ok(())
        } else {
            Err(Denial::SenderMismatch)
        }
    }

    fn judge_time(&self, grace: Duration, claims: &Claims, now: Timestamp) -> Result<(), Denial> {
        let expires = claims.expires().ok_or(Denial::ExpiryMissing)?;
        // RFC 7519 4.1.4: on or after `exp` is too late.
        if now >= expires.plus(self.leeway).plus(grace) {
            return Err(Denial::TokenExpired);
        }
        let latest = now.plus(self.leeway);
        if claims.not_before().is_some_and(|start| start > latest) {
            return Err(Denial::TokenNotYetValid);
        }
        if claims.issued().is_some_and(|issued| issued > latest) {
            return Err(Denial::TokenIssuedInFuture);
        }
        // Without `iat` the token's age is unknown; what is left of its life must fit then.
        let too_long = match claims.issued() {
            Some(issued) => expires.since(issued) > self.max_lifetime,
            None => expires > now.plus(self.max_lifetime).plus(self.leeway),
        };
        if too_long {
            return Err(Denial::LifetimeTooLong);
        }
        Ok(())
    }
}
