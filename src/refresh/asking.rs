//! A request whose token names a key that is not there asks for it, and learns whether to be judged
//! again.
//!
//! Strangers cause this, so all of it is bounded: one fetch at a time for all who ask for the same,
//! and not more of them than a cooldown allows; few who wait, and not for long; a fixed number of
//! names remembered that a fetch did not bring. No name gets into a text or a label.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::bucket::Bucket;
use crate::jwks::KeyRing;
use crate::model::url::Segment;
use crate::observe::{Metrics, UnknownKid};
use crate::reload::Reader;
use crate::settings::Pace;

/// Requests of one issuer that wait at once.
const MOST_WAITING: usize = 100;
/// Names remembered that a fetch did not bring.
const MOST_UNKNOWN: usize = 1024;
/// Keys that are fetched at once, where each is a document of its own.
pub(super) const MOST_WANTED: usize = 8;
/// Fetches for the sake of unknown keys before the cooldown begins, where each is one of its own:
/// a few real ones may come at once after a start.
const BURST: u32 = 4;

/// What to do with the refusal that made a request ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// The key is there now: judge again.
    Found,
    /// It stands: the key is unknown.
    Unknown,
    /// The only place that could know the key does not answer.
    Unavailable,
}

/// Whether all keys are one document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// All of them.
    Whole,
    /// Each is one of its own.
    ByKid,
}

/// What is to be fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// The document.
    Whole,
    /// The document of this key.
    Key(Segment),
}

/// How a fetch ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// The server answered: what is not there now is unknown.
    Answered,
    /// It did not, or with nothing that could be used.
    Failed,
}

/// Where the requests of one issuer ask.
#[derive(Debug)]
pub struct Asking {
    issuer: Arc<str>,
    keys: Reader<Option<KeyRing>>,
    kind: Kind,
    pace: Pace,
    state: watch::Sender<State>,
    waiting: Semaphore,
    /// Hashes of names, keyed by chance so that nobody can aim at another's, and until when.
    unknown: Cache<u64, Duration>,
    /// Of those that are documents of their own, the ones whose last fetch failed.
    failed: Cache<u64, ()>,
    hasher: ahash::RandomState,
    began: Instant,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
pub(super) struct State {
    /// Being fetched, or about to be.
    pub(super) wanted: Vec<Wanted>,
    /// How many fetches were answered.
    answered: u64,
    /// Whether the last one was not.
    failing: bool,
    /// When the last one was: until then at least, the keys were the issuer's.
    confirmed: Option<Instant>,
    /// Whether nobody fetches any more.
    over: bool,
    bucket: Bucket,
}

/// A place among those who wait.
#[derive(Clone, Copy, Debug)]
struct Joined {
    /// How many fetches were answered before.
    before: u64,
    /// Whether the fetch begins after this.
    causes: bool,
}

impl Asking {
    pub(super) fn new(
        issuer: &Arc<str>,
        keys: Reader<Option<KeyRing>>,
        pace: Pace,
        kind: Kind,
        confirmed: Option<Instant>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let burst = match kind {
            Kind::Whole => 1,
            Kind::ByKid => BURST,
        };
        let (state, _) = watch::channel(State {
            wanted: Vec::new(),
            answered: 0,
            failing: false,
            confirmed,
            over: false,
            bucket: Bucket::new(burst, pace.cooldown),
        });
        Self {
            issuer: Arc::clone(issuer),
            keys,
            kind,
            pace,
            state,
            waiting: Semaphore::new(MOST_WAITING),
            unknown: Cache::new(MOST_UNKNOWN),
            failed: Cache::new(MOST_UNKNOWN),
            hasher: ahash::RandomState::new(),
            began: Instant::now(),
            metrics,
        }
    }

    /// Asks for a key that was not there, and waits for the fetch, if there is one.
    pub async fn ask(&self, kid: &str) -> Asked {
        let outcome = self.outcome(kid).await;
        self.metrics.unknown_kid(&self.issuer, outcome);
        match outcome {
            UnknownKid::Found => Asked::Found,
            UnknownKid::Failed | UnknownKid::Slow | UnknownKid::Cooldown
                if self.is_open(kid, outcome) =>
            {
                Asked::Unavailable
            }
            UnknownKid::Failed
            | UnknownKid::Slow
            | UnknownKid::Cooldown
            | UnknownKid::Crowded
            | UnknownKid::Remembered
            | UnknownKid::Unfit
            | UnknownKid::Unknown => Asked::Unknown,
        }
    }

    /// Whether nobody has said anything about this key. Where each is a document of its own, a server
    /// that does not answer leaves the question open. A whole document that lacks the key has answered
    /// it, also if it is an older one.
    fn is_open(&self, kid: &str, outcome: UnknownKid) -> bool {
        let state = self.state.borrow();
        let is_asked = outcome != UnknownKid::Cooldown;
        // SECURITY: guarded by `a_made_up_kid_does_not_close_the_question_of_another`. What the server
        // says of one key is nothing that it says of another.
        let is_failing = state.failing || self.failed.get(&self.hash(kid)).is_some();
        state.over || (self.kind == Kind::ByKid && (is_asked || is_failing))
    }

