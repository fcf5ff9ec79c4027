//! Keys that are skipped, each for its reason and without harm to the others.

use super::*;

/// What is said of `jwk` when it stands beside a good key.
fn fault(jwk: Value) -> Option<KeyFault> {
    let (ring, warnings) = read_jwks(json!([es256("good"), jwk])).unwrap();
    assert_eq!(ring.len() + warnings.len(), 2);
    warnings.into_iter().next().map(|warning| warning.fault)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn an_unusable_key_is_skipped_for_its_reason_and_costs_no_other_key() {
    let ec = es256("x");
    let p384 = key(Algorithm::Es384, None).jwk().unwrap();
    let ed = key(Algorithm::EdDsa, None).jwk().unwrap();
    let y = with(ec.clone(), "y", ec["x"].clone());
    for (jwk, expected) in [
        (json!(1), KeyFault::NotAJwk),
        (json!(null), KeyFault::NotAJwk),
        (without(ec.clone(), "kty"), KeyFault::NotAJwk),
        (with(ec.clone(), "kid", json!(7)), KeyFault::NotAJwk),
        (
            with(ec.clone(), "x", json!("not base64!")),
            KeyFault::NotAJwk,
        ),
        (
            with(ec.clone(), "x5c", json!(["not base64!"])),
            KeyFault::NotAJwk,
        ),
        (with(ec.clone(), "kty", json!("AKP")), KeyFault::KeyType),
        (with(ec.clone(), "kty", json!("ec")), KeyFault::KeyType),
        (with(ec.clone(), "crv", json!("secp256k1")), KeyFault::Curve),
        (
            with(ec.clone(), "crv", json!("P-384")),
            KeyFault::CoordinateLength,
        ),
        (without(ec.clone(), "crv"), KeyFault::Curve),
        (without(ec.clone(), "y"), KeyFault::Parameter("y")),
        (with(ec.clone(), "y", json!("")), KeyFault::Parameter("y")),
        (
            with(ec.clone(), "x", b64(&[1; 31])),
            KeyFault::CoordinateLength,
        ),
        (
            with(ec.clone(), "x", b64(&[1; 33])),
            KeyFault::CoordinateLength,
        ),
        (y, KeyFault::Point),
        (
            with(with(ec.clone(), "x", b64(&[0; 32])), "y", b64(&[0; 32])),
            KeyFault::Point,
        ),
        (with(ec.clone(), "x", b64(&[0xff; 32])), KeyFault::Point),
        (with(ec.clone(), "use", json!("enc")), KeyFault::Use),
        (with(ec.clone(), "use", json!("x509-svid")), KeyFault::Use),
        (
            with(ec.clone(), "key_ops", json!(["sign"])),
            KeyFault::Operations,
        ),
        (with(ec.clone(), "key_ops", json!([])), KeyFault::Operations),
        (with(ec.clone(), "alg", json!("ES384")), KeyFault::Algorithm),
        (with(ec.clone(), "alg", json!("RS256")), KeyFault::Algorithm),
        (
            with(ec.clone(), "alg", json!("ES256K")),
            KeyFault::Algorithm,
        ),
        (with(ec.clone(), "alg", json!("HS256")), KeyFault::Algorithm),
        (with(ec.clone(), "alg", json!("none")), KeyFault::Algorithm),
        (
            with(ec.clone(), "kid", json!("k".repeat(257))),
            KeyFault::KeyId,
        ),
        (with(ec, "kid", json!("a\nb")), KeyFault::KeyId),
        (with(p384, "crv", json!("P-256")), KeyFault::Algorithm),
        (with(ed.clone(), "crv", json!("Ed448")), KeyFault::Curve),
        (with(ed.clone(), "crv", json!("X25519")), KeyFault::Curve),
        (with(ed.clone(), "x", b64(&[9; 31])), KeyFault::Point),
        (with(ed, "x", b64(&[9; 57])), KeyFault::Point),
    ] {
        let shown = jwk.to_string();
        let got = fault(jwk);
        // P-384 numbers under the name P-256 are wrong in two ways.
        let also = got == Some(KeyFault::CoordinateLength) && expected == KeyFault::Algorithm;
        assert!(
            also || got == Some(expected.clone()),
            "{shown}: {got:?} instead of {expected:?}"
        );
    }
}

#[test]
fn what_is_said_for_signatures_is_taken() {
    let ec = es256("x");
    for jwk in [
        with(ec.clone(), "use", json!("jwt-svid")),
        with(ec.clone(), "key_ops", json!(["verify"])),
        with(ec.clone(), "unknown", json!({ "a": [1] })),
        without(without(without(ec, "use"), "alg"), "kid"),
    ] {
        assert_eq!(fault(jwk), None);
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Value {
    json!({ "kty": "RSA", "kid": "rsa", "n": b64(n), "e": b64(e) })
}

/// An odd number of this many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut n = vec![0x5b; bits.div_ceil(8)];
    n[0] = 1 << ((bits - 1) % 8);
    n
}

#[test]
fn an_rsa_key_of_the_wrong_size_is_refused() {
    for bits in [512, 1024, 2041, 2047, 8193, 16_384, 65_536] {
        let got = fault(rsa(&modulus(bits), &[1, 0, 1]));
        assert_eq!(got, Some(KeyFault::ModulusBits(bits)));
    }
    for bits in [2048, 3072, 4096, 8192] {
        assert_eq!(fault(rsa(&modulus(bits), &[1, 0, 1])), None, "{bits}");
    }
    let mut even = modulus(2048);
    even[255] = 0x5a;
    assert_eq!(fault(rsa(&even, &[1, 0, 1])), Some(KeyFault::ModulusEven));
    let padded = [&[0, 0][..], &modulus(2048)].concat();
    assert_eq!(
        fault(rsa(&padded, &[0, 1, 0, 1])),
        None,
        "leading zeros mean nothing"
    );
    assert_eq!(
        fault(rsa(&[0; 300], &[1, 0, 1])),
        Some(KeyFault::ModulusBits(0))
    );
}

#[test]
fn an_rsa_exponent_that_allows_forgery_is_refused() {
    let n = modulus(2048);
    for e in [
        &[0][..],
        &[1],
        &[2],
        &[3],
        &[17],
        &[0xff, 0xff],
        &[1, 0, 0],
        &[1, 0, 2],
        &[2, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 1],
        &[0x11; 256],
    ] {
        assert_eq!(fault(rsa(&n, e)), Some(KeyFault::Exponent), "{e:?}");
    }
    assert_eq!(fault(rsa(&n, &[])), Some(KeyFault::Parameter("e")));
    assert_eq!(fault(rsa(&n, &[1, 0, 3])), None);
}

#[test]
fn an_ed25519_point_of_small_order_is_refused() {
    let point = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    for x in [
        point(0, 0, 0),
        point(0, 0, 0x80),
        point(1, 0, 0),
        point(1, 0, 0x80),
        point(0xec, 0xff, 0x7f),
        point(0xec, 0xff, 0xff),
        point(0xed, 0xff, 0x7f),
        point(0xee, 0xff, 0xff),
    ] {
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(&x) });
        assert_eq!(fault(jwk), Some(KeyFault::Point), "{x:?}");
    }
}

