//! Single values: words, durations, sizes and counts, each inside its range.
//!
//! A value that is refused becomes its default, so that the rest can be read on: the problem that
//! was reported keeps the settings from being used.

use std::collections::HashMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::settings::Enforcement;
use crate::settings::defaults::{self, Bounded, Bytes, Written};
use crate::settings::place::{At, Number, Place};
use crate::settings::problem::{Report, join};
use crate::settings::suggest::{instead, quoted};
use crate::settings::units::{parse_duration, parse_size};

/// One of a few words, `default` where nothing is written.
pub(super) fn word<T: Copy>(
    written: Option<&At<String>>,
    key: &str,
    words: &[(&str, T)],
    default: &str,
    report: &mut Report<'_>,
) -> Option<T> {
    let text = written.map_or(default, At::text);
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let place = written.map_or(&Place::Nowhere, |at| &at.place);
        // Versions are all near each other: which one was meant cannot be guessed.
        let fix = if text.starts_with(|c: char| c.is_ascii_digit()) {
            format!("write one of: {}", quoted(&allowed))
        } else {
            instead(text, &allowed, "write one of")
        };
        report.refuse(place, key, format!("{text:?} is not known here"), fix);
    }
    found.map(|(_, value)| *value)
}

/// A duration inside of `bounds`.
pub(super) fn duration(
    written: Option<&At<String>>,
    key: &str,
    bounds: &Bounded<Duration>,
    report: &mut Report<'_>,
) -> Duration {
    let Some(at) = written else {
        return bounds.default;
    };
    match parse_duration(at.text()) {
        Ok(duration) => within(duration, at, key, bounds, report),
        Err(fix) => {
            report.refuse(
                &at.place,
                key,
                format!("{:?} is no duration", at.text()),
                fix,
            );
            bounds.default
        }
    }
}

/// A duration inside of `bounds`, or `"off"`.
pub(super) fn duration_or_off(
    written: Option<&At<String>>,
    key: &str,
    bounds: &Bounded<Duration>,
    report: &mut Report<'_>,
) -> Option<Duration> {
    let at = written.filter(|at| at.text() != "off")?;
    if parse_duration(at.text()).is_err() {
        let text = format!("{:?} is no duration", at.text());
        report.refuse(&at.place, key, text, "write one such as \"5m\", or \"off\"");
        return None;
    }
    Some(duration(Some(at), key, bounds, report))
}

/// A number of bytes inside of `bounds`.
pub(super) fn size(
    written: Option<&At<Number>>,
    key: &str,
    bounds: &Bounded<Bytes>,
    report: &mut Report<'_>,
) -> u64 {
    let Some(at) = written else {
        return bounds.default.0;
    };
    let bytes = match &at.value {
        Number::Integer(bytes) => {
            u64::try_from(*bytes).map_err(|_| "write a number above zero".to_owned())
        }
        Number::Text(text) => parse_size(text),
    };
    match bytes {
        Ok(bytes) => within(Bytes(bytes), at, key, bounds, report).0,
        Err(fix) => {
            let shown = match &at.value {
                Number::Integer(number) => number.to_string(),
                Number::Text(text) => format!("{text:?}"),
            };
            report.refuse(&at.place, key, format!("{shown} is no size"), fix);
            bounds.default.0
        }
    }
}

/// A count inside of `bounds`.
pub(super) fn count(
    written: Option<&At<i64>>,
    key: &str,
    bounds: &Bounded<u32>,
    report: &mut Report<'_>,
) -> u32 {
    let Some(at) = written else {
        return bounds.default;
    };
    // A negative number, or one beyond `u32`, is outside of every range, on its own side.
    let limit = if at.value < 0 { 0 } else { u32::MAX };
    let number = u32::try_from(at.value).unwrap_or(limit);
    if i64::from(number) == at.value {
        return within(number, at, key, bounds, report);
    }
    out_of_range(&at.place, key, bounds, report);
    bounds.default
}

/// A path: relative ones start at `folder`.
pub(super) fn path(
    at: &At<String>,
    key: &str,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let text = at.text();
    if text.starts_with("-----BEGIN") {
        // the text may be a private key, so it is not quoted.
        report.refuse(
            &at.place,
            key,
            "holds PEM itself",
            "write the path of a PEM file",
        );
        return None;
    }
    if text.trim().is_empty() || text.contains('\0') {
        report.refuse(&at.place, key, "is no path", "write the path of a file");
        return None;
    }
    Some(folder.join(text))
}

/// The path that must be written in `table`.
pub(super) fn required_path(
    written: Option<&At<String>>,
    (table, place): (&str, &Place),
    key: &str,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<PathBuf> {
    let Some(at) = written else {
        let fix = format!("write {key} = \"...\", the path of a PEM file");
        report.missing(table, place, key, &fix);
        return None;
    };
    path(at, &join(table, key), folder, report)
}

fn within<T: Copy + Debug + PartialOrd + Written, W>(
    value: T,
    at: &At<W>,
    key: &str,
    bounds: &Bounded<T>,
    report: &mut Report<'_>,
) -> T {
    if value >= bounds.least && value <= bounds.most {
        return value;
    }
    out_of_range(&at.place, key, bounds, report);
    bounds.default
}

fn out_of_range<T: Written>(
    place: &Place,
    key: &str,
    bounds: &Bounded<T>,
    report: &mut Report<'_>,
) {
    let fix = format!(
        "write {} to {}; the default is {}",
        bounds.least.written(),
        bounds.most.written(),
        bounds.default.written()
    );
    report.refuse(place, key, "out of range", fix);
}

const LONGEST_NAME: usize = 64;

/// The name of a `[[peer]]` or an `[[issuer]]`, which nothing before it in `taken` has.
pub(super) fn name(
    written: Option<&At<String>>,
    (table, place): (&str, &Place),
    taken: &mut HashMap<String, String>,
    report: &mut Report<'_>,
) -> Option<Arc<str>> {
    let Some(at) = written else {
        let fix = "write name = \"...\": what logs and metrics shall call it";
        report.missing(table, place, "name", fix);
        return None;
    };
    let (key, text) = (join(table, "name"), at.text());
    // It becomes a label of metrics and a word in logs.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if text.is_empty() || text.len() > LONGEST_NAME || !text.bytes().all(plain) {
        let fix = "write 1 to 64 of a-z, A-Z, 0-9, '.', '-' and '_'";
        report.refuse(&at.place, &key, format!("{text:?} is no name"), fix);
        return None;
    }
    if let Some(other) = taken.get(text) {
        let text = format!("{other} is named {text:?} already");
        report.refuse(&at.place, &key, text, "write another name");
        return None;
    }
    taken.insert(text.to_owned(), table.to_owned());
    Some(text.into())
}

/// `enforce`, with a warning that cannot be overlooked where it lets anything through.
pub(super) fn enforcement(
    written: Option<&At<String>>,
    key: &str,
    report: &mut Report<'_>,
) -> Option<Enforcement> {
    let words = [
        ("refuse", Enforcement::Refuse),
        ("report", Enforcement::Report),
    ];
    let enforcement = word(written, key, &words, defaults::ENFORCE, report)?;
    if let (Some(at), Enforcement::Report) = (written, enforcement) {
        let text = "report mode: what would be refused is let through, and every request that comes \
                    this way reaches the service";
        let fix = "write \"refuse\" once sidegate_would_refuse_total stands still";
        report.warn(&at.place, key, text, fix);
    }
    Some(enforcement)
}
