//! The proof that a TLS client showed a certificate that a `[[peer]]` lists.
//!
//! Only `accept` can make one, out of a finished handshake; every later stage asks for it.

use std::sync::Arc;

use crate::settings::IssuerIndex;

/// A front proxy that proved who it is.
#[derive(Clone, Debug)]
pub struct Peer {
    name: Arc<str>,
    issuers: Arc<[IssuerIndex]>,
}

impl Peer {
    /// What the configuration calls this peer.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether the pair is allowed: may this peer bring tokens of `issuer`?
    #[must_use]
    pub fn may_bring(&self, issuer: IssuerIndex) -> bool {
        self.issuers.contains(&issuer)
    }

    /// A peer for unit tests of later stages.
    #[cfg(test)]
    pub(crate) fn for_test(name: &str, issuers: &[IssuerIndex]) -> Self {
        Self {
            name: name.into(),
            issuers: issuers.into(),
        }
    }
}
