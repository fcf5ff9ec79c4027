//! The keys of an issuer: a JWKS, PEM or a secret becomes a [`KeyRing`] of prepared verifiers.
//!
//! Reading is all or nothing where it matters: a document that holds private or shared keys, or that
//! can be read in two ways, is refused whole. A single key that cannot be used is skipped with a
//! [`KeyWarning`]; when none is left the load has failed, and whoever reloads keeps the last good
//! ring. No text of an error or a warning ever holds key material.

mod algorithm;
mod jwk;
mod key_ring;
mod public_key;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use self::algorithm::Verifier;
pub use self::key_ring::{Candidates, KeyRing, NoKey};
pub use self::public_key::KeyFault;

use self::key_ring::Naming;
use self::public_key::PublicKey;
use crate::model::Algorithm;
use crate::model::json;
use crate::pem::{PublicSection, public_sections};
use crate::settings::KeySource;

/// More than any set of keys needs; what is larger is the wrong file.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The longest `kid`, in a set and in a token.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// Why no ring could be made of a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysError {
    /// Not JSON, not an object, or ambiguous.
    #[error("the JWKS is {0}; it must be the JSON document that the issuer publishes (RFC 7517 5)")]
    Json(#[from] json::JsonError),
    /// There is no array of keys.
    #[error(
        "the JWKS has no array \"keys\"; Pomerium publishes \"keys\": null while it has no signing \
         key, so set one there and fetch the document again"
    )]
    NoKeys,
    /// What must never come to the verifying side.
    #[error(
        "key {index} of the JWKS holds private or shared key material; publish the public keys only, \
         and replace this key, for it has been copied around"
    )]
    SecretInJwks {
        /// Its place in the array, counted from 0.
        index: usize,
    },
    /// Not PEM.
    #[error("this is not PEM; it must hold PUBLIC KEY or CERTIFICATE sections")]
    Pem,
    /// A private key among the public ones.
    #[error(
        "the PEM holds a private key; only PUBLIC KEY and CERTIFICATE sections belong here, and the \
         private key must stay with the issuer"
    )]
    PrivateKeyInPem,
    /// Every key was skipped.
    #[error("none of its {} keys can be used{}", .0.len(), first_fault(.0))]
    NoUsableKey(Vec<KeyWarning>),
    /// A secret that is a key file of another kind.
    #[error(
        "the secret is a PEM file; an HS algorithm needs a random secret, and a public key used as \
         one lets everybody sign"
    )]
    SecretIsPem,
    /// RFC 7518 3.2.
    #[error(
        "the secret has {found} bytes and {algorithm} needs at least {needed} random ones (RFC 7518 \
         3.2)"
    )]
    SecretTooShort {
        /// Its length.
        found: usize,
        /// The hash's length.
        needed: usize,
        /// The algorithm that needs it.
        algorithm: Algorithm,
    },
    /// A secret for algorithms that use none.
    #[error("{0} does not use a secret; list only HS256, HS384 or HS512 with keys.secret")]
    NotSymmetric(Algorithm),
}

/// Why the keys of an issuer could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadKeysError {
    /// The file cannot be read.
    #[error("cannot read the keys in {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be one of keys.
    #[error("{} is larger than 1 MiB, which no set of keys is", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file does not make a ring.
    #[error("the keys in {} cannot be used", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeysError,
    },
}

/// A key that was skipped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyWarning {
    /// Its place in the document, counted from 0.
    pub index: usize,
    /// Its `kid`, where it has one fit to be shown.
    pub kid: Option<String>,
    /// Why it was skipped.
    pub fault: KeyFault,
}

