//! The numbers of a public key, whichever form they came in, become verifiers; or a fault that says
//! why they must not.
//!
//! Both JWKS members and PEM sections end here, so both are held to the same rules: nothing that
//! would let anybody forge a signature becomes a verifier.

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{self, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as DerKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::algorithm::{Curve, Verifier, rsa_parameters, sha256};
use crate::model::Algorithm;

/// The smallest public exponent taken. Below it, and above all at 1, signatures can be forged.
const MIN_RSA_EXPONENT: u64 = 65_537;
/// The longest public exponent in bits: a longer one serves nobody and makes each check slow.
const MAX_RSA_EXPONENT_BITS: u32 = 33;

/// The encodings of the points of small order on Ed25519, without their sign bit. Under such a
/// "key" one signature fits many messages.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    first_byte(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    first_byte(0xec, 0xff, 0x7f),
    first_byte(0xed, 0xff, 0x7f),
    first_byte(0xee, 0xff, 0x7f),
];

const fn first_byte(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    let [head, .., tail] = &mut bytes;
    *head = first;
    *tail = last;
    bytes
}

/// Why a key cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyFault {
    /// Not a JWK at all.
    #[error("not a JWK (RFC 7517): kty is missing, or a parameter has the wrong type or encoding")]
    NotAJwk,
    /// `kty` is none of `EC`, `RSA`, `OKP`.
    #[error("its kty is none of EC, RSA and OKP")]
    KeyType,
    /// The curve is not one that a supported algorithm uses.
    #[error("its curve is none of P-256, P-384, P-521 and Ed25519")]
    Curve,
    /// A parameter is missing or not canonical base64url.
    #[error("{0} is missing or not base64url without padding")]
    Parameter(&'static str),
    /// A coordinate does not have the length that the curve needs.
    #[error("a coordinate has the wrong length for its curve (RFC 7518 6.2.1.2)")]
    CoordinateLength,
    /// The numbers are no point on the curve, or one of small order.
    #[error("it is not a usable point on its curve")]
    Point,
    /// The modulus is too short or too long.
    #[error("its RSA modulus has {0} bits, and 2048 to 8192 are allowed")]
    ModulusBits(usize),
    /// The modulus is even.
    #[error("its RSA modulus is even")]
    ModulusEven,
    /// The exponent makes signatures forgeable, or slow to check.
    #[error("its RSA exponent is even, below 65537 or above 33 bits")]
    Exponent,
    /// The library refused the numbers.
    #[error("its numbers do not make a key")]
    Rejected,
    /// `use` says that the key is not for signatures.
    #[error("its use is neither sig nor jwt-svid")]
    Use,
    /// `key_ops` does not list `verify`.
    #[error("its key_ops do not hold verify")]
    Operations,
    /// `alg` is unknown, or is not for this kind of key.
    #[error("its alg is unknown or does not fit its kty and crv")]
    Algorithm,
    /// No algorithm of the issuer uses such a key.
    #[error("no algorithm of issuer.algorithms uses such a key")]
    NotListed,
    /// The `kid` could never be matched, or would spoil a log line.
    #[error("its kid is longer than 256 bytes or holds control characters")]
    KeyId,
    /// The same key stands in the set already.
    #[error("it repeats an earlier key")]
    Repeated,
    /// More keys share a `kid` and an algorithm than will be tried.
    #[error("too many keys have this kid; give every key a kid of its own")]
    KidShared,
    /// A text that should be PEM.
    #[error("it is not PEM with a PUBLIC KEY or CERTIFICATE section")]
    NotPem,
    /// A file that cannot be read, or is too large.
    #[error("its file cannot be read, or is larger than 1 MiB")]
    Unreadable,
    /// A DER structure that is no key of a known kind.
    #[error("it is not an EC, RSA or Ed25519 public key")]
    Der,
}

/// The numbers of a public key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum PublicKey {
    /// Big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// Coordinates of the curve's full length.
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// RFC 8032 5.1.5.
    Ed25519 { x: Vec<u8> },
}

