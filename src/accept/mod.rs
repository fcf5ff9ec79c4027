//! 1. A socket becomes an authenticated peer.
//!
//! The accept loop: every connection gets a handshake under a deadline, and only a finished one with
//! a listed peer is served. A flood of handshakes costs its own oldest, never the established.

mod activity;
pub mod certificate;
mod connection;
mod handshake;
mod http1;
mod http2;
pub mod identity;
pub mod linger;
pub mod message;
mod park;
pub mod peer;
pub mod peers;
mod sender;
mod serve;
mod shown;
pub mod stalled;
mod stream;
mod throttle;
mod verifier;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

pub use activity::InFlight;
pub use connection::{Connection, ConnectionId};
pub use identity::ServerIdentity;
pub use peer::Peer;
pub use serve::{Handler, TICK, ticks};
pub use verifier::{Rejected, Revocation};

use self::connection::Proven;
use self::handshake::{Refused, handshake};
use self::serve::Serving;
use self::stream::PeerStream;
use self::throttle::Throttle;
use crate::model::{Denial, Timestamp};
use crate::observe::Journal;
use crate::reload::Reader;
use crate::settings::{LimitSettings, TimeoutSettings};
use crate::shutdown::DrainWatch;

/// Connections that the kernel holds for us while we are busy.
pub const BACKLOG: u16 = 1024;

/// After a failure of the listening socket (EMFILE above all) the loop pauses, so that it does not
/// spin; the bounds are those of Go's own server.
const BACKOFF_FIRST: Duration = Duration::from_millis(5);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// While all places for handshakes are taken, newcomers wait in the kernel's queue until the oldest
/// handshake is this old; then it gives way. Shorter, and a front proxy that opens a thousand
/// connections at once would push out its own; longer, and idle strangers would block the door.
const PATIENCE: Duration = Duration::from_millis(500);

/// Accepts connections and serves those that prove who they are.
#[derive(Debug)]
pub struct Acceptor {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    identity: Reader<ServerIdentity>,
    clock: fn() -> Timestamp,
    serving: Serving,
    open: Arc<Semaphore>,
    handshakes: usize,
    handshake_deadline: Duration,
    journal: Journal,
    throttle: Throttle,
}

/// A handshake that has begun.
#[derive(Debug)]
struct Pending {
    task: AbortHandle,
    remote: SocketAddr,
    since: Instant,
}

