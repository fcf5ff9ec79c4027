//! The end, in two steps: everybody is asked to finish, then everybody is stopped.
//!
//! A [`DrainWatch`] is held by every piece of work that must not be cut off; [`Drain::finish`] waits
//! until all of them are gone or the deadline has passed.

use std::time::Duration;

use tokio::sync::watch;

/// How long work that was told to stop at once may take to notice.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What the work is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Serve,
    Finish,
    Stop,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// Everything finished by itself.
    Drained,
    /// The deadline came first, and something was cut off.
    Forced,
}

/// The end that asks.
#[derive(Debug)]
pub struct Drain {
    step: watch::Sender<Step>,
}

/// The end that is asked. While one exists, [`Drain::finish`] waits for it.
#[derive(Clone, Debug)]
pub struct DrainWatch {
    step: watch::Receiver<Step>,
}

/// Makes the pair.
#[must_use]
pub fn drain() -> (Drain, DrainWatch) {
    let (sender, receiver) = watch::channel(Step::Serve);
    (Drain { step: sender }, DrainWatch { step: receiver })
}

// === impl Drain ===

impl Drain {
    /// Asks all work to finish, and stops what has not finished after `deadline`.
    pub async fn finish(self, deadline: Duration) -> Ended {
        self.step.send_replace(Step::Finish);
        if tokio::time::timeout(deadline, self.step.closed())
            .await
            .is_ok()
        {
            return Ended::Drained;
        }
        self.step.send_replace(Step::Stop);
        // Nothing hangs on this: whatever ignores the order dies with the runtime.
        drop(tokio::time::timeout(LAST_MOMENT, self.step.closed()).await);
        Ended::Forced
    }
}

// === impl DrainWatch ===

impl DrainWatch {
    /// Completes when the work should finish what it has and take nothing new.
    pub async fn finish(&mut self) {
        self.reached(Step::Finish).await;
    }

    /// Completes when the work must stop now.
    pub async fn stop(&mut self) {
        self.reached(Step::Stop).await;
    }

    /// Whether nothing new should be begun.
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        *self.step.borrow() != Step::Serve
    }

    async fn reached(&mut self, wanted: Step) {
        loop {
            let step = *self.step.borrow_and_update();
            if step == wanted || step == Step::Stop {
                return;
            }
            // Without the asking end nobody will wait for this work, so it is time to stop.
            if self.step.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_finishes_in_time_is_not_cut_off() {
        let (drain, mut watch) = drain();
        let work = tokio::spawn(async move {
            watch.finish().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            assert!(watch.is_finishing());
        });
        assert_eq!(drain.finish(Duration::from_secs(5)).await, Ended::Drained);
        work.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_too_long_is_stopped_and_said_so() {
        let (drain, mut watch) = drain();
        let work = tokio::spawn(async move { watch.stop().await });
        assert_eq!(drain.finish(Duration::from_secs(5)).await, Ended::Forced);
        work.await.unwrap();
    }
}
