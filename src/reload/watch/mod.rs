//! Says which of a set of files have another content than before, within a fraction of a second.
//!
//! Events of the file system only say when to look (`alarm.rs`); what counts is the content
//! (`content.rs`). A slow poll stands behind the events, for file systems that have none. What a
//! file means, and whether the new content is any good, is the caller's business.

mod alarm;
mod content;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use alarm::Alarm;
use content::Seen;

/// A poll that is as good as none, and one that is as good as a busy loop.
const RAREST_POLL: Duration = Duration::from_hours(24);
const DENSEST_POLL: Duration = Duration::from_millis(100);

/// A set of files whose content is watched together. A directory among them has the names and the
/// contents of the files of keys in it for its content; the others are somebody else's.
///
/// A file that is missing, unreadable, too large or no regular file has a content of its own kind:
/// the change to it is told, and the change from it. So is a change of [`FileWatch::pinned`].
#[derive(Debug)]
pub struct FileWatch {
    seen: BTreeMap<PathBuf, Seen>,
    alarm: Alarm,
    pace: Pace,
    /// When the alarm rang, while nobody has looked since. Kept here and not in the future that
    /// waits, which may be dropped between the two.
    rung: Option<Instant>,
    next_poll: Instant,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Without events before the files are looked at, so that a file is not read half written and
    /// files that are replaced together are told together.
    quiet: Duration,
    /// From the first event, however many follow.
    longest: Duration,
    /// From one look to the next without any event.
    poll: Duration,
}

// === impl FileWatch ===

impl FileWatch {
    /// Begins to watch. What the files hold now counts as known.
    ///
    /// `poll` is the longest time after which a change is found where the file system tells nothing.
    pub fn start(files: impl IntoIterator<Item = PathBuf>, poll: Duration) -> Self {
        let pace = Pace {
            quiet: Duration::from_millis(100),
            longest: Duration::from_millis(400),
            poll: poll.clamp(DENSEST_POLL, RAREST_POLL),
        };
        Self::start_at(pace, files)
    }

    fn start_at(pace: Pace, files: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watch = Self {
            seen: BTreeMap::new(),
            alarm: Alarm::new(),
            pace,
            rung: None,
            next_poll: Instant::now() + pace.poll,
        };
        watch.replace(files);
        // Nothing can have been missed: all that is known was seen after the alarm was armed.
        watch.rung = None;
        watch
    }

    /// Watches another set from now on. Files in both sets keep the content that was last told; the
    /// others are known as they are now.
    pub fn replace(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let files: BTreeSet<PathBuf> = files.into_iter().collect();
        self.alarm.arm(&files);
        let mut before = std::mem::take(&mut self.seen);
        for file in files {
            let seen = before.remove(&file).unwrap_or_else(|| Seen::at(&file));
            self.seen.insert(file, seen);
        }
        // Arming forgets what was on its way, and the kept files were not looked at.
        self.rung.get_or_insert_with(Instant::now);
    }

    /// Watches these as well. Whoever reads them after that is told of every later change.
    pub fn also(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        let known = self.seen.keys().cloned();
        let all: BTreeSet<PathBuf> = known.chain(files).collect();
        if all.len() > self.seen.len() {
            self.replace(all);
        }
    }

    /// Completes when the content of at least one file is another than when this last completed (or
    /// at the start), or may have been another while it was read, and names those files as they were
    /// given. Cancel-safe.
    ///
    /// Reads files in place: it belongs on a runtime that has nothing urgent to do.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            self.disturbed().await;
            // No await from here to the return: what was found to differ must be told.
            self.rung = None;
            self.next_poll = Instant::now() + self.pace.poll;
            // Armed before the look, so that whatever changes after the look rings.
            self.alarm.arm(self.seen.keys());
            let changed = self.look();
            if !changed.is_empty() {
                return changed;
            }
        }
    }

    /// Says that whoever was told has read the files by now. One that was written since the look that
    /// told of it is told again, whatever it holds then: it may have been read half written, and be
    /// whole again in the very content that was told.
    pub fn were_read(&mut self) {
        for (path, known) in &mut self.seen {
            if known.doubt(path) {
                self.rung.get_or_insert_with(Instant::now);
            }
        }
    }

    /// The files that can never change because a mount of that single file holds on to the one it
    /// was made of, which has been replaced: the remedy is to mount the directory instead.
    #[must_use]
    pub fn pinned(&self) -> Vec<PathBuf> {
        let pinned = self.seen.iter().filter(|(_, seen)| seen.pinned);
        pinned.map(|(path, _)| path.clone()).collect()
    }

    /// Completes when something happened and it is quiet again, or when the poll is due.
    async fn disturbed(&mut self) {
        let first = match self.rung {
            Some(first) => first,
            None => {
                tokio::select! {
                    () = self.alarm.rung() => {}
                    () = sleep_until(self.next_poll) => return,
                }
                *self.rung.insert(Instant::now())
            }
        };
        let latest = first + self.pace.longest;
        loop {
            let quiet = Instant::now() + self.pace.quiet;
            let until = quiet.min(latest);
            if timeout_at(until, self.alarm.rung()).await.is_err() || Instant::now() >= latest {
                return;
            }
        }
    }

    /// Looks at every file, and names those that differ from what was known.
    fn look(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, known) in &mut self.seen {
            let seen = Seen::at(path);
            if seen.differs_from(known) {
                changed.push(path.clone());
            }
            *known = seen;
        }
        changed
    }
}
