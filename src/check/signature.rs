//! A raw token becomes a signed payload: the form, the header, the algorithm list, the key, the
//! signature, in this order, so that nothing of a token is believed before its signature holds.
//!
//! The one place that calls josekit to verify. What josekit leaves to its caller is judged before it
//! is called; whatever it answers that is not "this is the payload" is a refusal, a panic included.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::{self, JwsVerifier};

use super::header::{Header, peek_issuer};
use crate::bearer::RawToken;
use crate::jwks::{KeyRing, NoKey, Verifier};
use crate::model::{Algorithm, Denial};

/// The three parts of a compact JWS (RFC 7515 3.1), each in canonical base64url.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    whole: &'a str,
    header: &'a str,
    payload: &'a str,
}

/// A payload whose signature holds. Only [`Parts::verify`] makes one.
pub(super) struct SignedPayload {
    bytes: Vec<u8>,
    kid: Option<Arc<str>>,
}

/// A refusal, with the ring's own name for the key where one was found.
#[derive(Debug)]
pub(super) struct Unsigned {
    pub(super) denial: Denial,
    pub(super) kid: Option<Arc<str>>,
}

impl From<Denial> for Unsigned {
    fn from(denial: Denial) -> Self {
        Self { denial, kid: None }
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// Splits a token, without decoding it.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenMalformed`] for anything but three parts, none of them empty, each in the one
    /// spelling that its bytes have.
    pub(super) fn split(token: &RawToken<'a>) -> Result<Self, Denial> {
        let whole = token.text();
        let mut parts = whole.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denial::TokenMalformed);
        };
        if ![header, payload, signature].into_iter().all(is_canonical) {
            return Err(Denial::TokenMalformed);
        }
        Ok(Self {
            whole,
            header,
            payload,
        })
    }

    /// The `iss` of the payload, unverified: good for choosing whose keys to try, nothing else.
    pub(super) fn peek_issuer(&self) -> Option<String> {
        let payload = URL_SAFE_NO_PAD.decode(self.payload).ok()?;
        peek_issuer(&payload)
    }

    /// Verifies the signature with a key of `ring` and an algorithm of `algorithms`.
    ///
    /// # Errors
    ///
    /// The stage `token` of [`Denial`], in this order: malformed or refused header,
    /// [`Denial::AlgorithmRefused`], [`Denial::KeyUnknown`] or [`Denial::KeyMismatch`],
    /// [`Denial::SignatureInvalid`].
    pub(super) fn verify(
        &self,
        ring: &KeyRing,
        algorithms: &[Algorithm],
    ) -> Result<SignedPayload, Unsigned> {
        let json = URL_SAFE_NO_PAD
            .decode(self.header)
            .map_err(|_| Denial::TokenMalformed)?;
        let header = Header::parse(&json)?;
        // SECURITY: guarded by the rows "algorithm …" of the attack table. The issuer's list decides
        // before a key is looked for: a token never chooses how it is judged (RFC 8725 3.1).
        let algorithm = header
            .algorithm()
            .filter(|algorithm| algorithms.contains(algorithm))
            .ok_or(Denial::AlgorithmRefused)?;
        let keys = ring
            .find(header.kid(), algorithm)
            .map_err(|missing| match missing {
                NoKey::Unknown => Denial::KeyUnknown.into(),
                NoKey::Mismatch(kid) => Unsigned {
                    denial: Denial::KeyMismatch,
                    kid,
                },
            })?;
        let mut refusal = Unsigned::from(Denial::SignatureInvalid);
        for (verifier, kid) in keys.iter() {
            match self.open(&header, verifier) {
                Ok(bytes) => {
                    let kid = kid.cloned();
                    return Ok(SignedPayload { bytes, kid });
                }
                Err(denial) => {
                    let kid = kid.cloned();
                    refusal = Unsigned { denial, kid };
                }
            }
        }
        Err(refusal)
    }

    /// Lets josekit take the token apart and verify it with this key.
    fn open(&self, header: &Header<'_>, verifier: &Verifier) -> Result<Vec<u8>, Denial> {
        // Why catch a panic? The input is a stranger's and the parser is not ours; one token must
        // not cost the connection, with all the streams on it, its life.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            jws::deserialize_compact_with_selector(self.whole, |seen| {
                // josekit has parsed the header itself. Should it ever have read another key name
                // out of it than we did, then there is no key for this token.
                let same = seen.key_id() == header.kid();
                Ok(same.then_some(verifier as &dyn JwsVerifier))
            })
        }));
        match opened {
            Ok(Ok((payload, _))) => Ok(payload),
            Ok(Err(JoseError::InvalidSignature(_))) | Err(_) => Err(Denial::SignatureInvalid),
            Ok(Err(_)) => Err(Denial::TokenMalformed),
        }
    }
}

/// Whether a part is base64url without padding in canonical form (RFC 7515 2, RFC 4648 3.5), judged
/// by length and last digit; that all others are digits is [`Places::find`]'s promise, and the
/// decoder's check.
///
/// [`Places::find`]: crate::bearer::Places::find
fn is_canonical(part: &str) -> bool {
    let unused_bits = match part.len() % 4 {
        0 => 0_u8,
        2 => 4,
        3 => 2,
        _ => return false,
    };
    let digit = match part.as_bytes().last() {
        Some(byte @ b'A'..=b'Z') => byte - b'A',
        Some(byte @ b'a'..=b'z') => byte - b'a' + 26,
        Some(byte @ b'0'..=b'9') => byte - b'0' + 52,
        Some(b'-') => 62,
        Some(b'_') => 63,
        _ => return false,
    };
    digit.trailing_zeros() >= u32::from(unused_bits)
}

// === impl SignedPayload ===

impl SignedPayload {
    /// What was signed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The ring's own name for the key that signed.
    pub(super) fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }
}
