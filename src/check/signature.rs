//! A raw token becomes a signed payload: the form, the header, the algorithm list, the key, the
//! signature, in this order, so that nothing of a token is believed before its signature holds.
//!
//! Why not josekit's own reader? It parses the header a second time, with a milder view and into maps,
//! which is a tenth of what a fresh token costs; and two parsers of one header can differ.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jws::JwsVerifier;

use super::alb::AlbHeader;
use super::header::{Header, Peeked, peek};
use super::policy::Wanted;
use crate::bearer::RawToken;
use crate::jwks::{KeyId, KeyRing, NoKey, Verifier};
use crate::model::{Algorithm, Denial};
use crate::settings::TokenForm;

/// The three parts of a compact JWS (RFC 7515 3.1), each in canonical base64url: all of them without
/// padding, or all with it.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    /// What the signature is over: header and payload as they came.
    signed: &'a str,
    /// Without its padding, as the other two.
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    spelling: Spelling,
}

/// How base64url is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Spelling {
    /// Without padding, where some is missing (RFC 7515 2).
    Bare,
    /// With it (RFC 4648 3.2).
    Padded,
    /// A length that needs none: both.
    Whole,
}

/// A payload whose signature holds. Only [`Parts::verify`] makes one.
pub(super) struct SignedPayload {
    bytes: Vec<u8>,
    kid: Option<Arc<str>>,
    typ: Option<Box<str>>,
    alb: Option<AlbHeader>,
    signer: Signer,
}

/// What of a token's header was held against what its issuer's tokens look like. Kept, so that it can
/// be once more.
#[derive(Debug)]
pub(super) struct Looks {
    /// `typ`
    pub(super) typ: Option<Box<str>>,
    /// The load balancer that signed, of a token in the form of those.
    pub(super) load_balancer: Option<Box<str>>,
}

/// With which key and how a token was signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Signer {
    pub(super) key: KeyId,
    pub(super) algorithm: Algorithm,
}

/// A refusal, with the ring's own name for the key where one was found.
#[derive(Debug)]
pub(super) struct Unsigned {
    pub(super) denial: Denial,
    pub(super) kid: Option<Arc<str>>,
    /// What the token calls a key that is not there. A stranger's words: to ask with, never to tell.
    pub(super) sought: Option<Box<str>>,
}

impl From<Denial> for Unsigned {
    fn from(denial: Denial) -> Self {
        Self {
            denial,
            kid: None,
            sought: None,
        }
    }
}

impl Unsigned {
    /// A refusal by what this key of the ring says.
    pub(super) fn by_key(denial: Denial, kid: Option<Arc<str>>) -> Self {
        Self {
            denial,
            kid,
            sought: None,
        }
    }
}

// === impl Parts ===

impl<'a> Parts<'a> {
    /// Splits a token, without decoding it.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenMalformed`] for anything but three parts, none of them empty, each in the one
    /// spelling that its bytes have; or each in the other one, with padding.
    pub(super) fn split(token: &RawToken<'a>) -> Result<Self, Denial> {
        let (signed, signature) = token
            .text()
            .rsplit_once('.')
            .ok_or(Denial::TokenMalformed)?;
        let parts = signed.split_once('.');
        let (header, payload) = parts
            .filter(|(_, payload)| !payload.contains('.'))
            .ok_or(Denial::TokenMalformed)?;
        let mut spelling = Spelling::Whole;
        for part in [header, payload, signature] {
            let one = spelled(part).ok_or(Denial::TokenMalformed)?;
            if spelling != Spelling::Whole && one != Spelling::Whole && one != spelling {
                return Err(Denial::TokenMalformed);
            }
            if one != Spelling::Whole {
                spelling = one;
            }
        }
        Ok(Self {
            signed,
            header: header.trim_end_matches('='),
            payload: payload.trim_end_matches('='),
            signature: signature.trim_end_matches('='),
            spelling,
        })
    }

    /// What the token says of its maker, unverified: good for choosing whose keys to try, nothing
    /// else. A load balancer says it in the header.
    pub(super) fn peek(&self) -> Peeked {
        let decode = |part| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let payload = peek(&decode(self.payload));
        Peeked {
            issuer: payload.issuer.or_else(|| peek(&decode(self.header)).issuer),
            subject: payload.subject,
        }
    }

