//! The chain that a client showed, with what its leaf says of itself: read once, and shared by all
//! connections that show the same. The pool of a front proxy holds hundreds of those.
//!
//! Says nothing of whether a chain is believed. That is judged anew each time it is shown.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::pki_types::CertificateDer;

use super::certificate::{Certificate, Unreadable};

/// So many different chains are known at once; each one more costs its connections their own copy.
const MOST: usize = 64;

/// A chain, leaf first.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) chain: Box<[CertificateDer<'static>]>,
    pub(super) leaf: Certificate,
}

/// The chains that open connections have shown.
#[derive(Debug, Default)]
pub(super) struct Known {
    chains: Mutex<Vec<Weak<Shown>>>,
}

impl Shown {
    fn read(leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> Result<Self, Unreadable> {
        let all = std::iter::once(leaf).chain(above);
        Ok(Self {
            leaf: Certificate::parse(leaf)?,
            chain: all.map(|der| der.clone().into_owned()).collect(),
        })
    }

    fn is(&self, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> bool {
        let shown = self.chain.split_first();
        shown.is_some_and(|(first, rest)| first == leaf && rest == above)
    }
}

impl Known {
    /// The chain with what its leaf says.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], of the leaf.
    pub(super) fn read(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
    ) -> Result<Arc<Shown>, Unreadable> {
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = chains.iter().filter_map(Weak::upgrade);
        // SECURITY: the same byte for byte, and the whole chain: what was read of another leaf must
        // never be said of this one. Guarded by `only_the_very_same_chain_is_shared`.
        if let Some(same) = known.find(|shown| shown.is(leaf, above)) {
            return Ok(same);
        }
        let shown = Arc::new(Shown::read(leaf, above)?);
        chains.retain(|chain| chain.strong_count() > 0);
        if chains.len() < MOST {
            chains.push(Arc::downgrade(&shown));
        }
        Ok(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Authority, Leaf};
    use crate::model::Timestamp;

    #[test]
    fn only_the_very_same_chain_is_shared() {
        let authority = Authority::root("one", Timestamp::from_unix(1_800_000_000)).unwrap();
        let leaf = |uri: &str| {
            let issued = authority.issue(&Leaf::client(uri)).unwrap();
            CertificateDer::from(issued.der)
        };
        let (a, b, above) = (leaf("spiffe://a/x"), leaf("spiffe://a/y"), [leaf("urn:z")]);
        let known = Known::default();
        let read = |leaf, above| known.read(leaf, above).unwrap();
        let first = read(&a, &above);
        assert!(Arc::ptr_eq(&first, &read(&a, &above)));
        for (other, above) in [(&b, &above[..]), (&a, &[])] {
            let other_one = read(other, above);
            assert!(!Arc::ptr_eq(&first, &other_one));
            assert_eq!(other_one.leaf, Certificate::parse(other).unwrap());
            assert_eq!(other_one.chain.len(), 1 + above.len());
        }
    }

    #[test]
    fn a_chain_is_forgotten_with_its_last_connection_and_so_many_at_most_are_known() {
        let authority = Authority::root("one", Timestamp::from_unix(1_800_000_000)).unwrap();
        let known = Known::default();
        let shown: Vec<_> = (0..MOST + 3)
            .map(|number| {
                let leaf = Leaf::client(&format!("spiffe://a/{number}"));
                let der = CertificateDer::from(authority.issue(&leaf).unwrap().der);
                known.read(&der, &[]).unwrap()
            })
            .collect();
        assert_eq!(known.chains.lock().unwrap().len(), MOST);
        let last = shown.last().unwrap().chain[0].clone();
        drop(shown);
        drop(known.read(&last, &[]).unwrap());
        assert_eq!(known.chains.lock().unwrap().len(), 1);
    }
}
