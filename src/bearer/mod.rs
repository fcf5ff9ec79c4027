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

use std::collections::HashMap;
use std::fmt;

use http::header::COOKIE;
use http::{HeaderMap, HeaderName};

use self::cookie::CookiePlaces;
use self::header::HeaderPlace;
use crate::model::{Denial, folded};
use crate::settings::{IssuerIndex, IssuerSettings, TokenForm, TokenPlace};

/// Where tokens may stand, in all.
///
/// What a request has is looked up here, and not the other way round: a request pays for its own
/// fields, not for every issuer's.
#[derive(Clone, Debug)]
pub struct Places {
    /// By their folded names: under one stand the places whose names are twins.
    headers: HashMap<String, Vec<HeaderPlace>, ahash::RandomState>,
    cookies: CookiePlaces,
    token_bytes: usize,
}

/// The issuers that put their tokens at one place in one form.
#[derive(Clone, Debug, Default)]
struct Candidates {
    /// In their order.
    issuers: Vec<IssuerIndex>,
    /// Whether some of them write their tokens with padding.
    padded: bool,
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
    candidates: &'a Candidates,
}

// === impl Places ===

impl Places {
    /// Collects the places of all issuers; places that several issuers share become one, with all
    /// of them as candidates. `token_bytes` is the longest token looked at.
    #[must_use]
    pub fn build(issuers: &[IssuerSettings], token_bytes: usize) -> Self {
        let mut places = Self {
            headers: HashMap::default(),
            cookies: CookiePlaces::default(),
            token_bytes,
        };
        for (index, issuer) in (0..=u16::MAX).map(IssuerIndex).zip(issuers) {
            let padded = issuer.form != TokenForm::Jwt;
            for place in &issuer.places {
                let add = |candidates: &mut Candidates| candidates.add(index, padded);
                match place {
                    TokenPlace::Header(name) => places.at_header(name, |it| add(it.bare())),
                    TokenPlace::Bearer(name) => places.at_header(name, |it| add(it.bearer())),
                    TokenPlace::Cookie(name) => add(places.cookies.named(name)),
                }
            }
        }
        places
    }

    fn at_header(&mut self, name: &HeaderName, add: impl Fn(&mut HeaderPlace)) {
        let twins = self.headers.entry(folded(name.as_str()).into_owned());
        let twins = twins.or_default();
        if let Some(known) = twins.iter_mut().find(|place| place.name() == name) {
            return add(known);
        }
        let mut place = HeaderPlace::new(name.clone());
        add(&mut place);
        twins.push(place);
    }

    /// The places whose name is this one or a twin of it.
    fn twins(&self, name: &HeaderName) -> &[HeaderPlace] {
        let twins = self.headers.get(&*folded(name.as_str()));
        twins.map_or(&[], Vec::as_slice)
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
        let Finding { bytes, candidates } = one.ok_or(Denial::TokenMissing)?;
        if bytes.iter().all(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(Denial::TokenEmpty);
        }
        if bytes.len() > self.token_bytes {
            return Err(Denial::TokenTooLong);
        }
        let Candidates { issuers, padded } = candidates;
        if !is_compact(bytes, *padded) {
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
            (Some(one), None) => Some(&one.candidates.issuers),
            _ => None,
        }
    }

    /// Everything that stands where a token may.
    fn all<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = Finding<'a>> + 'a {
        let in_headers = headers.keys().flat_map(move |name| {
            let places = self.twins(name).iter();
            places
                .filter(move |place| place.name() == name)
                .flat_map(|place| place.find(headers))
        });
        let cookies = headers.get_all(COOKIE).into_iter();
        in_headers.chain(cookies.flat_map(|field| self.cookies.find(field)))
    }

    /// Takes the token out of the request before it goes on: every configured place, whether
    /// anything was found there or not, except the places of the issuer `keep`.
    ///
    /// A header of its own goes whole, and so do its twins that differ only in `-` and `_`, which a
    /// CGI or WSGI server cannot tell apart from it. A header with a scheme goes only where the
    /// scheme is Bearer: credentials of another scheme, Basic above all, belong to the application,
    /// which may have asked for them itself. Of a cookie header only the named cookie goes.
    pub fn remove(&self, headers: &mut HeaderMap, keep: Option<IssuerIndex>) {
        // Names first, as the map cannot shrink while it is read. Most requests have one, and an empty
        // vector costs nothing.
        let named = |name: &&HeaderName| !self.twins(name).is_empty();
        let mut names = headers.keys().filter(named).cloned();
        let (first, others) = (names.next(), names.collect::<Vec<_>>());
        for name in first.iter().chain(&others) {
            for place in self.twins(name) {
                place.remove(headers, name, keep);
            }
        }
        self.cookies.remove(headers, keep);
    }
}

/// Whether all these bytes may stand in a compact JWS (RFC 7515 7.1), or, if `padded`, in one as an AWS
/// load balancer writes it.
///
/// Without a branch for each byte, and in pieces of one size, so that the compiler takes many at a time:
/// this is read for every request.
fn is_compact(bytes: &[u8], padded: bool) -> bool {
    let may = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            | matches!(byte, b'-' | b'_' | b'.')
            | (padded & (*byte == b'='))
    };
    let (pieces, rest) = bytes.as_chunks::<32>();
    let whole = |piece: &[u8; 32]| piece.iter().fold(true, |all, byte| all & may(byte));
    pieces.iter().all(whole) && rest.iter().all(may)
}

// === impl Candidates ===

impl Candidates {
    /// Issuers are added in their order.
    fn add(&mut self, issuer: IssuerIndex, padded: bool) {
        self.issuers.push(issuer);
        self.padded |= padded;
    }

    fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    fn hold(&self, issuer: Option<IssuerIndex>) -> bool {
        issuer.is_some_and(|issuer| self.issuers.binary_search(&issuer).is_ok())
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
