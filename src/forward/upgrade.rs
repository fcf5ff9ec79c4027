//! A WebSocket passes through: over HTTP/1.1 by `Upgrade` (RFC 6455), over HTTP/2 by extended
//! `CONNECT` (RFC 8441). The upstream always sees HTTP/1.1.
//!
//! Bytes flow only after the upstream said 101 to exactly that upgrade; until then everything is an
//! ordinary request and an ordinary response.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use http::{Method, Response, StatusCode};
use hyper::ext::Protocol;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::hop::{self, Asked};
use super::warrant::Warrant;
use crate::model::Denial;

const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
const SEC_WEBSOCKET_ACCEPT: HeaderName = HeaderName::from_static("sec-websocket-accept");

/// How the caller asked for a WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// `GET` with `Upgrade: websocket`.
    Upgrade,
    /// `CONNECT` with `:protocol = websocket`.
    ExtendedConnect {
        /// Whether the caller sent `Sec-WebSocket-Key` nevertheless, and waits for the answer to it.
        keyed: bool,
    },
}

/// Finds out whether a request asks for a WebSocket, and gives its head the form for the upstream.
///
/// # Errors
///
/// [`Denial::RequestMalformed`] for a `CONNECT` to anything else: sidegate is no tunnel.
pub(super) fn prepare(
    head: &mut http::request::Parts,
    asked: Asked,
) -> Result<Option<Kind>, Denial> {
    if head.method == Method::CONNECT {
        let protocol = head.extensions.get::<Protocol>();
        if !protocol.is_some_and(|name| hop::is_websocket(name.as_str().as_bytes())) {
            return Err(Denial::RequestMalformed);
        }
        head.method = Method::GET;
        // RFC 8441 5 knows no key. Envoy sends its client's all the same, and hands the answer back.
        let keyed = head.headers.contains_key(SEC_WEBSOCKET_KEY);
        if !keyed {
            head.headers.insert(SEC_WEBSOCKET_KEY, new_key()?);
        }
        name_upgrade(&mut head.headers);
        return Ok(Some(Kind::ExtendedConnect { keyed }));
    }
    if !asked.websocket || head.method != Method::GET {
        return Ok(None);
    }
    name_upgrade(&mut head.headers);
    Ok(Some(Kind::Upgrade))
}

fn new_key() -> Result<HeaderValue, Denial> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).map_err(|_| Denial::UpstreamFailed)?;
    HeaderValue::from_str(&STANDARD.encode(nonce)).map_err(|_| Denial::UpstreamFailed)
}

fn name_upgrade(headers: &mut http::HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Gives the upstream's 101 the form that the caller waits for.
///
/// # Errors
///
/// [`Denial::UpstreamFailed`] when the upstream switched to something nobody asked for.
pub(super) fn accept<B>(response: &mut Response<B>, kind: Kind) -> Result<(), Denial> {
    let switched = response.headers().get(UPGRADE).map(HeaderValue::as_bytes);
    if !switched.is_some_and(hop::is_websocket) {
        return Err(Denial::UpstreamFailed);
    }
    hop::remove(response.headers_mut());
    match kind {
        Kind::Upgrade => name_upgrade(response.headers_mut()),
        Kind::ExtendedConnect { keyed } => {
            *response.status_mut() = StatusCode::OK;
            if !keyed {
                // The answer to a question that the caller did not ask.
                response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
            }
        }
    }
    Ok(())
}

/// Looks at an answer that is no 101.
///
/// # Errors
///
/// [`Denial::UpstreamFailed`] when it would open a tunnel after all: to an extended `CONNECT` any 2xx
/// says "go on" (RFC 8441 5), but an upstream that says 200 has only ignored the upgrade.
pub(super) fn refused(status: StatusCode, kind: Option<Kind>) -> Result<(), Denial> {
    match kind {
        Some(Kind::ExtendedConnect { .. }) if status.is_success() => Err(Denial::UpstreamFailed),
        Some(Kind::ExtendedConnect { .. } | Kind::Upgrade) | None => Ok(()),
    }
}

/// Carries bytes between the two until one ends, nothing moves for `idle`, its right ends, or sidegate
/// stops.
/// `holds` is kept for as long: the limits that this stream counts against.
pub(super) async fn relay<H>(
    caller: OnUpgrade,
    upstream: OnUpgrade,
    idle: Duration,
    warrant: Warrant,
    holds: H,
) {
    let mut drain = warrant.connection.drain();
    let began = Instant::now();
    let piped = async {
        let (caller, upstream) = tokio::try_join!(caller, upstream)?;
        pipe(TokioIo::new(caller), TokioIo::new(upstream), idle).await;
        Ok::<_, hyper::Error>(())
    };
    tokio::select! {
        result = piped => if let Err(error) = result {
            tracing::debug!(%error, "upgrade failed");
        },
        () = drain.stop() => {}
        // SECURITY: guarded by `a_websocket_ends_when_its_token_expires`.
        refusal = warrant.ended() => warrant.tell(&refusal, began.elapsed()),
    }
    drop((warrant, holds));
}

type Io = TokioIo<Upgraded>;

async fn pipe(caller: Io, upstream: Io, idle: Duration) {
    let (moved, last) = tokio::sync::watch::channel(Instant::now());
    let (caller_in, caller_out) = tokio::io::split(caller);
    let (upstream_in, upstream_out) = tokio::io::split(upstream);
    let both = async {
        tokio::join!(
            copy(caller_in, upstream_out, &moved),
            copy(upstream_in, caller_out, &moved)
        )
    };
    let silent = async {
        loop {
            let deadline = *last.borrow() + idle;
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    };
    tokio::select! {
        _ = both => {}
        () = silent => tracing::debug!("websocket closed: timeouts.stream_idle"),
    }
}

/// One direction. Its end is passed on, and the other direction goes on until it ends itself.
async fn copy(
    mut from: ReadHalf<Io>,
    mut to: WriteHalf<Io>,
    moved: &tokio::sync::watch::Sender<Instant>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        moved.send_replace(Instant::now());
        let Some(filled) = buffer.get(..length) else {
            break;
        };
        if to.write_all(filled).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // The far side may be gone already.
    drop(to.shutdown().await);
}
