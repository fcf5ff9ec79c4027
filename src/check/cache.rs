//! Verified tokens, remembered: a token seen again is not verified again.
//!
//! Exact: the whole token and its issuer are the key, compared byte for byte. Bounded, in entries and
//! in bytes. Only what was found good is stored, and only for the generations of keys and policy it
//! was found good under. Never a deny list: an ECDSA token has a twin with other bytes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};

use super::claims::Claims;
use super::signature::{Looks, Signer};
use crate::reload::Generation;
use crate::settings::IssuerIndex;

/// The room for one token and its claims, on average; most take less.
const BYTES_PER_TOKEN: u64 = 4096;

/// The cache; without an entry when it was switched off.
pub(super) struct TokenCache {
    verified: Option<Cache<Owned, Arc<Verdict>, ByBytes, ahash::RandomState>>,
}

/// The editions that a verdict was reached under.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Generations {
    pub(super) policy: Generation,
    pub(super) keys: Generation,
}

/// What is known of a token whose signature held.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) claims: Claims,
    pub(super) kid: Option<Arc<str>>,
    pub(super) signer: Signer,
    pub(super) looks: Looks,
    pub(super) under: Generations,
}

impl TokenCache {
    pub(super) fn new(tokens: usize) -> Self {
        let verified = (tokens > 0).then(|| {
            let entries = u64::try_from(tokens).unwrap_or(u64::MAX);
            let bytes = entries.saturating_mul(BYTES_PER_TOKEN);
            let weigh = ByBytes {
                // So much for even the smallest entry that no more than `entries` fit.
                least: bytes / entries.max(1),
            };
            Cache::with(
                tokens,
                bytes,
                weigh,
                ahash::RandomState::new(),
                DefaultLifecycle::default(),
            )
        });
        Self { verified }
    }

    /// The verdict on this very token, if it was reached under these generations.
    pub(super) fn find(
        &self,
        issuer: IssuerIndex,
        token: &str,
        under: Generations,
    ) -> Option<Arc<Verdict>> {
        let verified = self.verified.as_ref()?;
        let key = Borrowed { issuer, token };
        let verdict = verified.get(&key)?;
        // SECURITY: guarded by `a_cached_token_is_verified_again_under_new_keys` and
        // `a_cached_token_is_verified_again_under_a_new_policy`.
        if verdict.under != under {
            verified.remove(&key);
            return None;
        }
        Some(verdict)
    }

    pub(super) fn store(&self, issuer: IssuerIndex, token: &str, verdict: Arc<Verdict>) {
        if let Some(verified) = &self.verified {
            let token = token.into();
            verified.insert(Owned { issuer, token }, verdict);
        }
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.verified.as_ref().map_or(0, Cache::len)
    }

    /// Forgets every token.
    #[cfg(test)]
    pub(super) fn clear(&self) {
        if let Some(verified) = &self.verified {
            verified.clear();
        }
    }
}

// === Keys ===

#[derive(Eq, PartialEq)]
struct Owned {
    issuer: IssuerIndex,
    token: Box<str>,
}

/// [`Owned`], without a copy of the token.
struct Borrowed<'a> {
    issuer: IssuerIndex,
    token: &'a str,
}

impl Hash for Owned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { issuer, token } = self;
        Borrowed {
            issuer: *issuer,
            token,
        }
        .hash(state);
    }
}

impl Hash for Borrowed<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.issuer.hash(state);
        self.token.hash(state);
    }
}

impl Equivalent<Owned> for Borrowed<'_> {
    fn equivalent(&self, other: &Owned) -> bool {
        // SECURITY: guarded by `a_key_is_equal_by_issuer_and_every_byte_and_hashes_alike_in_both_forms`.
        self.issuer == other.issuer && *self.token == *other.token
    }
}

#[derive(Clone, Copy)]
struct ByBytes {
    least: u64,
}

impl Weighter<Owned, Arc<Verdict>> for ByBytes {
    fn weight(&self, key: &Owned, verdict: &Arc<Verdict>) -> u64 {
        let bytes = key.token.len() + verdict.claims.weight() + size_of::<(Owned, Verdict)>();
        u64::try_from(bytes).map_or(u64::MAX, |bytes| bytes.max(self.least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash alone nearly always tells two tokens apart; a stranger may work on the rest.
    #[test]
    fn a_key_is_equal_by_issuer_and_every_byte_and_hashes_alike_in_both_forms() {
        let issuer = IssuerIndex(1);
        let owned = Owned {
            issuer,
            token: "a.b.c".into(),
        };
        for (number, token, same) in [
            (1, "a.b.c", true),
            (2, "a.b.c", false),
            (1, "a.b.d", false),
            (1, "a.b.", false),
            (1, "", false),
        ] {
            let borrowed = Borrowed {
                issuer: IssuerIndex(number),
                token,
            };
            assert_eq!(borrowed.equivalent(&owned), same, "{number} {token}");
            let hasher = ahash::RandomState::with_seed(1);
            assert_eq!(hasher.hash_one(&borrowed) == hasher.hash_one(&owned), same);
        }
    }
}
