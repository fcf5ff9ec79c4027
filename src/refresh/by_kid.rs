//! The task of an issuer whose keys are documents of their own, one for each `kid`: fetches those
//! that tokens name, keeps a few, and asks again for each in time.
//!
//! Who names a key may be a stranger, so what is kept and what is fetched at once is bounded here, and
//! how often is bounded by [`Asking`](super::Asking).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::asking::{Ended, MOST_WANTED, State, Wanted};
use super::obtain::ObtainError;
use super::schedule::Schedule;
use super::{Job, until};
use crate::fetch::{FetchError, Fetched, Tag, fetch};
use crate::jwks::KeyRing;
use crate::model::SecureUrl;
use crate::model::url::Segment;
use crate::reload::Generation;

/// Keys that are kept; the one that came first makes room.
const MOST_KEPT: usize = 64;

/// The task.
#[derive(Debug)]
pub(super) struct ByKid {
    job: Job,
    folder: SecureUrl,
    kept: BTreeMap<Segment, Kept>,
    /// How many were ever kept.
    arrivals: u64,
    under_way: BTreeSet<Segment>,
    fetches: JoinSet<(Segment, Result<Fetched, FetchError>)>,
}

#[derive(Debug)]
struct Kept {
    pem: Bytes,
    tag: Option<Tag>,
    schedule: Schedule,
    arrival: u64,
}

impl ByKid {
    pub(super) fn new(job: Job, folder: SecureUrl) -> Self {
        Self {
            job,
            folder,
            kept: BTreeMap::new(),
            arrivals: 0,
            under_way: BTreeSet::new(),
            fetches: JoinSet::new(),
        }
    }

    /// Works for ever.
    pub(super) async fn run(mut self: Box<Self>) {
        let began = self.job.asking.began();
        let mut wishes = self.job.asking.wishes();
        loop {
            let next = self.next_due();
            tokio::select! {
                Some(fetch) = self.fetches.join_next() => match fetch {
                    Ok((kid, fetched)) => self.settle(&kid, fetched),
                    // Whose fetch it was is not known, so none of them would be tried again.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                asked = wished(&mut wishes, &self.under_way) => {
                    asked.into_iter().for_each(|kid| self.start(kid));
                }
                () = until(began, next) => self.start_due(),
            }
        }
    }

    /// When a kept key ends or is to be asked for again.
    fn next_due(&self) -> Option<Duration> {
        let idle = |(kid, _): &(&Segment, &Kept)| !self.under_way.contains(*kid);
        let may_start = self.under_way.len() < MOST_WANTED;
        let dues = self.kept.iter().filter(idle).filter(|_| may_start);
        let ends = self.kept.values().filter_map(|kept| kept.schedule.ends());
        dues.map(|(_, kept)| kept.schedule.due()).chain(ends).min()
    }

    fn start_due(&mut self) {
        let now = self.job.asking.now();
        let before = self.kept.len();
        let lives = |kept: &Kept| kept.schedule.ends().is_none_or(|end| now < end);
        // SECURITY: guarded by `a_kept_key_ends_when_it_was_not_confirmed_for_too_long`.
        self.kept.retain(|_, kept| lives(kept));
        if self.kept.len() < before
            && let Some(generation) = self.put_in_force()
        {
            self.job.teller.ended(generation, self.kept.len());
        }
        let is_due = |(kid, kept): &(&Segment, &Kept)| {
            kept.schedule.due() <= now && !self.under_way.contains(*kid)
        };
        let room = MOST_WANTED.saturating_sub(self.under_way.len());
        let due = self.kept.iter().filter(is_due).take(room);
        let due: Vec<Segment> = due.map(|(kid, _)| kid.clone()).collect();
        due.into_iter().for_each(|kid| self.start(kid));
    }

    fn start(&mut self, kid: Segment) {
        self.job.asking.begins(&Wanted::Key(kid.clone()));
        self.under_way.insert(kid.clone());
        let keys = Arc::clone(&self.job.keys);
        let url = self.folder.child(&kid);
        let tag = self.kept.get(&kid).and_then(|kept| kept.tag.clone());
        self.fetches.spawn(async move {
            let fetched = fetch(&url, &keys.access, &keys.pace, tag.as_ref()).await;
            (kid, fetched)
        });
    }

    fn settle(&mut self, kid: &Segment, fetched: Result<Fetched, FetchError>) {
        let outcome = match fetched {
            Ok(fetched) => self.good(kid, fetched),
            Err(error) if error.fault.is_absence() => {
                self.absent(kid, &error);
                Ok(())
            }
            Err(FetchError { fault, .. }) => Err(ObtainError::from(FetchError {
                url: self.place(),
                fault,
            })),
        };
        let ended = match outcome {
            Ok(()) => Ended::Answered,
            Err(error) => {
                self.bad(kid, &error);
                Ended::Failed
            }
        };
        self.under_way.remove(kid);
        // Last: whoever waits finds what is published.
        self.job.asking.ended(&Wanted::Key(kid.clone()), ended);
    }

