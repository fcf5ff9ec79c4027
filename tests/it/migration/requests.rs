//! What both sidecars are sent: good requests, and every trap that is known of either.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sidegate::lab::{SigningKey, TokenSpec, World};
use sidegate::model::{Algorithm, Timestamp};

/// `iss` and `aud` in `docs/how-to/from-envoy.md`.
const HOST: &str = "app.example.com";
/// What stands in every header that a caller made up.
pub(super) const FORGED: &str = "mallory";

const ASSERTION: &str = "X-Pomerium-Jwt-Assertion";

/// What is shown at the other end. A listener without TLS, as Envoy's is here, cannot ask for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// The listed front proxy.
    Front,
    /// A caller without TLS.
    Plain,
    NoCertificate,
    /// Of the right CA, and not listed.
    Stranger,
    /// The right name of another CA.
    Foreign,
    Expired,
    Revoked,
}

/// One request.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) by: By,
    pub(super) bytes: Vec<u8>,
}

/// The keys after their rotation: one more, one whose name stays and whose key does not.
pub(super) struct Rotated {
    pub(super) added: SigningKey,
    pub(super) replaced: SigningKey,
}

impl Rotated {
    pub(super) fn new() -> Self {
        let make = |kid| SigningKey::generate(Algorithm::Es256, Some(kid)).unwrap();
        Self {
            added: make("added"),
            replaced: make("current"),
        }
    }

    pub(super) fn jwks(&self) -> String {
        SigningKey::jwks(&[&self.added, &self.replaced]).unwrap()
    }
}

/// Everything that is sent while the first keys are in force.
pub(super) fn before(world: &World) -> Vec<Case> {
    let mut table = Table::new(world);
    good(&mut table);
    places(&mut table);
    forms(&mut table);
    headers(&mut table);
    signatures(&mut table);
    times(&mut table);
    parties(&mut table);
    identities(&mut table);
    messages(&mut table);
    peers(&mut table);
    table.cases
}

/// What is sent after `rotated` has been written over the first keys.
pub(super) fn after(world: &World, rotated: &Rotated) -> Vec<Case> {
    let mut table = Table::new(world);
    let by = |key: &SigningKey| claims().sign(key).unwrap();
    table.token(
        "rotated: signed by a key that was added",
        &by(&rotated.added),
    );
    table.token("rotated: signed by a key that was removed", &by(&world.key));
    table.token(
        "rotated: another key under the old name",
        &by(&rotated.replaced),
    );
    table.cases
}

/// What is sent after the key file has become unreadable.
pub(super) fn broken(world: &World, rotated: &Rotated) -> Vec<Case> {
    let mut table = Table::new(world);
    let token = claims().sign(&rotated.added).unwrap();
    table.token("key file broken: the last good keys", &token);
    table.cases
}

/// A good token's claims, of this very moment.
fn claims() -> TokenSpec {
    TokenSpec::pomerium(
        HOST,
        "user-7",
        "ann@example.com",
        &["admins"],
        Timestamp::now(),
    )
}

/// A moment so many seconds from `now`, in Unix time.
fn seconds(now: Timestamp, by: i64) -> i64 {
    i64::try_from(now.unix()).unwrap() + by
}

struct Table<'w> {
    world: &'w World,
    good: String,
    cases: Vec<Case>,
}

impl<'w> Table<'w> {
    fn new(world: &'w World) -> Self {
        Self {
            world,
            good: claims().sign(&world.key).unwrap(),
            cases: Vec::new(),
        }
    }

    /// These bytes.
    fn raw(&mut self, name: &'static str, text: &str) {
        self.cases.push(Case {
            name,
            by: By::Front,
            bytes: text.as_bytes().to_vec(),
        });
    }

    /// `GET /page` with these fields.
    fn fields(&mut self, name: &'static str, fields: &[(&str, &str)]) {
        let mut text =
            "GET /page HTTP/1.1\r\nHost: app-sidecar\r\nConnection: close\r\n".to_owned();
        for (field, value) in fields {
            text.push_str(&format!("{field}: {value}\r\n"));
        }
        self.raw(name, &format!("{text}\r\n"));
    }

    /// This token where it belongs.
    fn token(&mut self, name: &'static str, token: &str) {
        self.fields(name, &[(ASSERTION, token)]);
    }

