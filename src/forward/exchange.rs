//! What the two directions of one exchange must know of each other: when a byte last moved, whether
//! the request is all out, and why one side was cut off.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::model::Denial;
use crate::settings::TimeoutSettings;

/// Shared by the request body, the response body and the wait for the head.
#[derive(Debug)]
pub(super) struct Exchange {
    started: Instant,
    moved: AtomicU64,
    request_done: AtomicBool,
    too_large: AtomicBool,
    too_slow: AtomicBool,
    stream_idle: Duration,
    whole: Option<Duration>,
}

impl Exchange {
    pub(super) fn begin(timeouts: &TimeoutSettings) -> Self {
        Self {
            started: Instant::now(),
            moved: AtomicU64::new(0),
            request_done: AtomicBool::new(false),
            too_large: AtomicBool::new(false),
            too_slow: AtomicBool::new(false),
            stream_idle: timeouts.stream_idle,
            whole: timeouts.request,
        }
    }

    /// A byte of either body moved.
    pub(super) fn moved(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    /// When a byte last moved.
    pub(super) fn last_moved(&self) -> Instant {
        self.started + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// How long ago it began.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the whole exchange must be over.
    pub(super) fn end(&self) -> Option<Instant> {
        self.whole.map(|whole| self.started + whole)
    }

    pub(super) fn request_is_done(&self) {
        self.request_done.store(true, Ordering::Release);
    }

    /// Whether the upstream has the whole request, so that its connection can take another one.
    pub(super) fn is_request_done(&self) -> bool {
        self.request_done.load(Ordering::Acquire)
    }

    pub(super) fn request_is_too_large(&self) {
        self.too_large.store(true, Ordering::Release);
    }

    pub(super) fn request_is_too_slow(&self) {
        self.too_slow.store(true, Ordering::Release);
    }

    /// Why we cut the request off, if we did. Asked when the upstream's side fails, because that is
    /// where a cut shows.
    pub(super) fn cut(&self) -> Option<Denial> {
        if self.too_large.load(Ordering::Acquire) {
            return Some(Denial::BodyTooLarge);
        }
        self.too_slow
            .load(Ordering::Acquire)
            .then_some(Denial::RequestTooSlow)
    }
}

/// The deadline of one waiting body. Armed only once it has to wait.
#[derive(Debug, Default)]
pub(super) struct IdleTimer(Option<Pin<Box<Sleep>>>);

impl IdleTimer {
    /// Ready when nothing has moved in either direction for `timeouts.stream_idle`, or the whole
    /// exchange has taken `timeouts.request`.
    pub(super) fn poll_expired(&mut self, exchange: &Exchange, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let idle = exchange.last_moved() + exchange.stream_idle;
            let deadline = exchange.end().map_or(idle, |end| end.min(idle));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            let timer = self
                .0
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
            // An armed timer is only moved when it fires: resetting it for each byte would cost more
            // than one wake-up too many for each idle period.
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(deadline);
        }
    }
}
