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

use super::metrics::Metrics;
use crate::model::Denial;

/// The status that is logged when the caller left before the answer (nginx' convention).
const CLIENT_CLOSED: u16 = 499;

/// What is known of one request so far.
#[derive(Debug)]
pub struct RequestRecord {
    metrics: Arc<Metrics>,
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
    /// The issuer's name in the configuration, once known.
    pub issuer: Option<Arc<str>>,
    /// The key's id as the key ring spells it.
    pub kid: Option<Arc<str>>,
    /// The verified subject.
    pub subject: Option<Arc<str>>,
    /// How long the upstream took to answer.
    pub upstream: Option<Duration>,
}

impl RequestRecord {
    /// Opens the record of a request whose head has arrived.
    #[must_use]
    pub fn open<B>(
        metrics: Arc<Metrics>,
        remote: SocketAddr,
        peer: Arc<str>,
        request_id: Arc<str>,
        head: &http::Request<B>,
    ) -> Self {
        Self {
            metrics,
            started: Instant::now(),
            finished: false,
            remote,
            peer,
            request_id,
            trace_id: None,
            method: head.method().clone(),
            version: head.version(),
            path: head.uri().path().to_owned(),
            issuer: None,
            kid: None,
            subject: None,
            upstream: None,
        }
    }

    /// Writes the line and counts the request.
    pub fn finish(mut self, status: StatusCode, denial: Option<Denial>) {
        self.metrics.request_answered(status, denial);
        self.write(status.as_u16(), denial);
        self.finished = true;
    }

    fn write(&self, status: u16, denial: Option<Denial>) {
        let decision = if denial.is_some() {
            "refused"
        } else {
            "allowed"
        };
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "sidegate::decision",
                    $level,
                    decision,
                    reason = denial.map(Denial::code),
                    stage = denial.map(|denial| denial.stage().code()),
                    status,
                    method = self.method.as_str(),
                    path = self.path,
                    protocol = ?self.version,
                    peer = &*self.peer,
                    issuer = self.issuer.as_deref(),
                    kid = self.kid.as_deref(),
                    subject = self.subject.as_deref(),
                    request_id = &*self.request_id,
                    trace_id = self.trace_id.as_deref(),
                    remote = %self.remote,
                    duration_us = micros(self.started.elapsed()),
                    upstream_us = self.upstream.map(micros),
                )
            };
        }
        if denial.is_some() {
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