    /// Claims under a good signature.
    fn claims(&mut self, name: &'static str, change: impl FnOnce(TokenSpec) -> TokenSpec) {
        let token = change(claims()).sign(&self.world.key).unwrap();
        self.token(name, &token);
    }

    /// A header and good claims under a good signature.
    fn header(&mut self, name: &'static str, header: &serde_json::Value) {
        let payload = claims().payload();
        let header = header.to_string();
        let token = self.world.key.sign(&header, payload.as_bytes()).unwrap();
        self.token(name, &token);
    }

    /// A payload under a good signature.
    fn payload(&mut self, name: &'static str, payload: &str) {
        let key = &self.world.key;
        let token = key.sign(&key.header(), payload.as_bytes()).unwrap();
        self.token(name, &token);
    }

    /// A good token beside one more field.
    fn beside(&mut self, name: &'static str, field: &str, value: &str) {
        let good = self.good.clone();
        self.fields(name, &[(ASSERTION, &good), (field, value)]);
    }

    /// A good token under another request line, with more fields and a body.
    fn message(&mut self, name: &'static str, line: &str, rest: &str) {
        let good = &self.good;
        let text = format!(
            "{line}\r\nHost: app-sidecar\r\nConnection: close\r\n{ASSERTION}: {good}\r\n{rest}"
        );
        self.raw(name, &text);
    }

    /// A good request from somebody.
    fn by(&mut self, name: &'static str, by: By) {
        let good = self.good.clone();
        self.token(name, &good);
        self.cases.last_mut().unwrap().by = by;
    }
}

fn good(table: &mut Table<'_>) {
    let world = table.world;
    let token = table.good.clone();
    table.token("good: a token", &token);
    let rsa = claims().sign(&world.next_key).unwrap();
    table.token("good: signed by the RSA key", &rsa);
    table.fields(
        "good: the header's name in lower case",
        &[("x-pomerium-jwt-assertion", &token)],
    );
    table.claims("good: one audience of several", |claims| {
        claims.claim("aud", vec!["other", HOST])
    });
    let now = Timestamp::now();
    table.claims("good: exp with a fraction", |claims| {
        claims.claim("exp", now.unix() as f64 + 120.5)
    });
    table.message("good: a query", "GET /page?a=1&b=%2F HTTP/1.1", "\r\n");
    table.message(
        "good: a body",
        "POST /form HTTP/1.1",
        "Content-Length: 5\r\n\r\nhello",
    );
    table.message(
        "good: a chunked body",
        "POST /form HTTP/1.1",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    table.message("good: OPTIONS", "OPTIONS /page HTTP/1.1", "\r\n");
}

fn places(table: &mut Table<'_>) {
    let good = table.good.clone();
    let other = claims().claim("sub", "user-8");
    let other = other.sign(&table.world.next_key).unwrap();
    table.fields("place: no token", &[]);
    table.fields("place: an empty header", &[(ASSERTION, "")]);
    table.fields("place: a blank header", &[(ASSERTION, "   ")]);
    let bearer = format!("Bearer {good}");
    table.fields("place: in Authorization", &[("Authorization", &bearer)]);
    let cookie = format!("_pomerium={good}");
    table.fields("place: in a cookie", &[("Cookie", &cookie)]);
    let line = format!("GET /page?access_token={good} HTTP/1.1");
    table.raw(
        "place: in the query",
        &format!("{line}\r\nHost: app-sidecar\r\nConnection: close\r\n\r\n"),
    );
    table.fields(
        "place: in a twin of the header, with underscores",
        &[("X_Pomerium_Jwt_Assertion", &good)],
    );
    table.token("place: after the word Bearer", &bearer);
    table.fields(
        "place: two good tokens in two headers",
        &[(ASSERTION, &good), (ASSERTION, &other)],
    );
    table.token(
        "place: two good tokens joined by a comma",
        &format!("{good},{other}"),
    );
    table.token("place: a token and a comma", &format!("{good},"));
    table.fields(
        "place: a good token, then garbage in a second header",
        &[(ASSERTION, &good), (ASSERTION, "garbage")],
    );
    table.fields(
        "place: a good token, then an empty second header",
        &[(ASSERTION, &good), (ASSERTION, "")],
    );
    table.token("place: quoted", &format!("\"{good}\""));
}

fn forms(table: &mut Table<'_>) {
    let good = table.good.clone();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        unreachable!()
    };
    table.token("form: garbage", "garbage");
    table.token("form: two parts", &format!("{header}.{payload}"));
    table.token("form: four parts", &format!("{good}.{signature}"));
    table.token("form: an empty signature", &format!("{header}.{payload}."));
    table.token("form: padded base64", &format!("{good}=="));
    let longer = claims().claim("extra", "x".repeat(9_000));
    let longer = longer.sign(&table.world.key).unwrap();
    table.token("form: a token of 12 KB", &longer);
    table.payload("form: the payload is an array", "[]");
    table.payload("form: the payload is not JSON", "{");
    let twice = claims().payload();
    let twice = twice.replacen('{', "{\"sub\":\"mallory\",", 1);
    table.payload("form: a claim written twice", &twice);
}

