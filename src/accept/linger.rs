//! What a refused request still sends is read for a moment and forgotten.
//!
//! A connection that is closed with unread bytes is reset, and the reset overtakes the answer: the
//! caller would see a broken connection instead of its 401.

use std::time::Duration;

use http::header::EXPECT;
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::InFlight;

/// Enough for the answer to arrive and the caller to stop.
const LINGER: Duration = Duration::from_secs(5);

/// Reads on for a request that is refused before its body was looked at.
pub fn linger(request: Request<Incoming>, in_flight: InFlight) {
    if needed(&request) && !request.headers().contains_key(EXPECT) {
        read_on(request.into_body(), in_flight);
    } else {
        // In this order: see `read_on`.
        drop(request);
        drop(in_flight);
    }
}

/// Whether a request's unread body would cost it its answer. HTTP/2 resets one stream and keeps the
/// answer.
#[must_use]
pub fn needed(request: &Request<Incoming>) -> bool {
    request.version() != Version::HTTP_2 && !request.body().is_end_stream()
}

/// Reads a body on in the background, while the answer goes out. The connection counts as busy for
/// as long. Not for a body that was only announced (`Expect`): to read it would be to ask for it.
pub fn read_on(body: Incoming, in_flight: InFlight) {
    let mut body = body;
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // Whoever sends for longer is cut off after all.
        drop(tokio::time::timeout(LINGER, rest).await);
        // The body first: while a connection is not busy, no body of it may be left.
        drop(body);
        drop(in_flight);
    });
}