    fn good(&mut self, kid: &Segment, fetched: Fetched) -> Result<(), ObtainError> {
        let now = self.job.asking.now();
        let roll = (self.job.dice)();
        match fetched {
            Fetched::Document {
                body,
                tag,
                freshness,
            } => {
                self.judge(kid, &body)?;
                let kept = self.kept.remove(kid);
                let arrival = kept.map_or(self.arrivals, |kept| kept.arrival);
                let mut schedule = Schedule::new(self.job.keys.pace, now, roll);
                schedule.succeeded(now, freshness.0, roll);
                self.make_room();
                self.arrivals += 1;
                let kept = Kept {
                    pem: body,
                    tag,
                    schedule,
                    arrival,
                };
                self.kept.insert(kid.clone(), kept);
            }
            Fetched::Unchanged { freshness } => {
                if let Some(kept) = self.kept.get_mut(kid) {
                    kept.schedule.succeeded(now, freshness.0, roll);
                }
            }
        }
        match self.put_in_force() {
            Some(generation) => {
                let keys = self.job.asking.keys().current();
                if let Some(ring) = &keys.value {
                    self.job.teller.published(generation, ring, &[]);
                }
            }
            None => self.job.teller.confirmed(self.job.publisher.generation()),
        }
        Ok(())
    }

    /// Whether the text is a key that can be used.
    fn judge(&self, kid: &Segment, pem: &[u8]) -> Result<(), ObtainError> {
        let judged = KeyRing::from_named_pem(kid.text(), pem, &self.job.algorithms);
        judged.map(drop).map_err(|source| ObtainError::Keys {
            url: self.place(),
            source: source.anonymous(),
        })
    }

    /// The URL as the settings have it. The `kid` of a token that was not verified is a stranger's
    /// word, and never told.
    fn place(&self) -> String {
        format!("{}{{kid}}", self.folder)
    }

    /// The server says that there is no such key. Of one that is kept, only 404 and 410 are believed:
    /// a 403 may be about the gate.
    fn absent(&mut self, kid: &Segment, error: &FetchError) {
        self.job.teller.absent();
        if error.fault.is_refusal() && self.kept.contains_key(kid) {
            return self.fail(kid, None);
        }
        self.job.asking.remember(kid.text());
        if self.kept.remove(kid).is_some()
            && let Some(generation) = self.put_in_force()
        {
            self.job.teller.withdrawn(generation, self.kept.len());
        }
    }

    fn bad(&mut self, kid: &Segment, error: &ObtainError) {
        let wish = match error {
            ObtainError::Fetch(error) => error.fault.retry_after(),
            ObtainError::Keys { .. } | ObtainError::Discovery { .. } => None,
        };
        if let Some(wish) = wish {
            self.job.asking.pause(wish);
        }
        self.job.teller.failed(error, !self.kept.is_empty());
        self.fail(kid, wish);
    }

    fn fail(&mut self, kid: &Segment, wish: Option<Duration>) {
        let now = self.job.asking.now();
        if let Some(kept) = self.kept.get_mut(kid) {
            kept.schedule.failed(now, wish, (self.job.dice)());
        }
    }

    fn make_room(&mut self) {
        while self.kept.len() >= MOST_KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.arrival);
            let Some(oldest) = oldest.map(|(kid, _)| kid.clone()) else {
                return;
            };
            self.kept.remove(&oldest);
        }
    }

    /// Puts what is kept into force, if that is another ring. What it means is told by the caller.
    fn put_in_force(&mut self) -> Option<Generation> {
        let pems = self.kept.iter().map(|(kid, kept)| (kid.text(), &*kept.pem));
        let ring = KeyRing::of_pems(pems, &self.job.algorithms);
        let current = self.job.asking.keys().current();
        let in_force = current.value.as_ref();
        let is_other = in_force.is_none_or(|in_force| !in_force.is_same_as(&ring));
        is_other.then(|| self.job.publisher.publish(Some(ring)))
    }
}

/// Completes with the keys that were asked for and are not under way; for ever waiting when nobody
/// can ask any more.
async fn wished(
    wishes: &mut watch::Receiver<State>,
    under_way: &BTreeSet<Segment>,
) -> Vec<Segment> {
    let new = |state: &State| -> Vec<Segment> {
        let keys = state.wanted.iter().filter_map(|wanted| match wanted {
            Wanted::Key(kid) => Some(kid),
            Wanted::Whole => None,
        });
        keys.filter(|kid| !under_way.contains(*kid))
            .cloned()
            .collect()
    };
    let asked = wishes.wait_for(|state| !new(state).is_empty()).await;
    // The lock on the state must not be held while anything is awaited.
    match asked.ok().map(|state| new(&state)) {
        Some(asked) => asked,
        None => std::future::pending().await,
    }
}
