//! Can this request be read in exactly one way? Asked before anything in it is believed.
//!
//! hyper parses; this refuses what hyper lets pass and an application behind might read differently
//! (RFC 9112, RFC 9113).

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{Method, Request, Version};

use crate::model::Denial;
use crate::settings::LimitSettings;

/// Checks a head against the limits and for a second meaning.
///
/// # Errors
///
/// [`Denial::RequestMalformed`], [`Denial::HeaderTooLarge`] or [`Denial::BodyTooLarge`].
pub fn check<B>(head: &Request<B>, limits: &LimitSettings) -> Result<(), Denial> {
    size(head, limits)?;
    target(head)?;
    authority(head)?;
    framing(head)?;
    let declared = head.headers().get(CONTENT_LENGTH).map(length).transpose()?;
    match (declared, limits.body_bytes) {
        (Some(declared), Some(limit)) if declared > limit => Err(Denial::BodyTooLarge),
        _ => Ok(()),
    }
}

fn size<B>(head: &Request<B>, limits: &LimitSettings) -> Result<(), Denial> {
    let fields: usize = head
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let line = head
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len());
    if head.headers().len() > limits.header_count
        || fields.saturating_add(line) > limits.header_bytes
    {
        return Err(Denial::HeaderTooLarge);
    }
    Ok(())
}

/// RFC 9112 3.2: origin-form or absolute-form, `*` for OPTIONS alone. CONNECT is judged where
/// upgrades are: only a WebSocket over HTTP/2 may use it.
fn target<B>(head: &Request<B>) -> Result<(), Denial> {
    let path = head.uri().path();
    let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    let asterisk = path == "*" && *head.method() == Method::OPTIONS;
    let extended = *head.method() != Method::CONNECT || head.version() == Version::HTTP_2;
    if (plain || asterisk) && extended {
        Ok(())
    } else {
        Err(Denial::RequestMalformed)
    }
}

/// One authority, said once or twice the same (RFC 9112 3.2, RFC 9113 8.3.1).
fn authority<B>(head: &Request<B>) -> Result<(), Denial> {
    let mut hosts = head.headers().get_all(HOST).iter();
    let host = hosts
        .next()
        .map(|value| host(value, head.version()))
        .transpose()?;
    if hosts.next().is_some() {
        return Err(Denial::RequestMalformed);
    }
    match (head.uri().authority(), host) {
        (Some(uri), _) if uri.as_str().contains('@') => Err(Denial::RequestMalformed),
        (Some(uri), Some(host)) if uri != &host => Err(Denial::RequestMalformed),
        (Some(_), _) | (None, Some(_)) => Ok(()),
        (None, None) if head.version() == Version::HTTP_10 => Ok(()),
        (None, None) => Err(Denial::RequestMalformed),
    }
}

fn host(value: &HeaderValue, version: Version) -> Result<Authority, Denial> {
    // RFC 9112 3.2: an empty Host is how a request without an authority says so.
    if value.is_empty() && version != Version::HTTP_2 {
        return Ok(Authority::from_static("localhost"));
    }
    let authority = Authority::try_from(value.as_bytes()).map_err(|_| Denial::RequestMalformed)?;
    if authority.as_str().contains('@') {
        Err(Denial::RequestMalformed)
    } else {
        Ok(authority)
    }
}

/// hyper has settled where the body ends. What is left is a coding that would reach the upstream
/// without its name.
fn framing<B>(head: &Request<B>) -> Result<(), Denial> {
    let mut codings = head.headers().get_all(TRANSFER_ENCODING).iter();
    let only_chunked = codings
        .next()
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !only_chunked || codings.next().is_some() {
        return Err(Denial::RequestMalformed);
    }
    if head.headers().get_all(CONTENT_LENGTH).iter().count() > 1 {
        return Err(Denial::RequestMalformed);
    }
    Ok(())
}

fn length(value: &HeaderValue) -> Result<u64, Denial> {
    let digits = value
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits
        .and_then(|text| text.parse().ok())
        .ok_or(Denial::RequestMalformed)
}
