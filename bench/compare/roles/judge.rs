//! The least that a gate must do with a token: key by `kid`, signature, issuer, audience, expiry; and
//! remember by its bytes what was good.

use std::path::Path;

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use quick_cache::sync::Cache;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use sidegate::lab::world::{AUDIENCE, ISSUER};
use sidegate::model::Timestamp;

use crate::Failure;
use crate::tokens::Kind;

/// As many as sidegate remembers by default.
const REMEMBERED: usize = 4096;

pub(super) struct Judge {
    keys: Vec<(&'static str, &'static str, ParsedPublicKey)>,
    seen: Cache<Vec<u8>, Identity>,
}

/// What the service is told.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) subject: HeaderValue,
    pub(super) email: HeaderValue,
    pub(super) groups: HeaderValue,
    until: u64,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
}

#[derive(Deserialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    exp: u64,
    sub: &'a str,
    email: &'a str,
    groups: Vec<&'a str>,
}

impl Judge {
    pub(super) fn new(keys: &Path) -> Result<Self, Failure> {
        let es256: &'static dyn VerificationAlgorithm = &signature::ECDSA_P256_SHA256_FIXED;
        let rs256: &'static dyn VerificationAlgorithm = &signature::RSA_PKCS1_2048_8192_SHA256;
        let mut known = Vec::new();
        for (kind, algorithm) in [(Kind::Es256, es256), (Kind::Rs256, rs256)] {
            let der = SubjectPublicKeyInfoDer::from_pem_file(keys.join(kind.public_file()))?;
            let key = ParsedPublicKey::new(algorithm, der)?;
            known.push((kind.kid(), kind.alg(), key));
        }
        Ok(Self {
            keys: known,
            seen: Cache::new(REMEMBERED),
        })
    }

    /// Whom the token speaks for, if it is good.
    pub(super) fn judge(&self, authorization: Option<&HeaderValue>) -> Option<Identity> {
        let token = authorization?.as_bytes().strip_prefix(b"Bearer ")?;
        let now = Timestamp::now().unix();
        if let Some(identity) = self.seen.get(token) {
            return (identity.until > now).then_some(identity);
        }
        let identity = self.verify(token)?;
        if identity.until <= now {
            return None;
        }
        self.seen.insert(token.to_vec(), identity.clone());
        Some(identity)
    }

    fn verify(&self, token: &[u8]) -> Option<Identity> {
        let token = std::str::from_utf8(token).ok()?;
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        let (_, _, key) = self
            .keys
            .iter()
            .find(|(kid, alg, _)| *kid == header.kid && *alg == header.alg)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        key.verify_sig(signed.as_bytes(), &signature).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
        let claims: Claims<'_> = serde_json::from_slice(&claims).ok()?;
        if claims.iss != ISSUER || claims.aud != AUDIENCE {
            return None;
        }
        Some(Identity {
            subject: HeaderValue::from_str(claims.sub).ok()?,
            email: HeaderValue::from_str(claims.email).ok()?,
            groups: HeaderValue::from_str(&claims.groups.join(",")).ok()?,
            until: claims.exp,
        })
    }
}
