//! Changed files become new editions of what is in force; broken ones change nothing and are told.
//!
//! Runs on a thread of its own. Everything is read and built whole before anything is published, so
//! a half-written file, a key without its certificate or a typo leaves the last good edition where it
//! is: the gate neither opens nor shuts by accident.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::load::{
    ConfigFile, Rings, build_policy, files, identity_files, key_file, keys_of, load_identity,
    load_keys, load_ring, needs_restart, note_certificates,
};
use crate::accept::ServerIdentity;
use crate::gate::Policy;
use crate::jwks::KeyRing;
use crate::model::Timestamp;
use crate::observe::{Metrics, Reloads, Told};
use crate::reload::watch::FileWatch;
use crate::reload::{Publisher, Reader, live};
use crate::settings::Settings;

/// How soon, and at last how seldom, what could not be used is tried again untold.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// For file systems that tell of no change; the others are heard at once.
pub(super) const POLL: Duration = Duration::from_secs(10);

/// What objects are called in metrics and on the status page.
const CONFIG: &str = "config";
const IDENTITY: &str = "identity";

/// The writing ends, and what is needed to write.
#[derive(Debug)]
pub(super) struct Reloader {
    config: Option<ConfigFile>,
    settings: Settings,
    identity: (Publisher<ServerIdentity>, Reader<ServerIdentity>),
    policy: Publisher<Policy>,
    rings: Vec<Publisher<Option<KeyRing>>>,
    metrics: Arc<Metrics>,
    reloads: Reloads,
    /// Files whose last change could not be used.
    broken: BTreeSet<PathBuf>,
}

/// The reading ends, for the gate.
pub(super) struct Readers {
    pub(super) identity: Reader<ServerIdentity>,
    pub(super) policy: Reader<Policy>,
}

impl Reloader {
    /// Reads everything for the first time.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be used.
    pub(super) fn load(
        settings: Settings,
        config: Option<ConfigFile>,
        metrics: &Arc<Metrics>,
        reloads: Reloads,
    ) -> Result<(Self, Readers), super::StartError> {
        let identity = load_identity(&settings, None)?;
        note_certificates(&identity, metrics);
        let (rings, ring_readers) = load_keys(&settings.issuers, metrics)
            .map_err(|(issuer, cause)| super::StartError::Keys { issuer, cause })?;
        let (identity, identity_reader) = live(identity);
        let (policy, policy_reader) = live(build_policy(&settings, ring_readers));
        let now = Timestamp::now();
        reloads.loaded(IDENTITY, identity_reader.current().generation.number(), now);
        reloads.loaded(CONFIG, policy_reader.current().generation.number(), now);
        for (issuer, ring) in settings.issuers.iter().zip(&rings) {
            reloads.loaded(&keys_of(issuer), ring.generation().number(), now);
        }
        let readers = Readers {
            identity: identity_reader.clone(),
            policy: policy_reader,
        };
        let reloader = Self {
            config,
            settings,
            identity: (identity, identity_reader),
            policy,
            rings,
            metrics: Arc::clone(metrics),
            reloads,
            broken: BTreeSet::new(),
        };
        Ok((reloader, readers))
    }

    fn files(&self) -> Vec<PathBuf> {
        files(self.config.as_ref(), &self.settings)
    }

    /// Reacts to changes for ever.
    async fn run(mut self, mut watch: FileWatch) {
        let mut pause = RETRY_FIRST;
        loop {
            let patience = if self.broken.is_empty() { NEVER } else { pause };
            let changed = match tokio::time::timeout(patience, watch.changed()).await {
                Ok(changed) => {
                    pause = RETRY_FIRST;
                    changed
                }
                // A file that was read while it was written is not told again once it is whole, if
                // it then is what it was before: so what failed is tried again without being told.
                Err(_) => {
                    pause = (pause * 2).min(RETRY_LAST);
                    self.broken.iter().cloned().collect()
                }
            };
            let before = self.files();
            self.react(&changed, Timestamp::now());
            if self.files() != before {
                watch.replace(self.files());
            }
            for pinned in watch.pinned() {
                tracing::warn!(
                    file = %pinned.display(),
                    "this file is mounted by itself and was replaced: its new content can never be \
                     seen here; mount its directory instead"
                );
            }
        }
    }

