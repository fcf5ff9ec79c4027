//! Every metric of sidegate, in a registry of its own: one method for each event that counts.
//!
//! Labels come from closed sets and from the configuration, never from a request: a caller cannot
//! make a new time series. Handles are found once, so counting is one atomic addition.

use std::time::Duration;

use prometheus::{
    Encoder, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

use super::connections::{Closed, Resting};
use super::described::{
    ACCEPT_ERRORS, BUILD_INFO, CERTIFICATE_END, CLOSED, CONNECTIONS, DENY_ENTRIES, GENERATION,
    HANDSHAKES, JWKS_FETCHES, JWKS_KEYS, JWKS_SUCCESS, JWKS_UNKNOWN, READY, REFUSED, RELOADS,
    REPORT_MODE, REQUESTS, RESTING, STALE_SINCE, STREAMS_ENDED, TOKENS, UPSTREAM,
    UPSTREAM_CONNECTIONS, UPSTREAM_RETRIES, VERIFY, WOULD_REFUSE,
};
pub use super::described::{DESCRIBED, Described};
use super::fetches::{Fetch, UnknownKid};
use super::health::PhaseLatch;
use super::registry::{counter, counters, gauge, gauges, histogram};
use crate::model::{Denial, Stage, Timestamp};

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Decision {
    /// It was passed on.
    Allowed,
    Refused,
    /// It was passed on because it was only watched.
    WouldRefuse,
    /// The caller left before there was a decision.
    Abandoned,
}

impl Decision {
    const ALL: [Self; 4] = [
        Self::Allowed,
        Self::Refused,
        Self::WouldRefuse,
        Self::Abandoned,
    ];

    fn codes() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::code)
    }

    /// What metrics and the log call it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::WouldRefuse => "would_refuse",
            Self::Abandoned => "abandoned",
        }
    }
}

const STATUSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The handles. Shared as `Arc<Metrics>`, handed down in constructors.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    pub(super) phase: PhaseLatch,
    ready: IntGauge,
    generation: IntGaugeVec,
    reloads: IntCounterVec,
    stale_since: IntGaugeVec,
    certificate_end: IntGaugeVec,
    jwks_keys: IntGaugeVec,
    deny_entries: IntGauge,
    jwks_fetches: IntCounterVec,
    jwks_success: IntGaugeVec,
    jwks_unknown: IntCounterVec,
    connections: IntGauge,
    resting: IntGauge,
    closed: Vec<IntCounter>,
    handshakes: [IntCounter; 2],
    accept_errors: IntCounter,
    refused: Vec<IntCounter>,
    would_refuse: Vec<Option<IntCounter>>,
    report_mode: [IntGauge; 2],
    requests: Vec<IntCounter>,
    tokens: [IntCounter; 2],
    verify: Histogram,
    upstream: Histogram,
    streams_ended: IntCounterVec,
    upstream_connections: [IntCounter; 2],
    upstream_retries: IntCounter,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    ///
    /// Only when two metrics of the table above had one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let r = &registry;
        let closed = counters(r, &CLOSED)?;
        let handshakes = counters(r, &HANDSHAKES)?;
        let refused = counters(r, &REFUSED)?;
        let would_refuse = counters(r, &WOULD_REFUSE)?;
        let report_mode = gauges(r, &REPORT_MODE)?;
        let requests = counters(r, &REQUESTS)?;
        let tokens = counters(r, &TOKENS)?;
        let uses = counters(r, &UPSTREAM_CONNECTIONS)?;
        let streams_ended = counters(r, &STREAMS_ENDED)?;
        // At 0 from the start, so that the first one shows as an increase.
        for denial in Denial::ALL.iter().filter(|denial| can_end(**denial)) {
            streams_ended.with_label_values(&[denial.code()]);
        }
        gauges(r, &BUILD_INFO)?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        let by_status =
            |decision| STATUSES.map(|status| requests.with_label_values(&[decision, status]));
        let by_reason =
            |denial: &Denial| refused.with_label_values(&[denial.stage().code(), denial.code()]);
        let watched = |denial: &Denial| {
            let labels = [denial.stage().code(), denial.code()];
            denial
                .can_be_reported()
                .then(|| would_refuse.with_label_values(&labels))
        };
        Ok(Self {
            phase: PhaseLatch::default(),
            ready: gauge(r, &READY)?,
            generation: gauges(r, &GENERATION)?,
            reloads: counters(r, &RELOADS)?,
            stale_since: gauges(r, &STALE_SINCE)?,
            certificate_end: gauges(r, &CERTIFICATE_END)?,
            jwks_keys: gauges(r, &JWKS_KEYS)?,
            deny_entries: gauge(r, &DENY_ENTRIES)?,
            jwks_fetches: counters(r, &JWKS_FETCHES)?,
            jwks_success: gauges(r, &JWKS_SUCCESS)?,
            jwks_unknown: counters(r, &JWKS_UNKNOWN)?,
            connections: gauge(r, &CONNECTIONS)?,
            resting: gauge(r, &RESTING)?,
            closed: Closed::ALL
                .iter()
                .map(|(_, cause)| closed.with_label_values(&[*cause]))
                .collect(),
            handshakes: ["accepted", "refused"]
                .map(|result| handshakes.with_label_values(&[result])),
            accept_errors: counter(r, &ACCEPT_ERRORS)?,
            refused: Denial::ALL.iter().map(by_reason).collect(),
            would_refuse: Denial::ALL.iter().map(watched).collect(),
            report_mode: ["issuer", "route"].map(|scope| report_mode.with_label_values(&[scope])),
            requests: Decision::codes().flat_map(by_status).collect(),
            tokens: ["signature", "cache"].map(|source| tokens.with_label_values(&[source])),
            verify: histogram(r, &VERIFY)?,
            upstream: histogram(r, &UPSTREAM)?,
            streams_ended,
            upstream_connections: ["new", "reused"].map(|kind| uses.with_label_values(&[kind])),
            upstream_retries: counter(r, &UPSTREAM_RETRIES)?,
            registry,
        })
    }

    /// The whole exposition, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        self.ready.set(i64::from(self.phase.is_ready()));
        let mut out = Vec::with_capacity(16 * 1024);
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            tracing::error!(%error, "metrics cannot be rendered");
        }
        out
    }

    /// An edition of a reloadable object came into force.
    pub fn set_generation(&self, object: &str, generation: u64) {
        set(&self.generation.with_label_values(&[object]), generation);
    }

    /// An edition of a reloadable object came into force, or could not be used.
    pub fn reloaded(&self, object: &str, used: bool) {
        let result = if used { "loaded" } else { "failed" };
        self.reloads.with_label_values(&[object, result]).inc();
    }

    /// Since when a newer edition than the one in force could not be used.
    pub fn set_stale_since(&self, object: &str, since: Option<Timestamp>) {
        let since = since.map_or(0, Timestamp::unix);
        set(&self.stale_since.with_label_values(&[object]), since);
    }

    /// A reloadable object is not configured any more.
    pub fn forget_object(&self, object: &str) {
        // Each fails where there is none, which is what is wanted.
        drop(self.generation.remove_label_values(&[object]));
        drop(self.stale_since.remove_label_values(&[object]));
        for result in ["loaded", "failed"] {
            drop(self.reloads.remove_label_values(&[object, result]));
        }
    }

    /// An issuer is not configured any more.
    pub fn forget_issuer(&self, issuer: &str) {
        drop(self.jwks_keys.remove_label_values(&[issuer]));
        drop(self.jwks_success.remove_label_values(&[issuer]));
        for fetch in Fetch::ALL {
            let labels = &[issuer, fetch.code()];
            drop(self.jwks_fetches.remove_label_values(labels));
        }
        for outcome in UnknownKid::ALL {
            let labels = &[issuer, outcome.code()];
            drop(self.jwks_unknown.remove_label_values(labels));
        }
    }

    /// A certificate in use ends then.
    pub fn set_certificate_end(&self, role: &str, end: Timestamp) {
        set(&self.certificate_end.with_label_values(&[role]), end.unix());
    }

    /// An issuer has so many usable keys.
    pub fn set_keys(&self, issuer: &str, keys: usize) {
        set(&self.jwks_keys.with_label_values(&[issuer]), keys as u64);
    }

    /// The deny list in force has so many entries.
    pub fn set_deny_entries(&self, entries: usize) {
        set(&self.deny_entries, entries as u64);
    }

    /// An issuer's keys are fetched: its counters are there from now on.
    pub fn prepare_fetches(&self, issuer: &str) {
        for fetch in Fetch::ALL {
            self.jwks_fetches.with_label_values(&[issuer, fetch.code()]);
        }
        for outcome in UnknownKid::ALL {
            let labels = &[issuer, outcome.code()];
            self.jwks_unknown.with_label_values(labels);
        }
        self.jwks_success.with_label_values(&[issuer]);
    }

    /// A fetch of an issuer's keys is over.
    pub fn fetched(&self, issuer: &str, fetch: Fetch) {
        let counter = self.jwks_fetches.with_label_values(&[issuer, fetch.code()]);
        counter.inc();
    }

    /// An issuer's keys were fetched, or confirmed to be the same.
    pub fn fetch_succeeded(&self, issuer: &str, now: Timestamp) {
        set(&self.jwks_success.with_label_values(&[issuer]), now.unix());
    }

    /// A token named a key that was not there, and it was asked for.
    pub fn unknown_kid(&self, issuer: &str, outcome: UnknownKid) {
        let labels = &[issuer, outcome.code()];
        self.jwks_unknown.with_label_values(labels).inc();
    }

    /// A connection passed the handshake.
    pub fn connection_opened(&self) {
        self.connections.inc();
        inc(self.handshakes.first());
    }

    /// A connection is relieved of its buffers for as long as what comes back lives.
    pub fn connection_rests(&self) -> Resting<'_> {
        Resting::count(&self.resting)
    }

    /// A connection that passed the handshake ended.
    pub fn connection_closed(&self, cause: Closed) {
        self.connections.dec();
        inc(self.closed.get(cause as usize));
    }

    /// A connection ended before it was a peer's.
    pub fn handshake_refused(&self, denial: Denial) {
        inc(self.handshakes.last());
        self.refused(denial);
    }

    /// The listening socket failed.
    pub fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// A connection or a request was refused.
    pub fn refused(&self, denial: Denial) {
        inc(self.refused.get(denial as usize));
    }

    /// A request goes on that would have been refused.
    pub fn would_refuse(&self, denial: Denial) {
        inc(self
            .would_refuse
            .get(denial as usize)
            .and_then(Option::as_ref));
    }

    /// So many issuers and so many routes are only watched.
    pub fn set_report_mode(&self, issuers: usize, routes: usize) {
        let [by_issuer, by_route] = &self.report_mode;
        set(by_issuer, issuers as u64);
        set(by_route, routes as u64);
    }

    /// A request is over: answered with this status, perhaps with a refusal, or left alone.
    pub(super) fn request_over(&self, status: u16, decision: Decision, denial: Option<Denial>) {
        let class = usize::from(status / 100).clamp(1, STATUSES.len()) - 1;
        inc(self
            .requests
            .get(decision as usize * STATUSES.len() + class));
        if let Some(denial) = denial {
            self.refused(denial);
        }
    }

    /// A token was accepted.
    pub fn token_verified(&self, from_cache: bool) {
        inc(self.tokens.get(usize::from(from_cache)));
    }

    /// Judging a token, good or bad, took so long.
    pub fn token_judged(&self, took: Duration) {
        self.verify.observe(took.as_secs_f64());
    }

    /// The upstream's head came after so long.
    pub fn upstream_answered(&self, took: Duration) {
        self.upstream.observe(took.as_secs_f64());
    }

    /// Something that was running was cut off.
    pub fn stream_ended(&self, denial: Denial) {
        let reason = denial.code();
        self.streams_ended.with_label_values(&[reason]).inc();
    }

    /// A request got an upstream connection.
    pub fn upstream_connection(&self, reused: bool) {
        inc(self.upstream_connections.get(usize::from(reused)));
    }

    /// A request was sent again.
    pub fn upstream_retried(&self) {
        self.upstream_retries.inc();
    }
}

/// Whether what is running can end for this reason: whatever speaks of who may, not of how.
fn can_end(denial: Denial) -> bool {
    match denial.stage() {
        Stage::Tls | Stage::Route | Stage::Token | Stage::Claims | Stage::Pair => true,
        Stage::Request | Stage::Use | Stage::Forward => false,
    }
}

fn inc(counter: Option<&IntCounter>) {
    if let Some(counter) = counter {
        counter.inc();
    }
}

fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
