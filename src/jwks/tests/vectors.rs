//! Vectors that others made: the appendices of the RFCs, and josekit's own signers, which run on
//! OpenSSL. And the forms other than JWKS: PEM, certificates, secrets, files.

use josekit::jwk::Jwk;
use josekit::jwk::alg::ec::EcCurve;
use josekit::jwk::alg::ed::EdCurve;
use josekit::jws::{self, JwsHeader, JwsSigner, JwsVerifier};

use super::*;
use crate::settings::KeySource;

/// The claims of RFC 7515 A.1 to A.3.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// Whether any key of the ring that the token may use verifies it.
fn verifies(ring: &KeyRing, kid: Option<&str>, algorithm: Algorithm, token: &str) -> bool {
    let candidates = ring.find(kid, algorithm).unwrap();
    candidates.iter().any(|(verifier, ..)| {
        jws::deserialize_compact_with_selector(token, |_| Ok(Some(verifier as &dyn JwsVerifier)))
            .is_ok()
    })
}

fn assert_vector(ring: &KeyRing, algorithm: Algorithm, token: &str) {
    assert!(verifies(ring, None, algorithm, token), "{algorithm}");
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[5] ^= 1;
    let changed = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes));
    assert!(!verifies(ring, None, algorithm, &changed), "{algorithm}");
}

#[test]
fn rfc_7515_a1_hs256() {
    let secret =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let secret = URL_SAFE_NO_PAD.decode(secret).unwrap();
    let ring = KeyRing::from_secret(&secret, &[Algorithm::Hs256]).unwrap();
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let tag = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    assert_vector(&ring, Algorithm::Hs256, &format!("{header}.{CLAIMS}.{tag}"));
}

#[test]
fn rfc_7515_a2_rs256() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let (ring, _) = read_jwks(json!([{ "kty": "RSA", "n": n, "e": "AQAB" }])).unwrap();
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}.{signature}");
    assert_vector(&ring, Algorithm::Rs256, &token);
}

#[test]
fn rfc_7515_a3_es256() {
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let (ring, _) = read_jwks(json!([jwk])).unwrap();
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let token = format!("eyJhbGciOiJFUzI1NiJ9.{CLAIMS}.{signature}");
    assert_vector(&ring, Algorithm::Es256, &token);
}

#[test]
fn rfc_8037_a3_and_a4_eddsa() {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let (ring, _) = read_jwks(json!([{ "kty": "OKP", "crv": "Ed25519", "x": x }])).unwrap();
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_vector(&ring, Algorithm::EdDsa, token);
    let print = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    assert!(verifies(&ring, Some(print), Algorithm::EdDsa, token));
}

#[test]
fn rfc_7638_3_1_thumbprint() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let n = URL_SAFE_NO_PAD.decode(n).unwrap();
    let print = PublicKey::rsa(&n, &[1, 0, 1]).unwrap().thumbprint();
    let expected = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    assert_eq!(URL_SAFE_NO_PAD.encode(print), expected);
}

// === josekit's own signers ===

fn josekit_signer(algorithm: Algorithm) -> (Jwk, Box<dyn JwsSigner>) {
    let rsa = || Jwk::generate_rsa_key(2048).unwrap();
    let ec = |curve| Jwk::generate_ec_key(curve).unwrap();
    macro_rules! pair {
        ($signer:ident, $jwk:expr) => {{
            let jwk: Jwk = $jwk;
            let signer = jws::$signer.signer_from_jwk(&jwk).unwrap();
            (jwk, Box::new(signer) as Box<dyn JwsSigner>)
        }};
    }
    match algorithm {
        Algorithm::Es256 => pair!(ES256, ec(EcCurve::P256)),
        Algorithm::Es384 => pair!(ES384, ec(EcCurve::P384)),
        Algorithm::Es512 => pair!(ES512, ec(EcCurve::P521)),
        Algorithm::Rs256 => pair!(RS256, rsa()),
        Algorithm::Rs384 => pair!(RS384, rsa()),
        Algorithm::Rs512 => pair!(RS512, rsa()),
        Algorithm::Ps256 => pair!(PS256, rsa()),
        Algorithm::Ps384 => pair!(PS384, rsa()),
        Algorithm::Ps512 => pair!(PS512, rsa()),
        Algorithm::EdDsa => pair!(EdDSA, Jwk::generate_ed_key(EdCurve::Ed25519).unwrap()),
        Algorithm::Hs256 => pair!(HS256, Jwk::generate_oct_key(64).unwrap()),
        Algorithm::Hs384 => pair!(HS384, Jwk::generate_oct_key(64).unwrap()),
        Algorithm::Hs512 => pair!(HS512, Jwk::generate_oct_key(64).unwrap()),
    }
}

