//! 5b. An allowed request reaches the upstream, and its answer the caller.
//!
//! [`Forwarder::prepare`] asks for a [`Permit`], which only `decide` can give: there is no way to pass
//! on a request that was not judged, nor to another path than the one that was.

mod body;
mod coarse_timer;
mod exchange;
mod headers;
mod hop;
mod identity;
mod pool;
mod spoof;
mod upgrade;
mod warrant;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::{EXPECT, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use hyper::upgrade::OnUpgrade;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub use body::{AnswerBody, BodyError};
pub use headers::{HeaderRules, Origin};
pub use warrant::Authority;

use self::body::{RequestBody, Rest};
use self::coarse_timer::CoarseTimer;
use self::exchange::{Exchange, Side};
use self::pool::{Freshness, Lease, Pool, Sender};
use self::warrant::Warrant;
use crate::accept::{self, Connection, InFlight, linger};
use crate::decide::Permit;
use crate::model::Denial;
use crate::observe::Metrics;
use crate::settings::{Settings, TimeoutSettings, UpstreamProtocol};

/// Passes judged requests on to the one upstream.
#[derive(Debug)]
pub struct Forwarder {
    pool: Arc<Pool>,
    timeouts: TimeoutSettings,
    body_limit: Option<u64>,
    requests: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// What an exchange holds on to until its last byte: its connection's and its own place.
#[derive(Debug)]
pub struct Place {
    /// The connection that the request came on.
    pub connection: Arc<Connection>,
    /// Its mark as busy.
    pub in_flight: InFlight,
}

/// A request in the form that the upstream is to see, not sent yet.
#[derive(Debug)]
#[must_use]
pub struct Departure<'a> {
    forwarder: &'a Forwarder,
    request: Request<RequestBody>,
    protocol: UpstreamProtocol,
    websocket: Option<upgrade::Kind>,
    caller: OnUpgrade,
    exchange: Arc<Exchange>,
    in_flight: InFlight,
    room: Room,
    ticked: bool,
}

/// The share of one request in `limits.requests`.
#[derive(Debug)]
pub struct Room {
    _share: OwnedSemaphorePermit,
}

impl Forwarder {
    /// A forwarder with an empty pool. Nothing connects before the first request.
    #[must_use]
    pub fn build(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            pool: Arc::new(Pool::new(settings.upstream.clone(), Arc::clone(&metrics))),
            timeouts: settings.timeouts.clone(),
            body_limit: settings.limits.body_bytes,
            requests: Arc::new(Semaphore::new(settings.limits.requests)),
            metrics,
        }
    }

