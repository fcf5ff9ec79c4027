//! One open connection: whose it is, whether that still holds, and how it ended.
//!
//! The certificate was judged in the handshake, under the client CAs, revocation lists and peers of
//! that moment. Those change, and the certificate ages: every request asks again, which costs a
//! comparison unless something did change. Held by everything that works on the connection, upgraded
//! streams included; when the last of them lets go, the permits return and the end is counted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use tokio::sync::OwnedSemaphorePermit;

use super::activity::Activity;
use super::certificate::Certificate;
use super::identity::ServerIdentity;
use super::peer::Peer;
use super::shown::Shown;
use crate::model::{Denial, Timestamp};
use crate::observe::{Closed, Metrics};
use crate::reload::{Changes, Generation, Reader};
use crate::revocation::Line;
use crate::settings::CertificateForm;
use crate::shutdown::DrainWatch;

/// What holds for longer than this is looked at again then; timers have an end.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Which connection of this process it is; no two have the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// No connection at all: for a request that was never sent.
    pub const NONE: Self = Self(u64::MAX);
}

/// A connection that passed the handshake.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    name: Arc<str>,
    shown: Arc<Shown>,
    identity: Reader<ServerIdentity>,
    verdict: ArcSwap<Verdict>,
    clock: fn() -> Timestamp,
    remote: SocketAddr,
    activity: Arc<Activity>,
    drain: DrainWatch,
    metrics: Arc<Metrics>,
    cause: AtomicU8,
    told: Told,
    _permits: [OwnedSemaphorePermit; 2],
}

/// What services are told of the certificate, in each form, once it was written. Boxed: most
/// connections have neither.
#[derive(Debug, Default)]
struct Told {
    client_cert: OnceLock<Box<Result<HeaderValue, Denial>>>,
    xfcc: OnceLock<Box<Result<HeaderValue, Denial>>>,
}

/// What was found about the certificate, and under which edition of the trust.
#[derive(Debug)]
struct Verdict {
    under: Generation,
    peer: Result<Peer, Denial>,
}

/// What a handshake proved, and under what.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) peer: Peer,
    pub(super) under: Generation,
}

impl Connection {
    pub(super) fn open(
        proven: Proven,
        (identity, clock): (Reader<ServerIdentity>, fn() -> Timestamp),
        remote: SocketAddr,
        drain: DrainWatch,
        metrics: Arc<Metrics>,
        permits: [OwnedSemaphorePermit; 2],
    ) -> Self {
        metrics.connection_opened();
        let Proven { peer, under } = proven;
        Self {
            id: ConnectionId::next(),
            name: Arc::clone(peer.name()),
            shown: Arc::clone(peer.shown()),
            identity,
            verdict: ArcSwap::from_pointee(Verdict {
                under,
                peer: Ok(peer),
            }),
            clock,
            remote,
            activity: Arc::new(Activity::new()),
            drain,
            metrics,
            cause: AtomicU8::new(Closed::Peer as u8),
            told: Told::default(),
            _permits: permits,
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// What the peer was called when it connected, for logs.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The certificate that was shown in the handshake. Whether it still holds is [`peer`]'s to say.
    ///
    /// [`peer`]: Self::peer
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.shown.leaf
    }

    /// The same in DER.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        self.shown.chain.first().map_or(&[], |leaf| leaf.as_ref())
    }

    /// What the service is told of the certificate in this form: written once, for it does not change.
    ///
    /// # Errors
    ///
    /// The error of `write`.
    pub fn told(
        &self,
        form: CertificateForm,
        write: impl FnOnce() -> Result<HeaderValue, Denial>,
    ) -> Result<HeaderValue, Denial> {
        let told = match form {
            CertificateForm::ClientCert => &self.told.client_cert,
            CertificateForm::Xfcc => &self.told.xfcc,
        };
        Result::clone(told.get_or_init(|| Box::new(write())))
    }

    /// Who is at the other end, if it would still get in at the time `now`.
    ///
    /// # Errors
    ///
    /// The reason of stage `tls` why not.
    pub fn peer(&self, now: Timestamp) -> Result<Peer, Denial> {
        let identity = self.identity.current();
        let verdict = self.verdict.load();
        let until = match &verdict.peer {
            Ok(peer) => peer.holds_until(),
            Err(_) => None,
        };
        if verdict.under == identity.generation && until.is_none_or(|until| now <= until) {
            let peer = verdict.peer.clone()?;
            // SECURITY: the deny list has editions of its own, and entries with an end, so it is
            // asked every time. Guarded by `a_denied_certificate_is_out_on_open_connections_too`.
            if identity
                .value
                .verifier
                .denies(peer.certificate(), now)
                .is_some()
            {
                let (under, peer) = (identity.generation, Err(Denial::CertificateDenied));
                self.verdict.store(Arc::new(Verdict { under, peer }));
                return Err(Denial::CertificateDenied);
            }
            return Ok(peer);
        }
        // SECURITY: the trust has changed since this connection was judged, or something has ended
        // that it hung on. Guarded by `a_change_of_trust_reaches_connections_that_are_open` and
        // `a_revocation_list_that_ends_closes_what_is_open`.
        let peer = identity.value.verifier.judge_again(&self.shown.chain, now);
        let verdict = Arc::new(Verdict {
            under: identity.generation,
            peer,
        });
        self.verdict.store(Arc::clone(&verdict));
        verdict.peer.clone()
    }

    /// What is published about peers from now on: who is still let in may yet bring less.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.identity.changes()
    }

    /// Completes when the peer would not get in any more: its chain has expired or is not trusted or
    /// listed any longer, or a revocation list is too old to speak for it.
    pub async fn distrusted(&self) -> Denial {
        let mut identity = self.identity.clone();
        let mut alive = true;
        loop {
            // Taken before the judgement, so that whatever changes after it wakes.
            let mut denied = identity.current().value.verifier.denied().changes();
            let now = (self.clock)();
            let left = match self.peer(now) {
                Ok(peer) => peer
                    .holds_until()
                    .map(|end| end.plus(Duration::from_secs(1)).since(now)),
                Err(denial) => return denial,
            };
            let wait = left.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
            tokio::select! {
                // Once nobody is left who could change it, only time can.
                more = identity.changed(), if alive => alive = more,
                () = denied.next() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// The line of the deny list that names the certificate, for logs.
    #[must_use]
    pub fn deny_line(&self) -> Option<Line> {
        let identity = self.identity.current();
        let verifier = &identity.value.verifier;
        verifier.denies(&self.shown.leaf, (self.clock)())
    }

    /// Whether an answer should say that it is the last one.
    pub(super) fn is_ending(&self) -> bool {
        self.drain.is_finishing() || self.verdict.load().peer.is_err()
    }

    /// The cause of an end without an error.
    pub(super) fn why_ended(&self) -> Closed {
        if self.verdict.load().peer.is_err() {
            Closed::Trust
        } else if self.drain.is_finishing() {
            Closed::Drain
        } else {
            Closed::Peer
        }
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

impl ConnectionId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// An identity for unit tests and fuzz targets of later stages.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub fn for_test(number: u64) -> Self {
        Self(number)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let cause = self.cause.load(Ordering::Relaxed);
        self.metrics.connection_closed(Closed::from_index(cause));
    }
}