    fn react(&mut self, changed: &[PathBuf], now: Timestamp) {
        // Whatever fails again is put back.
        self.broken.retain(|file| !changed.contains(file));
        let is_changed = |path: &Path| changed.iter().any(|one| one == path);
        if let Some(config) = self.config.clone()
            && is_changed(&config.path)
            && self.reload_config(&config, now)
        {
            // Everything that it names was read anew.
            return;
        }
        if identity_files(&self.settings).any(is_changed) {
            self.reload_identity(now);
        }
        for at in 0..self.settings.issuers.len() {
            self.reload_keys(at, &is_changed, now);
        }
    }

    /// A new configuration brings everything that it names, or nothing. Says which.
    fn reload_config(&mut self, config: &ConfigFile, now: Timestamp) -> bool {
        let read = || -> Result<_, Box<dyn Error>> {
            let (settings, warnings) = Settings::load(&config.path, &config.overrides)?;
            let identity = load_identity(&settings, Some(&self.identity.1))?;
            let rings = load_keys(&settings.issuers, &self.metrics).map_err(|(_, error)| error)?;
            Ok((settings, warnings, identity, rings))
        };
        match read() {
            Ok((settings, warnings, identity, rings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                self.adopt(settings, identity, rings, now);
                true
            }
            Err(error) => {
                self.failed(CONFIG, from_ref(&config.path), &*error, now);
                false
            }
        }
    }

    fn adopt(
        &mut self,
        settings: Settings,
        identity: ServerIdentity,
        (rings, ring_readers): Rings,
        now: Timestamp,
    ) {
        for section in needs_restart(&self.settings, &settings) {
            tracing::warn!(
                section,
                "this section has changed and takes effect at the next start"
            );
        }
        note_certificates(&identity, &self.metrics);
        let generation = self.policy.publish(build_policy(&settings, ring_readers));
        self.reloads.loaded(CONFIG, generation.number(), now);
        self.reloads
            .loaded(IDENTITY, self.identity.0.publish(identity).number(), now);
        for (issuer, ring) in settings.issuers.iter().zip(&rings) {
            self.reloads
                .loaded(&keys_of(issuer), ring.generation().number(), now);
        }
        self.rings = rings;
        self.settings = settings;
        tracing::info!(object = CONFIG, %generation, "reloaded");
    }

    fn reload_identity(&mut self, now: Timestamp) {
        match load_identity(&self.settings, Some(&self.identity.1)) {
            Ok(identity) => {
                note_certificates(&identity, &self.metrics);
                let generation = self.identity.0.publish(identity);
                self.reloads.loaded(IDENTITY, generation.number(), now);
                tracing::info!(object = IDENTITY, %generation, "reloaded");
            }
            Err(error) => {
                let files: Vec<PathBuf> =
                    identity_files(&self.settings).map(Path::to_owned).collect();
                self.failed(IDENTITY, &files, &error, now);
            }
        }
    }

    fn reload_keys(&mut self, at: usize, is_changed: &impl Fn(&Path) -> bool, now: Timestamp) {
        let (Some(issuer), Some(publisher)) =
            (self.settings.issuers.get(at), self.rings.get_mut(at))
        else {
            return;
        };
        if !is_changed(key_file(issuer)) {
            return;
        }
        let object = keys_of(issuer);
        match load_ring(issuer, &self.metrics) {
            Ok(ring) => {
                let generation = publisher.publish(Some(ring));
                self.reloads.loaded(&object, generation.number(), now);
                tracing::info!(object, %generation, "reloaded");
            }
            Err(error) => {
                let file = key_file(issuer).to_owned();
                self.failed(&object, &[file], &error, now);
            }
        }
    }

    /// The last good edition stays in force; that it does is told everywhere.
    fn failed(&mut self, object: &str, files: &[PathBuf], error: &dyn Error, now: Timestamp) {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        self.broken.extend(files.iter().cloned());
        if self.reloads.failed(object, &text, now) == Told::New {
            tracing::error!(
                object,
                error = text,
                "cannot be reloaded; the last good edition stays"
            );
        }
    }
}

/// The thread that reloads, until this is dropped.
#[derive(Debug)]
pub(super) struct Reloading {
    _stop: oneshot::Sender<Infallible>,
}

impl Reloading {
    /// Starts it.
    pub(super) fn spawn(reloader: Reloader, watch: FileWatch) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("sidegate-reload".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = reloader.run(watch) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self { _stop: stop })
    }
}
