//! One prepared key and its one algorithm, behind josekit's interface of a verifier.
//!
//! Why not josekit's own verifiers? They run on OpenSSL, which takes two to three times as long for
//! ES384 and EdDSA, compares HMACs in variable time, and would be a second cryptographic library to
//! trust. Every signature is judged by aws-lc-rs, which rustls uses already; no OpenSSL function is
//! ever called.

use std::fmt;

use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters};
use aws_lc_rs::{digest, hmac};
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsVerifier};

use crate::model::Algorithm;

/// A key, ready to verify signatures of one algorithm and no other.
#[derive(Clone)]
pub struct Verifier {
    algorithm: Algorithm,
    key: Prepared,
}

#[derive(Clone)]
enum Prepared {
    Public(ParsedPublicKey),
    /// Boxed: many times the size of a public key.
    Secret(Box<hmac::Key>),
}

// === impl Verifier ===

impl Verifier {
    pub(super) fn public(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        Self {
            algorithm,
            key: Prepared::Public(key),
        }
    }

    pub(super) fn secret(algorithm: Algorithm, hash: hmac::Algorithm, secret: &[u8]) -> Self {
        Self {
            algorithm,
            key: Prepared::Secret(Box::new(hmac::Key::new(hash, secret))),
        }
    }

    /// The one algorithm.
    #[must_use]
    pub fn for_algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl JwsVerifier for Verifier {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.algorithm
    }

    /// `None`: the key ring selects by `kid`, also where a key has none or is named by thumbprint.
    fn key_id(&self) -> Option<&str> {
        None
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        match &self.key {
            Prepared::Public(key) => key.verify_sig(message, signature),
            // Compares in constant time.
            Prepared::Secret(key) => hmac::verify(key, message, signature),
        }
        .map_err(|unspecified| JoseError::InvalidSignature(unspecified.into()))
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

// === impl Algorithm ===

impl JwsAlgorithm for Algorithm {
    fn name(&self) -> &str {
        Self::name(*self)
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

// === What aws-lc-rs calls each algorithm ===

/// The parameters of an RSA algorithm. All of them also hold the modulus to 2048-8192 bits, and
/// those of PSS the salt to the hash's length (RFC 7518 3.5).
pub(super) fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::Es512
        | Algorithm::EdDsa
        | Algorithm::Hs256
        | Algorithm::Hs384
        | Algorithm::Hs512 => None,
    }
}

/// The elliptic curves of RFC 7518 6.2.1.1. Each belongs to exactly one algorithm (RFC 7518 3.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// As a JWK's `crv` spells it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of one coordinate.
    pub(super) const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    pub(super) const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Es256,
            Self::P384 => Algorithm::Es384,
            Self::P521 => Algorithm::Es512,
        }
    }

    pub(super) fn parameters(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_FIXED,
            Self::P384 => &signature::ECDSA_P384_SHA384_FIXED,
            Self::P521 => &signature::ECDSA_P521_SHA512_FIXED,
        }
    }
}

/// The hash of an HMAC algorithm, and its length in bytes.
pub(super) fn hmac_parameters(algorithm: Algorithm) -> Option<(hmac::Algorithm, usize)> {
    let hash = match algorithm {
        Algorithm::Hs256 => hmac::HMAC_SHA256,
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::Es512
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::EdDsa => return None,
    };
    Some((hash, hash.digest_algorithm().output_len()))
}

/// SHA-256, for thumbprints.
pub(super) fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}
