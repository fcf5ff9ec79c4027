//! What `issuer.keys` may say, in the manner of `raw`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::annotate::duration;
use super::defaults;
use super::place::At;

type Maybe<T> = Option<At<T>>;

/// `issuer.keys`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKeys {
    /// A JWKS document with public keys.
    #[schemars(extend("examples" = ["/etc/sidegate/jwks/jwks.json"]))]
    pub(super) file: Maybe<String>,
    /// A PEM file with public keys or certificates.
    #[schemars(extend("examples" = ["/etc/sidegate/jwks/issuer.pem"]))]
    pub(super) pem: Maybe<String>,
    /// A directory of PEM files (`.pem`, `.crt`, `.pub`), each named after its `kid`.
    #[schemars(extend("examples" = ["/etc/sidegate/keys"]))]
    pub(super) directory: Maybe<String>,
    /// A file with the shared secret of an HS algorithm; never the secret itself.
    #[schemars(extend("examples" = ["/etc/sidegate/secret/hs256.key"]))]
    pub(super) secret: Maybe<String>,
    /// A document fetched from here: `https`, or `http` to this machine.
    #[schemars(extend("examples" = ["https://idp.example/jwks.json"]))]
    pub(super) url: Maybe<String>,
    /// An OpenID provider, the same text as `issuer`: its metadata says where its JWKS is.
    #[schemars(extend("examples" = ["https://accounts.example.com"]))]
    pub(super) discovery: Maybe<String>,
    /// A PEM document for each key, fetched when a token names it. `{kid}` stands once, as the whole
    /// last segment.
    #[schemars(extend("examples" = ["https://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}"]))]
    pub(super) pem_url: Maybe<String>,
    /// What `url` or `file` holds: a JWKS, or a JSON object from `kid` to PEM.
    #[schemars(extend("default" = defaults::KEYS_FORMAT, "enum" = ["jwks", "pem-map"]))]
    pub(super) format: Maybe<String>,
    /// PEM file with the CAs that the server's certificate must come from. Without it, those of the
    /// system.
    #[schemars(extend("examples" = ["/etc/sidegate/ca/ca.crt"]))]
    pub(super) ca: Maybe<String>,
    /// PEM file with the client certificate that the server gets to see.
    #[schemars(extend("examples" = ["/etc/sidegate/tls/tls.crt"]))]
    pub(super) certificate: Maybe<String>,
    /// PEM file with the private key of that certificate.
    #[schemars(extend("examples" = ["/etc/sidegate/tls/tls.key"]))]
    pub(super) private_key: Maybe<String>,
    /// The name that the server's certificate must hold, where it is not the URL's.
    #[schemars(extend("examples" = ["pomerium.internal"]))]
    pub(super) server_name: Maybe<String>,
    /// The longest time between two fetches; the server's `Cache-Control` may shorten it, to 30s.
    #[schemars(transform = duration(&defaults::KEYS_REFRESH))]
    pub(super) refresh: Maybe<String>,
    /// How long fetched keys are used while they cannot be fetched again; then requests get 503.
    #[schemars(transform = duration(&defaults::KEYS_MAX_STALE))]
    pub(super) max_stale: Maybe<String>,
}
