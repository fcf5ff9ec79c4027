//! One request becomes one decision line and one count, whatever becomes of it.
//!
//! A record is opened when the head is in and finished with the status; if the future that holds it
//! is dropped before (the caller went away), the drop writes the line. Everything in a record is our
//! own words, the peer's proven name, or verified.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Version};
use tokio::time::Instant;

use super::{Journal, RefusedRequest};
use crate::model::Denial;

/// The status that is logged when the caller left before the answer (nginx' convention).
const CLIENT_CLOSED: u16 = 499;

/// What a decision line calls a request that would have been refused, were it not only watched.
const WOULD_REFUSE: &str = "would_refuse";

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
pub struct RequestRecord {
    journal: Journal,
    started: Instant,
    finished: bool,
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
    /// The path, without its query: queries carry secrets.
    pub path: String,
    /// What the judgement found out.
    pub known: Known,
    /// The reason that was only reported.
    reported: Option<Denial>,
    /// How long the upstream took to answer.
    pub upstream: Option<Duration>,
}

impl RequestRecord {
    /// Opens the record of a request whose head has arrived.
    #[must_use]
    pub fn open<B>(
        journal: Journal,
        remote: SocketAddr,
        peer: Arc<str>,
        request_id: Arc<str>,
        head: &http::Request<B>,
    ) -> Self {
        Self {
            journal,
            started: Instant::now(),
            finished: false,
            remote,
            peer,
            request_id,
            trace_id: None,
            method: head.method().clone(),
            version: head.version(),
            path: head.uri().path().to_owned(),
            known: Known::default(),
            reported: None,
            upstream: None,
        }
    }

    /// The request would have been refused for this reason and goes on, for it is only watched.
    pub fn report(&mut self, denial: Denial) {
        self.journal.metrics.would_refuse(denial);
        self.keep(WOULD_REFUSE, denial);
        self.reported = Some(denial);
    }

    /// Writes the line and counts the request.
    pub fn finish(mut self, status: StatusCode, denial: Option<Denial>) {
        let metrics = &self.journal.metrics;
        metrics.request_answered(status, denial, self.reported.is_some());
        if let Some(denial) = denial {
            self.keep("refused", denial);
        }
        self.write(status.as_u16(), denial);
        self.finished = true;
    }

    /// Keeps it for `/status`.
    fn keep(&self, decision: &'static str, denial: Denial) {
        self.journal.refusals.request(RefusedRequest {
            decision,
            denial,
            request_id: &self.request_id,
            peer: &self.peer,
            issuer: self.known.issuer.as_deref(),
            kid: self.known.kid.as_deref(),
            method: self.method.as_str(),
            path: &self.path,
            route: self.known.route.as_deref(),
        });
    }

    fn write(&self, status: u16, denial: Option<Denial>) {
        let decision = match (denial, self.reported) {
            (Some(_), _) => "refused",
            (None, Some(_)) => WOULD_REFUSE,
            (None, None) => "allowed",
        };
        let reason = denial.or(self.reported);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "sidegate::decision",
                    $level,
                    decision,
                    reason = reason.map(Denial::code),
                    stage = reason.map(|reason| reason.stage().code()),
                    status,
                    method = self.method.as_str(),
                    path = self.path,
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
                    duration_us = micros(self.started.elapsed()),
                    upstream_us = self.upstream.map(micros),
                )
            };
        }
        if reason.is_some() {
            line!(tracing::Level::WARN)
        } else {
            line!(tracing::Level::INFO)
        }
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        if !self.finished {
            self.write(CLIENT_CLOSED, None);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
