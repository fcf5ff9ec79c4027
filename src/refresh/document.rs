//! The task of an issuer whose keys are one document: fetches it in time and when asked, publishes
//! what differs, and takes back what was not confirmed for too long.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::asking::{Ended, State, Wanted};
use super::obtain::{Memory, ObtainError, Obtained, obtain};
use super::schedule::Schedule;
use super::{Job, until};
use crate::settings::DocumentPlace;

/// The task.
#[derive(Debug)]
pub(super) struct Document {
    job: Job,
    place: DocumentPlace,
    schedule: Schedule,
    memory: Memory,
}

impl Document {
    pub(super) fn new(job: Job, place: DocumentPlace) -> Self {
        let now = job.asking.now();
        let mut schedule = Schedule::new(job.keys.pace, now, (job.dice)());
        if job.asking.keys().current().value.is_some() {
            // SECURITY: guarded by `another_configuration_gives_the_same_keys_no_longer_life`.
            let confirmed = job.asking.confirmed();
            let age = confirmed.map_or(Duration::MAX, |confirmed| confirmed.elapsed());
            schedule = schedule.serving(now, age);
        }
        Self {
            job,
            place,
            schedule,
            memory: Memory::default(),
        }
    }

    /// When the keys in force end, unless a fetch confirms them before.
    #[cfg(test)]
    pub(super) const fn ends(&self) -> Option<Duration> {
        self.schedule.ends()
    }

    #[cfg(test)]
    pub(super) fn load_dice(&mut self, dice: fn() -> super::Roll) {
        self.job.dice = dice;
    }

    /// Works for ever.
    pub(super) async fn run(mut self: Box<Self>) {
        let began = self.job.asking.began();
        let mut wishes = self.job.asking.wishes();
        loop {
            tokio::select! {
                // An end that is due comes before the fetch that is due with it: a fetch takes time.
                biased;
                () = until(began, self.schedule.ends()) => self.end(),
                () = until(began, Some(self.schedule.due())) => self.round().await,
                true = wished(&mut wishes) => self.round().await,
            }
        }
    }

    async fn round(&mut self) {
        self.job.asking.begins(&Wanted::Whole);
        let ended = match self.obtain().await {
            Ok(obtained) => self.good(obtained),
            Err(error) => self.bad(&error),
        };
        // Last: whoever waits finds what is published.
        self.job.asking.ended(&Wanted::Whole, ended);
    }

    /// Obtains the keys. Those in force end in time, however long that takes.
    async fn obtain(&mut self) -> Result<Obtained, ObtainError> {
        let (began, ends) = (self.job.asking.began(), self.schedule.ends());
        let keys = Arc::clone(&self.job.keys);
        let (iss, algorithms) = (self.job.iss.clone(), self.job.algorithms.clone());
        let place = self.place.clone();
        let expected = (&*iss, &*algorithms);
        let mut memory = std::mem::take(&mut self.memory);
        let now = self.job.asking.now();
        let outcome = {
            let mut fetching = pin!(obtain(&place, &keys, expected, &mut memory, now));
            tokio::select! {
                obtained = &mut fetching => Ok(obtained),
                () = until(began, ends) => {
                    self.end();
                    Err(fetching.await)
                }
            }
        };
        let obtained = match outcome {
            Ok(obtained) | Err(obtained @ Ok(Obtained { ring: Some(_), .. })) => obtained,
            // What the server calls unchanged is gone, so it is asked for the whole of it.
            Err(Ok(_)) => {
                memory.forget();
                obtain(&place, &keys, expected, &mut memory, now).await
            }
            Err(Err(error)) => {
                memory.forget();
                Err(error)
            }
        };
        self.memory = memory;
        obtained
    }

    fn good(&mut self, obtained: Obtained) -> Ended {
        let job = &mut self.job;
        let current = job.asking.keys().current();
        match obtained.ring {
            Some((ring, warnings))
                if !current
                    .value
                    .as_ref()
                    .is_some_and(|in_force| in_force.is_same_as(&ring)) =>
            {
                let told = job.asking.keys().clone();
                let generation = job.publisher.publish(Some(ring));
                if let Some(ring) = &told.current().value {
                    job.teller.published(generation, ring, &warnings);
                }
            }
            // The same keys make no new generation: verdicts that are remembered stay good.
            Some(_) | None => job.teller.confirmed(current.generation),
        }
        let roll = (job.dice)();
        self.schedule
            .succeeded(job.asking.now(), obtained.freshness.0, roll);
        Ended::Answered
    }

    fn bad(&mut self, error: &ObtainError) -> Ended {
        let job = &mut self.job;
        let wish = match error {
            ObtainError::Fetch(error) => error.fault.retry_after(),
            ObtainError::Keys { .. } | ObtainError::Discovery { .. } => None,
        };
        let has_keys = job.asking.keys().current().value.is_some();
        job.teller.failed(error, has_keys);
        let now = job.asking.now();
        self.schedule.failed(now, wish, (job.dice)());
        // Requests must not undo the back-off: ten thousand gates that ask whenever their cooldown
        // allows keep a slow server from ever getting up (docs/explanation/fleet.md).
        job.asking.pause(self.schedule.due().saturating_sub(now));
        Ended::Failed
    }

    /// The keys were not confirmed for too long: from here on there are none.
    fn end(&mut self) {
        self.schedule
            .ended(self.job.asking.now(), (self.job.dice)());
        self.memory.forget();
        // SECURITY: guarded by `keys_that_were_not_confirmed_for_too_long_are_not_used`.
        let generation = self.job.publisher.publish(None);
        self.job.teller.ended(generation, 0);
    }
}

/// Completes when somebody has asked; `false` when nobody can any more.
async fn wished(wishes: &mut watch::Receiver<State>) -> bool {
    // A function of its own, so that the lock on the state is not held while it is answered.
    let asked = wishes.wait_for(|state| !state.wanted.is_empty()).await;
    asked.is_ok()
}
