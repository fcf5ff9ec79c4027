//! PEM files become one TLS configuration: who the gate is and whose client certificates it
//! believes, always together.
//!
//! The only file that builds a rustls configuration. It never makes one without mandatory client
//! certificates, and never one that resumes sessions.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::certificate::Certificate;
use super::peers::PeerTable;
use super::verifier::PeerVerifier;
use crate::model::Timestamp;
use crate::pem::{self, PemError};
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
    /// The gate's own leaf, for `check` and the log.
    pub certificate: Certificate,
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
    /// counts of connections go on.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], naming the file, when any part is missing, broken or does not fit another.
    pub fn load(settings: &Settings, previous: Option<&Self>) -> Result<Self, IdentityError> {
        let tls = &settings.tls;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = pem::certificates(&tls.certificate)?;
        let key = pem::private_key(&tls.private_key)?;
        let leaf = chain.first().and_then(|der| Certificate::parse(der).ok());
        let leaf = leaf.ok_or_else(|| IdentityError::Leaf {
            path: tls.certificate.clone(),
        })?;
        let (client_verifier, client_ca_not_after) = client_verifier(tls, &provider)?;
        let before = previous.map(|identity| identity.verifier.peers());
        let table = PeerTable::build(settings, before);
        let verifier = Arc::new(PeerVerifier::new(client_verifier, table));

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
            client_ca_not_after,
            certificate: leaf,
        })
    }
}

fn client_verifier(
    tls: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<
    (
        Arc<dyn rustls::server::danger::ClientCertVerifier>,
        Option<Timestamp>,
    ),
    IdentityError,
> {
    let refused = |cause: String| IdentityError::ClientCa {
        path: tls.client_ca.clone(),
        cause,
    };
    let mut roots = RootCertStore::empty();
    let mut first_end = None;
    for der in pem::certificates(&tls.client_ca)? {
        let end = Certificate::parse(&der).ok().and_then(|ca| ca.not_after);
        first_end = match (first_end, end) {
            (Some(a), Some(b)) => Some(std::cmp::min::<Timestamp>(a, b)),
            (a, b) => a.or(b),
        };
        roots.add(der).map_err(|cause| refused(cause.to_string()))?;
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if let Some(path) = &tls.client_crl {
        // An expired list says nothing about today; rustls would accept it unless told.
        builder = builder
            .with_crls(pem::revocation_lists(path)?)
            .enforce_revocation_expiration();
    }
    let verifier = builder
        .build()
        .map_err(|cause| refused(cause.to_string()))?;
    Ok((verifier, first_end))
}

fn versions(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static V1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    static V1_2: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
    match oldest {
        TlsVersion::V1_3 => V1_3,
        TlsVersion::V1_2 => V1_2,
    }
}
