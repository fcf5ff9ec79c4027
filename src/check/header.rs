//! The unverified protected header becomes the three things it may decide, `alg`, `kid` and `typ`;
//! anything else in it is refused or ignored here, before a parser with a milder view sees it.
//!
//! Libraries let the last of two equal members win, accept an empty `crit`, and parse embedded keys
//! before they verify anything; this does not.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::jwks::MAX_KID_BYTES;
use crate::model::json::Strict;
use crate::model::{Algorithm, Denial};

/// More members than any token's header has.
const MAX_MEMBERS: usize = 32;

/// What a token's header says, unverified.
#[derive(Debug)]
pub(super) struct Header<'a> {
    algorithm: Option<Algorithm>,
    kid: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
}

impl<'a> Header<'a> {
    /// Reads a decoded header.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenMalformed`] for what is not one JSON object without repeated members, and
    /// [`Denial::TokenHeaderRefused`] for members that are refused on sight: `crit`, `b64`, `zip`,
    /// `enc`, embedded keys and key addresses, an `alg`, `kid` or `typ` that is no string, or a
    /// `kid` of more than 256 bytes.
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, Denial> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let seen = reader
            .deserialize_map(HeaderVisitor)
            .and_then(|seen| reader.end().map(|()| seen))
            .map_err(|_| Denial::TokenMalformed)?;
        if seen.refused {
            return Err(Denial::TokenHeaderRefused);
        }
        Ok(seen.header)
    }

    /// The algorithm that the token claims, where sidegate knows it. A missing one is as unknown as
    /// `none`.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// The key that the token names.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The kind of token that it says it is.
    pub(super) fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }
}

struct Seen<'a> {
    header: Header<'a>,
    refused: bool,
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Seen<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JOSE header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Seen<'de>, A::Error> {
        let mut names: Vec<Cow<'de, str>> = Vec::with_capacity(4);
        let mut seen = Seen {
            header: Header {
                algorithm: None,
                kid: None,
                typ: None,
            },
            refused: false,
        };
        while let Some(Text(name)) = from.next_key()? {
            // SECURITY: guarded by the rows "… twice …" of the attack table.
            if names.contains(&name) || names.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("a repeated member, or too many"));
            }
            match name.as_ref() {
                "alg" => match from.next_value::<Slot<'de>>()?.0 {
                    Some(alg) => seen.header.algorithm = Algorithm::from_name(&alg),
                    None => seen.refused = true,
                },
                "kid" => match from.next_value::<Slot<'de>>()?.0 {
                    Some(kid) if kid.len() <= MAX_KID_BYTES => seen.header.kid = Some(kid),
                    _ => seen.refused = true,
                },
                "typ" => {
                    seen.header.typ = from.next_value::<Slot<'de>>()?.0;
                    seen.refused |= seen.header.typ.is_none();
                }
                // SECURITY: guarded by the rows of the attack table that name each of these. Not
                // one of them is implemented, and RFC 7515 4.1.11 has an unknown `crit` refused.
                "crit" | "b64" | "zip" | "enc" | "jwk" | "jku" | "x5u" | "x5c" => {
                    from.next_value::<IgnoredAny>()?;
                    seen.refused = true;
                }
                // Nothing is decided by them; but what RFC 7515 4.1 has them be, they must be.
                "cty" | "url" => drop(from.next_value::<Slot<'de>>()?.text()?),
                "x5t" | "x5t#S256" | "nonce" => {
                    let text = from.next_value::<Slot<'de>>()?.text()?;
                    if !text.bytes().all(is_digit) {
                        return Err(A::Error::custom("not base64url"));
                    }
                }
                _ => drop(from.next_value_seed(Strict::default())?),
            }
            names.push(name);
        }
        Ok(seen)
    }
}

// === Strings without a copy ===

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

/// A value that must be a string; `None` for every other.
struct Slot<'a>(Option<Cow<'a, str>>);

impl<'a> Slot<'a> {
    fn text<E: serde::de::Error>(self) -> Result<Cow<'a, str>, E> {
        self.0.ok_or_else(|| E::custom("not a string"))
    }
}

/// Of base64url (RFC 4648 5).
fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

impl<'de> serde::Deserialize<'de> for Slot<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SlotVisitor)
    }
}

struct SlotVisitor;

impl<'de> Visitor<'de> for SlotVisitor {
    type Value = Slot<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Slot(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Slot(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Slot(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Slot(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Slot(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Slot(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Slot(None))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, from: A) -> Result<Self::Value, A::Error> {
        Strict::default().visit_seq(from).map(|_| Slot(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<Self::Value, A::Error> {
        Strict::default().visit_map(from).map(|_| Slot(None))
    }
}

/// What an unverified payload says of its maker, to choose among the issuers that share a place.
#[derive(Debug, Default)]
pub(super) struct Peeked {
    pub(super) issuer: Option<String>,
    pub(super) subject: Option<String>,
}

/// Reads only `iss` and `sub`. One that is no string is none; with one repeated both are none.
pub(super) fn peek(object: &[u8]) -> Peeked {
    struct Peek;

    impl<'de> Visitor<'de> for Peek {
        type Value = Peeked;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Peeked, A::Error> {
            let mut peeked = Peeked::default();
            while let Some(Text(name)) = from.next_key()? {
                let slot = match name.as_ref() {
                    "iss" => &mut peeked.issuer,
                    "sub" => &mut peeked.subject,
                    _ => {
                        from.next_value::<IgnoredAny>()?;
                        continue;
                    }
                };
                let Slot(value) = from.next_value()?;
                if value.is_some_and(|value| slot.replace(value.into_owned()).is_some()) {
                    return Err(A::Error::custom("repeated member"));
                }
            }
            Ok(peeked)
        }
    }

    serde_json::Deserializer::from_slice(object)
        .deserialize_map(Peek)
        .unwrap_or_default()
}
