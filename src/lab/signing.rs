//! A private key becomes signed tokens, and the public documents that a verifier reads.
//!
//! It signs whatever text it is given, also what no honest issuer would: attacks need that.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
};
use aws_lc_rs::{error, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::jwks;
use crate::model::Algorithm;

/// Why a key could not be made, read or written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SigningError {
    /// The cryptographic library failed.
    #[error("the key could not be generated or used")]
    Library,
    /// The PEM holds no PKCS#8 private key of the kind that the algorithm needs.
    #[error("this is not a PKCS#8 PRIVATE KEY for {0}")]
    NotForAlgorithm(Algorithm),
    /// A secret has no PEM form, and only a secret has a secret.
    #[error("{0} has no key in that form")]
    NoSuchForm(Algorithm),
}

impl From<error::Unspecified> for SigningError {
    fn from(_: error::Unspecified) -> Self {
        Self::Library
    }
}

/// A key that signs with one algorithm.
pub struct SigningKey {
    algorithm: Algorithm,
    kid: Option<String>,
    pair: Pair,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// What an algorithm needs.
enum Kind {
    Ecdsa(&'static EcdsaSigningAlgorithm),
    Rsa(&'static dyn RsaEncoding),
    Ed25519,
    Hmac(hmac::Algorithm),
}

fn kind(algorithm: Algorithm) -> Kind {
    match algorithm {
        Algorithm::Es256 => Kind::Ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
        Algorithm::Es384 => Kind::Ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
        Algorithm::Es512 => Kind::Ecdsa(&signature::ECDSA_P521_SHA512_FIXED_SIGNING),
        Algorithm::Rs256 => Kind::Rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::Rs384 => Kind::Rsa(&signature::RSA_PKCS1_SHA384),
        Algorithm::Rs512 => Kind::Rsa(&signature::RSA_PKCS1_SHA512),
        Algorithm::Ps256 => Kind::Rsa(&signature::RSA_PSS_SHA256),
        Algorithm::Ps384 => Kind::Rsa(&signature::RSA_PSS_SHA384),
        Algorithm::Ps512 => Kind::Rsa(&signature::RSA_PSS_SHA512),
        Algorithm::EdDsa => Kind::Ed25519,
        Algorithm::Hs256 => Kind::Hmac(hmac::HMAC_SHA256),
        Algorithm::Hs384 => Kind::Hmac(hmac::HMAC_SHA384),
        Algorithm::Hs512 => Kind::Hmac(hmac::HMAC_SHA512),
    }
}

// === impl SigningKey: where it comes from ===

impl SigningKey {
    /// A new key; RSA ones have 2048 bits, secrets 64 bytes of base64url.
    ///
    /// # Errors
    ///
    /// [`SigningError::Library`]
    pub fn generate(algorithm: Algorithm, kid: Option<&str>) -> Result<Self, SigningError> {
        let pair = match kind(algorithm) {
            Kind::Ecdsa(curve) => Pair::Ecdsa(EcdsaKeyPair::generate(curve)?),
            Kind::Rsa(_) => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048)?),
            Kind::Ed25519 => Pair::Ed25519(Ed25519KeyPair::generate()?),
            Kind::Hmac(_) => {
                let mut random = [0; 48];
                rand::fill(&mut random)?;
                // Text, so that it survives an editor and an environment variable.
                Pair::Secret(URL_SAFE_NO_PAD.encode(random).into_bytes())
            }
        };
        Ok(Self::new(algorithm, kid, pair))
    }

    /// A key stored by [`SigningKey::private_pem`].
    ///
    /// # Errors
    ///
    /// [`SigningError::NotForAlgorithm`]
    pub fn from_private_pem(
        pem: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Self, SigningError> {
        let refused = SigningError::NotForAlgorithm(algorithm);
        let Some(der) = crate::pem::pkcs8(pem) else {
            return Err(refused);
        };
        let der = der.as_slice();
        let pair = match kind(algorithm) {
            Kind::Ecdsa(curve) => EcdsaKeyPair::from_pkcs8(curve, der).map(Pair::Ecdsa),
            Kind::Rsa(_) => RsaKeyPair::from_pkcs8(der).map(Pair::Rsa),
            Kind::Ed25519 => Ed25519KeyPair::from_pkcs8(der).map(Pair::Ed25519),
            Kind::Hmac(_) => return Err(refused),
        };
        pair.map(|pair| Self::new(algorithm, kid, pair))
            .map_err(|_| refused)
    }

    /// A shared secret, or any bytes that an attacker may take for one.
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] when the algorithm is none of HS256, HS384 and HS512.
    pub fn from_secret(
        secret: &[u8],
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Self, SigningError> {
        match kind(algorithm) {
            Kind::Hmac(_) => Ok(Self::new(algorithm, kid, Pair::Secret(secret.to_vec()))),
            Kind::Ecdsa(_) | Kind::Rsa(_) | Kind::Ed25519 => {
                Err(SigningError::NoSuchForm(algorithm))
            }
        }
    }

    fn new(algorithm: Algorithm, kid: Option<&str>, pair: Pair) -> Self {
        Self {
            algorithm,
            kid: kid.map(str::to_owned),
            pair,
        }
    }
}

// === impl SigningKey: what it makes ===

impl SigningKey {
    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The header of an honest token.
    #[must_use]
    pub fn header(&self) -> String {
        let mut header = json!({ "alg": self.algorithm.name(), "typ": "JWT" });
        if let (Some(kid), Some(members)) = (&self.kid, header.as_object_mut()) {
            members.insert("kid".to_owned(), kid.as_str().into());
        }
        header.to_string()
    }

