//! A certificate in a header field: `Client-Cert` (RFC 9440) and Envoy's `X-Forwarded-Client-Cert`,
//! written and read.
//!
//! What is read is text that a proxy was trusted to write, and nothing more: no chain is verified
//! here. Whatever has two readings has none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// More elements than any chain of proxies adds.
const MAX_ELEMENTS: usize = 32;

/// The field cannot be read in exactly one way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not one certificate in a header field")]
pub struct Unreadable;

// === Client-Cert ===

/// The value of `Client-Cert`: DER as a structured field's byte sequence (RFC 9440 2.1, RFC 9651
/// 3.3.5).
#[must_use]
pub fn byte_sequence(der: &[u8]) -> String {
    format!(":{}:", STANDARD.encode(der))
}

/// The DER in a `Client-Cert`. Parameters after it are none of RFC 9440's, and refused.
///
/// # Errors
///
/// [`Unreadable`], also for base64 in another spelling than the one that RFC 9651 4.1.8 writes.
pub fn read_byte_sequence(value: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let inner = value
        .trim_ascii()
        .strip_prefix(b":")
        .and_then(|rest| rest.strip_suffix(b":"))
        .filter(|inner| !inner.is_empty())
        .ok_or(Unreadable)?;
    STANDARD.decode(inner).map_err(|_| Unreadable)
}

// === X-Forwarded-Client-Cert ===

/// What one hop says of the certificate that it was shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Element {
    /// Key and value of each pair, in order; keys as they are known, in Envoy's spelling.
    pub pairs: Vec<(Key, String)>,
}

/// The keys that Envoy writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Key {
    /// The SAN of the hop's own certificate.
    By,
    /// SHA-256 of the DER in hex.
    Hash,
    /// The certificate in PEM, percent-encoded.
    Cert,
    /// The same with its chain.
    Chain,
    /// The subject's distinguished name.
    Subject,
    /// A URI SAN.
    Uri,
    /// A DNS SAN.
    Dns,
}

impl Key {
    const ALL: [(Self, &'static str); 7] = [
        (Self::By, "By"),
        (Self::Hash, "Hash"),
        (Self::Cert, "Cert"),
        (Self::Chain, "Chain"),
        (Self::Subject, "Subject"),
        (Self::Uri, "URI"),
        (Self::Dns, "DNS"),
    ];

    fn name(self) -> &'static str {
        let same = |(key, _): &&(Self, &str)| *key == self;
        Self::ALL.iter().find(same).map_or("", |(_, name)| name)
    }

    /// Keys are the same in any case; values are not.
    fn read(name: &[u8]) -> Option<Self> {
        let same = |(_, known): &&(Self, &str)| name.eq_ignore_ascii_case(known.as_bytes());
        Self::ALL.iter().find(same).map(|(key, _)| *key)
    }
}

impl Element {
    /// The one SHA-256 that it names.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when there is none, more than one, or something else in its place.
    pub fn hash(&self) -> Result<[u8; 32], Unreadable> {
        let mut hashes = self.pairs.iter().filter(|(key, _)| *key == Key::Hash);
        let (Some((_, hash)), None) = (hashes.next(), hashes.next()) else {
            return Err(Unreadable);
        };
        let mut out = [0; 32];
        let digits = hash.as_bytes();
        if digits.len() != 64 {
            return Err(Unreadable);
        }
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| Unreadable)?;
            // `from_str_radix` would take a sign.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(Unreadable);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Unreadable)?;
        }
        Ok(out)
    }

    /// The element as Envoy writes it: `Hash=…;Subject="…";URI=…`.
    ///
    /// What is not visible ASCII is percent-encoded, and `%` itself; so is a backslash at the end,
    /// which would take the closing quote for its own. A certificate in PEM is percent-encoded but
    /// for letters, digits and `-._~`.
    #[must_use]
    pub fn write(&self) -> String {
        let mut out = String::new();
        for (key, value) in &self.pairs {
            if !out.is_empty() {
                out.push(';');
            }
            out.push_str(key.name());
            out.push('=');
            write_value(*key, value, &mut out);
        }
        out
    }
}

fn write_value(key: Key, value: &str, out: &mut String) {
    let quoted = matches!(key, Key::Subject | Key::Cert | Key::Chain)
        || value.is_empty()
        || value
            .bytes()
            .any(|b| matches!(b, b',' | b';' | b'=' | b'"' | b' '));
    if quoted {
        out.push('"');
    }
    for (at, byte) in value.bytes().enumerate() {
        if stays(key, byte, at + 1 == value.len()) {
            if byte == b'"' {
                out.push('\\');
            }
            out.push(char::from(byte));
        } else {
            push_encoded(byte, out);
        }
    }
    if quoted {
        out.push('"');
    }
}

