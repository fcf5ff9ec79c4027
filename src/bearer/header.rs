//! Tokens in header fields: bare, or after the scheme `Bearer` (RFC 6750 2.1).
//!
//! [`is_bearer`] decides for finding and for removing alike: if the two could disagree, a value
//! could pass by the first and still reach the upstream as a token.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Finding;
use crate::settings::IssuerIndex;

const SCHEME: &[u8] = b"bearer";

/// A header in which a token may stand.
#[derive(Clone, Debug)]
pub(super) struct HeaderPlace {
    name: HeaderName,
    /// Whose tokens stand here alone.
    bare: Vec<IssuerIndex>,
    /// Whose tokens stand here after `Bearer`.
    bearer: Vec<IssuerIndex>,
}

impl HeaderPlace {
    pub(super) fn new(name: HeaderName) -> Self {
        Self {
            name,
            bare: Vec::new(),
            bearer: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn add_bare(&mut self, issuer: IssuerIndex) {
        self.bare.push(issuer);
    }

    pub(super) fn add_bearer(&mut self, issuer: IssuerIndex) {
        self.bearer.push(issuer);
    }

    /// What stands here. Beside a Bearer field every other field of the name counts as a second
    /// token: `Authorization` is a single field (RFC 9110 11.6.2), and servers differ in which of
    /// two they read.
    pub(super) fn find<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = Finding<'a>> + 'a {
        let fields = || headers.get_all(&self.name).iter();
        let foreign = |field: &&HeaderValue| self.bare.is_empty() && !is_bearer(field.as_bytes());
        let others_only = fields().all(|field| foreign(&field));
        fields()
            .filter(move |_| !others_only)
            .map(|field| self.read(field.as_bytes()))
    }

    fn read<'a>(&'a self, value: &'a [u8]) -> Finding<'a> {
        if self.bearer.is_empty() || !is_bearer(value) {
            return Finding {
                bytes: value,
                issuers: &self.bare,
            };
        }
        let issuers = &self.bearer;
        // A value that `is_bearer` only behind white space keeps it, and is malformed for it.
        let after = value.get(SCHEME.len()..).unwrap_or_default();
        // RFC 7235 2.1: one or more spaces; RFC 9110 11.4 has one, and nobody means more by two.
        let bytes = match after {
            [b' ', ..] if !starts_with_blank(value) => after.trim_ascii_start(),
            [] => after,
            _ => value,
        };
        Finding { bytes, issuers }
    }

    /// Takes the fields out, except those in the form of the issuer `keep`; the twins in any case.
    pub(super) fn remove(&self, headers: &mut HeaderMap, keep: Option<IssuerIndex>) {
        remove_twins(headers, &self.name);
        if !headers.contains_key(&self.name) {
            return;
        }
        let kept = |issuers: &[IssuerIndex]| keep.is_some_and(|keep| issuers.contains(&keep));
        // Without a bare form, values of another scheme are the application's.
        let keep_bare = self.bare.is_empty() || kept(&self.bare);
        // A Bearer value is also a bare one where the header is known by that form alone.
        let keep_bearer = if self.bearer.is_empty() {
            keep_bare
        } else {
            kept(&self.bearer)
        };
        retain(headers, &self.name, |value| {
            if is_bearer(value) {
                keep_bearer
            } else {
                keep_bare
            }
        });
    }
}

/// Whether a server may read the value as `Bearer` credentials: the scheme in any case (RFC 9110
/// 11.1), after any white space, ended by anything that is not part of a scheme's name.
fn is_bearer(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let (scheme, rest) = value.split_at_checked(SCHEME.len()).unwrap_or((value, &[]));
    scheme.eq_ignore_ascii_case(SCHEME) && !rest.first().is_some_and(|byte| is_tchar(*byte))
}

/// RFC 9110 5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn starts_with_blank(value: &[u8]) -> bool {
    matches!(value, [b' ' | b'\t', ..])
}

/// Removes headers that become `name` where `-` and `_` are the same (RFC 3875 4.1.18), or where
/// every character is that is neither letter nor digit, as in the variables of PHP and of CGI.
fn remove_twins(headers: &mut HeaderMap, name: &HeaderName) {
    let is_twin = |other: &HeaderName| {
        other != name
            && other.as_str().len() == name.as_str().len()
            && other
                .as_str()
                .bytes()
                .zip(name.as_str().bytes())
                .all(|(a, b)| a == b || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric()))
    };
    // One at a time: there are none in any honest request.
    while let Some(twin) = headers.keys().find(|other| is_twin(other)).cloned() {
        headers.remove(twin);
    }
}

/// Keeps those values of `name` that `wanted` says, in their order.
pub(super) fn retain(headers: &mut HeaderMap, name: &HeaderName, wanted: impl Fn(&[u8]) -> bool) {
    if headers
        .get_all(name)
        .iter()
        .all(|value| wanted(value.as_bytes()))
    {
        return;
    }
    let kept: Vec<HeaderValue> = headers
        .get_all(name)
        .iter()
        .filter(|value| wanted(value.as_bytes()))
        .cloned()
        .collect();
    headers.remove(name);
    for value in kept {
        headers.append(name.clone(), value);
    }
}
