//! Connections to the upstream: opened under a deadline, kept while useful, never shared by two
//! requests at once (HTTP/1.1), or shared up to the upstream's own limit (HTTP/2).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::body::RequestBody;
use crate::model::Denial;
use crate::observe::Metrics;
use crate::settings::{UpstreamAddress, UpstreamProtocol, UpstreamSettings};
use crate::socket::{self, AnySocket};

/// Held for a push or a pop, never over an await.
type Shelf<T> = std::sync::Mutex<Vec<T>>;

/// More idle connections than this are closed at once.
const MAX_IDLE: usize = 512;
/// RFC 9113 6.5.2 recommends that a server take at least this many streams on one connection.
const STREAMS_EACH: usize = 100;
/// At most this many HTTP/2 connections; beyond, streams queue.
const MAX_SHARED: usize = 64;

/// All connections to the one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    settings: UpstreamSettings,
    idle: Shelf<Idle>,
    shared: Shelf<Shared>,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
}

#[derive(Clone, Debug)]
struct Shared {
    sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
}

/// The right to send one request.
#[derive(Debug)]
pub(super) enum Sender {
    /// A connection of its own.
    Http1(http1::SendRequest<RequestBody>),
    /// One stream of a shared connection.
    Http2(
        http2::SendRequest<RequestBody>,
        #[expect(dead_code, reason = "counts by being held")] StreamCount,
    ),
}

/// Counts a stream until it is dropped.
#[derive(Debug)]
pub(super) struct StreamCount(Arc<AtomicUsize>);

impl Drop for StreamCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether a connection has carried a request before. Only then can it have gone stale unseen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Freshness {
    New,
    Reused,
}

/// A connection out on loan to one exchange.
#[derive(Debug)]
pub(super) struct Lease {
    sender: Sender,
    pool: Arc<Pool>,
}

impl Lease {
    pub(super) fn new(sender: Sender, pool: Arc<Pool>) -> Self {
        Self { sender, pool }
    }

    /// Both messages are complete: the connection may carry another request.
    pub(super) fn give_back(self) {
        if let Sender::Http1(sender) = self.sender {
            self.pool.shelve(sender);
        }
    }
}

impl Pool {
    pub(super) fn new(settings: UpstreamSettings, metrics: Arc<Metrics>) -> Self {
        Self {
            settings,
            idle: Shelf::default(),
            shared: Shelf::default(),
            metrics,
        }
    }

    pub(super) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    /// A connection to send on in this protocol: an idle one if `want` allows, else a new one.
    pub(super) async fn take(
        &self,
        protocol: UpstreamProtocol,
        want: Freshness,
    ) -> Result<(Sender, Freshness), Denial> {
        if want == Freshness::Reused {
            let idle = match protocol {
                UpstreamProtocol::Http1 => self.reusable().await,
                UpstreamProtocol::H2c => self.share(),
            };
            if let Some(sender) = idle {
                self.metrics.upstream_connection(true);
                return Ok((sender, Freshness::Reused));
            }
        }
        // Boxed: few requests open a connection, and all of them would carry the room for it.
        let sender = Box::pin(self.connect(protocol)).await?;
        self.metrics.upstream_connection(false);
        Ok((sender, Freshness::New))
    }

    async fn reusable(&self) -> Option<Sender> {
        loop {
            let Idle { mut sender, since } = locked(&self.idle).pop()?;
            if since.elapsed() >= self.settings.idle_timeout || sender.is_closed() {
                continue;
            }
            if sender.is_ready() {
                return Some(Sender::Http1(sender));
            }
            // Its task may not have noticed yet that the last response ended; this waits for that
            // one turn of the task, and fails if the upstream closed meanwhile.
            let ready = tokio::time::timeout(self.settings.connect_timeout, sender.ready());
            if matches!(ready.await, Ok(Ok(()))) {
                return Some(Sender::Http1(sender));
            }
        }
    }

    /// A stream on the first HTTP/2 connection that has one free.
    fn share(&self) -> Option<Sender> {
        let mut shared = locked(&self.shared);
        shared.retain(|connection| !connection.sender.is_closed());
        let full = shared.len() >= MAX_SHARED;
        let free = shared
            .iter()
            .find(|connection| full || connection.streams.load(Ordering::Relaxed) < STREAMS_EACH)?;
        free.streams.fetch_add(1, Ordering::Relaxed);
        Some(Sender::Http2(
            free.sender.clone(),
            StreamCount(Arc::clone(&free.streams)),
        ))
    }

    async fn connect(&self, protocol: UpstreamProtocol) -> Result<Sender, Denial> {
        let opening = async {
            let stream = match &self.settings.address {
                UpstreamAddress::Tcp(address) => tcp(TcpStream::connect(address).await?),
                UpstreamAddress::Name(name) => tcp(TcpStream::connect(name.as_str()).await?),
                UpstreamAddress::Unix(path) => socket::any(UnixStream::connect(path).await?),
            };
            self.start(stream, protocol).await
        };
        match tokio::time::timeout(self.settings.connect_timeout, opening).await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot connect to the upstream");
                Err(Denial::UpstreamUnavailable)
            }
            Err(_) => Err(Denial::UpstreamTooSlow),
        }
    }

    async fn start(&self, stream: AnySocket, protocol: UpstreamProtocol) -> io::Result<Sender> {
        match protocol {
            UpstreamProtocol::Http1 => {
                let (sender, connection) = http1::Builder::new()
                    .handshake(stream)
                    .await
                    .map_err(io::Error::other)?;
                tokio::spawn(async move { ended(connection.with_upgrades().await) });
                Ok(Sender::Http1(sender))
            }
            UpstreamProtocol::H2c => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .handshake(stream)
                    .await
                    .map_err(io::Error::other)?;
                tokio::spawn(async move { ended(connection.await) });
                let shared = Shared {
                    sender,
                    streams: Arc::new(AtomicUsize::new(1)),
                };
                locked(&self.shared).push(shared.clone());
                Ok(Sender::Http2(shared.sender, StreamCount(shared.streams)))
            }
        }
    }

    fn shelve(&self, sender: http1::SendRequest<RequestBody>) {
        let mut idle = locked(&self.idle);
        if idle.len() < MAX_IDLE && !sender.is_closed() {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    /// Closes what has been idle for too long; says when to come again.
    pub(super) fn sweep(&self) -> Duration {
        let limit = self.settings.idle_timeout;
        locked(&self.idle).retain(|idle| idle.since.elapsed() < limit && !idle.sender.is_closed());
        limit
    }
}

fn tcp(stream: TcpStream) -> AnySocket {
    // Requests leave when they are written; a failure here costs latency, nothing else.
    drop(stream.set_nodelay(true));
    socket::any(stream)
}

fn ended(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "upstream connection ended");
    }
}

/// No code can panic while it holds a shelf, and a list of connections is never half changed, so a
/// poisoned lock is still good.
fn locked<T>(shelf: &Shelf<T>) -> impl std::ops::DerefMut<Target = Vec<T>> {
    shelf
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
