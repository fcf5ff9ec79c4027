//! 3. A raw token becomes a [`Principal`], or a [`Refusal`].
//!
//! The order is the security argument: form, header, algorithm list, key, signature; only then the
//! claims; last the pair of peer and issuer. Nothing here reads a clock, does input or output, or
//! waits. The types carry the proof: `RawToken` -> `SignedPayload` -> `Principal`, and only the step
//! that earns each can make it.

mod cache;
mod claims;
mod header;
mod policy;
mod rules;
mod signature;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::claims::Claims;
pub use self::policy::Policy;

use self::cache::{Generations, TokenCache, Verdict};
use self::policy::Issuer;
use self::signature::{Parts, Unsigned};
use crate::accept::Peer;
use crate::bearer::RawToken;
use crate::model::{Denial, Timestamp};
use crate::reload::Generation;
use crate::settings::{IssuerIndex, LimitSettings};

/// Judges tokens.
pub struct Checker {
    cache: TokenCache,
}

/// For whom a request speaks: the proof that its token passed every check for this peer.
#[derive(Clone, Debug)]
pub struct Principal {
    issuer: IssuerIndex,
    issuer_name: Arc<str>,
    claims: Arc<Claims>,
    kid: Option<Arc<str>>,
    verification: Verification,
}

/// Whether the signature was computed for this request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verification {
    /// Now.
    Fresh,
    /// For an earlier request with the same token; its claims were judged again.
    Cached,
}

/// Why a token was refused, and what may be said about it in a log.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The reason.
    pub denial: Denial,
    /// The configuration's name of the issuer whose token this was taken for.
    pub issuer: Option<Arc<str>>,
    /// The key ring's own name for the key; never the token's text.
    pub kid: Option<Arc<str>>,
    /// The signed subject, cut to 256 bytes; `None` unless the signature held.
    pub subject: Option<Arc<str>>,
}

// === impl Checker ===

impl Checker {
    /// A checker with room for `limits.cached_tokens`.
    #[must_use]
    pub fn new(limits: &LimitSettings) -> Self {
        Self {
            cache: TokenCache::new(limits.cached_tokens),
        }
    }

    /// How many verified tokens are remembered.
    #[must_use]
    pub fn cached_tokens(&self) -> usize {
        self.cache.len()
    }

    /// Judges the token that `policy`'s places found, brought by `peer` at the time `now`. What is
    /// remembered of it is worth something under this `generation` of the policy only.
    ///
    /// # Errors
    ///
    /// [`Refusal`], with a [`Denial`] of the stages `token`, `claims` or `pair`; of several reasons
    /// the first in the order of the checks.
    pub fn check(
        &self,
        policy: &Policy,
        generation: Generation,
        token: &RawToken<'_>,
        peer: &Peer,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        let principal = match self.recall(policy, generation, token, now) {
            Some(remembered) => remembered?,
            None => self.verify(policy, generation, token, now)?,
        };
        // SECURITY: guarded by the rows "… this peer may not bring" of the attack table. Last, so
        // that it speaks of a token that is known to be the issuer's.
        if !peer.may_bring(&principal.issuer_name) {
            return Err(principal.refused(Denial::IssuerNotForPeer));
        }
        Ok(principal)
    }

    /// The verdict on a token seen before; its claims are judged again, for time has passed.
    fn recall(
        &self,
        policy: &Policy,
        generation: Generation,
        token: &RawToken<'_>,
        now: Timestamp,
    ) -> Option<Result<Principal, Refusal>> {
        token.issuers().iter().find_map(|index| {
            let issuer = policy.issuer(*index)?;
            let under = Generations {
                policy: generation,
                keys: issuer.keys.current().generation,
            };
            let verdict = self.cache.find(*index, token.text(), under)?;
            let principal = Principal::new(issuer, &verdict, Verification::Cached);
            Some(principal.under(issuer, now))
        })
    }

