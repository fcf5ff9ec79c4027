//! The proof that a TLS client showed a certificate that a `[[peer]]` lists.
//!
//! Only `accept` can make one, out of a finished handshake; every later stage asks for it.

use std::sync::Arc;

use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::certificate::Certificate;
use super::sender;
use super::shown::Shown;
use crate::model::{Denial, Timestamp};
use crate::settings::HandsOver;

/// A front proxy that proved who it is.
#[derive(Clone, Debug)]
pub struct Peer {
    name: Arc<str>,
    /// In alphabetical order: there may be a thousand, and every request asks.
    issuers: Arc<[Arc<str>]>,
    shown: Arc<Shown>,
    connections: Arc<Semaphore>,
    holds_until: Option<Timestamp>,
    hands_over: Option<HandsOver>,
    /// What it handed over with the request at hand.
    handed_over: Option<[u8; 32]>,
}

impl Peer {
    pub(super) fn new(
        name: Arc<str>,
        issuers: Arc<[Arc<str>]>,
        shown: Arc<Shown>,
        connections: Arc<Semaphore>,
    ) -> Self {
        Self {
            name,
            issuers,
            shown,
            connections,
            holds_until: None,
            hands_over: None,
            handed_over: None,
        }
    }

    /// The same, proven until the end of this second.
    pub(super) fn holding_until(self, holds_until: Option<Timestamp>) -> Self {
        Self {
            holds_until,
            ..self
        }
    }

    /// Until when the proof holds if nothing changes; `None` where time alone does not end it.
    pub(super) fn holds_until(&self) -> Option<Timestamp> {
        self.holds_until
    }

    pub(super) fn handing_over(self, hands_over: Option<HandsOver>) -> Self {
        Self { hands_over, ..self }
    }

    /// The peer in one request of its own: with the end client's certificate, if it hands that over.
    ///
    /// # Errors
    ///
    /// [`Denial::ClientCertMalformed`].
    pub fn speaking_in(self, headers: &HeaderMap) -> Result<Self, Denial> {
        let handed_over = match self.hands_over {
            Some(how) => sender::handed_over(how, headers)?,
            None => None,
        };
        Ok(Self {
            handed_over,
            ..self
        })
    }

    /// What the configuration calls this peer.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The certificate it proved itself with.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.shown.leaf
    }

    pub(super) fn shown(&self) -> &Arc<Shown> {
        &self.shown
    }

    /// SHA-256 of the certificate that a token brought by this peer may be bound to (RFC 8705 3): its
    /// own, or the end client's where it hands that over, and then that one alone.
    #[must_use]
    pub fn sender(&self) -> Option<&[u8; 32]> {
        match self.hands_over {
            Some(_) => self.handed_over.as_ref(),
            None => Some(&self.shown.leaf.sha256),
        }
    }

    /// The same of a request that was judged when the peer was `then`; nothing where it hands over in
    /// another way by now, for what was read then nobody would read now.
    #[must_use]
    pub fn sender_of<'a>(&self, then: &'a Self) -> Option<&'a [u8; 32]> {
        if self.hands_over == then.hands_over {
            then.sender()
        } else {
            None
        }
    }

    /// Whether the pair is allowed: may this peer bring tokens of the issuer of this name?
    ///
    /// Why the name, when the settings know the place? Peers and issuers are published apart; for a
    /// moment an old peer may meet new issuers, and a place in the old list would be another issuer
    /// in the new one.
    #[must_use]
    pub fn may_bring(&self, issuer: &str) -> bool {
        let found = self.issuers.binary_search_by(|name| (**name).cmp(issuer));
        found.is_ok()
    }

    /// Takes one of this peer's connections, if it has one left.
    pub(super) fn connect(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.connections).try_acquire_owned()
    }

    /// A peer for unit tests and fuzz targets of later stages.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub fn for_test(name: &str, issuers: &[&str]) -> Self {
        let mut issuers: Vec<Arc<str>> = issuers.iter().map(|name| Arc::from(*name)).collect();
        issuers.sort_unstable();
        Self::new(
            name.into(),
            issuers.into(),
            Arc::new(Shown {
                chain: Box::default(),
                leaf: Certificate::default(),
                since: Timestamp::from_unix(0),
                until: None,
            }),
            Arc::new(Semaphore::new(1)),
        )
    }
}
