//! When to fetch next: outcomes in, moments out.
//!
//! Reads no clock and makes no random number, both are arguments; so the very schedule that runs in
//! the gate can be driven through a day of a fleet in a moment. Times count from any one beginning.

use std::time::Duration;

use crate::settings::Pace;

/// A random number from 0 up to 1. Gates that draw different ones do not act together.
#[derive(Clone, Copy, Debug)]
pub struct Roll(f64);

/// When one document is fetched next, and until when the last one may be used.
#[derive(Clone, Debug)]
pub struct Schedule {
    pace: Pace,
    due: Duration,
    failures: u32,
    ends: Option<Duration>,
}

// === impl Roll ===

impl Roll {
    /// From any number; what is outside of 0 to 1 counts as the nearer end.
    #[must_use]
    pub fn new(number: f64) -> Self {
        Self(if number.is_nan() {
            0.0
        } else {
            number.clamp(0.0, 1.0)
        })
    }

    fn between(self, low: Duration, high: Duration) -> Duration {
        low + high.saturating_sub(low).mul_f64(self.0)
    }
}

// === impl Schedule ===

impl Schedule {
    /// The first fetch is due at once, or within `pace.start_spread`.
    #[must_use]
    pub fn new(pace: Pace, now: Duration, roll: Roll) -> Self {
        Self {
            pace,
            due: now + roll.between(Duration::ZERO, pace.start_spread),
            failures: 0,
            ends: None,
        }
    }

    /// The same, with a document that serves already, and was confirmed so long before `now`.
    #[must_use]
    pub fn serving(self, now: Duration, age: Duration) -> Self {
        let left = self.pace.max_stale.saturating_sub(age);
        Self {
            ends: Some(now.saturating_add(left)),
            ..self
        }
    }

    /// When the next fetch is due.
    #[must_use]
    pub const fn due(&self) -> Duration {
        self.due
    }

    /// When the last good document ends, unless a fetch confirms it before; `None` while there is
    /// none.
    #[must_use]
    pub const fn ends(&self) -> Option<Duration> {
        self.ends
    }

    /// A fetch at `now` brought a good document or confirmed it, and the server says for how long it
    /// is fresh. The next is due after that time, held between floor and ceiling, or up to a quarter
    /// earlier; at the floor up to a third later, so that there is always a spread.
    pub fn succeeded(&mut self, now: Duration, fresh: Option<Duration>, roll: Roll) {
        let Pace { floor, refresh, .. } = self.pace;
        let wanted = fresh.unwrap_or(refresh).min(refresh).max(floor);
        let low = (wanted * 3 / 4).max(floor);
        let high = wanted.max(low * 4 / 3);
        self.failures = 0;
        self.ends = Some(now.saturating_add(self.pace.max_stale));
        self.due = now.saturating_add(roll.between(low, high));
    }

    /// A fetch at `now` failed, perhaps with the wish to be left alone for a while. The next is due
    /// at any moment up to a ceiling that doubles with each failure (full jitter). A wish is granted
    /// up to `pace.refresh`, and then spread over a quarter more.
    pub fn failed(&mut self, now: Duration, retry_after: Option<Duration>, roll: Roll) {
        let pace = &self.pace;
        let last = if self.ends().is_some_and(|end| now < end) {
            pace.last_retry
        } else {
            pace.last_retry_without_keys
        };
        let doubled = 2_u32.saturating_pow(self.failures);
        let ceiling = pace.first_retry.saturating_mul(doubled).min(last);
        // Never at once: a server that refuses each time must not be asked in a loop.
        let backoff = roll.between(pace.first_retry.min(ceiling) / 10, ceiling);
        let wish = retry_after.map_or(Duration::ZERO, |wish| {
            let wish = wish.min(pace.refresh);
            roll.between(wish, wish * 5 / 4)
        });
        self.failures = self.failures.saturating_add(1);
        self.due = now.saturating_add(backoff.max(wish));
    }

