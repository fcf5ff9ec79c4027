//! A DER certificate becomes the few facts by which peers are matched and people recognise it.
//!
//! Reads only; whether the certificate is believed was decided before (`verifier`) or is decided
//! after (`peers`). The facts of a refused certificate are a stranger's words: they are bounded
//! here and go nowhere but into the log.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::asn1_rs::Sequence;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{
    AttributeTypeAndValue, CertificateRevocationList, FromDer, X509Certificate, X509Name,
};

use crate::model::Timestamp;
use crate::revocation::CertificateFacts;

/// The longest text taken over from a certificate into a log line.
const MAX_SHOWN: usize = 256;

/// The organisation in the name of every CA that `sidegate dev` and the tests make.
pub const DEVELOPMENT: &str = "sidegate development only";

/// What a leaf certificate says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Certificate {
    /// URI SANs, in order.
    pub uri: Vec<String>,
    /// DNS SANs, in lower case.
    pub dns: Vec<String>,
    /// IP SANs.
    pub ip: Vec<IpAddr>,
    /// Common names of the subject.
    pub cn: Vec<String>,
    /// The subject's distinguished name (RFC 4514).
    pub subject: String,
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub spki: [u8; 32],
    /// The serial number in lower-case hex, whole.
    pub serial: String,
    /// The issuer's distinguished name, whole. For a log line there is [`Certificate::shown_issuer`].
    pub issuer: String,
    /// The subject's distinguished name as `issuer` writes it, for comparing the two.
    pub own_name: String,
    /// Whether it is a throw-away one, of [`DEVELOPMENT`].
    pub development: bool,
    /// What it may be used for.
    pub usage: Usage,
    /// The first moment at which it is valid.
    pub not_before: Option<Timestamp>,
    /// The last moment at which it is valid.
    pub not_after: Option<Timestamp>,
}

/// The fields that the X509-SVID rules look at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Usage {
    /// Basic constraints say CA.
    pub ca: bool,
    /// Key usage has `digitalSignature`.
    pub digital_signature: bool,
    /// Key usage has `keyCertSign`.
    pub key_cert_sign: bool,
    /// Key usage has `cRLSign`.
    pub crl_sign: bool,
}

/// The DER is no X.509 certificate, or an extension in it cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a readable X.509 certificate")]
pub struct Unreadable;

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when any part that a match could depend on cannot be read: a name skipped
    /// could be the one that makes the match ambiguous.
    pub fn parse(der: &[u8]) -> Result<Self, Unreadable> {
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Unreadable)?;
        if !rest.is_empty() {
            return Err(Unreadable);
        }
        let mut facts = Self {
            sha256: sha256(der),
            spki: sha256(parsed.public_key().raw),
            serial: hex(parsed.raw_serial()),
            issuer: parsed.issuer().to_string(),
            own_name: parsed.subject().to_string(),
            not_before: moment(parsed.validity().not_before.timestamp()),
            not_after: moment(parsed.validity().not_after.timestamp()),
            development: parsed
                .subject()
                .iter_organization()
                .any(|name| name.as_str() == Ok(DEVELOPMENT)),
            subject: distinguished(parsed.subject()),
            ..Self::default()
        };
        for name in parsed.subject().iter_common_name() {
            facts
                .cn
                .push(name.as_str().map_err(|_| Unreadable)?.to_owned());
        }
        facts.read_usage(&parsed)?;
        if let Some(san) = parsed.subject_alternative_name().map_err(|_| Unreadable)? {
            for name in &san.value.general_names {
                facts.read_name(name)?;
            }
        }
        Ok(facts)
    }

    fn read_usage(&mut self, parsed: &X509Certificate<'_>) -> Result<(), Unreadable> {
        if let Some(constraints) = parsed.basic_constraints().map_err(|_| Unreadable)? {
            self.usage.ca = constraints.value.ca;
        }
        if let Some(usage) = parsed.key_usage().map_err(|_| Unreadable)? {
            self.usage.digital_signature = usage.value.digital_signature();
            self.usage.key_cert_sign = usage.value.key_cert_sign();
            self.usage.crl_sign = usage.value.crl_sign();
        }
        Ok(())
    }

    fn read_name(&mut self, name: &GeneralName<'_>) -> Result<(), Unreadable> {
        match name {
            GeneralName::URI(uri) => self.uri.push((*uri).to_owned()),
            GeneralName::DNSName(dns) => self.dns.push(dns.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => self.ip.push(ip(bytes).ok_or(Unreadable)?),
            GeneralName::Invalid(..) => return Err(Unreadable),
            // No mark can name these, so they cannot change a match.
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => {}
        }
        Ok(())
    }

    /// The name that people know this certificate by: the first of URI, DNS, IP and CN.
    #[must_use]
    pub fn best_name(&self) -> String {
        let name = self.uri.first().or_else(|| self.dns.first()).cloned();
        let name = name.or_else(|| self.ip.first().map(ToString::to_string));
        shown(
            name.as_ref()
                .or_else(|| self.cn.first())
                .map_or("(no name)", String::as_str),
        )
    }

    /// The issuer's name in a form and length that fit a log line.
    #[must_use]
    pub fn shown_issuer(&self) -> String {
        shown(&self.issuer)
    }

    /// The serial number in a length that fits a log line.
    #[must_use]
    pub fn shown_serial(&self) -> String {
        shown(&self.serial)
    }

    /// What a deny list can name it by.
    #[must_use]
    pub fn facts(&self) -> CertificateFacts<'_> {
        CertificateFacts {
            sha256: &self.sha256,
            serial: &self.serial,
            issuer: &self.issuer,
            uri: &self.uri,
        }
    }

    /// The whole fingerprint in lower-case hex, as `peer.sha256` takes it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&self.sha256)
    }
}

