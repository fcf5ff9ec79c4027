//! Leave for a token that was refused: its issuer is only watched (`enforce = "report"`).
//!
//! Given only where nobody but watched issuers could have made the token, and only to a peer that may
//! bring their tokens: switching one issuer to report never opens the gate for peers of others.

use std::sync::Arc;

use http::HeaderMap;

use super::Refusal;
use super::policy::{Issuer, Policy};
use crate::accept::Peer;
use crate::settings::Enforcement;

/// The proof that a refused token could only be one of watched issuers, for a peer of theirs. Only
/// [`Policy`] gives it.
#[derive(Clone, Debug)]
pub struct Leave {
    /// By name: in the next edition a place would be another issuer.
    issuers: Arc<[Arc<str>]>,
}

impl Policy {
    /// Whether the refusal of what `peer` brought in `headers` is only to be reported.
    ///
    /// The token is ascribed to the issuer that it was judged as; before that, to those who put their
    /// tokens where it stands; and where there is none, or more than one, to every issuer whose tokens
    /// the peer may bring, for then it might have been any of them.
    #[must_use]
    pub fn leave(&self, refusal: &Refusal, headers: &HeaderMap, peer: &Peer) -> Option<Leave> {
        if !self.watches_any() {
            return None;
        }
        let named = refusal.issuer.as_ref();
        let candidates: Vec<&Issuer> = match (named, self.places().ascribe(headers)) {
            (Some(name), _) => self.issuers().filter(|it| it.name == *name).collect(),
            (None, Some(places)) => places.iter().filter_map(|it| self.issuer(*it)).collect(),
            (None, None) => self
                .issuers()
                .filter(|issuer| peer.may_bring(&issuer.name))
                .collect(),
        };
        watched(&candidates, peer)
    }

    /// Whether the leave is still good under this policy, and for the peer as it is now.
    #[must_use]
    pub fn leave_again(&self, leave: &Leave, peer: &Peer) -> Option<Leave> {
        let find = |name: &Arc<str>| self.issuers().find(|issuer| issuer.name == *name);
        let issuers: Option<Vec<&Issuer>> = leave.issuers.iter().map(find).collect();
        watched(&issuers?, peer)
    }

    /// The same for something that began with a good token, which is not good any more.
    #[must_use]
    pub fn leave_of(&self, refusal: &Refusal, peer: &Peer) -> Option<Leave> {
        let name = refusal.issuer.as_ref()?;
        let issuers: Vec<&Issuer> = self.issuers().filter(|it| it.name == *name).collect();
        watched(&issuers, peer)
    }
}

// SECURITY: all of them, and none is not all. Guarded by
// `an_issuer_that_is_watched_opens_nothing_for_the_peers_of_another`.
fn watched(issuers: &[&Issuer], peer: &Peer) -> Option<Leave> {
    let is_watched = |issuer: &&Issuer| {
        issuer.enforcement == Enforcement::Report && peer.may_bring(&issuer.name)
    };
    (!issuers.is_empty() && issuers.iter().all(is_watched)).then(|| Leave {
        issuers: issuers.iter().map(|it| Arc::clone(&it.name)).collect(),
    })
}
