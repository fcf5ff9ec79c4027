//! Verified claims, and the peer's certificate, become header values that an application can believe
//! and cannot misread.
//!
//! Lossless and never ambiguous: visible ASCII stays, everything else (control characters, line
//! ends, letters outside ASCII, and `%` itself) is percent-encoded as UTF-8. Nothing that a claim
//! holds can end a header, start another or forge a list separator.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::HeaderValue;
use serde_json::Value;

use crate::accept::certificate::Certificate;
use crate::check::Claims;
use crate::model::Denial;
use crate::model::client_cert::{Element, Key};
use crate::settings::ArrayForm;

/// The longest value set. Longer ones are refused: a list of groups cut short grants or withholds
/// what nobody decided.
const MAX_VALUE: usize = 8 * 1024;

/// The header value of one claim; `None` when the claim says nothing (`null`).
///
/// # Errors
///
/// [`Denial::IdentityUnforwardable`] when the value would be too long.
pub(super) fn header_value(
    claim: &Value,
    arrays: ArrayForm,
) -> Result<Option<HeaderValue>, Denial> {
    let value = match (claim, arrays) {
        (Value::Null, _) => return Ok(None),
        (Value::Array(elements), ArrayForm::Join) => {
            let parts: Vec<String> = elements.iter().map(element).collect();
            bounded(&parts.join(","))
        }
        (Value::Array(_) | Value::Object(_), _) => bounded(&ascii_json(claim)),
        (Value::String(_) | Value::Bool(_) | Value::Number(_), _) => {
            bounded(&encoded(&plain(claim), false))
        }
    };
    value.map(Some)
}

/// A header value of this text.
///
/// # Errors
///
/// [`Denial::IdentityUnforwardable`] when it is too long, or would not be one.
pub(super) fn bounded(text: &str) -> Result<HeaderValue, Denial> {
    if text.len() > MAX_VALUE {
        return Err(Denial::IdentityUnforwardable);
    }
    HeaderValue::from_str(text).map_err(|_| Denial::IdentityUnforwardable)
}

/// The claims in one piece: a JSON object, all of them or `only` these, base64url without padding.
///
/// # Errors
///
/// [`Denial::IdentityUnforwardable`] when the value would be too long.
pub(super) fn claims_value(
    claims: &Claims,
    only: Option<&[String]>,
) -> Result<HeaderValue, Denial> {
    let wanted = |name: &str| only.is_none_or(|only| only.iter().any(|one| one == name));
    let chosen = claims.all().iter().filter(|(name, _)| wanted(name));
    let object: BTreeMap<&String, &Value> = chosen.collect();
    let json = serde_json::to_vec(&object).map_err(|_| Denial::IdentityUnforwardable)?;
    bounded(&URL_SAFE_NO_PAD.encode(json))
}

/// What a hop of Envoy's would say of the certificate.
pub(super) fn hop(certificate: &Certificate, der: &[u8]) -> Element {
    let mut pairs = vec![
        (Key::Hash, certificate.fingerprint()),
        (Key::Cert, pem(der)),
        (Key::Subject, certificate.subject.clone()),
    ];
    let all = |key, names: &[String]| {
        let named = names.iter().map(move |name| (key, name.clone()));
        named.collect::<Vec<_>>()
    };
    pairs.extend(all(Key::Uri, &certificate.uri));
    pairs.extend(all(Key::Dns, &certificate.dns));
    Element { pairs }
}

/// RFC 7468 2 and 5: 64 characters a line.
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = "-----BEGIN CERTIFICATE-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// One element of a joined array: a comma inside it must not look like one between elements.
fn element(value: &Value) -> String {
    encoded(&plain(value), true).into_owned()
}

fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string().into()
        }
    }
}

fn encoded(text: &str, escape_comma: bool) -> Cow<'_, str> {
    let stays = |at: usize, byte: u8| match byte {
        b'%' => false,
        b',' => !escape_comma,
        // Receivers trim blanks at both ends, which would make two claims one.
        b' ' => at != 0 && at + 1 != text.len(),
        _ => byte.is_ascii_graphic(),
    };
    // As nearly every claim does.
    if text.bytes().enumerate().all(|(at, byte)| stays(at, byte)) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        if stays(at, byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(hex(byte));
        }
    }
    out.into()
}

fn hex(byte: u8) -> [char; 2] {
    let digit = |value: u8| {
        char::from_digit(u32::from(value), 16)
            .unwrap_or('0')
            .to_ascii_uppercase()
    };
    [digit(byte >> 4), digit(byte & 0xf)]
}

/// JSON in ASCII alone (RFC 8259 7).
fn ascii_json(value: &Value) -> String {
    let mut out = String::new();
    for unit in value.to_string().chars() {
        if unit.is_ascii_graphic() || unit == ' ' {
            out.push(unit);
            continue;
        }
        for code in unit.encode_utf16(&mut [0; 2]) {
            let [high, low] = code.to_be_bytes();
            out.push_str("\\u");
            out.extend(hex(high));
            out.extend(hex(low));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn joined(claim: Value) -> String {
        let value = header_value(&claim, ArrayForm::Join).unwrap().unwrap();
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn scalars_stand_as_they_are_and_the_rest_is_percent_encoded() {
        assert_eq!(joined(json!("ada@example.com")), "ada@example.com");
        assert_eq!(joined(json!(42)), "42");
        assert_eq!(joined(json!(true)), "true");
        assert_eq!(joined(json!("José")), "Jos%C3%A9");
        assert_eq!(joined(json!("a\r\nX-Admin: yes")), "a%0D%0AX-Admin: yes");
        assert_eq!(joined(json!(" 100% ")), "%20100%25%20");
        assert_eq!(joined(json!("Doe, John")), "Doe, John");
    }

    #[test]
    fn an_element_cannot_become_two() {
        assert_eq!(joined(json!(["a,admins", "b c"])), "a%2Cadmins,b c");
        assert_eq!(joined(json!([])), "");
        let json = header_value(&json!(["a,b", "é"]), ArrayForm::Json)
            .unwrap()
            .unwrap();
        assert_eq!(json, r#"["a,b","\u00E9"]"#);
        assert_eq!(joined(json!({"k": ["𝄞"]})), r#"{"k":["\uD834\uDD1E"]}"#);
    }

    #[test]
    fn null_is_nothing_and_too_much_is_refused() {
        assert_eq!(header_value(&json!(null), ArrayForm::Join), Ok(None));
        let long = json!("x".repeat(MAX_VALUE + 1));
        assert_eq!(
            header_value(&long, ArrayForm::Join),
            Err(Denial::IdentityUnforwardable)
        );
    }

    fn decoded(text: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            if *first == b'%' {
                let hex = std::str::from_utf8(&tail[..2]).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &tail[2..];
            } else {
                bytes.push(*first);
                rest = tail;
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn every_string_comes_back_whole_and_is_visible_ascii(text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}") {
            let value = header_value(&json!(text), ArrayForm::Join).unwrap().unwrap();
            let shown = value.to_str().unwrap();
            prop_assert!(shown.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
            prop_assert_eq!(decoded(shown), text);
        }

        #[test]
        fn every_list_comes_back_with_the_same_elements(list in proptest::collection::vec("[^\\x00]{1,8}", 1..6)) {
            let value = header_value(&json!(list), ArrayForm::Join).unwrap().unwrap();
            let back: Vec<String> = value.to_str().unwrap().split(',').map(decoded).collect();
            prop_assert_eq!(back, list);
        }
    }
}
