//! What a file is worth to its watcher: a digest of its content, or the reason why there is none.
//!
//! Two looks at the same path are compared by it. The content itself is never kept: half of these
//! files are private keys.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// More than any certificate bundle or key set that makes sense. Larger files are not read: a path
/// that leads to a log or a disk image must not fill the memory.
pub(super) const LARGEST: u64 = 4 << 20;

/// What was found at a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) content: Content,
    /// The path leads to a file that has no name any more, see [`is_pinned`].
    pub(super) pinned: bool,
}

/// The content, as far as it can be told from another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// The SHA-256 of all of it.
    Digest([u8; SHA256_OUTPUT_LEN]),
    /// There is no such file.
    Missing,
    /// There is one, but it cannot be read.
    Unreadable(ErrorKind),
    /// A directory, a pipe or a device.
    NotAFile,
    /// More than [`LARGEST`] bytes.
    TooLarge,
}

// === impl Seen ===

impl Seen {
    /// Looks at the file now.
    pub(super) fn at(path: &Path) -> Self {
        let content = look(path).unwrap_or_else(|error| {
            let kind = error.kind();
            if matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory) {
                Content::Missing
            } else {
                Content::Unreadable(kind)
            }
        });
        Self {
            content,
            pinned: is_pinned(path),
        }
    }
}

fn look(path: &Path) -> io::Result<Content> {
    // Before it is opened: opening a pipe waits until somebody writes to it.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Content::NotAFile);
    }
    if metadata.len() > LARGEST {
        return Ok(Content::TooLarge);
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(LARGEST.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > LARGEST) {
        return Ok(Content::TooLarge);
    }
    let digest = digest(&SHA256, &bytes);
    // The length is that of SHA-256 always; if it were not, nothing could be said of the content.
    <[u8; SHA256_OUTPUT_LEN]>::try_from(digest.as_ref())
        .map(Content::Digest)
        .map_err(|_| ErrorKind::InvalidData.into())
}

/// Whether the path leads to a file that was removed from its directory. A mount of a single file
/// holds on to the file it was made of: when that is replaced by a rename, the mount shows the old
/// content for ever, and no name leads to that file any more.
fn is_pinned(path: &Path) -> bool {
    let nameless = |metadata: Metadata| metadata.is_file() && metadata.nlink() == 0;
    // Twice, because a file that is being replaced may lose its name between the steps of one look.
    // The second then finds the new file.
    let look = || fs::metadata(path).is_ok_and(nameless);
    look() && look()
}
