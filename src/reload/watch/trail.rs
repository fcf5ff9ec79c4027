//! The way from the root of the file system to a set of files, and all that could turn it elsewhere.
//!
//! A path is walked as the kernel walks it, link by link. Every directory in which a name was looked
//! up is a place to watch, and every name looked up there is one to listen for. So a `..data` link
//! that is swapped, a link behind a link, a directory that is moved away and a folder that does not
//! exist yet are all the same case.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf, absolute};

use super::content::{MOST_READ, keys_in};

/// As many links as Linux follows before it says that they run in a circle.
const MOST_LINKS: usize = 40;

/// Where to watch, and what to listen for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Trail {
    /// Directories on the way, and the files at its end.
    pub(super) places: BTreeSet<PathBuf>,
    /// The names looked up in those directories.
    pub(super) names: BTreeSet<OsString>,
    /// Directories at the end of the way: whatever happens in one of them is worth a look.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// One step of a way.
enum Step {
    Root,
    Up,
    Down(OsString),
}

impl Trail {
    /// The trail of all these files together, as it is now.
    pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut trail = Self::default();
        for file in files {
            // It fails for an empty path only, which leads nowhere.
            let Ok(path) = absolute(file) else { continue };
            match trail.walk(&path) {
                Some(end) if end.is_dir() => trail.enter(&path, end),
                Some(_) => {}
                // The walk stopped early. Where the kernel gets further (`/proc/self/fd`, a folder
                // without permission to list it), the file can be watched all the same.
                None => {
                    trail.places.insert(path);
                }
            }
        }
        trail
    }

    /// Walks to the files of keys in a directory, for each may be a link to somewhere else.
    fn enter(&mut self, path: &Path, end: PathBuf) {
        let names = keys_in(&end).unwrap_or_default();
        for name in names.iter().take(MOST_READ) {
            self.walk(&path.join(name));
        }
        self.folders.insert(end);
    }

    /// Walks one path, and says where it ends. `None` where it ends early: at a name that does not
    /// exist (yet).
    fn walk(&mut self, path: &Path) -> Option<PathBuf> {
        let mut here = PathBuf::from("/");
        let mut ahead: VecDeque<Step> = steps(path).collect();
        let mut links = 0;
        while let Some(step) = ahead.pop_front() {
            let name = match step {
                Step::Root => {
                    here = PathBuf::from("/");
                    continue;
                }
                // No link is left in `here`, so this is what the kernel does as well.
                Step::Up => {
                    here.pop();
                    continue;
                }
                Step::Down(name) => name,
            };
            let next = here.join(&name);
            self.places.insert(here.clone());
            self.names.insert(name);
            if !fs::symlink_metadata(&next).ok()?.is_symlink() {
                here = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            for step in steps(&fs::read_link(&next).ok()?).rev() {
                ahead.push_front(step);
            }
        }
        self.places.insert(here.clone());
        Some(here)
    }
}

fn steps(path: &Path) -> impl DoubleEndedIterator<Item = Step> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Down(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}
