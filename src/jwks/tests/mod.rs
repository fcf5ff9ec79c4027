//! Which documents become a ring, which keys are skipped, and which key a token gets.

mod faults;
mod sources;
mod vectors;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;
use sidegate::lab::SigningKey;

use super::*;
use crate::jwks::algorithm::Curve;
use crate::jwks::key_ring::hex;

const ASYMMETRIC: [Algorithm; 10] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::EdDsa,
];

fn key(algorithm: Algorithm, kid: Option<&str>) -> SigningKey {
    SigningKey::generate(algorithm, kid).unwrap()
}

fn es256(kid: &str) -> Value {
    key(Algorithm::Es256, Some(kid)).jwk().unwrap()
}

fn read_jwks(keys: Value) -> Result<(KeyRing, Vec<KeyWarning>), KeysError> {
    let document = json!({ "keys": keys }).to_string();
    KeyRing::from_jwks(document.as_bytes(), &ASYMMETRIC)
}

/// A good key with one member changed.
fn with(mut jwk: Value, name: &str, value: Value) -> Value {
    jwk[name] = value;
    jwk
}

fn without(mut jwk: Value, name: &str) -> Value {
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

fn b64(bytes: &[u8]) -> Value {
    URL_SAFE_NO_PAD.encode(bytes).into()
}

/// The `kid` of each key that the ring offers.
fn offered(ring: &KeyRing, kid: Option<&str>, algorithm: Algorithm) -> Result<Vec<String>, NoKey> {
    let name = |kid: Option<&Arc<str>>| kid.map_or_else(|| "-".to_owned(), ToString::to_string);
    let found = ring.find(kid, algorithm)?;
    Ok(found.iter().map(|(_, kid, _)| name(kid)).collect())
}

// === Documents ===

#[test]
fn a_document_with_other_members_beside_its_keys_is_read() {
    let document = json!({
        "keys": [es256("a")],
        "public_cert": { "kid": "a", "cert": "-----BEGIN CERTIFICATE-----" },
        "public_certs": [],
        "spiffe_refresh_hint": 60,
    });
    let (ring, warnings) =
        KeyRing::from_jwks(document.to_string().as_bytes(), &ASYMMETRIC).unwrap();
    assert_eq!((ring.len(), warnings), (1, Vec::new()));
}

#[test]
fn a_document_without_an_array_of_keys_is_refused() {
    for text in [
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":"x"}"#,
        r#"{"Keys":[]}"#,
    ] {
        let refused = KeyRing::from_jwks(text.as_bytes(), &ASYMMETRIC).unwrap_err();
        assert_eq!(refused, KeysError::NoKeys, "{text}");
    }
    for text in [
        "",
        "[]",
        "null",
        "<html>",
        r#"{"keys":[]"#,
        r#"{"keys":[],"keys":[]}"#,
    ] {
        let refused = KeyRing::from_jwks(text.as_bytes(), &ASYMMETRIC).unwrap_err();
        assert!(matches!(refused, KeysError::Json(_)), "{text}");
    }
    assert!(matches!(
        read_jwks(json!([])),
        Err(KeysError::NoUsableKey(_))
    ));
}

#[test]
fn a_repeated_member_anywhere_refuses_the_document() {
    let good = es256("a").to_string();
    let twice = format!(
        r#"{{"keys":[{},"kid":"b"}}]}}"#,
        good.strip_suffix('}').unwrap()
    );
    let refused = KeyRing::from_jwks(twice.as_bytes(), &ASYMMETRIC).unwrap_err();
    assert!(matches!(refused, KeysError::Json(_)));
}

#[test]
fn a_jwks_with_private_or_shared_material_is_refused_whole() {
    let good = es256("good");
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for value in [json!("AQAB"), json!(null), json!([])] {
            let refused = read_jwks(json!([good, with(es256("bad"), name, value)])).unwrap_err();
            assert_eq!(refused, KeysError::SecretInJwks { index: 1 }, "{name}");
        }
    }
    for bad in [
        json!({ "kty": "oct", "k": "AQAB" }),
        json!({ "kty": "oct" }),
    ] {
        let refused = read_jwks(json!([bad, good])).unwrap_err();
        assert_eq!(refused, KeysError::SecretInJwks { index: 0 });
    }
}

