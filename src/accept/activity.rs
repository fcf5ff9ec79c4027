//! When was this connection last of use? One per connection, read by its watchdog.
//!
//! Two deadlines come from it: a header that has begun must end (`timeouts.header_read`), and a
//! connection without a request is closed (`timeouts.idle`). hyper's own header timer cannot tell
//! the two apart. And a connection that is quiet may rest (`park`). A request costs a few atomic writes
//! here and no timer.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The marker for "no header has begun".
const NONE: u64 = u64::MAX;

/// What the connection is doing, in milliseconds since it opened.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    in_flight: AtomicU32,
    idle_since: AtomicU64,
    header_since: AtomicU64,
    stalled_since: AtomicU64,
    /// Bytes were written of which some may not be out.
    unsent: AtomicBool,
    /// hyper is to be taken off the stream without closing it.
    kept_open: AtomicBool,
}

/// The deadlines that apply to a connection between requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// For HTTP/1.1 only: HTTP/2 has bytes that are no header at any time.
    pub(super) header_read: Option<Duration>,
    pub(super) idle: Duration,
    /// For an answer that the caller does not take.
    pub(super) stalled: Duration,
}

/// What a look at the connection says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Look {
    /// Look again after this long.
    Again(Duration),
    /// No request came for too long, or nothing of an answer was taken.
    Idle,
    /// A header began and did not end.
    SlowHeader,
}

/// Counts one request or upgraded stream as in flight until it is dropped.
#[derive(Debug)]
pub struct InFlight(std::sync::Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Self {
        Self {
            opened: Instant::now(),
            in_flight: AtomicU32::new(0),
            idle_since: AtomicU64::new(0),
            header_since: AtomicU64::new(NONE),
            stalled_since: AtomicU64::new(NONE),
            unsent: AtomicBool::new(false),
            kept_open: AtomicBool::new(false),
        }
    }

    /// A request's head is complete.
    pub(super) fn begin(self: &std::sync::Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.header_since.store(NONE, Ordering::Release);
        InFlight(std::sync::Arc::clone(self))
    }

    /// Bytes came in.
    pub(super) fn received(&self) {
        let waiting = self.in_flight.load(Ordering::Acquire) == 0;
        if waiting && self.header_since.load(Ordering::Acquire) == NONE {
            self.header_since.store(self.now(), Ordering::Release);
        }
    }

    /// Bytes went out, or there was no room for a single one.
    pub(super) fn wrote(&self, stalled: bool) {
        let noted = self.stalled_since.load(Ordering::Acquire) != NONE;
        if stalled != noted {
            let since = if stalled { self.now() } else { NONE };
            self.stalled_since.store(since, Ordering::Release);
        }
        self.unsent.store(true, Ordering::Release);
    }

    /// What was written was to go out, and did or did not.
    pub(super) fn flushed(&self, all: bool) {
        if all {
            self.unsent.store(false, Ordering::Release);
        }
    }

    /// Whether for so long there has been no request, no part of one, and nothing left to send.
    pub(super) fn is_quiet_for(&self, long: Duration) -> bool {
        let idle = || {
            let since = self.idle_since.load(Ordering::Acquire);
            Duration::from_millis(self.now().saturating_sub(since))
        };
        self.in_flight.load(Ordering::Acquire) == 0
            && self.header_since.load(Ordering::Acquire) == NONE
            && self.stalled_since.load(Ordering::Acquire) == NONE
            && !self.unsent.load(Ordering::Acquire)
            && idle() >= long
    }

    /// Whether the end of the stream, when hyper asks for it, is to be kept from it.
    pub(super) fn keep_open(&self, open: bool) {
        self.kept_open.store(open, Ordering::Release);
    }

    pub(super) fn is_kept_open(&self) -> bool {
        self.kept_open.load(Ordering::Acquire)
    }

    /// Judges the connection by `deadlines`.
    pub(super) fn look(&self, deadlines: Deadlines) -> Look {
        let longest = deadlines.idle.min(deadlines.stalled);
        let soonest = deadlines
            .header_read
            .map_or(longest, |read| read.min(longest));
        let header = self.header_since.load(Ordering::Acquire);
        let stalled = self.stalled_since.load(Ordering::Acquire);
        let (since, limit, expired) = match deadlines.header_read {
            _ if self.in_flight.load(Ordering::Acquire) > 0 => {
                if stalled == NONE {
                    return Look::Again(soonest);
                }
                (stalled, deadlines.stalled, Look::Idle)
            }
            Some(limit) if header != NONE => (header, limit, Look::SlowHeader),
            _ => (
                self.idle_since.load(Ordering::Acquire),
                deadlines.idle,
                Look::Idle,
            ),
        };
        let waited = Duration::from_millis(self.now().saturating_sub(since));
        match limit.checked_sub(waited) {
            // A header may begin at any time from now, so never sleep longer than it may take.
            Some(left) if !left.is_zero() => Look::Again(left.min(soonest)),
            _ => expired,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NONE - 1)
    }
}

impl InFlight {
    /// One more, for what goes on after the answer.
    #[must_use]
    pub fn another(&self) -> Self {
        self.0.begin()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        let fall = |count: u32| {
            // Before the count falls to zero, so that the watchdog never sees none in flight with an
            // old time; and only then, for it costs a look at the clock.
            if count == 1 {
                activity.idle_since.store(activity.now(), Ordering::Release);
            }
            count.checked_sub(1)
        };
        let fallen = activity
            .in_flight
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fall);
        debug_assert!(fallen.is_ok(), "each of them is counted");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        header_read: Some(Duration::from_secs(10)),
        idle: Duration::from_secs(300),
        stalled: Duration::from_secs(300),
    };

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_began_has_ten_seconds_and_a_silent_connection_five_minutes() {
        let activity = Activity::new();
        pass(299).await;
        assert!(matches!(activity.look(DEADLINES), Look::Again(_)));
        pass(1).await;
        assert_eq!(activity.look(DEADLINES), Look::Idle);

        let activity = Activity::new();
        pass(100).await;
        activity.received();
        pass(9).await;
        activity.received();
        assert_eq!(
            activity.look(DEADLINES),
            Look::Again(Duration::from_secs(1))
        );
        pass(1).await;
        assert_eq!(activity.look(DEADLINES), Look::SlowHeader);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_of_which_nothing_is_taken_has_five_minutes() {
        let activity = Arc::new(Activity::new());
        let _request = activity.begin();
        pass(1000).await;
        activity.wrote(true);
        pass(299).await;
        activity.wrote(true);
        assert_eq!(
            activity.look(DEADLINES),
            Look::Again(Duration::from_secs(1))
        );
        activity.wrote(false);
        activity.wrote(true);
        pass(299).await;
        assert!(matches!(activity.look(DEADLINES), Look::Again(_)));
        pass(1).await;
        assert_eq!(activity.look(DEADLINES), Look::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_with_a_request_in_flight_is_never_too_old() {
        let activity = Arc::new(Activity::new());
        activity.received();
        let request = activity.begin();
        pass(10_000).await;
        activity.received();
        assert!(matches!(activity.look(DEADLINES), Look::Again(_)));
        drop(request);
        assert!(
            matches!(activity.look(DEADLINES), Look::Again(_)),
            "idle counts from its end"
        );
        pass(300).await;
        assert_eq!(activity.look(DEADLINES), Look::Idle);
    }
}
