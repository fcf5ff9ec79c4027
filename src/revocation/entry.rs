//! The words of a line become one entry: what it denies, and until when.
//!
//! A line that names an unknown kind, key or issuer, or lacks a key, is refused with what to write.
//! Keys and issuer names of an entry are repeated in error texts; other values, which may be
//! personal, are not.

use std::borrow::Cow;
use std::sync::Arc;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::word::{Fault, Pair, Words};
use crate::model::Timestamp;
use crate::settings::instead;

/// One line of the list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) until: Timestamp,
}

/// What it denies.
#[derive(Debug)]
pub(super) enum What {
    /// A certificate, by its fingerprint.
    Sha256([u8; 32]),
    /// A certificate, by its number and who gave it that number.
    Serial {
        /// Without leading zeros.
        serial: Box<str>,
        /// The issuer's distinguished name, without spaces.
        issuer: Box<str>,
    },
    /// Certificates with this URI SAN.
    Uri(Box<str>),
    /// Tokens of an issuer.
    Token {
        /// The configuration's name of the issuer.
        issuer: Arc<str>,
        /// Which of them.
        what: TokenWhat,
    },
}

/// Which tokens of an issuer.
#[derive(Debug)]
pub(super) enum TokenWhat {
    /// Verified by a key of this name.
    Kid(Box<str>),
    /// With this `jti`.
    Id(Box<str>),
    /// About this `sub`.
    Subject(Box<str>),
    /// Of the session `sid`.
    Session(Box<str>),
    /// With an earlier `iat`, or without one.
    IssuedBefore(Timestamp),
}

/// An entry without `until`.
const FOR_EVER: Timestamp = Timestamp::from_unix(u64::MAX);

/// Each kind, how it is written, and the keys that it may have beside `until`.
const KINDS: [(&str, &str, &[&str]); 6] = [
    (
        "certificate",
        "certificate sha256=..., certificate serial=... issuer=\"...\", or certificate uri=...",
        &["sha256", "serial", "issuer", "uri"],
    ),
    ("kid", "kid issuer=NAME kid=...", &["issuer", "kid"]),
    ("jti", "jti issuer=NAME jti=...", &["issuer", "jti"]),
    ("sub", "sub issuer=NAME sub=...", &["issuer", "sub"]),
    ("sid", "sid issuer=NAME sid=...", &["issuer", "sid"]),
    (
        "issued-before",
        "issued-before issuer=NAME time=2026-01-31T12:00:00Z",
        &["issuer", "time"],
    ),
];

/// Reads a line; `None` for one that holds no entry.
pub(super) fn parse(line: &[u8], issuers: &[Arc<str>]) -> Result<Option<Entry>, Fault> {
    let mut words = Words::of(line)?;
    let Some(word) = words.kind() else {
        return Ok(None);
    };
    let Some((kind, form, keys)) = KINDS.iter().find(|(kind, _, _)| *kind == word) else {
        let names = KINDS.map(|(kind, _, _)| kind);
        // SECURITY: never quoted. The path may lead to another file by mistake, and its first word
        // may be a key. Guarded by `an_error_does_not_repeat_what_the_list_says_of_people`.
        let text = "it begins with no kind of entry";
        return Err(Fault::new(text, instead(word, &names, "write one of")));
    };
    let mut fields = Fields::read(&mut words, kind, form, keys)?;
    let until = match fields.take("until") {
        Some(text) => until(&text)?,
        None => FOR_EVER,
    };
    let what = match *kind {
        "certificate" => fields.certificate()?,
        "issued-before" => What::Token {
            issuer: fields.issuer(issuers)?,
            what: TokenWhat::IssuedBefore(moment(&fields.need("time")?, "time")?),
        },
        claim => What::Token {
            issuer: fields.issuer(issuers)?,
            what: by_claim(claim)(fields.need(claim)?.into()),
        },
    };
    fields.nothing_left()?;
    Ok(Some(Entry { what, until }))
}

fn by_claim(claim: &str) -> fn(Box<str>) -> TokenWhat {
    match claim {
        "kid" => TokenWhat::Kid,
        "jti" => TokenWhat::Id,
        "sub" => TokenWhat::Subject,
        _ => TokenWhat::Session,
    }
}

/// The pairs of one line, each taken out as it is understood.
struct Fields<'l> {
    kind: &'static str,
    form: &'static str,
    pairs: Vec<Pair<'l>>,
}

impl<'l> Fields<'l> {
    fn read(
        words: &mut Words<'l>,
        kind: &'static str,
        form: &'static str,
        keys: &[&str],
    ) -> Result<Self, Fault> {
        let mut pairs: Vec<Pair<'l>> = Vec::with_capacity(3);
        while let Some(pair) = words.pair()? {
            if pair.key != "until" && !keys.contains(&pair.key) {
                let text = format!("{kind} has no {}", quoted(pair.key));
                return Err(Fault::new(text, format!("write {form}")));
            }
            // Which of the two would count? Neither.
            if pairs.iter().any(|earlier| earlier.key == pair.key) {
                let text = format!("{} is written twice", pair.key);
                return Err(Fault::new(
                    text,
                    "write it once, and a second entry on a line of its own",
                ));
            }
            pairs.push(pair);
        }
        Ok(Self { kind, form, pairs })
    }

