//! What a gate would judge by, without the gate: the same objects, read by the same road.
//!
//! For `sidegate explain`. Opens no socket and watches no file.

use std::sync::Arc;

use super::StartError;
use super::keys::{self, Keys, ReadRing};
use super::load::{build_policy, load_deny_list, load_identity};
use crate::accept::ServerIdentity;
use crate::accept::certificate::Certificate;
use crate::accept::identity::IdentityError;
use crate::gate::{Judge, Policy};
use crate::jwks::KeyRing;
use crate::observe::Metrics;
use crate::pem;
use crate::reload::{Reader, live};
use crate::settings::{IssuerSettings, Settings};

/// Everything that decides.
#[derive(Debug)]
pub struct Judges {
    /// Whose client certificates the gate believes.
    pub identity: ServerIdentity,
    /// What it judges requests by.
    pub policy: Reader<Policy>,
    /// What judges them.
    pub judge: Judge,
    /// The CAs in `tls.client_ca`, for people.
    pub client_ca: Vec<Certificate>,
}

impl Judges {
    /// Reads every file that the gate would read. Keys by URL are what `fetch` brings; it may bring
    /// none.
    ///
    /// # Errors
    ///
    /// What would keep the gate from starting.
    pub fn load(
        settings: &Settings,
        fetch: impl Fn(&IssuerSettings) -> Option<KeyRing>,
    ) -> Result<Self, StartError> {
        let (_, denied) = live(load_deny_list(settings)?);
        let identity = load_identity(settings, &denied, None)?;
        let metrics = Arc::new(Metrics::new()?);
        let read = keys::read(&settings.issuers)
            .map_err(|(issuer, cause)| StartError::Keys { issuer, cause })?;
        let ring = |(issuer, read): (&IssuerSettings, Option<ReadRing>)| {
            let read = read.map(|read| read.adopt(issuer, &metrics));
            let (publisher, reader) = live(read.or_else(|| fetch(issuer)));
            Keys::Local(publisher, reader)
        };
        let keys: Vec<Keys> = settings.issuers.iter().zip(read).map(ring).collect();
        let (_, policy) = live(build_policy(settings, &keys, denied));
        let client_ca = pem::certificates(&settings.tls.client_ca).map_err(IdentityError::Pem)?;
        let client_ca = client_ca
            .iter()
            .filter_map(|der| Certificate::parse(der).ok());
        Ok(Self {
            identity,
            policy,
            judge: Judge::new(&settings.limits, metrics),
            client_ca: client_ca.collect(),
        })
    }
}
