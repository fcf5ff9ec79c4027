//! The deny list: a text file becomes what is refused although everything else about it is good.
//!
//! A file is used whole or not at all: one line that cannot be understood may be the one that
//! matters. Entries are keyed on what certificates and tokens *say*, never on a token's bytes: an
//! ECDSA signature has a twin that verifies as well. Every lookup compares whole texts and costs the
//! same for one entry and for a million. No error text repeats a value of the list.

mod entry;
mod word;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::file;
use crate::model::Timestamp;

use self::entry::{Entry, What};

/// More than a list of a million entries needs; what is larger is the wrong file.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Everything that is denied. Empty where no list is configured.
#[derive(Debug, Default)]
pub struct DenyList {
    certificates: Certificates,
    /// By the configuration's name of the issuer.
    issuers: HashMap<Arc<str>, Tokens, ahash::RandomState>,
    entries: usize,
}

/// A line of the list, counted from 1: what a log may say of an entry.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Line(u32);

/// What a certificate says of itself, as far as an entry can name it.
#[derive(Clone, Copy, Debug)]
pub struct CertificateFacts<'a> {
    /// SHA-256 of the whole certificate.
    pub sha256: &'a [u8; 32],
    /// The serial number in lower-case hex.
    pub serial: &'a str,
    /// The issuer's distinguished name, whole.
    pub issuer: &'a str,
    /// URI SANs.
    pub uri: &'a [String],
}

/// What a verified token says of itself, as far as an entry can name it.
#[derive(Clone, Copy, Debug)]
pub struct TokenFacts<'a> {
    /// The configuration's name of its issuer.
    pub issuer: &'a str,
    /// The key ring's own name for the key that verified it.
    pub kid: Option<&'a str>,
    /// `jti`
    pub id: Option<&'a str>,
    /// `sub`
    pub subject: Option<&'a str>,
    /// `sid`
    pub session: Option<&'a str>,
    /// `iat`
    pub issued: Option<Timestamp>,
}

/// Why a list cannot be used: the first line that breaks a rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {text}; {fix}")]
pub struct DenyListError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub text: String,
    /// What to write instead.
    pub fix: String,
}

/// Why a list could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadDenyListError {
    /// The file cannot be read.
    #[error("deny.file: cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large to be a deny list.
    #[error("deny.file: {} is larger than 256 MiB, which no deny list is", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line of it cannot be used, and so none is.
    #[error("deny.file: {} cannot be used, and so none of its entries is", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        source: DenyListError,
    },
}

/// The entries about certificates.
#[derive(Debug, Default)]
struct Certificates {
    sha256: Terms<[u8; 32]>,
    /// By the issuer's name without spaces, then by serial number without leading zeros.
    serial: HashMap<Box<str>, Terms<Box<str>>, ahash::RandomState>,
    uri: Terms<Box<str>>,
}

/// The entries about one issuer's tokens.
#[derive(Debug, Default)]
struct Tokens {
    kid: Terms<Box<str>>,
    id: Terms<Box<str>>,
    subject: Terms<Box<str>>,
    session: Terms<Box<str>>,
    /// Latest first; see [`Tokens::prune`].
    issued_before: Vec<(Timestamp, Term)>,
}

type Terms<K> = HashMap<K, Term, ahash::RandomState>;

/// Where an entry stands, and when it ends.
#[derive(Clone, Copy, Debug)]
struct Term {
    /// The first moment at which it denies nothing any more; the end of time for most.
    until: Timestamp,
    line: Line,
}

// === impl DenyList ===

impl DenyList {
    /// Reads the file at `path`.
    ///
    /// # Errors
    ///
    /// [`LoadDenyListError`], naming the file and the line.
    pub fn load(path: &Path, issuers: &[Arc<str>]) -> Result<Self, LoadDenyListError> {
        let path = || path.to_owned();
        let bytes = file::read(&path(), MAX_FILE_BYTES).map_err(|source| {
            if source.kind() == ErrorKind::FileTooLarge {
                LoadDenyListError::TooLarge { path: path() }
            } else {
                LoadDenyListError::Read {
                    path: path(),
                    source,
                }
            }
        })?;
        Self::parse(&bytes, issuers).map_err(|source| LoadDenyListError::Unusable {
            path: path(),
            source,
        })
    }

    /// Reads the text of a list. `issuers` are the names that its entries may use.
    ///
    /// # Errors
    ///
    /// [`DenyListError`] for the first line that is not wholly understood. Nothing is used then.
    pub fn parse(text: &[u8], issuers: &[Arc<str>]) -> Result<Self, DenyListError> {
        let mut list = Self::default();
        if text.is_empty() {
            return Err(whole(
                1,
                "the file is empty, as one that is just being written is",
            ));
        }
        // SECURITY: guarded by `one_broken_line_refuses_the_whole_list`. Never the good lines alone.
        for (number, line) in (1_u32..).zip(text.split(|byte| *byte == b'\n')) {
            let entry = entry::parse(line, issuers).map_err(|fault| DenyListError {
                line: number as usize,
                text: fault.text,
                fix: fault.fix,
            })?;
            if let Some(entry) = entry {
                list.add(entry, Line(number));
            }
        }
        if !text.ends_with(b"\n") {
            let line = text.split(|byte| *byte == b'\n').count();
            return Err(whole(line, "it has no line end, so it may be half of one"));
        }
        for tokens in list.issuers.values_mut() {
            tokens.prune();
        }
        Ok(list)
    }

