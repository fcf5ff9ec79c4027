//! JSON from outside becomes an object that can be read in exactly one way.
//!
//! `serde_json` lets the last of two equal members win; another parser behind the gate may let the
//! first one win, and then both sides believe a different token (RFC 7515 4, RFC 7519 4). So a
//! repeated member is an error here, at every depth. Tokens and key sets are both read with this.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Deeper nesting than any claim has; well inside what the stack and `serde_json` bear.
const MAX_DEPTH: u8 = 32;

/// As many as a token has claims.
const USUAL_MEMBERS: usize = 14;

/// What is read is not one JSON object without repeated members, nested at most 32 deep.
///
/// Says where, never what: the text may be a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not one JSON object without repeated members (line {line}, column {column})")]
pub struct JsonError {
    line: usize,
    column: usize,
}

/// Reads `bytes` as one object and nothing else.
///
/// # Errors
///
/// [`JsonError`] for anything that is not UTF-8, not JSON, not an object, or that can be read in
/// two ways.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: MAX_DEPTH }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| JsonError {
            line: error.line(),
            column: error.column(),
        })?;
    if let Value::Object(object) = value {
        Ok(object)
    } else {
        Err(JsonError { line: 1, column: 0 })
    }
}

/// Builds a [`Value`], refusing repeated members and too much depth.
#[derive(Clone, Copy)]
pub(crate) struct Strict {
    depth: u8,
}

impl Default for Strict {
    fn default() -> Self {
        Self { depth: MAX_DEPTH }
    }
}

impl Strict {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1);
        let depth = depth.ok_or_else(|| E::custom("nested too deep"))?;
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut elements = Vec::new();
        while let Some(element) = from.next_element_seed(inner)? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        // The claims of most tokens fit, so that the map does not grow four times.
        let outermost = inner.depth + 1 == MAX_DEPTH;
        let mut members = Map::with_capacity(if outermost { USUAL_MEMBERS } else { 0 });
        while let Some(name) = from.next_key::<String>()? {
            let value = from.next_value_seed(inner)?;
            // SECURITY: guarded by `a_repeated_member_is_refused_at_every_depth`.
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_reads_as_what_it_says() {
        let text = br#" {"a":[1,-2,0.5,"x",null,true],"b":{"c":18446744073709551615}} "#;
        let plain: Map<String, Value> = serde_json::from_slice(text).unwrap();
        assert_eq!(parse_object(text), Ok(plain));
    }

    #[test]
    fn a_repeated_member_is_refused_at_every_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"o":{"a":1,"b":2,"a":3}}"#,
            r#"{"o":[[{"a":1,"a":2}]]}"#,
        ] {
            assert!(parse_object(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(32), "]".repeat(32));
        let texts: [&[u8]; 11] = [
            b"",
            b"[]",
            b"null",
            b"\"a\"",
            b"{}{}",
            b"{} x",
            b"{\"a\":1,}",
            b"{\"a\":1e999}",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            deep.as_bytes(),
        ];
        for text in texts {
            assert!(parse_object(text).is_err(), "{text:?}");
        }
        assert!(parse_object(br#"{"a":"\ud800"}"#).is_err());
    }

    #[test]
    fn an_error_does_not_repeat_what_was_read() {
        let error = parse_object(br#"{"topsecret":1,"topsecret":2}"#).unwrap_err();
        assert!(!error.to_string().contains("topsecret"));
    }
}