fn stays(key: Key, byte: u8, is_last: bool) -> bool {
    if matches!(key, Key::Cert | Key::Chain) {
        return byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    }
    match byte {
        b'%' => false,
        b'\\' => !is_last,
        b' ' => true,
        _ => byte.is_ascii_graphic(),
    }
}

fn push_encoded(byte: u8, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "%{byte:02X}");
}

/// Reads a whole field: elements with commas between, the one nearest to the caller first.
///
/// # Errors
///
/// [`Unreadable`] for anything that is not wholly of this form: an unknown key, a quote left open,
/// text after a closing quote, an empty element, or more than 32 of them.
pub fn read_elements(field: &[u8]) -> Result<Vec<Element>, Unreadable> {
    let mut rest = field;
    let mut elements = vec![Element::default()];
    loop {
        let (pair, end, after) = read_pair(rest)?;
        elements.last_mut().ok_or(Unreadable)?.pairs.push(pair);
        rest = after;
        match end {
            None => return Ok(elements),
            Some(b';') => {}
            Some(_) if elements.len() < MAX_ELEMENTS => elements.push(Element::default()),
            Some(_) => return Err(Unreadable),
        }
    }
}

/// A pair, what ended it, and what follows.
type Pair<'a> = ((Key, String), Option<u8>, &'a [u8]);

/// Reads `key=value` and the `;` or `,` after it.
fn read_pair(text: &[u8]) -> Result<Pair<'_>, Unreadable> {
    let text = text.trim_ascii_start();
    let equals = text
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or(Unreadable)?;
    let (name, value) = text.split_at_checked(equals).ok_or(Unreadable)?;
    let key = Key::read(name).ok_or(Unreadable)?;
    let value = value.get(1..).unwrap_or_default();
    let (value, rest) = match value.strip_prefix(b"\"") {
        Some(quoted) => read_quoted(quoted)?,
        None => read_plain(value)?,
    };
    let rest = rest.trim_ascii_start();
    match rest.split_first() {
        None => Ok(((key, value), None, rest)),
        Some((end @ (b';' | b','), after)) => Ok(((key, value), Some(*end), after)),
        Some(_) => Err(Unreadable),
    }
}

/// Up to the quote that is not escaped. Only a quote can be: before anything else a backslash is
/// itself, as in a distinguished name (RFC 4514 2.4).
fn read_quoted(text: &[u8]) -> Result<(String, &[u8]), Unreadable> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'\\', b'"', after @ ..] => {
                value.push(b'"');
                rest = after;
            }
            [b'"', after @ ..] => return Ok((text_of(value)?, after)),
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return Err(Unreadable),
        }
    }
}

/// Up to `;`, `,` or the end; without a quote or `=`, which Envoy would have put into quotes.
fn read_plain(text: &[u8]) -> Result<(String, &[u8]), Unreadable> {
    let end = text.iter().position(|byte| matches!(byte, b';' | b','));
    let (value, rest) = text
        .split_at_checked(end.unwrap_or(text.len()))
        .ok_or(Unreadable)?;
    let value = value.trim_ascii_end();
    if value.iter().any(|byte| matches!(byte, b'"' | b'=')) {
        return Err(Unreadable);
    }
    Ok((text_of(value.to_vec())?, rest))
}

