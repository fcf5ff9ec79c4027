//! A whole little world to run a gate in: certificates for friends and strangers, two issuers with
//! keys, and the configuration that ties them together.
//!
//! `sidegate dev certs` writes it to a folder; the demo and the tests live in one.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pki::{Authority, Issued, Leaf, PkiError, Role, Validity};
use super::signing::{SigningError, SigningKey};
use super::token::TokenSpec;
use crate::model::{Algorithm, Timestamp};

/// The name in the gate's certificate.
pub const SERVER_NAME: &str = "sidegate.test";
/// The first issuer: what `Authorization: Bearer` holds.
pub const ISSUER: &str = "https://issuer.test/";
/// The second issuer: what `X-Partner-Assertion` holds.
pub const PARTNER_ISSUER: &str = "https://partner.test/";
/// The audience of both.
pub const AUDIENCE: &str = "legacy.test";
/// The peer that may bring tokens of the first issuer.
pub const FRONT: &str = "spiffe://test.example/front";
/// The peer that may bring tokens of the second issuer.
pub const PARTNER: &str = "spiffe://test.example/partner";

/// Why a world could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A signing key or a token.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A file.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

/// Everything that was made.
#[derive(Debug)]
pub struct World {
    /// Where the files are.
    pub folder: PathBuf,
    /// When it was made.
    pub now: Timestamp,
    /// The CA that the gate believes.
    pub ca: Authority,
    /// Another CA of the same name.
    pub foreign_ca: Authority,
    /// The gate's own certificate.
    pub server: Issued,
    /// A listed peer: `front`.
    pub front: Issued,
    /// The list of the authority that issued `partner`; a client CRL file needs one of each.
    pub intermediate_crl: String,
    /// A listed peer: `partner`.
    pub partner: Issued,
    /// Of the right CA, and not listed.
    pub stranger: Issued,
    /// The right name of the wrong CA.
    pub foreign: Issued,
    /// The right name, an hour too late.
    pub expired: Issued,
    /// The right name, revoked.
    pub revoked: Issued,
    /// The first issuer's key in use.
    pub key: SigningKey,
    /// The first issuer's next key, published already.
    pub next_key: SigningKey,
    /// The first issuer's key before that, published still.
    pub previous_key: SigningKey,
    /// The second issuer's key.
    pub partner_key: SigningKey,
}

impl World {
    /// Makes everything and writes it into `folder`.
    ///
    /// # Errors
    ///
    /// [`WorldError`].
    pub fn create(folder: &Path, now: Timestamp) -> Result<Self, WorldError> {
        let next_key = SigningKey::generate(Algorithm::Rs256, Some("next"))?;
        Self::with_next_key(folder, now, next_key)
    }

    /// The same with the first issuer's next key, an RSA key for RS256, made already: it takes longer
    /// than all the rest.
    ///
    /// # Errors
    ///
    /// [`WorldError`].
    pub fn with_next_key(
        folder: &Path,
        now: Timestamp,
        next_key: SigningKey,
    ) -> Result<Self, WorldError> {
        let ca = Authority::root("sidegate development CA", now)?;
        let foreign_ca = Authority::root("sidegate development CA", now)?;
        let intermediate = ca.intermediate("sidegate development CA 2")?;
        let mut partner = intermediate.issue(&Leaf::client(PARTNER))?;
        partner.chain_pem.push_str(intermediate.pem());
        let world = Self {
            folder: folder.to_owned(),
            now,
            intermediate_crl: intermediate.revoke(&[], Validity::Now)?,
            server: ca.issue(&Leaf::server(SERVER_NAME))?,
            front: ca.issue(&Leaf::client(FRONT))?,
            partner,
            stranger: ca.issue(&Leaf::client("spiffe://test.example/stranger"))?,
            foreign: foreign_ca.issue(&Leaf::client(FRONT))?,
            expired: ca.issue(&Leaf::client(FRONT).valid(Validity::Expired))?,
            revoked: ca.issue(&Leaf {
                role: Role::Client,
                ..Leaf::client(FRONT)
            })?,
            key: SigningKey::generate(Algorithm::Es256, Some("current"))?,
            next_key,
            previous_key: SigningKey::generate(Algorithm::Es256, Some("previous"))?,
            partner_key: SigningKey::generate(Algorithm::EdDsa, Some("partner"))?,
            ca,
            foreign_ca,
        };
        let crls =
            world.ca.revoke(&[&world.revoked.serial], Validity::Now)? + &world.intermediate_crl;
        world.write("ca.crl", &crls)?;
        world.write_files()?;
        Ok(world)
    }

