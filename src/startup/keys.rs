//! The keys of every issuer: read from files, or fetched for as long as their settings stay the same.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand;

use crate::jwks::{self, KeyRing, KeyWarning, LoadKeysError};
use crate::observe::Metrics;
use crate::refresh::{Demand, Remote, Roll, Surroundings};
use crate::reload::{Publisher, Reader, live};
use crate::settings::{IssuerSettings, KeySource};

/// What was read for each issuer; `None` for one whose keys are fetched.
pub(super) type ReadKeys = Vec<Option<ReadRing>>;

/// A ring that is not in force yet, with what is to be told once it is.
#[derive(Debug)]
pub(super) struct ReadRing {
    ring: KeyRing,
    warnings: Vec<KeyWarning>,
}

/// The keys of one issuer.
#[derive(Debug)]
pub(super) enum Keys {
    /// From a file or a directory.
    Local(Publisher<Option<KeyRing>>, Reader<Option<KeyRing>>),
    /// From a URL.
    Fetched(Remote),
}

/// Reads what is to be read. Nothing is fetched: a gate whose issuer is away starts all the same.
pub(super) fn read(issuers: &[IssuerSettings]) -> Result<ReadKeys, (Arc<str>, LoadKeysError)> {
    let read = |issuer: &IssuerSettings| {
        if path(issuer).is_none() {
            return Ok(None);
        }
        let read = read_ring(issuer).map(Some);
        read.map_err(|cause| (Arc::clone(&issuer.name), cause))
    };
    issuers.iter().map(read).collect()
}

pub(super) fn read_ring(issuer: &IssuerSettings) -> Result<ReadRing, LoadKeysError> {
    let (ring, warnings) = jwks::load(&issuer.keys, &issuer.algorithms)?;
    Ok(ReadRing { ring, warnings })
}

impl ReadRing {
    /// The ring, which comes into force: from here on what it is counts.
    pub(super) fn adopt(self, issuer: &IssuerSettings, metrics: &Metrics) -> KeyRing {
        for warning in self.warnings {
            tracing::warn!(issuer = &*issuer.name, %warning, "a key is not used");
        }
        metrics.set_keys(&issuer.name, self.ring.len());
        self.ring
    }
}

/// Puts what was read beside what is fetched. An issuer of `before` whose fetching is the same goes
/// on with its keys and its schedule, and one that is fetched otherwise from the same place begins
/// with its keys: a new configuration is no reason to be without.
pub(super) fn assemble(
    issuers: &[IssuerSettings],
    read: ReadKeys,
    mut before: Vec<(IssuerSettings, Keys)>,
    around: &Surroundings,
) -> Vec<Keys> {
    let mut all = Vec::new();
    for (issuer, read) in issuers.iter().zip(read) {
        let ring = read.map(|read| read.adopt(issuer, &around.metrics));
        let same = before
            .iter()
            .position(|(old, _)| is_same_maker(old, issuer) && is_at_same_place(old, issuer));
        let remote = match (&ring, same) {
            (Some(_), _) => None,
            (None, Some(at)) => take_over(before.swap_remove(at), issuer, around),
            (None, None) => Remote::prepare(issuer, None, around),
        };
        all.push(match remote {
            Some(remote) => Keys::Fetched(remote),
            None => {
                let (publisher, reader) = live(ring);
                Keys::Local(publisher, reader)
            }
        });
    }
    all
}

fn take_over(
    (old, keys): (IssuerSettings, Keys),
    new: &IssuerSettings,
    around: &Surroundings,
) -> Option<Remote> {
    match keys {
        Keys::Fetched(remote) if old.keys == new.keys && !remote.is_over() => Some(remote),
        Keys::Fetched(remote) => Remote::prepare(new, Some(&remote), around),
        Keys::Local(..) => Remote::prepare(new, None, around),
    }
}

/// Whether a ring made for one is the very ring that would be made for the other.
fn is_same_maker(old: &IssuerSettings, new: &IssuerSettings) -> bool {
    old.name == new.name && old.maker == new.maker && old.algorithms == new.algorithms
}

/// Keys of another place may be another's: those of the old one must not serve. Nor may those that a
/// server gave which nobody would ask any more: who it is, its name and the CAs that may say so decide.
fn is_at_same_place(old: &IssuerSettings, new: &IssuerSettings) -> bool {
    match (&old.keys, &new.keys) {
        (KeySource::Remote(old), KeySource::Remote(new)) => {
            // SECURITY: guarded by `keys_that_came_under_trust_that_is_withdrawn_are_not_used`.
            old.place == new.place
                && old.access.ca == new.access.ca
                && old.access.server_name == new.access.server_name
        }
        _ => false,
    }
}

/// Where a key can be asked for that is not there.
pub(super) fn demand(keys: &[Keys]) -> Demand {
    let asking = |keys: &Keys| match keys {
        Keys::Local(..) => None,
        Keys::Fetched(remote) => Some(remote.asking()),
    };
    Demand::of(keys.iter().map(asking).collect())
}

impl Keys {
    pub(super) fn reader(&self) -> Reader<Option<KeyRing>> {
        match self {
            Self::Local(_, reader) => reader.clone(),
            Self::Fetched(remote) => remote.reader(),
        }
    }

    /// Starts the fetching, where there is some that was not started.
    pub(super) fn begin(&mut self) {
        match self {
            Self::Local(..) => {}
            Self::Fetched(remote) => remote.begin(),
        }
    }
}

/// The file or the directory of an issuer's keys.
pub(super) fn path(issuer: &IssuerSettings) -> Option<&Path> {
    issuer.keys.path().map(|path| path.as_path())
}

/// A random number, so that gates which start together do not fetch together.
pub(super) fn dice() -> Roll {
    let mut bytes = [0; 4];
    // Without randomness there is no TLS either, and nothing to spread.
    let _ = rand::fill(&mut bytes);
    Roll::new(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}
