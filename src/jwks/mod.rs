//! The keys of an issuer: a JWKS, PEM or a secret becomes a [`KeyRing`] of prepared verifiers.
//!
//! Reading is all or nothing where it matters: a document that holds private or shared keys, or that
//! can be read in two ways, is refused whole. A single key that cannot be used is skipped with a
//! [`KeyWarning`]; when none is left the load has failed, and whoever reloads keeps the last good
//! ring. No text of an error or a warning ever holds key material.

mod algorithm;
mod jwk;
mod key_ring;
mod load;
mod public_key;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use self::algorithm::Verifier;
pub use self::key_ring::{Candidates, KeyId, KeyRing, NoKey, ShownKey};
pub use self::load::{LoadKeysError, Place, load};
pub use self::public_key::KeyFault;

use self::key_ring::Naming;
use self::public_key::PublicKey;
use crate::model::Algorithm;
use crate::model::json;
use crate::pem::{PublicSection, public_sections};

/// More than any set of keys needs; what is larger is the wrong file or document.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 1 << 20;
/// More than one public key or certificate chain needs.
const MAX_NAMED_PEM: usize = 16 << 10;
/// The longest `kid`, in a set and in a token.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// Why no ring could be made of a document.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysError {
    /// Not JSON, not an object, or ambiguous.
    #[error("this is not the JSON document that an issuer publishes (RFC 7517 5)")]
    Json(#[from] json::JsonError),
    /// There is no array of keys.
    #[error(
        "the JWKS has no array \"keys\"; Pomerium publishes \"keys\": null while it has no signing \
         key, so set one there and fetch the document again"
    )]
    NoKeys,
    /// Not JSON, not an object, or ambiguous.
    #[error("the map of keys is {0}; it must be a JSON object from kid to PEM")]
    Map(json::JsonError),
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
    /// One of many, and too large for that.
    #[error("this is more than 16 KiB, which no single key is")]
    PemTooLarge,
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

impl KeysError {
    /// The same without the names of keys, for where those are a stranger's words.
    #[must_use]
    pub(crate) fn anonymous(self) -> Self {
        let Self::NoUsableKey(mut warnings) = self else {
            return self;
        };
        for warning in &mut warnings {
            warning.kid = None;
        }
        Self::NoUsableKey(warnings)
    }
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

// === impl KeyRing: the kinds of document ===

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
        let mut ring = Self::new(Naming::Nameless);
        let mut warnings = Vec::new();
        for (index, section) in sections(pem)?.iter().enumerate() {
            if let Err(fault) = pem_key(section).and_then(|key| ring.add(None, &key, algorithms)) {
                let kid = None;
                warnings.push(KeyWarning { index, kid, fault });
            }
        }
        ring.finish(warnings)
    }

    /// Reads a JSON object from `kid` to PEM, as Google IAP publishes its keys.
    ///
    /// # Errors
    ///
    /// [`KeysError`]
    pub fn from_pem_map(
        document: &[u8],
        algorithms: &[Algorithm],
    ) -> Result<(Self, Vec<KeyWarning>), KeysError> {
        let document = json::parse_object(document).map_err(KeysError::Map)?;
        let mut ring = Self::new(Naming::ByKid);
        let mut warnings = Vec::new();
        for (index, (kid, pem)) in document.iter().enumerate() {
            let pem = pem.as_str().unwrap_or_default().as_bytes();
            warnings.extend(ring.add_pem(index, kid, pem, algorithms)?);
        }
        ring.finish(warnings)
    }

    /// Reads one PEM text whose keys have this name.
    ///
    /// # Errors
    ///
    /// [`KeysError`], also for more than 16 KiB: many of them are kept.
    pub fn from_named_pem(
        kid: &str,
        pem: &[u8],
        algorithms: &[Algorithm],
    ) -> Result<(Self, Vec<KeyWarning>), KeysError> {
        if pem.len() > MAX_NAMED_PEM {
            return Err(KeysError::PemTooLarge);
        }
        let mut ring = Self::new(Naming::ByKid);
        let warnings = ring.add_pem(0, kid, pem, algorithms)?;
        ring.finish(warnings)
    }

    /// Makes a ring of PEM texts that were fetched one by one, each under its `kid`. It may be empty:
    /// then every `kid` is still unknown.
    #[must_use]
    pub fn of_pems<'p>(
        pems: impl IntoIterator<Item = (&'p str, &'p [u8])>,
        algorithms: &[Algorithm],
    ) -> Self {
        let mut ring = Self::new(Naming::ByKid);
        for (index, (kid, pem)) in pems.into_iter().enumerate() {
            // Each was found good by itself before it was kept.
            drop(ring.add_pem(index, kid, pem, algorithms));
        }
        ring.sealed()
    }

    /// Adds the keys of one PEM text under this name, and says which were skipped.
    fn add_pem(
        &mut self,
        index: usize,
        kid: &str,
        pem: &[u8],
        algorithms: &[Algorithm],
    ) -> Result<Vec<KeyWarning>, KeysError> {
        let shown = jwk::is_fit(kid).then(|| kid.to_owned());
        let warning = |fault| KeyWarning {
            index,
            kid: shown.clone(),
            fault,
        };
        let sections = match sections(pem) {
            Ok(sections) if shown.is_some() => sections,
            Ok(_) => return Ok(vec![warning(KeyFault::KeyId)]),
            Err(KeysError::Pem) => return Ok(vec![warning(KeyFault::NotPem)]),
            // SECURITY: guarded by `a_private_key_refuses_the_whole_map_or_directory`.
            Err(error) => return Err(error),
        };
        let add = |section| pem_key(section).and_then(|key| self.add(Some(kid), &key, algorithms));
        let faults = sections.iter().map(add).filter_map(Result::err);
        Ok(faults.map(warning).collect())
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
        ring.add_secret(KeyId::of_secret(secret), verifiers);
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

/// The sections of a PEM text, of which there is at least one, and no private key.
fn sections(pem: &[u8]) -> Result<Vec<PublicSection>, KeysError> {
    let private = b"PRIVATE KEY-----";
    if pem.windows(private.len()).any(|window| window == private) {
        return Err(KeysError::PrivateKeyInPem);
    }
    public_sections(pem)
        .filter(|found| !found.is_empty())
        .ok_or(KeysError::Pem)
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
