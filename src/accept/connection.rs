//! One open connection: whose it is, what it may use, and how it ended.
//!
//! Held by everything that works on the connection, upgraded streams included; when the last of
//! them lets go, the permits return and the end is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use super::activity::Activity;
use super::peer::Peer;
use crate::observe::{Closed, Metrics};
use crate::shutdown::DrainWatch;

/// A connection that passed the handshake.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    remote: SocketAddr,
    activity: Arc<Activity>,
    drain: DrainWatch,
    metrics: Arc<Metrics>,
    cause: AtomicU8,
    _permits: [OwnedSemaphorePermit; 2],
}

impl Connection {
    pub(super) fn open(
        peer: Peer,
        remote: SocketAddr,
        drain: DrainWatch,
        metrics: Arc<Metrics>,
        permits: [OwnedSemaphorePermit; 2],
    ) -> Self {
        metrics.connection_opened();
        Self {
            peer,
            remote,
            activity: Arc::new(Activity::new()),
            drain,
            metrics,
            cause: AtomicU8::new(Closed::Peer as u8),
            _permits: permits,
        }
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The address of the socket's other end.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Holds up the end of sidegate while something runs on this connection.
    #[must_use]
    pub fn drain(&self) -> DrainWatch {
        self.drain.clone()
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(super) fn ends(&self, cause: Closed) {
        self.cause.store(cause as u8, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let cause = self.cause.load(Ordering::Relaxed);
        self.metrics.connection_closed(Closed::from_index(cause));
    }
}
