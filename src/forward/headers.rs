//! The head of a judged request becomes the head that the upstream sees.
//!
//! In this order, and no other: hop-by-hop fields go, tokens go, everything that only sidegate may
//! set goes; then the identity is set from verified claims, and the marks of the proxy are added.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, VIA};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Uri, Version};

use super::hop::{self, Asked};
use super::identity::header_value;
use super::spoof::OursAlone;
use crate::check::Principal;
use crate::deny::REQUEST_ID;
use crate::model::{ClaimPath, Denial};
use crate::settings::{ArrayForm, Settings, UpstreamProtocol};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the configuration says about headers. Part of the policy, so that a request sees one edition
/// of both.
#[derive(Debug)]
pub struct HeaderRules {
    identity: Vec<(HeaderName, ClaimPath)>,
    arrays: ArrayForm,
    ours: Arc<OursAlone>,
}

/// What is said of a request beside its own fields.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The peer's address.
    pub remote: IpAddr,
    /// The id of this request.
    pub request_id: &'a str,
}

impl HeaderRules {
    /// Collects the rules from the settings.
    #[must_use]
    pub fn build(settings: &Settings) -> Self {
        Self {
            identity: settings.identity.headers.clone(),
            arrays: settings.identity.arrays,
            ours: Arc::new(OursAlone::build(&settings.identity, &settings.issuers)),
        }
    }

    pub(super) fn ours(&self) -> Arc<OursAlone> {
        Arc::clone(&self.ours)
    }

    /// Removes what may not be passed on and says who the caller is. The tokens are gone already.
    pub(super) fn apply(
        &self,
        head: &mut http::request::Parts,
        principal: &Principal,
        origin: Origin<'_>,
    ) -> Result<Asked, Denial> {
        let asked = hop::remove(&mut head.headers);
        // SECURITY: a caller's own identity headers must not survive beside or instead of ours.
        // Guarded by `identity_headers_of_the_caller_never_reach_the_upstream`.
        self.ours.remove(&mut head.headers);
        for (name, path) in &self.identity {
            let Some(claim) = principal.claims().at(path) else {
                continue;
            };
            if let Some(value) = header_value(claim, self.arrays)? {
                head.headers.insert(name.clone(), value);
            }
        }
        mark(head, origin);
        Ok(asked)
    }
}

/// Adds what a gateway says of itself. The peer proved who it is, so its own `X-Forwarded-*` are
/// believed and only added to.
fn mark(head: &mut http::request::Parts, origin: Origin<'_>) {
    let headers = &mut head.headers;
    append(headers, X_FORWARDED_FOR, &origin.remote.to_string());
    if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    if !headers.contains_key(X_FORWARDED_HOST)
        && let Some(host) = host(&head.uri, headers)
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
    // RFC 9110 7.6.3: required of a gateway.
    append(headers, VIA, via(head.version));
    if let Ok(id) = HeaderValue::from_str(origin.request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

const fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2 sidegate",
        Version::HTTP_10 => "1.0 sidegate",
        _ => "1.1 sidegate",
    }
}

/// Adds an element to a list field, on one line: old servers read only the first or the last.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut line = Vec::new();
    for value in headers.get_all(&name) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    line.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&line) {
        headers.insert(name, value);
    }
}

/// The authority that the caller asked for. `message` made sure that URI and `Host` do not disagree.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    let authority = uri
        .authority()
        .map(|authority| HeaderValue::from_str(authority.as_str()));
    authority
        .and_then(Result::ok)
        .or_else(|| headers.get(HOST).cloned())
}

/// Puts the head into the form of the protocol that the upstream speaks.
pub(super) fn address(
    head: &mut http::request::Parts,
    asked: Asked,
    protocol: UpstreamProtocol,
) -> Result<(), Denial> {
    let host = host(&head.uri, &head.headers);
    let path = head
        .uri
        .path_and_query()
        .cloned()
        .unwrap_or_else(|| PathAndQuery::from_static("/"));
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    // Of the two, a WebSocket's `Connection` stays: a tunnel has no trailers.
    let trailers = asked.trailers && !head.headers.contains_key(CONNECTION);
    if trailers {
        head.headers
            .insert(TE, HeaderValue::from_static("trailers"));
    }
    match protocol {
        UpstreamProtocol::Http1 => {
            head.version = Version::HTTP_11;
            if let Some(host) = host {
                head.headers.insert(HOST, host);
            }
            if trailers {
                // RFC 9110 10.1.4: TE speaks to the next hop only and must be named so.
                head.headers
                    .insert(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        UpstreamProtocol::H2c => {
            head.version = Version::HTTP_2;
            head.headers.remove(HOST);
            uri.scheme = Some(Scheme::HTTP);
            let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
            uri.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
        }
    }
    head.uri = Uri::from_parts(uri).map_err(|_| Denial::RequestMalformed)?;
    Ok(())
}
