//! Tokens in cookies (RFC 6265 4.2.1), in one `Cookie` field or in the several that HTTP/2 may
//! split it into (RFC 9113 8.2.3).
//!
//! Only the named cookie is touched: the rest belongs to the application, byte for byte.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::Finding;
use crate::settings::IssuerIndex;

/// A cookie in which a token may stand.
#[derive(Clone, Debug)]
pub(super) struct CookiePlace {
    name: String,
    issuers: Vec<IssuerIndex>,
}

impl CookiePlace {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            issuers: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn add(&mut self, issuer: IssuerIndex) {
        self.issuers.push(issuer);
    }

    pub(super) fn belongs_to(&self, issuer: Option<IssuerIndex>) -> bool {
        issuer.is_some_and(|issuer| self.issuers.contains(&issuer))
    }

    /// Every cookie of the name in one field.
    pub(super) fn find<'a>(
        &'a self,
        field: &'a HeaderValue,
    ) -> impl Iterator<Item = Finding<'a>> + 'a {
        pairs(field.as_bytes())
            .map(split)
            .filter(|(name, _)| *name == self.name.as_bytes())
            .map(|(_, value)| Finding {
                bytes: value,
                issuers: &self.issuers,
            })
    }
}

/// Takes the cookies of these names out of every field; a field left without a cookie goes too.
pub(super) fn remove(headers: &mut HeaderMap, names: &[&str]) {
    let named = |pair: &[u8]| names.iter().any(|name| split(pair).0 == name.as_bytes());
    let mut fields = Vec::new();
    let mut changed = false;
    for field in headers.get_all(COOKIE) {
        if !pairs(field.as_bytes()).any(named) {
            fields.push(field.clone());
            continue;
        }
        changed = true;
        let kept: Vec<&[u8]> = pairs(field.as_bytes())
            .filter(|pair| !named(pair))
            .collect();
        let mut rest = kept.join(&b';');
        if pairs(field.as_bytes()).next().is_some_and(named) {
            // The blank after the removed cookie's semicolon.
            rest.drain(..rest.len() - rest.trim_ascii_start().len());
        }
        // Bytes of a header value, less some of them, are a header value.
        if let Ok(value) = HeaderValue::from_bytes(&rest)
            && !rest.trim_ascii().is_empty()
        {
            fields.push(value);
        }
    }
    if changed {
        headers.remove(COOKIE);
        for field in fields {
            headers.append(COOKIE, field);
        }
    }
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|byte| *byte == b';')
}

/// Name and value. White space around either is nobody's name and nobody's token, and a pair
/// without `=` is a name with nothing, which is how the strictest and the laxest server agree.
fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    let mut half = || halves.next().unwrap_or_default().trim_ascii();
    (half(), half())
}
