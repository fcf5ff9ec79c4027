//! Where verification keys come from, typed.
//!
//! Whatever stands here has been parsed: a URL is safe to fetch from, a path is whole, and the paces
//! fit each other.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::defaults;
use crate::model::SecureUrl;

/// Where verification keys come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeySource {
    /// `keys = { file = … }`: a JWKS document (RFC 7517 5).
    JwksFile(PathBuf),
    /// `keys = { file = …, format = "pem-map" }`: a JSON object from `kid` to PEM.
    PemMapFile(PathBuf),
    /// `keys = { pem = … }`: public keys or certificates.
    PemFile(PathBuf),
    /// `keys = { directory = … }`: one or more PEM files, each named after its `kid`.
    Directory(PathBuf),
    /// `keys = { secret = … }`: the shared secret of an HS algorithm.
    SecretFile(PathBuf),
    /// `keys = { url = … }`, `{ discovery = … }` or `{ pem_url = … }`
    Remote(Box<RemoteKeys>),
}

/// Keys that are fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RemoteKeys {
    /// From where.
    pub place: RemotePlace,
    /// How the server is recognised, and how the gate shows itself to it.
    pub access: Access,
    /// When.
    pub pace: Pace,
}

/// Where keys are fetched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RemotePlace {
    /// One document with all keys.
    Document(DocumentPlace),
    /// `pem_url`: one document for each key, fetched when a token names the key.
    ByKid {
        /// What stands before the `kid`; ends with `/`.
        folder: SecureUrl,
    },
}

/// Where a document with all keys is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DocumentPlace {
    /// `url`: here.
    Url {
        /// The document.
        url: SecureUrl,
        /// What it looks like.
        form: KeyForm,
    },
    /// `discovery`: where the OpenID provider's metadata says (OIDC Discovery 4). What it says of its
    /// issuer must be the issuer's `issuer`.
    Discovery {
        /// The metadata.
        url: SecureUrl,
    },
}

/// What a document with all keys looks like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyForm {
    /// `jwks`: RFC 7517 5.
    Jwks,
    /// `pem-map`: a JSON object from `kid` to PEM, as Google IAP publishes.
    PemMap,
}

/// How the two ends of a fetch know each other. The files are read anew for each fetch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Access {
    /// `ca`: PEM with the CAs to believe; `None` for those of the system.
    pub ca: Option<PathBuf>,
    /// `certificate` and `private_key`: what the gate shows to the server.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// `server_name`: the name that the server's certificate must have, where it is not the URL's.
    pub server_name: Option<ServerName<'static>>,
}

/// How often and how patiently keys are fetched. Operators write the first two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// `refresh`: the longest time from a success to the next fetch, whatever the server allows.
    pub refresh: Duration,
    /// `max_stale`: how long keys are used after they were last confirmed.
    pub max_stale: Duration,
    /// The shortest time from a success to the next fetch, whatever the server asks for.
    pub floor: Duration,
    /// The most that the first fetch is put off, so that gates which start together do not fetch
    /// together. A gate cannot judge before it.
    pub start_spread: Duration,
    /// The back-off's ceiling after the first failure; it doubles from there.
    pub first_retry: Duration,
    /// The back-off's last ceiling while the last good keys serve.
    pub last_retry: Duration,
    /// The same while there are none, and every request is answered 503.
    pub last_retry_without_keys: Duration,
    /// From one fetch for the sake of an unknown `kid` to the next.
    pub cooldown: Duration,
    /// How long a `kid` that a fetch did not bring causes no other.
    pub unknown_kept: Duration,
    /// How long a request waits for a fetch for the sake of its `kid`.
    pub patience: Duration,
    /// How long connecting may take, TLS included.
    pub connect: Duration,
    /// How long a whole fetch may take.
    pub whole: Duration,
}

/// Chosen with the figures of `docs/explanation/fleet.md`.
impl Default for Pace {
    fn default() -> Self {
        Self {
            refresh: defaults::KEYS_REFRESH.default,
            max_stale: defaults::KEYS_MAX_STALE.default,
            floor: defaults::KEYS_REFRESH.least,
            start_spread: Duration::ZERO,
            first_retry: Duration::from_secs(1),
            last_retry: Duration::from_secs(300),
            last_retry_without_keys: Duration::from_secs(120),
            cooldown: Duration::from_secs(10),
            unknown_kept: Duration::from_secs(60),
            patience: Duration::from_millis(2_500),
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
        }
    }
}

impl KeySource {
    /// Whether what these keys are written in has no place for a `kid`.
    #[must_use]
    pub const fn is_nameless(&self) -> bool {
        matches!(self, Self::PemFile(_) | Self::SecretFile(_))
    }

    /// The file or directory that the keys are read from, for all but the fetched ones.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::JwksFile(path)
            | Self::PemMapFile(path)
            | Self::PemFile(path)
            | Self::Directory(path)
            | Self::SecretFile(path) => Some(path),
            Self::Remote(_) => None,
        }
    }
}
