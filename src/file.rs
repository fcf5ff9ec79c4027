//! A path becomes bounded bytes, of a regular file only.
//!
//! Every file that the gate names is read here. A path is never trusted to be what it was yesterday:
//! opening a pipe that somebody put there must not wait for a writer, and a path that leads to a log
//! or a disk image must not fill the memory. What the bytes mean is the caller's business.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// What the files of keys in a directory end with; the others are somebody else's.
const KEY_ENDINGS: [&str; 3] = ["pem", "crt", "pub"];

/// Whether a file of a directory is one of keys: not hidden, which `..data` of a mounted Secret is.
/// One answer for who reads the directory and for who watches it.
#[must_use]
pub fn is_of_keys(file: &Path) -> bool {
    let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let ending = file.extension().and_then(OsStr::to_str);
    ending.is_some_and(|ending| KEY_ENDINGS.contains(&ending))
        && !file.file_name().is_none_or(hidden)
}

/// Opens a regular file.
///
/// # Errors
///
/// What the system says; [`ErrorKind::InvalidInput`] for anything but a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    // Asked of what was opened: between a look at the path and its opening it may change.
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
///
/// Those of [`open`], and [`ErrorKind::FileTooLarge`].
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let room = usize::try_from(file.metadata()?.len().min(limit)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(room);
    // Bounded while reading, too: the size that a file claims may be another one by now.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!("it is larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_regular_file_within_the_limit_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "12345").unwrap();
        assert_eq!(read(&at("file"), 5).unwrap(), b"12345");
        let pipe = std::process::Command::new("mkfifo")
            .arg(at("pipe"))
            .status();
        assert!(pipe.unwrap().success());
        for (name, limit, kind) in [
            ("file", 4, ErrorKind::FileTooLarge),
            ("pipe", 5, ErrorKind::InvalidInput),
            (".", 5, ErrorKind::InvalidInput),
            ("none", 5, ErrorKind::NotFound),
        ] {
            assert_eq!(read(&at(name), limit).unwrap_err().kind(), kind, "{name}");
        }
    }
}
