//! One line of the log as JSON, written straight into a buffer.
//!
//! The form is that of `tracing_subscriber`'s JSON lines with flattened fields, byte for byte, so that
//! whoever reads the log cannot tell the two apart; a test of [`super::record`] compares them. It
//! knows nothing of what it writes: what may be said is its callers' affair.

use std::cell::Cell;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::model::write_ip;
use time::OffsetDateTime;

/// What a thread keeps of a line for its next one.
const KEPT: usize = 4 * 1024;

/// A line in the making.
#[derive(Debug)]
pub(super) struct Line<'a> {
    bytes: &'a mut Vec<u8>,
}

/// What a thread keeps, so that a line allocates nothing and a second is spelled out once.
#[derive(Debug, Default)]
struct Desk {
    bytes: Vec<u8>,
    /// The second since 1970 that `spelled` says, with the full stop.
    second: u64,
    spelled: [u8; 20],
}

thread_local! {
    static DESK: Cell<Desk> = const { Cell::new(Desk::NEW) };
}

/// Makes the line of a moment (since 1970), lets `fields` be added and hands it to `written`.
pub(super) fn write(
    now: Duration,
    level: &'static str,
    target: &'static str,
    fields: impl FnOnce(&mut Line<'_>),
    written: impl FnOnce(&[u8]),
) {
    // Without one, at a thread's very end, the line is made all the same.
    let mut desk = DESK.try_with(Cell::take).unwrap_or_default();
    desk.bytes.clear();
    desk.bytes.extend_from_slice(b"{\"timestamp\":\"");
    desk.stamp(now);
    desk.bytes.extend_from_slice(b"Z\"");
    let mut line = Line {
        bytes: &mut desk.bytes,
    };
    line.word("level", level);
    fields(&mut line);
    line.word("target", target);
    desk.bytes.extend_from_slice(b"}\n");
    written(&desk.bytes);
    desk.bytes.shrink_to(KEPT);
    // The same again: then the next line finds nothing to reuse.
    DESK.try_with(|place| place.set(desk)).unwrap_or_default();
}

// === impl Line ===

impl Line<'_> {
    /// A word of ours, which holds nothing that JSON would escape.
    pub(super) fn word(&mut self, key: &'static str, word: &'static str) {
        self.key(key);
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(word.as_bytes());
        self.bytes.push(b'"');
    }

    /// Any text.
    pub(super) fn text(&mut self, key: &'static str, text: &str) {
        self.key(key);
        self.json(text);
    }

    /// Any text, where there is one.
    pub(super) fn some_text(&mut self, key: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str, number: u64) {
        self.key(key);
        self.json(&number);
    }

    /// A whole number, where there is one.
    pub(super) fn some_number(&mut self, key: &'static str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(key, number);
        }
    }

    /// The other end of a socket.
    pub(super) fn address(&mut self, key: &'static str, address: SocketAddr) {
        self.key(key);
        self.bytes.push(b'"');
        match address {
            SocketAddr::V4(address) => {
                write_ip(self.bytes, (*address.ip()).into());
                self.bytes.push(b':');
                self.json(&address.port());
            }
            // Writing into memory does not fail.
            SocketAddr::V6(address) => drop(write!(self.bytes, "{address}")),
        }
        self.bytes.push(b'"');
    }

    fn key(&mut self, key: &'static str) {
        self.bytes.extend_from_slice(b",\"");
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        // Neither a text nor a number can fail, nor can writing into memory.
        drop(serde_json::to_writer(&mut *self.bytes, value));
    }
}

// === impl Desk ===

impl Desk {
    const NEW: Self = Self {
        bytes: Vec::new(),
        second: 0,
        spelled: [0; 20],
    };

    /// A moment since 1970, to the microsecond: `2026-11-22T00:12:54.216480`.
    fn stamp(&mut self, now: Duration) {
        if now.as_secs() != self.second || self.spelled == [0; 20] {
            self.second = now.as_secs();
            self.spelled = spelled(now.as_secs());
        }
        self.bytes.extend_from_slice(&self.spelled);
        let mut digits = [b'0'; 6];
        let mut rest = now.subsec_micros();
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        self.bytes.extend_from_slice(&digits);
    }
}

