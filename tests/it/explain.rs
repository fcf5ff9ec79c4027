//! `explain`: the gate's own verdict, the check that failed, and what to change.

mod routes;

use std::fmt::Write as _;
use std::time::Duration;

use http::Request;
use rustls::pki_types::CertificateDer;
use serde_json::json;
use sidegate::explain::{Outcome, Question, Report, Verdict, explain};
use sidegate::lab::{self, Issued, SigningKey, TokenSpec, world};
use sidegate::model::Denial::{self, *};
use sidegate::model::{Algorithm, Timestamp};
use sidegate::pem;
use sidegate::settings::{Overrides, Settings};
use sidegate::startup::Judges;
use tempfile::TempDir;

use crate::attacks::world::{ASSERTION, HOST};
use crate::attacks::{World, header_map, rows};
use crate::live_attacks;

use crate::harness::world_at;

/// The attack table's issuers and the lab's certificates, and the judges over both.
struct Desk {
    tokens: World,
    pki: lab::World,
    settings: Settings,
    judges: Judges,
    _folder: TempDir,
}

impl Desk {
    fn set() -> Self {
        let tokens = World::new(Timestamp::now());
        let folder = tempfile::tempdir().unwrap();
        let pki = world_at(folder.path(), tokens.now);
        let base = pki.config("127.0.0.1:0", "off", "127.0.0.1:1");
        let text = live_attacks::config(&base, &tokens);
        let name = folder.path().join("sidegate.toml");
        let (settings, _) =
            Settings::from_text(&text, name.to_str().unwrap(), &Overrides::default())
                .unwrap_or_else(|error| panic!("{error}"));
        let judges = Judges::load(&settings, |_| None).unwrap();
        Self {
            tokens,
            pki,
            settings,
            judges,
            _folder: folder,
        }
    }

    fn ask(&self, chain: &[CertificateDer<'static>], fields: &[(String, String)]) -> Report {
        let mut request = Request::get("/x").body(()).unwrap();
        *request.headers_mut() = header_map(fields);
        let host = http::HeaderValue::from_static("app.example.com");
        request.headers_mut().insert("host", host);
        self.explained(chain, &request)
    }

    fn explained(&self, chain: &[CertificateDer<'static>], request: &Request<()>) -> Report {
        explain(Question {
            settings: &self.settings,
            identity: &self.judges.identity,
            policy: &self.judges.policy.current(),
            judge: &self.judges.judge,
            client_ca: &self.judges.client_ca,
            chain,
            request,
            now: self.tokens.now,
        })
    }

    fn chain(&self, issued: &Issued) -> Vec<CertificateDer<'static>> {
        self.pki.write("asked.crt", &issued.chain_pem).unwrap();
        pem::certificates(&self.pki.folder.join("asked.crt")).unwrap()
    }

    fn front(&self) -> Vec<CertificateDer<'static>> {
        self.chain(&self.pki.front)
    }

    /// The report on a token where the header `place` holds it.
    fn about(&self, place: &str, value: &str) -> Report {
        self.ask(&self.front(), &[(place.to_owned(), value.to_owned())])
    }

    fn pomerium(&self, claims: &TokenSpec) -> Report {
        self.about(ASSERTION, &claims.sign(&self.tokens.pomerium).unwrap())
    }

    fn oidc(&self, claims: &TokenSpec) -> Report {
        let token = claims.sign(self.tokens.oidc_key(Algorithm::Es256)).unwrap();
        self.about("authorization", &format!("Bearer {token}"))
    }
}

/// A report with what it must say.
type Row = (&'static str, Report, Denial, &'static str);

#[test]
fn the_failed_check_and_the_fix_are_named_for_every_kind_of_refused_token() {
    let desk = Desk::set();
    let table: Vec<Row> = [
        places(&desk),
        headers(&desk),
        parties(&desk),
        times(&desk),
        certificates(&desk),
    ]
    .concat();
    assert!(table.len() >= 45, "only {} rows", table.len());
    assert_eq!(wrong(&table), "");
}

