//! The decision about one request, from its head to a [`Permit`] or a [`Denial`].
//!
//! The gate runs it on requests from the wire, `explain` on a request that somebody asks about: one
//! code, so that both say the same. Reads no clock for the verdict and sends nothing.

use std::sync::Arc;

use http::Request;
use tokio::time::Instant;

use super::Policy;
use crate::accept::{ConnectionId, Peer, message};
use crate::check::{Checker, MissingKey, Refusal, Spending, Unspent, Verification};
use crate::decide::{Permit, Way};
use crate::model::{Denial, Timestamp};
use crate::observe::{Known, Metrics};
use crate::reload::Edition;
use crate::revocation::Line;
use crate::settings::LimitSettings;

/// Decides about requests of proven peers.
#[derive(Debug)]
pub struct Judge {
    checker: Checker,
    limits: LimitSettings,
    metrics: Arc<Metrics>,
}

/// What came of a judgement.
#[derive(Debug)]
pub struct Judged {
    /// A permit, or the reason why not.
    pub verdict: Result<Permit, Denial>,
    /// The key that may be fetched, and then there is another judgement.
    pub missing: Option<MissingKey>,
}

impl From<Result<Permit, Denial>> for Judged {
    fn from(verdict: Result<Permit, Denial>) -> Self {
        Self {
            verdict,
            missing: None,
        }
    }
}

impl Judged {
    /// The same, where no key could be fetched: that is nobody's fault but ours. What is only watched
    /// goes on, and another reason stands.
    #[must_use]
    pub fn without_keys(self) -> Self {
        let verdict = self.verdict.map_err(|denial| match self.missing {
            Some(_) => Denial::KeysUnavailable,
            None => denial,
        });
        verdict.into()
    }
}

impl Judge {
    /// A judge who remembers no token yet.
    #[must_use]
    pub fn new(limits: &LimitSettings, metrics: Arc<Metrics>) -> Self {
        Self {
            checker: Checker::new(limits),
            limits: limits.clone(),
            metrics,
        }
    }

    /// The decision about what a peer sent on a connection: message, route, token, pair, what the
    /// route asks of the pair, and the one use of a token. The first reason in this order counts. What
    /// becomes known on the way is noted in `known`, whatever comes of it. Where there is no `room` to
    /// pass a request on, no token is used up.
    pub fn judge<B>(
        &self,
        request: &Request<B>,
        policy: &Edition<Policy>,
        (peer, on): (Peer, ConnectionId),
        (now, room): (Timestamp, bool),
        known: &mut Known,
    ) -> Judged {
        let checked = message::check(request, &self.limits)
            .and_then(|()| peer.speaking_in(request.headers()))
            .and_then(|peer| Ok((peer, policy.value.routes.choose(request)?)));
        let (peer, way) = match checked {
            Ok(checked) => checked,
            Err(denial) => return Err(denial).into(),
        };
        known.route = way.route().cloned();
        let way = match way {
            Way::Peer(way) => return way.permit(peer).into(),
            Way::Token(way) => way,
        };
        let judgement = &policy.value.judgement;
        let mut missing = None;
        let permit = match self.identify(request, policy, &peer, now, known) {
            Ok(unspent) => {
                let last = Spending {
                    checker: &self.checker,
                    policy: judgement,
                    on,
                    now,
                    room,
                };
                way.permit(peer, unspent, last)
            }
            Err(mut refusal) => {
                missing = refusal.missing.take();
                let leave = judgement.leave(&refusal, request.headers(), &peer);
                way.report(peer, refusal, leave)
            }
        };
        Judged {
            verdict: permit.map_err(|refusal| refusal.denial),
            missing,
        }
    }

    /// For whom the request speaks: its token, and the pair.
    fn identify<B>(
        &self,
        request: &Request<B>,
        policy: &Edition<Policy>,
        peer: &Peer,
        now: Timestamp,
        known: &mut Known,
    ) -> Result<Unspent, Refusal> {
        let judgement = &policy.value.judgement;
        let began = Instant::now();
        let token = judgement.places().find(request.headers());
        let token = token.map_err(|denial| Refusal::of(None, denial))?;
        let judged = self
            .checker
            .check(judgement, policy.generation, &token, peer, now);
        self.metrics.token_judged(began.elapsed());
        match &judged {
            Ok(unspent) => {
                let principal = unspent.principal();
                self.metrics
                    .token_verified(unspent.verification() == Verification::Cached);
                known.issuer = Some(Arc::clone(principal.issuer_name()));
                known.kid = principal.kid().cloned();
                known.subject = principal.claims().shown_subject();
            }
            Err(refusal) => {
                known.deny_line = refusal.deny_line.map(Line::number);
                known.issuer.clone_from(&refusal.issuer);
                known.kid.clone_from(&refusal.kid);
                known.subject.clone_from(&refusal.subject);
            }
        }
        judged
    }
}