    async fn outcome(&self, kid: &str) -> UnknownKid {
        if self.has(kid) {
            return UnknownKid::Found;
        }
        let wanted = match self.kind {
            Kind::Whole => Wanted::Whole,
            Kind::ByKid => match Segment::parse(kid) {
                Some(segment) => Wanted::Key(segment),
                None => return UnknownKid::Unfit,
            },
        };
        if self.remembers(kid) {
            return UnknownKid::Remembered;
        }
        // SECURITY: guarded by `a_flood_of_made_up_kids_costs_the_server_a_handful_of_fetches`.
        let Ok(_place) = self.waiting.try_acquire() else {
            return UnknownKid::Crowded;
        };
        let mut fetches = self.state.subscribe();
        let Some(Joined { before, causes }) = self.join(&wanted) else {
            return UnknownKid::Cooldown;
        };
        let is_over = |state: &State| state.over || !state.wanted.contains(&wanted);
        let answered = match timeout(self.pace.patience, fetches.wait_for(is_over)).await {
            // The fetching itself has ended, with a configuration that is no more.
            Ok(Ok(state)) if state.over => return UnknownKid::Failed,
            Ok(Ok(state)) => state.answered,
            Ok(Err(_)) | Err(_) => return UnknownKid::Slow,
        };
        if self.has(kid) {
            return UnknownKid::Found;
        }
        let is_answered = self.kind == Kind::Whole && answered > before;
        // A fetch that had begun already may have left just before the key came.
        if is_answered && causes {
            self.remember(kid);
        }
        if is_answered || self.remembers(kid) {
            UnknownKid::Unknown
        } else {
            UnknownKid::Failed
        }
    }

    /// Joins those who wait for this fetch, or causes it.
    fn join(&self, wanted: &Wanted) -> Option<Joined> {
        let now = self.now();
        let mut joined = None;
        self.state.send_if_modified(|state| {
            let is_fetched = state.wanted.contains(wanted);
            let has_room = state.wanted.len() < MOST_WANTED;
            let causes = !is_fetched && has_room && state.bucket.take(now);
            if causes {
                state.wanted.push(wanted.clone());
            }
            joined = (is_fetched || causes).then_some(Joined {
                before: state.answered,
                causes,
            });
            causes
        });
        joined
    }

    fn has(&self, kid: &str) -> bool {
        let keys = self.keys.current();
        keys.value.as_ref().is_some_and(|ring| ring.knows(kid))
    }

    fn remembers(&self, kid: &str) -> bool {
        let until = self.unknown.get(&self.hash(kid));
        until.is_some_and(|until| self.now() < until)
    }

    /// Lets this name cause no fetch for a while.
    pub(super) fn remember(&self, kid: &str) {
        let until = self.now().saturating_add(self.pace.unknown_kept);
        self.unknown.insert(self.hash(kid), until);
    }

    fn hash(&self, kid: &str) -> u64 {
        self.hasher.hash_one(kid)
    }

    #[cfg(test)]
    pub(super) fn is_remembered(&self, kid: &str) -> bool {
        self.remembers(kid)
    }

    // --- The task's side ---

    /// The time of the schedules: since this was made.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// When the server was last heard.
    pub(super) fn confirmed(&self) -> Option<Instant> {
        self.state.borrow().confirmed
    }

    /// What is in force.
    pub(super) fn keys(&self) -> &Reader<Option<KeyRing>> {
        &self.keys
    }

    /// To hear of wishes.
    pub(super) fn wishes(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Nobody fetches any more: whoever waits is told so.
    pub(super) fn over(&self) {
        self.state.send_modify(|state| state.over = true);
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.borrow().over
    }

    /// A fetch begins that nobody asked for: whoever asks now waits for it.
    pub(super) fn begins(&self, wanted: &Wanted) {
        self.state.send_if_modified(|state| {
            let is_new = !state.wanted.contains(wanted);
            if is_new {
                state.wanted.push(wanted.clone());
            }
            is_new
        });
    }

    /// A fetch is over, and what it brought is published.
    pub(super) fn ended(&self, wanted: &Wanted, ended: Ended) {
        if let Wanted::Key(kid) = wanted {
            let kid = self.hash(kid.text());
            match ended {
                Ended::Answered => drop(self.failed.remove(&kid)),
                Ended::Failed => self.failed.insert(kid, ()),
            }
        }
        self.state.send_modify(|state| {
            state.wanted.retain(|one| one != wanted);
            state.failing = ended == Ended::Failed;
            if ended == Ended::Answered {
                state.answered += 1;
                state.confirmed = Some(Instant::now());
            }
        });
    }

    /// The server is to be left alone: no request causes a fetch for so long.
    pub(super) fn pause(&self, wish: Duration) {
        let until = self.now().saturating_add(wish.min(self.pace.refresh));
        self.state.send_modify(|state| state.bucket.pause(until));
    }
}
