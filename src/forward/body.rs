//! The bodies of an exchange, streamed frame by frame in both directions and never collected.
//!
//! The request body stops at its size limit and its deadlines. Both drop trailers that speak of one
//! connection, and the request's those that a caller may not set. The response body gives the upstream
//! connection back when it has ended cleanly.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::Room;
use super::exchange::{Exchange, Expired, IdleTimer, Side};
use super::hop;
use super::pool::Lease;
use super::spoof::OursAlone;
use crate::accept::{InFlight, linger, stalled};
use crate::model::Denial;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The side that sends it broke off.
    #[error("the sender broke off: {0}")]
    Sender(hyper::Error),
    /// Larger than `limits.body_bytes`.
    #[error("larger than limits.body_bytes")]
    TooLarge,
    /// No byte moved for too long, or the exchange took too long.
    #[error("nothing moved within timeouts.stream_idle, or not done within timeouts.request")]
    TooSlow,
    /// It would not be let in any more.
    #[error("not allowed any more: {}", .0.code())]
    Ended(Denial),
}

impl BodyError {
    fn cut(expired: Expired, exchange: &Exchange) -> Self {
        match expired {
            Expired::Time => Self::TooSlow,
            Expired::Right(denial) => {
                exchange.tell_cut();
                Self::Ended(denial)
            }
        }
    }
}

/// What goes to the upstream.
#[derive(Debug)]
pub(super) struct RequestBody {
    /// `None` for a request that is known to have no body.
    incoming: Option<Incoming>,
    exchange: Arc<Exchange>,
    left: Option<u64>,
    ours: Arc<OursAlone>,
    timer: IdleTimer,
    rest: Option<Rest>,
}

/// What to do with an unread rest, where the caller would lose its answer over it: read on.
#[derive(Debug)]
pub(super) struct Rest {
    /// Marks the connection as busy meanwhile.
    pub(super) in_flight: InFlight,
    /// The caller only announced the body (`Expect`) and was not asked for it yet.
    pub(super) announced: bool,
}

impl Rest {
    /// Reads on, if the caller would lose its answer otherwise and was asked for the body.
    pub(super) fn read_on(rest: Option<Self>, incoming: Incoming) {
        if let Some(rest) = rest
            && !rest.announced
            && !incoming.is_end_stream()
        {
            linger::read_on(incoming, rest.in_flight);
        }
    }
}

impl RequestBody {
    pub(super) fn new(
        incoming: Incoming,
        exchange: Arc<Exchange>,
        limit: Option<u64>,
        ours: Arc<OursAlone>,
        rest: Option<Rest>,
    ) -> Self {
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        if incoming.is_none() {
            exchange.request_is_done();
        }
        Self {
            incoming,
            exchange,
            left: limit,
            ours,
            timer: IdleTimer::default(),
            rest,
        }
    }

    /// A second body like this one, which is possible only if there is nothing in it.
    pub(super) fn again(&self) -> Option<Self> {
        let (exchange, ours) = (Arc::clone(&self.exchange), Arc::clone(&self.ours));
        let empty = Self {
            incoming: None,
            exchange,
            left: None,
            ours,
            timer: IdleTimer::default(),
            rest: None,
        };
        self.incoming.is_none().then_some(empty)
    }

