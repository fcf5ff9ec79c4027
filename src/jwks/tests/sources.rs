//! Keys that have their names from somewhere else than a JWKS: a map, a directory, a URL.

use std::fs;

use super::*;
use crate::settings::KeySource;

fn pem(key: &SigningKey) -> String {
    key.public_pem().unwrap()
}

fn map(entries: &[(&str, &str)]) -> Vec<u8> {
    let entries = entries.iter();
    let entries = entries.map(|(kid, pem)| ((*kid).to_owned(), Value::from(*pem)));
    Value::Object(entries.collect()).to_string().into_bytes()
}

#[test]
fn a_map_names_its_keys_and_one_broken_entry_costs_no_other() {
    let (a, b) = (key(Algorithm::Es256, None), key(Algorithm::Rs256, None));
    let long = "k".repeat(257);
    let document = map(&[
        ("a", &pem(&a)),
        ("b", &pem(&b)),
        ("broken", "-----BEGIN"),
        ("empty", ""),
        (&long, &pem(&a)),
    ]);
    let (ring, warnings) = KeyRing::from_pem_map(&document, &ASYMMETRIC).unwrap();
    assert_eq!(offered(&ring, Some("a"), Algorithm::Es256).unwrap(), ["a"]);
    assert_eq!(offered(&ring, Some("b"), Algorithm::Rs256).unwrap(), ["b"]);
    assert_eq!(
        offered(&ring, Some("c"), Algorithm::Es256),
        Err(NoKey::Unknown)
    );
    let faults: Vec<&KeyFault> = warnings.iter().map(|warning| &warning.fault).collect();
    assert_eq!(
        faults,
        [&KeyFault::NotPem, &KeyFault::NotPem, &KeyFault::KeyId]
    );
    for refused in [
        &b"[]"[..],
        b"{}",
        b"",
        b"{\"a\":1}",
        b"{\"a\":\"x\",\"a\":\"y\"}",
    ] {
        assert!(KeyRing::from_pem_map(refused, &ASYMMETRIC).is_err());
    }
}

#[test]
fn a_private_key_refuses_the_whole_map_or_directory() {
    let (good, leaked) = (key(Algorithm::Es256, None), key(Algorithm::Es256, None));
    let private = leaked.private_pem().unwrap();
    let document = map(&[("good", &pem(&good)), ("leaked", &private)]);
    let refused = KeyRing::from_pem_map(&document, &ASYMMETRIC).unwrap_err();
    assert_eq!(refused, KeysError::PrivateKeyInPem);
    let refused = KeyRing::from_named_pem("leaked", private.as_bytes(), &ASYMMETRIC);
    assert_eq!(refused.unwrap_err(), KeysError::PrivateKeyInPem);

    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("good.pem"), pem(&good)).unwrap();
    let source = KeySource::Directory(folder.path().to_owned());
    assert!(load(&source, &ASYMMETRIC).is_ok());
    fs::write(folder.path().join("leaked.pem"), &private).unwrap();
    let refused = load(&source, &ASYMMETRIC).unwrap_err();
    assert!(refused.to_string().contains("leaked.pem"), "{refused}");
}

