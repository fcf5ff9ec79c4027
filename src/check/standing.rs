//! What was found good once is judged again while it runs: a stream outlives the moment of its verdict.
//!
//! The token's text is gone by then, and need not come back: what was signed does not change. What can
//! change is whether the key is still the issuer's, what the rules ask for, what is denied, and time.

use std::time::Duration;

use super::policy::{Issuer, Policy};
use super::{Principal, Refusal};
use crate::accept::Peer;
use crate::model::{Denial, Timestamp};
use crate::reload::Changes;

impl Policy {
    /// Judges a principal of an earlier verdict by this policy, as if its token came now: through
    /// `peer`, which was `then`. Says how long it is good for, if nothing changes.
    ///
    /// # Errors
    ///
    /// [`Refusal`], for the first reason in the order of the checks.
    pub fn judge_again(
        &self,
        principal: &Principal,
        peer: &Peer,
        then: &Peer,
        now: Timestamp,
    ) -> Result<Duration, Refusal> {
        let refused = |denial| principal.refused(denial);
        let issuer = self
            .same_issuer(principal)
            .ok_or_else(|| refused(Denial::IssuerUnknown))?;
        let signer = principal.verdict.signer;
        if !issuer.wanted.algorithms.contains(&signer.algorithm) {
            return Err(refused(Denial::AlgorithmRefused));
        }
        // SECURITY: guarded by `what_runs_is_refused_once_tokens_of_its_kind_are_not_wanted`.
        let looks = &principal.verdict.looks;
        issuer.wanted.admits(looks).map_err(refused)?;
        let keys = issuer.keys.current();
        let ring = keys.value.as_ref();
        let ring = ring.ok_or_else(|| refused(Denial::KeysUnavailable))?;
        // SECURITY: a key that keeps its name and changes is another key. Guarded by
        // `a_stream_ends_when_its_key_is_another_of_the_same_name`.
        let kid = ring
            .holds(signer.key, signer.algorithm)
            .ok_or_else(|| refused(Denial::KeyUnknown))?;
        let claims = principal.claims();
        let left = issuer.rules.judge_again(claims, now).map_err(refused)?;
        principal.allowed_by(&self.denied, now)?;
        if kid != principal.kid() {
            let renamed = kid.map(|kid| &**kid);
            principal.allowed_as(renamed, &self.denied, now)?;
        }
        if !peer.may_bring(&issuer.name) {
            return Err(refused(Denial::IssuerNotForPeer));
        }
        // SECURITY: guarded by
        // `a_stream_ends_when_its_peer_hands_over_its_client_in_another_way`.
        let sender = peer.sender_of(then);
        let bound = issuer.rules.judge_sender(claims, sender);
        bound.map_err(refused)?;
        Ok(left)
    }

    /// What may change the verdict on this principal, beside a new policy: its issuer's keys and the
    /// deny list. `None` where its issuer is gone.
    #[must_use]
    pub fn changes(&self, principal: &Principal) -> Option<[Changes; 2]> {
        let issuer = self.same_issuer(principal)?;
        Some([issuer.keys.changes(), self.denied.changes()])
    }

    /// By name: the place in the list may be another issuer's by now.
    fn same_issuer(&self, principal: &Principal) -> Option<&Issuer> {
        let name = &principal.issuer_name;
        self.issuers().find(|issuer| issuer.name == *name)
    }
}
