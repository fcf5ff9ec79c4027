//! PEM text becomes certificates, revocation lists and private keys.
//!
//! The only file that names rustls-pemfile, which is archived: to replace it, rewrite these
//! functions and nothing else. Text that holds something unexpected beside what was asked for is an
//! error here; the library alone would skip it in silence.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enum is non-exhaustive, and whatever was not asked for is refused alike"
)]

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls_pemfile::Item;

use crate::file;

/// The largest file read: a bundle of several hundred certificates.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why a file gave nothing usable.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is larger than anything sensible.
    #[error("{}: larger than {MAX_BYTES} bytes; is it the right file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A section's frame or base64 is broken.
    #[error("{}: broken PEM: {cause}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        cause: io::Error,
    },
    /// The sections wanted are not there, or others are.
    #[error("{}: {found}, but {wanted} expected", path.display())]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// What was expected.
        wanted: &'static str,
        /// What was found instead.
        found: &'static str,
    },
}

/// Reads a chain or a bundle: one or more certificates.
///
/// # Errors
///
/// [`PemError`] when the file cannot be read or holds anything but certificates.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    const WANTED: &str = "one or more CERTIFICATE sections are";
    collect(path, WANTED, |item| match item {
        Item::X509Certificate(certificate) => Some(certificate),
        _ => None,
    })
}

/// Reads one or more certificate revocation lists.
///
/// # Errors
///
/// [`PemError`] when the file cannot be read or holds anything but revocation lists.
pub fn revocation_lists(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    collect(
        path,
        "one or more X509 CRL sections are",
        |item| match item {
            Item::Crl(list) => Some(list),
            _ => None,
        },
    )
}

/// Reads the one private key of a file. `EC PARAMETERS`, which OpenSSL writes before a key, may
/// stand beside it.
///
/// # Errors
///
/// [`PemError`] when the file cannot be read, holds no unencrypted key, or holds several.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    const WANTED: &str = "one unencrypted PRIVATE KEY section is";
    let mut keys = collect(path, WANTED, |item| match item {
        Item::Pkcs8Key(key) => Some(key.into()),
        Item::Pkcs1Key(key) => Some(key.into()),
        Item::Sec1Key(key) => Some(key.into()),
        _ => None,
    })?;
    match (keys.pop(), keys.is_empty()) {
        (Some(key), true) => Ok(key),
        _ => Err(unexpected(path, WANTED, "several keys were found")),
    }
}

/// One section of a PEM text that may hold a public key.
#[derive(Debug)]
pub enum PublicSection {
    /// `PUBLIC KEY`: a `SubjectPublicKeyInfo` in DER.
    Key(Vec<u8>),
    /// `CERTIFICATE`: a certificate in DER.
    Certificate(Vec<u8>),
    /// Anything else.
    Other,
}

/// Reads every section of a text, in order; `None` when its frame or base64 is broken.
#[must_use]
pub fn public_sections(text: &[u8]) -> Option<Vec<PublicSection>> {
    let section = |item: io::Result<Item>| {
        item.ok().map(|item| match item {
            Item::SubjectPublicKeyInfo(key) => PublicSection::Key(key.to_vec()),
            Item::X509Certificate(certificate) => PublicSection::Certificate(certificate.to_vec()),
            _ => PublicSection::Other,
        })
    };
    rustls_pemfile::read_all(&mut &*text).map(section).collect()
}

/// The DER of the first section, if it is an unencrypted PKCS#8 key.
#[must_use]
pub fn pkcs8(text: &str) -> Option<Vec<u8>> {
    match rustls_pemfile::read_all(&mut text.as_bytes()).next() {
        Some(Ok(Item::Pkcs8Key(key))) => Some(key.secret_pkcs8_der().to_vec()),
        _ => None,
    }
}

fn collect<T>(
    path: &Path,
    wanted: &'static str,
    take: fn(Item) -> Option<T>,
) -> Result<Vec<T>, PemError> {
    let text = read(path)?;
    let mut found = Vec::new();
    for item in rustls_pemfile::read_all(&mut text.as_slice()) {
        let item = item.map_err(|cause| PemError::Broken {
            path: path.to_owned(),
            cause,
        })?;
        let Some(taken) = take(item) else {
            return Err(unexpected(
                path,
                wanted,
                "another kind of section was found",
            ));
        };
        found.push(taken);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let encrypted = text.windows(9).any(|window| window == b"ENCRYPTED");
    let what = if encrypted {
        "an encrypted key was found"
    } else {
        "nothing of the kind was found"
    };
    Err(unexpected(path, wanted, what))
}

fn unexpected(path: &Path, wanted: &'static str, found: &'static str) -> PemError {
    PemError::Unexpected {
        path: path.to_owned(),
        wanted,
        found,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PemError> {
    let path = path.to_owned();
    file::read(&path, MAX_BYTES).map_err(|cause| {
        if cause.kind() == ErrorKind::FileTooLarge {
            PemError::TooLarge { path }
        } else {
            PemError::Unreadable { path, cause }
        }
    })
}
