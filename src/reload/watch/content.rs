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
    content: Content,
    /// The path leads to a file that has no name any more, see [`is_pinned`].
    pub(super) pinned: bool,
}

/// The content, as far as it can be told from another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Content {
    /// The SHA-256 of all of it.
    Digest([u8; SHA256_OUTPUT_LEN]),
    /// It is missing or cannot be read, and this is why.
    None(ErrorKind),
}

// === impl Seen ===

impl Seen {
    /// Looks at the file now.
    pub(super) fn at(path: &Path) -> Self {
        Self::after(path, &read(path))
    }

    /// What there is to know once the file was read with this outcome.
    pub(super) fn after(path: &Path, outcome: &io::Result<Vec<u8>>) -> Self {
        let content = match outcome {
            Ok(bytes) => <[u8; SHA256_OUTPUT_LEN]>::try_from(digest(&SHA256, bytes).as_ref())
                // It has that length always.
                .map_or(Content::None(ErrorKind::InvalidData), Content::Digest),
            // The folder is missing as well, which makes no difference to the file.
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Content::None(ErrorKind::NotFound)
            }
            Err(error) => Content::None(error.kind()),
        };
        Self {
            content,
            pinned: is_pinned(path),
        }
    }
}

/// Reads a regular file of at most [`LARGEST`] bytes.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: opening a pipe waits until somebody writes to it.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(LARGEST.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read > LARGEST) {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("larger than {LARGEST} bytes"),
        ));
    }
    Ok(bytes)
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
