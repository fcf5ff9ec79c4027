//! A throw-away PKI: a CA, certificates of every kind a gate must tell apart, and revocation lists.
//!
//! Keys are made in memory and are worth nothing outside the demo, `sidegate dev` and the tests.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use time::OffsetDateTime;

use crate::accept::certificate::DEVELOPMENT;
use crate::model::Timestamp;

/// How long a throw-away certificate lives unless told otherwise.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// Certificates begin a little in the past: clocks differ.
const HEAD_START: Duration = Duration::from_secs(3600);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the certificate: {0}")]
pub struct PkiError(#[from] rcgen::Error);

/// A certificate authority that signs whatever it is asked to.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    now: Timestamp,
}

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The chain without the root: the leaf, then the intermediates.
    pub chain_pem: String,
    /// The private key, PKCS#8.
    pub key_pem: String,
    /// The leaf.
    pub der: Vec<u8>,
    /// Its serial number.
    pub serial: Vec<u8>,
}

/// What a certificate is to say.
#[derive(Clone, Debug, Default)]
pub struct Leaf {
    /// The subject's common name.
    pub cn: String,
    /// URI SANs.
    pub uri: Vec<String>,
    /// DNS SANs.
    pub dns: Vec<String>,
    /// IP SANs.
    pub ip: Vec<IpAddr>,
    /// Its use.
    pub role: Role,
    /// When it is valid.
    pub validity: Validity,
}

/// What a certificate is good for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// `clientAuth`
    #[default]
    Client,
    /// `serverAuth`
    Server,
    /// `clientAuth`, but with the right to sign certificates, which an X509-SVID leaf must not have.
    ClientThatSigns,
}

/// When a certificate is valid, as seen from the authority's clock.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Validity {
    /// For a week.
    #[default]
    Now,
    /// It ended an hour ago.
    Expired,
    /// It begins in an hour.
    Future,
    /// It ends in so many seconds.
    For(u64),
}

impl Leaf {
    /// A client with one URI SAN.
    #[must_use]
    pub fn client(uri: &str) -> Self {
        Self {
            cn: "client".to_owned(),
            uri: vec![uri.to_owned()],
            ..Self::default()
        }
    }

    /// A server with one DNS SAN, also on loopback.
    #[must_use]
    pub fn server(name: &str) -> Self {
        Self {
            cn: name.to_owned(),
            dns: vec![name.to_owned(), "localhost".to_owned()],
            ip: vec![IpAddr::from([127, 0, 0, 1])],
            role: Role::Server,
            ..Self::default()
        }
    }

    /// The same, valid at another time.
    #[must_use]
    pub fn valid(self, validity: Validity) -> Self {
        Self { validity, ..self }
    }
}

impl Authority {
    /// A root with a new key.
    ///
    /// # Errors
    ///
    /// [`PkiError`] when no key can be made.
    pub fn root(name: &str, now: Timestamp) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let params = authority_params(name, now)?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
            now,
        })
    }

    /// An authority below this one, with the PEM that its leaves must carry along.
    ///
    /// # Errors
    ///
    /// [`PkiError`] when no key can be made.
    pub fn intermediate(&self, name: &str) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let params = authority_params(name, self.now)?;
        let pem = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
            now: self.now,
        })
    }

    /// Its certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate with a new key.
    ///
    /// # Errors
    ///
    /// [`PkiError`] when a name does not fit a certificate.
    pub fn issue(&self, leaf: &Leaf) -> Result<Issued, PkiError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(leaf.dns.clone())?;
        params
            .distinguished_name
            .push(DnType::CommonName, leaf.cn.as_str());
        for uri in &leaf.uri {
            params
                .subject_alt_names
                .push(SanType::URI(uri.as_str().try_into()?));
        }
        params
            .subject_alt_names
            .extend(leaf.ip.iter().map(|ip| SanType::IpAddress(*ip)));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let usage = match leaf.role {
            Role::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Role::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Role::ClientThatSigns => {
                params.key_usages.push(KeyUsagePurpose::KeyCertSign);
                ExtendedKeyUsagePurpose::ClientAuth
            }
        };
        params.extended_key_usages = vec![usage];
        (params.not_before, params.not_after) = leaf.validity.span(self.now);
        let mut serial = vec![0; 16];
        aws_lc_rs::rand::fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
        // A positive number of full length (RFC 5280 4.1.2.2).
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7f | 0x40;
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            chain_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            der: certificate.der().to_vec(),
            serial,
        })
    }

    /// A revocation list of these serial numbers, good for a week, or ended already.
    ///
    /// # Errors
    ///
    /// [`PkiError`] when it cannot be signed.
    pub fn revoke(&self, serials: &[&[u8]], validity: Validity) -> Result<String, PkiError> {
        let (this_update, next_update) = validity.span(self.now);
        let revoked = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: this_update,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(self.now.unix()),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

fn authority_params(name: &str, now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    // By this a gate knows it, and warns.
    params
        .distinguished_name
        .push(DnType::OrganizationName, DEVELOPMENT);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = Validity::Now.span(now);
    Ok(params)
}

impl Validity {
    fn span(self, now: Timestamp) -> (OffsetDateTime, OffsetDateTime) {
        let at = |seconds: u64| {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
        };
        let (now, hour) = (now.unix(), HEAD_START.as_secs());
        match self {
            Self::Now => (at(now.saturating_sub(hour)), at(now + LIFE.as_secs())),
            Self::Expired => (
                at(now.saturating_sub(2 * hour)),
                at(now.saturating_sub(hour)),
            ),
            Self::Future => (at(now + hour), at(now + LIFE.as_secs())),
            Self::For(seconds) => (at(now.saturating_sub(hour)), at(now + seconds)),
        }
    }
}