/// For a log line: who this certificate says it is, and how to find it again.
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sha256={}", self.best_name(), self.fingerprint())
    }
}

/// Whether this is one DER sequence and nothing beside it, which every certificate is (RFC 5280 4.1).
pub(super) fn is_whole(der: &[u8]) -> bool {
    Sequence::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

/// The last second in which a certificate is valid, where it says so.
pub(super) fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    moment(parsed.validity().not_after.timestamp())
}

/// The last second in which a revocation list speaks for its issuer, where it says so.
pub(super) fn list_end(der: &[u8]) -> Option<Timestamp> {
    let (_, parsed) = CertificateRevocationList::from_der(der).ok()?;
    // From its next update on it is too old.
    moment(parsed.next_update()?.timestamp().saturating_sub(1))
}

fn moment(seconds: i64) -> Option<Timestamp> {
    u64::try_from(seconds).ok().map(Timestamp::from_unix)
}

/// A distinguished name as RFC 4514 2 writes it: the last part first, special characters escaped.
/// `"` and `\` are escaped in hex, so that no quote is in it and no backslash at its end.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter()
        .map(|part| {
            let pairs: Vec<String> = part.iter().map(attribute).collect();
            pairs.join("+")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    let name = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
    let Ok(text) = attribute.as_str() else {
        // RFC 4514 2.4: what is no string is its encoding.
        return format!("{name}=#{}", hex(attribute.attr_value().data));
    };
    let mut value = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            '"' => value.push_str("\\22"),
            '\\' => value.push_str("\\5C"),
            ' ' if at == 0 || at == last => value.push_str("\\20"),
            '#' if at == 0 => value.push_str("\\23"),
            ',' | '+' | ';' | '<' | '>' | '=' => {
                value.push('\\');
                value.push(c);
            }
            _ => value.push(c),
        }
    }
    format!("{name}={value}")
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// SHA-256 of these bytes.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// A stranger's text, short and printable enough for a log line.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Authority, Leaf};
    use crate::model::client_cert::{Element, Key, read_elements};

    /// A name can be made to look like several, or like the end of the field it is told in.
    #[test]
    fn a_subject_that_looks_like_more_stays_one_value() {
        let ca = Authority::root("test", Timestamp::from_unix(1_800_000_000)).unwrap();
        for (cn, subject) in [
            ("client", "CN=client"),
            ("a, O=admins", "CN=a\\, O\\=admins"),
            ("\";Hash=00", "CN=\\22\\;Hash\\=00"),
            ("a\\", "CN=a\\5C"),
            (" #a ", "CN=\\20#a\\20"),
            ("#a", "CN=\\23a"),
            ("José", "CN=José"),
        ] {
            let leaf = Leaf {
                cn: cn.to_owned(),
                ..Leaf::default()
            };
            let certificate = Certificate::parse(&ca.issue(&leaf).unwrap().der).unwrap();
            assert_eq!(certificate.subject, subject);
            let pairs = vec![(Key::Subject, certificate.subject)];
            let told = Element { pairs }.write();
            let read = read_elements(told.as_bytes()).unwrap();
            let [one] = read.as_slice() else {
                panic!("{told}: {read:?}")
            };
            assert_eq!(one.pairs.len(), 1, "{told}");
        }
    }
}
