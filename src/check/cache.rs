//! Verified tokens, remembered: a token seen again is not verified again.
//!
//! Exact: the whole token is the key, compared byte for byte, and it is found only where its issuer's
//! tokens may stand; however many issuers share that place, that is one search. Bounded, in entries and
//! in bytes. Only what was found good is stored, and only for the generations of keys and policy it
//! was found good under. Never a deny list: an ECDSA token has a twin with other bytes.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::claims::Claims;
use super::signature::{Looks, Signer};
use crate::reload::Generation;
use crate::settings::IssuerIndex;

/// The room for one token and its claims, on average; most take less.
const BYTES_PER_TOKEN: u64 = 4096;

/// The cache; without an entry when it was switched off.
pub(super) struct TokenCache {
    verified: Option<Cache<Box<str>, Arc<Verdict>, ByBytes, ahash::RandomState>>,
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
    pub(super) issuer: IssuerIndex,
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

    /// The verdict on this very token as one of the `candidates`, which are in their order, if it was
    /// reached under the generations that are in force for its issuer.
    pub(super) fn find(
        &self,
        candidates: &[IssuerIndex],
        token: &str,
        in_force: impl FnOnce(IssuerIndex) -> Option<Generations>,
    ) -> Option<Arc<Verdict>> {
        let verified = self.verified.as_ref()?;
        let verdict = verified.get(token)?;
        // SECURITY: guarded by `a_cached_token_is_found_only_where_its_issuers_tokens_stand`.
        candidates.binary_search(&verdict.issuer).ok()?;
        // SECURITY: guarded by `a_cached_token_is_verified_again_under_new_keys` and
        // `a_cached_token_is_verified_again_under_a_new_policy`.
        if in_force(verdict.issuer) != Some(verdict.under) {
            verified.remove(token);
            return None;
        }
        Some(verdict)
    }

    pub(super) fn store(&self, token: &str, verdict: Arc<Verdict>) {
        if let Some(verified) = &self.verified {
            verified.insert(token.into(), verdict);
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

#[derive(Clone, Copy)]
struct ByBytes {
    least: u64,
}

impl Weighter<Box<str>, Arc<Verdict>> for ByBytes {
    fn weight(&self, token: &Box<str>, verdict: &Arc<Verdict>) -> u64 {
        let bytes = token.len() + verdict.claims.weight() + size_of::<(Box<str>, Verdict)>();
        u64::try_from(bytes).map_or(u64::MAX, |bytes| bytes.max(self.least))
    }
}
