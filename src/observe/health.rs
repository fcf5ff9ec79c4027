//! What the probes are told: alive while the process turns, ready while it can judge.
//!
//! `stopping` is a latch: once set, nothing can make the process look ready again, whatever
//! reloads successfully in the meantime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::metrics::Metrics;

/// How far the process is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Not everything that a judgement needs is there yet.
    Starting,
    /// Requests can be judged and passed on.
    Ready,
    /// SIGTERM has come.
    Stopping,
}

/// The shared state behind `/readyz`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    phase: Arc<AtomicU8>,
    metrics: Arc<Metrics>,
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl Health {
    /// A process that has just begun.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            phase: Arc::new(AtomicU8::new(STARTING)),
            metrics,
        }
    }

    /// Everything is there. Has no effect once stopping.
    pub fn ready(&self) {
        let moved =
            self.phase
                .compare_exchange(STARTING, READY, Ordering::SeqCst, Ordering::SeqCst);
        if moved.is_ok() {
            self.metrics.set_ready(true);
        }
    }

    /// The end has begun, for good.
    pub fn stopping(&self) {
        self.phase.store(STOPPING, Ordering::SeqCst);
        self.metrics.set_ready(false);
    }

    /// Where the process is now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            STARTING => Phase::Starting,
            READY => Phase::Ready,
            _ => Phase::Stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ready_again_once_it_stops() {
        let health = Health::new(Arc::new(Metrics::new().unwrap()));
        assert_eq!(health.phase(), Phase::Starting);
        health.ready();
        assert_eq!(health.phase(), Phase::Ready);
        health.stopping();
        health.ready();
        assert_eq!(health.phase(), Phase::Stopping);
    }
}
