//! What the two directions of one exchange must know of each other: when a byte last moved, whether
//! the request is all out, whether its right has ended, and why one side was cut off.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::warrant::Warrant;
use crate::accept::TICK;
use crate::check::Refusal;
use crate::model::Denial;
use crate::settings::TimeoutSettings;

/// An exchange that is older than this is looked after. Most are over long before, and then nothing
/// was spent on it.
const LONG: Duration = Duration::from_millis(500);
const _: () = assert!(LONG.as_millis() > TICK.as_millis());

/// What can wait inside of an exchange, and must be woken when its right ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Request,
    Head,
    Response,
}

/// Shared by the request body, the response body and the wait for the head.
#[derive(Debug)]
pub(super) struct Exchange {
    warrant: Warrant,
    /// Set once somebody looks after the warrant.
    guarded: AtomicBool,
    guard: OnceLock<AbortHandle>,
    ended: OnceLock<Refusal>,
    /// The head of the response is on its way: from here on an end is a cut.
    answered: AtomicBool,
    told: AtomicBool,
    wakers: [AtomicWaker; 3],
    started: Instant,
    moved: AtomicU64,
    request_done: AtomicBool,
    too_large: AtomicBool,
    too_slow: AtomicBool,
    stream_idle: Duration,
    whole: Option<Duration>,
}

impl Exchange {
    pub(super) fn begin(timeouts: &TimeoutSettings, warrant: Warrant) -> Self {
        Self {
            warrant,
            guarded: AtomicBool::new(false),
            guard: OnceLock::new(),
            ended: OnceLock::new(),
            answered: AtomicBool::new(false),
            told: AtomicBool::new(false),
            wakers: [const { AtomicWaker::new() }; 3],
            started: Instant::now(),
            moved: AtomicU64::new(0),
            request_done: AtomicBool::new(false),
            too_large: AtomicBool::new(false),
            too_slow: AtomicBool::new(false),
            stream_idle: timeouts.stream_idle,
            whole: timeouts.request,
        }
    }

    /// A byte of either body has come.
    ///
    /// # Errors
    ///
    /// Why it must not go on. Whoever takes nothing for hours has nobody ask for it meanwhile.
    pub(super) fn moved(self: &Arc<Self>) -> Result<(), Expired> {
        let age = self.started.elapsed();
        let now = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
        self.guard_at(age);
        if let Some(refusal) = self.ended() {
            return Err(Expired::Right(refusal.denial));
        }
        if self.whole.is_some_and(|whole| whole <= age) {
            return Err(Expired::Time);
        }
        Ok(())
    }

    /// For whom and where it runs.
    pub(super) fn warrant(&self) -> &Warrant {
        &self.warrant
    }

    /// When it begins to be looked after; `None` once it is.
    pub(super) fn unguarded_until(&self) -> Option<Instant> {
        (!self.guarded.load(Ordering::Acquire)).then(|| self.started + LONG)
    }

    /// Begins to look after the warrant of an exchange of this age, if it is old enough.
    pub(super) fn guard_at(self: &Arc<Self>, age: Duration) {
        if age < LONG || self.guarded.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(refusal) = self.warrant.judge() {
            self.end_for(refusal);
            return;
        }
        let warrant = self.warrant.clone();
        // Weak: the guard must not keep alive what it looks after.
        let exchange = Arc::downgrade(self);
        let task = tokio::spawn(async move {
            let refusal = warrant.ended_with_mercy().await;
            if let Some(exchange) = exchange.upgrade() {
                exchange.end_for(refusal);
            }
        });
        // It is empty: only the one that swapped comes here.
        drop(self.guard.set(task.abort_handle()));
    }

    fn end_for(&self, refusal: Refusal) {
        drop(self.ended.set(refusal));
        for waker in &self.wakers {
            waker.wake();
        }
    }

    /// Why it must not go on, if its right has ended.
    pub(super) fn ended(&self) -> Option<&Refusal> {
        self.ended.get()
    }

    /// Ready when its right has ended; wakes then, if it is looked after already.
    pub(super) fn poll_ended(&self, side: Side, cx: &Context<'_>) -> Poll<Denial> {
        if self.guarded.load(Ordering::Acquire)
            && let Some(waker) = self.wakers.get(side as usize)
        {
            waker.register(cx.waker());
        }
        // After the registration, so that an end between the two is seen by one of them.
        self.ended()
            .map_or(Poll::Pending, |refusal| Poll::Ready(refusal.denial))
    }

    /// The response's head goes out.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Tells that what was running has been cut off; once, however many sides are cut. Before the
    /// head the refusal is told as any other.
    pub(super) fn tell_cut(&self) {
        if let Some(refusal) = self.ended()
            && self.answered.load(Ordering::Acquire)
            && !self.told.swap(true, Ordering::AcqRel)
        {
            self.warrant.tell(refusal, self.age());
        }
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
        if let Some(refusal) = self.ended() {
            return Some(refusal.denial);
        }
        if self.too_large.load(Ordering::Acquire) {
            return Some(Denial::BodyTooLarge);
        }
        self.too_slow
            .load(Ordering::Acquire)
            .then_some(Denial::RequestTooSlow)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(guard) = self.guard.get() {
            guard.abort();
        }
    }
}

/// Why a body that waits must not wait on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expired {
    /// A deadline has passed.
    Time,
    /// The exchange's right has ended.
    Right(Denial),
}

/// The deadline of one waiting body. Armed only once it has to wait.
#[derive(Debug, Default)]
pub(super) struct IdleTimer(Option<Pin<Box<Sleep>>>);

impl IdleTimer {
    /// Ready when nothing has moved in either direction for `timeouts.stream_idle`, the whole
    /// exchange has taken `timeouts.request`, or its right has ended.
    pub(super) fn poll_expired(
        &mut self,
        exchange: &Arc<Exchange>,
        side: Side,
        cx: &mut Context<'_>,
    ) -> Poll<Expired> {
        loop {
            if exchange.unguarded_until().is_some() {
                exchange.guard_at(exchange.age());
            }
            if let Poll::Ready(denial) = exchange.poll_ended(side, cx) {
                return Poll::Ready(Expired::Right(denial));
            }
            let idle = exchange.last_moved() + exchange.stream_idle;
            let deadline = exchange.end().map_or(idle, |end| end.min(idle));
            if deadline <= Instant::now() {
                return Poll::Ready(Expired::Time);
            }
            let deadline = exchange
                .unguarded_until()
                .map_or(deadline, |look| look.min(deadline));
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
