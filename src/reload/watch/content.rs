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
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    content: Content,
    /// The path leads to a file that has no name any more, see [`is_pinned`].
    pub(super) pinned: bool,
    /// Which file it was and when it was last written, as it was just before the look.
    touched: Content,
}

/// The content, as far as it can be told from another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Content {
    /// The SHA-256 of all of it.
    Digest([u8; SHA256_OUTPUT_LEN]),
    /// It is missing or cannot be read, and this is why.
    None(ErrorKind),
    /// What was read since the last look may be something else than what the look saw.
    Doubtful,
}

// === impl Seen ===

impl Seen {
    /// Looks at the file now. A directory is worth the names and the contents of the files of keys
    /// in it.
    pub(super) fn at(path: &Path) -> Self {
        let touched = touched(path);
        let is_directory = path.is_dir();
        let content = if is_directory {
            keys_in(path).map_or_else(Content::of_error, |names| listed(path, &names))
        } else {
            digest_of(path).map_or_else(Content::of_error, Content::of)
        };
        Self {
            content,
            pinned: !is_directory && is_pinned(path),
            touched,
        }
    }

    /// Whether there is something to tell to whoever knows the other.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        (self.content, self.pinned) != (other.content, other.pinned)
    }

    /// Makes every later look differ from this one, if anything was written since. Says whether.
    pub(super) fn doubt(&mut self, path: &Path) -> bool {
        let is_touched = touched(path) != self.touched;
        if is_touched {
            self.content = Content::Doubtful;
        }
        is_touched
    }
}

/// Which file is at a path and when it was last written; of a directory, the same of what is looked
/// at in it.
fn touched(path: &Path) -> Content {
    let mut whole = Context::new(&SHA256);
    let mut add = |path: &Path| {
        let known = fs::metadata(path)?;
        let times = [
            known.mtime(),
            known.mtime_nsec(),
            known.ctime(),
            known.ctime_nsec(),
        ];
        for number in [known.dev(), known.ino(), known.len()] {
            whole.update(&number.to_ne_bytes());
        }
        for number in times {
            whole.update(&number.to_ne_bytes());
        }
        Ok(known.is_dir())
    };
    match add(path) {
        Ok(false) => {}
        Ok(true) => {
            for name in keys_in(path).unwrap_or_default().iter().take(MOST_READ) {
                // One that leads nowhere is told by the time of the directory.
                drop(add(&path.join(name)));
            }
        }
        Err(error) => return Content::of_error(error),
    }
    Content::of(whole.finish())
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
