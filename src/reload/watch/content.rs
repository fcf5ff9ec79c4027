//! What a file is worth to its watcher: a digest of its content, or the reason why there is none.
//!
//! Two looks at the same path are compared by it. The content itself is never kept: half of these
//! files are private keys.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA256_OUTPUT_LEN, digest};

use crate::file;

/// More than any certificate bundle or key set that makes sense. Larger files are not read into
/// memory: a path that leads to a log or a disk image must not fill it.
const LARGEST_READ: u64 = 4 << 20;

/// More than any deny list that makes sense. Up to here the digest is made, piece by piece: it is
/// only time that a larger file would cost.
pub(super) const LARGEST: u64 = 256 << 20;

/// So much is held of a file while its digest is made.
const PIECE: usize = 64 * 1024;

/// More files of keys than any directory has that is of use. Of those with more, the names are looked
/// at, and the contents of the first.
pub(super) const MOST_READ: usize = 1024;

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
    /// Looks at the file now. A directory is worth the names and the contents of the files of keys
    /// in it.
    pub(super) fn at(path: &Path) -> Self {
        if !path.is_dir() {
            return Self::of(path, digest_of(path));
        }
        Self {
            content: keys_in(path).map_or_else(Content::of_error, |names| listed(path, &names)),
            pinned: false,
        }
    }

    /// What there is to know once the file was read with this outcome.
    pub(super) fn after(path: &Path, outcome: &io::Result<Vec<u8>>) -> Self {
        match outcome {
            Ok(bytes) => Self::of(path, Ok(digest(&SHA256, bytes))),
            // Too large to be read, and perhaps not to be told from another.
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Self::at(path),
            Err(error) => Self::of(path, Err(error.kind().into())),
        }
    }

    fn of(path: &Path, digest: io::Result<Digest>) -> Self {
        let content = match digest {
            Ok(digest) => Content::of(digest),
            Err(error) => Content::of_error(error),
        };
        Self {
            content,
            pinned: is_pinned(path),
        }
    }
}

/// The digest of a regular file of at most [`LARGEST`] bytes.
fn digest_of(path: &Path) -> io::Result<Digest> {
    let mut file = file::open(path)?.take(LARGEST.saturating_add(1));
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; PIECE];
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(piece.get(..read).unwrap_or_default());
    }
    if file.limit() == 0 {
        return Err(too_large(LARGEST));
    }
    Ok(digest.finish())
}

// === impl Content ===

impl Content {
    fn of(digest: Digest) -> Self {
        <[u8; SHA256_OUTPUT_LEN]>::try_from(digest.as_ref())
            // It has that length always.
            .map_or(Self::None(ErrorKind::InvalidData), Self::Digest)
    }

    fn of_error(error: io::Error) -> Self {
        Self::None(kind(&error))
    }
}

fn kind(error: &io::Error) -> ErrorKind {
    let kind = error.kind();
    // The folder is missing as well, which makes no difference to the file.
    if kind == ErrorKind::NotADirectory {
        ErrorKind::NotFound
    } else {
        kind
    }
}

/// The names of the files of keys in a directory, in order.
pub(super) fn keys_in(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if file::is_of_keys(Path::new(&name)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn listed(directory: &Path, names: &[OsString]) -> Content {
    let mut whole = Context::new(&SHA256);
    for (at, name) in names.iter().enumerate() {
        whole.update(name.as_encoded_bytes());
        // Each part ends where no name and no digest could.
        if at >= MOST_READ {
            whole.update(b"\0?/");
            continue;
        }
        match read(&directory.join(name)) {
            Ok(bytes) => {
                whole.update(b"\0/");
                whole.update(digest(&SHA256, &bytes).as_ref());
            }
            Err(error) => whole.update(format!("\0!{:?}/", kind(&error)).as_bytes()),
        }
    }
    Content::of(whole.finish())
}

/// Reads a regular file of at most [`LARGEST_READ`] bytes.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    file::read(path, LARGEST_READ)
}

fn too_large(bound: u64) -> io::Error {
    io::Error::new(
        ErrorKind::FileTooLarge,
        format!("larger than {bound} bytes"),
    )
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
