//! PEM files become one TLS configuration: who the gate is and whose client certificates it
//! believes, always together.
//!
//! The only file that builds a rustls configuration. It never makes one without mandatory client
//! certificates, and never one that resumes sessions.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{CipherSuite, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificate::{self, Certificate};
use super::peer::Peer;
use super::peers::PeerTable;
use super::verifier::{PeerVerifier, Rejected};
use crate::model::Timestamp;
use crate::pem::{self, PemError};
use crate::reload::Reader;
use crate::revocation::DenyList;
use crate::settings::{Settings, TlsSettings, TlsVersion};

/// One generation of certificate, key, client CAs, revocation lists and peers. They are published
/// as one value because a handshake must not see half of an old one.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    pub(super) config: Arc<ServerConfig>,
    /// The same verifier that the configuration holds, for connections that are open already.
    pub(super) verifier: Arc<PeerVerifier>,
    /// The last valid moment of the gate's own leaf, for the expiry metric.
    pub not_after: Option<Timestamp>,
    /// The last valid moment of the client CA that ends first.
    pub client_ca_not_after: Option<Timestamp>,
    /// When the first list in `tls.client_crl` ends: its last second.
    pub client_crl_not_after: Option<Timestamp>,
    /// The gate's own leaf, for `check` and the log.
    pub certificate: Certificate,
    /// Whether a client CA is one that `sidegate dev` made.
    development: bool,
}

/// Why no TLS configuration could be made of the files.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be used.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The leaf cannot be read as X.509.
    #[error("{}: tls.certificate: its first section is no readable X.509 certificate", path.display())]
    Leaf {
        /// The file.
        path: PathBuf,
    },
    /// The key is not the one in the certificate.
    #[error(
        "{}: tls.private_key: not the key of {}: {cause}; make the two files from one issuance",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// What rustls said.
        cause: rustls::Error,
    },
    /// A certificate in the client CA file cannot be a trust anchor.
    #[error("{}: tls.client_ca: cannot be used as a trust anchor: {cause}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        cause: String,
    },
    /// The protocol versions cannot be had. Not reachable with the provider linked here.
    #[error("tls.min_version: {0}")]
    Version(rustls::Error),
}

impl ServerIdentity {
    /// Reads every file and builds the configuration. `previous` is the identity in force, whose
    /// counts of connections go on; `denied` is where the deny list is read at every judgement.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], naming the file, when any part is missing, broken or does not fit another.
    pub fn load(
        settings: &Settings,
        denied: Reader<DenyList>,
        previous: Option<&Self>,
    ) -> Result<Self, IdentityError> {
        let tls = &settings.tls;
        let provider = Arc::new(provider());
        let chain = pem::certificates(&tls.certificate)?;
        let key = pem::private_key(&tls.private_key)?;
        let leaf = chain.first().and_then(|der| Certificate::parse(der).ok());
        let leaf = leaf.ok_or_else(|| IdentityError::Leaf {
            path: tls.certificate.clone(),
        })?;
        let (client_verifier, cas) = client_verifier(tls, &provider)?;
        let before = previous.map(|identity| identity.verifier.peers());
        let table = PeerTable::build(settings, before);
        let client_crl_not_after = cas.list_ends.iter().min().copied();
        let verifier = PeerVerifier::new(client_verifier, cas.list_ends, table, denied);
        let verifier = Arc::new(verifier);

        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(tls.min_version))
            .map_err(IdentityError::Version)?
            .with_client_cert_verifier(Arc::clone(&verifier) as Arc<_>)
            .with_single_cert(chain, key)
            .map_err(|cause| IdentityError::Mismatch {
                key: tls.private_key.clone(),
                certificate: tls.certificate.clone(),
                cause,
            })?;
        config.ignore_client_order = true;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // SECURITY: rustls does not verify the client certificate again when a session is resumed,
        // so a certificate revoked meanwhile would still get in. No tickets and no cache: every
        // connection shows its certificate. Guarded by `a_session_is_never_resumed`.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            config: Arc::new(config),
            verifier,
            not_after: leaf.not_after,
            client_ca_not_after: cas.not_after,
            client_crl_not_after,
            certificate: leaf,
            development: cas.development,
        })
    }

    /// Judges a client's chain, leaf first, as a handshake at the time `now` would.
    ///
    /// # Errors
    ///
    /// [`Rejected`]
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Peer, Rejected> {
        self.verifier.judge_chain(chain, now)
    }

    /// What to warn of when the gate listens at `address`: whoever has the folder of a development
    /// CA can be any peer, which is nobody else's concern on loopback only.
    #[must_use]
    pub fn warning(&self, address: SocketAddr) -> Option<&'static str> {
        (self.development && !address.ip().is_loopback()).then_some(
            "tls.client_ca holds a throw-away CA of `sidegate dev`, whose key lies in a plain file, and \
             listen.address is not on loopback: never let others rely on this gate; name the CA of \
             your front proxies instead",
        )
    }
}

/// What is known of the client CAs together.
#[derive(Default)]
struct ClientCas {
    not_after: Option<Timestamp>,
    development: bool,
    /// The last second of each revocation list.
    list_ends: Vec<Timestamp>,
}

fn client_verifier(
    tls: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<
    (
        Arc<dyn rustls::server::danger::ClientCertVerifier>,
        ClientCas,
    ),
    IdentityError,
> {
    let refused = |cause: String| IdentityError::ClientCa {
        path: tls.client_ca.clone(),
        cause,
    };
    let mut roots = RootCertStore::empty();
    let mut cas = ClientCas::default();
    for der in pem::certificates(&tls.client_ca)? {
        let ca = Certificate::parse(&der).unwrap_or_default();
        cas.development |= ca.development;
        cas.not_after = match (cas.not_after, ca.not_after) {
            (Some(a), Some(b)) => Some(std::cmp::min::<Timestamp>(a, b)),
            (a, b) => a.or(b),
        };
        roots.add(der).map_err(|cause| refused(cause.to_string()))?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(path) = &tls.client_crl {
        // An expired list says nothing about today; rustls would accept it unless told.
        let lists = pem::revocation_lists(path)?;
        let ends = lists.iter().filter_map(|der| certificate::list_end(der));
        cas.list_ends = ends.collect();
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let verifier = builder
        .build()
        .map_err(|cause| refused(cause.to_string()))?;
    Ok((verifier, cas))
}

/// The cryptography of a handshake, the suites in the gate's own order: those with AES-128 first.
///
/// Why not AES-256 first, as rustls has it? Its suites hash with SHA-384, for which most processors have no
/// instructions: 7 % of the time of a handshake. AES-128 is what RFC 8446 9.1 demands of all, and no
/// attack is known that the other 128 bits would stop. Whoever speaks AES-256 alone gets it.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    // Stable: otherwise the order is as it was.
    provider
        .cipher_suites
        .sort_by_key(|suite| !has_aes_128(suite.suite()));
    provider
}

fn has_aes_128(suite: CipherSuite) -> bool {
    [
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ]
    .contains(&suite)
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static V1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    static V1_2: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
    match oldest {
        TlsVersion::V1_3 => V1_3,
        TlsVersion::V1_2 => V1_2,
    }
}
