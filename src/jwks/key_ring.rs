//! The keys of one issuer, prepared, and the rule by which a token's `kid` chooses among them.
//!
//! Immutable: a reload builds a new ring and publishes it whole. Nothing is built per request.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Verifier;
use super::public_key::{KeyFault, PublicKey};
use crate::model::Algorithm;

/// How many keys that share a `kid` and an algorithm are tried. Each is a signature check that a
/// caller can make us pay for.
const MAX_SHARED_KID: usize = 4;

/// Prepared keys.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<Key>,
    /// By `kid`, and for keys without one by both forms of the thumbprint.
    named: HashMap<Arc<str>, Vec<usize>, ahash::RandomState>,
    /// For each algorithm that exactly one key serves, that key.
    sole: Vec<(Algorithm, [usize; 1])>,
    naming: Naming,
}

/// Whether the source of the keys could name them at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Naming {
    /// A JWKS: a `kid` that it does not hold is unknown.
    ByKid,
    /// A directory: as in a JWKS, and each key is known by its thumbprint beside the name of its file.
    ByFile,
    /// PEM and secrets have no place for a `kid`, so a foreign `kid` in a token says nothing; it is
    /// ignored where the algorithm leaves exactly one key.
    Nameless,
}

/// Which key it is, whatever it is called: two keys of one name have two of these.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct KeyId([u8; 32]);

#[derive(Clone)]
struct Key {
    id: KeyId,
    kid: Option<Arc<str>>,
    thumbprint: Option<[u8; 32]>,
    verifiers: Vec<Verifier>,
}

/// Why no key was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoKey {
    /// None has this name, or the token names none and several would fit.
    Unknown,
    /// The named key serves another algorithm. Carries the ring's own `kid`.
    Mismatch(Option<Arc<str>>),
}

/// A key, as people may see it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownKey {
    /// Its `kid`, else its thumbprint in hex.
    pub name: String,
    /// What it verifies.
    pub algorithms: Vec<Algorithm>,
    /// RFC 7638.
    thumbprint: Option<[u8; 32]>,
}

/// The keys that a token may have been signed with, best first; at least one, at most four.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'r> {
    ring: &'r KeyRing,
    places: &'r [usize],
    algorithm: Algorithm,
}

// === impl KeyRing ===

impl KeyRing {
    pub(super) fn new(naming: Naming) -> Self {
        Self {
            keys: Vec::new(),
            named: HashMap::default(),
            sole: Vec::new(),
            naming,
        }
    }

    /// Adds a public key for those of `algorithms` that fit it.
    pub(super) fn add(
        &mut self,
        kid: Option<&str>,
        key: &PublicKey,
        algorithms: &[Algorithm],
    ) -> Result<(), KeyFault> {
        let thumbprint = key.thumbprint();
        let twin =
            |known: &Key| known.thumbprint == Some(thumbprint) && known.kid.as_deref() == kid;
        if self.keys.iter().any(twin) {
            return Err(KeyFault::Repeated);
        }
        let mut verifiers = Vec::new();
        for algorithm in algorithms {
            verifiers.extend(key.verifier(*algorithm)?);
        }
        if let Some(kid) = kid {
            let shared = self.named.get(kid).map_or(0, Vec::len);
            if shared >= MAX_SHARED_KID {
                return Err(KeyFault::KidShared);
            }
        }
        let useless = verifiers.is_empty();
        // A key that no listed algorithm uses stays known by name, so that a token which names it
        // is told apart from one that names nothing.
        self.push(KeyId(thumbprint), kid, Some(thumbprint), verifiers);
        if useless {
            return Err(KeyFault::NotListed);
        }
        Ok(())
    }

    pub(super) fn add_secret(&mut self, id: KeyId, verifiers: Vec<Verifier>) {
        self.push(id, None, None, verifiers);
    }

    fn push(
        &mut self,
        id: KeyId,
        kid: Option<&str>,
        thumbprint: Option<[u8; 32]>,
        verifiers: Vec<Verifier>,
    ) {
        let place = self.keys.len();
        let kid: Option<Arc<str>> = kid.map(Arc::from);
        if let Some(kid) = &kid {
            self.named.entry(Arc::clone(kid)).or_default().push(place);
        }
        if let Some(print) = thumbprint.filter(|_| kid.is_none() || self.naming == Naming::ByFile) {
            for name in [hex(&print), URL_SAFE_NO_PAD.encode(print)] {
                // Once: copies of a key in several files are one key.
                let places = self.named.entry(name.into()).or_default();
                if places.is_empty() {
                    places.push(place);
                }
            }
        }
        self.keys.push(Key {
            id,
            kid,
            thumbprint,
            verifiers,
        });
    }

    /// Ends the building: works out which algorithms are served by one key alone.
    pub(super) fn sealed(mut self) -> Self {
        self.sole = Algorithm::ALL
            .into_iter()
            .filter_map(|algorithm| self.only_key_for(algorithm))
            .collect();
        self
    }

    fn only_key_for(&self, algorithm: Algorithm) -> Option<(Algorithm, [usize; 1])> {
        let mut fitting = (0..)
            .zip(&self.keys)
            .filter(|(_, key)| key.serves(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some((place, _)), None) => Some((algorithm, [place])),
            _ => None,
        }
    }

