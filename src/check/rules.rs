//! What the claims of an issuer's tokens must be.
//!
//! The order is fixed, because the first rule that fails names the reason: who made the token, for
//! whom, when, for how long, about whom. Time comes in as an argument; no sum can overflow.

use std::time::Duration;

use super::claims::Claims;
use crate::model::{Denial, Timestamp};
use crate::settings::{IssuerSettings, SubjectRule};

/// The rules of one issuer.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    issuer: String,
    audience: Vec<String>,
    leeway: Duration,
    max_lifetime: Duration,
    subject: SubjectRule,
}

impl Rules {
    pub(super) fn build(settings: &IssuerSettings) -> Self {
        Self {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            leeway: settings.leeway,
            max_lifetime: settings.max_lifetime,
            subject: settings.subject,
        }
    }

    /// Whether this is the whole `iss` of the issuer's tokens.
    pub(super) fn made_by(&self, issuer: &str) -> bool {
        self.issuer == issuer
    }

    /// Judges the claims at the time `now`.
    ///
    /// # Errors
    ///
    /// The stage `claims` of [`Denial`], in the order of its variants.
    pub(super) fn judge(&self, claims: &Claims, now: Timestamp) -> Result<(), Denial> {
        if !claims.issuer().is_some_and(|issuer| self.made_by(issuer)) {
            return Err(Denial::IssuerMismatch);
        }
        let ours = |name: &str| self.audience.iter().any(|audience| audience == name);
        if !claims.audience().any(ours) {
            return Err(Denial::AudienceMismatch);
        }
        self.judge_time(claims, now)?;
        let named = claims.subject().is_some_and(|subject| !subject.is_empty());
        match self.subject {
            SubjectRule::Required if !named => Err(Denial::SubjectMissing),
            SubjectRule::Required | SubjectRule::MayBeEmpty => Ok(()),
        }
    }

    fn judge_time(&self, claims: &Claims, now: Timestamp) -> Result<(), Denial> {
        let expires = claims.expires().ok_or(Denial::ExpiryMissing)?;
        // RFC 7519 4.1.4: on or after `exp` is too late.
        if now >= expires.plus(self.leeway) {
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