    fn take(&mut self, key: &str) -> Option<Cow<'l, str>> {
        let at = self.pairs.iter().position(|pair| pair.key == key)?;
        Some(self.pairs.swap_remove(at).value)
    }

    fn need(&mut self, key: &str) -> Result<Cow<'l, str>, Fault> {
        self.take(key).ok_or_else(|| {
            let text = format!("{} needs {key}", self.kind);
            Fault::new(text, format!("write {}", self.form))
        })
    }

    fn issuer(&mut self, issuers: &[Arc<str>]) -> Result<Arc<str>, Fault> {
        let name = self.need("issuer")?;
        let known = issuers.iter().find(|known| ***known == *name);
        known.cloned().ok_or_else(|| {
            let names: Vec<&str> = issuers.iter().map(|name| &**name).collect();
            let text = format!("no [[issuer]] is named {}", quoted(&name));
            Fault::new(text, instead(&name, &names, "write one of"))
        })
    }

    fn certificate(&mut self) -> Result<What, Fault> {
        if let Some(text) = self.take("sha256") {
            let fix =
                "write the SHA-256 of the whole certificate: 64 digits, colons between or not";
            let digits = hex(&text).ok_or_else(|| Fault::new("sha256 is no hex", fix))?;
            let sha256 = fingerprint(&digits);
            return sha256
                .map(What::Sha256)
                .ok_or_else(|| Fault::new("sha256 has not 64 digits", fix));
        }
        if let Some(uri) = self.take("uri") {
            return Ok(What::Uri(uri.into()));
        }
        let serial = self.need("serial")?;
        let digits = hex(&serial).ok_or_else(|| {
            let fix = "write it as `openssl x509 -serial` prints it, colons between or not";
            Fault::new("serial is no hex", fix)
        })?;
        let issuer = self.need("issuer")?;
        // Tools disagree about what they put in quotes and what they escape, and an entry that is
        // compared with another spelling never denies anything.
        if issuer.contains(['"', '\\']) {
            let text =
                "the CA's name holds a quote or a backslash, which each tool writes otherwise";
            let fix = "name the certificate by sha256=... (openssl x509 -fingerprint -sha256)";
            return Err(Fault::new(text, fix));
        }
        Ok(What::Serial {
            serial: bare_serial(&digits).into(),
            issuer: bare_name(&issuer).into(),
        })
    }

    /// Two ways to name one certificate, say: which one would count?
    fn nothing_left(&self) -> Result<(), Fault> {
        let Some(pair) = self.pairs.first() else {
            return Ok(());
        };
        let text = format!("{} does not go with the other keys of this line", pair.key);
        Err(Fault::new(text, format!("write {}", self.form)))
    }
}

/// Digits in lower case, colons taken out; `None` where there is anything else, or nothing.
fn hex(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| digits.to_ascii_lowercase())
}

/// A serial number as every tool prints it: some write a zero before it.
pub(super) fn bare_serial(digits: &str) -> &str {
    digits.trim_start_matches('0')
}

/// What openssl calls the parts of a name, where x509-parser calls them otherwise.
const PARTS: [(&str, &str); 10] = [
    ("emailAddress", "Email"),
    ("SN", "surname"),
    ("GN", "givenName"),
    ("UID", "uid"),
    ("street", "streetAddress"),
    ("pseudonym", "OID(2.5.4.65)"),
    ("organizationIdentifier", "OID(2.5.4.97)"),
    ("jurisdictionL", "msJurisdictionLocality"),
    ("jurisdictionST", "msJurisdictionStateOrProvince"),
    ("jurisdictionC", "msJurisdictionCountry"),
];

/// A distinguished name as every tool prints it: some put spaces around the `=`, and some have names
/// of their own for its parts. The number beside it keeps two names that differ in no more than that
/// apart well enough.
pub(super) fn bare_name(name: &str) -> String {
    let name: String = name.chars().filter(|c| *c != ' ').collect();
    let part = |part: &str| {
        let (kind, value) = part.split_once('=')?;
        let (_, known) = PARTS.iter().find(|(openssl, _)| *openssl == kind)?;
        Some(format!("{known}={value}"))
    };
    let parts = name.split_inclusive([',', '+']);
    parts
        .map(|one| part(one).unwrap_or_else(|| one.to_owned()))
        .collect()
}

fn fingerprint(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != bytes.len() * 2 {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The first moment after the entry: a date means the whole of that day.
fn until(text: &str) -> Result<Timestamp, Fault> {
    const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
    if text.len() == "2026-01-31".len() {
        return Ok(moment(&format!("{text}T00:00:00Z"), "until")?.plus(DAY));
    }
    moment(text, "until")
}

/// A moment (RFC 3339), a fraction of a second rounded up: a deny list errs on the side of no.
fn moment(text: &str, key: &str) -> Result<Timestamp, Fault> {
    let refused = || {
        let (text, day) = (
            format!("{key} is no moment"),
            if key == "until" { " or 2026-01-31" } else { "" },
        );
        Fault::new(text, format!("write {key}=2026-01-31T12:00:00Z{day}"))
    };
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused())?;
    let seconds = u64::try_from(time.unix_timestamp()).map_err(|_| refused())?;
    Ok(Timestamp::from_unix(
        seconds + u64::from(time.nanosecond() > 0),
    ))
}

/// A word of the list in an error: short, and in one line whatever it holds.
fn quoted(word: &str) -> String {
    let short: String = word.chars().take(40).collect();
    format!("{short:?}")
}
