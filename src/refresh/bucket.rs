//! How often something may happen that strangers can cause.
//!
//! Pure: the time is an argument, and counts from any one beginning.

use std::time::Duration;

/// So many at once, and then one for each interval.
#[derive(Clone, Debug)]
pub struct Bucket {
    capacity: u32,
    every: Duration,
    left: u32,
    /// Since when the missing ones come back, one for each interval.
    since: Duration,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn new(capacity: u32, every: Duration) -> Self {
        Self {
            capacity,
            every,
            left: capacity,
            since: Duration::ZERO,
        }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Duration) -> bool {
        self.fill(now);
        if self.left == self.capacity {
            self.since = self.since.max(now);
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }

    /// Empties it, and lets nothing come back before `until` has passed.
    pub fn pause(&mut self, until: Duration) {
        self.left = 0;
        self.since = self.since.max(until.saturating_sub(self.every));
    }

    fn fill(&mut self, now: Duration) {
        while self.left < self.capacity && now >= self.since.saturating_add(self.every) {
            self.left += 1;
            self.since = self.since.saturating_add(self.every);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn after_a_burst_one_comes_back_for_each_interval() {
        let mut bucket = Bucket::new(3, s(10));
        let taken = |bucket: &mut Bucket, at| (0..9).filter(|_| bucket.take(s(at))).count();
        assert_eq!(taken(&mut bucket, 100), 3);
        assert_eq!(taken(&mut bucket, 109), 0);
        assert_eq!(taken(&mut bucket, 110), 1);
        assert_eq!(taken(&mut bucket, 135), 2);
        assert_eq!(taken(&mut bucket, 1_000), 3);
    }

    #[test]
    fn a_pause_is_kept_whatever_was_left() {
        let mut bucket = Bucket::new(2, s(10));
        bucket.pause(s(60));
        assert!(!bucket.take(s(59)));
        assert!(bucket.take(s(60)));
        assert!(!bucket.take(s(60)));
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_gives_more_than_its_share(
            steps in prop::collection::vec(0..5_000_u64, 1..300),
        ) {
            let mut bucket = Bucket::new(4, s(10));
            let (mut now, mut taken) = (Duration::ZERO, 0_u64);
            for step in steps {
                now += Duration::from_millis(step);
                taken += u64::from(bucket.take(now));
                prop_assert!(taken <= 4 + now.as_secs() / 10);
            }
        }
    }
}
