//! 3. A raw token becomes a [`Principal`], or a [`Refusal`].
//!
//! The order is the security argument: form, header, algorithm list, key, signature; only then the
//! claims; last the pair of peer and issuer. Nothing here reads a clock, does input or output, or
//! waits. The types carry the proof: `RawToken` -> `SignedPayload` -> `Principal`, and only the step
//! that earns each can make it.

mod alb;
mod cache;
mod claims;
mod header;
mod leave;
mod policy;
mod rules;
mod signature;
mod single_use;
mod spending;
mod standing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use self::claims::Claims;
pub use self::leave::Leave;
pub use self::policy::Policy;
pub use self::spending::{Spending, Unspent};

use self::cache::{Generations, TokenCache, Verdict};
use self::policy::{Issuer, choose, only};
use self::signature::{Parts, Unsigned};
use self::single_use::UsedTokens;
use crate::accept::Peer;
use crate::bearer::RawToken;
use crate::model::{Denial, Timestamp};
use crate::reload::{Generation, Reader};
use crate::revocation::{DenyList, Line, TokenFacts};
use crate::settings::{IssuerIndex, LimitSettings};

/// Judges tokens.
pub struct Checker {
    cache: TokenCache,
    used: UsedTokens,
}

/// For whom a request speaks: the proof that its token passed every check for this peer.
#[derive(Clone, Debug)]
pub struct Principal {
    issuer: IssuerIndex,
    issuer_name: Arc<str>,
    verdict: Arc<Verdict>,
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
    /// The line of the deny list that names the token.
    pub deny_line: Option<Line>,
    /// The signed subject, cut to 256 bytes; `None` unless the signature held.
    pub subject: Option<Arc<str>>,
    /// The key that was not there, when another set of keys may have it.
    pub missing: Option<MissingKey>,
}

/// A key that a token named and that was not there. Its name is a stranger's words: to be asked with,
/// and never to be told.
#[derive(Clone)]
pub struct MissingKey {
    issuer: IssuerIndex,
    kid: Box<str>,
}

// === impl Checker ===

