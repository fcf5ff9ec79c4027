//! The table of contents: what happens to a request, one line for each stage.
//!
//! No logic lives here. Whoever wants to know whether a request can reach the upstream unjudged
//! reads `Gate::admit`, and finds that `forward` takes what only `decide` gives, for a proof that only
//! `check` gives.

mod judge;
mod request_id;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use http::{Request, Response};
use hyper::body::Incoming;

pub use self::judge::{Judge, Judged};
pub use self::request_id::RequestIds;
use crate::accept::{Connection, Handler, InFlight, linger};
use crate::check::{self, Refusal};
use crate::decide::{self, Permit};
use crate::deny::{self, Answer, BodyForm};
use crate::forward::{
    AnswerBody, Authority, Departure, Forwarder, HeaderRules, Origin, Place, Room,
};
use crate::model::{Denial, Timestamp};
use crate::observe::{Journal, Known, Metrics, RequestRecord};
use crate::refresh::{Asked, Demand};
use crate::reload::{Changes, Edition, Reader};
use crate::revocation::Line;
use crate::settings::Settings;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Everything that decides and may change while the gate runs. One edition of it judges a request
/// from the first check to the last header.
#[derive(Debug)]
pub struct Policy {
    /// Where tokens are found and what they must be.
    pub judgement: check::Policy,
    /// Who may do what.
    pub routes: decide::Policy,
    /// What the application is told.
    pub headers: HeaderRules,
    /// Where a key that is not there can be asked for.
    pub demand: Demand,
}

/// Judges again what is running already, by the policy in force.
#[derive(Debug)]
struct Court {
    policy: Reader<Policy>,
    clock: fn() -> Timestamp,
    metrics: Arc<Metrics>,
}

/// A judgement, the edition of the policy that it was made by, and the room that there was for the
/// request.
struct Heard {
    policy: Arc<Edition<Policy>>,
    room: Option<Room>,
    judged: Judged,
}

/// Judges every request and passes on those that hold.
#[derive(Debug)]
pub struct Gate {
    policy: Reader<Policy>,
    court: Arc<dyn Authority>,
    judge: Judge,
    forwarder: Forwarder,
    request_ids: RequestIds,
    clock: fn() -> Timestamp,
    journal: Journal,
}

impl Gate {
    /// Puts the stages together.
    #[must_use]
    pub fn new(
        settings: &Settings,
        policy: Reader<Policy>,
        journal: Journal,
        request_ids: RequestIds,
        clock: fn() -> Timestamp,
    ) -> Self {
        let court = Arc::new(Court {
            policy: policy.clone(),
            clock,
            metrics: Arc::clone(&journal.metrics),
        });
        Self {
            policy,
            court,
            judge: Judge::new(&settings.limits, Arc::clone(&journal.metrics)),
            forwarder: Forwarder::build(settings, Arc::clone(&journal.metrics)),
            request_ids,
            clock,
            journal,
        }
    }

    /// Starts what the gate does beside requests.
    pub fn spawn_housekeeping(&self) {
        self.forwarder.spawn_sweeper();
    }

    /// The path of a request.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room twice for what it is given"
    )]
    fn pass(
        &self,
        request: Request<Incoming>,
        place: Place,
        record: &mut RequestRecord<'_>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Denial>> + Send {
        async move {
            let mut heard = self.hear(&request, &place, record);
            if heard.judged.missing.is_some() {
                // Boxed, as all that few requests need: every request's future is as large as its largest.
                heard = Box::pin(self.hear_again(heard, &request, &place, record)).await;
            }
            let departure = self.admit(heard, request, place, record)?;
            departure.answer(&mut record.upstream).await
        }
    }

    /// The first judgement, and all that it was made with.
    fn hear(
        &self,
        request: &Request<Incoming>,
        place: &Place,
        record: &mut RequestRecord<'_>,
    ) -> Heard {
        let policy = self.policy.current();
        let room = self.forwarder.room();
        let judged = self.judge(request, &policy, (place, room.is_some()), record);
        Heard {
            policy,
            room,
            judged,
        }
    }

    /// The second, once the key that was missing has been asked for: one that is still not there is
    /// refused for good.
    async fn hear_again(
        &self,
        first: Heard,
        request: &Request<Incoming>,
        place: &Place,
        record: &mut RequestRecord<'_>,
    ) -> Heard {
        let Heard {
            policy,
            room,
            judged,
        } = first;
        // Others may have it meanwhile.
        drop(room);
        let asked = match &judged.missing {
            Some(key) => policy.value.demand.ask(key.issuer(), key.kid()).await,
            None => Asked::Found,
        };
        // SECURITY: that may have taken seconds, in which another edition came. From here to the
        // last header it is the one in force now, also for what was let through with a report.
        // Guarded by `a_request_that_waited_for_its_key_is_judged_by_the_routes_of_then`.
        let mut heard = if asked == Asked::Found || judged.verdict.is_ok() {
            self.hear(request, place, record)
        } else {
            Heard {
                policy: self.policy.current(),
                room: None,
                judged,
            }
        };
        if asked == Asked::Unavailable {
            heard.judged = heard.judged.without_keys();
        }
        heard
    }

    /// Makes what was allowed ready to be passed on.
    fn admit(
        &self,
        heard: Heard,
        mut request: Request<Incoming>,
        place: Place,
        record: &mut RequestRecord<'_>,
    ) -> Result<Departure<'_>, Denial> {
        let Heard {
            policy,
            room,
            judged,
        } = heard;
        let allowed = judged
            .verdict
            .and_then(|permit| Ok((permit, room.ok_or(Denial::RequestLimit)?)));
        let (permit, room) = match allowed {
            Ok(allowed) => allowed,
            Err(denial) => {
                linger::linger(request, place.in_flight);
                return Err(denial);
            }
        };
        record.permit();
        if let Some(denial) = permit.reported() {
            record.report(denial);
        }
        let judgement = &policy.value.judgement;
        let keep = permit
            .principal()
            .and_then(|principal| judgement.keeps_token_of(principal.issuer()));
        judgement.places().remove(request.headers_mut(), keep);
        let origin = Origin {
            remote: record.remote.ip(),
            request_id: &record.request_id,
        };
        let rules = &policy.value.headers;
        self.forwarder
            .prepare(request, (permit, room), &self.court, rules, origin, place)
    }

    /// The decision: the peer as it is now, and all the rest.
    fn judge(
        &self,
        request: &Request<Incoming>,
        policy: &Edition<Policy>,
        (place, room): (&Place, bool),
        record: &mut RequestRecord<'_>,
    ) -> Judged {
        let now = (self.clock)();
        record.known = Known::default();
        match place.connection.peer(now) {
            Ok(peer) => {
                let on = place.connection.id();
                self.judge
                    .judge(request, policy, (peer, on), (now, room), &mut record.known)
            }
            Err(denial) => {
                record.known.deny_line = place.connection.deny_line().map(Line::number);
                Err(denial).into()
            }
        }
    }
}

