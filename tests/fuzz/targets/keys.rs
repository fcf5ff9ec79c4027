//! Any bytes as a JWKS, as PEM, as a map of PEM and as a secret: no panic, and never an empty ring.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::jwks::KeyRing;
use sidegate::model::Algorithm;

fuzz_target!(|data: &[u8]| {
    let public = &Algorithm::ALL[..10];
    for made in [
        KeyRing::from_jwks(data, public),
        KeyRing::from_pem(data, public),
        KeyRing::from_pem_map(data, public),
        KeyRing::from_named_pem("kid", data, public),
    ] {
        if let Ok((ring, _)) = made {
            assert!(!ring.is_empty());
        }
    }
    drop(KeyRing::from_secret(data, &[Algorithm::Hs256]));
});
