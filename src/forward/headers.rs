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
use super::identity::{self, header_value};
use super::spoof::OursAlone;
use crate::accept::Connection;
use crate::accept::certificate::Certificate;
use crate::check::Principal;
use crate::deny::REQUEST_ID;
use crate::model::{ClaimPath, Denial, client_cert, write_ip};
use crate::settings::{ArrayForm, CertificateForm, ClaimsHeader, Settings, UpstreamProtocol};

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const X_FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the configuration says about headers. Part of the policy, so that a request sees one edition
/// of both.
#[derive(Debug)]
pub struct HeaderRules {
    identity: Vec<(HeaderName, ClaimPath)>,
    arrays: ArrayForm,
    claims: Option<ClaimsHeader>,
    client_cert: Vec<CertificateForm>,
    ours: Arc<OursAlone>,
}

/// What is said of a request beside its own fields.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The peer's address.
    pub remote: IpAddr,
    /// The id of this request.
    pub request_id: &'a Arc<str>,
}

impl HeaderRules {
    /// Collects the rules from the settings.
    #[must_use]
    pub fn build(settings: &Settings) -> Self {
        Self {
            identity: settings.identity.headers.clone(),
            arrays: settings.identity.arrays,
            claims: settings.identity.claims.clone(),
            client_cert: settings.identity.client_cert.clone(),
            ours: Arc::new(OursAlone::build(&settings.identity, &settings.issuers)),
        }
    }

    pub(super) fn ours(&self) -> Arc<OursAlone> {
        Arc::clone(&self.ours)
    }

    /// Removes what may not be passed on and says who the caller is, if that is known. The tokens are
    /// gone already.
    pub(super) fn apply(
        &self,
        head: &mut http::request::Parts,
        principal: Option<&Principal>,
        origin: Origin<'_>,
        connection: &Connection,
    ) -> Result<Asked, Denial> {
        let asked = hop::remove(&mut head.headers);
        // SECURITY: a caller's own identity headers must not survive beside or instead of ours.
        // Guarded by `identity_headers_of_the_caller_never_reach_the_upstream`.
        self.ours.remove(&mut head.headers);
        for (name, value) in self.identity(principal)? {
            head.headers.insert(name, value);
        }
        for form in &self.client_cert {
            let (name, value) = certificate(*form, connection)?;
            head.headers.insert(name, value);
        }
        mark(head, origin);
        Ok(asked)
    }

    /// What the service is told of the principal; nothing where there is none.
    ///
    /// # Errors
    ///
    /// [`Denial::IdentityUnforwardable`]
    pub fn identity(
        &self,
        principal: Option<&Principal>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Denial> {
        let mut told = Vec::with_capacity(self.identity.len());
        for (name, path) in &self.identity {
            let Some(claim) = principal.and_then(|principal| principal.claims().at(path)) else {
                continue;
            };
            if let Some(value) = header_value(claim, self.arrays)? {
                told.push((name.clone(), value));
            }
        }
        if let (Some(ClaimsHeader { name, only }), Some(principal)) = (&self.claims, principal) {
            let value = identity::claims_value(principal.claims(), only.as_deref())?;
            told.push((name.clone(), value));
        }
        Ok(told)
    }

    /// What the service is told of the principal and of the peer's certificate, for whoever asks
    /// without a connection.
    ///
    /// # Errors
    ///
    /// [`Denial::IdentityUnforwardable`]
    pub fn told(
        &self,
        principal: Option<&Principal>,
        (certificate, der): (&Certificate, &[u8]),
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Denial> {
        let mut told = self.identity(principal)?;
        for form in &self.client_cert {
            told.push((field(*form), written(*form, certificate, der)?));
        }
        Ok(told)
    }
}

/// The field that tells the certificate of the peer, who proved in the handshake that it is his.
fn certificate(
    form: CertificateForm,
    connection: &Connection,
) -> Result<(HeaderName, HeaderValue), Denial> {
    let write = || written(form, connection.certificate(), connection.leaf());
    Ok((field(form), connection.told(form, write)?))
}

const fn field(form: CertificateForm) -> HeaderName {
    match form {
        CertificateForm::ClientCert => CLIENT_CERT,
        CertificateForm::Xfcc => X_FORWARDED_CLIENT_CERT,
    }
}

fn written(
    form: CertificateForm,
    certificate: &Certificate,
    der: &[u8],
) -> Result<HeaderValue, Denial> {
    match form {
        CertificateForm::ClientCert => identity::bounded(&client_cert::byte_sequence(der)),
        CertificateForm::Xfcc => identity::bounded(&identity::hop(certificate, der).write()),
    }
}

/// Adds what a gateway says of itself. The peer proved who it is, so its own `X-Forwarded-*` are
/// believed and only added to.
fn mark(head: &mut http::request::Parts, origin: Origin<'_>) {
    let headers = &mut head.headers;
    append(headers, X_FORWARDED_FOR, |line| {
        write_ip(line, origin.remote)
    });
    if !headers.contains_key(X_FORWARDED_PROTO) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    if !headers.contains_key(X_FORWARDED_HOST)
        && let Some(host) = host(&head.uri, headers)
    {
        headers.insert(X_FORWARDED_HOST, host);
    }
    // RFC 9110 7.6.3: required of a gateway.
    let via = via(head.version);
    if headers.contains_key(VIA) {
        append(headers, VIA, |line| line.extend_from_slice(via.as_bytes()));
    } else {
        headers.insert(VIA, HeaderValue::from_static(via));
    }
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
fn append(headers: &mut HeaderMap, name: HeaderName, write: impl FnOnce(&mut Vec<u8>)) {
    // Room for an address and what few proxies there may be before it.
    let mut line = Vec::with_capacity(64);
    for value in headers.get_all(&name) {
        line.extend_from_slice(value.as_bytes());
        line.extend_from_slice(b", ");
    }
    write(&mut line);
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

/// Puts the head into the form of the protocol that the upstream speaks, with the `target` that was
/// judged.
pub(super) fn address(
    head: &mut http::request::Parts,
    target: &PathAndQuery,
    asked: Asked,
    protocol: UpstreamProtocol,
) -> Result<(), Denial> {
    let host = host(&head.uri, &head.headers);
    let mut uri = http::uri::Parts::default();
    // SECURITY: what was judged, never what came. Guarded by
    // `the_normal_form_is_what_reaches_the_upstream`.
    uri.path_and_query = Some(target.clone());
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