    /// Verifies the signature with a key of `ring`, of a token that looks as `wanted`.
    ///
    /// # Errors
    ///
    /// The stage `token` of [`Denial`], in this order: malformed or refused header,
    /// [`Denial::AlgorithmRefused`], [`Denial::TokenTypeRefused`], [`Denial::SignerRefused`],
    /// [`Denial::KeyUnknown`] or [`Denial::KeyMismatch`], [`Denial::SignatureInvalid`].
    pub(super) fn verify(
        &self,
        ring: &KeyRing,
        wanted: &Wanted,
    ) -> Result<SignedPayload, Unsigned> {
        // SECURITY: padding is another spelling of the same bytes, allowed only to those who know no
        // better. Guarded by `padding_beside_a_load_balancer_is_for_the_load_balancer_alone`.
        if wanted.form == TokenForm::Jwt && self.spelling == Spelling::Padded {
            return Err(Denial::TokenMalformed.into());
        }
        let json = URL_SAFE_NO_PAD
            .decode(self.header)
            .map_err(|_| Denial::TokenMalformed)?;
        let header = Header::parse(&json)?;
        // SECURITY: guarded by the rows "algorithm …" of the attack table. The issuer's list decides
        // before a key is looked for: a token never chooses how it is judged (RFC 8725 3.1).
        let algorithm = header
            .algorithm()
            .filter(|algorithm| wanted.algorithms.contains(algorithm))
            .ok_or(Denial::AlgorithmRefused)?;
        // SECURITY: a token that the issuer made for another end is no access token, however well it
        // is signed (RFC 8725 3.11). Guarded by `a_token_of_another_kind_is_refused`.
        if !wanted.types.admits(header.typ()) {
            return Err(Denial::TokenTypeRefused.into());
        }
        let alb = match &wanted.form {
            TokenForm::Jwt => None,
            // Before a key is looked for: another customer's key is signed for just as well.
            TokenForm::AwsAlb(signers) => Some(AlbHeader::parse(&json, signers)?),
        };
        let keys = ring
            .find(header.kid(), algorithm)
            .map_err(|missing| match missing {
                NoKey::Unknown => Unsigned {
                    denial: Denial::KeyUnknown,
                    kid: None,
                    sought: header.kid().map(Box::from),
                },
                NoKey::Mismatch(kid) => Unsigned::by_key(Denial::KeyMismatch, kid),
            })?;
        let mut refusal = Unsigned::from(Denial::SignatureInvalid);
        for (verifier, kid, key) in keys.iter() {
            match self.open(verifier) {
                Ok(bytes) => {
                    let kid = kid.cloned();
                    let signer = Signer { key, algorithm };
                    return Ok(SignedPayload {
                        bytes,
                        kid,
                        typ: header.typ().map(Box::from),
                        alb,
                        signer,
                    });
                }
                Err(denial) => refusal = Unsigned::by_key(denial, kid.cloned()),
            }
        }
        Err(refusal)
    }

    /// The payload, if this key's signature holds over the text as it came (RFC 7515 5.2 (8)), with its
    /// padding where it has some.
    fn open(&self, verifier: &Verifier) -> Result<Vec<u8>, Denial> {
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part);
        let signature = decode(self.signature).map_err(|_| Denial::TokenMalformed)?;
        verifier
            .verify(self.signed.as_bytes(), &signature)
            .map_err(|_| Denial::SignatureInvalid)?;
        decode(self.payload).map_err(|_| Denial::TokenMalformed)
    }
}

/// How a part is spelled, if it is canonical base64url (RFC 4648 3.5), judged by its length, its end
/// and where it has `=`; that all else are digits is [`Places::find`]'s promise, and the decoder's
/// check.
///
/// [`Places::find`]: crate::bearer::Places::find
fn spelled(part: &str) -> Option<Spelling> {
    let digits = part.trim_end_matches('=');
    let (unused_bits, missing) = match digits.len() % 4 {
        0 => (0_u8, 0),
        2 => (4, 2),
        3 => (2, 1),
        _ => return None,
    };
    let digit = match digits.as_bytes().last() {
        Some(byte @ b'A'..=b'Z') => byte - b'A',
        Some(byte @ b'a'..=b'z') => byte - b'a' + 26,
        Some(byte @ b'0'..=b'9') => byte - b'0' + 52,
        Some(b'-') => 62,
        Some(b'_') => 63,
        _ => return None,
    };
    if digit.trailing_zeros() < u32::from(unused_bits) || digits.contains('=') {
        return None;
    }
    match part.len() - digits.len() {
        0 if missing == 0 => Some(Spelling::Whole),
        0 => Some(Spelling::Bare),
        padding if padding == missing => Some(Spelling::Padded),
        _ => None,
    }
}

// === impl SignedPayload ===

impl SignedPayload {
    /// What was signed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Which key it was.
    pub(super) fn signer(&self) -> Signer {
        self.signer
    }

    /// The ring's own name for the key that signed.
    pub(super) fn kid(&self) -> Option<&Arc<str>> {
        self.kid.as_ref()
    }

    /// What it looked like.
    pub(super) fn into_looks(self) -> Looks {
        Looks {
            typ: self.typ,
            load_balancer: self.alb.map(AlbHeader::into_signer),
        }
    }

    /// What a load balancer's header says, signed as well.
    pub(super) fn alb(&self) -> Option<&AlbHeader> {
        self.alb.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_one_spelling_with_padding_and_one_without() {
        for (part, spelling) in [
            ("AAAA", Some(Spelling::Whole)),
            ("AAA", Some(Spelling::Bare)),
            ("AA", Some(Spelling::Bare)),
            ("AAA=", Some(Spelling::Padded)),
            ("AA==", Some(Spelling::Padded)),
            ("AA=", None),
            ("AAA==", None),
            ("AAAA=", None),
            ("AAAA====", None),
            ("A===", None),
            ("=", None),
            ("", None),
            ("A=AA", None),
            ("AB==", None),
            ("AAB=", None),
        ] {
            assert_eq!(spelled(part), spelling, "{part}");
        }
    }
}
