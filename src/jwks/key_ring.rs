//! The keys of one issuer, prepared, and the rule by which a token's `kid` chooses among them.
//!
//! Immutable: a reload builds a new ring and publishes it whole. Nothing is built per request.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Verifier;
use super::public_key::{KeyFault, PublicKey};
use crate::model::Algorithm;

/// How many keys that share a `kid` and an algorithm are tried. Each is a signature check that a
/// caller can make us pay for.
const MAX_SHARED_KID: usize = 4;

/// Prepared keys.
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
    /// PEM and secrets have no place for a `kid`, so a foreign `kid` in a token says nothing; it is
    /// ignored where the algorithm leaves exactly one key.
    Nameless,
}

struct Key {
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
        self.push(kid, Some(thumbprint), verifiers);
        if useless {
            return Err(KeyFault::NotListed);
        }
        Ok(())
    }

    pub(super) fn add_secret(&mut self, verifiers: Vec<Verifier>) {
        self.push(None, None, verifiers);
    }

    fn push(&mut self, kid: Option<&str>, thumbprint: Option<[u8; 32]>, verifiers: Vec<Verifier>) {
        let place = self.keys.len();
        let kid: Option<Arc<str>> = kid.map(Arc::from);
        let names: Vec<Arc<str>> = match (&kid, thumbprint) {
            (Some(kid), _) => vec![Arc::clone(kid)],
            (None, Some(print)) => vec![hex(&print).into(), URL_SAFE_NO_PAD.encode(print).into()],
            (None, None) => Vec::new(),
        };
        for name in names {
            self.named.entry(name).or_default().push(place);
        }
        self.keys.push(Key {
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

    fn usable(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| !key.verifiers.is_empty())
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

// === impl Candidates ===

impl<'r> Candidates<'r> {
    /// Each verifier, with the ring's own `kid` for it.
    pub fn iter(&self) -> impl Iterator<Item = (&'r Verifier, Option<&'r Arc<str>>)> + use<'r> {
        let Self {
            ring,
            places,
            algorithm,
        } = *self;
        places
            .iter()
            .filter_map(move |place| ring.keys.get(*place))
            .filter_map(move |key| Some((key.verifier(algorithm)?, key.kid.as_ref())))
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