    /// A compact JWS of exactly this header and this payload; neither is looked at.
    ///
    /// # Errors
    ///
    /// [`SigningError::Library`]
    pub fn sign(&self, header: &str, payload: &[u8]) -> Result<String, SigningError> {
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.signature(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// The bare signature of `message`.
    ///
    /// # Errors
    ///
    /// [`SigningError::Library`]
    pub fn signature(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let random = SystemRandom::new();
        match (&self.pair, kind(self.algorithm)) {
            (Pair::Ecdsa(pair), _) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            (Pair::Ed25519(pair), _) => Ok(pair.sign(message).as_ref().to_vec()),
            (Pair::Rsa(pair), Kind::Rsa(padding)) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)?;
                Ok(signature)
            }
            (Pair::Secret(secret), Kind::Hmac(hash)) => {
                let key = hmac::Key::new(hash, secret);
                Ok(hmac::sign(&key, message).as_ref().to_vec())
            }
            _ => Err(SigningError::Library),
        }
    }

    /// The public half as a JWK (RFC 7517).
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] for a secret: it has no public half.
    pub fn jwk(&self) -> Result<Value, SigningError> {
        let mut jwk = jwks::jwk_of_spki(&self.public_der()?).ok_or(SigningError::Library)?;
        jwk.insert("use".to_owned(), "sig".into());
        jwk.insert("alg".to_owned(), self.algorithm.name().into());
        if let Some(kid) = &self.kid {
            jwk.insert("kid".to_owned(), kid.as_str().into());
        }
        Ok(Value::Object(jwk))
    }

    /// A JWKS document of these keys.
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] when a secret is among them.
    pub fn jwks(keys: &[&Self]) -> Result<String, SigningError> {
        let keys = keys
            .iter()
            .map(|key| key.jwk())
            .collect::<Result<Vec<_>, _>>()?;
        Ok(json!({ "keys": keys }).to_string())
    }

    /// The public half as `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] for a secret.
    pub fn public_der(&self) -> Result<Vec<u8>, SigningError> {
        let der = match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_der()?,
            Pair::Rsa(pair) => pair.public_key().as_der()?,
            Pair::Ed25519(pair) => pair.public_key().as_der()?,
            Pair::Secret(_) => return Err(SigningError::NoSuchForm(self.algorithm)),
        };
        Ok(der.as_ref().to_vec())
    }

    /// The public half as `PUBLIC KEY` in PEM.
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] for a secret.
    pub fn public_pem(&self) -> Result<String, SigningError> {
        Ok(pem("PUBLIC KEY", &self.public_der()?))
    }

    /// The private half as `PRIVATE KEY` (PKCS#8) in PEM.
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] for a secret.
    pub fn private_pem(&self) -> Result<String, SigningError> {
        let der: Pkcs8V1Der<'_> = match &self.pair {
            Pair::Ecdsa(pair) => return Ok(pem("PRIVATE KEY", pair.to_pkcs8v1()?.as_ref())),
            Pair::Rsa(pair) => pair.as_der()?,
            Pair::Ed25519(pair) => pair.as_der()?,
            Pair::Secret(_) => return Err(SigningError::NoSuchForm(self.algorithm)),
        };
        Ok(pem("PRIVATE KEY", der.as_ref()))
    }

    /// The shared secret.
    ///
    /// # Errors
    ///
    /// [`SigningError::NoSuchForm`] for a key pair.
    pub fn secret(&self) -> Result<&[u8], SigningError> {
        match &self.pair {
            Pair::Secret(secret) => Ok(secret),
            Pair::Ecdsa(_) | Pair::Rsa(_) | Pair::Ed25519(_) => {
                Err(SigningError::NoSuchForm(self.algorithm))
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// RFC 7468 2: 64 characters a line.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (place, c) in text.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str(&format!("\n-----END {label}-----\n"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwks::KeyRing;

    #[test]
    fn a_stored_key_is_the_same_key() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm, Some("a")).unwrap();
            if algorithm.is_symmetric() {
                assert!(key.private_pem().is_err() && key.jwk().is_err());
                let again = SigningKey::from_secret(key.secret().unwrap(), algorithm, None);
                assert_eq!(again.unwrap().signature(b"x"), key.signature(b"x"));
                continue;
            }
            assert!(key.secret().is_err());
            let pem = key.private_pem().unwrap();
            let again = SigningKey::from_private_pem(&pem, algorithm, Some("a")).unwrap();
            assert_eq!(again.jwk(), key.jwk());
            let set = SigningKey::jwks(&[&again]).unwrap();
            assert_eq!(
                KeyRing::from_jwks(set.as_bytes(), &[algorithm])
                    .unwrap()
                    .0
                    .len(),
                1
            );
        }
    }

    #[test]
    fn a_key_for_another_algorithm_is_refused() {
        let p256 = SigningKey::generate(Algorithm::Es256, None).unwrap();
        let pem = p256.private_pem().unwrap();
        for algorithm in [
            Algorithm::Es384,
            Algorithm::Rs256,
            Algorithm::EdDsa,
            Algorithm::Hs256,
        ] {
            let refused = SigningKey::from_private_pem(&pem, algorithm, None).unwrap_err();
            assert_eq!(refused, SigningError::NotForAlgorithm(algorithm));
        }
        assert!(SigningKey::from_private_pem("no PEM", Algorithm::Es256, None).is_err());
    }

    #[test]
    fn a_key_does_not_show_itself() {
        let key = SigningKey::generate(Algorithm::Hs256, None).unwrap();
        let secret = String::from_utf8(key.secret().unwrap().to_vec()).unwrap();
        assert!(!format!("{key:?}").contains(&secret));
    }
}
