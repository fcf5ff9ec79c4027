//! An authenticated connection becomes requests: HTTP/1.1 or HTTP/2, as ALPN settled.
//!
//! Knows deadlines, limits and how to end a connection without losing a request. What a request
//! means is the [`Handler`]'s business.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::time::timeout;

use super::activity::InFlight;
use super::connection::Connection;
use super::stream::PeerStream;
use crate::model::Denial;
use crate::observe::{Closed, Journal, RefusedConnection};
use crate::revocation::Line;
use crate::settings::{LimitSettings, TimeoutSettings};

/// hyper's own limit to the fields of a head.
const HYPERS_MAX_HEADERS: usize = 100;

/// A connection over HTTP/1.1 that has something to do is looked at this often: see [`ticks`]. Sooner
/// than the first moment that an exchange waits for (`forward::exchange`), or each sets a timer for it.
pub const TICK: Duration = Duration::from_millis(400);

/// Whether what answers a request of this version is polled every [`TICK`], whatever it waits for. A
/// stream of HTTP/2 is a task of its own, which nobody polls but what it waits for.
#[must_use]
pub fn ticks(version: Version) -> bool {
    version != Version::HTTP_2
}

/// A peer that is not trusted any more may finish the request in flight, for this long at most: a
/// change of trust has acted everywhere within a second.
pub(super) const MERCY: Duration = Duration::from_millis(600);

/// What answers requests. Implemented by `gate`, which this module must not know.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers one request. `in_flight` must live until the answer's last byte is out and, over HTTP/1.1,
    /// until nothing of the request's body is held any more: only then may the connection rest.
    fn handle(
        &self,
        request: Request<Incoming>,
        connection: Arc<Connection>,
        in_flight: InFlight,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The bytes sent on an HTTP/1.1 connection whose header did not arrive in time.
    fn slow_header(&self) -> Bytes;
}

/// What one connection may take. The same for all of them.
#[derive(Clone, Debug)]
pub(super) struct Serving {
    pub(super) http1: http1::Builder,
    pub(super) limits: LimitSettings,
    pub(super) header_read: Duration,
    pub(super) idle: Duration,
    pub(super) stalled: Duration,
}

impl Serving {
    pub(super) fn new(limits: &LimitSettings, timeouts: &TimeoutSettings) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .header_read_timeout(None)
            // The gate's own limits answer first and better; these are the net below them.
            .max_header_size(limits.header_bytes.saturating_mul(2))
            .max_buf_size(limits.header_bytes.saturating_mul(2).max(64 * 1024));
        // For this many hyper has room without being told. Told, it fills a table at each head.
        if limits.header_count > HYPERS_MAX_HEADERS {
            http1.max_headers(limits.header_count.saturating_mul(2));
        }
        Self {
            http1,
            limits: limits.clone(),
            header_read: timeouts.header_read,
            idle: timeouts.idle,
            stalled: timeouts
                .request
                .map_or(timeouts.stream_idle, |all| all.min(timeouts.stream_idle)),
        }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve<H: Handler>(
        &self,
        stream: PeerStream,
        alpn_h2: bool,
        handler: Arc<H>,
        connection: Arc<Connection>,
        journal: &Journal,
    ) {
        let cause = if alpn_h2 {
            self.http2(stream, handler, &connection, journal).await
        } else {
            self.http1(stream, handler, &connection, journal).await
        };
        connection.ends(cause);
    }
}

/// What hyper calls for each request of one connection.
pub(super) struct Respond<H> {
    handler: Arc<H>,
    connection: Arc<Connection>,
}

impl<H: Handler> Respond<H> {
    pub(super) fn new(handler: Arc<H>, connection: &Arc<Connection>) -> Self {
        Self {
            handler,
            connection: Arc::clone(connection),
        }
    }
}

impl<H: Handler> Service<Request<Incoming>> for Respond<H> {
    type Response = Response<H::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = self.connection.activity().begin();
        let handler = Arc::clone(&self.handler);
        let connection = Arc::clone(&self.connection);
        Box::pin(async move {
            let http1 = request.version() != Version::HTTP_2;
            let own = Arc::clone(&connection);
            let mut response = handler.handle(request, connection, in_flight).await;
            if http1 && own.is_ending() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        })
    }
}

/// What a connection is told from outside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// Finish what is there and take nothing new.
    Finish(Closed),
    /// End now.
    Stop,
}

/// Completes with the next order. Before it is `finishing`: sidegate stops, and an idle connection has
/// been given `linger`; or the peer is not trusted any more. After that nothing but the end can come.
pub(super) async fn order(connection: &Connection, linger: Duration, finishing: bool) -> Order {
    let mut drain = connection.drain();
    if finishing {
        drain.stop().await;
        return Order::Stop;
    }
    let finish = async {
        drain.finish().await;
        // Whoever is to stop is told so by the next order. Boxed, for the room is needed once.
        drop(Box::pin(timeout(linger, drain.stop())).await);
        Order::Finish(Closed::Drain)
    };
    tokio::select! {
        order = finish => order,
        denial = connection.distrusted() => {
            tell_distrust(denial, connection);
            Order::Finish(Closed::Trust)
        }
    }
}

fn tell_distrust(denial: Denial, connection: &Connection) {
    tracing::warn!(
        target: "sidegate::decision",
        decision = "closed",
        reason = denial.code(),
        stage = denial.stage().code(),
        deny_line = connection.deny_line().map(Line::number),
        peer = &**connection.name(),
        remote = %connection.remote(),
    );
}

pub(super) fn closed(
    ended: Result<(), hyper::Error>,
    connection: &Connection,
    journal: &Journal,
) -> Closed {
    let Err(error) = ended else {
        return connection.why_ended();
    };
    if error.is_parse_too_large() {
        refused_head(Denial::HeaderTooLarge, connection, journal);
    } else if error.is_parse() {
        refused_head(Denial::RequestMalformed, connection, journal);
    } else {
        tracing::debug!(peer = &**connection.name(), %error, "connection broke");
    }
    match connection.why_ended() {
        Closed::Trust => Closed::Trust,
        Closed::Peer | Closed::Error | Closed::Idle | Closed::Slow | Closed::Drain => Closed::Error,
    }
}

/// A head that never became a request, so that no record was opened for it.
pub(super) fn refused_head(denial: Denial, connection: &Connection, journal: &Journal) {
    journal.metrics.refused(denial);
    journal.refusals.connection(RefusedConnection {
        denial,
        remote: connection.remote(),
        peer: Some(connection.name()),
        certificate: None,
    });
    tracing::warn!(
        target: "sidegate::decision",
        decision = "refused",
        reason = denial.code(),
        stage = denial.stage().code(),
        peer = &**connection.name(),
        remote = %connection.remote(),
    );
}
