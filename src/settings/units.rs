//! Durations and sizes as people write them: `1h30m`, `500ms`, `64KiB`.
//!
//! Reads and writes the same notation, so that defaults and ranges in texts can be pasted back.
//! Bounds are the caller's business.

use std::time::Duration;

/// What a duration looks like, for the schema.
pub(super) const DURATION_PATTERN: &str = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";

/// What a duration or `off` looks like.
pub(super) const DURATION_OR_OFF_PATTERN: &str =
    r"^(off|([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";

const DURATION_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Reads `1h30m`: whole numbers, each with a unit, the largest unit first, each unit once.
///
/// # Errors
///
/// What to write instead.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const FIX: &str = "write a whole number and ms, s, m or h: \"500ms\", \"30s\", \"1h30m\"";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("write the unit too: \"{text}s\""));
    }
    let mut rest = text;
    let mut millis: u64 = 0;
    let mut units = DURATION_UNITS.iter();
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or(FIX)?;
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, tail) = after.split_at(end);
        // `find` on the same iterator goes only forward: no unit twice, and the larger ones first.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(FIX)?;
        millis = number
            .checked_mul(*factor)
            .and_then(|more| millis.checked_add(more))
            .ok_or("write a shorter time")?;
        rest = tail;
    }
    if text.is_empty() {
        return Err(FIX.to_owned());
    }
    Ok(Duration::from_millis(millis))
}

/// Reads `64KiB`, `1MiB` or a number of bytes.
///
/// # Errors
///
/// What to write instead.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    const FIX: &str = "write a whole number of bytes, or one with KiB, MiB or GiB: \"64KiB\"";
    let (number, unit) = split_number(text).ok_or(FIX)?;
    if unit.is_empty() {
        return Ok(number);
    }
    let Some((_, factor)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        let binary = unit.chars().next().map(|c| c.to_ascii_uppercase());
        return Err(match binary {
            Some(letter @ ('K' | 'M' | 'G')) => format!("write \"{number}{letter}iB\""),
            _ => FIX.to_owned(),
        });
    };
    number
        .checked_mul(*factor)
        .ok_or_else(|| "write a smaller size".to_owned())
}

/// Writes a duration as [`parse_duration`] reads it.
pub(super) fn duration_text(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS {
        if rest >= factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    text
}

/// Writes a size as [`parse_size`] reads it, in the largest unit that divides it.
pub(super) fn size_text(bytes: u64) -> String {
    SIZE_UNITS
        .iter()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map_or_else(
            || bytes.to_string(),
            |(unit, factor)| format!("{}{unit}", bytes / factor),
        )
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_written() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1h1m1s1ms", 3_661_001),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(duration_text(duration), text);
        }
    }

    #[test]
    fn other_durations_are_refused_with_the_notation() {
        for text in [
            "", "s", "1.5s", "30 s", "-1s", "1m1h", "1s1s", "1d", "1S", "٣s",
        ] {
            let fix = parse_duration(text).unwrap_err();
            assert!(fix.contains("\"1h30m\""), "{text}: {fix}");
        }
        assert_eq!(
            parse_duration("30").unwrap_err(),
            "write the unit too: \"30s\""
        );
        assert!(parse_duration("99999999999999999h").is_err());
        assert!(parse_duration("99999999999999999999999s").is_err());
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, bytes) in [
            ("0", 0),
            ("17B", 17),
            ("8KiB", 8192),
            ("1MiB", 1 << 20),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(size_text(bytes), text);
        }
        assert_eq!(parse_size("8192"), Ok(8192));
    }

    #[test]
    fn other_sizes_are_refused_with_the_notation() {
        assert_eq!(parse_size("64k").unwrap_err(), "write \"64KiB\"");
        assert_eq!(parse_size("1MB").unwrap_err(), "write \"1MiB\"");
        for text in ["", "KiB", "1.5MiB", "-1", "1 KiB", "1TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_size("99999999999999GiB").is_err());
    }
}