/// Reads the keys of one issuer from where its settings say.
///
/// # Errors
///
/// [`LoadKeysError`], which names the file.
pub fn load(
    source: &KeySource,
    algorithms: &[Algorithm],
) -> Result<(KeyRing, Vec<KeyWarning>), LoadKeysError> {
    let path = match source {
        KeySource::JwksFile(path) | KeySource::PemFile(path) | KeySource::SecretFile(path) => path,
    };
    let bytes = read(path)?;
    match source {
        KeySource::JwksFile(_) => KeyRing::from_jwks(&bytes, algorithms),
        KeySource::PemFile(_) => KeyRing::from_pem(&bytes, algorithms),
        KeySource::SecretFile(_) => {
            KeyRing::from_secret(&bytes, algorithms).map(|ring| (ring, Vec::new()))
        }
    }
    .map_err(|source| LoadKeysError::Unusable {
        path: path.clone(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, LoadKeysError> {
    let mut bytes = Vec::new();
    File::open(path)
        // Bounded while reading: the size that a file claims to have may be another one by now.
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| LoadKeysError::Read {
            path: path.to_owned(),
            source,
        })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(LoadKeysError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

// === impl KeyRing: the three sources ===

impl KeyRing {
    /// Reads a JWKS (RFC 7517 5) for an issuer that may use `algorithms`.
    ///
    /// # Errors
    ///
    /// [`KeysError`] when the document is ambiguous, holds what must stay secret, or holds no key
    /// that can be used.
    pub fn from_jwks(
        document: &[u8],
        algorithms: &[Algorithm],
    ) -> Result<(Self, Vec<KeyWarning>), KeysError> {
        let mut document = json::parse_object(document)?;
        let Some(Value::Array(members)) = document.remove("keys") else {
            return Err(KeysError::NoKeys);
        };
        // SECURITY: guarded by `a_jwks_with_private_or_shared_material_is_refused_whole`. Before
        // anything is used: a set that leaked one private key is not to be trusted with the others.
        let secret = |member: &Value| member.as_object().is_some_and(jwk::holds_secret);
        if let Some(index) = members.iter().position(secret) {
            return Err(KeysError::SecretInJwks { index });
        }
        let mut ring = Self::new(Naming::ByKid);
        let mut warnings = Vec::new();
        for (index, member) in members.into_iter().enumerate() {
            let kid = member.get("kid").and_then(Value::as_str);
            let kid = kid.filter(|kid| jwk::is_fit(kid)).map(str::to_owned);
            if let Err(fault) = ring.add_member(member, algorithms) {
                warnings.push(KeyWarning { index, kid, fault });
            }
        }
        ring.finish(warnings)
    }

    fn add_member(&mut self, member: Value, algorithms: &[Algorithm]) -> Result<(), KeyFault> {
        let Value::Object(member) = member else {
            return Err(KeyFault::NotAJwk);
        };
        let member = jwk::parse(member)?;
        let listed: Vec<Algorithm> = algorithms
            .iter()
            .copied()
            .filter(|algorithm| member.algorithm.is_none_or(|bound| bound == *algorithm))
            .collect();
        self.add(member.kid.as_deref(), &member.key, &listed)
    }

    /// Reads `PUBLIC KEY` and `CERTIFICATE` sections (RFC 7468). Of a certificate only the key is
    /// taken: its dates and its chain say nothing about tokens.
    ///
    /// # Errors
    ///
    /// [`KeysError`]
    pub fn from_pem(
        pem: &[u8],
        algorithms: &[Algorithm],
    ) -> Result<(Self, Vec<KeyWarning>), KeysError> {
        let private = b"PRIVATE KEY-----";
        if pem.windows(private.len()).any(|window| window == private) {
            return Err(KeysError::PrivateKeyInPem);
        }
        let mut ring = Self::new(Naming::Nameless);
        let mut warnings = Vec::new();
        let sections = public_sections(pem).filter(|found| !found.is_empty());
        for (index, section) in sections.ok_or(KeysError::Pem)?.iter().enumerate() {
            if let Err(fault) = pem_key(section).and_then(|key| ring.add(None, &key, algorithms)) {
                let kid = None;
                warnings.push(KeyWarning { index, kid, fault });
            }
        }
        ring.finish(warnings)
    }

    /// Takes the shared secret of HS algorithms. One line end at the very end is not part of it: an
    /// editor or `echo` put it there.
    ///
    /// # Errors
    ///
    /// [`KeysError`] when the secret is too short for one of the algorithms, or is no secret.
    pub fn from_secret(secret: &[u8], algorithms: &[Algorithm]) -> Result<Self, KeysError> {
        let secret = secret
            .strip_suffix(b"\n")
            .map_or(secret, |line| line.strip_suffix(b"\r").unwrap_or(line));
        // SECURITY: guarded by `a_public_key_file_is_refused_as_a_secret`.
        if secret.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Err(KeysError::SecretIsPem);
        }
        let mut verifiers = Vec::new();
        for algorithm in algorithms.iter().copied() {
            let (hash, needed) =
                algorithm::hmac_parameters(algorithm).ok_or(KeysError::NotSymmetric(algorithm))?;
            if secret.len() < needed {
                let found = secret.len();
                return Err(KeysError::SecretTooShort {
                    found,
                    needed,
                    algorithm,
                });
            }
            verifiers.push(Verifier::secret(algorithm, hash, secret));
        }
        let mut ring = Self::new(Naming::Nameless);
        ring.add_secret(verifiers);
        Ok(ring.sealed())
    }

    /// An empty result is a failed load, never an empty ring.
    fn finish(self, warnings: Vec<KeyWarning>) -> Result<(Self, Vec<KeyWarning>), KeysError> {
        if self.is_empty() {
            return Err(KeysError::NoUsableKey(warnings));
        }
        Ok((self.sealed(), warnings))
    }
}

/// The numbers of a public key as the members of a JWK; `None` when the DER is no usable key.
pub(crate) fn jwk_of_spki(der: &[u8]) -> Option<Map<String, Value>> {
    PublicKey::from_spki(der).ok().map(|key| key.members())
}

fn pem_key(section: &PublicSection) -> Result<PublicKey, KeyFault> {
    match section {
        PublicSection::Key(spki) => PublicKey::from_spki(spki),
        PublicSection::Certificate(der) => {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|_| KeyFault::Der)?;
            PublicKey::from_spki(certificate.tbs_certificate.subject_pki.raw)
        }
        PublicSection::Other => Err(KeyFault::Der),
    }
}

// === impl KeyWarning ===

impl fmt::Display for KeyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.index)?;
        if let Some(kid) = &self.kid {
            // `{:?}` escapes what would break a line.
            write!(f, " (kid {kid:?})")?;
        }
        write!(f, " is skipped: {}", self.fault)
    }
}

fn first_fault(warnings: &[KeyWarning]) -> String {
    warnings
        .first()
        .map_or_else(String::new, |warning| format!("; {warning}"))
}
