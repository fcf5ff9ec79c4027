//! Tokens in cookies (RFC 6265 4.2.1), in one `Cookie` field or in the several that HTTP/2 may
//! split it into (RFC 9113 8.2.3).
//!
//! Only the named cookie is touched: the rest belongs to the application, byte for byte.

use std::collections::HashMap;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{Candidates, Finding};
use crate::settings::IssuerIndex;

/// The cookies in which tokens may stand, by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct CookiePlaces(HashMap<Vec<u8>, Candidates, ahash::RandomState>);

impl CookiePlaces {
    pub(super) fn named(&mut self, name: &str) -> &mut Candidates {
        self.0.entry(name.as_bytes().to_vec()).or_default()
    }

    /// Every cookie of such a name in one field.
    pub(super) fn find<'a>(
        &'a self,
        field: &'a HeaderValue,
    ) -> impl Iterator<Item = Finding<'a>> + 'a {
        // Without a cookie place no cookie is looked at.
        let field = Some(field).filter(|_| !self.0.is_empty());
        let pairs = field.into_iter().flat_map(|field| pairs(field.as_bytes()));
        pairs.map(split).filter_map(|(name, bytes)| {
            let candidates = self.0.get(name)?;
            Some(Finding { bytes, candidates })
        })
    }

    /// Takes the cookies of these names out of every field, except that of the issuer `keep`.
    pub(super) fn remove(&self, headers: &mut HeaderMap, keep: Option<IssuerIndex>) {
        if self.0.is_empty() {
            return;
        }
        let unwanted = |pair: &[u8]| {
            let place = self.0.get(split(pair).0);
            place.is_some_and(|candidates| !candidates.hold(keep))
        };
        remove(headers, unwanted);
    }
}

/// Takes such cookies out of every field; a field left without a cookie goes too.
fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&[u8]) -> bool + Copy) {
    let mut fields = Vec::new();
    let mut changed = false;
    for field in headers.get_all(COOKIE) {
        if !pairs(field.as_bytes()).any(unwanted) {
            fields.push(field.clone());
            continue;
        }
        changed = true;
        let kept: Vec<&[u8]> = pairs(field.as_bytes())
            .filter(|pair| !unwanted(pair))
            .collect();
        let mut rest = kept.join(&b';');
        if pairs(field.as_bytes()).next().is_some_and(unwanted) {
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