    fn verify(
        &self,
        policy: &Policy,
        generation: Generation,
        token: &RawToken<'_>,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        let parts = Parts::split(token).map_err(|denial| {
            let only = only(token.issuers()).and_then(|index| policy.issuer(index));
            Refusal::unsigned(denial.into(), only)
        })?;
        let issuer = choose(policy, token.issuers(), &parts)
            .ok_or_else(|| Refusal::unsigned(Denial::IssuerUnknown.into(), None))?;
        let unsigned = |unsigned| Refusal::unsigned(unsigned, Some(issuer));

        // One snapshot: the ring that verified is the ring whose generation is remembered.
        let keys = issuer.keys.current();
        let ring = keys
            .value
            .as_ref()
            .ok_or_else(|| unsigned(Denial::KeysUnavailable.into()))?;
        let signed = parts.verify(ring, &issuer.algorithms).map_err(unsigned)?;
        let kid = signed.kid().cloned();
        let claims = Claims::parse(&signed).map_err(|denial| {
            let kid = kid.clone();
            unsigned(Unsigned { denial, kid })
        })?;
        let verdict = Verdict {
            claims: Arc::new(claims),
            kid,
            under: Generations {
                policy: generation,
                keys: keys.generation,
            },
        };
        let principal = Principal::new(issuer, &verdict, Verification::Fresh).under(issuer, now)?;
        // After the rules, so that only what is good takes room.
        self.cache.store(issuer.index, token.text(), verdict);
        Ok(principal)
    }
}

/// The issuer whose keys are to be tried. Alone at its place, an issuer is taken without a look at
/// the payload; several are told apart by the unverified `iss`, which only chooses who must have
/// signed: the signature is then judged by that issuer's keys, and `iss` once more as a claim.
fn choose<'p>(
    policy: &'p Policy,
    candidates: &[IssuerIndex],
    parts: &Parts<'_>,
) -> Option<&'p Issuer> {
    if let Some(index) = only(candidates) {
        return policy.issuer(index);
    }
    let name = parts.peek_issuer()?;
    candidates
        .iter()
        .filter_map(|index| policy.issuer(*index))
        .find(|issuer| issuer.rules.made_by(&name))
}

fn only(candidates: &[IssuerIndex]) -> Option<IssuerIndex> {
    match candidates {
        [index] => Some(*index),
        _ => None,
    }
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker")
            .field("cached_tokens", &self.cached_tokens())
            .finish_non_exhaustive()
    }
}

// === impl Principal ===

impl Principal {
    fn new(issuer: &Issuer, verdict: &Verdict, verification: Verification) -> Self {
        Self {
            issuer: issuer.index,
            issuer_name: Arc::clone(&issuer.name),
            claims: Arc::clone(&verdict.claims),
            kid: verdict.kid.clone(),
            verification,
        }
    }

    /// Holds the claims to the issuer's rules.
    fn under(self, issuer: &Issuer, now: Timestamp) -> Result<Self, Refusal> {
        match issuer.rules.judge(&self.claims, now) {
            Ok(()) => Ok(self),
            Err(denial) => Err(self.refused(denial)),
        }
    }

    fn refused(self, denial: Denial) -> Refusal {
        Refusal {
            denial,
            issuer: Some(self.issuer_name),
            kid: self.kid,
            subject: self.claims.shown_subject(),
        }
    }

    /// The issuer's place in the settings.
    #[must_use]
    pub fn issuer(&self) -> IssuerIndex {
        self.issuer
    }

    /// The configuration's name of the issuer.
    #[must_use]
    pub fn issuer_name(&self) -> &Arc<str> {
        &self.issuer_name
    }

    /// What was signed.
    #[must_use]
    pub fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// The key ring's own name for the key that signed, where it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// Whether the signature was computed for this request.
    #[must_use]
    pub fn verification(&self) -> Verification {
        self.verification
    }
}

// === impl Refusal ===

impl Refusal {
    fn unsigned(unsigned: Unsigned, issuer: Option<&Issuer>) -> Self {
        Self {
            denial: unsigned.denial,
            issuer: issuer.map(|issuer| Arc::clone(&issuer.name)),
            kid: unsigned.kid,
            subject: None,
        }
    }
}
