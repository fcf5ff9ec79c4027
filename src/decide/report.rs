//! Report mode: what would be refused is let through where the configuration says so, and only there.
//!
//! A permit of this kind is made of a refusal together with what lets it pass: a route that says
//! `enforce = "report"`, or the [`Leave`] that `check` gives for watched issuers. It carries the reason
//! with it, so that it cannot pass for an allowed request; and no principal, unless one was proven.

use super::{Goal, PeerWay, Permit, Policy, TokenWay, Way};
use crate::accept::Peer;
use crate::check::{Leave, Principal, Refusal};
use crate::model::Denial;
use crate::settings::Enforcement;

/// Why a request was not refused for its reason. Only this file makes one.
#[derive(Clone, Debug)]
pub(super) struct Report {
    denial: Denial,
    leave: Option<Leave>,
}

impl TokenWay {
    /// Lets a request pass whose token was refused, if its route is only watched; or if its issuer is,
    /// and the route asks no more of a token than to be good.
    ///
    /// # Errors
    ///
    /// The refusal, everywhere else.
    pub fn report(
        self,
        peer: Peer,
        refusal: Refusal,
        leave: Option<Leave>,
    ) -> Result<Permit, Refusal> {
        match self.0.report(&peer, refusal.denial, leave) {
            Ok(report) => Ok(Permit {
                peer,
                principal: None,
                goal: self.0,
                report: Some(report),
            }),
            Err(_) => Err(refusal),
        }
    }

    /// The same where the route refused whom a good token speaks for. A request that would be refused
    /// does not use its token up.
    pub(super) fn report_route(
        self,
        peer: Peer,
        principal: &Principal,
        denial: Denial,
    ) -> Result<Permit, Refusal> {
        match self.0.report(&peer, denial, None) {
            Ok(report) => Ok(Permit {
                peer,
                principal: Some(principal.clone()),
                goal: self.0,
                report: Some(report),
            }),
            Err(denial) => Err(principal.refused(denial)),
        }
    }
}

impl Policy {
    /// Whether what began with a good token, which was refused by now, may go on all the same.
    #[must_use]
    pub fn report_again(
        &self,
        permit: &Permit,
        peer: &Peer,
        refusal: &Refusal,
        leave: Option<Leave>,
    ) -> bool {
        match self.find(permit.goal.asked.clone()) {
            Ok(Way::Token(TokenWay(goal))) => goal.report(peer, refusal.denial, leave).is_ok(),
            // SECURITY: it needs no token by now, and its peer may still be none of the route's. Guarded
            // by `what_lost_its_token_goes_on_where_none_is_needed_for_peers_that_are_let_in_there`.
            Ok(Way::Peer(PeerWay(goal))) => goal.judge_or_report(peer, None).is_ok(),
            Err(_) => false,
        }
    }
}

impl Permit {
    /// The reason for which the request would have been refused, were it not only watched.
    #[must_use]
    pub fn reported(&self) -> Option<Denial> {
        self.report.as_ref().map(|report| report.denial)
    }

    /// The leave by which its token passed.
    #[must_use]
    pub fn leave(&self) -> Option<&Leave> {
        self.report.as_ref()?.leave.as_ref()
    }
}

impl Goal {
    /// What the route says of the pair; where it is only watched, what it would say.
    pub(super) fn judge_or_report(
        &self,
        peer: &Peer,
        principal: Option<&Principal>,
    ) -> Result<Option<Report>, Denial> {
        match self.judge(peer, principal) {
            Ok(()) => Ok(None),
            Err(denial) => self.report(peer, denial, None).map(Some),
        }
    }

    // SECURITY: guarded by `a_route_that_asks_more_is_not_opened_by_a_watched_issuer` and
    // `report_mode_lets_no_broken_message_through`.
    pub(super) fn report(
        &self,
        peer: &Peer,
        denial: Denial,
        leave: Option<Leave>,
    ) -> Result<Report, Denial> {
        if !denial.can_be_reported() {
            return Err(denial);
        }
        let Some(route) = &self.route else {
            return match leave {
                Some(_) => Ok(Report { denial, leave }),
                None => Err(denial),
            };
        };
        let by_issuer = leave.is_some() && !route.asks_more() && route.admit(peer).is_ok();
        if route.enforcement == Enforcement::Report || by_issuer {
            Ok(Report { denial, leave })
        } else {
            Err(denial)
        }
    }
}