    fn cut(&self, expired: Expired) -> BodyError {
        if expired == Expired::Time {
            self.exchange.request_is_too_slow();
        }
        BodyError::cut(expired, &self.exchange)
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        self.exchange.moved().map_err(|expired| self.cut(expired))?;
        let frame = match frame.into_data() {
            Ok(data) => {
                if let Some(left) = &mut self.left {
                    let Some(rest) = left.checked_sub(data.len() as u64) else {
                        self.exchange.request_is_too_large();
                        return Err(BodyError::TooLarge);
                    };
                    *left = rest;
                }
                Frame::data(data)
            }
            Err(frame) => with_trailers(frame, |trailers| {
                hop::remove(trailers);
                // SECURITY: many servers merge trailers into the headers. Guarded by
                // `an_identity_header_sent_as_a_trailer_is_removed`.
                self.ours.remove_from_trailers(trailers);
            }),
        };
        // With a `Content-Length` nobody asks again after the last byte.
        if self.incoming.as_ref().is_some_and(Body::is_end_stream) {
            self.exchange.request_is_done();
        }
        Ok(frame)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else {
            return Poll::Ready(None);
        };
        // SECURITY: before the next frame is taken. Guarded by
        // `an_upload_ends_when_its_token_is_denied`.
        if let Some(refusal) = this.exchange.ended() {
            this.exchange.tell_cut();
            return Poll::Ready(Some(Err(BodyError::Ended(refusal.denial))));
        }
        if let Some(rest) = &mut this.rest {
            rest.announced = false;
        }
        match Pin::new(incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(this.take(frame))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Sender(error)))),
            Poll::Ready(None) => {
                this.exchange.request_is_done();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let expired = ready!(this.timer.poll_expired(&this.exchange, Side::Request, cx));
                Poll::Ready(Some(Err(this.cut(expired))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // The upstream answered early, failed, or the limit was met: the caller may still be sending.
        let too_slow = self.exchange.cut() == Some(Denial::RequestTooSlow);
        if let Some(incoming) = self.incoming.take().filter(|_| !too_slow) {
            Rest::read_on(self.rest.take(), incoming);
        }
    }
}

/// A frame of trailers with these changed; any other as it is.
fn with_trailers(frame: Frame<Bytes>, change: impl FnOnce(&mut HeaderMap)) -> Frame<Bytes> {
    frame.into_trailers().map_or_else(
        |other| other,
        |mut trailers| {
            change(&mut trailers);
            Frame::trailers(trailers)
        },
    )
}

/// What goes back to the caller. Holds the request's share of every limit until its last byte.
#[derive(Debug)]
pub struct AnswerBody {
    content: Content,
    _in_flight: InFlight,
}

#[derive(Debug)]
enum Content {
    /// An answer of our own.
    Whole(Option<Bytes>),
    /// The upstream's. Boxed: most of an idle connection's memory would be this variant.
    Streamed(Box<Streamed>),
}

#[derive(Debug)]
struct Streamed {
    incoming: Incoming,
    exchange: Arc<Exchange>,
    timer: IdleTimer,
    lease: Option<Lease>,
    _room: Room,
}

impl AnswerBody {
    /// An answer that sidegate made itself.
    #[must_use]
    pub fn whole(bytes: Bytes, in_flight: InFlight) -> Self {
        Self {
            content: Content::Whole(Some(bytes)),
            _in_flight: in_flight,
        }
    }

    pub(super) fn streamed(
        incoming: Incoming,
        exchange: Arc<Exchange>,
        lease: Lease,
        room: Room,
        in_flight: InFlight,
    ) -> Self {
        let mut streamed = Streamed {
            incoming,
            exchange,
            timer: IdleTimer::default(),
            lease: Some(lease),
            _room: room,
        };
        if streamed.incoming.is_end_stream() {
            streamed.done();
        }
        Self {
            content: Content::Streamed(Box::new(streamed)),
            _in_flight: in_flight,
        }
    }
}

impl Streamed {
    /// The upstream has said everything: its connection may serve the next request.
    fn done(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.exchange.is_request_done()
        {
            lease.give_back();
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        // SECURITY: before the next frame is passed on. Guarded by
        // `a_stream_ends_when_its_token_expires`.
        if let Some(refusal) = self.exchange.ended() {
            self.exchange.tell_cut();
            return Poll::Ready(Some(Err(BodyError::Ended(refusal.denial))));
        }
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                // Hours may have passed since it was last asked for.
                if let Err(expired) = self.exchange.moved() {
                    return Poll::Ready(Some(Err(BodyError::cut(expired, &self.exchange))));
                }
                if self.incoming.is_end_stream() {
                    self.done();
                }
                let frame = with_trailers(frame, |trailers| {
                    hop::remove(trailers);
                });
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                tracing::warn!(%error, "the upstream broke off inside a body");
                Poll::Ready(Some(Err(BodyError::Sender(error))))
            }
            Poll::Ready(None) => {
                self.done();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let expired = ready!(self.timer.poll_expired(&self.exchange, Side::Response, cx));
                Poll::Ready(Some(Err(BodyError::cut(expired, &self.exchange))))
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = match &mut self.content {
            Content::Whole(bytes) => Poll::Ready(
                bytes
                    .take()
                    .filter(|b| !b.is_empty())
                    .map(|b| Ok(Frame::data(b))),
            ),
            Content::Streamed(streamed) => streamed.poll_frame(cx),
        };
        stalled::asked(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::Streamed(streamed) => streamed.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Streamed(streamed) => streamed.incoming.size_hint(),
        }
    }
}
