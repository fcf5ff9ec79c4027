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
    metrics: Arc<Metrics>,
}

/// The phase itself. It lies with the metrics, whose gauge is made of it each time that it is asked
/// for: a gauge that was set beside it could say ready once it is not.
#[derive(Debug, Default)]
pub(super) struct PhaseLatch(AtomicU8);

const STARTING: u8 = 0;
const READY: u8 = 1;
const STOPPING: u8 = 2;

impl PhaseLatch {
    pub(super) fn is_ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    fn phase(&self) -> Phase {
        match self.0.load(Ordering::SeqCst) {
            STARTING => Phase::Starting,
            READY => Phase::Ready,
            _ => Phase::Stopping,
        }
    }
}

impl Health {
    /// A process that has just begun.
    #[must_use]
    pub const fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }

    /// Everything is there. Has no effect once stopping.
    pub fn ready(&self) {
        let latch = &self.metrics.phase.0;
        // It fails once it is ready, or stopping: both stay.
        let _ = latch.compare_exchange(STARTING, READY, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The end has begun, for good.
    pub fn stopping(&self) {
        self.metrics.phase.0.store(STOPPING, Ordering::SeqCst);
    }

    /// Where the process is now.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.metrics.phase.phase()
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

    #[test]
    fn the_gauge_says_what_the_probe_says() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let health = Health::new(Arc::clone(&metrics));
        let gauge = || {
            let text = String::from_utf8(metrics.render()).unwrap();
            text.contains("\nsidegate_ready 1\n")
        };
        assert!(!gauge());
        health.ready();
        assert!(gauge());
        health.stopping();
        assert!(!gauge());
        health.ready();
        assert!(!gauge());
    }
}