    fn write_files(&self) -> Result<(), WorldError> {
        self.write("ca.crt", self.ca.pem())?;
        for (name, issued) in [
            ("server", &self.server),
            ("front", &self.front),
            ("partner", &self.partner),
            ("stranger", &self.stranger),
            ("foreign", &self.foreign),
            ("expired", &self.expired),
            ("revoked", &self.revoked),
        ] {
            self.write(&format!("{name}.crt"), &issued.chain_pem)?;
            self.write(&format!("{name}.key"), &issued.key_pem)?;
        }
        self.write(
            "jwks.json",
            &SigningKey::jwks(&[&self.key, &self.next_key, &self.previous_key])?,
        )?;
        self.write(
            "partner-jwks.json",
            &SigningKey::jwks(&[&self.partner_key])?,
        )?;
        for (name, key) in [
            ("signing.key", &self.key),
            ("next-signing.key", &self.next_key),
            ("previous-signing.key", &self.previous_key),
            ("partner-signing.key", &self.partner_key),
        ] {
            self.write(name, &key.private_pem()?)?;
        }
        let earlier = Timestamp::from_unix(self.now.unix().saturating_sub(900));
        let expired = self.token().lives(earlier, Duration::from_secs(300));
        for (name, spec, key) in [
            ("token", self.token(), &self.key),
            ("next.token", self.token(), &self.next_key),
            ("previous.token", self.token(), &self.previous_key),
            ("partner.token", self.partner_token(), &self.partner_key),
            ("expired.token", expired, &self.key),
        ] {
            self.write(name, &spec.sign(key)?)?;
        }
        Ok(())
    }

    /// Writes one file, readable by its owner alone, also where it was there before.
    ///
    /// # Errors
    ///
    /// [`WorldError::File`].
    pub fn write(&self, name: &str, text: &str) -> Result<(), WorldError> {
        let path = self.folder.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(&path).and_then(|mut file| {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())
        });
        written.map_err(|cause| WorldError::File { path, cause })
    }

    /// The configuration for a service at `upstream`, with `listen` and `admin` as addresses.
    #[must_use]
    pub fn config(&self, listen: &str, admin: &str, upstream: &str) -> String {
        format!(
            r#"[listen]
address = "{listen}"

[tls]
certificate = "server.crt"
private_key = "server.key"
client_ca = "ca.crt"
client_crl = "ca.crl"

[[peer]]
name = "front"
uri = ["{FRONT}"]
issuers = ["main"]

[[peer]]
name = "partner"
uri = ["{PARTNER}"]
issuers = ["partner"]

[[issuer]]
name = "main"
issuer = "{ISSUER}"
audience = ["{AUDIENCE}"]
algorithms = ["ES256", "RS256"]
keys = {{ file = "jwks.json" }}

[[issuer]]
name = "partner"
issuer = "{PARTNER_ISSUER}"
audience = ["{AUDIENCE}"]
algorithms = ["EdDSA"]
header = "X-Partner-Assertion"
keys = {{ file = "partner-jwks.json" }}
strip_headers = ["X-Partner-Claim-*"]

[upstream]
address = "{upstream}"

[identity.headers]
X-Auth-Subject = "sub"
X-Auth-Email = "email"
X-Auth-Groups = "groups"

[admin]
address = "{admin}"
"#
        )
    }

    /// A good token's claims, for the first issuer.
    #[must_use]
    pub fn token(&self) -> TokenSpec {
        TokenSpec::new(ISSUER, AUDIENCE, "ada", self.now)
            .claim("email", "ada@example.com")
            .claim("groups", vec!["engineers", "readers"])
    }

    /// A good token's claims, for the second issuer.
    #[must_use]
    pub fn partner_token(&self) -> TokenSpec {
        TokenSpec::new(PARTNER_ISSUER, AUDIENCE, "grace", self.now)
    }
}