fn headers(table: &mut Table<'_>) {
    table.header(
        "header: crit",
        &json!({"typ": "JWT", "alg": "ES256", "kid": "current", "crit": ["exp"]}),
    );
    table.header(
        "header: b64 false",
        &json!({"typ": "JWT", "alg": "ES256", "kid": "current", "b64": false}),
    );
    table.header(
        "header: the address of a key",
        &json!({"typ": "JWT", "alg": "ES256", "kid": "current", "jku": "https://evil.test/keys"}),
    );
    table.header(
        "header: a key unknown by name",
        &json!({"typ": "JWT", "alg": "ES256", "kid": "nobody"}),
    );
    table.header(
        "header: no name of a key",
        &json!({"typ": "JWT", "alg": "ES256"}),
    );
    table.header(
        "header: the name of a key of another kind",
        &json!({"typ": "JWT", "alg": "ES256", "kid": "next"}),
    );
    table.header(
        "header: another algorithm than the key's",
        &json!({"typ": "JWT", "alg": "RS256", "kid": "current"}),
    );
    let own = SigningKey::generate(Algorithm::Es256, Some("own")).unwrap();
    let header = json!({"typ": "JWT", "alg": "ES256", "jwk": own.jwk().unwrap()}).to_string();
    let payload = claims().payload();
    let token = own.sign(&header, payload.as_bytes()).unwrap();
    table.token("header: a key of its own", &token);
    let twice = r#"{"typ":"JWT","alg":"none","alg":"ES256","kid":"current"}"#;
    let token = table.world.key.sign(twice, payload.as_bytes()).unwrap();
    table.token("header: alg written twice", &token);
}

fn signatures(table: &mut Table<'_>) {
    let (world, good) = (table.world, table.good.clone());
    let payload = claims().payload();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let body = URL_SAFE_NO_PAD.encode(&payload);
    table.token("signature: alg none", &format!("{none}.{body}."));
    table.token(
        "signature: alg none and a signature",
        &format!("{none}.{body}.{signature}"),
    );
    let (header, _) = head.split_once('.').unwrap();
    let root = claims().claim("sub", "root").payload();
    let root = URL_SAFE_NO_PAD.encode(root);
    table.token(
        "signature: of other claims",
        &format!("{header}.{root}.{signature}"),
    );
    let pem = world.next_key.public_pem().unwrap();
    let public = SigningKey::from_secret(pem.as_bytes(), Algorithm::Hs256, Some("next")).unwrap();
    table.token(
        "signature: HS256 with the public key as the secret",
        &public.sign(&public.header(), payload.as_bytes()).unwrap(),
    );
    let stranger = SigningKey::generate(Algorithm::Es256, Some("current")).unwrap();
    let token = claims().sign(&stranger).unwrap();
    table.token("signature: by a stranger's key of the right name", &token);
}

fn times(table: &mut Table<'_>) {
    let now = Timestamp::now();
    let at = |by| seconds(now, by);
    for (name, ago) in [
        ("time: expired 15 s ago", 15),
        ("time: expired 45 s ago", 45),
        ("time: expired an hour ago", 3_600),
    ] {
        table.claims(name, |it| {
            it.claim("iat", at(-ago - 300)).claim("exp", at(-ago))
        });
    }
    table.claims("time: no exp", |it| it.without("exp"));
    table.claims("time: exp is a string", |it| {
        it.claim("exp", at(300).to_string())
    });
    table.claims("time: exp in milliseconds", |it| {
        it.claim("exp", at(300) * 1_000)
    });
    table.claims("time: a life of a year", |it| {
        it.lives(now, Duration::from_secs(365 * 86_400))
    });
    table.claims("time: not before an hour from now", |it| {
        it.claim("nbf", at(3_600))
    });
    table.claims("time: issued an hour from now", |it| {
        it.claim("iat", at(3_600)).claim("exp", at(3_900))
    });
    table.claims("time: no iat", |it| it.without("iat"));
}