impl Authority for Court {
    fn judge_again(&self, permit: &Permit, connection: &Connection) -> Result<Duration, Refusal> {
        let now = (self.clock)();
        let refused = |denial| Refusal::of(permit.principal(), denial);
        let peer = connection.peer(now).map_err(|denial| Refusal {
            deny_line: connection.deny_line(),
            ..refused(denial)
        })?;
        let policy = self.policy.current();
        let (judgement, routes) = (&policy.value.judgement, &policy.value.routes);
        let principal = permit.principal();
        let judged = match principal {
            Some(principal) => judgement.judge_again(principal, &peer, permit.peer(), now),
            // Only the certificate ends it, which the connection watches.
            None => Ok(Duration::MAX),
        };
        match judged {
            Ok(left) => {
                let leave = permit
                    .leave()
                    .and_then(|leave| judgement.leave_again(leave, &peer));
                let judged = routes.judge_again(permit, &peer, principal, leave);
                judged.map_err(refused)?;
                Ok(left)
            }
            Err(refusal) => {
                let leave = judgement.leave_of(&refusal, &peer);
                if routes.report_again(permit, &peer, &refusal, leave) {
                    Ok(Duration::MAX)
                } else {
                    Err(refusal)
                }
            }
        }
    }

    fn changes(&self, permit: &Permit) -> [Changes; 3] {
        // Before the policy is looked at, so that a later one is not missed.
        let policy = self.policy.changes();
        let current = self.policy.current();
        let judgement = &current.value.judgement;
        match permit.principal().and_then(|one| judgement.changes(one)) {
            Some([keys, denied]) => [policy, keys, denied],
            // It has no issuer, or its issuer is gone, and so will it be.
            None => [policy, self.policy.changes(), self.policy.changes()],
        }
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Handler for Gate {
    type Body = AnswerBody;

    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room twice for what it is given"
    )]
    fn handle(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
        in_flight: InFlight,
    ) -> impl Future<Output = Response<AnswerBody>> + Send {
        async move {
            let request_id = self.request_ids.of(request.headers());
            let form = BodyForm::wanted_by(request.headers());
            let mut record = RequestRecord::open(
                &self.journal,
                connection.remote(),
                Arc::clone(connection.name()),
                Arc::clone(&request_id),
                &request,
            );
            record.trace_id = trace_id(request.headers());
            let own = in_flight.another();
            match self
                .pass(
                    request,
                    Place {
                        connection,
                        in_flight,
                    },
                    &mut record,
                )
                .await
            {
                Ok(answer) => {
                    record.finish(answer.status(), None);
                    answer
                }
                Err(denial) => {
                    let answer = Answer::to(denial).response(form, &request_id);
                    record.finish(answer.status(), Some(denial));
                    answer.map(|body| AnswerBody::whole(body, own))
                }
            }
        }
    }

    fn slow_header(&self) -> Bytes {
        deny::slow_header()
    }
}

/// The trace id of a well-formed `traceparent` (W3C Trace Context 3.2).
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, parent, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let nonzero = |part: &str| part.bytes().any(|byte| byte != b'0');
    let formed = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    (formed && version != "ff" && nonzero(trace) && nonzero(parent)).then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(&name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn only_a_well_formed_trace_id_is_logged() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let found = trace_id(&with(TRACEPARENT, &[good]));
        assert_eq!(found.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        for bad in [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c",
        ] {
            assert_eq!(trace_id(&with(TRACEPARENT, &[bad])), None, "{bad}");
        }
    }
}
