//! One HTTP/1.1 connection: its requests, its deadlines, its end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::activity::{Deadlines, Look};
use super::connection::Connection;
use super::park::{Event, Line};
use super::serve::{Handler, MERCY, Order, Respond, Serving, TICK, closed, order, refused_head};
use super::stream::PeerStream;
use crate::model::Denial;
use crate::observe::{Closed, Journal};

/// At the end, an idle connection stays open this long: a request that is already on the wire still
/// gets its answer, with `Connection: close`, instead of a reset.
const LINGER: Duration = Duration::from_secs(1);

/// How long a last word may take to leave.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Serving {
    pub(super) async fn http1<H: Handler>(
        &self,
        stream: PeerStream,
        handler: Arc<H>,
        connection: &Arc<Connection>,
        journal: &Journal,
    ) -> Closed {
        let activity = connection.activity();
        let last_word = Arc::clone(&handler);
        let service = Respond::new(handler, connection);
        let mut line = Line::new(&self.http1, activity, &journal.metrics, stream, service);
        let mut orders = pin!(order(connection, LINGER, false));
        let mut closing = None;
        let soon = self.header_read.min(TICK);
        let mut watchdog = pin!(sleep(soon));
        loop {
            tokio::select! {
                biased;
                event = line.next() => match event {
                    Event::Woke => watchdog.as_mut().reset(Instant::now() + soon),
                    Event::Ended(result) => return closed(result, connection, journal),
                },
                told = &mut orders => match told {
                    Order::Finish(cause) => {
                        closing = Some(cause);
                        orders.set(order(connection, LINGER, true));
                        line.finish();
                        if cause == Closed::Trust {
                            watchdog.as_mut().reset(Instant::now() + MERCY);
                        }
                    }
                    Order::Stop => return Closed::Drain,
                },
                () = &mut watchdog => match activity.look(self.deadlines(line.rests())) {
                    _ if closing == Some(Closed::Trust) => return Closed::Trust,
                    Look::Again(after) => {
                        if closing.is_none() && let Some(result) = line.rest().await {
                            return closed(result, connection, journal);
                        }
                        let after = if line.rests() { after } else { after.min(TICK) };
                        watchdog.as_mut().reset(Instant::now() + after);
                    }
                    Look::Idle => return Closed::Idle,
                    Look::SlowHeader => {
                        refused_head(Denial::HeaderTooSlow, connection, journal);
                        // Boxed, for every connection has room for what any may need.
                        Box::pin(say_last(line.into_stream(), &last_word.slow_header())).await;
                        return Closed::Slow;
                    }
                },
            }
        }
    }

    fn deadlines(&self, rests: bool) -> Deadlines {
        Deadlines {
            header_read: (!rests).then_some(self.header_read),
            idle: self.idle,
            stalled: self.stalled,
        }
    }
}

async fn say_last(stream: Option<PeerStream>, word: &[u8]) {
    let Some(stream) = stream else { return };
    let mut tls = stream.into_inner();
    let said = async {
        tls.write_all(word).await?;
        tls.shutdown().await
    };
    // Whether it arrives is the slow caller's affair.
    drop(timeout(LAST_WORD, said).await);
}
