//! The fixture of the attack table: issuers, their keys, and what their good tokens look like.
//!
//! Made once, at one moment, with keys that exist in this process alone.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use sidegate::lab::{SigningKey, TokenSpec};
use sidegate::model::{Algorithm, Timestamp};
use sidegate::settings::{
    AudienceRule, Enforcement, IssuerIndex, IssuerSettings, KeySource, Maker, SenderRule,
    SubjectRule, TokenForm, TokenPlace, TokenToUpstream, TypeRule,
};
use tempfile::TempDir;

use super::rsa::rsa;

/// Host of the route: `iss` and `aud` of Pomerium's tokens.
pub(crate) const HOST: &str = "app.example.com";
/// The header of the issuer `pomerium`.
pub(crate) const ASSERTION: &str = "x-pomerium-jwt-assertion";

pub(crate) struct World {
    pub(crate) now: Timestamp,
    /// ES256, of the issuer `pomerium`.
    pub(crate) pomerium: SigningKey,
    /// RS256, of the same issuer.
    pub(crate) pomerium_rsa: SigningKey,
    /// ES384, in the same key set, though the issuer may not use ES384.
    pub(crate) pomerium_unlisted: SigningKey,
    /// One for each asymmetric algorithm, of the issuer `oidc`.
    pub(crate) oidc: Vec<SigningKey>,
    /// ES256, of the issuer `partner`, which shares `oidc`'s header.
    pub(crate) partner: SigningKey,
    /// HS256, of the issuer `spike`.
    pub(crate) spike: SigningKey,
    /// ES256, of the issuer `foreign`, whose tokens the peer may not bring.
    pub(crate) foreign: SigningKey,
    /// ES384, of the issuer `pinned`, known by PEM.
    pub(crate) pinned: SigningKey,
    /// ES256, of nobody.
    pub(crate) stranger: SigningKey,
    files: TempDir,
}

impl World {
    pub(crate) fn new(now: Timestamp) -> Self {
        let make = |algorithm: Algorithm, kid: Option<&str>| match algorithm.name().get(..2) {
            Some(family @ ("RS" | "PS")) => rsa(kid.unwrap_or(family), algorithm, kid),
            _ => SigningKey::generate(algorithm, kid).unwrap(),
        };
        let asymmetric = Algorithm::ALL.into_iter().filter(|it| !it.is_symmetric());
        let world = Self {
            now,
            pomerium: make(Algorithm::Es256, Some("pomerium-1")),
            pomerium_rsa: make(Algorithm::Rs256, Some("pomerium-rsa")),
            pomerium_unlisted: make(Algorithm::Es384, Some("pomerium-384")),
            oidc: asymmetric.map(|it| make(it, Some(it.name()))).collect(),
            partner: make(Algorithm::Es256, Some("partner-1")),
            spike: make(Algorithm::Hs256, None),
            foreign: make(Algorithm::Es256, Some("foreign-1")),
            pinned: make(Algorithm::Es384, None),
            stranger: make(Algorithm::Es256, Some("pomerium-1")),
            files: TempDir::new().unwrap(),
        };
        world.write();
        world
    }

    fn write(&self) {
        let put = |name: &str, text: &[u8]| fs::write(self.files.path().join(name), text).unwrap();
        let set = |keys: &[&SigningKey]| SigningKey::jwks(keys).unwrap();
        let pomerium = set(&[&self.pomerium, &self.pomerium_rsa, &self.pomerium_unlisted]);
        put("pomerium.json", pomerium.as_bytes());
        let oidc: Vec<&SigningKey> = self.oidc.iter().collect();
        put("oidc.json", set(&oidc).as_bytes());
        put("partner.json", set(&[&self.partner]).as_bytes());
        put("spike.secret", self.spike.secret().unwrap());
        put("foreign.json", set(&[&self.foreign]).as_bytes());
        put("pinned.pem", self.pinned.public_pem().unwrap().as_bytes());
    }

