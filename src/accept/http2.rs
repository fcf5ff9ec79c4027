//! One HTTP/2 connection: its streams, its deadlines, its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, sleep};

use super::activity::{Deadlines, Look};
use super::connection::Connection;
use super::serve::{Handler, MERCY, Order, Respond, Serving, closed, order};
use super::stalled::Streams;
use super::stream::PeerStream;
use crate::observe::{Closed, Journal};

impl Serving {
    pub(super) async fn http2<H: Handler>(
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
        // Boxed, for the room of an HTTP/1.1 connection is not to be as large.
        let mut http = Box::pin(
            http2::Builder::new(Streams::new(self.stalled))
                .timer(TokioTimer::new())
                .max_concurrent_streams(self.limits.streams)
                .max_header_list_size(list_size.unwrap_or(u32::MAX))
                // RFC 8441: a WebSocket on one stream.
                .enable_connect_protocol()
                .serve_connection(stream, Respond::new(handler, connection)),
        );
        // GOAWAY can be sent at once: it says which requests were taken, so none is lost.
        let mut orders = pin!(order(connection, Duration::ZERO, false));
        let mut closing = None;
        let mut watchdog = pin!(sleep(self.idle));
        loop {
            tokio::select! {
                biased;
                ended = &mut http => return closed(ended, connection, journal),
                told = &mut orders => match told {
                    Order::Finish(cause) => {
                        closing = Some(cause);
                        orders.set(order(connection, Duration::ZERO, true));
                        http.as_mut().graceful_shutdown();
                        if cause == Closed::Trust {
                            watchdog.as_mut().reset(Instant::now() + MERCY);
                        }
                    }
                    Order::Stop => return Closed::Drain,
                },
                () = &mut watchdog => match connection.activity().look(deadlines) {
                    _ if closing == Some(Closed::Trust) => return Closed::Trust,
                    Look::Again(after) => {
                        watchdog.as_mut().reset(Instant::now() + after);
                    }
                    Look::Idle | Look::SlowHeader if closing.is_some() => return Closed::Idle,
                    Look::Idle | Look::SlowHeader => {
                        // GOAWAY first: a request may be on its way. Then as long again as a header
                        // may take for the peer to notice.
                        closing = Some(Closed::Idle);
                        http.as_mut().graceful_shutdown();
                        watchdog.as_mut().reset(Instant::now() + self.header_read);
                    }
                },
            }
        }
    }
}
