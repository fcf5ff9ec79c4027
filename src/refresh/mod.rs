//! An issuer's keys by URL: fetched in time, kept while the server is away, and asked for anew when a
//! token names a key that is not there.
//!
//! [`Schedule`] says when, [`Asking`] lets requests ask, and one task for each issuer does it and
//! publishes the [`KeyRing`]. What cannot be used changes nothing: the last good ring stays until it
//! is too old, and then there is none, which is 503 and never a judgement.

mod asking;
mod bucket;
mod by_kid;
mod document;
mod obtain;
mod schedule;
mod tell;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

pub use self::asking::{Asked, Asking};
pub use self::bucket::Bucket;
pub use self::obtain::{DiscoveryFault, ObtainError, Seen, look};
pub use self::schedule::{Roll, Schedule};

use self::asking::Kind;
use self::by_kid::ByKid;
use self::document::Document;
use self::tell::Teller;
use crate::jwks::KeyRing;
use crate::model::{Algorithm, Timestamp};
use crate::observe::{Metrics, Reloads};
use crate::reload::{Publisher, Reader, live};
use crate::settings::{IssuerIndex, IssuerSettings, KeySource, RemoteKeys, RemotePlace};

/// What is told to whom, and where time and chance come from.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// For the counters.
    pub metrics: Arc<Metrics>,
    /// For the status page.
    pub reloads: Reloads,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// Random numbers.
    pub dice: fn() -> Roll,
}

/// The fetching of one issuer's keys; it ends when this is dropped.
#[derive(Debug)]
pub struct Remote {
    reader: Reader<Option<KeyRing>>,
    asking: Arc<Asking>,
    waiting: Option<Task>,
    running: JoinSet<()>,
}

/// Whom a request may ask about a key that is not there: by issuer, for those whose keys are fetched.
#[derive(Debug, Default)]
pub struct Demand {
    issuers: Vec<Option<Arc<Asking>>>,
}

#[derive(Debug)]
enum Task {
    Document(Box<Document>),
    ByKid(Box<ByKid>),
}

/// What every task works with.
#[derive(Debug)]
struct Job {
    /// The `iss` of the issuer's tokens; empty, which no metadata fits, where it need not have one.
    iss: String,
    algorithms: Vec<Algorithm>,
    keys: Arc<RemoteKeys>,
    publisher: Publisher<Option<KeyRing>>,
    asking: Arc<Asking>,
    teller: Teller,
    dice: fn() -> Roll,
}

// === impl Remote ===

impl Remote {
    /// Prepares the fetching for an issuer; `None` for one whose keys are files. `before` is the
    /// fetching from the same place that this one takes over from: its keys serve until the first
    /// fetch, if they are one document.
    #[must_use]
    pub fn prepare(
        issuer: &IssuerSettings,
        before: Option<&Self>,
        around: &Surroundings,
    ) -> Option<Self> {
        let KeySource::Remote(keys) = &issuer.keys else {
            return None;
        };
        // Keys that are fetched by name are never all there, and none of them is missing before it
        // is named.
        let (kind, first) = match &keys.place {
            RemotePlace::Document(_) => {
                let serving = before.and_then(|before| before.reader.current().value.clone());
                (Kind::Whole, serving)
            }
            RemotePlace::ByKid { .. } => {
                let none_yet = KeyRing::of_pems([], &issuer.algorithms);
                (Kind::ByKid, Some(none_yet))
            }
        };
        let (publisher, reader) = live(first);
        let metrics = Arc::clone(&around.metrics);
        let confirmed = before.and_then(|before| before.asking.confirmed());
        let asking = Asking::new(
            &issuer.name,
            reader.clone(),
            keys.pace,
            kind,
            confirmed,
            metrics,
        );
        let asking = Arc::new(asking);
        let job = Job {
            iss: issuer.maker.issuer().unwrap_or_default().to_owned(),
            algorithms: issuer.algorithms.clone(),
            keys: Arc::new(RemoteKeys::clone(keys)),
            publisher,
            asking: Arc::clone(&asking),
            teller: Teller::new(&issuer.name, around),
            dice: around.dice,
        };
        let task = match &keys.place {
            RemotePlace::ByKid { folder } => Task::ByKid(Box::new(ByKid::new(job, folder.clone()))),
            RemotePlace::Document(place) => {
                Task::Document(Box::new(Document::new(job, place.clone())))
            }
        };
        Some(Self {
            reader,
            asking,
            waiting: Some(task),
            running: JoinSet::new(),
        })
    }

    /// Starts it on the current runtime, once.
    pub fn begin(&mut self) {
        match self.waiting.take() {
            Some(Task::Document(task)) => self.running.spawn(task.run()),
            Some(Task::ByKid(task)) => self.running.spawn(task.run()),
            None => return,
        };
    }

    /// Whether it has ended by a fault in the gate, and fetches nothing any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.asking.is_over()
    }

    /// The keys.
    #[must_use]
    pub fn reader(&self) -> Reader<Option<KeyRing>> {
        self.reader.clone()
    }

    /// Where to ask for one that is not there.
    #[must_use]
    pub fn asking(&self) -> Arc<Asking> {
        Arc::clone(&self.asking)
    }
}

// === impl Job ===

impl Drop for Job {
    fn drop(&mut self) {
        self.asking.over();
        if std::thread::panicking() {
            // SECURITY: guarded by `keys_end_where_their_fetching_breaks`. Nobody is left who would
            // end them in time.
            let generation = self.publisher.publish(None);
            self.teller.broke(generation);
        }
    }
}

// === impl Demand ===

impl Demand {
    /// One for each issuer, in the order of the settings.
    #[must_use]
    pub fn of(issuers: Vec<Option<Arc<Asking>>>) -> Self {
        Self { issuers }
    }

    /// Has the keys of an issuer fetched for the sake of this `kid`, if that may be, and waits for it
    /// a while.
    pub async fn ask(&self, issuer: IssuerIndex, kid: &str) -> Asked {
        match self.issuers.get(usize::from(issuer.0)) {
            Some(Some(asking)) => asking.ask(kid).await,
            Some(None) | None => Asked::Unknown,
        }
    }
}

/// What an issuer's keys are called in metrics and on the status page.
#[must_use]
pub fn object(issuer: &str) -> String {
    format!("keys/{issuer}")
}

/// Completes at this time of `began`'s count; never, without one.
async fn until(began: Instant, at: Option<Duration>) {
    match at.and_then(|at| began.checked_add(at)) {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
