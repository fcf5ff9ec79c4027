//! A URL becomes a document, or the reason why not, in bounded time and memory.
//!
//! One `GET` on a connection of its own. It follows no redirect, takes no compressed body, and trusts
//! nobody whom the settings do not name: the content type is not judged, because issuers send all
//! kinds, but what comes must parse as keys elsewhere. No body ever gets into a text.

mod freshness;
mod tls;
mod transport;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HOST, HeaderValue,
    IF_NONE_MATCH, LOCATION, USER_AGENT,
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use tokio::time::timeout;

pub use self::freshness::{Freshness, retry_after};
use crate::model::SecureUrl;
use crate::pem::PemError;
use crate::settings::{Access, Pace};

/// The longest body, in bytes.
pub const MAX_BODY: usize = 1 << 20;
/// The longest `ETag` that is sent back.
const MAX_ETAG: usize = 1024;

/// What a server knows an edition of a document by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag(HeaderValue);

/// What a fetch brought.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// A document.
    Document {
        /// All of it.
        body: Bytes,
        /// To ask with the next time.
        tag: Option<Tag>,
        /// How long it may be used unasked.
        freshness: Freshness,
    },
    /// The edition that was asked with is still the one (RFC 9110 15.4.5).
    Unchanged {
        /// How long it may be used unasked.
        freshness: Freshness,
    },
}

/// Why a fetch brought nothing, and from where.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {fault}")]
pub struct FetchError {
    /// The URL, without its query.
    pub url: String,
    /// Why.
    pub fault: FetchFault,
}

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// A file of `ca`, `certificate` or `private_key`.
    #[error("keys.{key}: {cause}")]
    File {
        /// Which.
        key: &'static str,
        /// What was wrong.
        cause: PemError,
    },
    /// Certificate or key cannot be used, or do not fit each other.
    #[error("keys.{key}: {cause}")]
    Material {
        /// Which.
        key: &'static str,
        /// What rustls said.
        cause: String,
    },
    /// The system has no CAs.
    #[error(
        "this system has no CA certificates; write keys.ca = \"...\", or set SSL_CERT_FILE to a bundle"
    )]
    NoRoots,
    /// The name has no address.
    #[error("{host} cannot be resolved: {cause}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        cause: io::Error,
    },
    /// `http://localhost` that is not.
    #[error("plain http, and {address} is not this machine")]
    NotHere {
        /// What the name resolved to.
        address: SocketAddr,
    },
    /// No connection.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// The last address tried.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// TLS, mostly the server's certificate.
    #[error("TLS: {cause}{}", tls::fix(.cause))]
    Tls {
        /// What rustls said.
        cause: io::Error,
    },
    /// Connecting, TLS included, took too long.
    #[error("no connection within {} s", .0.as_secs_f32())]
    SlowConnect(Duration),
    /// The whole took too long.
    #[error("no whole answer within {} s", .0.as_secs_f32())]
    Slow(Duration),
    /// The server does not speak HTTP/1.1, or broke off.
    #[error("the answer broke off, or is not HTTP/1.1: {0}")]
    Protocol(hyper::Error),
    /// 3xx.
    #[error("answered {status} to {target}; redirects are not followed: write that URL")]
    Redirect {
        /// The status.
        status: u16,
        /// Scheme and host of the `Location`.
        target: String,
    },
    /// Another status than 200, or 304 where that was possible.
    #[error("answered {status}")]
    Status {
        /// The status.
        status: StatusCode,
        /// `Retry-After` of a 429 or 503.
        retry_after: Option<Duration>,
    },
    /// Compressed, though that was not asked for.
    #[error("answered with a Content-Encoding that was not asked for")]
    Encoded,
    /// Too long.
    #[error("answered with more than 1 MiB, which no set of keys is")]
    TooLarge,
    /// Nothing that can be sent. Not reachable with a parsed URL.
    #[error("the request cannot be built: {0}")]
    Request(http::Error),
}