#[test]
fn a_key_in_a_directory_is_known_by_its_file_and_by_its_thumbprint() {
    let folder = tempfile::TempDir::new().unwrap();
    let source = KeySource::Directory(folder.path().to_owned());
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let (a, b) = (key(Algorithm::Es256, None), key(Algorithm::Es256, None));
    put("readme.txt", "not a key");
    put(".hidden.pem", &pem(&a));
    assert!(
        load(&source, &ASYMMETRIC).is_err(),
        "no key is a failed load"
    );
    put("a.pem", &pem(&a));
    put("b.pub", &pem(&b));
    put("broken.crt", "-----BEGIN");
    fs::create_dir(folder.path().join("c.pem")).unwrap();
    // A copy must not make a stranger's token cost two checks.
    put("copy.crt", &pem(&a));
    let (ring, warnings) = load(&source, &ASYMMETRIC).unwrap();
    assert_eq!(ring.len(), 3);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].kid.as_deref(), Some("broken"));
    let print = PublicKey::from_spki(&a.public_der().unwrap())
        .unwrap()
        .thumbprint();
    for name in ["a".to_owned(), hex(&print), URL_SAFE_NO_PAD.encode(print)] {
        assert_eq!(
            offered(&ring, Some(&name), Algorithm::Es256).unwrap(),
            ["a"],
            "{name}"
        );
    }
    assert_eq!(offered(&ring, Some("b"), Algorithm::Es256).unwrap(), ["b"]);
    for unknown in ["readme", ".hidden", "c", "a.pem", ""] {
        assert_eq!(
            offered(&ring, Some(unknown), Algorithm::Es256),
            Err(NoKey::Unknown)
        );
    }
}

#[test]
fn keys_that_are_fetched_one_by_one_make_a_ring_that_may_be_empty() {
    let ring = KeyRing::of_pems([], &ASYMMETRIC);
    assert_eq!(
        ring.find(Some("a"), Algorithm::Es256).unwrap_err(),
        NoKey::Unknown
    );
    assert_eq!(
        ring.find(None, Algorithm::Es256).unwrap_err(),
        NoKey::Unknown
    );
    let key = pem(&key(Algorithm::Es256, None));
    let ring = KeyRing::of_pems([("a", key.as_bytes())], &ASYMMETRIC);
    assert_eq!(offered(&ring, Some("a"), Algorithm::Es256).unwrap(), ["a"]);
    let long = [key.as_bytes(), &[b'\n'; 16 << 10]].concat();
    let refused = KeyRing::from_named_pem("a", &long, &ASYMMETRIC).unwrap_err();
    assert_eq!(refused, KeysError::PemTooLarge);
}

#[test]
fn rings_are_the_same_only_by_name_key_and_algorithms() {
    let (a, b) = (es256("a"), es256("b"));
    let ring = |keys: Value| read_jwks(keys).unwrap().0;
    let first = ring(json!([a, b]));
    assert!(first.is_same_as(&ring(json!([a, b]))));
    // `alg` says what the key serves anyway.
    assert!(first.is_same_as(&ring(json!([without(a.clone(), "alg"), b]))));
    for other in [
        json!([a]),
        json!([b, a]),
        json!([a, b, es256("c")]),
        json!([with(a.clone(), "kid", "c".into()), b]),
        json!([es256("a"), b]),
        json!([without(a, "kid"), b]),
    ] {
        assert!(!first.is_same_as(&ring(other.clone())), "{other}");
    }
    let narrow = json!({ "keys": [key(Algorithm::Rs256, Some("r")).jwk().unwrap()] });
    let narrow = without(narrow["keys"][0].clone(), "alg");
    let document = json!({ "keys": [narrow] }).to_string();
    let under = |algorithms: &[Algorithm]| {
        KeyRing::from_jwks(document.as_bytes(), algorithms)
            .unwrap()
            .0
    };
    let both = under(&[Algorithm::Rs256, Algorithm::Ps256]);
    assert!(!both.is_same_as(&under(&[Algorithm::Rs256])));
    let secret = || KeyRing::from_secret(&[7; 64], &[Algorithm::Hs256]).unwrap();
    assert!(!secret().is_same_as(&secret()), "nobody can say so");
}

proptest! {
    #[test]
    fn no_map_makes_the_reading_fail(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[ -~]{0,80}") {
        drop(KeyRing::from_pem_map(&bytes, &ASYMMETRIC));
        drop(KeyRing::from_named_pem(&text, &bytes, &ASYMMETRIC));
        if let Ok((ring, _)) = KeyRing::from_pem_map(&map(&[(&text, &text)]), &ASYMMETRIC) {
            prop_assert!(!ring.is_empty());
        }
    }
}
