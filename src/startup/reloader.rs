//! Changed files become new editions of what is in force; broken ones change nothing and are told.
//!
//! Runs on a thread of its own. Everything is read and built whole before anything is published, so
//! a half-written file, a key without its certificate or a typo leaves the last good edition where it
//! is: the gate neither opens nor shuts by accident.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{self, Keys, ReadKeys};
use super::load::{
    CONFIG, ConfigFile, DENY, Fixed, IDENTITY, build_policy, files, identity_files, known,
    load_deny_list, load_identity, note_certificates, objects, watched,
};
use crate::accept::ServerIdentity;
use crate::gate::Policy;
use crate::model::Timestamp;
use crate::observe::{Metrics, Reloads, Told, in_full};
use crate::refresh::{Surroundings, object};
use crate::reload::watch::FileWatch;
use crate::reload::{Publisher, Reader, live};
use crate::revocation::DenyList;
use crate::settings::Settings;

/// How soon, and at last how seldom, what could not be used is tried again untold.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// For file systems that tell of no change; the others are heard at once.
pub(super) const POLL: Duration = Duration::from_secs(10);

/// The writing ends, and what is needed to write.
#[derive(Debug)]
pub(super) struct Reloader {
    config: Option<ConfigFile>,
    settings: Settings,
    fixed: Fixed,
    identity: (Publisher<ServerIdentity>, Reader<ServerIdentity>),
    policy: Publisher<Policy>,
    /// One for each issuer, in the order of the settings.
    keys: Vec<Keys>,
    around: Surroundings,
    denied: (Publisher<DenyList>, Reader<DenyList>),
    metrics: Arc<Metrics>,
    reloads: Reloads,
    /// Files whose last change could not be used.
    broken: BTreeSet<PathBuf>,
    /// What the last configuration names, while it cannot be used: a change there may mend it.
    named: Vec<PathBuf>,
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
        let denied = live(load_deny_list(&settings)?);
        let identity = load_identity(&settings, &denied.1, None)?;
        note_certificates(&identity, metrics);
        let read = keys::read(&settings.issuers)
            .map_err(|(issuer, cause)| super::StartError::Keys { issuer, cause })?;
        let around = Surroundings {
            metrics: Arc::clone(metrics),
            reloads: reloads.clone(),
            clock: Timestamp::now,
            dice: keys::dice,
        };
        let keys = keys::assemble(&settings.issuers, read, Vec::new(), &around);
        let (identity, identity_reader) = live(identity);
        let (policy, policy_reader) = live(build_policy(&settings, &keys, denied.1.clone()));
        let now = Timestamp::now();
        reloads.loaded(IDENTITY, identity_reader.current().generation.number(), now);
        reloads.watch_only(watched(&settings));
        reloads.know_only(known(&settings));
        reloads.loaded(CONFIG, policy_reader.current().generation.number(), now);
        note_keys(&settings, &keys, &reloads, now);
        note_deny_list(&settings, &denied.1, &reloads, metrics, now);
        let readers = Readers {
            identity: identity_reader.clone(),
            policy: policy_reader,
        };
        let reloader = Self {
            config,
            fixed: Fixed::of(&settings),
            settings,
            identity: (identity, identity_reader),
            policy,
            keys,
            around,
            denied,
            metrics: Arc::clone(metrics),
            reloads,
            broken: BTreeSet::new(),
            named: Vec::new(),
        };
        Ok((reloader, readers))
    }

    fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = files(self.config.as_ref(), &self.settings);
        files.extend(self.named.iter().cloned());
        files
    }

    /// Reacts to changes for ever.
    pub(super) async fn run(mut self, mut watch: FileWatch) {
        self.keys.iter_mut().for_each(Keys::begin);
        let mut pause = RETRY_FIRST;
        loop {
            // Also of what was read before this began.
            watch.were_read();
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
            self.react(&changed, &mut watch, Timestamp::now());
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

    fn react(&mut self, changed: &[PathBuf], watch: &mut FileWatch, now: Timestamp) {
        // Whatever fails again is put back.
        self.broken.retain(|file| !changed.contains(file));
        let is_changed = |path: &Path| changed.iter().any(|one| one == path);
        if let Some(config) = self.config.clone()
            && (is_changed(&config.path) || self.named.iter().any(|file| is_changed(file)))
            && self.reload_config(&config, watch, now)
        {
            // Everything that it names was read anew.
            return;
        }
        if identity_files(&self.settings).any(is_changed) {
            self.reload_identity(now);
        }
        if self.settings.deny.file.as_deref().is_some_and(is_changed) {
            self.reload_deny_list(now);
        }
        for at in 0..self.settings.issuers.len() {
            self.reload_keys(at, &is_changed, now);
        }
    }

    /// A new configuration brings everything that it names, or nothing. Says which.
    fn reload_config(
        &mut self,
        config: &ConfigFile,
        watch: &mut FileWatch,
        now: Timestamp,
    ) -> bool {
        self.named.clear();
        let mut read = || -> Result<_, Box<dyn Error>> {
            let (mut settings, warnings) = Settings::load(&config.path, &config.overrides)?;
            let later = self.fixed.hold(&mut settings);
            self.named = files(Some(config), &settings).into_iter().collect();
            // SECURITY: guarded by `what_a_new_configuration_names_is_watched_before_it_is_read`.
            // A file that was replaced between being read and being watched would stay unread.
            watch.also(self.named.iter().cloned());
            // Under the new names of issuers, and therefore an edition for the new policy alone.
            let denied = live(load_deny_list(&settings)?);
            let identity = load_identity(&settings, &denied.1, Some(&self.identity.1))?;
            let read = keys::read(&settings.issuers).map_err(|(_, error)| error)?;
            Ok((settings, warnings, later, identity, read, denied))
        };
        match read() {
            Ok((settings, warnings, later, identity, read, denied)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                for section in later {
                    tracing::warn!(
                        section,
                        "this section differs from the start, and takes effect at the next one"
                    );
                }
                self.named.clear();
                // All that is in force was read just now.
                self.broken.clear();
                self.adopt(settings, identity, read, denied, now);
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
        read: ReadKeys,
        denied: (Publisher<DenyList>, Reader<DenyList>),
        now: Timestamp,
    ) {
        self.forget(&settings);
        note_certificates(&identity, &self.metrics);
        self.reloads.watch_only(watched(&settings));
        self.reloads.know_only(known(&settings));
        let before = std::mem::take(&mut self.keys);
        let before = self.settings.issuers.drain(..).zip(before).collect();
        self.keys = keys::assemble(&settings.issuers, read, before, &self.around);
        self.keys.iter_mut().for_each(Keys::begin);
        let policy = build_policy(&settings, &self.keys, denied.1.clone());
        let generation = self.policy.publish(policy);
        self.reloads.loaded(CONFIG, generation.number(), now);
        self.reloads
            .loaded(IDENTITY, self.identity.0.publish(identity).number(), now);
        note_keys(&settings, &self.keys, &self.reloads, now);
        note_deny_list(&settings, &denied.1, &self.reloads, &self.metrics, now);
        // Only now: who waits for the old list finds the new policy and identity.
        self.denied = denied;
        self.settings = settings;
        tracing::info!(object = CONFIG, %generation, "reloaded");
    }

    /// What the new settings do not name any more is over: it must not be told as stale for ever.
    fn forget(&self, settings: &Settings) {
        self.reloads.keep_only(&objects(settings));
        let stays = |name: &str| settings.issuers.iter().any(|issuer| *issuer.name == *name);
        let before = self.settings.issuers.iter();
        for gone in before.filter(|issuer| !stays(&issuer.name)) {
            self.metrics.forget_issuer(&gone.name);
        }
    }

    fn reload_identity(&mut self, now: Timestamp) {
        match load_identity(&self.settings, &self.denied.1, Some(&self.identity.1)) {
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

    fn reload_deny_list(&mut self, now: Timestamp) {
        match load_deny_list(&self.settings) {
            Ok(list) => {
                let generation = self.denied.0.publish(list);
                let Self {
                    settings,
                    denied,
                    reloads,
                    metrics,
                    ..
                } = self;
                note_deny_list(settings, &denied.1, reloads, metrics, now);
                tracing::info!(object = DENY, %generation, "reloaded");
            }
            Err(error) => {
                let file: Vec<PathBuf> = self.settings.deny.file.iter().cloned().collect();
                self.failed(DENY, &file, &error, now);
            }
        }
    }

    fn reload_keys(&mut self, at: usize, is_changed: &impl Fn(&Path) -> bool, now: Timestamp) {
        let (Some(issuer), Some(Keys::Local(publisher, _))) =
            (self.settings.issuers.get(at), self.keys.get_mut(at))
        else {
            return;
        };
        let Some(path) = keys::path(issuer).filter(|path| is_changed(path)) else {
            return;
        };
        let object = object(&issuer.name);
        match keys::read_ring(issuer) {
            Ok(read) => {
                let ring = read.adopt(issuer, &self.metrics);
                let generation = publisher.publish(Some(ring));
                self.reloads.loaded(&object, generation.number(), now);
                tracing::info!(object, %generation, "reloaded");
            }
            Err(error) => {
                let path = path.to_owned();
                self.failed(&object, &[path], &error, now);
            }
        }
    }

    /// The last good edition stays in force; that it does is told everywhere.
    fn failed(&mut self, object: &str, files: &[PathBuf], error: &dyn Error, now: Timestamp) {
        let text = in_full(error);
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

/// Tells of the deny list in force, where one is configured.
fn note_deny_list(
    settings: &Settings,
    denied: &Reader<DenyList>,
    reloads: &Reloads,
    metrics: &Metrics,
    now: Timestamp,
) {
    let list = denied.current();
    metrics.set_deny_entries(list.value.len());
    if settings.deny.file.is_some() {
        reloads.loaded(DENY, list.generation.number(), now);
    }
}

/// Keys that were read are in force; fetched ones tell by themselves.
fn note_keys(settings: &Settings, keys: &[Keys], reloads: &Reloads, now: Timestamp) {
    for (issuer, keys) in settings.issuers.iter().zip(keys) {
        if let Keys::Local(publisher, _) = keys {
            let generation = publisher.generation().number();
            reloads.loaded(&object(&issuer.name), generation, now);
        }
    }
}

#[cfg(test)]
mod tests;
