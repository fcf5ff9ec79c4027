//! The callers of the demo: who comes with what, and what each must get.
//!
//! Pure data. What really happened is found out by whoever runs it, from the answer, the service's
//! own count and the gate's own metrics; an [`Outcome`] of both kinds is then compared whole.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Version};
use http_body_util::Full;
use serde_json::{Value, json};

use super::caller::Http;
use super::pki::Issued;
use super::signing::{SigningError, SigningKey};
use super::token::TokenSpec;
use super::world::World;
use crate::model::{Algorithm, Denial};

/// A caller and what it must get.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The caller, in a few words.
    pub name: &'static str,
    /// What it shows in the TLS handshake.
    pub certificate: Option<Issued>,
    /// What it speaks.
    pub http: Http,
    /// The header of its request.
    pub fields: Vec<(&'static str, String)>,
    /// What must come of it.
    pub must: Outcome,
}

/// What came, or must come, of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// What the caller got.
    pub got: Got,
    /// What reached the service.
    pub seen: Seen,
    /// The reason codes that the gate counted.
    pub reasons: Vec<String>,
}

/// What a caller got.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Got {
    /// An answer.
    Answer(Version, u16),
    /// A TLS alert, by the name that rustls gives it.
    Alert(String),
    /// Neither.
    Failure(String),
}

/// What reached the service behind the gate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Seen {
    /// No request.
    Nothing,
    /// A request with this subject and no trace of the token.
    Subject(String),
    /// Something that must never reach it.
    Leak(String),
}

/// The header in which the service is told the subject.
const SUBJECT: &str = "x-auth-subject";

// === impl Scenario ===

