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

/// Reads on in the background, while the answer goes out. The connection counts as busy for as long.
pub fn linger(request: Request<Incoming>, in_flight: InFlight) {
    // HTTP/2 resets one stream and keeps the answer. And to read what a caller only announced would
    // be to ask for it.
    let nothing_comes = request.body().is_end_stream() || request.headers().contains_key(EXPECT);
    if request.version() == Version::HTTP_2 || nothing_comes {
        return;
    }
    let mut body = request.into_body();
    tokio::spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        // Whoever sends for longer is cut off after all.
        drop(tokio::time::timeout(LINGER, rest).await);
        drop(in_flight);
    });
}
