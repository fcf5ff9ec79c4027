//! A raw token becomes a signed payload: the form, the header, the algorithm list, the key, the
//! signature, in this order, so that nothing of a token is believed before its signature holds.
//!
//! The one place that calls josekit to verify. What josekit leaves to its caller is judged before it
//! is called; whatever it answers that is not "this is the payload" is a refusal, a panic included.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::{self, JwsVerifier};

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
    whole: &'a str,
    /// Without its padding.
    header: &'a str,
    /// Without its padding.
    payload: &'a str,
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
        let whole = token.text();
        let mut parts = whole.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denial::TokenMalformed);
        };
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
            whole,
            header: header.trim_end_matches('='),
            payload: payload.trim_end_matches('='),
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
            match self.open(&header, verifier) {
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

    /// Lets josekit take the token apart and verify it with this key.
    fn open(&self, header: &Header<'_>, verifier: &Verifier) -> Result<Vec<u8>, Denial> {
        // Why catch a panic? The input is a stranger's and the parser is not ours; one token must
        // not cost the connection, with all the streams on it, its life.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            if self.spelling == Spelling::Padded {
                return self.open_padded(verifier);
            }
            jws::deserialize_compact_with_selector(self.whole, |seen| {
                // josekit has parsed the header itself. Should it ever have read another key name
                // out of it than we did, then there is no key for this token.
                let same = seen.key_id() == header.kid();
                Ok(same.then_some(verifier as &dyn JwsVerifier))
            })
            .map(|(payload, _)| payload)
        }));
        match opened {
            Ok(Ok(payload)) => Ok(payload),
            Ok(Err(JoseError::InvalidSignature(_))) | Err(_) => Err(Denial::SignatureInvalid),
            Ok(Err(_)) => Err(Denial::TokenMalformed),
        }
    }

    /// The same of a padded token, which josekit rightly takes for none: what was signed is the text
    /// with its padding (RFC 7515 5.2 (8), but for that).
    fn open_padded(&self, verifier: &Verifier) -> Result<Vec<u8>, JoseError> {
        let malformed = || JoseError::InvalidJwsFormat(io::Error::other("padded").into());
        let (signed, signature) = self.whole.rsplit_once('.').ok_or_else(malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed());
        let signature = decode(signature.trim_end_matches('='))?;
        verifier.verify(signed.as_bytes(), &signature)?;
        decode(self.payload)
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
