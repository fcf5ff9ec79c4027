//! A file or a directory of an issuer's keys becomes a [`KeyRing`]. What is fetched is `fetch`'s and
//! `refresh`'s.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::key_ring::Naming;
use super::{KeyFault, KeyRing, KeyWarning, KeysError, MAX_DOCUMENT_BYTES};
use crate::file;
use crate::model::Algorithm;
use crate::settings::KeySource;

/// More files of keys than any issuer has; a directory with more is the wrong one.
const MAX_FILES: usize = 256;

/// Why the keys of an issuer could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadKeysError {
    /// The file cannot be read.
    #[error("cannot read the keys in {place}")]
    Read {
        /// The file.
        place: Place,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be one of keys.
    #[error("{place} is larger than 1 MiB, which no set of keys is")]
    TooLarge {
        /// The file.
        place: Place,
    },
    /// The directory holds more than one of keys would.
    #[error(
        "{} holds more than {MAX_FILES} files of keys; is it the right directory?",
        .path.display()
    )]
    TooMany {
        /// The directory.
        path: PathBuf,
    },
    /// There is no file to read.
    #[error("these keys are fetched, not read from a file")]
    Remote,
    /// The file does not make a ring.
    #[error("the keys in {place} cannot be used")]
    Unusable {
        /// The file.
        place: Place,
        /// Why.
        source: KeysError,
    },
}

/// A file as texts name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// By its path.
    Path(PathBuf),
    /// `keys.secret`, by the key alone. SECURITY: guarded by
    /// `a_secret_in_the_place_of_its_path_is_never_told`: what is written there may be the secret.
    Secret,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Secret => f.write_str("the file that keys.secret names"),
        }
    }
}

/// Reads the keys of one issuer from the file or directory that its settings name.
///
/// # Errors
///
/// [`LoadKeysError`], which names the file.
pub fn load(
    source: &KeySource,
    algorithms: &[Algorithm],
) -> Result<(KeyRing, Vec<KeyWarning>), LoadKeysError> {
    let parsed = |path: &Path, parse: fn(&[u8], &[Algorithm]) -> Parsed| {
        let place = || Place::Path(path.to_owned());
        parse(&read(path, place())?, algorithms).map_err(unusable(place()))
    };
    match source {
        KeySource::JwksFile(path) => parsed(path, KeyRing::from_jwks),
        KeySource::PemMapFile(path) => parsed(path, KeyRing::from_pem_map),
        KeySource::PemFile(path) => parsed(path, KeyRing::from_pem),
        KeySource::SecretFile(path) => {
            let ring = KeyRing::from_secret(&read(path, Place::Secret)?, algorithms);
            Ok((ring.map_err(unusable(Place::Secret))?, Vec::new()))
        }
        KeySource::Directory(path) => directory(path, algorithms),
        KeySource::Remote(_) => Err(LoadKeysError::Remote),
    }
}

type Parsed = Result<(KeyRing, Vec<KeyWarning>), KeysError>;

fn unusable(place: Place) -> impl FnOnce(KeysError) -> LoadKeysError {
    |source| LoadKeysError::Unusable { place, source }
}

/// Reads every file of keys in a directory, each under its name without the ending. One that is
/// broken costs nobody else their key, unless it holds a private one.
fn directory(
    path: &Path,
    algorithms: &[Algorithm],
) -> Result<(KeyRing, Vec<KeyWarning>), LoadKeysError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable(path))? {
        let file = entry.map_err(unreadable(path))?.path();
        // Opening a pipe would wait for ever.
        if file::is_of_keys(&file) && fs::metadata(&file).is_ok_and(|found| found.is_file()) {
            files.push(file);
        }
        if files.len() > MAX_FILES {
            let path = path.to_owned();
            return Err(LoadKeysError::TooMany { path });
        }
    }
    // The system tells them in any order, and the order of keys must not depend on it.
    files.sort();
    let mut ring = KeyRing::new(Naming::ByFile);
    let mut warnings = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let kid = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let place = || Place::Path(file.clone());
        match read(file, place()) {
            Ok(pem) => {
                let added = ring.add_pem(index, kid, &pem, algorithms);
                warnings.extend(added.map_err(unusable(place()))?);
            }
            Err(_) => warnings.push(KeyWarning {
                index,
                kid: Some(kid.to_owned()),
                fault: KeyFault::Unreadable,
            }),
        }
    }
    ring.finish(warnings)
        .map_err(unusable(Place::Path(path.to_owned())))
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> LoadKeysError {
    let place = Place::Path(path.to_owned());
    |source| LoadKeysError::Read { place, source }
}

fn read(path: &Path, place: Place) -> Result<Vec<u8>, LoadKeysError> {
    let most = u64::try_from(MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
    file::read(path, most).map_err(|source| {
        if source.kind() == ErrorKind::FileTooLarge {
            LoadKeysError::TooLarge { place }
        } else {
            LoadKeysError::Read { place, source }
        }
    })
}