    fn add(&mut self, entry: Entry, line: Line) {
        self.entries += 1;
        let term = Term {
            until: entry.until,
            line,
        };
        let (issuer, what) = match entry.what {
            What::Sha256(sha256) => return put(&mut self.certificates.sha256, sha256, term),
            What::Serial { serial, issuer } => {
                let of_issuer = self.certificates.serial.entry(issuer).or_default();
                return put(of_issuer, serial, term);
            }
            What::Uri(uri) => return put(&mut self.certificates.uri, uri, term),
            What::Token { issuer, what } => (issuer, what),
        };
        let tokens = self.issuers.entry(issuer).or_default();
        match what {
            entry::TokenWhat::Kid(text) => put(&mut tokens.kid, text, term),
            entry::TokenWhat::Id(text) => put(&mut tokens.id, text, term),
            entry::TokenWhat::Subject(text) => put(&mut tokens.subject, text, term),
            entry::TokenWhat::Session(text) => put(&mut tokens.session, text, term),
            entry::TokenWhat::IssuedBefore(time) => tokens.issued_before.push((time, term)),
        }
    }

    /// The line that denies this certificate at the time `now`, if one does.
    #[must_use]
    pub fn denies_certificate(
        &self,
        certificate: CertificateFacts<'_>,
        now: Timestamp,
    ) -> Option<Line> {
        let Certificates {
            sha256,
            serial,
            uri,
        } = &self.certificates;
        if let Some(line) = find(sha256, certificate.sha256, now) {
            return Some(line);
        }
        let mut by_uri = certificate.uri.iter();
        if let Some(line) = by_uri.find_map(|name| find(uri, name.as_str(), now)) {
            return Some(line);
        }
        // Most lists have none of these, and then nothing is copied.
        let of_issuer = (!serial.is_empty()).then(|| entry::bare_name(certificate.issuer));
        let of_issuer = serial.get(of_issuer?.as_str())?;
        find(of_issuer, entry::bare_serial(certificate.serial), now)
    }

    /// The line that denies this token at the time `now`, if one does.
    #[must_use]
    pub fn denies_token(&self, token: TokenFacts<'_>, now: Timestamp) -> Option<Line> {
        let known = self.issuers.get(token.issuer)?;
        for (terms, text) in [
            (&known.kid, token.kid),
            (&known.id, token.id),
            (&known.subject, token.subject),
            (&known.session, token.session),
        ] {
            if let Some(line) = text.and_then(|text| find(terms, text, now)) {
                return Some(line);
            }
        }
        // SECURITY: a token without `iat` may be as old as any. Guarded by
        // `a_token_that_does_not_say_when_it_was_issued_was_issued_before`.
        let denies = |(time, term): &&(Timestamp, Term)| {
            now < term.until && token.issued.is_none_or(|issued| issued < *time)
        };
        let found = known.issued_before.iter().find(denies);
        found.map(|(_, term)| term.line)
    }

    /// Whether it denies keys of this issuer by their name.
    #[must_use]
    pub fn names_keys_of(&self, issuer: &str) -> bool {
        let known = self.issuers.get(issuer);
        known.is_some_and(|tokens| !tokens.kid.is_empty())
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether it denies nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How many entries deny something no more at the time `now`; of several about the same thing
    /// only the one that lasts longest is counted.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> usize {
        fn among<K>(terms: &Terms<K>, now: Timestamp) -> usize {
            terms.values().filter(|term| term.until <= now).count()
        }
        let Certificates {
            sha256,
            serial,
            uri,
        } = &self.certificates;
        let serials: usize = serial.values().map(|terms| among(terms, now)).sum();
        let tokens = |tokens: &Tokens| {
            let times = tokens.issued_before.iter();
            among(&tokens.kid, now)
                + among(&tokens.id, now)
                + among(&tokens.subject, now)
                + among(&tokens.session, now)
                + times.filter(|(_, term)| term.until <= now).count()
        };
        let tokens: usize = self.issuers.values().map(tokens).sum();
        among(sha256, now) + serials + among(uri, now) + tokens
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Line {
    /// The bare number, for a log field.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

// === impl Tokens ===

impl Tokens {
    /// Leaves only the times that say something: one that is earlier than another and ends no later
    /// never decides. What is left is a stair, and few are ever more than one step.
    fn prune(&mut self) {
        self.issued_before
            .sort_by_key(|(time, term)| std::cmp::Reverse((*time, term.until)));
        let mut longest = None;
        self.issued_before.retain(|(_, term)| {
            let more = longest.is_none_or(|until| term.until > until);
            if more {
                longest = Some(term.until);
            }
            more
        });
    }
}

/// A list that may not be all there. SECURITY: guarded by
/// `a_list_that_may_be_half_written_is_refused`: `curl > deny.list` would deny nothing while it runs.
fn whole(line: usize, text: &str) -> DenyListError {
    DenyListError {
        line,
        text: text.to_owned(),
        fix: "end the last line as well, and to deny nothing write one: # nobody".to_owned(),
    }
}

/// Of two entries about the same thing the one that lasts longer counts.
fn put<K: Eq + std::hash::Hash>(terms: &mut Terms<K>, key: K, term: Term) {
    let known = terms.entry(key).or_insert(term);
    if known.until < term.until {
        *known = term;
    }
}

fn find<K, Q>(terms: &Terms<K>, key: &Q, now: Timestamp) -> Option<Line>
where
    K: std::borrow::Borrow<Q> + Eq + std::hash::Hash,
    Q: Eq + std::hash::Hash + ?Sized,
{
    let term = terms.get(key)?;
    (now < term.until).then_some(term.line)
}
