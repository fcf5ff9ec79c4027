//! What the settings name is read and built: identity and policy. Used for the first edition and
//! for every later one alike.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::{self, Keys};
use crate::accept::ServerIdentity;
use crate::accept::identity::IdentityError;
use crate::check;
use crate::decide;
use crate::forward::HeaderRules;
use crate::gate::Policy;
use crate::observe::{KnownNames, Metrics, Watched};
use crate::refresh::object;
use crate::reload::Reader;
use crate::revocation::{DenyList, LoadDenyListError};
use crate::settings::{Enforcement, LimitSettings, Overrides, Settings};

/// What objects are called in metrics and on the status page.
pub(super) const CONFIG: &str = "config";
pub(super) const IDENTITY: &str = "identity";
pub(super) const DENY: &str = "deny";

/// Where the settings came from, to be read again.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// The file.
    pub path: PathBuf,
    /// What flags and environment said above it.
    pub overrides: Overrides,
}

/// Every file that anything of these settings is made of.
pub(super) fn files(config: Option<&ConfigFile>, settings: &Settings) -> BTreeSet<PathBuf> {
    let config = config.map(|config| config.path.as_path());
    let keys = settings.issuers.iter().filter_map(keys::path);
    let deny = settings.deny.file.as_deref();
    let all = config
        .into_iter()
        .chain(identity_files(settings))
        .chain(keys)
        .chain(deny);
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
    denied: &Reader<DenyList>,
    previous: Option<&Reader<ServerIdentity>>,
) -> Result<ServerIdentity, IdentityError> {
    let previous = previous.map(Reader::current);
    let identity = ServerIdentity::load(
        settings,
        denied.clone(),
        previous.as_ref().map(|edition| &edition.value),
    )?;
    if let Some(warning) = identity.warning(settings.listen.address) {
        tracing::warn!("{warning}");
    }
    Ok(identity)
}

/// The deny list; an empty one where none is configured.
pub(super) fn load_deny_list(settings: &Settings) -> Result<DenyList, LoadDenyListError> {
    let Some(file) = &settings.deny.file else {
        return Ok(DenyList::default());
    };
    let names: Vec<Arc<str>> = settings
        .issuers
        .iter()
        .map(|issuer| Arc::clone(&issuer.name))
        .collect();
    DenyList::load(file, &names)
}

pub(super) fn build_policy(settings: &Settings, keys: &[Keys], denied: Reader<DenyList>) -> Policy {
    let readers = keys.iter().map(Keys::reader).collect();
    Policy {
        judgement: check::Policy::build(settings, readers, denied),
        routes: decide::Policy::build(settings),
        headers: HeaderRules::build(settings),
        demand: keys::demand(keys),
    }
}

/// What of the settings is in report mode.
pub(super) fn watched(settings: &Settings) -> Watched {
    let issuers = settings.issuers.iter();
    let issuers = issuers.filter(|issuer| issuer.enforcement == Enforcement::Report);
    let routes = settings.routes.iter();
    let routes = routes.filter(|route| route.enforcement == Enforcement::Report);
    Watched {
        issuers: issuers.map(|issuer| Arc::clone(&issuer.name)).collect(),
        routes: routes.map(|route| Arc::clone(&route.name)).collect(),
    }
}

/// Who is in the settings.
pub(super) fn known(settings: &Settings) -> KnownNames {
    let peers = settings.peers.iter();
    let issuers = settings.issuers.iter();
    KnownNames {
        peers: peers.map(|peer| Arc::clone(&peer.name)).collect(),
        issuers: issuers.map(|issuer| Arc::clone(&issuer.name)).collect(),
    }
}

/// What the objects are called that can be reloaded under these settings.
pub(super) fn objects(settings: &Settings) -> Vec<String> {
    let deny = settings.deny.file.as_ref().map(|_| DENY.to_owned());
    let keys = settings.issuers.iter().map(|issuer| object(&issuer.name));
    let fixed = [CONFIG, IDENTITY].map(str::to_owned);
    fixed.into_iter().chain(deny).chain(keys).collect()
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

/// What is bound into sockets, pools and threads for as long as the process lives.
#[derive(Debug)]
pub(super) struct Fixed {
    sections: Vec<(&'static str, String)>,
    limits: LimitSettings,
}

impl Fixed {
    /// What the gate starts with.
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            sections: sections(settings),
            limits: settings.limits.clone(),
        }
    }

    /// Puts the limits of the start into later settings, so that a limit is never one thing to a
    /// policy and another to a pool. Names the sections that say something else.
    pub(super) fn hold(&self, settings: &mut Settings) -> Vec<&'static str> {
        let new = sections(settings);
        settings.limits = self.limits.clone();
        let both = self.sections.iter().zip(new);
        both.filter(|((_, fixed), (_, new))| fixed != new)
            .map(|((name, _), _)| *name)
            .collect()
    }
}

fn sections(settings: &Settings) -> Vec<(&'static str, String)> {
    vec![
        ("listen", format!("{:?}", settings.listen)),
        ("upstream", format!("{:?}", settings.upstream)),
        ("admin", format!("{:?}", settings.admin)),
        ("limits", format!("{:?}", settings.limits)),
        ("timeouts", format!("{:?}", settings.timeouts)),
        ("shutdown", format!("{:?}", settings.shutdown)),
        ("log", format!("{:?}", settings.log)),
        ("runtime", format!("{:?}", settings.runtime)),
    ]
}
