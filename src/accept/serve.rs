//! An authenticated connection becomes requests: HTTP/1.1 or HTTP/2, as ALPN settled.
//!
//! Knows deadlines, limits and how to end a connection without losing a request. What a request
//! means is the [`Handler`]'s business.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, Version};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncWriteExt;

use super::activity::{Deadlines, InFlight, Look};
use super::connection::Connection;
use super::stalled::Streams;
use super::stream::PeerStream;
use crate::model::Denial;
use crate::observe::{Closed, Journal, RefusedConnection};
use crate::revocation::Line;
use crate::settings::{LimitSettings, TimeoutSettings};

/// At the end, an idle HTTP/1.1 connection stays open this long: a request that is already on the
/// wire still gets its answer, with `Connection: close`, instead of a reset.
const LINGER: Duration = Duration::from_secs(1);

/// A peer that is not trusted any more may finish the request in flight, for this long at most: a
/// change of trust has acted everywhere within a second.
const MERCY: Duration = Duration::from_millis(600);

/// How long a last word may take to leave.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What answers requests. Implemented by `gate`, which this module must not know.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers one request. `in_flight` must live until the answer's last byte is out.
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
    limits: LimitSettings,
    header_read: Duration,
    idle: Duration,
    stalled: Duration,
}

type BoxedResponse<B> =
    Pin<Box<dyn Future<Output = Result<Response<B>, std::convert::Infallible>> + Send>>;

impl Serving {
    pub(super) fn new(limits: &LimitSettings, timeouts: &TimeoutSettings) -> Self {
        Self {
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

    async fn http1<H: Handler>(
        &self,
        stream: PeerStream,
        handler: Arc<H>,
        connection: &Arc<Connection>,
        journal: &Journal,
    ) -> Closed {
        let deadlines = Deadlines {
            header_read: Some(self.header_read),
            idle: self.idle,
            stalled: self.stalled,
        };
        let limits = &self.limits;
        let last_word = Arc::clone(&handler);
        let mut http = http1::Builder::new()
            .header_read_timeout(None)
            // The gate's own limits answer first and better; these are the net below them.
            .max_headers(limits.header_count.saturating_mul(2))
            .max_header_size(limits.header_bytes.saturating_mul(2))
            .max_buf_size(limits.header_bytes.saturating_mul(2).max(64 * 1024))
            .serve_connection(stream, service_fn(respond(handler, connection)))
            .with_upgrades();
        let mut asked = pin!(asked_to_end(connection, LINGER));
        let mut stop = pin!(stopped(connection));
        let mut closing = None;
        let mut watchdog = pin!(tokio::time::sleep(self.header_read));
        loop {
            tokio::select! {
                biased;
                ended = &mut http => return closed(ended, connection, journal),
                cause = &mut asked, if closing.is_none() => {
                    closing = Some(cause);
                    Pin::new(&mut http).graceful_shutdown();
                    if cause == Closed::Trust {
                        watchdog.as_mut().reset(tokio::time::Instant::now() + MERCY);
                    }
                }
                () = &mut stop => return Closed::Drain,
                () = &mut watchdog => match connection.activity().look(deadlines) {
                    _ if closing == Some(Closed::Trust) => return Closed::Trust,
                    Look::Again(after) => {
                        watchdog.as_mut().reset(tokio::time::Instant::now() + after);
                    }
                    Look::Idle => return Closed::Idle,
                    Look::SlowHeader => {
                        refused_head(Denial::HeaderTooSlow, connection, journal);
                        let stream = http.into_parts().map(|parts| parts.io);
                        say_last(stream, &last_word.slow_header()).await;
                        return Closed::Slow;
                    }
                },
            }
        }
    }

    async fn http2<H: Handler>(
        &self,
        stream: PeerStream,
        handler: Arc<H>,
        connection: &Arc<Connection>,
        journal: &Journal,
    ) -> Closed {
        let deadlines = Deadlines {
            header_read: None,
            idle: self.idle,
            stalled: self.stalled,
        };
        let list_size = u32::try_from(self.limits.header_bytes.saturating_mul(2));
        let mut http = pin!(
            http2::Builder::new(Streams::new(self.stalled))
                .timer(TokioTimer::new())
                .max_concurrent_streams(self.limits.streams)
                .max_header_list_size(list_size.unwrap_or(u32::MAX))
                // RFC 8441: a WebSocket on one stream.
                .enable_connect_protocol()
                .serve_connection(stream, service_fn(respond(handler, connection)))
        );
        // GOAWAY can be sent at once: it says which requests were taken, so none is lost.
        let mut asked = pin!(asked_to_end(connection, Duration::ZERO));
        let mut stop = pin!(stopped(connection));
        let mut closing = None;
        let mut watchdog = pin!(tokio::time::sleep(self.idle));
        loop {
            tokio::select! {
                biased;
                ended = &mut http => return closed(ended, connection, journal),
                cause = &mut asked, if closing.is_none() => {
                    closing = Some(cause);
                    http.as_mut().graceful_shutdown();
                    if cause == Closed::Trust {
                        watchdog.as_mut().reset(tokio::time::Instant::now() + MERCY);
                    }
                }
                () = &mut stop => return Closed::Drain,
                () = &mut watchdog => match connection.activity().look(deadlines) {
                    _ if closing == Some(Closed::Trust) => return Closed::Trust,
                    Look::Again(after) => {
                        watchdog.as_mut().reset(tokio::time::Instant::now() + after);
                    }
                    Look::Idle | Look::SlowHeader if closing.is_some() => return Closed::Idle,
                    Look::Idle | Look::SlowHeader => {
                        // GOAWAY first: a request may be on its way. Then as long again as a header
                        // may take for the peer to notice.
                        closing = Some(Closed::Idle);
                        http.as_mut().graceful_shutdown();
                        watchdog.as_mut().reset(tokio::time::Instant::now() + self.header_read);
                    }
                },
            }
        }
    }
}

/// The service of one connection.
fn respond<H: Handler>(
    handler: Arc<H>,
    connection: &Arc<Connection>,
) -> impl Fn(Request<Incoming>) -> BoxedResponse<H::Body> + use<H> {
    let connection = Arc::clone(connection);
    move |request| {
        let in_flight = connection.activity().begin();
        let (handler, connection) = (Arc::clone(&handler), Arc::clone(&connection));
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

/// Completes when the connection should finish what it has and take nothing new, with the cause:
/// sidegate is stopping, and an idle connection has been given `linger`; or the peer is not trusted
/// any more.
async fn asked_to_end(connection: &Connection, linger: Duration) -> Closed {
    let drained = async {
        connection.drain().finish().await;
        tokio::time::sleep(linger).await;
    };
    tokio::select! {
        () = drained => Closed::Drain,
        denial = connection.distrusted() => {
            tell_distrust(denial, connection);
            Closed::Trust
        }
    }
}

async fn stopped(connection: &Connection) {
    connection.drain().stop().await;
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

fn closed(ended: Result<(), hyper::Error>, connection: &Connection, journal: &Journal) -> Closed {
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
fn refused_head(denial: Denial, connection: &Connection, journal: &Journal) {
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

async fn say_last(stream: Option<PeerStream>, word: &[u8]) {
    let Some(stream) = stream else { return };
    let mut tls = stream.into_inner();
    let said = async {
        tls.write_all(word).await?;
        tls.shutdown().await
    };
    // Whether it arrives is the slow caller's affair.
    drop(tokio::time::timeout(LAST_WORD, said).await);
}