/// The rows whose reports do not say what they must.
fn wrong(table: &[Row]) -> String {
    let mut wrong = String::new();
    for (name, report, denial, words) in table {
        let failed = report.failed();
        let fix = failed.map_or("nothing failed", |step| &step.fix);
        println!("{name}: {}: {fix}", denial.code());
        if report.verdict != Verdict::Refused(*denial) || !fix.contains(words) {
            let verdict = report.verdict;
            writeln!(wrong, "{name}: {verdict:?}, {fix:?} lacks {words:?}").unwrap();
        }
    }
    wrong
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn places(desk: &Desk) -> Vec<Row> {
    let token = desk.tokens.good();
    let oidc = desk.tokens.good_oidc();
    let parts: Vec<&str> = token.split('.').collect();
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let none = desk.ask(&desk.front(), &[]);
    let two = [own(ASSERTION, &token), own(ASSERTION, &token)];
    let both = [
        own(ASSERTION, &token),
        own("authorization", &format!("Bearer {oidc}")),
    ];
    let (front, at) = (desk.front(), |value: &str| desk.about(ASSERTION, value));
    vec![
        (
            "no token",
            none,
            TokenMissing,
            "pass_identity_headers: true",
        ),
        (
            "in another header",
            desk.about("x-jwt", &token),
            TokenMissing,
            "write header = \"x-jwt\"",
        ),
        (
            "no scheme",
            desk.about("authorization", &oidc),
            TokenMissing,
            "without the word Bearer",
        ),
        ("empty", at(""), TokenEmpty, "signing_key"),
        (
            "twice",
            desk.ask(&front, &two),
            TokenRepeated,
            "set one, in one place",
        ),
        (
            "in two places",
            desk.ask(&front, &both),
            TokenRepeated,
            "authorization: Bearer",
        ),
        (
            "joined",
            at(&format!("{token},{token}")),
            TokenRepeated,
            "joined by commas",
        ),
        (
            "long",
            at(&format!("{token}{}", "a".repeat(9_000))),
            TokenTooLong,
            "limits.token_bytes to \"",
        ),
        ("opaque", at("b3BhcXVl"), TokenMalformed, "opaque token"),
        (
            "cut",
            at(&parts[..2].join(".")),
            TokenMalformed,
            "signature is missing",
        ),
        (
            "encrypted",
            at(&format!("{}.a.b.c.d", parts[0])),
            TokenMalformed,
            "JWE",
        ),
        (
            "padded",
            at(&format!("{token}==")),
            TokenMalformed,
            "preset = \"aws-alb\"",
        ),
        (
            "base64",
            at(&token.replacen('.', "+.", 1)),
            TokenMalformed,
            "base64url",
        ),
        (
            "quoted",
            at(&format!("\"{token}\"")),
            TokenMalformed,
            "without quotation marks",
        ),
        (
            "wrapped",
            at(&token.replacen('.', ". ", 1)),
            TokenMalformed,
            "cut or wrapped",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn headers(desk: &Desk) -> Vec<Row> {
    let tokens = &desk.tokens;
    let head = |header: &str| desk.about(ASSERTION, &tokens.with_header(header));
    let good = tokens.pomerium_claims();
    let kid = |kid: &str| head(&json!({ "alg": "ES256", "kid": kid }).to_string());
    let print = thumbprint(&tokens.pomerium);
    let altered = {
        let [header, _, signature] =
            crate::attacks::world::parts(&tokens.good()).map(str::to_owned);
        let payload = crate::attacks::world::b64(good.clone().claim("sub", "root").payload());
        format!("{header}.{payload}.{signature}")
    };
    let unlisted = good.sign(&tokens.pomerium_unlisted).unwrap();
    let stranger = good.sign(&tokens.stranger).unwrap();
    let hmac = SigningKey::generate(Algorithm::Hs256, Some("other")).unwrap();
    let spike = tokens.spike_claims().sign(&hmac).unwrap();
    let mismatch = json!({ "alg": "ES256", "kid": "pomerium-rsa" }).to_string();
    let jwk = r#"{"alg":"ES256","kid":"pomerium-1","jwk":{}}"#;
    let crit = r#"{"alg":"ES256","kid":"pomerium-1","crit":["b64"],"b64":false}"#;
    let nobody = tokens
        .oidc_claims()
        .claim("iss", "https://nobody.example.com/");
    let slashless = tokens.oidc_claims().claim("iss", "https://id.example.com");
    vec![
        (
            "own key",
            head(jwk),
            TokenHeaderRefused,
            "brings its own key (jwk)",
        ),
        (
            "crit",
            head(crit),
            TokenHeaderRefused,
            "leave out \"crit\", \"b64\"",
        ),
        (
            "kid a number",
            head(r#"{"alg":"ES256","kid":1}"#),
            TokenHeaderRefused,
            "kid in its header",
        ),
        (
            "alg none",
            head(r#"{"alg":"none"}"#),
            AlgorithmRefused,
            "nobody signed it",
        ),
        (
            "alg not listed",
            desk.about(ASSERTION, &unlisted),
            AlgorithmRefused,
            "write algorithms = [\"ES256\", \"RS256\", \"ES384\"] in [[issuer]] \"pomerium\"",
        ),
        (
            "alg in lower case",
            head(r#"{"alg":"es256"}"#),
            AlgorithmRefused,
            "must write \"ES256\"",
        ),
        (
            "alg symmetric",
            head(r#"{"alg":"HS256"}"#),
            AlgorithmRefused,
            "shared secret",
        ),
        (
            "alg unknown",
            head(r#"{"alg":"XX1"}"#),
            AlgorithmRefused,
            "not known here",
        ),
        ("rotated", kid("pomerium-2"), KeyUnknown, "it was rotated"),
        (
            "kid a thumbprint",
            kid(&print),
            KeyUnknown,
            "is the thumbprint (RFC 7638)",
        ),
        (
            "kid in capitals",
            kid("POMERIUM-1"),
            KeyUnknown,
            "differ in case alone",
        ),
        (
            "kid of another kind",
            head(&mismatch),
            KeyMismatch,
            "not for \"ES256\"",
        ),
        (
            "altered",
            desk.about(ASSERTION, &altered),
            SignatureInvalid,
            "changed or cut",
        ),
        (
            "another key",
            desk.about(ASSERTION, &stranger),
            SignatureInvalid,
            "another private key",
        ),
        (
            "another secret",
            desk.about("x-spike-token", &spike),
            SignatureInvalid,
            "another secret",
        ),
        (
            "for another end",
            head(r#"{"alg":"ES256","typ":"logout+jwt"}"#),
            TokenTypeRefused,
            "\"logout+jwt\"] in [[issuer]] \"pomerium\"",
        ),
        (
            "unknown issuer",
            desk.oidc(&nobody),
            IssuerUnknown,
            "write an [[issuer]] with issuer =",
        ),
        (
            "issuer without its slash",
            desk.oidc(&slashless),
            IssuerUnknown,
            "write issuer = \"https://id.example.com\" there",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn parties(desk: &Desk) -> Vec<Row> {
    let good = || desk.tokens.pomerium_claims();
    let iss = |iss: &str| desk.pomerium(&good().claim("iss", iss));
    let aud = |aud: serde_json::Value| desk.pomerium(&good().claim("aud", aud));
    let uri = format!("https://{HOST}/");
    let foreign = desk
        .tokens
        .foreign_claims()
        .sign(&desk.tokens.foreign)
        .unwrap();
    let oidc_aud = desk.tokens.oidc_claims().claim("aud", "https://other/");
    let azp = desk.tokens.oidc_claims().without("aud").claim("azp", "app");
    vec![
        (
            "Pomerium's uri",
            iss(&uri),
            IssuerMismatch,
            "Pomerium's jwt_issuer_format is uri, so write issuer = \"https://app.example.com/\"",
        ),
        (
            "iss in capitals",
            iss("APP.EXAMPLE.COM"),
            IssuerMismatch,
            "differ in case alone",
        ),
        (
            "iss with a slash",
            iss("app.example.com/"),
            IssuerMismatch,
            "slash at the end",
        ),
        (
            "iss of another",
            iss("other.example.com"),
            IssuerMismatch,
            "another issuer's",
        ),
        (
            "no iss",
            desk.pomerium(&good().without("iss")),
            IssuerMismatch,
            "the token has none",
        ),
        (
            "aud of another route",
            aud(json!("other.example.com")),
            AudienceMismatch,
            "Pomerium's aud is the host of the route",
        ),
        (
            "aud a uri",
            aud(json!(uri)),
            AudienceMismatch,
            "write audience = [\"app.example.com\", \"https://app.example.com/\"]",
        ),
        (
            "aud joined",
            aud(json!(format!("a,{HOST}"))),
            AudienceMismatch,
            "write an array",
        ),
        (
            "no aud but azp",
            desk.oidc(&azp),
            AudienceMismatch,
            "azp or client_id \"app\"",
        ),
        (
            "aud of another service",
            desk.oidc(&oidc_aud),
            AudienceMismatch,
            "for another service",
        ),
        (
            "aud a number",
            aud(json!(1)),
            ClaimsMalformed,
            "aud must be a text",
        ),
        (
            "sub a number",
            desk.pomerium(&good().claim("sub", 7)),
            ClaimsMalformed,
            "sub must be a text",
        ),
        (
            "empty sub",
            desk.pomerium(&good().claim("sub", "")),
            SubjectMissing,
            "allow_public_unauthenticated_access",
        ),
        (
            "no sub",
            desk.oidc(&desk.tokens.oidc_claims().without("sub")),
            SubjectMissing,
            "allow_empty_subject = true in [[issuer]] \"oidc\"",
        ),
        (
            "bound to another certificate",
            desk.pomerium(&good().claim("cnf", json!({ "x5t#S256": "A".repeat(43) }))),
            SenderMismatch,
            "another certificate than",
        ),
        (
            "bound to a key",
            desk.pomerium(&good().claim("cnf", json!({ "jkt": "x" }))),
            SenderUnsupported,
            "only x5t#S256 alone",
        ),
        (
            "the wrong peer",
            desk.about("x-foreign-assertion", &foreign),
            IssuerNotForPeer,
            "\"pinned\", \"foreign\"] in its [[peer]]",
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn times(desk: &Desk) -> Vec<Row> {
    let now = desk.tokens.now;
    let good = || desk.tokens.pomerium_claims();
    let ago = |seconds: u64| Timestamp::from_unix(now.unix() - seconds);
    let later = |seconds: u64| now.plus(Duration::from_secs(seconds));
    let minutes = |from, count: u64| good().lives(from, Duration::from_secs(60 * count));
    let oidc = desk.tokens.oidc_claims();
    let exp = |value: serde_json::Value| desk.pomerium(&good().claim("exp", value));
    let milliseconds = json!(now.unix() * 1000);
    vec![
        (
            "exp in milliseconds",
            exp(milliseconds),
            ClaimsMalformed,
            "milliseconds",
        ),
        (
            "exp a text",
            exp(json!("soon")),
            ClaimsMalformed,
            "a number of seconds",
        ),
        (
            "no exp",
            desk.pomerium(&good().without("exp")),
            ExpiryMissing,
            "good for ever",
        ),
        (
            "just ended",
            desk.pomerium(&minutes(ago(360), 5)),
            TokenExpired,
            "leeway = \"61s\" would have let it pass",
        ),
        (
            "ended long ago",
            desk.pomerium(&minutes(ago(7_200), 5)),
            TokenExpired,
            "Pomerium signs anew for each request",
        ),
        (
            "ended long ago, elsewhere",
            desk.oidc(&oidc.clone().lives(ago(7_200), Duration::from_secs(300))),
            TokenExpired,
            "refresh it before exp",
        ),
        (
            "a clock ahead",
            desk.pomerium(&minutes(later(90), 5)),
            TokenIssuedInFuture,
            "write leeway = \"90s\"",
        ),
        (
            "for tomorrow",
            desk.oidc(&oidc.clone().claim("nbf", later(40_000).unix())),
            TokenNotYetValid,
            "means it for later",
        ),
        (
            "a long life",
            desk.oidc(&oidc.clone().lives(now, Duration::from_secs(86_400))),
            LifetimeTooLong,
            "write max_lifetime = \"24h\" in [[issuer]] \"oidc\"",
        ),
        (
            "a long life without iat",
            desk.oidc(&oidc.lives(now, Duration::from_secs(86_400)).without("iat")),
            LifetimeTooLong,
            "no iat",
        ),
    ]
}

fn certificates(desk: &Desk) -> Vec<Row> {
    let field = [(ASSERTION.to_owned(), desk.tokens.good())];
    let with = |issued: &Issued| desk.ask(&desk.chain(issued), &field);
    let server = with(&desk.pki.server);
    vec![
        (
            "no certificate",
            desk.ask(&[], &field),
            CertificateMissing,
            "tls_client_cert_file",
        ),
        (
            "a stranger",
            with(&desk.pki.stranger),
            PeerNotListed,
            "write uri = [\"spiffe://test.example/stranger\"]",
        ),
        (
            "another CA",
            with(&desk.pki.foreign),
            CertificateUntrusted,
            "with another key",
        ),
        (
            "expired",
            with(&desk.pki.expired),
            CertificateExpired,
            "renew it",
        ),
        (
            "revoked",
            with(&desk.pki.revoked),
            CertificateRevoked,
            "is on a list in",
        ),
        ("a server's", server, CertificateInvalid, "clientAuth"),
    ]
}

fn thumbprint(key: &SigningKey) -> String {
    use base64::Engine as _;
    let jwk = key.jwk().unwrap();
    let text = |name: &str| jwk[name].as_str().unwrap();
    let canonical = format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
        text("x"),
        text("y")
    );
    let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(print)
}

#[test]
fn the_verdict_is_the_gates_over_the_whole_attack_table() {
    let desk = Desk::set();
    let front = desk.front();
    let mut wrong = String::new();
    for row in rows(&desk.tokens) {
        let report = desk.ask(&front, &row.headers);
        let failed = report.failed();
        let told = failed.is_some_and(|step| !step.fix.is_empty());
        if report.verdict != Verdict::Refused(row.denial) || !told {
            writeln!(wrong, "{}: {:?}", row.name, report.verdict).unwrap();
        }
    }
    assert_eq!(wrong, "");
    for (name, fields) in desk.tokens.good_requests() {
        let report = desk.ask(&front, &fields);
        assert_eq!(report.verdict, Verdict::Allowed, "{name}");
        let all = report.steps.iter();
        assert!(
            all.clone().all(|step| step.outcome == Outcome::Passed),
            "{name}"
        );
    }
}

#[test]
fn no_report_holds_a_whole_token_or_its_signature() {
    let desk = Desk::set();
    let front = desk.front();
    for row in rows(&desk.tokens) {
        let text = desk.ask(&front, &row.headers).json().to_string();
        for (_, value) in &row.headers {
            let signature = value.rsplit('.').next().unwrap();
            assert!(
                value.len() < 32 || !text.contains(value.as_str()),
                "{}",
                row.name
            );
            assert!(
                signature.len() < 32 || !text.contains(signature),
                "{}",
                row.name
            );
        }
    }
}

#[test]
fn what_nobody_signed_is_called_unverified() {
    let desk = Desk::set();
    let stranger = desk.tokens.pomerium_claims().sign(&desk.tokens.stranger);
    let report = desk.about(ASSERTION, &stranger.unwrap());
    let subject = report.steps.iter().find(|step| step.check.code() == "sub");
    assert_eq!(subject.unwrap().found, "\"user-7\" (unverified)");
    let expired = desk.tokens.pomerium_claims().claim("exp", 1);
    let report = desk.pomerium(&expired);
    let subject = report.steps.iter().find(|step| step.check.code() == "sub");
    assert_eq!(subject.unwrap().found, "\"user-7\"");
    let exp = report.failed().unwrap();
    assert!(
        exp.found.contains("1 (1970-01-01T00:00:01Z, "),
        "{}",
        exp.found
    );
    assert_eq!(report.peer.as_deref(), Some("front"));
    assert_eq!(world::FRONT, "spiffe://test.example/front");
}
