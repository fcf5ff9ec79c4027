//! The last check of all: a token that may pass once is marked as used.
//!
//! It comes after what later stages ask, for a refused request must not use its token up. So `check`
//! gives an [`Unspent`], and only [`Spending`] makes a [`Principal`] of it: nobody can forget. What
//! fails after that has used it up: an identity that cannot be told, which no second try would mend,
//! and everything that becomes of the upstream.

use super::policy::Policy;
use super::single_use::{Maker, Use};
use super::{Checker, Principal, Refusal, Verification};
use crate::accept::ConnectionId;
use crate::model::{Denial, Timestamp};

/// A principal whose token passed every check but the last: that it was not used before.
#[derive(Debug)]
pub struct Unspent(Principal);

/// What the last check needs.
#[derive(Clone, Copy, Debug)]
pub struct Spending<'a> {
    /// Where used tokens are remembered.
    pub checker: &'a Checker,
    /// What the token was judged by.
    pub policy: &'a Policy,
    /// The connection that the request came on: there may be a grace for its retries.
    pub on: ConnectionId,
    /// The time of the judgement.
    pub now: Timestamp,
    /// Whether there is room to pass the request on.
    pub room: bool,
}

impl Unspent {
    pub(super) fn new(principal: Principal) -> Self {
        Self(principal)
    }

    /// Whether the signature was computed for this request.
    #[must_use]
    pub fn verification(&self) -> Verification {
        self.0.verification
    }

    /// For what stands between the checks and the last of them.
    pub(crate) fn principal(&self) -> &Principal {
        &self.0
    }
}

impl Spending<'_> {
    /// Lets a token of an issuer with `single_use` pass once, and every other one always.
    ///
    /// # Errors
    ///
    /// [`Refusal`], of the stage `use`; and [`Denial::RequestLimit`], which must not use up what the
    /// caller is asked to send again.
    pub fn spend(self, unspent: Unspent) -> Result<Principal, Refusal> {
        let Unspent(principal) = unspent;
        let refused = |denial| principal.refused(denial);
        let issuer = self.policy.issuer(principal.issuer);
        let issuer = issuer.ok_or_else(|| refused(Denial::IssuerUnknown))?;
        let Some(rule) = issuer.rules.single_use() else {
            return Ok(principal);
        };
        // SECURITY: guarded by `a_request_for_which_there_is_no_room_does_not_use_its_token_up`.
        if !self.room {
            return Err(refused(Denial::RequestLimit));
        }
        let claims = principal.claims();
        let (Some(id), Some(expires)) = (claims.id(), claims.expires()) else {
            return Err(refused(Denial::JtiMissing));
        };
        let one = Use {
            issuer: principal.issuer_name(),
            // Some kinds of token need no `iss`, but have a `sub` then.
            maker: claims.issuer().map_or_else(
                || Maker::Subject(claims.subject().unwrap_or_default()),
                Maker::Issuer,
            ),
            id,
            expires,
            leeway: issuer.rules.leeway(),
            on: self.on,
            now: self.now,
        };
        match self.checker.used.mark(rule, one) {
            Ok(()) => Ok(principal),
            Err(denial) => Err(refused(denial)),
        }
    }
}
