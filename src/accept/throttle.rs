//! How many lines strangers may write into our log.
//!
//! Anybody who reaches the port can fail a handshake as often as they like. Each failure is counted
//! in the metric; only so many a second are also told in words.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

/// Lines a second.
const LINES: u64 = 50;

/// A budget of lines that is renewed each second.
#[derive(Debug)]
pub(super) struct Throttle {
    began: Instant,
    second: AtomicU64,
    used: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            second: AtomicU64::new(0),
            used: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }
}

impl Throttle {
    /// `Some` when a line may be written, with how many were not since the last one.
    pub(super) fn pass(&self) -> Option<u64> {
        let now = self.began.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.used.store(0, Ordering::Relaxed);
        }
        if self.used.fetch_add(1, Ordering::Relaxed) < LINES {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_writes_a_bounded_number_of_lines_and_says_how_many_it_left_out() {
        let throttle = Throttle::default();
        let written = (0..1_000).filter(|_| throttle.pass().is_some()).count();
        assert_eq!(written, 50);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(throttle.pass(), Some(950));
    }
}
