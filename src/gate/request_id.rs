//! A request's header fields become the id by which logs, headers and problems name it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::HeaderMap;

use crate::deny;

/// Where request ids come from when the peer sends none.
#[derive(Debug)]
pub struct RequestIds {
    /// What every id of ours begins with.
    process: String,
    next: AtomicU64,
}

/// Longer ids than this are replaced by our own.
const MAX_REQUEST_ID: usize = 128;

impl RequestIds {
    /// Ids that begin with `process`, a number that should be random.
    #[must_use]
    pub fn new(process: u64) -> Self {
        Self {
            process: format!("{process:016x}-"),
            next: AtomicU64::new(0),
        }
    }

    /// The peer's own id if it is one, else a new one. An id goes into logs, headers and JSON, so
    /// only characters that mean nothing in any of them are let through.
    pub(super) fn of(&self, headers: &HeaderMap) -> Arc<str> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
        let mut sent = headers.get_all(deny::REQUEST_ID).iter();
        let first = sent.next().and_then(|value| value.to_str().ok());
        match (first, sent.next()) {
            (Some(id), None)
                if !id.is_empty() && id.len() <= MAX_REQUEST_ID && id.bytes().all(plain) =>
            {
                id.into()
            }
            _ => {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let mut id = String::with_capacity(self.process.len() + 16);
                id.push_str(&self.process);
                push_hex(&mut id, number);
                id.into()
            }
        }
    }
}

/// Adds a number in hexadecimal digits, without the formatter, which is dear for each request.
fn push_hex(text: &mut String, number: u64) {
    let places = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..places).rev() {
        let digit = (number >> (4 * place)) & 0xf;
        text.extend(char::from_digit(digit as u32, 16));
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(values: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for value in values {
            map.append(deny::REQUEST_ID, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn a_sound_request_id_is_kept_and_any_other_replaced() {
        let ids = RequestIds::new(0xabc);
        assert_eq!(&*ids.of(&with(&["f00-1"])), "f00-1");
        for bad in [&["a", "b"][..], &["a\"b"], &["a b"], &[""], &[]] {
            assert!(
                ids.of(&with(bad)).starts_with("0000000000000abc-"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_number_of_a_request_is_written_as_the_formatter_would() {
        for number in [0, 1, 9, 10, 15, 16, 0x1234, 0xf0f0, u64::MAX - 1, u64::MAX] {
            let mut written = String::new();
            push_hex(&mut written, number);
            assert_eq!(written, format!("{number:x}"));
        }
    }
}