#[test]
fn no_error_or_warning_shows_key_material() {
    let material = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    let good = es256("good");
    let secret = read_jwks(json!([with(good.clone(), "d", material.into())])).unwrap_err();
    let unusable = read_jwks(json!([with(good, "x", material.into())])).unwrap_err();
    let broken = KeyRing::from_jwks(format!(r#"{{"keys":{material}"#).as_bytes(), &ASYMMETRIC);
    let short = KeyRing::from_secret(material.as_bytes(), &[Algorithm::Hs256]).unwrap_err();
    for text in [secret, unusable, broken.unwrap_err(), short] {
        assert!(!format!("{text} {text:?}").contains(material), "{text}");
    }
    let ring = KeyRing::from_secret(material.repeat(2).as_bytes(), &[Algorithm::Hs256]).unwrap();
    assert!(!format!("{ring:?}").contains(material));
    let (verifier, ..) = ring
        .find(None, Algorithm::Hs256)
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(format!("{verifier:?}"), "Verifier { algorithm: Hs256, .. }");
}

// === Which key ===

#[test]
fn a_kid_finds_its_keys_and_may_repeat_across_types() {
    let ed = key(Algorithm::EdDsa, Some("same")).jwk().unwrap();
    let (ring, warnings) = read_jwks(json!([es256("same"), ed, es256("other")])).unwrap();
    assert_eq!(warnings, Vec::new());
    assert_eq!(
        offered(&ring, Some("same"), Algorithm::Es256),
        Ok(vec!["same".to_owned()])
    );
    assert_eq!(
        offered(&ring, Some("same"), Algorithm::EdDsa),
        Ok(vec!["same".to_owned()])
    );
    assert_eq!(
        offered(&ring, Some("SAME"), Algorithm::EdDsa),
        Err(NoKey::Unknown)
    );
    let same = Err(NoKey::Mismatch(Some("same".into())));
    assert_eq!(offered(&ring, Some("same"), Algorithm::Rs256), same);
}

#[test]
fn keys_that_share_a_kid_are_all_tried_up_to_four() {
    let keys: Vec<Value> = (0..6).map(|_| es256("same")).collect();
    let (ring, warnings) = read_jwks(keys.into()).unwrap();
    assert_eq!(
        offered(&ring, Some("same"), Algorithm::Es256)
            .unwrap()
            .len(),
        4
    );
    let faults: Vec<_> = warnings.into_iter().map(|warning| warning.fault).collect();
    assert_eq!(faults, [KeyFault::KidShared, KeyFault::KidShared]);
    let twice = es256("a");
    assert_eq!(
        read_jwks(json!([twice, twice])).unwrap().1[0].fault,
        KeyFault::Repeated
    );
}

#[test]
fn a_token_without_kid_needs_a_ring_with_one_fitting_key() {
    let ed = key(Algorithm::EdDsa, Some("ed")).jwk().unwrap();
    let (one, _) = read_jwks(json!([es256("a"), ed])).unwrap();
    assert_eq!(
        offered(&one, None, Algorithm::Es256),
        Ok(vec!["a".to_owned()])
    );
    assert_eq!(
        offered(&one, None, Algorithm::EdDsa),
        Ok(vec!["ed".to_owned()])
    );
    assert_eq!(offered(&one, None, Algorithm::Rs256), Err(NoKey::Unknown));
    let (two, _) = read_jwks(json!([es256("a"), es256("b")])).unwrap();
    assert_eq!(offered(&two, None, Algorithm::Es256), Err(NoKey::Unknown));
    let (nameless, _) = read_jwks(json!([without(es256("a"), "kid")])).unwrap();
    assert_eq!(
        offered(&nameless, None, Algorithm::Es256),
        Ok(vec!["-".to_owned()])
    );
    assert_eq!(
        offered(&nameless, Some("any"), Algorithm::Es256),
        Err(NoKey::Unknown)
    );
}

#[test]
fn only_a_key_without_kid_is_found_by_its_thumbprint() {
    let jwk = es256("named");
    let print = public_key(&jwk).thumbprint();
    let (hexed, text) = (hex(&print), URL_SAFE_NO_PAD.encode(print));
    let (nameless, _) = read_jwks(json!([without(jwk.clone(), "kid"), es256("b")])).unwrap();
    assert_eq!(
        offered(&nameless, Some(&hexed), Algorithm::Es256)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        offered(&nameless, Some(&text), Algorithm::Es256)
            .unwrap()
            .len(),
        1
    );
    let upper = hexed.to_uppercase();
    assert_eq!(
        offered(&nameless, Some(&upper), Algorithm::Es256),
        Err(NoKey::Unknown)
    );
    let (named, _) = read_jwks(json!([jwk])).unwrap();
    assert_eq!(
        offered(&named, Some(&hexed), Algorithm::Es256),
        Err(NoKey::Unknown)
    );
}

fn public_key(jwk: &Value) -> PublicKey {
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    PublicKey::ec(Curve::P256, bytes("x"), bytes("y")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_bytes_make_reading_keys_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeyRing::from_jwks(&bytes, &ASYMMETRIC);
        let _ = KeyRing::from_pem(&bytes, &ASYMMETRIC);
        let _ = KeyRing::from_secret(&bytes, &[Algorithm::Hs256]);
        let _ = PublicKey::from_spki(&bytes);
    }

    #[test]
    fn no_changed_byte_makes_reading_a_jwks_panic(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let jwk = r#"{"kty":"EC","crv":"P-256","kid":"a","use":"sig","key_ops":["verify"],
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
        let mut document = format!(r#"{{"keys":[{jwk}]}}"#).into_bytes();
        let place = place.index(document.len());
        document[place] = byte;
        let _ = KeyRing::from_jwks(&document, &ASYMMETRIC);
    }
}