/// `2026-11-22T00:12:54.`. A clock beyond the year 9999 is wrong, and reads as 1970.
fn spelled(second: u64) -> [u8; 20] {
    let time = i64::try_from(second).map(OffsetDateTime::from_unix_timestamp);
    let time = time.ok().and_then(Result::ok);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    let mut text = [0; 20];
    let spelled = write!(
        text.as_mut_slice(),
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}."
    );
    // It has just this length.
    drop(spelled);
    text
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use proptest::prelude::*;
    use serde_json::Value;
    use tracing_subscriber::fmt::format::Writer;
    use tracing_subscriber::fmt::time::FormatTime;

    use super::*;

    fn line(now: Duration, fields: impl FnOnce(&mut Line<'_>)) -> String {
        let mut text = Vec::new();
        write(now, "INFO", "target", fields, |line| {
            text.extend_from_slice(line)
        });
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let line = line(Duration::ZERO, |line| {
                for (key, text) in ["a", "b", "c"].into_iter().zip(&texts) {
                    line.text(key, text);
                }
            });
            prop_assert_eq!(line.find('\n'), Some(line.len() - 1), "one line: {}", line);
            let read: Value = serde_json::from_str(&line).unwrap();
            for (key, text) in ["a", "b", "c"].into_iter().zip(&texts) {
                prop_assert_eq!(&read[key], text.as_str());
            }
        }

        #[test]
        fn any_number_and_address_comes_back_as_it_was(
            number: u64,
            v4: [u8; 4],
            v6: [u8; 16],
            port: u16,
        ) {
            let addresses: [SocketAddr; 2] = [(v4, port).into(), (v6, port).into()];
            let line = line(Duration::ZERO, |line| {
                line.number("number", number);
                line.some_number("none", None);
                line.address("v4", addresses[0]);
                line.address("v6", addresses[1]);
            });
            let read: Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(&read["number"], number);
            prop_assert!(read.get("none").is_none());
            prop_assert_eq!(&read["v4"], &Value::from(addresses[0].to_string()));
            prop_assert_eq!(&read["v6"], &Value::from(addresses[1].to_string()));
        }

        #[test]
        fn a_moment_is_spelled_as_the_other_lines_spell_it(
            seconds in 0_u64..253_402_300_800,
            nanos in 0_u32..1_000_000_000,
        ) {
            let now = Duration::new(seconds, nanos);
            let read: Value = serde_json::from_str(&line(now, |_| ())).unwrap();
            let spelled = read["timestamp"].as_str().unwrap();
            let time = OffsetDateTime::parse(
                spelled,
                &time::format_description::well_known::Rfc3339,
            );
            let time = SystemTime::from(time.unwrap());
            let micros = Duration::from_micros(u64::try_from(now.as_micros()).unwrap());
            prop_assert_eq!(time.duration_since(UNIX_EPOCH).unwrap(), micros);
            prop_assert_eq!(spelled.len(), "2026-11-22T00:12:54.216480Z".len());
        }
    }

    #[test]
    fn the_second_changes_when_it_does() {
        for (seconds, spelled) in [
            (0, "1970-01-01T00:00:00.000001Z"),
            (1_795_306_374, "2026-11-22T00:12:54.000001Z"),
            (1_795_306_375, "2026-11-22T00:12:55.000001Z"),
            (u64::MAX, "1970-01-01T00:00:00.000001Z"),
        ] {
            let line = line(Duration::new(seconds, 1_000), |_| ());
            assert!(line.contains(spelled), "{line}");
        }
    }

    #[test]
    fn the_time_looks_like_that_of_other_lines() {
        let mut other = String::new();
        let timer = tracing_subscriber::fmt::time::SystemTime;
        timer.format_time(&mut Writer::new(&mut other)).unwrap();
        let own = line(Duration::from_secs(1_795_306_374), |_| ());
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        assert!(
            shape(&own).contains(&format!("\"{}\"", shape(&other))),
            "{own} {other}"
        );
    }
}
