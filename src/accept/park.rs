//! An HTTP/1.1 connection with hyper on it while there is something to do, and without while it rests.
//!
//! hyper keeps buffers of several kilobytes for a connection that waits for its next request, and most
//! connections of a pool do little else. Must never lose a byte nor take one for what it is not: hyper
//! itself has to say that no request is under way, and what it has read ahead is put back.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::server::conn::http1::{Builder, UpgradeableConnection};

use super::activity::Activity;
use super::serve::{Handler, Respond};
use super::stream::PeerStream;
use crate::observe::{Metrics, Resting};

/// A connection rests after so long without a request. A pool in use leaves none alone for as long,
/// and waking costs little.
const REST: Duration = Duration::from_secs(1);

type Busy<H> = UpgradeableConnection<PeerStream, Respond<H>>;

/// What a connection did.
pub(super) enum Event {
    /// It rested, and something came.
    Woke,
    /// It is over.
    Ended(Result<(), hyper::Error>),
}

/// One connection, at work or at rest.
pub(super) struct Line<'a, H: Handler> {
    http: &'a Builder,
    activity: &'a Activity,
    metrics: &'a Metrics,
    state: State<'a, H>,
}

enum State<'a, H: Handler> {
    /// Boxed, so that one at rest is small.
    Busy(Box<Busy<H>>),
    Resting {
        stream: PeerStream,
        service: Respond<H>,
        _counted: Resting<'a>,
    },
    /// Nothing is left of it here.
    Gone,
}

impl<H: Handler> State<'_, H> {
    fn busy(http: &Builder, stream: PeerStream, service: Respond<H>) -> Self {
        let http = http.serve_connection(stream, service);
        Self::Busy(Box::new(http.with_upgrades()))
    }
}

impl<'a, H: Handler> Line<'a, H> {
    pub(super) fn new(
        http: &'a Builder,
        activity: &'a Activity,
        metrics: &'a Metrics,
        stream: PeerStream,
        service: Respond<H>,
    ) -> Self {
        Self {
            http,
            activity,
            metrics,
            state: State::busy(http, stream, service),
        }
    }

    pub(super) fn rests(&self) -> bool {
        matches!(self.state, State::Resting { .. })
    }

    /// Goes on with the work, or waits for some. Cancel-safe.
    pub(super) async fn next(&mut self) -> Event {
        poll_fn(|cx| match &mut self.state {
            State::Busy(http) => Pin::new(&mut **http).poll(cx).map(Event::Ended),
            State::Resting { stream, .. } => {
                ready!(stream.poll_readable(cx));
                self.wake();
                Poll::Ready(Event::Woke)
            }
            State::Gone => Poll::Ready(Event::Ended(Ok(()))),
        })
        .await
    }

    /// Finishes what is under way and takes nothing new.
    pub(super) fn finish(&mut self) {
        self.wake();
        if let State::Busy(http) = &mut self.state {
            Pin::new(&mut **http).graceful_shutdown();
        }
    }

    /// Lets it rest, if it has had nothing to do for [`REST`]. How it ended, if it did instead.
    pub(super) async fn rest(&mut self) -> Option<Result<(), hyper::Error>> {
        if !self.rests() && self.activity.is_quiet_for(REST) {
            poll_fn(|cx| Poll::Ready(self.lay_down(cx))).await
        } else {
            None
        }
    }

    // SECURITY: what is left of a request's body must never be read as the next request. Bodies keep the
    // activity from being quiet until they are dropped, and the first poll lets hyper see that they were:
    // it reads a rest of them, or ends the connection. Then hyper is told to finish, and is done in the
    // same moment where a request had not begun. Guarded by
    // `what_is_left_of_an_upload_is_never_taken_for_a_request_when_its_connection_rests`.
    fn lay_down(&mut self, cx: &mut Context<'_>) -> Option<Result<(), hyper::Error>> {
        let State::Busy(http) = &mut self.state else {
            return None;
        };
        let mut http = Pin::new(&mut **http);
        if let Poll::Ready(ended) = http.as_mut().poll(cx) {
            return Some(ended);
        }
        if !self.activity.is_quiet_for(REST) {
            return None;
        }
        http.as_mut().graceful_shutdown();
        self.activity.keep_open(true);
        let finished = http.poll(cx);
        self.activity.keep_open(false);
        let Poll::Ready(finished) = finished else {
            return None;
        };
        let taken = match std::mem::replace(&mut self.state, State::Gone) {
            State::Busy(http) => http.into_parts(),
            State::Resting { .. } | State::Gone => None,
        };
        match (finished, taken) {
            (Ok(()), Some(parts)) => {
                self.state = State::Resting {
                    stream: parts.io.with_read_ahead(parts.read_buf),
                    service: parts.service,
                    _counted: self.metrics.connection_rests(),
                };
                None
            }
            (finished, _) => Some(finished),
        }
    }

    fn wake(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Resting {
                stream, service, ..
            } => State::busy(self.http, stream, service),
            other @ (State::Busy(_) | State::Gone) => other,
        };
    }

    /// The stream without hyper, for a last word.
    pub(super) fn into_stream(self) -> Option<PeerStream> {
        match self.state {
            State::Busy(http) => http.into_parts().map(|parts| parts.io),
            State::Resting { stream, .. } => Some(stream),
            State::Gone => None,
        }
    }
}
