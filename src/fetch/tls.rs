//! The files that a fetch may name become a TLS client that verifies the server, always.
//!
//! Read anew for every fetch, so a renewed file needs no watching.

use std::io;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::FetchFault;
use crate::pem;
use crate::settings::Access;

/// Builds the client.
pub(super) fn client(access: &Access) -> Result<ClientConfig, FetchFault> {
    let material = |key: &'static str| {
        move |cause: rustls::Error| FetchFault::Material {
            key,
            cause: cause.to_string(),
        }
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    // SECURITY: the only verifier there is. Guarded by
    // `a_server_that_cannot_prove_its_name_gives_no_keys`.
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(material("url"))?
        .with_root_certificates(roots(access)?);
    let mut config = match &access.identity {
        None => builder.with_no_client_auth(),
        Some((certificate, private_key)) => {
            let file = |key: &'static str| move |cause| FetchFault::File { key, cause };
            let chain = pem::certificates(certificate).map_err(file("certificate"))?;
            let key = pem::private_key(private_key).map_err(file("private_key"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(material("certificate"))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(access: &Access) -> Result<RootCertStore, FetchFault> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &access.ca {
        let bundle = pem::certificates(path);
        for certificate in bundle.map_err(|cause| FetchFault::File { key: "ca", cause })? {
            roots
                .add(certificate)
                .map_err(|cause| FetchFault::Material {
                    key: "ca",
                    cause: cause.to_string(),
                })?;
        }
        return Ok(roots);
    }
    // What cannot be read of the system's bundle is left out: fewer are trusted then, never more.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(FetchFault::NoRoots);
    }
    Ok(roots)
}

/// What an operator can do about a failed handshake, for the failures that have one remedy.
pub(super) fn fix(cause: &io::Error) -> &'static str {
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => "; write its CA as keys.ca",
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "; write the name that its certificate holds as keys.server_name",
        _ => "",
    }
}
