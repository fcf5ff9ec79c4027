//! The wall clock: the one place that reads it, and the instant that everything else is handed.
//!
//! Checks take a [`Timestamp`] as an argument and never ask for the time themselves, so a test can
//! stand at any second it likes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock as a line of the log says it: the time since 1970-01-01T00:00:00Z. A clock before
/// that reads as zero.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "beside `Timestamp::now`, the one place that reads the wall clock"
)]
pub fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A moment in whole seconds since 1970-01-01T00:00:00Z, which is also RFC 7519's `NumericDate`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `seconds` after the epoch.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Reads the wall clock. A clock before 1970 reads as 1970, at which no certificate and no
    /// token is valid.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// This moment, moved into the future; the far end of time is never passed.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_secs()))
    }

    /// The time from `earlier` to here, or zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |elapsed| elapsed.as_secs()),
        )
    }
}
