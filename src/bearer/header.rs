//! Tokens in header fields: bare, or after the scheme `Bearer` (RFC 6750 2.1).
//!
//! [`is_bearer`] decides for finding and for removing alike: if the two could disagree, a value
//! could pass by the first and still reach the upstream as a token.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Candidates, Finding};
use crate::settings::IssuerIndex;

const SCHEME: &[u8] = b"bearer";

/// A header in which a token may stand.
#[derive(Clone, Debug)]
pub(super) struct HeaderPlace {
    name: HeaderName,
    /// Whose tokens stand here alone.
    bare: Candidates,
    /// Whose tokens stand here after `Bearer`.
    bearer: Candidates,
}

impl HeaderPlace {
    pub(super) fn new(name: HeaderName) -> Self {
        Self {
            name,
            bare: Candidates::default(),
            bearer: Candidates::default(),
        }
    }

    pub(super) fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn bare(&mut self) -> &mut Candidates {
        &mut self.bare
    }

    pub(super) fn bearer(&mut self) -> &mut Candidates {
        &mut self.bearer
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
                candidates: &self.bare,
            };
        }
        // A value that `is_bearer` only behind white space keeps it, and is malformed for it.
        let after = value.get(SCHEME.len()..).unwrap_or_default();
        // RFC 7235 2.1: one or more spaces; RFC 9110 11.4 has one, and nobody means more by two.
        let bytes = match after {
            [b' ', ..] if !starts_with_blank(value) => after.trim_ascii_start(),
            [] => after,
            _ => value,
        };
        Finding {
            bytes,
            candidates: &self.bearer,
        }
    }

    /// Takes the fields of `name` out, which is this place's or a twin of it: except those in the form
    /// of the issuer `keep`, but the twins in any case.
    pub(super) fn remove(
        &self,
        headers: &mut HeaderMap,
        name: &HeaderName,
        keep: Option<IssuerIndex>,
    ) {
        // SECURITY: guarded by `twins_of_a_token_header_go_also_when_the_token_is_kept`.
        if *name != self.name {
            headers.remove(name);
            return;
        }
        // Without a bare form, values of another scheme are the application's.
        let keep_bare = self.bare.is_empty() || self.bare.hold(keep);
        // A Bearer value is also a bare one where the header is known by that form alone.
        let keep_bearer = if self.bearer.is_empty() {
            keep_bare
        } else {
            self.bearer.hold(keep)
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

/// Keeps those values of `name` that `wanted` says, in their order.
fn retain(headers: &mut HeaderMap, name: &HeaderName, wanted: impl Fn(&[u8]) -> bool) {
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