impl FetchFault {
    /// How long the server asks to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        if let Self::Status { retry_after, .. } = self {
            *retry_after
        } else {
            None
        }
    }

    /// Whether the server refuses to say: 403, with which some also say that there is nothing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Status { status, .. } if *status == StatusCode::FORBIDDEN)
    }

    /// Whether the server said that there is no such document: 403, 404 or 410.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        let absent = [
            StatusCode::FORBIDDEN,
            StatusCode::NOT_FOUND,
            StatusCode::GONE,
        ];
        matches!(self, Self::Status { status, .. } if absent.contains(status))
    }
}

/// Fetches the document at `url`; with a `tag`, only if it is another edition than that.
///
/// # Errors
///
/// [`FetchError`]. It takes no longer than `pace.whole`.
pub async fn fetch(
    url: &SecureUrl,
    access: &Access,
    pace: &Pace,
    tag: Option<&Tag>,
) -> Result<Fetched, FetchError> {
    let exchanged = timeout(pace.whole, exchange(url, access, pace, tag)).await;
    exchanged
        .unwrap_or(Err(FetchFault::Slow(pace.whole)))
        .map_err(|fault| FetchError {
            url: url.to_string(),
            fault,
        })
}

async fn exchange(
    url: &SecureUrl,
    access: &Access,
    pace: &Pace,
    tag: Option<&Tag>,
) -> Result<Fetched, FetchFault> {
    let mut request = Request::get(url.path_and_query())
        .header(HOST, url.authority())
        .header(USER_AGENT, concat!("sidegate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json, */*;q=0.5")
        .header(ACCEPT_ENCODING, "identity")
        .header(CONNECTION, "close");
    if let Some(Tag(tag)) = tag {
        request = request.header(IF_NONE_MATCH, tag);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(FetchFault::Request)?;
    let connecting = timeout(pace.connect, transport::connect(url, access)).await;
    let mut line = connecting.map_err(|_| FetchFault::SlowConnect(pace.connect))??;
    let answer = line
        .sender
        .send_request(request)
        .await
        .map_err(FetchFault::Protocol)?;
    read(answer, tag.is_some()).await
}

async fn read(answer: Response<Incoming>, conditional: bool) -> Result<Fetched, FetchFault> {
    let (head, mut body) = answer.into_parts();
    let freshness = Freshness::of(&head.headers);
    match head.status {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED if conditional => return Ok(Fetched::Unchanged { freshness }),
        status if status.is_redirection() && status != StatusCode::NOT_MODIFIED => {
            return Err(FetchFault::Redirect {
                status: status.as_u16(),
                target: target(&head.headers),
            });
        }
        status => {
            return Err(FetchFault::Status {
                status,
                retry_after: retry_after(status, &head.headers),
            });
        }
    }
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !head.headers.get_all(CONTENT_ENCODING).iter().all(plain) {
        return Err(FetchFault::Encoded);
    }
    let announced = head.headers.get(CONTENT_LENGTH).and_then(number);
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(FetchFault::TooLarge);
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(FetchFault::Protocol)?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        // Before it is copied: what is too long costs one frame more than what is not.
        if whole.len() + bytes.len() > MAX_BODY {
            return Err(FetchFault::TooLarge);
        }
        whole.extend_from_slice(&bytes);
    }
    let tag = head.headers.get(ETAG).filter(|tag| tag.len() <= MAX_ETAG);
    Ok(Fetched::Document {
        body: whole.freeze(),
        tag: tag.cloned().map(Tag),
        freshness,
    })
}

fn number(value: &HeaderValue) -> Option<usize> {
    value.to_str().ok()?.parse().ok()
}

/// Scheme and host of a `Location`, and nothing more: the rest may be long, or a key.
fn target(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return "nowhere".to_owned();
    };
    match SecureUrl::parse(location) {
        Ok(url) => {
            let scheme = if url.is_tls() { "https" } else { "http" };
            format!("{scheme}://{}/...", url.authority())
        }
        Err(_) => "another place".to_owned(),
    }
}
