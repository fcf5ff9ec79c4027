//! 2. The request's raw token is found, or a reason why there is not exactly one.
//!
//! Every place of every issuer is looked at, and one token may exist in all of them together. Two
//! tokens are refused even when both are good: which one the gate judges and which one a server
//! behind it believes would be anybody's guess. Nothing here looks into a token, and nothing but
//! `check` can read the text of one.

mod cookie;
mod header;
#[cfg(test)]
mod tests;

use std::fmt;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName};

use self::cookie::CookiePlace;
use self::header::HeaderPlace;
use crate::model::Denial;
use crate::settings::{IssuerIndex, IssuerSettings, TokenForm, TokenPlace};

/// Where tokens may stand, in all.
#[derive(Clone, Debug)]
pub struct Places {
    headers: Vec<HeaderPlace>,
    cookies: Vec<CookiePlace>,
    /// The issuers whose tokens are written with padding.
    padded: Vec<IssuerIndex>,
    token_bytes: usize,
}

/// The one token of a request, of which nothing is known yet but where it stood.
#[derive(Clone, Copy)]
pub struct RawToken<'a> {
    text: &'a str,
    issuers: &'a [IssuerIndex],
}

/// What a place in a request holds: the bytes where a token must be, and who might have made it.
#[derive(Clone, Copy)]
struct Finding<'a> {
    bytes: &'a [u8],
    issuers: &'a [IssuerIndex],
}

// === impl Places ===

impl Places {
    /// Collects the places of all issuers; places that several issuers share become one, with all
    /// of them as candidates. `token_bytes` is the longest token looked at.
    #[must_use]
    pub fn build(issuers: &[IssuerSettings], token_bytes: usize) -> Self {
        let mut places = Self {
            headers: Vec::new(),
            cookies: Vec::new(),
            padded: Vec::new(),
            token_bytes,
        };
        for (index, issuer) in (0..=u16::MAX).map(IssuerIndex).zip(issuers) {
            if issuer.form != TokenForm::Jwt {
                places.padded.push(index);
            }
            for place in &issuer.places {
                match place {
                    TokenPlace::Header(name) => {
                        places.at_header(name, |place| place.add_bare(index))
                    }
                    TokenPlace::Bearer(name) => {
                        places.at_header(name, |place| place.add_bearer(index))
                    }
                    TokenPlace::Cookie(name) => places.at_cookie(name, index),
                }
            }
        }
        places
    }

    fn at_header(&mut self, name: &HeaderName, add: impl Fn(&mut HeaderPlace)) {
        if let Some(known) = self.headers.iter_mut().find(|place| place.name() == name) {
            return add(known);
        }
        let mut place = HeaderPlace::new(name.clone());
        add(&mut place);
        self.headers.push(place);
    }

    fn at_cookie(&mut self, name: &str, issuer: IssuerIndex) {
        if let Some(known) = self.cookies.iter_mut().find(|place| place.name() == name) {
            return known.add(issuer);
        }
        let mut place = CookiePlace::new(name);
        place.add(issuer);
        self.cookies.push(place);
    }

    /// Finds the one token.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenMissing`], [`Denial::TokenRepeated`] (two in all, empty ones counted, or a
    /// comma that joins two), [`Denial::TokenEmpty`], [`Denial::TokenTooLong`], and
    /// [`Denial::TokenMalformed`] for a byte that no compact JWS has.
    pub fn find<'a>(&'a self, headers: &'a HeaderMap) -> Result<RawToken<'a>, Denial> {
        let mut one = None;
        for finding in self.all(headers) {
            // SECURITY: guarded by `two_tokens_are_refused_wherever_they_stand`.
            if one.replace(finding).is_some() {
                return Err(Denial::TokenRepeated);
            }
        }
        let Finding { bytes, issuers } = one.ok_or(Denial::TokenMissing)?;
        if bytes.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(Denial::TokenEmpty);
        }
        if bytes.len() > self.token_bytes {
            return Err(Denial::TokenTooLong);
        }
        let is_here = |issuer: &IssuerIndex| issuers.binary_search(issuer).is_ok();
        let padded = self.padded.iter().any(is_here);
        // Without a branch for each byte, so that the compiler takes many at a time: this is read for
        // every request.
        let compact = |byte: u8| {
            byte.is_ascii_alphanumeric()
                | matches!(byte, b'-' | b'_' | b'.')
                | (padded & (byte == b'='))
        };
        if !bytes.iter().fold(true, |all, byte| all & compact(*byte)) {
            return Err(if bytes.contains(&b',') {
                Denial::TokenRepeated
            } else {
                Denial::TokenMalformed
            });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Denial::TokenMalformed)?;
        Ok(RawToken { text, issuers })
    }

    /// Whose token it would be that stands here, if exactly one thing stands where tokens may.
    #[must_use]
    pub fn ascribe<'a>(&'a self, headers: &'a HeaderMap) -> Option<&'a [IssuerIndex]> {
        let mut all = self.all(headers);
        match (all.next(), all.next()) {
            (Some(one), None) => Some(one.issuers),
            _ => None,
        }
    }

    /// Everything that stands where a token may.
    fn all<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = Finding<'a>> + 'a {
        let in_headers = self.headers.iter().flat_map(|place| place.find(headers));
        let in_cookies = headers
            .get_all(COOKIE)
            .into_iter()
            // Without a cookie place no cookie is looked at.
            .filter(|_| !self.cookies.is_empty())
            .flat_map(|field| self.cookies.iter().flat_map(|place| place.find(field)));
        in_headers.chain(in_cookies)
    }

    /// Takes the token out of the request before it goes on: every configured place, whether
    /// anything was found there or not, except the places of the issuer `keep`.
    ///
    /// A header of its own goes whole, and so do its twins that differ only in `-` and `_`, which a
    /// CGI or WSGI server cannot tell apart from it. A header with a scheme goes only where the
    /// scheme is Bearer: credentials of another scheme, Basic above all, belong to the application,
    /// which may have asked for them itself. Of a cookie header only the named cookie goes.
    pub fn remove(&self, headers: &mut HeaderMap, keep: Option<IssuerIndex>) {
        for place in &self.headers {
            place.remove(headers, keep);
        }
        let unwanted = |place: &&CookiePlace| !place.belongs_to(keep);
        if self.cookies.iter().any(|place| unwanted(&place)) && headers.contains_key(COOKIE) {
            let names: Vec<&str> = self
                .cookies
                .iter()
                .filter(unwanted)
                .map(CookiePlace::name)
                .collect();
            cookie::remove(headers, &names);
        }
    }
}

// === impl RawToken ===

impl<'a> RawToken<'a> {
    /// The token's text; inside the crate only, so that it cannot end up in a log by way of `{}`.
    #[must_use]
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The issuers that put their tokens where this one stood, in their order; at least one.
    #[must_use]
    pub fn issuers(&self) -> &'a [IssuerIndex] {
        self.issuers
    }

    /// Any text as a token, for unit tests of later stages.
    #[cfg(test)]
    pub(crate) fn for_test(text: &'a str, issuers: &'a [IssuerIndex]) -> Self {
        Self { text, issuers }
    }
}

impl fmt::Debug for RawToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawToken")
            .field("bytes", &self.text.len())
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}