    /// The keys that a token of this `kid` and this algorithm may have been signed with.
    ///
    /// With a `kid`: the keys that have it, or a key without one whose RFC 7638 thumbprint it is.
    /// Without: the key that alone serves the algorithm.
    ///
    /// # Errors
    ///
    /// [`NoKey`]
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<Candidates<'_>, NoKey> {
        let places = match kid.and_then(|kid| self.named.get(kid)) {
            Some(places) => places.as_slice(),
            // SECURITY: guarded by `a_token_without_kid_needs_a_ring_with_one_fitting_key`.
            None if kid.is_none() || self.naming == Naming::Nameless => self
                .sole
                .iter()
                .find(|(served, _)| *served == algorithm)
                .map(|(_, place)| place.as_slice())
                .ok_or(NoKey::Unknown)?,
            None => return Err(NoKey::Unknown),
        };
        let found = Candidates {
            ring: self,
            places,
            algorithm,
        };
        if found.iter().next().is_some() {
            return Ok(found);
        }
        let first = places.first().and_then(|place| self.keys.get(*place));
        Err(NoKey::Mismatch(first.and_then(|key| key.kid.clone())))
    }

    /// Whether this key is still here and good for `algorithm`, and what it is called now.
    #[must_use]
    pub fn holds(&self, id: KeyId, algorithm: Algorithm) -> Option<Option<&Arc<str>>> {
        // Few keys, and asked seldom: no table is worth its memory.
        let is_it = |key: &&Key| key.id == id && key.serves(algorithm);
        self.keys.iter().find(is_it).map(|key| key.kid.as_ref())
    }

    /// Whether a key has this name, whatever it is good for.
    #[must_use]
    pub fn knows(&self, kid: &str) -> bool {
        self.named.contains_key(kid)
    }

    /// Whether both hold the same keys under the same names for the same algorithms, in the same
    /// order, so that no verdict could differ.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let told = |key: &Key| {
            let algorithms = key.verifiers.iter().map(Verifier::for_algorithm);
            let algorithms: Vec<Algorithm> = algorithms.collect();
            (key.kid.clone(), key.thumbprint, algorithms)
        };
        // A secret has no thumbprint, so two of them are never known to be the same.
        let is_told = |key: &Key| key.thumbprint.is_some();
        self.naming == other.naming
            && self.keys.iter().all(is_told)
            && self.keys.iter().map(told).eq(other.keys.iter().map(told))
    }

    /// How many keys can verify something.
    #[must_use]
    pub fn len(&self) -> usize {
        self.usable().count()
    }

    /// Whether no key can verify anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What to call each usable key when talking to people: its `kid`, else its thumbprint in hex.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.usable().map(|key| match (&key.kid, key.thumbprint) {
            (Some(kid), _) => kid.to_string(),
            (None, Some(print)) => hex(&print),
            (None, None) => "secret".to_owned(),
        })
    }

    /// What may be said of each usable key to people: names, never numbers.
    pub fn shown(&self) -> impl Iterator<Item = ShownKey> {
        self.names().zip(self.usable()).map(|(name, key)| {
            let verifiers = key.verifiers.iter();
            ShownKey {
                name,
                algorithms: verifiers.map(|one| one.for_algorithm()).collect(),
                thumbprint: key.thumbprint,
            }
        })
    }

    fn usable(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| !key.verifiers.is_empty())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

// === impl ShownKey ===

impl ShownKey {
    /// Whether this is the key's thumbprint, in hex or in base64url.
    #[must_use]
    pub fn has_thumbprint(&self, text: &str) -> bool {
        self.thumbprint.is_some_and(|print| {
            hex(&print).eq_ignore_ascii_case(text) || URL_SAFE_NO_PAD.encode(print) == text
        })
    }
}

impl fmt::Display for ShownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.algorithms.iter().map(|one| one.name()).collect();
        write!(f, "{:?} ({})", self.name, names.join(", "))
    }
}

// === impl Candidates ===

impl<'r> Candidates<'r> {
    /// Each verifier, with the ring's own `kid` for its key, and which key it is.
    pub fn iter(
        &self,
    ) -> impl Iterator<Item = (&'r Verifier, Option<&'r Arc<str>>, KeyId)> + use<'r> {
        let Self {
            ring,
            places,
            algorithm,
        } = *self;
        places
            .iter()
            .filter_map(move |place| ring.keys.get(*place))
            .filter_map(move |key| Some((key.verifier(algorithm)?, key.kid.as_ref(), key.id)))
    }
}

// === impl KeyId ===

impl KeyId {
    /// A secret's. Made of its digest, so that the secret itself is nowhere twice.
    pub(super) fn of_secret(secret: &[u8]) -> Self {
        let mut id = [0; 32];
        id.copy_from_slice(digest(&SHA256, secret).as_ref());
        Self(id)
    }
}

/// Nothing: a secret's could be guessed at.
impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyId")
    }
}

// === impl Key ===

impl Key {
    fn verifier(&self, algorithm: Algorithm) -> Option<&Verifier> {
        self.verifiers
            .iter()
            .find(|verifier| verifier.for_algorithm() == algorithm)
    }

    fn serves(&self, algorithm: Algorithm) -> bool {
        self.verifier(algorithm).is_some()
    }
}

/// Lower-case hex, the form in which Pomerium writes a thumbprint.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a string cannot fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}
