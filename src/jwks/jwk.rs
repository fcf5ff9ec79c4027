//! One member of a JWKS becomes the numbers of a public key and what may be done with it.
//!
//! A member that cannot be used is a [`KeyFault`] and costs nobody else their key (RFC 7517 5). A
//! member that holds private or shared material is another matter: see [`holds_secret`].

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::Jwk;
use serde_json::{Map, Value};

use super::MAX_KID_BYTES;
use super::algorithm::Curve;
use super::public_key::{KeyFault, PublicKey};
use crate::model::Algorithm;

/// The members that only a private or a shared key has (RFC 7518 6.2.2, 6.3.2, 6.4.1; RFC 8037 2).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A member of a JWKS that can be used.
pub(super) struct Member {
    pub(super) kid: Option<String>,
    pub(super) key: PublicKey,
    /// The one algorithm that the member is bound to by its `alg`.
    pub(super) algorithm: Option<Algorithm>,
}

/// Whether the member is, or contains, what never comes to the verifying side.
pub(super) fn holds_secret(member: &Map<String, Value>) -> bool {
    SECRET_MEMBERS.iter().any(|name| member.contains_key(*name))
        || member.get("kty").and_then(Value::as_str) == Some("oct")
}

/// Whether a `kid` can be matched by a token's and be shown in a line of a log.
pub(super) fn is_fit(kid: &str) -> bool {
    kid.len() <= MAX_KID_BYTES && !kid.chars().any(char::is_control)
}

/// Reads one member.
pub(super) fn parse(member: Map<String, Value>) -> Result<Member, KeyFault> {
    // Never by way of serde: `Jwk`'s accessors panic on what `from_map` would have refused.
    let jwk = Jwk::from_map(member).map_err(|_| KeyFault::NotAJwk)?;
    // `jwt-svid` is what SPIFFE bundles write for keys that sign tokens.
    if jwk
        .key_use()
        .is_some_and(|purpose| !matches!(purpose, "sig" | "jwt-svid"))
    {
        return Err(KeyFault::Use);
    }
    if jwk
        .key_operations()
        .is_some_and(|operations| !operations.contains(&"verify"))
    {
        return Err(KeyFault::Operations);
    }
    let kid = jwk.key_id().map(str::to_owned);
    if !kid.as_deref().is_none_or(is_fit) {
        return Err(KeyFault::KeyId);
    }
    let key = public_key(&jwk)?;
    let algorithm = match jwk.algorithm() {
        None => None,
        Some(name) => match Algorithm::from_name(name) {
            Some(algorithm) if key.fits(algorithm) => Some(algorithm),
            _ => return Err(KeyFault::Algorithm),
        },
    };
    Ok(Member {
        kid,
        key,
        algorithm,
    })
}

fn public_key(jwk: &Jwk) -> Result<PublicKey, KeyFault> {
    match jwk.key_type() {
        "RSA" => PublicKey::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?),
        "EC" => {
            let curve = Curve::ALL
                .into_iter()
                .find(|curve| jwk.curve() == Some(curve.name()))
                .ok_or(KeyFault::Curve)?;
            PublicKey::ec(curve, bytes(jwk, "x")?, bytes(jwk, "y")?)
        }
        "OKP" if jwk.curve() == Some("Ed25519") => PublicKey::ed25519(bytes(jwk, "x")?),
        "OKP" => Err(KeyFault::Curve),
        _ => Err(KeyFault::KeyType),
    }
}

fn bytes(jwk: &Jwk, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    jwk.parameter(name)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .filter(|bytes| !bytes.is_empty())
        .ok_or(KeyFault::Parameter(name))
}