    /// The issuers, in the order of their indices.
    #[expect(
        clippy::too_many_lines,
        reason = "a table: split up it would only be harder to read"
    )]
    pub(crate) fn issuers(&self) -> Vec<IssuerSettings> {
        let path = |name: &str| self.files.path().join(name);
        let bearer = TokenPlace::Bearer(http::header::AUTHORIZATION);
        let header = |name| TokenPlace::Header(HeaderName::from_static(name));
        let jwks = |name: &str| KeySource::JwksFile(path(name));
        let asymmetric = self.oidc.iter().map(SigningKey::algorithm).collect();
        let pomerium = issuer(
            "pomerium",
            HOST,
            &[HOST],
            header(ASSERTION),
            jwks("pomerium.json"),
        );
        let oidc = issuer(
            "oidc",
            "https://id.example.com/",
            &["app", "api"],
            bearer.clone(),
            jwks("oidc.json"),
        );
        let partner_name = "https://partner.example.com";
        let partner = issuer(
            "partner",
            partner_name,
            &["app"],
            bearer,
            jwks("partner.json"),
        );
        let secret = KeySource::SecretFile(path("spike.secret"));
        let spike = issuer("spike", "nexus", &["app"], header("x-spike-token"), secret);
        let foreign_place = header("x-foreign-assertion");
        let foreign = issuer(
            "foreign",
            "foreign",
            &["app"],
            foreign_place,
            jwks("foreign.json"),
        );
        let pem = KeySource::PemFile(path("pinned.pem"));
        let pinned = issuer(
            "pinned",
            "pinned",
            &["app"],
            header("x-pinned-assertion"),
            pem,
        );
        vec![
            IssuerSettings {
                algorithms: vec![Algorithm::Es256, Algorithm::Rs256],
                ..pomerium
            },
            IssuerSettings {
                algorithms: asymmetric,
                places: [oidc.places, vec![TokenPlace::Cookie("session".to_owned())]].concat(),
                ..oidc
            },
            partner,
            IssuerSettings {
                algorithms: vec![Algorithm::Hs256],
                ..spike
            },
            foreign,
            IssuerSettings {
                algorithms: vec![Algorithm::Es384],
                leeway: Duration::ZERO,
                stream_grace: Duration::ZERO,
                single_use: None,
                max_lifetime: Duration::from_secs(600),
                subject: SubjectRule::MayBeEmpty,
                ..pinned
            },
        ]
    }

    /// Whose tokens the peer may bring: everybody's but `foreign`'s.
    pub(crate) fn peer_issuers() -> Vec<IssuerIndex> {
        [0, 1, 2, 3, 5].map(IssuerIndex).to_vec()
    }

    // === Good claims, one of each issuer ===

    pub(crate) fn pomerium_claims(&self) -> TokenSpec {
        TokenSpec::pomerium(HOST, "user-7", "ann@example.com", &["admins"], self.now)
    }

    pub(crate) fn oidc_claims(&self) -> TokenSpec {
        TokenSpec::new("https://id.example.com/", "app", "user-7", self.now)
    }

    pub(crate) fn partner_claims(&self) -> TokenSpec {
        TokenSpec::new("https://partner.example.com", "app", "user-7", self.now)
    }

    pub(crate) fn spike_claims(&self) -> TokenSpec {
        TokenSpec::new("nexus", "app", "workload", self.now)
    }

    pub(crate) fn foreign_claims(&self) -> TokenSpec {
        TokenSpec::new("foreign", "app", "user-7", self.now)
    }

    pub(crate) fn pinned_claims(&self) -> TokenSpec {
        TokenSpec::new("pinned", "app", "user-7", self.now)
    }

    // === Good tokens ===

    pub(crate) fn good(&self) -> String {
        self.pomerium_claims().sign(&self.pomerium).unwrap()
    }

    pub(crate) fn oidc_key(&self, algorithm: Algorithm) -> &SigningKey {
        let fits = |key: &&SigningKey| key.algorithm() == algorithm;
        self.oidc.iter().find(fits).unwrap()
    }

    pub(crate) fn good_oidc(&self) -> String {
        let key = self.oidc_key(Algorithm::Es256);
        self.oidc_claims().sign(key).unwrap()
    }

    /// A token of the issuer `pomerium`, rightly signed, with this header.
    pub(crate) fn with_header(&self, header: &str) -> String {
        let payload = self.pomerium_claims().payload();
        self.pomerium.sign(header, payload.as_bytes()).unwrap()
    }

    /// A token of the issuer `pomerium`, rightly signed, with this payload.
    pub(crate) fn with_payload(&self, payload: &[u8]) -> String {
        self.pomerium
            .sign(&self.pomerium.header(), payload)
            .unwrap()
    }

    /// Requests that must pass: without them a table of refusals proves nothing.
    #[expect(
        clippy::too_many_lines,
        reason = "a table: split up it would only be harder to read"
    )]
    pub(crate) fn good_requests(&self) -> Vec<(String, Vec<(String, String)>)> {
        let mut good = Vec::new();
        let mut add = |name: &str, header: &str, value: String| {
            good.push((name.to_owned(), vec![(header.to_owned(), value)]));
        };
        add("a Pomerium assertion", ASSERTION, self.good());
        let rsa = self.pomerium_claims().sign(&self.pomerium_rsa).unwrap();
        add("a Pomerium assertion by RSA", ASSERTION, rsa);
        for key in &self.oidc {
            let token = self.oidc_claims().sign(key).unwrap();
            let name = format!("a bearer token by {}", key.algorithm());
            add(&name, "authorization", format!("Bearer {token}"));
        }
        let token = self.good_oidc();
        add(
            "a lower-case scheme",
            "authorization",
            format!("bearer {token}"),
        );
        add(
            "an upper-case scheme",
            "authorization",
            format!("BEARER {token}"),
        );
        add(
            "two spaces after the scheme",
            "authorization",
            format!("Bearer  {token}"),
        );
        add("a cookie", "cookie", format!("a=1; session={token}; b=2"));
        let partner = self.partner_claims().sign(&self.partner).unwrap();
        add(
            "an issuer that shares its header",
            "authorization",
            format!("Bearer {partner}"),
        );
        let spike = self.spike_claims().sign(&self.spike).unwrap();
        add("a shared secret", "x-spike-token", spike);
        let pinned = self.pinned_claims().sign(&self.pinned).unwrap();
        add("a key known by PEM", "x-pinned-assertion", pinned);
        let nameless = self
            .pinned_claims()
            .without("sub")
            .sign(&self.pinned)
            .unwrap();
        add(
            "no subject, where that is allowed",
            "x-pinned-assertion",
            nameless,
        );
        let many = self.pomerium_claims().claim("aud", vec!["other", HOST]);
        add(
            "one audience of several",
            ASSERTION,
            many.sign(&self.pomerium).unwrap(),
        );
        let fraction = self.now.unix() as f64 + 120.5;
        let fraction = self.pomerium_claims().claim("exp", fraction);
        add(
            "a fractional exp",
            ASSERTION,
            fraction.sign(&self.pomerium).unwrap(),
        );
        good
    }
}

