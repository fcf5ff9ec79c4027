//! Puts what the TOML parser says into the form of every other problem.
//!
//! A text that is no TOML has no keys yet: the key is read off the line by eye, as a person would.

use toml::de::Error;

use super::place::Place;
use super::problem::Report;

/// After a few the parser only stumbles over the first one again.
const MOST_SHOWN: usize = 5;

/// Reports the first few of `errors`, one for each line.
pub(super) fn report(errors: &[Error], report: &mut Report<'_>) {
    let text = report.text();
    let mut last_line = None;
    for error in errors.iter().take(MOST_SHOWN) {
        let start = error.span().map_or(0, |span| span.start);
        let line_start = text
            .get(..start)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |newline| newline + 1);
        if last_line == Some(line_start) {
            continue;
        }
        last_line = Some(line_start);
        let line = text.get(line_start..).and_then(|rest| rest.lines().next());
        let line = line.unwrap_or_default();
        let key = key_at(text, line_start, line);
        let (said, fix) = explain(error.message(), line);
        report.refuse(&Place::Text(start), &key, said, fix);
    }
}

/// The path of the key on `line`, as far as the text before tells.
fn key_at(text: &str, line_start: usize, line: &str) -> String {
    let header = |line: &str| {
        let inner = line.trim().strip_prefix('[')?;
        let inner = inner.strip_prefix('[').unwrap_or(inner);
        inner.split(']').next().map(|name| name.trim().to_owned())
    };
    if let Some(table) = header(line) {
        return table;
    }
    let before = text.get(..line_start).unwrap_or_default();
    let table = before.lines().rev().find_map(header).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if table.is_empty() => key.trim().to_owned(),
        Some((key, _)) => format!("{table}.{}", key.trim()),
        None => table,
    }
}

/// The parser's words, and what to do about them.
fn explain(message: &str, line: &str) -> (String, String) {
    let trimmed = line.trim();
    if message == "duplicate key" {
        let fix = match trimmed.strip_prefix('[') {
            Some(_) if matches!(trimmed, "[peer]" | "[issuer]") => {
                format!("write [{trimmed}], with two brackets, for each")
            }
            Some(_) => "put the keys of both into one section".to_owned(),
            None => "keep one of the two".to_owned(),
        };
        return ("written twice".to_owned(), fix);
    }
    if let Some((key, value)) = trimmed.split_once('=') {
        let (key, value) = (
            key.trim(),
            value.split('#').next().unwrap_or_default().trim(),
        );
        let plain = |c: char| c.is_ascii_alphanumeric() || ".:/_-*".contains(c);
        // SECURITY: a secret written without quotes must not come back in a text. Guarded by
        // `a_line_with_a_secret_is_never_quoted`.
        let is_private = line.contains("secret") || line.contains("keys");
        if !value.is_empty() && value.chars().all(plain) && !is_private {
            return (
                "not TOML: a string needs quotes".to_owned(),
                format!("write {key} = \"{value}\""),
            );
        }
        if value.is_empty() {
            return (
                "not TOML: the value is missing".to_owned(),
                format!("write {key} = \"...\", or take the line out"),
            );
        }
    }
    let fix = "see https://toml.io/en/v1.0.0 for how values and tables are written";
    (format!("not TOML: {message}"), fix.to_owned())
}