#[test]
fn what_josekit_signs_with_openssl_is_verified() {
    for algorithm in Algorithm::ALL {
        let (jwk, signer) = josekit_signer(algorithm);
        let token = jws::serialize_compact(b"{}", &JwsHeader::new(), &*signer).unwrap();
        let ring = if algorithm.is_symmetric() {
            // As in a file: one in 256 random secrets ends with what would pass for the line's end.
            let line = [&*jwk.key_value().unwrap(), b"\n"].concat();
            KeyRing::from_secret(&line, &[algorithm]).unwrap()
        } else {
            let public: &Map<String, Value> = &jwk.to_public_key().unwrap().into();
            read_jwks(json!([public])).unwrap().0
        };
        assert_vector(&ring, algorithm, &token);
    }
}

#[test]
fn what_the_lab_signs_is_verified_by_josekit_with_openssl() {
    for algorithm in [Algorithm::Es256, Algorithm::Ps256, Algorithm::EdDsa] {
        let key = key(algorithm, None);
        let token = key.sign(&key.header(), b"{}").unwrap();
        let jwk = Jwk::from_bytes(key.jwk().unwrap().to_string()).unwrap();
        let verifier: Box<dyn JwsVerifier> = if algorithm == Algorithm::Ps256 {
            Box::new(jws::PS256.verifier_from_jwk(&jwk).unwrap())
        } else if algorithm == Algorithm::EdDsa {
            Box::new(jws::EdDSA.verifier_from_jwk(&jwk).unwrap())
        } else {
            Box::new(jws::ES256.verifier_from_jwk(&jwk).unwrap())
        };
        assert!(
            jws::deserialize_compact(&token, &*verifier).is_ok(),
            "{algorithm}"
        );
    }
}

// === PEM, secrets, files ===

#[test]
fn public_keys_and_certificates_in_pem_are_read() {
    for algorithm in ASYMMETRIC {
        let key = key(algorithm, Some("any name"));
        let token = key.sign(&key.header(), b"{}").unwrap();
        let pem = key.public_pem().unwrap();
        let (ring, warnings) = KeyRing::from_pem(pem.as_bytes(), &ASYMMETRIC).unwrap();
        assert_eq!(warnings, Vec::new());
        assert!(verifies(&ring, None, algorithm, &token));
        assert!(
            verifies(&ring, Some("any name"), algorithm, &token),
            "a foreign kid is ignored"
        );
        assert!(verifies(
            &ring,
            ring.names().next().as_deref(),
            algorithm,
            &token
        ));
    }
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&pair).unwrap();
    let signer =
        SigningKey::from_private_pem(&pair.serialize_pem(), Algorithm::Es256, None).unwrap();
    let token = signer.sign(&signer.header(), b"{}").unwrap();
    let (ring, _) = KeyRing::from_pem(certificate.pem().as_bytes(), &ASYMMETRIC).unwrap();
    assert!(verifies(&ring, None, Algorithm::Es256, &token));
}

#[test]
fn several_keys_in_one_pem_are_told_apart_by_thumbprint_only() {
    let keys = [key(Algorithm::Es256, None), key(Algorithm::Es256, None)];
    let pem: String = keys.iter().map(|key| key.public_pem().unwrap()).collect();
    let pem = format!("a comment\n{pem}");
    let (ring, _) = KeyRing::from_pem(pem.as_bytes(), &ASYMMETRIC).unwrap();
    assert_eq!(offered(&ring, None, Algorithm::Es256), Err(NoKey::Unknown));
    assert_eq!(
        offered(&ring, Some("any"), Algorithm::Es256),
        Err(NoKey::Unknown)
    );
    for name in ring.names() {
        assert_eq!(
            offered(&ring, Some(&name), Algorithm::Es256).unwrap().len(),
            1
        );
    }
}

