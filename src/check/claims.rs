//! A signed payload becomes typed claims. A wrong type is a refusal, never a default.
//!
//! The names that RFC 7519 registers are checked here once; all other claims are kept as they are
//! and found again by [`ClaimPath`].

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::signature::SignedPayload;
use crate::model::{ClaimPath, Denial, Timestamp, json};

/// 9999-12-31T23:59:59Z. A later moment is no date, and would not survive being printed as one.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// The longest subject that is shown in a refusal.
const SHOWN_SUBJECT_BYTES: usize = 256;

/// Up to so many members are compared, and not hashed.
const FEW: usize = 24;

/// The claims of a token whose signature holds.
pub struct Claims {
    object: Map<String, Value>,
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
    issued: Option<Timestamp>,
    shown_subject: Option<Arc<str>>,
    payload_bytes: usize,
}

impl Claims {
    /// Reads what was signed.
    ///
    /// # Errors
    ///
    /// [`Denial::ClaimsMalformed`] for anything that is not one JSON object without repeated members,
    /// and for a registered claim of a wrong type.
    pub(super) fn parse(payload: &SignedPayload) -> Result<Self, Denial> {
        let mut object =
            json::parse_object(payload.bytes()).map_err(|_| Denial::ClaimsMalformed)?;
        if let Some(header) = payload.alb() {
            header.add_to(&mut object)?;
        }
        let claims = Self {
            expires: date(&object, "exp")?,
            not_before: date(&object, "nbf")?,
            issued: date(&object, "iat")?,
            shown_subject: member(&object, "sub")
                .and_then(Value::as_str)
                .and_then(shown),
            payload_bytes: payload.bytes().len(),
            object,
        };
        // SECURITY: a deny list names each of them by its text. Guarded by the rows "sid …" of the
        // attack table.
        for name in ["iss", "sub", "jti", "sid"] {
            if member(&claims.object, name).is_some_and(|value| !value.is_string()) {
                return Err(Denial::ClaimsMalformed);
            }
        }
        let audience_fits = match member(&claims.object, "aud") {
            None | Some(Value::String(_)) => true,
            Some(Value::Array(elements)) => elements.iter().all(Value::is_string),
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => false,
        };
        if !audience_fits {
            return Err(Denial::ClaimsMalformed);
        }
        Ok(claims)
    }

    /// `iss`
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// `sub`
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// `aud`, be it one or several.
    pub fn audience(&self) -> impl Iterator<Item = &str> {
        let audience = member(&self.object, "aud");
        let several = audience.and_then(Value::as_array).into_iter().flatten();
        audience
            .and_then(Value::as_str)
            .into_iter()
            .chain(several.filter_map(Value::as_str))
    }

    /// Every claim by its name.
    #[must_use]
    pub fn all(&self) -> &Map<String, Value> {
        &self.object
    }

    /// Whether there is a claim of this name, whatever it holds.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// `cnf` (RFC 7800 3.1): what the token is bound to.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Value> {
        member(&self.object, "cnf")
    }

    /// `exp`
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// `nbf`
    #[must_use]
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// `iat`
    #[must_use]
    pub fn issued(&self) -> Option<Timestamp> {
        self.issued
    }

    /// The claim, or the part of one, at `path`. Into an array a path goes by position (RFC 6901 4).
    #[must_use]
    pub fn at(&self, path: &ClaimPath) -> Option<&Value> {
        let claim = member(&self.object, path.claim())?;
        path.members().iter().try_fold(claim, |value, name| {
            if let Value::Array(elements) = value {
                elements.get(position(name)?)
            } else {
                member(value.as_object()?, name)
            }
        })
    }

    /// `jti`
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.text("jti")
    }

    /// `sid`: the session at the issuer (OpenID Connect Front-Channel Logout 3).
    #[must_use]
    pub fn session(&self) -> Option<&str> {
        self.text("sid")
    }

    /// The subject in a length that fits a log line; `None` when there is nothing to show.
    #[must_use]
    pub fn shown_subject(&self) -> Option<Arc<str>> {
        self.shown_subject.clone()
    }

    /// Roughly the memory held, for the cache's account.
    pub(super) fn weight(&self) -> usize {
        // Parsed, each member and each string has a head of its own; most are short.
        size_of::<Self>() + self.payload_bytes * 4
    }

    fn text(&self, name: &str) -> Option<&str> {
        member(&self.object, name).and_then(Value::as_str)
    }
}

/// The member of this name. The map's own look-up hashes by a function that withstands strangers, which
/// among the few members that a token has takes several times as long as to compare them all.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if object.len() > FEW {
        return object.get(name);
    }
    object
        .iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn shown(subject: &str) -> Option<Arc<str>> {
    let end = (0..=SHOWN_SUBJECT_BYTES.min(subject.len()))
        .rev()
        .find(|end| subject.is_char_boundary(*end))?;
    subject
        .get(..end)
        .filter(|shown| !shown.is_empty())
        .map(Arc::from)
}

/// Names, not values: claims are somebody's personal data.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.object.keys()).finish()
    }
}

/// A `NumericDate` (RFC 7519 2), fraction cut off: the clock it is compared with counts whole
/// seconds too. Cutting makes `exp` up to a second stricter, `nbf` and `iat` as much milder.
fn date(object: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, Denial> {
    let Some(value) = member(object, name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().ok_or(Denial::ClaimsMalformed)?;
    // SECURITY: guarded by the rows "exp …" of the attack table; also false for NaN.
    if !(0.0..=LAST_SECOND).contains(&seconds) {
        return Err(Denial::ClaimsMalformed);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "inside 0..=LAST_SECOND, and cutting the fraction is meant"
    )]
    let seconds = seconds as u64;
    Ok(Some(Timestamp::from_unix(seconds)))
}

/// RFC 6901 4: digits without a leading zero.
fn position(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0');
    (plain && token.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| token.parse().ok())
        .flatten()
}