    /// The last good document has ended at `now`. Whatever comes next is taken as the first, and is
    /// wanted sooner than the one before it.
    pub fn ended(&mut self, now: Duration, roll: Roll) {
        let soon = roll.between(Duration::ZERO, self.pace.last_retry_without_keys);
        self.ends = None;
        self.due = self.due.min(now.saturating_add(soon));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn schedule() -> Schedule {
        Schedule::new(Pace::default(), s(100), Roll::new(0.5))
    }

    #[test]
    fn the_first_fetch_is_due_at_once() {
        assert_eq!(schedule().due(), s(100));
        assert_eq!(schedule().ends(), None);
    }

    #[test]
    fn the_server_decides_between_floor_and_ceiling() {
        for (fresh, low, high) in [
            (None, s(450), s(600)),
            (Some(s(86_400)), s(450), s(600)),
            (Some(s(300)), s(225), s(300)),
            (Some(s(60)), s(45), s(60)),
            (Some(s(40)), s(30), s(40)),
            (Some(s(30)), s(30), s(40)),
            (Some(s(0)), s(30), s(40)),
        ] {
            for (roll, expected) in [(0.0, low), (1.0, high)] {
                let mut schedule = schedule();
                schedule.succeeded(s(100), fresh, Roll::new(roll));
                assert_eq!(schedule.due() - s(100), expected, "{fresh:?} {roll}");
            }
        }
    }

    #[test]
    fn failures_back_off_up_to_a_ceiling_that_is_lower_without_keys() {
        let mut schedule = schedule();
        let waits = |schedule: &mut Schedule| {
            (0..11)
                .map(|_| {
                    schedule.failed(s(200), None, Roll::new(1.0));
                    (schedule.due() - s(200)).as_secs()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            waits(&mut schedule),
            [1, 2, 4, 8, 16, 32, 64, 120, 120, 120, 120]
        );
        schedule.succeeded(s(200), None, Roll::new(0.0));
        assert_eq!(
            waits(&mut schedule),
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        );
        schedule.ended(s(200), Roll::new(1.0));
        assert_eq!(schedule.due(), s(320));
        assert_eq!(waits(&mut schedule).last(), Some(&120));
    }

    #[test]
    fn a_busy_server_is_left_alone_but_not_for_ever() {
        let mut schedule = schedule();
        schedule.failed(s(0), Some(s(120)), Roll::new(0.0));
        assert_eq!(schedule.due(), s(120));
        schedule.failed(s(0), Some(s(120)), Roll::new(1.0));
        assert_eq!(schedule.due(), s(150));
        schedule.failed(s(0), Some(s(u64::MAX)), Roll::new(1.0));
        assert_eq!(schedule.due(), s(750));
    }

    #[test]
    fn keys_end_so_long_after_they_were_last_confirmed() {
        let mut schedule = schedule();
        schedule.succeeded(s(100), None, Roll::new(0.0));
        schedule.failed(s(600), None, Roll::new(0.0));
        assert_eq!(schedule.ends(), Some(s(100 + 86_400)));
        schedule.succeeded(s(700), None, Roll::new(0.0));
        assert_eq!(schedule.ends(), Some(s(700 + 86_400)));
    }

    #[test]
    fn keys_that_serve_already_end_as_if_nothing_had_changed() {
        let ends = |age| schedule().serving(s(5), age).ends();
        assert_eq!(ends(s(0)), Some(s(5 + 86_400)));
        assert_eq!(ends(s(86_000)), Some(s(5 + 400)));
        assert_eq!(ends(s(90_000)), Some(s(5)));
        assert_eq!(ends(Duration::MAX), Some(s(5)));
    }

    proptest! {
        #[test]
        fn the_next_fetch_is_never_in_the_past_at_once_or_never(
            outcomes in prop::collection::vec((any::<bool>(), any::<Option<u64>>(), 0.0..1.0_f64), 1..40),
        ) {
            let mut now = s(0);
            let mut schedule = Schedule::new(Pace::default(), now, Roll::new(0.0));
            for (success, seconds, roll) in outcomes {
                let said = seconds.map(s);
                if success {
                    schedule.succeeded(now, said, Roll::new(roll));
                    prop_assert!(schedule.due() >= now + s(30));
                } else {
                    schedule.failed(now, said, Roll::new(roll));
                    prop_assert!(schedule.due() >= now + Duration::from_millis(100));
                }
                prop_assert!(schedule.due() <= now + s(750));
                now = schedule.due();
            }
        }
    }
}
