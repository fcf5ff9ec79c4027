//! A stream of HTTP/2 ends when its caller takes nothing of the answer for too long.
//!
//! Over HTTP/1.1 an answer that is not taken is a socket that cannot be written to. Here the caller
//! gives each stream its room (RFC 9113 5.2), and while it gives none, hyper asks the body for nothing:
//! whatever the body would find out about its time and its right, it does not. A body that is asked
//! and has nothing to give looks after itself; this must not interfere with it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a body did when it was asked for more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Body {
    Waited,
    Gave,
}

thread_local! {
    /// Left by the body for [`attended`], which polls it, further up in the same stack.
    static LAST: Cell<Option<Body>> = const { Cell::new(None) };
}

/// Notes that the body of an answer was asked for more, and whether it had to wait itself.
pub fn asked(waits: bool) {
    LAST.set(Some(if waits { Body::Waited } else { Body::Gave }));
}

/// Spawns the streams of a connection, each for as long as its caller takes something within `patience`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    patience: Duration,
}

impl Streams {
    pub(super) const fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(attended(stream, self.patience));
    }
}

/// Runs a stream. Dropped, it is reset.
async fn attended(stream: impl Future<Output = ()>, patience: Duration) {
    let mut stream = pin!(stream);
    let mut stalled = Stalled::default();
    poll_fn(|cx| {
        LAST.set(None);
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        stalled.poll(LAST.take(), patience, cx)
    })
    .await;
}

/// Since when a stream has had bytes and no room for them.
#[derive(Debug, Default)]
struct Stalled {
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stalled {
    /// Ready when it has been so for too long.
    fn poll(&mut self, body: Option<Body>, patience: Duration, cx: &mut Context<'_>) -> Poll<()> {
        match body {
            Some(Body::Waited) => self.since = None,
            Some(Body::Gave) => self.since = Some(Instant::now()),
            // There is no body yet, or no room for what it gave.
            None => {}
        }
        let Some(since) = self.since else {
            return Poll::Pending;
        };
        let deadline = since + patience;
        loop {
            if deadline <= Instant::now() {
                tracing::debug!("nothing of an answer was taken within timeouts.stream_idle");
                return Poll::Ready(());
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            // Only moved when it fires: see `IdleTimer` in `forward`.
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(300);

    /// How long a stream lives whose body does one of these each time that it is polled, every ten
    /// seconds; the last of them for ever.
    async fn life(of: &[Option<bool>]) -> Duration {
        let began = Instant::now();
        let mut steps = of.iter().copied();
        let mut next = Box::pin(sleep_until(began));
        let stream = poll_fn(move |cx| {
            while next.as_mut().poll(cx).is_ready() {
                if let Some(Some(waits)) = steps.next() {
                    asked(waits);
                }
                let later = Instant::now() + Duration::from_secs(10);
                next.as_mut().reset(later);
            }
            Poll::<()>::Pending
        });
        let all = Duration::from_secs(100_000);
        drop(tokio::time::timeout(all, attended(stream, PATIENCE)).await);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_has_its_time_and_what_is_not_there_yet_has_none() {
        let minutes = |of: Duration| of.as_secs() / 60;
        assert_eq!(minutes(life(&[Some(false)]).await), 5);
        assert!(minutes(life(&[]).await) > 1000, "no answer yet");
        assert!(minutes(life(&[Some(true)]).await) > 1000, "the body waits");
        assert!(minutes(life(&[Some(false), Some(true)]).await) > 1000);
        let now_and_then = [Some(false), None, None].repeat(60);
        assert_eq!(minutes(life(&now_and_then).await), 34);
    }
}
