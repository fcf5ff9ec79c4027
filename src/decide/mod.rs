//! 4. What was proven becomes a [`Permit`], or a [`Denial`].
//!
//! First, before any token is looked for: which path is this, and which route is for it? Later, with
//! a peer and perhaps a principal in hand: do they have what the route asks for? The types hold the
//! halves together: a [`TokenWay`] gives a permit for a [`Principal`] only, and only a route that
//! says `require = "peer"` makes a [`PeerWay`]. `forward` takes nothing but a permit.

mod condition;
mod index;
mod report;
mod route;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::Request;
use http::uri::PathAndQuery;

use self::report::Report;
use self::route::{Route, Routes};
use self::target::Asked;
use crate::accept::Peer;
use crate::check::{Leave, Principal, Refusal, Spending, Unspent};
use crate::model::Denial;
use crate::settings::{PathSettings, Requirement, Settings};

/// Who may do what.
#[derive(Debug)]
pub struct Policy {
    paths: PathSettings,
    routes: Option<Routes>,
}

/// What a request needs, by its path.
#[derive(Debug)]
pub enum Way {
    /// A listed peer and a good token.
    Token(TokenWay),
    /// A listed peer alone: a route says so in so many words.
    Peer(PeerWay),
}

/// A request that needs a token, on its way to a permit.
#[derive(Debug)]
#[must_use]
pub struct TokenWay(Box<Goal>);

/// A request that needs no token, on its way to a permit.
#[derive(Debug)]
#[must_use]
pub struct PeerWay(Box<Goal>);

/// Boxed wherever it is, for it goes through many hands.
#[derive(Clone, Debug)]
struct Goal {
    asked: Asked,
    target: PathAndQuery,
    route: Option<Arc<Route>>,
}

/// The proof that a request was judged: by whom it came, for whom, and where it may go.
#[derive(Clone, Debug)]
pub struct Permit {
    peer: Peer,
    principal: Option<Principal>,
    goal: Box<Goal>,
    report: Option<Report>,
}

// === impl Policy ===

impl Policy {
    /// The policy of the settings.
    #[must_use]
    pub fn build(settings: &Settings) -> Self {
        Self {
            paths: settings.paths,
            routes: Routes::build(settings),
        }
    }

    /// Judges the path of a request whose head is sound, and finds its route.
    ///
    /// # Errors
    ///
    /// [`Denial::PathAmbiguous`], [`Denial::RouteUnmatched`]; and [`Denial::RequestMalformed`] for a
    /// host that could be spelled otherwise, where a route looks at hosts.
    pub fn choose<B>(&self, request: &Request<B>) -> Result<Way, Denial> {
        self.find(Asked::of(request))
    }

    /// Judges once more what was allowed under an earlier edition or at an earlier time: `peer`,
    /// `principal` and `leave` as they are now. For streams that are still open; costs one search and
    /// no signature.
    ///
    /// # Errors
    ///
    /// What [`Policy::choose`] and [`TokenWay::permit`] would say; where the route needs a token by
    /// now and there never was a good one, [`Denial::TokenMissing`] or what was reported then.
    pub fn judge_again(
        &self,
        permit: &Permit,
        peer: &Peer,
        principal: Option<&Principal>,
        leave: Option<Leave>,
    ) -> Result<(), Denial> {
        match (self.find(permit.goal.asked.clone())?, principal) {
            (Way::Token(TokenWay(goal)), None) => {
                let denial = permit.reported().unwrap_or(Denial::TokenMissing);
                goal.report(peer, denial, leave).map(drop)
            }
            (Way::Token(TokenWay(goal)), Some(principal)) => {
                goal.judge_or_report(peer, Some(principal)).map(drop)
            }
            (Way::Peer(PeerWay(goal)), _) => goal.judge_or_report(peer, None).map(drop),
        }
    }

    fn find(&self, asked: Asked) -> Result<Way, Denial> {
        let target = asked.target(self.paths)?;
        let route = match &self.routes {
            Some(routes) => Some(Arc::clone(routes.find(target.path(), &asked)?)),
            None => None,
        };
        let require = route.as_ref().map(|route| route.require);
        let goal = Box::new(Goal {
            asked,
            target,
            route,
        });
        Ok(match require {
            Some(Requirement::Peer) => Way::Peer(PeerWay(goal)),
            Some(Requirement::Token) | None => Way::Token(TokenWay(goal)),
        })
    }
}

// === impl Way ===

impl Way {
    /// What the configuration calls the route; `None` where it has no routes.
    #[must_use]
    pub fn route(&self) -> Option<&Arc<str>> {
        let (Self::Token(TokenWay(goal)) | Self::Peer(PeerWay(goal))) = self;
        goal.route.as_ref().map(|route| &route.name)
    }
}

impl TokenWay {
    /// Allows the request of whoever brought this token through `peer`, if the route does, and if it
    /// was not used before where it must not have been.
    ///
    /// # Errors
    ///
    /// The second half of the stage `route` of [`Denial`], and the stage `use`; unless that is only to
    /// be reported.
    pub fn permit(
        self,
        peer: Peer,
        unspent: Unspent,
        last: Spending<'_>,
    ) -> Result<Permit, Refusal> {
        let principal = unspent.principal();
        if let Err(denial) = self.0.judge(&peer, Some(principal)) {
            let principal = principal.clone();
            return self.report_route(peer, &principal, denial);
        }
        // SECURITY: last, so that a refused request does not use its token up. Guarded by
        // `a_request_that_its_route_refuses_does_not_use_its_token_up`.
        let principal = match last.spend(unspent) {
            Ok(principal) => principal,
            Err(refusal) => {
                let leave = last.policy.leave_of(&refusal, &peer);
                return self.report(peer, refusal, leave);
            }
        };
        Ok(Permit {
            peer,
            principal: Some(principal),
            goal: self.0,
            report: None,
        })
    }
}

impl PeerWay {
    /// Allows the request of `peer`, if the route does.
    ///
    /// # Errors
    ///
    /// [`Denial::RoutePeerRefused`]
    pub fn permit(self, peer: Peer) -> Result<Permit, Denial> {
        let report = self.0.judge_or_report(&peer, None)?;
        Ok(Permit {
            peer,
            principal: None,
            goal: self.0,
            report,
        })
    }
}

impl Goal {
    // SECURITY: guarded by `the_decision_is_the_oracles_in_every_row`.
    fn judge(&self, peer: &Peer, principal: Option<&Principal>) -> Result<(), Denial> {
        let Some(route) = &self.route else {
            return Ok(());
        };
        route.admit(peer)?;
        match principal {
            Some(principal) => route.satisfied_by(principal),
            None => Ok(()),
        }
    }
}

// === impl Permit ===

impl Permit {
    /// By whom the request came.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// For whom it speaks; `None` on a route that asks for no token.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// Where it goes: the path that was judged, with its query.
    #[must_use]
    pub fn target(&self) -> &PathAndQuery {
        &self.goal.target
    }

    /// What the configuration calls its route; `None` where it has no routes.
    #[must_use]
    pub fn route(&self) -> Option<&Arc<str>> {
        self.goal.route.as_ref().map(|route| &route.name)
    }
}