#[test]
fn a_key_that_no_listed_algorithm_uses_is_skipped_and_still_known_by_name() {
    let document =
        json!({ "keys": [es256("ec"), key(Algorithm::EdDsa, Some("ed")).jwk().unwrap()] });
    let document = document.to_string();
    let (ring, warnings) =
        KeyRing::from_jwks(document.as_bytes(), &[Algorithm::Es256, Algorithm::Rs256]).unwrap();
    assert_eq!((ring.len(), &warnings[0].fault), (1, &KeyFault::NotListed));
    assert_eq!(warnings[0].to_string().lines().count(), 1);
    let mismatch = |kid: &str| Err(NoKey::Mismatch(Some(kid.into())));
    assert_eq!(offered(&ring, Some("ed"), Algorithm::Es256), mismatch("ed"));
    assert_eq!(offered(&ring, Some("ec"), Algorithm::Rs256), mismatch("ec"));
    let useless = KeyRing::from_jwks(document.as_bytes(), &[Algorithm::Rs256]).unwrap_err();
    assert!(matches!(useless, KeysError::NoUsableKey(_)));
    let symmetric = KeyRing::from_jwks(document.as_bytes(), &[Algorithm::Hs256]).unwrap_err();
    assert!(matches!(symmetric, KeysError::NoUsableKey(_)));
}

#[test]
fn a_warning_is_one_short_line_whatever_the_kid() {
    for kid in [
        "k".repeat(5000),
        "a\nb".to_owned(),
        "\u{1b}[2J".to_owned(),
        "\"".to_owned(),
    ] {
        let bad = with(with(es256("x"), "kty", json!("AKP")), "kid", kid.into());
        let (_, warnings) = read_jwks(json!([es256("good"), bad])).unwrap();
        let text = warnings[0].to_string();
        assert!(
            text.len() < 200 && !text.contains(char::is_control),
            "{text:?}"
        );
    }
}
