//! The ways in which people and programs replace files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A file's name and what it is to hold.
pub(super) type Files = Vec<(&'static str, String)>;

/// A way to replace a set of files that lie in one folder.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// Written beside and renamed over: what careful programs do.
    RenamedOver,
    /// Truncated and written in place: `cp`, and what a bind mount of one file needs.
    InPlace,
    /// What kubelet does with Secrets and ConfigMaps.
    DataSwap,
    /// Removed, then written anew.
    Recreated,
    /// The whole folder is moved away, changed and moved back.
    FolderMoved,
    /// The folder is removed and appears again later.
    FolderReplaced,
}

impl Change {
    pub(super) const ALL: [Self; 6] = [
        Self::RenamedOver,
        Self::InPlace,
        Self::DataSwap,
        Self::Recreated,
        Self::FolderMoved,
        Self::FolderReplaced,
    ];

    /// Lays the first edition out where this way of changing finds it.
    pub(super) fn lay_out(self, folder: &Path, files: &Files) {
        fs::create_dir(folder).unwrap();
        match self {
            Self::DataSwap => {
                swap(folder, files);
                for (name, _) in files {
                    symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
                }
            }
            Self::RenamedOver
            | Self::InPlace
            | Self::Recreated
            | Self::FolderMoved
            | Self::FolderReplaced => write(folder, files),
        }
    }

    /// Brings the next edition.
    pub(super) fn apply(self, folder: &Path, files: &Files) {
        match self {
            Self::RenamedOver => {
                for (name, content) in files {
                    let beside = folder.join(format!("{name}.new"));
                    fs::write(&beside, content).unwrap();
                    fs::rename(beside, folder.join(name)).unwrap();
                }
            }
            Self::InPlace => write(folder, files),
            Self::DataSwap => swap(folder, files),
            Self::Recreated => {
                for (name, _) in files {
                    fs::remove_file(folder.join(name)).unwrap();
                }
                write(folder, files);
            }
            Self::FolderMoved => {
                let away = folder.with_extension("away");
                fs::rename(folder, &away).unwrap();
                write(&away, files);
                fs::rename(away, folder).unwrap();
            }
            Self::FolderReplaced => {
                fs::remove_dir_all(folder).unwrap();
                fs::create_dir(folder).unwrap();
                write(folder, files);
            }
        }
    }
}

fn write(folder: &Path, files: &Files) {
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
}

/// A new folder, `..data` renamed to it, the old folder removed.
fn swap(folder: &Path, files: &Files) {
    let old: Option<PathBuf> = fs::read_link(folder.join("..data")).ok();
    let is_first = old.as_deref() != Some(Path::new("..one"));
    let edition = if is_first { "..one" } else { "..two" };
    fs::create_dir(folder.join(edition)).unwrap();
    write(&folder.join(edition), files);
    symlink(edition, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(folder.join(old)).unwrap();
    }
}
