//! One request becomes one decision line and one count, whatever becomes of it.
//!
//! A record is opened when the head is in and finished with the status; if the future that holds it
//! is dropped before (the caller went away), the drop writes the line and counts. Everything in a record is our
//! own words, the peer's proven name, or verified.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{Method, StatusCode, Version};
use tokio::time::Instant;
use tracing::Level;

use super::line::Line;
use super::log::{self, DECISION};
use super::metrics::Decision;
use super::{Journal, RefusedRequest};
use crate::model::Denial;

/// The status that is logged when the caller left before the answer (nginx' convention).
const CLIENT_CLOSED: u16 = 499;

/// What the judgement of a request finds out, and may be said in a log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// The route's name in the configuration, once found.
    pub route: Option<Arc<str>>,
    /// The issuer's name in the configuration, once known.
    pub issuer: Option<Arc<str>>,
    /// The key's id as the key ring spells it.
    pub kid: Option<Arc<str>>,
    /// The verified subject.
    pub subject: Option<Arc<str>>,
    /// The line of the deny list that names the token or the certificate.
    pub deny_line: Option<u32>,
}

/// What is known of one request so far.
#[derive(Debug)]
pub struct RequestRecord<'a> {
    journal: &'a Journal,
    started: Instant,
    finished: bool,
    permitted: bool,
    /// The address of the socket's other end.
    pub remote: SocketAddr,
    /// The peer's name in the configuration.
    pub peer: Arc<str>,
    /// The id that the caller was told, too.
    pub request_id: Arc<str>,
    /// The trace id of a well-formed `traceparent`.
    pub trace_id: Option<String>,
    /// The request's method.
    pub method: Method,
    /// The request's version.
    pub version: Version,
    path: Path,
    /// What the judgement found out.
    pub known: Known,
    /// The reason that was only reported.
    reported: Option<Denial>,
    /// How long the upstream took to answer.
    pub upstream: Option<Duration>,
}

/// The path of a request, shared with it.
///
/// SECURITY: the query is in there as well, and queries carry secrets. It is never shown; guarded by
/// `no_token_and_no_unverified_claim_is_logged_at_any_level`.
struct Path(Option<PathAndQuery>);

/// What a decision line says that only its end knows.
#[derive(Clone, Copy, Debug)]
struct Verdict {
    decision: &'static str,
    reason: Option<Denial>,
    status: u16,
    duration: Duration,
}

// === impl RequestRecord ===

impl<'a> RequestRecord<'a> {
    /// Opens the record of a request whose head has arrived.
    #[must_use]
    pub fn open<B>(
        journal: &'a Journal,
        remote: SocketAddr,
        peer: Arc<str>,
        request_id: Arc<str>,
        head: &http::Request<B>,
    ) -> Self {
        Self {
            journal,
            started: Instant::now(),
            finished: false,
            permitted: false,
            remote,
            peer,
            request_id,
            trace_id: None,
            method: head.method().clone(),
            version: head.version(),
            path: Path(head.uri().path_and_query().cloned()),
            known: Known::default(),
            reported: None,
            upstream: None,
        }
    }

    /// The request has its permit and is passed on.
    pub fn permit(&mut self) {
        self.permitted = true;
    }

    /// The request would have been refused for this reason and goes on, for it is only watched.
    pub fn report(&mut self, denial: Denial) {
        self.journal.metrics.would_refuse(denial);
        self.keep(Decision::WouldRefuse, denial);
        self.reported = Some(denial);
    }

    /// Writes the line and counts the request.
    pub fn finish(mut self, status: StatusCode, denial: Option<Denial>) {
        if let Some(denial) = denial {
            self.keep(Decision::Refused, denial);
        }
        self.end(status.as_u16(), denial);
        self.finished = true;
    }

    /// Keeps it for `/status`.
    fn keep(&self, decision: Decision, denial: Denial) {
        self.journal.refusals.request(RefusedRequest {
            decision: decision.code(),
            denial,
            request_id: &self.request_id,
            peer: &self.peer,
            issuer: self.known.issuer.as_deref(),
            kid: self.known.kid.as_deref(),
            method: self.method.as_str(),
            path: self.path.shown(),
            route: self.known.route.as_deref(),
        });
    }

    fn end(&self, status: u16, denial: Option<Denial>) {
        let reason = denial.or(self.reported);
        let decision = match (denial, self.reported) {
            (Some(_), _) => Decision::Refused,
            (None, Some(_)) => Decision::WouldRefuse,
            (None, None) if self.permitted => Decision::Allowed,
            (None, None) => Decision::Abandoned,
        };
        self.journal.metrics.request_over(status, decision, denial);
        let verdict = Verdict {
            decision: decision.code(),
            reason,
            status,
            duration: self.started.elapsed(),
        };
        let level = reason.map_or(Level::INFO, |_| Level::WARN);
        match log::json() {
            Some(log) => log.decision(level, |line| self.fill(line, verdict)),
            None => self.tell(verdict),
        }
    }

    /// The line for machines, which is made for each request.
    fn fill(&self, line: &mut Line<'_>, verdict: Verdict) {
        line.word("decision", verdict.decision);
        if let Some(reason) = verdict.reason {
            line.word("reason", reason.code());
            line.word("stage", reason.stage().code());
        }
        line.number("status", verdict.status.into());
        line.text("method", self.method.as_str());
        line.text("path", self.path.shown());
        line.word("protocol", protocol(self.version));
        line.some_text("route", self.known.route.as_deref());
        line.text("peer", &self.peer);
        line.some_text("issuer", self.known.issuer.as_deref());
        line.some_text("kid", self.known.kid.as_deref());
        line.some_text("subject", self.known.subject.as_deref());
        line.some_number("deny_line", self.known.deny_line.map(u64::from));
        line.text("request_id", &self.request_id);
        line.some_text("trace_id", self.trace_id.as_deref());
        line.address("remote", self.remote);
        line.number("duration_us", micros(verdict.duration));
        line.some_number("upstream_us", self.upstream.map(micros));
    }