fn text_of(bytes: Vec<u8>) -> Result<String, Unreadable> {
    String::from_utf8(bytes).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";

    #[test]
    fn envoys_own_examples_are_read() {
        let field = format!(
            "By=http://frontend.lyft.com;Hash={HASH};Subject=\"/C=US/ST=CA/L=San Francisco/OU=Lyft/\
             CN=Test Client\";URI=http://testclient.lyft.com;DNS=a.test;DNS=b.test, \
             by=x;HASH={HASH};Subject=\"CN=a\\\"b\\,c;d=e\""
        );
        let elements = read_elements(field.as_bytes()).unwrap();
        let [first, second] = elements.as_slice() else {
            panic!("{elements:?}")
        };
        assert_eq!(first.pairs.len(), 6);
        assert_eq!(first.hash().unwrap()[0], 0x46);
        assert_eq!(second.hash(), first.hash());
        let subject = "CN=a\"b\\,c;d=e".to_owned();
        assert_eq!(second.pairs[2], (Key::Subject, subject));
    }

    #[test]
    fn what_has_two_readings_has_none() {
        for field in [
            "",
            ",",
            "Hash",
            "Hash=",
            "Hash=\"",
            "=x",
            "Role=admin",
            "Hash=a;",
            "Hash=a,",
            ";Hash=a",
            "Hash=a,,Hash=b",
            "Hash=\"a\"b",
            "Hash=\"a\" b;By=c",
            "Subject=\"CN=a\\\"",
            "Subject=CN=a",
            "Hash=a\"b",
            "Hash=\u{e9};Subject=\"x",
        ] {
            let read = read_elements(field.as_bytes());
            // An empty plain value is one, but no hash.
            let hash = read.and_then(|all| all.last().ok_or(Unreadable)?.hash());
            assert_eq!(hash, Err(Unreadable), "{field}");
        }
        let twice = format!("Hash={HASH};Hash={HASH}");
        assert_eq!(
            read_elements(twice.as_bytes()).unwrap()[0].hash(),
            Err(Unreadable)
        );
        let signed = format!("Hash=+{}", &HASH[1..]);
        assert_eq!(
            read_elements(signed.as_bytes()).unwrap()[0].hash(),
            Err(Unreadable)
        );
        let many = vec!["Hash=a"; 33].join(",");
        assert_eq!(read_elements(many.as_bytes()), Err(Unreadable));
        assert_eq!(read_elements(b"Hash=\xff"), Err(Unreadable));
    }

    #[test]
    fn a_byte_sequence_has_one_spelling() {
        assert_eq!(byte_sequence(b"ab"), ":YWI=:");
        assert_eq!(read_byte_sequence(b" :YWI=: "), Ok(b"ab".to_vec()));
        for value in [
            "",
            ":",
            "::",
            "YWI=",
            ":YWI:",
            ":YWI=",
            "YWI=:",
            ":YWJ=:",
            ":YW I=:",
            ":YWI=:;a=1",
            ":YWI=:, :YWI=:",
            ":Y-_=:",
            "\"YWI=\"",
            ":YWI==:",
        ] {
            assert_eq!(
                read_byte_sequence(value.as_bytes()),
                Err(Unreadable),
                "{value}"
            );
        }
    }

    fn pair() -> impl Strategy<Value = (Key, String)> {
        let key = (0..Key::ALL.len()).prop_map(|at| Key::ALL[at].0);
        (key, "[ -~]{0,24}|\\PC{0,12}|[\\\\\"]{0,6}")
    }

    /// What `write` makes of a value for good.
    fn encoded(key: Key, value: &str) -> String {
        let mut out = String::new();
        for (at, byte) in value.bytes().enumerate() {
            if stays(key, byte, at + 1 == value.len()) {
                out.push(char::from(byte));
            } else {
                push_encoded(byte, &mut out);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn every_element_that_is_written_reads_as_one_and_the_same(
            pairs in proptest::collection::vec(pair(), 1..6)
        ) {
            let element = Element { pairs };
            let text = element.write();
            prop_assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            let read = read_elements(text.as_bytes()).unwrap();
            let pairs = element.pairs.iter().map(|(key, value)| (*key, encoded(*key, value)));
            prop_assert_eq!(read, vec![Element { pairs: pairs.collect() }]);
        }

        #[test]
        fn several_elements_stay_several(
            pairs in proptest::collection::vec(pair(), 1..6)
        ) {
            let elements: Vec<String> = pairs
                .iter()
                .map(|pair| Element { pairs: vec![pair.clone()] }.write())
                .collect();
            let read = read_elements(elements.join(",").as_bytes()).unwrap();
            prop_assert_eq!(read.len(), elements.len());
        }

        #[test]
        fn no_bytes_panic_either_parser(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(read_byte_sequence(&bytes));
            if let Ok(elements) = read_elements(&bytes) {
                prop_assert!(!elements.is_empty());
                prop_assert!(elements.iter().all(|element| !element.pairs.is_empty()));
            }
        }

        #[test]
        fn no_text_of_the_right_letters_panics_or_makes_two_of_one(
            text in "(By|Hash|URI|Subject|x)?(=|\"|;|,|\\\\| |a|CN=){0,20}"
        ) {
            if let Ok(elements) = read_elements(text.as_bytes()) {
                let commas = text.bytes().filter(|byte| *byte == b',').count();
                prop_assert!(elements.len() <= commas + 1);
            }
        }

        #[test]
        fn every_certificate_comes_back(der in proptest::collection::vec(any::<u8>(), 1..200)) {
            prop_assert_eq!(read_byte_sequence(byte_sequence(&der).as_bytes()), Ok(der));
        }
    }
}