    /// Closes idle upstream connections for as long as the forwarder lives.
    pub fn spawn_sweeper(&self) {
        let pool = Arc::downgrade(&self.pool);
        tokio::spawn(async move {
            while let Some(pause) = pool.upgrade().map(|pool| pool.sweep()) {
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Room for one more request, if there is some.
    #[must_use]
    pub fn room(&self) -> Option<Room> {
        let room = Arc::clone(&self.requests).try_acquire_owned();
        room.ok().map(|share| Room { _share: share })
    }

    /// Makes one request ready to be passed on, for as long as `authority` would let it in again.
    ///
    /// # Errors
    ///
    /// Any [`Denial`] of the stage `forward` that its head gives a reason for.
    pub fn prepare(
        &self,
        mut request: Request<Incoming>,
        (permit, room): (Permit, Room),
        authority: &Arc<dyn Authority>,
        rules: &HeaderRules,
        origin: Origin<'_>,
        place: Place,
    ) -> Result<Departure<'_>, Denial> {
        let caller = hyper::upgrade::on(&mut request);
        let ticked = accept::ticks(request.version());
        let linger = linger::needed(&request).then(|| place.in_flight.another());
        let announced = request.headers().contains_key(EXPECT);
        let (mut head, incoming) = request.into_parts();
        let rest = linger.map(|in_flight| Rest {
            in_flight,
            announced,
        });
        let told = (rules, origin);
        let (websocket, protocol) = match self.address(&mut head, &permit, told, &place) {
            Ok(addressed) => addressed,
            Err(denial) => {
                Rest::read_on(rest, incoming);
                return Err(denial);
            }
        };
        let says_its_length = incoming.size_hint().exact().is_some();
        if protocol == UpstreamProtocol::Http1 && !says_its_length && !incoming.is_end_stream() {
            // Without a word hyper takes a GET for one without a body, and drops it.
            let chunked = HeaderValue::from_static("chunked");
            head.headers.insert(TRANSFER_ENCODING, chunked);
        }
        let Place {
            connection,
            in_flight,
        } = place;
        let warrant = Warrant {
            permit,
            authority: Arc::clone(authority),
            connection,
            request_id: Arc::clone(origin.request_id),
        };
        let exchange = Arc::new(Exchange::begin(&self.timeouts, warrant));
        let body = RequestBody::new(
            incoming,
            Arc::clone(&exchange),
            self.body_limit,
            rules.ours(),
            rest,
        );
        Ok(Departure {
            forwarder: self,
            request: Request::from_parts(head, body),
            protocol,
            websocket,
            caller,
            exchange,
            in_flight,
            room,
            ticked,
        })
    }

    /// Gives the head of a request the form that the upstream is to see, in the protocol for it.
    fn address(
        &self,
        head: &mut http::request::Parts,
        permit: &Permit,
        (rules, origin): (&HeaderRules, Origin<'_>),
        place: &Place,
    ) -> Result<(Option<upgrade::Kind>, UpstreamProtocol), Denial> {
        let asked = rules.apply(head, permit.principal(), origin, &place.connection)?;
        let websocket = upgrade::prepare(head, asked)?;
        // A WebSocket is HTTP/1.1 also where everything else is h2c: servers that speak both tell
        // them apart by the first bytes.
        let protocol = match websocket {
            Some(_) => UpstreamProtocol::Http1,
            None => self.pool.settings().protocol,
        };
        headers::address(head, permit.target(), asked, protocol)?;
        Ok((websocket, protocol))
    }

    /// Sends, and sends again where a kept-alive connection had gone stale and nothing can happen
    /// twice by it.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room twice for what it is given"
    )]
    fn send(
        &self,
        mut request: Request<RequestBody>,
        protocol: UpstreamProtocol,
        exchange: &Arc<Exchange>,
    ) -> impl Future<Output = Result<(Response<Incoming>, Lease), Denial>> + Send {
        async move {
            let mut want = Freshness::Reused;
            loop {
                let (mut sender, freshness) = self.pool.take(protocol, want).await?;
                let spare = if freshness == Freshness::Reused {
                    replay(&request)
                } else {
                    None
                };
                let sent = match &mut sender {
                    Sender::Http1(connection) => connection.try_send_request(request).await,
                    Sender::Http2(connection, _) => connection.try_send_request(request).await,
                };
                let mut failed: TrySendError<_> = match sent {
                    Ok(response) => {
                        return Ok((response, Lease::new(sender, Arc::clone(&self.pool))));
                    }
                    Err(failed) => failed,
                };
                if let Some(denial) = exchange.cut() {
                    return Err(denial);
                }
                // Either not a byte of it was sent, or it may be sent twice (RFC 9110 9.2.2). And only
                // on a connection that carried a request before: a new one that fails will fail again.
                match (freshness, failed.take_message().or(spare)) {
                    (Freshness::Reused, Some(again)) => {
                        self.metrics.upstream_retried();
                        request = again;
                        want = Freshness::New;
                    }
                    _ => {
                        tracing::warn!(error = %failed.error(), "the upstream broke off");
                        return Err(Denial::UpstreamFailed);
                    }
                }
            }
        }
    }

    /// Waits for the head: `response_timeout` from the last byte that moved, so that a long upload
    /// is not taken for a slow upstream.
    async fn before_deadline<T>(
        &self,
        mut sending: Pin<&mut impl Future<Output = Result<T, Denial>>>,
        exchange: &Arc<Exchange>,
        ticked: bool,
    ) -> Result<T, Denial> {
        let limit = self.pool.settings().response_timeout;
        let next = |deadline: Instant| {
            let others = [exchange.end(), exchange.unguarded_until()];
            others.into_iter().flatten().fold(deadline, Instant::min)
        };
        let mut timer = CoarseTimer::new(next(exchange.last_moved() + limit), ticked);
        loop {
            tokio::select! {
                biased;
                sent = &mut sending => {
                    // A head that comes too late by a moment is still too late.
                    return exchange.ended().map_or(sent, |refusal| Err(refusal.denial));
                }
                denial = poll_fn(|cx| exchange.poll_ended(Side::Head, cx)) => return Err(denial),
                () = poll_fn(|cx| timer.poll(cx)) => exchange.guard_at(exchange.age()),
            }
            let deadline = exchange.last_moved() + limit;
            let now = Instant::now();
            if exchange.end().is_some_and(|end| end <= now) {
                // Who was slow: the caller with its request, or the upstream with its answer?
                return Err(if exchange.is_request_done() {
                    Denial::UpstreamTooSlow
                } else {
                    Denial::RequestTooSlow
                });
            }
            if deadline <= now {
                return Err(Denial::UpstreamTooSlow);
            }
            timer = CoarseTimer::new(next(deadline), ticked);
        }
    }

    fn upgraded(
        &self,
        mut response: Response<Incoming>,
        caller: OnUpgrade,
        warrant: Warrant,
        (in_flight, room): (InFlight, Room),
    ) -> Response<AnswerBody> {
        let upstream = hyper::upgrade::on(&mut response);
        let again = in_flight.another();
        let idle: Duration = self.timeouts.stream_idle;
        tokio::spawn(upgrade::relay(
            caller,
            upstream,
            idle,
            warrant,
            (again, room),
        ));
        response.map(|_| AnswerBody::whole(bytes::Bytes::new(), in_flight))
    }
}

impl Departure<'_> {
    /// Passes the request on and returns the head of the answer, with a body that streams. How long
    /// the upstream took is noted in `took`, whatever comes of it.
    ///
    /// # Errors
    ///
    /// Any [`Denial`] of the stage `forward`, or the reason why the request's body was cut off.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room twice for what it is given"
    )]
    pub fn answer(
        self,
        took: &mut Option<Duration>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Denial>> + Send {
        async move {
            let forwarder = self.forwarder;
            let answered = {
                let sending = pin!(forwarder.send(self.request, self.protocol, &self.exchange));
                forwarder
                    .before_deadline(sending, &self.exchange, self.ticked)
                    .await
            };
            let age = self.exchange.age();
            *took = Some(age);
            let (mut response, lease) = answered?;
            forwarder.metrics.upstream_answered(age);

            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let kind = self.websocket.ok_or(Denial::UpstreamFailed)?;
                upgrade::accept(&mut response, kind)?;
                let warrant = self.exchange.warrant().clone();
                let holds = (self.in_flight, self.room);
                return Ok(forwarder.upgraded(response, self.caller, warrant, holds));
            }
            upgrade::refused(response.status(), self.websocket)?;
            hop::remove(response.headers_mut());
            self.exchange.answered();
            Ok(response.map(|incoming| {
                AnswerBody::streamed(incoming, self.exchange, lease, self.room, self.in_flight)
            }))
        }
    }
}

/// A copy of a request that may be sent twice: idempotent (RFC 9110 9.2.2) and without a body.
fn replay(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    let body = request.body().again().filter(|_| idempotent)?;
    let mut copy = Request::new(body);
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    *copy.headers_mut() = HeaderMap::clone(request.headers());
    Some(copy)
}