#[test]
fn a_pem_that_is_none_or_holds_a_private_key_is_refused() {
    let key = key(Algorithm::Es256, None);
    let both = key.public_pem().unwrap() + &key.private_pem().unwrap();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for pem in [both.as_str(), encrypted] {
        let refused = KeyRing::from_pem(pem.as_bytes(), &ASYMMETRIC).unwrap_err();
        assert_eq!(refused, KeysError::PrivateKeyInPem);
    }
    for pem in [
        "",
        "hello",
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
    ] {
        let refused = KeyRing::from_pem(pem.as_bytes(), &ASYMMETRIC).unwrap_err();
        assert_eq!(refused, KeysError::Pem, "{pem}");
    }
    let empty = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let refused = KeyRing::from_pem(empty.as_bytes(), &ASYMMETRIC).unwrap_err();
    assert!(matches!(refused, KeysError::NoUsableKey(_)));
}

#[test]
fn one_line_end_is_no_part_of_a_secret() {
    let key = key(Algorithm::Hs512, None);
    let token = key.sign(&key.header(), b"{}").unwrap();
    let secret = String::from_utf8(key.secret().unwrap().to_vec()).unwrap();
    for (ending, same) in [
        ("", true),
        ("\n", true),
        ("\r\n", true),
        ("\n\n", false),
        (" ", false),
    ] {
        let file = format!("{secret}{ending}");
        let ring = KeyRing::from_secret(file.as_bytes(), &[Algorithm::Hs512]).unwrap();
        assert_eq!(
            verifies(&ring, None, Algorithm::Hs512, &token),
            same,
            "{ending:?}"
        );
        assert_eq!(verifies(&ring, Some("any"), Algorithm::Hs512, &token), same);
    }
}

#[test]
fn a_secret_shorter_than_its_hash_is_refused() {
    for (algorithm, needed) in [
        (Algorithm::Hs256, 32),
        (Algorithm::Hs384, 48),
        (Algorithm::Hs512, 64),
    ] {
        assert!(KeyRing::from_secret(&vec![7; needed], &[algorithm]).is_ok());
        let found = needed - 1;
        let refused = KeyRing::from_secret(&vec![7; found], &[algorithm]).unwrap_err();
        assert_eq!(
            refused,
            KeysError::SecretTooShort {
                found,
                needed,
                algorithm
            }
        );
        // The line end does not count.
        let refused = KeyRing::from_secret(&[vec![7; found], vec![b'\n']].concat(), &[algorithm]);
        assert!(refused.is_err());
    }
    let refused =
        KeyRing::from_secret(&[7; 64], &[Algorithm::Hs256, Algorithm::Es256]).unwrap_err();
    assert_eq!(refused, KeysError::NotSymmetric(Algorithm::Es256));
}

#[test]
fn a_public_key_file_is_refused_as_a_secret() {
    let pem = key(Algorithm::Rs256, None).public_pem().unwrap();
    for pem in [pem.clone(), format!("\n {pem}")] {
        let refused = KeyRing::from_secret(pem.as_bytes(), &[Algorithm::Hs256]).unwrap_err();
        assert_eq!(refused, KeysError::SecretIsPem);
    }
}

#[test]
fn an_error_of_a_file_names_the_file() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("keys.json");
    let source = KeySource::JwksFile(path.clone());
    let name = path.display().to_string();
    let error = || load(&source, &ASYMMETRIC).unwrap_err();
    assert!(error().to_string().contains(&name));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(error(), LoadKeysError::Unusable { .. }));
    assert!(error().to_string().contains(&name));
    std::fs::write(&path, vec![b' '; 1 << 20]).unwrap();
    assert!(matches!(error(), LoadKeysError::Unusable { .. }));
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(matches!(error(), LoadKeysError::TooLarge { .. }));
    assert!(error().to_string().contains(&name));
}