    /// The same fields in the same order for whoever else listens, people above all.
    fn tell(&self, verdict: Verdict) {
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    target: DECISION,
                    $level,
                    decision = verdict.decision,
                    reason = verdict.reason.map(Denial::code),
                    stage = verdict.reason.map(|reason| reason.stage().code()),
                    status = verdict.status,
                    method = self.method.as_str(),
                    path = self.path.shown(),
                    protocol = ?self.version,
                    route = self.known.route.as_deref(),
                    peer = &*self.peer,
                    issuer = self.known.issuer.as_deref(),
                    kid = self.known.kid.as_deref(),
                    subject = self.known.subject.as_deref(),
                    deny_line = self.known.deny_line,
                    request_id = &*self.request_id,
                    trace_id = self.trace_id.as_deref(),
                    remote = %self.remote,
                    duration_us = micros(verdict.duration),
                    upstream_us = self.upstream.map(micros),
                )
            };
        }
        if verdict.reason.is_some() {
            event!(Level::WARN)
        } else {
            event!(Level::INFO)
        }
    }
}

impl Drop for RequestRecord<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.end(CLIENT_CLOSED, None);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// As `http` prints it.
fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        // There is no other: hyper serves no more than these.
        _ => "HTTP/1.1",
    }
}

// === impl Path ===

impl Path {
    fn shown(&self) -> &str {
        // Only `CONNECT` has none.
        self.0.as_ref().map_or("", PathAndQuery::path)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;
    use crate::observe::{Metrics, Refusals, line};

    /// What the subscriber of a test wrote.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line as `tracing_subscriber` writes it.
    fn told(record: &RequestRecord<'_>, verdict: Verdict) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || record.tell(verdict));
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// The line as it is written for each request.
    fn filled(record: &RequestRecord<'_>, verdict: Verdict) -> String {
        let level = verdict.reason.map_or("INFO", |_| "WARN");
        let mut text = Vec::new();
        let fields = |line: &mut Line<'_>| record.fill(line, verdict);
        line::write(Duration::ZERO, level, DECISION, fields, |line| {
            text.extend_from_slice(line);
        });
        String::from_utf8(text).unwrap()
    }

    /// All but the moment, which has a fixed length.
    fn timeless(line: &str) -> &str {
        line.strip_prefix("{\"timestamp\":\"")
            .unwrap()
            .get(27..)
            .unwrap()
    }

    fn journal() -> Journal {
        Journal {
            metrics: Arc::new(Metrics::new().unwrap()),
            refusals: Arc::new(Refusals::new(|| Timestamp::from_unix(0))),
        }
    }

    fn some_text() -> impl Strategy<Value = Option<Arc<str>>> {
        prop::option::of(any::<String>().prop_map(Arc::from))
    }

    proptest! {
        #[test]
        fn both_forms_of_the_json_line_are_the_same(
            texts in prop::collection::vec(some_text(), 6),
            remote: ([u8; 16], [u8; 4], u16, bool),
            target in "/[a-zA-Z0-9%._~:@!$&'()*+,;=/é\"{}-]{0,40}(\\?[a-z=&]{0,10})?",
            numbers: (u64, Option<u64>, Option<u32>),
            version in 0..5_usize,
            reason in prop::option::of(0..Denial::ALL.len()),
        ) {
            let journal = journal();
            let (v6, v4, port, is_v4) = remote;
            let remote = if is_v4 { (v4, port).into() } else { (v6, port).into() };
            let head = http::Request::builder().method("PROPFIND").uri(&target).body(()).unwrap();
            let text = |at: usize| texts[at].clone();
            let peer = text(4).unwrap_or_else(|| "front".into());
            let id = "5f-1".into();
            let mut record = RequestRecord::open(&journal, remote, peer, id, &head);
            record.finished = true;
            record.version = [
                Version::HTTP_09,
                Version::HTTP_10,
                Version::HTTP_11,
                Version::HTTP_2,
                Version::HTTP_3,
            ][version];
            record.known = Known {
                route: text(0),
                issuer: text(1),
                kid: text(2),
                subject: text(3),
                deny_line: numbers.2,
            };
            record.trace_id = text(5).map(|text| text.to_string());
            record.upstream = numbers.1.map(Duration::from_micros);
            let verdict = Verdict {
                decision: "allowed",
                reason: reason.map(|at| Denial::ALL[at]),
                status: 200,
                duration: Duration::from_micros(numbers.0),
            };
            let (told, filled) = (told(&record, verdict), filled(&record, verdict));
            prop_assert_eq!(timeless(&told), timeless(&filled));
        }
    }

    #[test]
    fn a_query_is_not_even_shown_to_a_debugger() {
        let journal = journal();
        let head = http::Request::get("/path?token=secret").body(()).unwrap();
        let address = ([127, 0, 0, 1], 1).into();
        let mut record = RequestRecord::open(&journal, address, "front".into(), "id".into(), &head);
        record.finished = true;
        let shown = format!("{record:?}");
        assert!(
            shown.contains("\"/path\"") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