fn issuer(
    name: &str,
    issuer: &str,
    audience: &[&str],
    place: TokenPlace,
    keys: KeySource,
) -> IssuerSettings {
    IssuerSettings {
        name: name.into(),
        preset: None,
        maker: Maker::Issuer(issuer.to_owned()),
        audience: AudienceRule::OneOf(audience.iter().map(|it| (*it).to_owned()).collect()),
        form: TokenForm::Jwt,
        types: TypeRule::default(),
        sender: SenderRule::IfBound,
        algorithms: vec![Algorithm::Es256],
        keys,
        places: vec![place],
        token_to_upstream: TokenToUpstream::Remove,
        leeway: Duration::from_secs(30),
        stream_grace: Duration::ZERO,
        single_use: None,
        max_lifetime: Duration::from_secs(3600),
        subject: SubjectRule::Required,
        enforcement: Enforcement::Refuse,
        companions: Vec::new(),
    }
}

// === Surgery on tokens ===

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header, payload and signature of a token, still encoded.
pub(crate) fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

pub(crate) fn signature_of(token: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(parts(token)[2]).unwrap()
}

/// The token with another signature.
pub(crate) fn resigned(token: &str, signature: &[u8]) -> String {
    let [header, payload, _] = parts(token);
    format!("{header}.{payload}.{}", b64(signature))
}

/// The order of P-256 (FIPS 186-4 D.1.2.3).
pub(crate) const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
