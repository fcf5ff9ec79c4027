//! The table of contents: what happens to a request, one line for each stage.
//!
//! No logic lives here. Whoever wants to know whether a request can reach the upstream unjudged
//! reads `Gate::pass` and finds that `forward` takes what only `check` gives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::accept::{Connection, Handler, InFlight, linger, message};
use crate::check::{self, Checker, Principal, Refusal, Verification};
use crate::deny::{self, Answer, BodyForm};
use crate::forward::{AnswerBody, Forwarder, HeaderRules, Origin, Place};
use crate::model::{Denial, Timestamp};
use crate::observe::{Metrics, RequestRecord};
use crate::reload::{Edition, Reader};
use crate::settings::{LimitSettings, Settings};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Everything that decides and may change while the gate runs. One edition of it judges a request
/// from the first check to the last header.
#[derive(Debug)]
pub struct Policy {
    /// Where tokens are found and what they must be.
    pub judgement: check::Policy,
    /// What the application is told.
    pub headers: HeaderRules,
}

/// Judges every request and passes on those that hold.
#[derive(Debug)]
pub struct Gate {
    policy: Reader<Policy>,
    checker: Checker,
    forwarder: Forwarder,
    limits: LimitSettings,
    request_ids: RequestIds,
    clock: fn() -> Timestamp,
    metrics: Arc<Metrics>,
}

impl Gate {
    /// Puts the stages together.
    #[must_use]
    pub fn new(
        settings: &Settings,
        policy: Reader<Policy>,
        metrics: Arc<Metrics>,
        request_ids: RequestIds,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self {
            policy,
            checker: Checker::new(&settings.limits),
            forwarder: Forwarder::build(settings, Arc::clone(&metrics)),
            limits: settings.limits.clone(),
            request_ids,
            clock,
            metrics,
        }
    }

    /// Starts what the gate does beside requests.
    pub fn spawn_housekeeping(&self) {
        self.forwarder.spawn_sweeper();
    }

    /// The path of a request.
    async fn pass(
        &self,
        mut request: Request<Incoming>,
        place: Place,
        record: &mut RequestRecord,
    ) -> Result<Response<AnswerBody>, Denial> {
        let policy = self.policy.current();
        let principal = match self.judge(&request, &policy, &place, record) {
            Ok(principal) => principal,
            Err(denial) => {
                linger::linger(request, place.in_flight);
                return Err(denial);
            }
        };
        let keep = policy.value.judgement.keeps_token_of(principal.issuer());
        policy
            .value
            .judgement
            .places()
            .remove(request.headers_mut(), keep);
        let request_id = Arc::clone(&record.request_id);
        let origin = Origin {
            remote: record.remote.ip(),
            request_id: &request_id,
        };
        let began = Instant::now();
        let answer = self
            .forwarder
            .forward(request, &principal, &policy.value.headers, origin, place)
            .await;
        record.upstream = Some(began.elapsed());
        answer
    }

    /// The decision: message, token, pair.
    fn judge(
        &self,
        request: &Request<Incoming>,
        policy: &Edition<Policy>,
        place: &Place,
        record: &mut RequestRecord,
    ) -> Result<Principal, Denial> {
        let now = (self.clock)();
        let peer = place.connection.peer(now)?;
        message::check(request, &self.limits)?;
        let began = Instant::now();
        let token = policy.value.judgement.places().find(request.headers())?;
        let judged = self.checker.check(
            &policy.value.judgement,
            policy.generation,
            &token,
            &peer,
            now,
        );
        self.metrics.token_judged(began.elapsed());
        match judged {
            Ok(principal) => {
                self.metrics
                    .token_verified(principal.verification() == Verification::Cached);
                record.issuer = Some(Arc::clone(principal.issuer_name()));
                record.kid = principal.kid().cloned();
                record.subject = principal.claims().shown_subject();
                Ok(principal)
            }
            Err(Refusal {
                denial,
                issuer,
                kid,
                subject,
            }) => {
                (record.issuer, record.kid, record.subject) = (issuer, kid, subject);
                Err(denial)
            }
        }
    }
}

impl Handler for Gate {
    type Body = AnswerBody;

    async fn handle(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
        in_flight: InFlight,
    ) -> Response<AnswerBody> {
        let request_id = self.request_ids.of(request.headers());
        let form = BodyForm::wanted_by(request.headers());
        let mut record = RequestRecord::open(
            Arc::clone(&self.metrics),
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

    fn slow_header(&self) -> Bytes {
        deny::slow_header()
    }
}

/// Where request ids come from when the peer sends none.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    next: AtomicU64,
}

/// Longer ids than this are replaced by our own.
const MAX_REQUEST_ID: usize = 128;

impl RequestIds {
    /// Ids that begin with `process`, a number that should be random.
    #[must_use]
    pub const fn new(process: u64) -> Self {
        Self {
            process,
            next: AtomicU64::new(0),
        }
    }

    /// The peer's own id if it is one, else a new one. An id goes into logs, headers and JSON, so
    /// only characters that mean nothing in any of them are let through.
    fn of(&self, headers: &HeaderMap) -> Arc<str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
        let mut sent = headers.get_all(deny::REQUEST_ID).iter();
        let first = sent.next().and_then(|value| value.to_str().ok());
        match (first, sent.next()) {
            (Some(id), None)
                if !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(plain) =>
            {
                id.into()
            }
            _ => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                format!("{:016x}-{number:x}", self.process).into()
            }
        }
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
    fn a_sound_request_id_is_kept_and_any_other_replaced() {
        let ids = RequestIds::new(0xabc);
        assert_eq!(&*ids.of(&with(deny::REQUEST_ID, &["f00-1"])), "f00-1");
        for bad in [&["a", "b"][..], &["a\"b"], &["a b"], &[""], &[]] {
            assert!(
                ids.of(&with(deny::REQUEST_ID, bad))
                    .starts_with("0000000000000abc-"),
                "{bad:?}"
            );
        }
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
