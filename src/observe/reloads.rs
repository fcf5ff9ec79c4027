//! Which edition of each reloadable object is in force, since when, and whether a newer one failed.
//!
//! Behind `/status` and the reload metrics. Error texts name files and reasons, never their content.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use super::metrics::Metrics;
use crate::model::Timestamp;

/// The state of every object. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloads {
    objects: Arc<ArcSwap<BTreeMap<String, State>>>,
    watched: Arc<ArcSwap<Watched>>,
    known: Arc<ArcSwap<KnownNames>>,
    metrics: Arc<Metrics>,
}

/// Whether a reason was told already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// The same, the last time.
    Before,
    /// Not yet.
    New,
}

/// What is in report mode, by its name in the configuration.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Watched {
    /// Issuers.
    pub issuers: Vec<Arc<str>>,
    /// Routes.
    pub routes: Vec<Arc<str>>,
}

/// Who is in the configuration in force, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KnownNames {
    /// Peers.
    pub peers: Vec<Arc<str>>,
    /// Issuers.
    pub issuers: Vec<Arc<str>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    generation: u64,
    loaded: u64,
    stale: Option<Stale>,
}

#[derive(Clone, Debug)]
struct Stale {
    since: u64,
    why: Arc<str>,
}

impl Reloads {
    /// Nothing is loaded yet.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            objects: Arc::default(),
            watched: Arc::default(),
            known: Arc::default(),
            metrics,
        }
    }

    /// An edition of `object` came into force.
    pub fn loaded(&self, object: &str, generation: u64, now: Timestamp) {
        self.metrics.set_generation(object, generation);
        self.metrics.reloaded(object, true);
        self.metrics.set_stale_since(object, None);
        self.change(object, |_| State {
            generation,
            loaded: now.unix(),
            stale: None,
        });
    }

    /// What was in force was taken back, which is an edition too. Nothing came: whatever could not be
    /// used before still cannot.
    pub fn taken_back(&self, object: &str, generation: u64) {
        self.metrics.set_generation(object, generation);
        self.change(object, |state| State {
            generation,
            ..state
        });
    }

    /// A newer edition could not be used. The time of the first failure stays until one can.
    /// Says whether the reason is another than before.
    pub fn failed(&self, object: &str, why: &str, now: Timestamp) -> Told {
        let before = self
            .objects
            .load()
            .get(object)
            .and_then(|state| state.stale.clone());
        let told = match before {
            Some(stale) if *stale.why == *why => Told::Before,
            Some(_) | None => Told::New,
        };
        let why: Arc<str> = why.into();
        let since = self.change(object, |state| {
            let since = state
                .stale
                .as_ref()
                .map_or_else(|| now.unix(), |stale| stale.since);
            State {
                stale: Some(Stale {
                    since,
                    why: Arc::clone(&why),
                }),
                ..state
            }
        });
        let since = since.stale.map(|stale| Timestamp::from_unix(stale.since));
        self.metrics.reloaded(object, false);
        self.metrics.set_stale_since(object, since);
        told
    }

    /// Only these are still configured: what was told of others is over.
    pub fn keep_only(&self, objects: &[String]) {
        let is_over = |object: &String| !objects.contains(object);
        for object in self.objects.load().keys().filter(|object| is_over(object)) {
            self.metrics.forget_object(object);
        }
        self.objects.rcu(|all| {
            let mut kept = BTreeMap::clone(all);
            kept.retain(|object, _| !is_over(object));
            kept
        });
    }

    /// This is in report mode from now on, and nothing else.
    pub fn watch_only(&self, watched: Watched) {
        self.metrics
            .set_report_mode(watched.issuers.len(), watched.routes.len());
        self.watched.store(Arc::new(watched));
    }

    /// For `/status`: what is in report mode.
    #[must_use]
    pub fn watched(&self) -> Value {
        let watched = self.watched.load();
        json!({ "issuers": names(&watched.issuers), "routes": names(&watched.routes) })
    }

    /// These are known from now on, and nobody else.
    pub fn know_only(&self, known: KnownNames) {
        self.known.store(Arc::new(known));
    }

    /// For `/status`: the names of all peers, and of all issuers.
    #[must_use]
    pub fn known(&self) -> [(&'static str, Value); 2] {
        let known = self.known.load();
        [
            ("peers", names(&known.peers)),
            ("issuers", names(&known.issuers)),
        ]
    }

    /// For `/status`.
    #[must_use]
    pub fn shown(&self) -> Value {
        let shown = |(name, state): (&String, &State)| {
            let stale = state.stale.as_ref();
            let stale = stale.map(|stale| json!({ "since": stale.since, "why": &*stale.why }));
            let value = json!({
                "generation": state.generation,
                "loaded": state.loaded,
                "stale": stale,
            });
            (name.clone(), value)
        };
        Value::Object(self.objects.load().iter().map(shown).collect())
    }

    fn change(&self, object: &str, change: impl Fn(State) -> State) -> State {
        let changed = |objects: &Arc<BTreeMap<String, State>>| {
            let mut objects = BTreeMap::clone(objects);
            let before = objects.remove(object).unwrap_or_default();
            objects.insert(object.to_owned(), change(before));
            objects
        };
        self.objects.rcu(changed);
        self.objects.load().get(object).cloned().unwrap_or_default()
    }
}

fn names(all: &[Arc<str>]) -> Value {
    all.iter().map(|name| Value::from(&**name)).collect()
}
