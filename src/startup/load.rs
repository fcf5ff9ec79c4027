//! What the settings name is read and built: identity, keys, policy. Used for the first edition and
//! for every later one alike.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::accept::ServerIdentity;
use crate::accept::identity::IdentityError;
use crate::check;
use crate::forward::HeaderRules;
use crate::gate::Policy;
use crate::jwks::{self, KeyRing, LoadKeysError};
use crate::observe::Metrics;
use crate::reload::{Publisher, Reader, live};
use crate::settings::{IssuerSettings, KeySource, Overrides, Settings};

/// Where the settings came from, to be read again.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The file.
    pub path: PathBuf,
    /// What flags and environment said above it.
    pub overrides: Overrides,
}

/// Loaded keys: the writing and the reading end for each issuer.
pub(super) type Rings = (
    Vec<Publisher<Option<KeyRing>>>,
    Vec<Reader<Option<KeyRing>>>,
);

/// Every file that anything in force was made of.
pub(super) fn files(config: Option<&ConfigFile>, settings: &Settings) -> Vec<PathBuf> {
    let config = config.map(|config| config.path.as_path());
    let keys = settings.issuers.iter().map(key_file);
    let all = config
        .into_iter()
        .chain(identity_files(settings))
        .chain(keys);
    all.map(Path::to_owned).collect()
}

pub(super) fn identity_files(settings: &Settings) -> impl Iterator<Item = &Path> {
    let tls = &settings.tls;
    let files = [&tls.certificate, &tls.private_key, &tls.client_ca];
    files
        .into_iter()
        .chain(&tls.client_crl)
        .map(PathBuf::as_path)
}

pub(super) fn load_identity(
    settings: &Settings,
    previous: Option<&Reader<ServerIdentity>>,
) -> Result<ServerIdentity, IdentityError> {
    let previous = previous.map(Reader::current);
    ServerIdentity::load(settings, previous.as_ref().map(|edition| &edition.value))
}

pub(super) fn load_keys(
    issuers: &[IssuerSettings],
    metrics: &Metrics,
) -> Result<Rings, (Arc<str>, LoadKeysError)> {
    let mut publishers = Vec::new();
    let mut readers = Vec::new();
    for issuer in issuers {
        let ring = load_ring(issuer, metrics).map_err(|cause| (Arc::clone(&issuer.name), cause))?;
        let (publisher, reader) = live(Some(ring));
        publishers.push(publisher);
        readers.push(reader);
    }
    Ok((publishers, readers))
}

pub(super) fn load_ring(
    issuer: &IssuerSettings,
    metrics: &Metrics,
) -> Result<KeyRing, LoadKeysError> {
    let (ring, warnings) = jwks::load(&issuer.keys, &issuer.algorithms)?;
    for warning in warnings {
        tracing::warn!(issuer = &*issuer.name, %warning, "a key is not used");
    }
    metrics.set_keys(&issuer.name, ring.len());
    Ok(ring)
}

pub(super) fn build_policy(settings: &Settings, rings: Vec<Reader<Option<KeyRing>>>) -> Policy {
    Policy {
        judgement: check::Policy::build(settings, rings),
        headers: HeaderRules::build(settings),
    }
}

pub(super) fn note_certificates(identity: &ServerIdentity, metrics: &Metrics) {
    for (role, end) in [
        ("server", identity.not_after),
        ("client_ca", identity.client_ca_not_after),
    ] {
        if let Some(end) = end {
            metrics.set_certificate_end(role, end);
        }
    }
}

pub(super) fn keys_of(issuer: &IssuerSettings) -> String {
    format!("keys/{}", issuer.name)
}

pub(super) fn key_file(issuer: &IssuerSettings) -> &Path {
    match &issuer.keys {
        KeySource::JwksFile(path) | KeySource::PemFile(path) | KeySource::SecretFile(path) => path,
    }
}

/// The sections that are bound into sockets, pools and threads at the start.
pub(super) fn needs_restart(old: &Settings, new: &Settings) -> impl Iterator<Item = &'static str> {
    let text = |settings: &Settings| {
        [
            ("listen", format!("{:?}", settings.listen)),
            ("upstream", format!("{:?}", settings.upstream)),
            ("admin", format!("{:?}", settings.admin)),
            ("limits", format!("{:?}", settings.limits)),
            ("timeouts", format!("{:?}", settings.timeouts)),
            ("shutdown", format!("{:?}", settings.shutdown)),
            ("log", format!("{:?}", settings.log)),
            ("runtime", format!("{:?}", settings.runtime)),
        ]
    };
    let changed = |((name, old), (_, new)): ((&'static str, String), (&'static str, String))| {
        (old != new).then_some(name)
    };
    text(old).into_iter().zip(text(new)).filter_map(changed)
}