fn parties(table: &mut Table<'_>) {
    table.claims("issuer: another", |it| {
        it.claim("iss", "https://evil.example/")
    });
    table.claims("issuer: as an address with a slash at the end", |it| {
        it.claim("iss", "https://app.example.com/")
    });
    table.claims("issuer: missing", |it| it.without("iss"));
    table.claims("audience: another", |it| {
        it.claim("aud", "other.example.com")
    });
    table.claims("audience: begins like ours", |it| {
        it.claim("aud", "app.example.com.evil.example")
    });
    table.claims("audience: with a slash at the end", |it| {
        it.claim("aud", "app.example.com/")
    });
    table.claims("audience: missing", |it| it.without("aud"));
    table.claims("subject: empty, as on Pomerium's public routes", |it| {
        it.claim("sub", "")
    });
    table.claims("subject: missing", |it| it.without("sub"));
}

fn identities(table: &mut Table<'_>) {
    table.beside(
        "identity: X-Pomerium-Claim-Email of the caller",
        "X-Pomerium-Claim-Email",
        FORGED,
    );
    table.beside(
        "identity: the same with underscores",
        "X_Pomerium_Claim_Email",
        FORGED,
    );
    table.beside(
        "identity: X-Pomerium-Jwt-Assertion-For of the caller",
        "X-Pomerium-Jwt-Assertion-For",
        FORGED,
    );
    table.beside(
        "identity: X-Auth-Subject of the caller",
        "X-Auth-Subject",
        FORGED,
    );
    table.beside(
        "identity: the same with underscores, X_Auth_Subject",
        "X_Auth_Subject",
        FORGED,
    );
    table.beside(
        "identity: a twin of the token's header",
        "X_Pomerium_Jwt_Assertion",
        FORGED,
    );
    let good = table.good.clone();
    table.raw(
        "identity: Connection names the token's header",
        &format!(
            "GET /page HTTP/1.1\r\nHost: app-sidecar\r\n\
             Connection: close, {ASSERTION}\r\n{ASSERTION}: {good}\r\n\r\n"
        ),
    );
}

fn messages(table: &mut Table<'_>) {
    let good = table.good.clone();
    table.message("message: HTTP/1.0", "GET /page HTTP/1.0", "\r\n");
    table.raw(
        "message: another Host",
        &format!(
            "GET /page HTTP/1.1\r\nHost: other\r\nConnection: close\r\n{ASSERTION}: {good}\r\n\r\n"
        ),
    );
    table.raw(
        "message: no Host",
        &format!("GET /page HTTP/1.1\r\nConnection: close\r\n{ASSERTION}: {good}\r\n\r\n"),
    );
    table.message(
        "message: two Hosts",
        "GET /page HTTP/1.1",
        "Host: other\r\n\r\n",
    );
    table.message(
        "message: Content-Length and chunks at once",
        "POST /form HTTP/1.1",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    );
    table.message(
        "message: two Content-Lengths",
        "POST /form HTTP/1.1",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    );
    let big = format!("X-Padding: {}\r\n\r\n", "x".repeat(70_000));
    table.message("message: 70 KB of header", "GET /page HTTP/1.1", &big);
    let many = format!("{}\r\n", "X-Field: 1\r\n".repeat(150));
    table.message("message: 150 fields", "GET /page HTTP/1.1", &many);
    for (name, path) in [
        ("path: dot segments", "/open/../page"),
        ("path: encoded dot segments", "/open/%2e%2e/page"),
        ("path: two slashes", "//page"),
        ("path: an encoded slash", "/open%2fpage"),
        ("path: a backslash", "/open\\page"),
        ("path: an encoded NUL", "/page%00"),
        ("path: a whole address", "http://app-sidecar/page"),
    ] {
        table.message(name, &format!("GET {path} HTTP/1.1"), "\r\n");
    }
}

fn peers(table: &mut Table<'_>) {
    table.by("peer: plain HTTP", By::Plain);
    table.by("peer: no client certificate", By::NoCertificate);
    table.by("peer: a certificate of another CA", By::Foreign);
    table.by("peer: another server's certificate", By::Stranger);
    table.by("peer: an expired certificate", By::Expired);
    table.by("peer: a revoked certificate", By::Revoked);
}