impl PublicKey {
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyFault> {
        let (n, e) = (strip_zeros(n), strip_zeros(e));
        let bits = n
            .first()
            .map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyFault::ModulusBits(bits));
        }
        if n.last().is_none_or(|low| low & 1 == 0) {
            return Err(KeyFault::ModulusEven);
        }
        let exponent = e
            .iter()
            .try_fold(0_u64, |sum, byte| {
                sum.checked_mul(256)?.checked_add(u64::from(*byte))
            })
            .ok_or(KeyFault::Exponent)?;
        // SECURITY: guarded by `an_rsa_exponent_that_allows_forgery_is_refused`.
        let in_range = exponent >= MIN_RSA_EXPONENT && exponent >> MAX_RSA_EXPONENT_BITS == 0;
        if !in_range || exponent & 1 == 0 {
            return Err(KeyFault::Exponent);
        }
        Ok(Self::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
        })
    }

    pub(super) fn ec(curve: Curve, x: Vec<u8>, y: Vec<u8>) -> Result<Self, KeyFault> {
        if x.len() != curve.coordinate_bytes() || y.len() != curve.coordinate_bytes() {
            return Err(KeyFault::CoordinateLength);
        }
        Ok(Self::Ec { curve, x, y })
    }

    pub(super) fn ed25519(x: Vec<u8>) -> Result<Self, KeyFault> {
        let mut point = <[u8; 32]>::try_from(x.as_slice()).map_err(|_| KeyFault::Point)?;
        let [.., top] = &mut point;
        *top &= 0x7f;
        // SECURITY: guarded by `an_ed25519_point_of_small_order_is_refused`.
        if SMALL_ORDER.contains(&point) {
            return Err(KeyFault::Point);
        }
        Ok(Self::Ed25519 { x })
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 4.1).
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, KeyFault> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der).map_err(|_| KeyFault::Der)?;
        if !rest.is_empty() {
            return Err(KeyFault::Der);
        }
        let parameters = spki.algorithm.parameters.as_ref();
        match spki.algorithm.algorithm.to_id_string().as_str() {
            // rsaEncryption
            "1.2.840.113549.1.1.1" => {
                if let Ok(DerKey::RSA(key)) = spki.parsed() {
                    return Self::rsa(key.modulus, key.exponent);
                }
                Err(KeyFault::Der)
            }
            // id-ecPublicKey
            "1.2.840.10045.2.1" => {
                let name = parameters
                    .and_then(|any| any.as_oid().ok())
                    .map(|oid| oid.to_id_string());
                let curve = match name.as_deref() {
                    Some("1.2.840.10045.3.1.7") => Curve::P256,
                    Some("1.3.132.0.34") => Curve::P384,
                    Some("1.3.132.0.35") => Curve::P521,
                    _ => return Err(KeyFault::Curve),
                };
                Self::from_point(curve, &spki.subject_public_key.data)
            }
            // id-Ed25519
            "1.3.101.112" => Self::ed25519(spki.subject_public_key.data.to_vec()),
            _ => Err(KeyFault::Der),
        }
    }

    /// Reads an uncompressed point (SEC 1 2.3.3).
    fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyFault> {
        let Some((0x04, coordinates)) = point.split_first().map(|(form, rest)| (*form, rest))
        else {
            return Err(KeyFault::Point);
        };
        let (x, y) = coordinates
            .split_at_checked(curve.coordinate_bytes())
            .ok_or(KeyFault::CoordinateLength)?;
        Self::ec(curve, x.to_vec(), y.to_vec())
    }

    /// Whether `algorithm` is one for this kind of key.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa_parameters(algorithm).is_some(),
            Self::Ec { curve, .. } => curve.algorithm() == algorithm,
            Self::Ed25519 { .. } => algorithm == Algorithm::EdDsa,
        }
    }

    /// Prepares the key for one algorithm; `None` when it is not one for this kind of key.
    pub(super) fn verifier(&self, algorithm: Algorithm) -> Result<Option<Verifier>, KeyFault> {
        if !self.fits(algorithm) {
            return Ok(None);
        }
        let key = match self {
            Self::Rsa { n, e } => {
                let Some(parameters) = rsa_parameters(algorithm) else {
                    return Ok(None);
                };
                rsa::PublicKeyComponents { n, e }
                    .to_parsed_public_key(parameters)
                    .map_err(|_| KeyFault::Rejected)?
            }
            Self::Ec { curve, x, y } => {
                let point = [&[0x04][..], x, y].concat();
                // Refuses coordinates that are not on the curve.
                ParsedPublicKey::new(curve.parameters(), point).map_err(|_| KeyFault::Point)?
            }
            Self::Ed25519 { x } => {
                ParsedPublicKey::new(&signature::ED25519, x).map_err(|_| KeyFault::Point)?
            }
        };
        Ok(Some(Verifier::public(algorithm, key)))
    }

    /// The members that a JWK must have for such a key, and no others.
    pub(super) fn members(&self) -> Map<String, Value> {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (kty, numbers) = match self {
            Self::Rsa { n, e } => ("RSA", vec![("n", b64(n)), ("e", b64(e))]),
            Self::Ec { curve, x, y } => {
                let crv = curve.name().to_owned();
                ("EC", vec![("crv", crv), ("x", b64(x)), ("y", b64(y))])
            }
            Self::Ed25519 { x } => ("OKP", vec![("crv", "Ed25519".to_owned()), ("x", b64(x))]),
        };
        let kty = [("kty", kty.to_owned())];
        kty.into_iter()
            .chain(numbers)
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect()
    }

    /// The RFC 7638 thumbprint.
    pub(super) fn thumbprint(&self) -> [u8; 32] {
        let mut members = self.members();
        // RFC 7638 3: the required members only, sorted, without white space.
        members.sort_keys();
        let text = Value::Object(members).to_string();
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(sha256(text.as_bytes()).as_ref()) {
            *to = *from;
        }
        out
    }
}

/// RFC 7518 2 wants numbers in as few bytes as possible; a leading zero byte is common and harmless.
fn strip_zeros(mut number: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = number {
        number = rest;
    }
    number
}
