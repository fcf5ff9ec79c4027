//! A line of the deny list becomes words: bare ones, or `key=value` with the value in quotes.
//!
//! Only the spelling is looked at here. Whatever could be read in two ways (a quote inside of a bare
//! value, a `#` that may or may not begin a comment) is refused.

use std::borrow::Cow;

/// What is wrong with a line, and what to write. Never repeats a value.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) text: String,
    pub(super) fix: String,
}

impl Fault {
    pub(super) fn new(text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            fix: fix.into(),
        }
    }
}

/// `key=value`
#[derive(Debug)]
pub(super) struct Pair<'l> {
    pub(super) key: &'l str,
    pub(super) value: Cow<'l, str>,
}

/// The words of one line.
#[derive(Debug)]
pub(super) struct Words<'l> {
    rest: &'l str,
}

impl<'l> Words<'l> {
    /// # Errors
    ///
    /// A line that is not UTF-8, or holds what nobody can see.
    pub(super) fn of(line: &'l [u8]) -> Result<Self, Fault> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = str::from_utf8(line)
            .map_err(|_| Fault::new("it is not UTF-8", "save the file as UTF-8"))?;
        let invisible = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{feff}');
        if rest.contains(invisible) {
            let fix = "take it out, or write it as \\uXXXX inside of quotes";
            return Err(Fault::new("it holds a character that nobody can see", fix));
        }
        Ok(Self { rest })
    }

    /// The word that the line begins with; `None` for a line without an entry.
    pub(super) fn kind(&mut self) -> Option<&'l str> {
        self.skip_blanks();
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        let (kind, rest) = self.rest.split_at(end);
        if kind.is_empty() || kind.starts_with('#') {
            return None;
        }
        self.rest = rest;
        Some(kind)
    }

    /// The next `key=value`, until the line or its comment begins to end.
    ///
    /// # Errors
    ///
    /// Whatever is not written in one of the two ways.
    pub(super) fn pair(&mut self) -> Result<Option<Pair<'l>>, Fault> {
        self.skip_blanks();
        if self.rest.is_empty() || self.rest.starts_with('#') {
            return Ok(None);
        }
        let end = self.rest.find(|c: char| !is_key(c));
        let (key, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let Some(rest) = rest.strip_prefix('=').filter(|_| !key.is_empty()) else {
            let fix =
                "write key=value, without spaces around the \"=\"; a comment begins with \"#\"";
            return Err(Fault::new("a word in it is no key=value", fix));
        };
        self.rest = rest;
        let value = if rest.starts_with('"') {
            Cow::Owned(self.quoted(key)?)
        } else {
            Cow::Borrowed(self.bare(key)?)
        };
        if value.is_empty() {
            let fix = format!("write a value after \"{key}=\", or take the line out");
            return Err(Fault::new(format!("{key} is empty"), fix));
        }
        Ok(Some(Pair { key, value }))
    }

    fn bare(&mut self, key: &str) -> Result<&'l str, Fault> {
        let end = self.rest.find([' ', '\t']).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        let doubtful = |c: char| matches!(c, '"' | '\\' | '#') || c.is_whitespace();
        if value.contains(doubtful) {
            let text = format!("{key} holds one of \" \\ # or a space of another kind");
            let fix =
                format!("put the value in quotes: {key}=\"...\", or a space before the \"#\"");
            return Err(Fault::new(text, fix));
        }
        self.rest = rest;
        Ok(value)
    }

    /// A string with the escapes of JSON (RFC 8259 7).
    fn quoted(&mut self, key: &str) -> Result<String, Fault> {
        let mut read = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let Some(Ok(value)) = read.next() else {
            let text = format!("the quotes of {key} hold no string as JSON writes it");
            let fix = "end it with a quote, and write \\\" and \\\\ for quotes and backslashes";
            return Err(Fault::new(text, fix));
        };
        let rest = self.rest.get(read.byte_offset()..).unwrap_or_default();
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            let text = format!("something touches the closing quote of {key}");
            return Err(Fault::new(text, "put a space after the quote"));
        }
        self.rest = rest;
        Ok(value)
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }
}

fn is_key(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
}
