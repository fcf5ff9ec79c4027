//! RSA keys that the tests share: a debug build takes up to seconds to find one, so each is made
//! once for the whole process. They exist in no other.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex};

use sidegate::lab::SigningKey;
use sidegate::model::Algorithm;

static MADE: LazyLock<Mutex<BTreeMap<String, String>>> = LazyLock::new(Mutex::default);

/// The RSA key of this name, for `algorithm`, which its tokens call `kid`.
pub(crate) fn rsa(name: &str, algorithm: Algorithm, kid: Option<&str>) -> SigningKey {
    let mut made = MADE.lock().unwrap();
    let pem = made.entry(name.to_owned()).or_insert_with(|| {
        let key = SigningKey::generate(algorithm, None).unwrap();
        key.private_pem().unwrap()
    });
    SigningKey::from_private_pem(pem, algorithm, kid).unwrap()
}