impl Acceptor {
    /// Takes over a bound listener.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        identity: Reader<ServerIdentity>,
        clock: fn() -> Timestamp,
        limits: &LimitSettings,
        timeouts: &TimeoutSettings,
        journal: Journal,
    ) -> Self {
        let shared = Shared {
            identity,
            clock,
            serving: Serving::new(limits, timeouts),
            open: Arc::new(Semaphore::new(limits.connections)),
            handshakes: limits.handshakes,
            handshake_deadline: timeouts.handshake,
            journal,
            throttle: Throttle::default(),
        };
        Self {
            listener,
            shared: Arc::new(shared),
        }
    }

    /// Accepts until the drain begins. Connections that were accepted go on by themselves; each
    /// holds the drain up until it is done.
    pub async fn run<H: Handler>(self, handler: Arc<H>, mut drain: DrainWatch) {
        let mut tasks = JoinSet::new();
        let mut pending = VecDeque::new();
        let mut backoff = BACKOFF_FIRST;
        let work = drain.clone();
        loop {
            let full = self.full(&mut pending);
            let accepted = tokio::select! {
                accepted = self.listener.accept(), if full.is_none() => accepted,
                () = expired(full), if full.is_some() => continue,
                () = drain.finish() => break,
                Some(_) = tasks.join_next() => {
                    forget_finished(&mut pending);
                    continue;
                }
            };
            match accepted {
                Ok((socket, remote)) => {
                    backoff = BACKOFF_FIRST;
                    self.admit(socket, remote, &handler, &work, &mut tasks, &mut pending);
                }
                Err(error) => {
                    self.shared.journal.metrics.accept_failed();
                    tracing::warn!(%error, pause_ms = backoff.as_millis(), "cannot accept connections");
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                }
            }
        }
        // Whoever connected before the end began gets in; whoever comes later finds a closed port. Of
        // the former there are no more than the queue holds: to take all who keep coming would keep the
        // port open for as long as they do.
        for _ in 0..BACKLOG {
            let Some(Ok((socket, remote))) = now_or_never(self.listener.accept()).await else {
                break;
            };
            while let full @ Some(_) = self.full(&mut pending) {
                tokio::select! {
                    () = expired(full) => {}
                    Some(_) = tasks.join_next() => {}
                    () = drain.stop() => return,
                }
            }
            self.admit(socket, remote, &handler, &work, &mut tasks, &mut pending);
        }
        drop(self.listener);
        drop((drain, work));
        while tasks.join_next().await.is_some() {}
    }

    /// Until when the oldest handshake may keep newcomers waiting, if they have to.
    fn full(&self, pending: &mut VecDeque<Pending>) -> Option<Instant> {
        if pending.len() >= self.shared.handshakes {
            pending.retain(|handshake| !handshake.task.is_finished());
        }
        if pending.len() < self.shared.handshakes {
            return None;
        }
        let until = pending.front()?.since + PATIENCE;
        (until > Instant::now()).then_some(until)
    }

    /// Starts a handshake; when there are too many, the oldest one gives way.
    fn admit<H: Handler>(
        &self,
        socket: TcpStream,
        remote: SocketAddr,
        handler: &Arc<H>,
        drain: &DrainWatch,
        tasks: &mut JoinSet<()>,
        pending: &mut VecDeque<Pending>,
    ) {
        if pending.len() >= self.shared.handshakes
            && let Some(oldest) = pending.pop_front()
        {
            oldest.task.abort();
            let refused =
                Refused::without_certificate(Denial::ConnectionLimit, "gave way to a newer one");
            self.shared.refuse(&refused, oldest.remote);
        }
        let (shared, handler) = (Arc::clone(&self.shared), Arc::clone(handler));
        let drain = drain.clone();
        let task = tasks.spawn(async move {
            if let Some((stream, h2, connection)) = shared.open(socket, remote, drain).await {
                // A task of its own: the handshake's future is large and would stay as long as the
                // connection. The connection holds the drain up, so nobody needs to join it.
                tokio::spawn(async move {
                    let Shared {
                        serving, journal, ..
                    } = &*shared;
                    serving
                        .serve(stream, h2, handler, connection, journal)
                        .await;
                });
            }
        });
        pending.push_back(Pending {
            task,
            remote,
            since: Instant::now(),
        });
    }
}

impl Shared {
    async fn open(
        &self,
        socket: TcpStream,
        remote: SocketAddr,
        drain: DrainWatch,
    ) -> Option<(PeerStream, bool, Arc<Connection>)> {
        // Answers leave when they are written; a failure here costs latency, nothing else.
        drop(socket.set_nodelay(true));
        let identity = self.identity.current();
        let config = Arc::clone(&identity.value.config);
        let (tls, peer) = match handshake(socket, config, self.handshake_deadline).await {
            Ok(done) => done,
            Err(refused) => {
                self.refuse(&refused, remote);
                return None;
            }
        };
        let full = |denial| Refused::without_certificate(denial, peer.name());
        let Ok(all) = Arc::clone(&self.open).try_acquire_owned() else {
            self.refuse(&full(Denial::ConnectionLimit), remote);
            return None;
        };
        let Ok(own) = peer.connect() else {
            self.refuse(&full(Denial::PeerConnectionLimit), remote);
            return None;
        };
        let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        let metrics = Arc::clone(&self.journal.metrics);
        let proven = Proven {
            peer,
            under: identity.generation,
        };
        let trust = (self.identity.clone(), self.clock);
        let connection = Connection::open(proven, trust, remote, drain, metrics, [all, own]);
        let connection = Arc::new(connection);
        Some((
            PeerStream::new(tls, Arc::clone(connection.activity())),
            h2,
            connection,
        ))
    }

    fn refuse(&self, refused: &Refused, remote: SocketAddr) {
        self.journal.metrics.handshake_refused(refused.denial);
        refused.keep(remote, &self.journal.refusals);
        if let Some(suppressed) = self.throttle.pass() {
            refused.log(remote, suppressed);
        }
    }
}

/// A handshake's handle keeps the memory of its task, which is large.
fn forget_finished(pending: &mut VecDeque<Pending>) {
    while pending
        .pop_front_if(|oldest| oldest.task.is_finished())
        .is_some()
    {}
}

async fn expired(until: Option<Instant>) {
    if let Some(until) = until {
        tokio::time::sleep_until(until).await;
    }
}

/// The future's value if it has one already.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        value = future => Some(value),
        () = std::future::ready(()) => None,
    }
}
