//! Any bytes in the header of a token: no panic, and never a principal, for nobody here signs.
#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use sidegate::accept::Peer;
use sidegate::check::{Checker, Policy};
use sidegate::jwks::KeyRing;
use sidegate::lab::SigningKey;
use sidegate::model::{Algorithm, Timestamp};
use sidegate::reload::{Generation, live};
use sidegate::settings::{Overrides, Settings};

static SETUP: LazyLock<(Checker, Policy, Peer)> = LazyLock::new(|| {
    let text = r#"
        [tls]
        certificate = "/a"
        private_key = "/b"
        client_ca = "/c"
        [[peer]]
        name = "front"
        dns = ["front.test"]
        issuers = ["main"]
        [[issuer]]
        name = "main"
        issuer = "https://issuer.test/"
        audience = ["app"]
        keys = { file = "/d" }
        [upstream]
        address = "127.0.0.1:1"
    "#;
    let (settings, _) = Settings::from_text(text, "/sidegate.toml", &Overrides::default()).unwrap();
    let key = SigningKey::generate(Algorithm::Es256, Some("k")).unwrap();
    let jwks = SigningKey::jwks(&[&key]).unwrap();
    let (ring, _) = KeyRing::from_jwks(jwks.as_bytes(), &[Algorithm::Es256]).unwrap();
    let (_, reader) = live(Some(ring));
    let policy = Policy::of_issuers(&settings.issuers, settings.limits.token_bytes, vec![reader]);
    let peer = Peer::for_test("front", &["main"]);
    (Checker::new(&settings.limits), policy, peer)
});

fuzz_target!(|data: &[u8]| {
    let (checker, policy, peer) = &*SETUP;
    let mut value = b"Bearer ".to_vec();
    value.extend_from_slice(data);
    let Ok(value) = HeaderValue::from_bytes(&value) else { return };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value);
    let Ok(token) = policy.places().find(&headers) else { return };
    let now = Timestamp::from_unix(1_800_000_000);
    assert!(checker.check(policy, Generation::default(), &token, peer, now).is_err());
});