impl Scenario {
    fn new(name: &'static str, certificate: &Issued, must: Outcome) -> Self {
        Self {
            name,
            certificate: Some(certificate.clone()),
            http: Http::One,
            fields: Vec::new(),
            must,
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// When a field is not a header: a mistake in the table below.
    pub fn request(&self) -> Result<Request<Full<Bytes>>, http::Error> {
        let mut request = Request::builder().uri("/").body(Full::default())?;
        for (name, value) in &self.fields {
            request
                .headers_mut()
                .append(HeaderName::from_static(name), HeaderValue::try_from(value)?);
        }
        Ok(request)
    }
}

/// Every caller of the demo.
///
/// # Errors
///
/// When a token cannot be signed.
pub fn cast(world: &World) -> Result<Vec<Scenario>, SigningError> {
    let mut cast = strangers(world)?;
    cast.extend(bad_tokens(world)?);
    cast.extend(forgers(world)?);
    cast.extend(friends(world)?);
    Ok(cast)
}

/// Those who must not even become a peer. Each brings a perfect token: it must not help.
fn strangers(world: &World) -> Result<Vec<Scenario>, SigningError> {
    use Denial as D;
    let token = world.token().sign(&world.key)?;
    let mut nobody = Scenario::new(
        "no certificate",
        &world.front,
        alert("CertificateRequired", D::CertificateMissing),
    );
    nobody.certificate = None;
    let rest = [
        (
            // It bears the name of the right CA, so the signature is what does not fit.
            "certificate of a foreign CA",
            &world.foreign,
            alert("DecryptError", D::CertificateUntrusted),
        ),
        (
            "expired certificate",
            &world.expired,
            alert("CertificateExpired", D::CertificateExpired),
        ),
        (
            "revoked certificate",
            &world.revoked,
            alert("CertificateRevoked", D::CertificateRevoked),
        ),
        (
            "certificate of no listed peer",
            &world.stranger,
            alert("AccessDenied", D::PeerNotListed),
        ),
    ]
    .map(|(name, certificate, must)| Scenario::new(name, certificate, must));
    let all = std::iter::once(nobody).chain(rest);
    Ok(all.map(|one| one.bearer(&token)).collect())
}

/// A listed peer with an honest token that is not good enough here.
fn bad_tokens(world: &World) -> Result<Vec<Scenario>, SigningError> {
    use Denial as D;
    let caller = |name, status, reason| Scenario::new(name, &world.front, refused(status, reason));
    let good = world.token().sign(&world.key)?;
    let hour_ago = crate::model::Timestamp::from_unix(world.now.unix().saturating_sub(3_600));
    let expired = world
        .token()
        .lives(hour_ago, std::time::Duration::from_secs(300));
    let elsewhere = world.token().claim("aud", "other.test");
    let partner = world.partner_token().sign(&world.partner_key)?;
    Ok(vec![
        caller("no token", 401, D::TokenMissing),
        caller("expired token", 401, D::TokenExpired).bearer(&expired.sign(&world.key)?),
        caller("token for another audience", 401, D::AudienceMismatch)
            .bearer(&elsewhere.sign(&world.key)?),
        caller(
            "good token of the other peer's issuer",
            403,
            D::IssuerNotForPeer,
        )
        .with("x-partner-assertion", partner),
        caller("the same good token twice", 400, D::TokenRepeated)
            .bearer(&good)
            .bearer(&good),
    ])
}

/// A listed peer with a token that its issuer never made.
fn forgers(world: &World) -> Result<Vec<Scenario>, SigningError> {
    use Denial as D;
    let caller = |name, reason| Scenario::new(name, &world.front, refused(401, reason));
    let payload = world.token().claim("sub", "admin").payload();
    let header = |alg: &str, kid: &str| json!({"alg": alg, "typ": "JWT", "kid": kid}).to_string();

    let none = world
        .key
        .sign(&header("none", "current"), payload.as_bytes())?;
    let (unsigned, _) = none.rsplit_once('.').unwrap_or_default();
    // The classic confusion: the public key, which everybody has, taken for a shared secret.
    let public = world.next_key.public_pem()?;
    let secret = SigningKey::from_secret(public.as_bytes(), Algorithm::Hs256, Some("next"))?;
    let stranger = SigningKey::generate(Algorithm::Es256, Some("unknown"))?;
    let impostor = SigningKey::generate(Algorithm::Es256, Some("current"))?;
    Ok(vec![
        caller("alg none", D::AlgorithmRefused).bearer(&none),
        caller("alg none, signature cut off", D::TokenMalformed).bearer(&format!("{unsigned}.")),
        caller("HS256 signed with the public key", D::AlgorithmRefused)
            .bearer(&secret.sign(&secret.header(), payload.as_bytes())?),
        caller("payload changed after signing", D::SignatureInvalid)
            .bearer(&tampered(world, &payload)?),
        caller("signed with an unknown key", D::KeyUnknown)
            .bearer(&stranger.sign(&stranger.header(), payload.as_bytes())?),
        caller(
            "signed with another key of a known name",
            D::SignatureInvalid,
        )
        .bearer(&impostor.sign(&impostor.header(), payload.as_bytes())?),
    ])
}

/// A good token's header and signature around another payload.
fn tampered(world: &World, payload: &str) -> Result<String, SigningError> {
    let good = world.token().sign(&world.key)?;
    let other = world.key.sign(&world.key.header(), payload.as_bytes())?;
    let part = |token: &str, index| token.split('.').nth(index).unwrap_or_default().to_owned();
    Ok([part(&good, 0), part(&other, 1), part(&good, 2)].join("."))
}

/// Those who must get through, each as who it is.
fn friends(world: &World) -> Result<Vec<Scenario>, SigningError> {
    let ada = |name, version, token: &TokenSpec, key: &SigningKey| {
        let signed = token.sign(key)?;
        Ok::<_, SigningError>(
            Scenario::new(name, &world.front, allowed(version, "ada")).bearer(&signed),
        )
    };
    let (one, two) = (Version::HTTP_11, Version::HTTP_2);
    let mut over_two = ada("good, over HTTP/2", two, &world.token(), &world.key)?;
    over_two.http = Http::Two;
    let partner = world.partner_token().sign(&world.partner_key)?;
    Ok(vec![
        ada("good, over HTTP/1.1", one, &world.token(), &world.key)?,
        over_two,
        ada(
            "good, with the next key (RS256)",
            one,
            &world.token(),
            &world.next_key,
        )?,
        Scenario::new(
            "good, another peer and issuer (EdDSA)",
            &world.partner,
            allowed(one, "grace"),
        )
        .with("x-partner-assertion", partner),
        ada(
            "good, but says X-Auth-Subject: admin",
            one,
            &world.token(),
            &world.key,
        )?
        .with(SUBJECT, "admin")
        .with("x_auth_subject", "admin"),
    ])
}

fn alert(name: &str, reason: Denial) -> Outcome {
    Outcome {
        got: Got::Alert(name.to_owned()),
        seen: Seen::Nothing,
        reasons: vec![reason.code().to_owned()],
    }
}

fn refused(status: u16, reason: Denial) -> Outcome {
    Outcome {
        got: Got::Answer(Version::HTTP_11, status),
        seen: Seen::Nothing,
        reasons: vec![reason.code().to_owned()],
    }
}

fn allowed(version: Version, subject: &str) -> Outcome {
    Outcome {
        got: Got::Answer(version, 200),
        seen: Seen::Subject(subject.to_owned()),
        reasons: Vec::new(),
    }
}

// === impl Got ===

impl Got {
    /// What a call that got no answer got.
    #[must_use]
    pub fn from_error(text: &str) -> Self {
        match text.split_once("received fatal alert: ") {
            Some((_, name)) => Self::Alert(name.to_owned()),
            None => Self::Failure(text.to_owned()),
        }
    }
}

// === impl Seen ===

impl Seen {
    /// What the echo service says it saw. `fields` are what the caller sent.
    #[must_use]
    pub fn in_echo(body: &[u8], fields: &[(&'static str, String)]) -> Self {
        let Ok(echo) = serde_json::from_slice::<Value>(body) else {
            return Self::Leak("a request that it did not answer".to_owned());
        };
        let pairs = echo.get("headers").and_then(Value::as_array);
        let pairs = pairs.into_iter().flatten().filter_map(|pair| {
            let part = |index| pair.get(index).and_then(Value::as_str);
            Some((part(0)?, part(1)?))
        });
        // Base64url of `{"`: how every token begins.
        let last_words = fields
            .iter()
            .filter_map(|(_, sent)| sent.rsplit(' ').next());
        let tokens: Vec<_> = last_words.filter(|word| word.starts_with("eyJ")).collect();
        let mut subjects = Vec::new();
        for (name, value) in pairs {
            // A service behind CGI or WSGI cannot tell the two spellings apart.
            if name.replace('_', "-") == SUBJECT {
                subjects.push(value);
            }
            if tokens.iter().any(|token| value.contains(token)) {
                return Self::Leak("the token".to_owned());
            }
        }
        Self::Subject(subjects.join(" and "))
    }
}

// === impl Display ===

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(Version::HTTP_2, status) => write!(f, "HTTP/2 {status}"),
            Self::Answer(version, status) => write!(f, "{version:?} {status}"),
            Self::Alert(name) => write!(f, "TLS alert {name}"),
            Self::Failure(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Subject(subject) => f.write_str(subject),
            Self::Leak(what) => write!(f, "LEAK: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_subject_or_a_token_at_the_service_is_seen() {
        let sent = [(
            "authorization",
            "Bearer eyJhbGciOiJub25lIn0.e30.".to_owned(),
        )];
        let echo = |headers: Value| {
            let body = json!({ "headers": headers }).to_string();
            Seen::in_echo(body.as_bytes(), &sent)
        };
        let ada = json!(["x-auth-subject", "ada"]);
        assert_eq!(echo(json!([ada])), Seen::Subject("ada".to_owned()));
        let twin = echo(json!([ada, ["x_auth_subject", "admin"]]));
        assert_eq!(twin, Seen::Subject("ada and admin".to_owned()));
        let token = json!(["x-copy", "eyJhbGciOiJub25lIn0.e30."]);
        assert!(matches!(echo(json!([ada, token])), Seen::Leak(_)));
        assert!(matches!(Seen::in_echo(b"", &sent), Seen::Leak(_)));
    }
}
