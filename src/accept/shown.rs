//! A chain that was believed, with what its leaf says of itself: judged and read once, for as long as the
//! judgement holds, and shared by all connections that show the same. The pool of a front proxy holds
//! hundreds of those.
//!
//! To verify a chain is most of what a handshake costs, and says the same each time: only what was
//! believed under the very same CAs and revocation lists is here, and time alone ends it. Who holds the
//! key, which peer it is and whether the deny list names it, each connection is asked anew.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::CertificateDer;

use super::certificate::{Certificate, Unreadable};
use crate::model::Timestamp;

/// So many chains are remembered; the one that was believed first makes room.
const MOST: usize = 64;

/// A chain, leaf first.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) chain: Box<[CertificateDer<'static>]>,
    pub(super) leaf: Certificate,
    /// When it was judged.
    pub(super) since: Timestamp,
    /// The last second in which the judgement holds; `None` where time alone does not end it.
    pub(super) until: Option<Timestamp>,
}

/// The chains that were believed last, under one set of CAs and revocation lists.
#[derive(Debug, Default)]
pub(super) struct Believed {
    chains: Mutex<VecDeque<Arc<Shown>>>,
}

impl Shown {
    /// Reads a chain that was believed at `since`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], of the leaf.
    pub(super) fn read(
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        since: Timestamp,
    ) -> Result<Self, Unreadable> {
        let all = std::iter::once(leaf).chain(above);
        Ok(Self {
            leaf: Certificate::parse(leaf)?,
            chain: all.map(|der| der.clone().into_owned()).collect(),
            since,
            until: None,
        })
    }

    /// The same, until the end of this second.
    pub(super) fn holding_until(self, until: Option<Timestamp>) -> Self {
        Self { until, ..self }
    }

    fn is(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> bool {
        let shown = self.chain.split_first();
        shown.is_some_and(|(first, rest)| first == leaf && rest == above)
    }

    /// Whether the judgement holds at `now`. Not before it was made either: a clock can be set back.
    fn holds(&self, now: Timestamp) -> bool {
        self.since <= now && self.until.is_none_or(|until| now <= until)
    }
}

impl Believed {
    /// The chain, if it was believed and that still holds.
    pub(super) fn find(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Option<Arc<Shown>> {
        // SECURITY: the same byte for byte, and the whole chain. Guarded by
        // `only_the_very_same_chain_is_found_and_only_while_its_judgement_holds`.
        let chains = self.chains();
        let mut same = chains
            .iter()
            .filter(|shown| shown.holds(now) && shown.is(leaf, above));
        same.next().map(Arc::clone)
    }

    /// Remembers it.
    pub(super) fn keep(&self, shown: &Arc<Shown>) {
        let mut chains = self.chains();
        if chains.len() >= MOST {
            chains.pop_front();
        }
        chains.push_back(Arc::clone(shown));
    }

    fn chains(&self) -> MutexGuard<'_, VecDeque<Arc<Shown>>> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Authority, Leaf};

    const NOON: Timestamp = Timestamp::from_unix(1_800_000_000);
    const LATER: Timestamp = Timestamp::from_unix(1_800_000_060);

    fn leaf(authority: &Authority, uri: &str) -> CertificateDer<'static> {
        let issued = authority.issue(&Leaf::client(uri)).unwrap();
        CertificateDer::from(issued.der)
    }

    #[test]
    fn only_the_very_same_chain_is_found_and_only_while_its_judgement_holds() {
        let authority = Authority::root("one", NOON).unwrap();
        let [a, b, above] =
            ["spiffe://a/x", "spiffe://a/y", "urn:z"].map(|it| leaf(&authority, it));
        let above = [above];
        let believed = Believed::default();
        let shown = Shown::read(&a, &above, NOON).unwrap();
        let shown = Arc::new(shown.holding_until(Some(LATER)));
        believed.keep(&shown);

        let longer = [above[0].clone(), b.clone()];
        let find = |leaf, above, now| believed.find(leaf, above, now);
        for now in [NOON, LATER] {
            assert!(Arc::ptr_eq(&shown, &find(&a, &above[..], now).unwrap()));
            assert!(find(&b, &above[..], now).is_none(), "another leaf");
            assert!(find(&a, &[], now).is_none(), "without what is above");
            assert!(find(&a, &longer[..], now).is_none(), "with more above");
        }
        let second = std::time::Duration::from_secs(1);
        assert!(
            find(&a, &above[..], LATER.plus(second)).is_none(),
            "it has ended"
        );
        let before = Timestamp::from_unix(NOON.unix() - 1);
        assert!(
            find(&a, &above[..], before).is_none(),
            "the clock was set back"
        );
    }

    #[test]
    fn so_many_chains_are_remembered_and_the_first_makes_room() {
        let authority = Authority::root("one", NOON).unwrap();
        let believed = Believed::default();
        let ders: Vec<_> = (0..=MOST)
            .map(|number| leaf(&authority, &format!("spiffe://a/{number}")))
            .collect();
        for der in &ders {
            believed.keep(&Arc::new(Shown::read(der, &[], NOON).unwrap()));
        }
        let is_there = |der| believed.find(der, &[], NOON).is_some();
        assert!(!is_there(&ders[0]));
        assert!(ders[1..].iter().all(is_there));
    }
}
