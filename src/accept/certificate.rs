//! A DER certificate becomes the few facts by which peers are matched and people recognise it.
//!
//! Reads only; whether the certificate is believed was decided before (`verifier`) or is decided
//! after (`peers`). The facts of a refused certificate are a stranger's words: they are bounded
//! here and go nowhere but into the log.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::model::Timestamp;

/// The longest text taken over from a certificate into a log line.
const MAX_SHOWN: usize = 256;

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
    /// SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub spki: [u8; 32],
    /// The serial number in lower-case hex.
    pub serial: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// What it may be used for.
    pub usage: Usage,
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
            issuer: shown(&parsed.issuer().to_string()),
            not_after: u64::try_from(parsed.validity().not_after.timestamp())
                .ok()
                .map(Timestamp::from_unix),
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

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().take(64).fold(String::new(), |mut out, byte| {
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
