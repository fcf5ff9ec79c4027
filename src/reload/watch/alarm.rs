//! Rings when something happened on the way to the watched files. Only place that knows notify.
//!
//! It may ring for nothing, and it may miss what happens while it is being armed: whoever arms it
//! looks at the files after that, and compares contents. It must never ring because of that look.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::trail::Trail;

/// How often the way may turn elsewhere while it is being armed before the rest is left for later.
const MOST_ROUNDS: usize = 4;

/// One for the whole life of a watch: its watcher costs a thread and three descriptors.
#[derive(Debug)]
pub(super) struct Alarm {
    bell: Arc<Bell>,
    watcher: Option<RecommendedWatcher>,
    armed: BTreeSet<PathBuf>,
    complained: bool,
}

#[derive(Debug, Default)]
struct Bell {
    ring: Notify,
    /// What to listen for.
    trail: ArcSwap<Trail>,
}

// === impl Alarm ===

impl Alarm {
    pub(super) fn new() -> Self {
        Self {
            bell: Arc::default(),
            watcher: None,
            armed: BTreeSet::new(),
            complained: false,
        }
    }

    /// Completes once for all that happened since the last time. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.bell.ring.notified().await;
    }

    /// Watches the way to these files as it is now, and nothing else.
    ///
    /// All of it anew every time, because notify tells watches apart by path and the kernel by
    /// inode: after a file was replaced, or for two names of one file, letting go of one path would
    /// silence the other.
    pub(super) fn arm<'a>(&mut self, files: impl IntoIterator<Item = &'a PathBuf> + Clone) {
        self.disarm();
        let mut trail = Trail::default();
        for _ in 0..MOST_ROUNDS {
            let now = Trail::of(files.clone());
            // Nothing turned elsewhere since all of it was armed; from here on it would ring.
            if now == trail {
                return;
            }
            trail = now;
            self.bell.trail.store(Arc::new(trail.clone()));
            for place in &trail.places {
                self.add(place);
            }
        }
        self.bell.ring.notify_one();
    }

    fn disarm(&mut self) {
        for place in std::mem::take(&mut self.armed) {
            if let Some(watcher) = &mut self.watcher {
                // It fails where the place is gone, and its watch with it.
                drop(watcher.unwatch(&place));
            }
        }
    }

    fn add(&mut self, place: &Path) {
        if self.armed.contains(place) {
            return;
        }
        let outcome = self
            .watcher()
            .and_then(|watcher| watcher.watch(place, RecursiveMode::NonRecursive));
        match outcome {
            Ok(()) => {
                self.armed.insert(place.to_owned());
            }
            Err(error) if is_expected(&error) => {
                // SECURITY: never the place, guarded by
                // `a_secret_in_the_place_of_its_path_is_never_told`.
                tracing::debug!(why = ?error.kind, "a place on the way to a file is not watched");
            }
            Err(error) => self.complain(&error),
        }
    }

    /// The watcher, made when it is first needed, and tried again later where it cannot be made.
    fn watcher(&mut self) -> notify::Result<&mut RecommendedWatcher> {
        let made = match self.watcher.take() {
            Some(watcher) => watcher,
            None => {
                // notify does not say when it gets no thread: it panics at the first use.
                drop(std::thread::Builder::new().spawn(|| ())?.join());
                let bell = Arc::clone(&self.bell);
                notify::recommended_watcher(move |event| bell.hear(&event))?
            }
        };
        Ok(self.watcher.insert(made))
    }

    fn complain(&mut self, error: &notify::Error) {
        if !self.complained {
            self.complained = true;
            tracing::warn!(
                why = ?error.kind,
                "the system does not tell of changed files: they are found by looking, which takes longer"
            );
        }
    }
}

/// Whether a place cannot be watched for a reason that lies in the place: it has just gone (whoever
/// took it away rings elsewhere), or may be passed through but not be read.
fn is_expected(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
        ),
        ErrorKind::Generic(_)
        | ErrorKind::WatchNotFound
        | ErrorKind::InvalidConfig(_)
        | ErrorKind::MaxFilesWatch => false,
    }
}

// === impl Bell ===

impl Bell {
    fn hear(&self, event: &notify::Result<Event>) {
        // After an error, or when the kernel dropped events, anything may have happened.
        if event.as_ref().map_or(true, |event| self.matters(event)) {
            self.ring.notify_one();
        }
    }

    fn matters(&self, event: &Event) -> bool {
        if event.need_rescan() || event.paths.is_empty() {
            return true;
        }
        // Our own looks open and close the files: to ring for that would never end.
        if matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
        {
            return false;
        }
        // By name and not by path: the kernel knows a directory mounted twice as one, and notify
        // then calls it by the path it was told last.
        let Trail { names, folders, .. } = &**self.trail.load();
        let inside = |path: &PathBuf| path.parent().is_some_and(|folder| folders.contains(folder));
        let named = |path: &PathBuf| path.file_name().is_none_or(|name| names.contains(name));
        event.paths.iter().any(|path| named(path) || inside(path))
    }
}