impl Checker {
    /// A checker with room for `limits.cached_tokens`.
    #[must_use]
    pub fn new(limits: &LimitSettings) -> Self {
        Self {
            cache: TokenCache::new(limits.cached_tokens),
            used: UsedTokens::default(),
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
    ) -> Result<Unspent, Refusal> {
        let principal = match self.recall(policy, generation, token, now) {
            Some(remembered) => remembered?,
            None => self
                .verify(policy, generation, token, now)
                .map_err(|refusal| refusal.asked_by(peer))?,
        };
        principal.allowed_by(&policy.denied, now)?;
        // SECURITY: guarded by the rows "… this peer may not bring" of the attack table. Last, so
        // that it speaks of a token that is known to be the issuer's.
        if !peer.may_bring(&principal.issuer_name) {
            return Err(principal.refused(Denial::IssuerNotForPeer));
        }
        principal.brought_by(policy, peer).map(Unspent::new)
    }

    /// How many used tokens are remembered.
    #[must_use]
    pub fn used_tokens(&self) -> usize {
        self.used.len()
    }

    /// The verdict on a token seen before; its claims are judged again, for time has passed.
    fn recall(
        &self,
        policy: &Policy,
        generation: Generation,
        token: &RawToken<'_>,
        now: Timestamp,
    ) -> Option<Result<Principal, Refusal>> {
        let in_force = |index| {
            let issuer = policy.issuer(index)?;
            // A token for one use would come back in order to be refused.
            issuer.rules.single_use().is_none().then(|| Generations {
                policy: generation,
                keys: issuer.keys.current().generation,
            })
        };
        let verdict = self.cache.find(token.issuers(), token.text(), in_force)?;
        let issuer = policy.issuer(verdict.issuer)?;
        let principal = Principal::new(issuer, verdict, Verification::Cached);
        Some(principal.under(issuer, now))
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
        let signed = parts.verify(ring, &issuer.wanted).map_err(unsigned)?;
        let claims = Claims::parse(&signed)
            .map_err(|denial| unsigned(Unsigned::by_key(denial, signed.kid().cloned())))?;
        let verdict = Arc::new(Verdict {
            issuer: issuer.index,
            claims,
            kid: signed.kid().cloned(),
            signer: signed.signer(),
            looks: signed.into_looks(),
            under: Generations {
                policy: generation,
                keys: keys.generation,
            },
        });
        let fresh = Principal::new(issuer, Arc::clone(&verdict), Verification::Fresh);
        let principal = fresh.under(issuer, now)?;
        // After the rules, so that only what is good takes room.
        if issuer.rules.single_use().is_none() {
            self.cache.store(token.text(), verdict);
        }
        Ok(principal)
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
    fn new(issuer: &Issuer, verdict: Arc<Verdict>, verification: Verification) -> Self {
        Self {
            issuer: issuer.index,
            issuer_name: Arc::clone(&issuer.name),
            verdict,
            verification,
        }
    }

    /// Holds the claims to the issuer's rules.
    fn under(self, issuer: &Issuer, now: Timestamp) -> Result<Self, Refusal> {
        match issuer.rules.judge(self.claims(), now) {
            Ok(()) => Ok(self),
            Err(denial) => Err(self.refused(denial)),
        }
    }

    /// Asks the deny list in force, also about a token that is remembered as good.
    fn allowed_by(&self, denied: &Reader<DenyList>, now: Timestamp) -> Result<(), Refusal> {
        self.allowed_as(self.kid().map(|kid| &**kid), denied, now)
    }

    /// The same where its key has this name by now.
    fn allowed_as(
        &self,
        kid: Option<&str>,
        denied: &Reader<DenyList>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let claims = self.claims();
        let facts = TokenFacts {
            issuer: &self.issuer_name,
            kid,
            id: claims.id(),
            subject: claims.subject(),
            session: claims.session(),
            issued: claims.issued(),
        };
        // SECURITY: guarded by `a_denied_token_is_refused_though_it_is_cached`.
        match denied.current().value.denies_token(facts, now) {
            None => Ok(()),
            line => Err(Refusal {
                deny_line: line,
                ..self.refused(Denial::TokenDenied)
            }),
        }
    }

    /// Holds the token to the sender that it is bound to, if it is bound to one.
    fn brought_by(self, policy: &Policy, peer: &Peer) -> Result<Self, Refusal> {
        let issuer = policy.issuer(self.issuer);
        let judged = issuer.map_or(Err(Denial::IssuerUnknown), |issuer| {
            issuer.rules.judge_sender(self.claims(), peer.sender())
        });
        match judged {
            Ok(()) => Ok(self),
            Err(denial) => Err(self.refused(denial)),
        }
    }

    /// The refusal of what this principal asks for, with what may be said of it.
    #[must_use]
    pub fn refused(&self, denial: Denial) -> Refusal {
        Refusal {
            denial,
            deny_line: None,
            issuer: Some(Arc::clone(&self.issuer_name)),
            kid: self.kid().cloned(),
            subject: self.claims().shown_subject(),
            missing: None,
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
    pub fn claims(&self) -> &Claims {
        &self.verdict.claims
    }

    /// The key ring's own name for the key that signed, where it has one.
    #[must_use]
    pub fn kid(&self) -> Option<&Arc<str>> {
        self.verdict.kid.as_ref()
    }

    /// Whether the signature was computed for this request.
    #[must_use]
    pub fn verification(&self) -> Verification {
        self.verification
    }
}

// === impl Refusal ===

impl Refusal {
    /// The refusal of what ran for `principal`, or for a peer alone.
    #[must_use]
    pub fn of(principal: Option<&Principal>, denial: Denial) -> Self {
        principal.map_or_else(
            || Self::unsigned(denial.into(), None),
            |principal| principal.refused(denial),
        )
    }

    fn unsigned(unsigned: Unsigned, issuer: Option<&Issuer>) -> Self {
        let missing = issuer.zip(unsigned.sought).map(|(issuer, kid)| MissingKey {
            issuer: issuer.index,
            kid,
        });
        Self {
            denial: unsigned.denial,
            deny_line: None,
            issuer: issuer.map(|issuer| Arc::clone(&issuer.name)),
            kid: unsigned.kid,
            subject: None,
            missing,
        }
    }

    /// Keeps a peer from having keys fetched that are none of its business.
    fn asked_by(mut self, peer: &Peer) -> Self {
        let brings = |issuer: &Arc<str>| peer.may_bring(issuer);
        self.missing = self
            .missing
            .filter(|_| self.issuer.as_ref().is_some_and(brings));
        self
    }
}

// === impl MissingKey ===

impl MissingKey {
    /// Whose key.
    pub(crate) const fn issuer(&self) -> IssuerIndex {
        self.issuer
    }

    /// What the token calls it.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }
}

impl fmt::Debug for MissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MissingKey").finish_non_exhaustive()
    }
}
