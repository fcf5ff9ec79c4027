//! The claims of a token, put together step by step.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::signing::{SigningError, SigningKey};
use crate::model::Timestamp;

/// The claims of a token to be signed. Starts out as a good token; every claim can then be changed
/// or taken away.
#[derive(Clone, Debug)]
pub struct TokenSpec {
    claims: Map<String, Value>,
}

impl TokenSpec {
    /// A token of `issuer` for `audience` about `subject`, good for five minutes from `now`.
    #[must_use]
    pub fn new(issuer: &str, audience: &str, subject: &str, now: Timestamp) -> Self {
        let claims = Map::new();
        Self { claims }
            .claim("iss", issuer)
            .claim("aud", audience)
            .claim("sub", subject)
            .lives(now, Duration::from_secs(300))
    }

    /// A token of the shape in which Pomerium asserts an identity: `iss` and `aud` are the route's
    /// host, five minutes long, no `nbf`.
    #[must_use]
    pub fn pomerium(host: &str, user: &str, email: &str, groups: &[&str], now: Timestamp) -> Self {
        Self::new(host, host, user, now)
            .claim("jti", "5b7b4a52-6fcb-4ba3-9a3f-6d1de0a6a3a1")
            .claim("user", user)
            .claim("email", email)
            .claim("name", user)
            .claim("sid", "2f0a8e02-2f63-4a4c-8f4d-6b8f8f0e3c11")
            .claim("groups", json!(groups))
    }

    /// Sets `iat` to `from` and `exp` to `ttl` after it.
    #[must_use]
    pub fn lives(self, from: Timestamp, ttl: Duration) -> Self {
        self.claim("iat", from.unix())
            .claim("exp", from.plus(ttl).unix())
    }

    /// Sets any claim to any value.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Takes a claim away.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// The payload's text.
    #[must_use]
    pub fn payload(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    /// The token, signed by `key` under an honest header.
    ///
    /// # Errors
    ///
    /// [`SigningError::Library`]
    pub fn sign(&self, key: &SigningKey) -> Result<String, SigningError> {
        key.sign(&key.header(), self.payload().as_bytes())
    }
}
