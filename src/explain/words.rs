//! Values become words: times with their distance from now, texts quoted and cut, lists.

use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::model::Timestamp;

/// The longest value shown. A claim is somebody's words and may be of any length.
const SHOWN: usize = 160;

/// A moment as a number, as a date and as seen from `now`.
pub(super) fn when(moment: Timestamp, now: Timestamp) -> String {
    let seconds = moment.unix();
    let Some(date) = date(moment) else {
        return format!("{seconds}, which is no date");
    };
    format!("{seconds} ({date}, {})", distance(moment, now))
}

/// A moment as a date; `None` beyond the year 9999.
pub(super) fn date(moment: Timestamp) -> Option<String> {
    let seconds = i64::try_from(moment.unix()).ok()?;
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    moment.format(&Rfc3339).ok()
}

fn distance(moment: Timestamp, now: Timestamp) -> String {
    let (ahead, behind) = (moment.since(now), now.since(moment));
    if !ahead.is_zero() {
        format!("in {}", about(ahead))
    } else if !behind.is_zero() {
        format!("{} ago", about(behind))
    } else {
        "now".to_owned()
    }
}

/// A duration in its largest fitting unit.
pub(super) fn about(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// A duration as the configuration writes it, whole and never shorter than it is.
pub(super) fn written(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A text in quotes, cut where it is long; what could break a line or move a cursor is escaped.
pub(super) fn quoted(text: &str) -> String {
    let cut = text.char_indices().nth(SHOWN).map(|(at, _)| at);
    match cut.and_then(|at| text.get(..at)) {
        Some(start) => format!("{start:?}... ({} bytes)", text.len()),
        None => format!("{text:?}"),
    }
}

/// Texts in quotes, with commas between.
pub(super) fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = texts.into_iter().map(|it| quoted(it.as_ref())).collect();
    if all.is_empty() {
        "none".to_owned()
    } else {
        all.join(", ")
    }
}

/// A list as TOML writes it.
pub(super) fn array<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = texts
        .into_iter()
        .map(|it| format!("{:?}", it.as_ref()))
        .collect();
    format!("[{}]", all.join(", "))
}

/// A claim as it is written, cut where it is long.
pub(super) fn claim(value: Option<&Value>) -> String {
    match value {
        None => "missing".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(value) => {
            let text = value.to_string();
            let cut = text.char_indices().nth(SHOWN).map(|(at, _)| at);
            match cut.and_then(|at| text.get(..at)) {
                Some(start) => format!("{}... ({} bytes)", visible(start), text.len()),
                None => visible(&text),
            }
        }
    }
}

/// What could break a line, move a cursor or turn the direction of writing, escaped; JSON leaves most
/// of it as it is.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

/// How two texts that are compared whole differ, where the difference is a known trap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Difference {
    /// `https://h/` where `h` is expected.
    UriForHost,
    /// `h` where `https://h/` is expected.
    HostForUri,
    /// Only a slash at the end.
    Slash,
    /// Only upper and lower case.
    Case,
    /// `http` and `https`.
    Scheme,
    /// Blanks at an end.
    Blanks,
    /// Something else.
    Other,
}

impl Difference {
    pub(super) fn between(found: &str, expected: &str) -> Self {
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        let host = |uri: &str| uri.strip_prefix("https://").map(bare);
        let rest = |uri: &str| uri.split_once("://").map(|(_, rest)| bare(rest));
        if host(found).is_some_and(|host| host == expected) {
            Self::UriForHost
        } else if host(expected).is_some_and(|host| host == found) {
            Self::HostForUri
        } else if bare(found) == bare(expected) {
            Self::Slash
        } else if found.trim() == expected.trim() {
            Self::Blanks
        } else if found.eq_ignore_ascii_case(expected) {
            Self::Case
        } else if rest(found).is_some() && rest(found) == rest(expected) {
            Self::Scheme
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_claim_reaches_the_terminal_as_a_command() {
        let wild = "\u{7f}\u{9b}31m\u{202e}\u{2066}\u{1b}]0;x\u{7}\u{2028}";
        for value in [
            serde_json::json!(wild),
            serde_json::json!([wild]),
            serde_json::json!({ wild: [{ "a": wild }] }),
        ] {
            let shown = claim(Some(&value));
            let plain = |c: char| c == ' ' || c.is_ascii_graphic();
            assert!(shown.chars().all(plain), "{shown:?}");
        }
        let list = serde_json::json!(["it's", "a\"b", "José"]);
        assert_eq!(claim(Some(&list)), r#"["it's","a\"b","José"]"#);
    }

    #[test]
    fn a_moment_is_a_number_a_date_and_a_distance() {
        let now = Timestamp::from_unix(1_800_000_000);
        let text = when(Timestamp::from_unix(1_799_999_760), now);
        assert_eq!(text, "1799999760 (2027-01-15T07:56:00Z, 4 minutes ago)");
        assert!(when(now, now).ends_with("now)"));
        assert!(when(now.plus(Duration::from_secs(1)), now).ends_with("in 1 second)"));
        let never = Timestamp::from_unix(u64::MAX);
        assert!(when(never, now).ends_with("which is no date"));
    }

    #[test]
    fn traps_between_two_names_are_told_apart() {
        for (found, expected, difference) in [
            ("https://h/", "h", Difference::UriForHost),
            ("https://h", "h", Difference::UriForHost),
            ("h", "https://h/", Difference::HostForUri),
            ("https://h/", "https://h", Difference::Slash),
            ("http://h/", "https://h/", Difference::Scheme),
            ("H", "h", Difference::Case),
            (" h", "h", Difference::Blanks),
            ("other", "h", Difference::Other),
        ] {
            assert_eq!(Difference::between(found, expected), difference, "{found}");
        }
    }

    #[test]
    fn long_texts_are_cut_and_strange_ones_escaped() {
        assert_eq!(quoted("a\n\u{1b}"), "\"a\\n\\u{1b}\"");
        let long = "é".repeat(500);
        assert!(quoted(&long).len() < 400);
        assert!(quoted(&long).ends_with("(1000 bytes)"));
        assert!(claim(Some(&Value::from(vec![1; 500]))).len() < 200);
    }
}
