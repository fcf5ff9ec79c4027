//! What is wrong with a configuration, in words that say what to write instead.
//!
//! The parsers put everything into a [`Report`], so that one start shows every mistake. No secret
//! may get into a text: lines that name one are never quoted.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::place::Place;

/// One thing wrong, or worth a warning, with the place where it is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The file; or the flag or environment variable that was set.
    pub file: String,
    /// The line, from 1; `None` where there is none to point at.
    pub line: Option<usize>,
    /// The column in characters, from 1.
    pub column: Option<usize>,
    /// The whole path of the key, such as `peer[0].uri`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub text: String,
    /// What to write instead.
    pub fix: String,
    /// The line of the file, where it can be shown.
    pub source: Option<String>,
}

/// Something that starts, and that the operator should know.
pub type Warning = Problem;

/// Everything that keeps a configuration from being used.
#[derive(Clone, Debug, thiserror::Error)]
pub struct SettingsError {
    /// At least one, in the order of the lines.
    pub problems: Vec<Problem>,
}

/// Gathers problems while a text is read.
#[derive(Debug)]
pub(super) struct Report<'t> {
    name: &'t str,
    text: &'t str,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
    /// Tables in which something was dropped that could not be understood. What is missing there
    /// was perhaps only misspelled, so its absence is not worth a text of its own.
    gaps: BTreeSet<String>,
}

/// Longer source lines help nobody on a terminal.
const LONGEST_SOURCE_LINE: usize = 160;

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.text)?;
        if !self.fix.is_empty() {
            write!(f, "; {}", self.fix)?;
        }
        if let (Some(source), Some(column)) = (&self.source, self.column) {
            let indent = column.saturating_sub(1);
            write!(f, "\n    {source}\n    {:indent$}^", "")?;
        }
        Ok(())
    }
}

// === impl SettingsError ===

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl SettingsError {
    /// One problem outside of any file's text.
    pub(super) fn outside(file: &str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            problems: vec![Problem {
                file: file.to_owned(),
                line: None,
                column: None,
                key: String::new(),
                text: text.into(),
                fix: fix.into(),
                source: None,
            }],
        }
    }
}

// === impl Report ===

impl<'t> Report<'t> {
    pub(super) const fn new(name: &'t str, text: &'t str) -> Self {
        Self {
            name,
            text,
            problems: Vec::new(),
            warnings: Vec::new(),
            gaps: BTreeSet::new(),
        }
    }

    /// The text under examination.
    pub(super) const fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn refuse(
        &mut self,
        place: &Place,
        key: &str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let problem = self.problem(place, key, text.into(), fix.into());
        self.problems.push(problem);
    }

    pub(super) fn warn(
        &mut self,
        place: &Place,
        key: &str,
        text: impl Into<String>,
        fix: impl Into<String>,
    ) {
        let warning = self.problem(place, key, text.into(), fix.into());
        self.warnings.push(warning);
    }

    /// Refuses the absence of `key` in `table`, unless it was perhaps only misspelled. Where the
    /// table itself is not there, the end of the file is shown: that is where it can be written.
    pub(super) fn missing(&mut self, table: &str, place: &Place, key: &str, fix: &str) {
        if self.has_gap(table) || self.has_gap("") && matches!(place, Place::Nowhere) {
            return;
        }
        let end = Place::Text(self.text.trim_end().len());
        let place = if let Place::Nowhere = place {
            &end
        } else {
            place
        };
        self.refuse(place, &join(table, key), "missing", fix);
    }

    pub(super) fn gap(&mut self, table: &str) {
        self.gaps.insert(table.to_owned());
    }

    pub(super) fn has_gap(&self, table: &str) -> bool {
        self.gaps.contains(table)
    }

    /// The problems in the order of the file, or the warnings in that order.
    pub(super) fn finish(mut self) -> Result<Vec<Warning>, SettingsError> {
        let order = |problem: &Problem| (problem.line, problem.column);
        self.problems.sort_by_key(order);
        self.warnings.sort_by_key(order);
        if self.problems.is_empty() {
            Ok(self.warnings)
        } else {
            Err(SettingsError {
                problems: self.problems,
            })
        }
    }

    fn problem(&self, place: &Place, key: &str, text: String, fix: String) -> Problem {
        let (file, position) = match place {
            Place::Text(offset) => (self.name.to_owned(), Some(locate(self.text, *offset))),
            Place::Origin(origin) => (Arc::clone(origin).to_string(), None),
            Place::Nowhere => (self.name.to_owned(), None),
        };
        Problem {
            file,
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            key: key.to_owned(),
            text,
            fix,
            // SECURITY: what stands in `keys` may be a secret by mistake. Guarded by
            // `a_line_with_a_secret_is_never_quoted`.
            source: position
                .filter(|_| !key.contains(".keys"))
                .and_then(|(line, _)| quotable(self.text, line)),
        }
    }
}

/// `key` below `table`; a key that is not bare is quoted as TOML would have it.
pub(super) fn join(table: &str, key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let dot = if table.is_empty() { "" } else { "." };
    if !key.is_empty() && key.bytes().all(bare) {
        format!("{table}{dot}{key}")
    } else {
        format!("{table}{dot}{key:?}")
    }
}

/// Line and column, both from 1, of a byte of `text`.
fn locate(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or("").chars().count() + 1;
    (line, column)
}

/// The line, where it may and can be shown.
fn quotable(text: &str, line: usize) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)?)?;
    // SECURITY: an operator who mistakes `secret = "file"` for the secret itself must not find it
    // in the logs of the build. Guarded by `a_line_with_a_secret_is_never_quoted`.
    if source.contains("secret") || source.contains("keys") || source.trim().is_empty() {
        return None;
    }
    let shown: String = source
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    (shown.chars().count() <= LONGEST_SOURCE_LINE).then(|| shown.trim_end().to_owned())
}
