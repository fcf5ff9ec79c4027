//! A moment to wait for that hardly ever comes.
//!
//! Most exchanges are over within milliseconds, and to set a timer for each is to wake the runtime's
//! own thread out of its wait: a system call. Where somebody looks now and then anyway, a timer is set
//! only for a moment that comes before the next look.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::accept::TICK;

/// Goes off once, at its moment.
pub(super) struct CoarseTimer {
    at: Instant,
    /// Whether whoever waits is polled every [`TICK`].
    ticked: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl CoarseTimer {
    pub(super) const fn new(at: Instant, ticked: bool) -> Self {
        let timer = None;
        Self { at, ticked, timer }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.timer {
            return timer.as_mut().poll(cx);
        }
        if self.ticked && self.at.saturating_duration_since(Instant::now()) > TICK {
            return Poll::Pending;
        }
        let timer = self.timer.insert(Box::pin(sleep_until(self.at)));
        timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_at_its_moment_with_ticks_and_without() {
        for (ticked, millis) in [(false, 10), (false, 9_300), (true, 10), (true, 9_300)] {
            let (began, mut ticks) = (Instant::now(), tokio::time::interval(TICK));
            let mut timer = CoarseTimer::new(began + Duration::from_millis(millis), ticked);
            poll_fn(|cx| {
                while ticked && ticks.poll_tick(cx).is_ready() {}
                timer.poll(cx)
            })
            .await;
            let late = began.elapsed() - Duration::from_millis(millis);
            assert!(
                late <= Duration::from_millis(1),
                "{ticked} {millis}: {late:?}"
            );
        }
    }

    #[tokio::test]
    async fn no_timer_is_set_for_what_is_far_away() {
        let mut timer = CoarseTimer::new(Instant::now() + 2 * TICK, true);
        let pending = poll_fn(|cx| Poll::Ready(timer.poll(cx).is_pending())).await;
        assert!(pending && timer.timer.is_none());
    }
}
