//! What became of a fetch, told in the log, the metrics and on the status page, as for files.

use std::error::Error;
use std::sync::Arc;

use super::{Surroundings, object};
use crate::jwks::{KeyRing, KeyWarning};
use crate::model::Timestamp;
use crate::observe::{Fetch, Metrics, Reloads, Told, in_full};
use crate::reload::Generation;

/// Tells of one issuer.
#[derive(Debug)]
pub(super) struct Teller {
    issuer: Arc<str>,
    object: String,
    metrics: Arc<Metrics>,
    reloads: Reloads,
    clock: fn() -> Timestamp,
    /// Whether the last thing told was a failure.
    failing: bool,
}

impl Teller {
    pub(super) fn new(issuer: &Arc<str>, around: &Surroundings) -> Self {
        around.metrics.prepare_fetches(issuer);
        Self {
            issuer: Arc::clone(issuer),
            object: object(issuer),
            metrics: Arc::clone(&around.metrics),
            reloads: around.reloads.clone(),
            clock: around.clock,
            failing: false,
        }
    }

    /// Other keys came into force.
    pub(super) fn published(
        &mut self,
        generation: Generation,
        ring: &KeyRing,
        warnings: &[KeyWarning],
    ) {
        for warning in warnings {
            tracing::warn!(issuer = &*self.issuer, %warning, "a key is not used");
        }
        self.metrics.set_keys(&self.issuer, ring.len());
        self.good(Fetch::Changed);
        self.reloads
            .loaded(&self.object, generation.number(), (self.clock)());
        tracing::info!(object = self.object, %generation, keys = ring.len(), "fetched");
    }

    /// The keys in force are still the ones.
    pub(super) fn confirmed(&mut self, generation: Generation) {
        if self.failing {
            self.reloads
                .loaded(&self.object, generation.number(), (self.clock)());
            tracing::info!(object = self.object, "can be fetched again");
        }
        self.good(Fetch::Unchanged);
    }

    /// There is no such key, says the server, and nothing is wrong with that.
    pub(super) fn absent(&self) {
        self.metrics.fetched(&self.issuer, Fetch::Absent);
    }

    /// The server has a key no more, and so many are left.
    pub(super) fn withdrawn(&self, generation: Generation, left: usize) {
        self.taken_back(generation, left);
        let object = &self.object;
        tracing::info!(object, %generation, keys = left, "a key was withdrawn by its server");
    }

    /// A fetch failed, or brought nothing that could be used.
    pub(super) fn failed(&mut self, error: &dyn Error, has_keys: bool) {
        self.metrics.fetched(&self.issuer, Fetch::Failed);
        self.failing = true;
        let text = in_full(error);
        if self.reloads.failed(&self.object, &text, (self.clock)()) == Told::Before {
            return;
        }
        let object = &self.object;
        if has_keys {
            tracing::error!(
                object,
                error = text,
                "cannot be fetched; the last good keys stay"
            );
        } else {
            tracing::error!(
                object,
                error = text,
                "cannot be fetched; its tokens get 503 until they can"
            );
        }
    }

    /// Keys were not confirmed for too long, and so many are left.
    pub(super) fn ended(&self, generation: Generation, left: usize) {
        self.taken_back(generation, left);
        let object = &self.object;
        tracing::error!(
            object,
            %generation,
            keys = left,
            "not confirmed for keys.max_stale: what ended is not used any more; without keys its \
             tokens get 503"
        );
    }

    /// The fetching broke, and with it goes what it had brought.
    pub(super) fn broke(&self, generation: Generation) {
        self.taken_back(generation, 0);
        let why = "the fetching ended by a fault in the gate: its tokens get 503 until the \
                   configuration changes or the gate starts again";
        self.reloads.failed(&self.object, why, (self.clock)());
        tracing::error!(object = self.object, "{why}");
    }

    /// No fetch brought this, so none is told.
    fn taken_back(&self, generation: Generation, left: usize) {
        self.metrics.set_keys(&self.issuer, left);
        self.reloads.taken_back(&self.object, generation.number());
    }

    fn good(&mut self, fetch: Fetch) {
        self.failing = false;
        self.metrics.fetched(&self.issuer, fetch);
        self.metrics.fetch_succeeded(&self.issuer, (self.clock)());
    }
}
