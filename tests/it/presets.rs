//! Each preset against tokens as its system makes them, through a live gate; and against the traps
//! that each of these systems is known for.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sidegate::lab::{Http, SigningKey};
use sidegate::model::{Algorithm, Denial};
use tempfile::TempDir;

use crate::attacks::rsa::rsa;
use crate::harness::counters::Refusals;
use crate::harness::{Town, bearer, get, seen, seen_header};

/// A gate whose one issuer, `main`, is written as in the test, and the key that signs for it.
struct Stand {
    town: Town,
    key: SigningKey,
    refusals: RefCell<Refusals>,
    _keys: TempDir,
}

/// What the gate did with a request.
#[derive(Debug, PartialEq)]
enum Got {
    /// Passed on; this is `x-auth-subject`, where there is one.
    Passed(Option<String>),
    Refused(u16, &'static str),
}

impl Stand {
    async fn new(issuer: &str, algorithm: Algorithm, kid: Option<&str>) -> Self {
        let key = if algorithm == Algorithm::Rs256 {
            rsa("preset", algorithm, kid)
        } else {
            SigningKey::generate(algorithm, kid).unwrap()
        };
        let (member, text) = if algorithm.is_symmetric() {
            ("secret", key.secret().unwrap().to_vec())
        } else {
            ("file", SigningKey::jwks(&[&key]).unwrap().into_bytes())
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys");
        std::fs::write(&file, text).unwrap();
        let keys = format!("{member} = \"{}\"", file.display());
        let town = Town::with(|config| {
            let start = config.find("[[issuer]]\nname = \"main\"").unwrap();
            let end = start + config[start + 1..].find("[[issuer]]").unwrap() + 1;
            let issuer = format!("[[issuer]]\nname = \"main\"\n{issuer}\nkeys = {{ {keys} }}\n\n");
            format!("{}{issuer}{}", &config[..start], &config[end..])
        })
        .await;
        Self {
            refusals: RefCell::new(Refusals::watch(&town.gate.metrics)),
            town,
            key,
            _keys: folder,
        }
    }

    /// Now, in seconds.
    fn now(&self) -> u64 {
        self.town.world.now.unix()
    }

    /// A token of these claims under an honest header.
    fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.key.header(), claims)
    }

    fn sign_as(&self, header: &str, claims: &Value) -> String {
        self.key
            .sign(header, claims.to_string().as_bytes())
            .unwrap()
    }

    async fn send(&self, fields: &[(&str, &str)]) -> Got {
        let caller = self.town.front(Http::Two);
        let answer = caller
            .call(self.town.gate.address, get("/", fields))
            .await
            .unwrap();
        if answer.status() == 200 {
            let text = seen(&answer)["headers"].to_string();
            assert!(
                !text.contains("unsigned"),
                "a companion came through: {text}"
            );
            return Got::Passed(seen_header(&answer, "x-auth-subject").pop());
        }
        let counted = self.refusals.borrow_mut().new_ones(&self.town.gate.metrics);
        assert_eq!(counted.len(), 1, "{counted:?}");
        let denial = Denial::ALL
            .iter()
            .find(|denial| denial.code() == counted[0]);
        Got::Refused(answer.status().as_u16(), denial.unwrap().code())
    }

    /// Passes in `header`, with the system's unsigned companions beside it.
    async fn passes(&self, header: &str, token: &str, companions: &[&str], subject: &str) {
        let mut fields = vec![(header, token)];
        fields.extend(companions.iter().map(|name| (*name, "unsigned")));
        let got = self.send(&fields).await;
        assert_eq!(got, Got::Passed(Some(subject.to_owned())));
    }

    async fn refuses(&self, header: &str, token: &str, code: &'static str) {
        assert_eq!(
            self.send(&[(header, token)]).await,
            Got::Refused(401, code),
            "{token}"
        );
    }
}

/// `claims` with one member more, or another value for it; null takes it away.
fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims.clone();
    claims[name] = value.into();
    claims
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    claims
}

// === Pomerium ===

const POMERIUM: &str = "x-pomerium-jwt-assertion";
const POMERIUM_COMPANIONS: [&str; 4] = [
    "x-pomerium-claim-email",
    "x-pomerium-claim-groups",
    "x_pomerium_claim_email",
    "x-pomerium-jwt-assertion-for",
];

/// As `pomerium/config/envoyconfig` and its evaluator write them: five minutes, a `jti` for each
/// request, `aud` a plain string, no `nbf`.
fn pomerium_claims(now: u64, issuer: &str) -> Value {
    json!({
        "iss": issuer, "aud": "api.example.com", "iat": now, "exp": now + 300,
        "jti": "0c6b7c4e-4a80-4a3b-9a57-9d3b0a3a6f55", "sub": "google/117", "user": "google/117",
        "email": "ann@example.com", "name": "Ann", "sid": "7cd1c8d6-1111-4a33-9a80-0a6d3f0e7f0c",
        "groups": ["00g1", "admins"], "resource_access.app.roles": "reader,writer",
    })
}

async fn pomerium(issuer: &str) -> Stand {
    let text =
        format!("preset = \"pomerium\"\nissuer = \"{issuer}\"\naudience = [\"api.example.com\"]");
    // The thumbprint in hex.
    let kid = "5f1d3a0e8a7b4c2d9e6f00112233445566778899aabbccddeeff001122334455";
    Stand::new(&text, Algorithm::Es256, Some(kid)).await
}

#[tokio::test]
async fn pomerium_assertions_pass_and_its_companions_do_not() {
    let stand = pomerium("api.example.com").await;
    let claims = pomerium_claims(stand.now(), "api.example.com");
    let token = stand.sign(&claims);
    stand
        .passes(POMERIUM, &token, &POMERIUM_COMPANIONS, "google/117")
        .await;
}

#[tokio::test]
async fn pomerium_traps_are_refused_for_their_reasons() {
    let stand = pomerium("api.example.com").await;
    let claims = pomerium_claims(stand.now(), "api.example.com");
    // A public route signs for nobody.
    let nobody = with(&claims, "sub", "");
    stand
        .refuses(POMERIUM, &stand.sign(&nobody), "subject_missing")
        .await;
    // Signing failed: the header is there and empty.
    stand.refuses(POMERIUM, "", "token_empty").await;
    // The route's format is `uri`, and the policy has the host alone.
    for issuer in ["https://api.example.com/", "https://api.example.com"] {
        let other = with(&claims, "iss", issuer);
        stand
            .refuses(POMERIUM, &stand.sign(&other), "issuer_mismatch")
            .await;
    }
    let other_route = with(&claims, "aud", "admin.example.com");
    stand
        .refuses(POMERIUM, &stand.sign(&other_route), "audience_mismatch")
        .await;
    // What the caller had sent as an assertion comes back under this name.
    let token = stand.sign(&claims);
    let got = stand
        .send(&[("x-pomerium-jwt-assertion-for", &token)])
        .await;
    assert_eq!(got, Got::Refused(401, "token_missing"));
    let header = stand.key.header().replace("\"JWT\"", "\"at+jwt\"");
    stand
        .refuses(
            POMERIUM,
            &stand.sign_as(&header, &claims),
            "token_type_refused",
        )
        .await;
}

#[tokio::test]
async fn pomerium_with_the_issuer_format_uri_has_a_slash_at_its_end() {
    let stand = pomerium("https://api.example.com/").await;
    let claims = pomerium_claims(stand.now(), "https://api.example.com/");
    stand
        .passes(POMERIUM, &stand.sign(&claims), &[], "google/117")
        .await;
    for issuer in ["api.example.com", "https://api.example.com"] {
        let other = with(&claims, "iss", issuer);
        stand
            .refuses(POMERIUM, &stand.sign(&other), "issuer_mismatch")
            .await;
    }
}

// === Cloudflare Access ===

const CLOUDFLARE: &str = "cf-access-jwt-assertion";
const TAG: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";

fn cloudflare_claims(now: u64) -> Value {
    json!({
        "aud": [TAG], "email": "ann@example.com", "exp": now + 24 * 3600, "iat": now, "nbf": now,
        "iss": "https://team.cloudflareaccess.com", "type": "app", "identity_nonce": "6ei69kaw",
        "sub": "7335d417-61da-459d-899c-0a01c76a2f94", "country": "DE",
    })
}

async fn cloudflare(more: &str) -> Stand {
    let text = format!(
        "preset = \"cloudflare-access\"\nissuer = \"https://team.cloudflareaccess.com\"\n\
         audience = [\"{TAG}\"]\n{more}"
    );
    Stand::new(&text, Algorithm::Rs256, Some("9338abe1baf2fe49")).await
}

#[tokio::test]
async fn cloudflare_tokens_of_people_pass_for_a_whole_session() {
    let stand = cloudflare("").await;
    let claims = cloudflare_claims(stand.now());
    let companions = ["cf-access-authenticated-user-email"];
    let subject = claims["sub"].as_str().unwrap();
    stand
        .passes(CLOUDFLARE, &stand.sign(&claims), &companions, subject)
        .await;
    let month = with(&claims, "exp", stand.now() + 30 * 24 * 3600);
    stand
        .refuses(CLOUDFLARE, &stand.sign(&month), "lifetime_too_long")
        .await;
    let other_team = with(&claims, "iss", "https://evil.cloudflareaccess.com");
    stand
        .refuses(CLOUDFLARE, &stand.sign(&other_team), "issuer_mismatch")
        .await;
    let other_application = with(&claims, "aud", json!([TAG.replace('3', "4")]));
    stand
        .refuses(
            CLOUDFLARE,
            &stand.sign(&other_application),
            "audience_mismatch",
        )
        .await;
}

#[tokio::test]
async fn cloudflare_service_tokens_have_no_subject_and_pass_only_where_that_is_allowed() {
    let service = |now: u64| {
        json!({
            "aud": [TAG], "exp": now + 3600, "iat": now, "iss": "https://team.cloudflareaccess.com",
            "type": "app", "common_name": "e367826f93b8d71185e03fe518aff3b4.access", "sub": "",
        })
    };
    let strict = cloudflare("").await;
    let token = strict.sign(&service(strict.now()));
    strict.refuses(CLOUDFLARE, &token, "subject_missing").await;
    let open = cloudflare("allow_empty_subject = true").await;
    let token = open.sign(&service(open.now()));
    let got = open.send(&[(CLOUDFLARE, &token)]).await;
    assert_eq!(got, Got::Passed(Some(String::new())));
}

// === Google IAP ===

const IAP: &str = "x-goog-iap-jwt-assertion";
const BACKEND: &str = "/projects/1234567890/global/backendServices/987654321";

#[tokio::test]
async fn google_iap_assertions_pass_and_its_traps_do_not() {
    let text = format!("preset = \"google-iap\"\naudience = [\"{BACKEND}\"]");
    let stand = Stand::new(&text, Algorithm::Es256, Some("0oeLcQ")).await;
    let now = stand.now();
    let claims = json!({
        "iss": "https://cloud.google.com/iap", "aud": BACKEND, "iat": now - 30, "exp": now + 570,
        "sub": "accounts.google.com:118133858486581853996", "email": "ann@example.com",
        "hd": "example.com", "google": { "access_levels": ["accessPolicies/1/accessLevels/a"] },
    });
    let companions = [
        "x-goog-authenticated-user-email",
        "x-goog-authenticated-user-id",
        "x_goog_authenticated_user_email",
    ];
    let subject = claims["sub"].as_str().unwrap();
    stand
        .passes(IAP, &stand.sign(&claims), &companions, subject)
        .await;
    let longer = with(&claims, "exp", now + 571);
    stand
        .refuses(IAP, &stand.sign(&longer), "lifetime_too_long")
        .await;
    let other = with(&claims, "aud", BACKEND.replace("987", "988"));
    stand
        .refuses(IAP, &stand.sign(&other), "audience_mismatch")
        .await;
    // Google's health checks carry no token.
    assert_eq!(stand.send(&[]).await, Got::Refused(401, "token_missing"));
}

// === AWS Application Load Balancer ===

const ALB: &str = "x-amzn-oidc-data";
const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc6c";
const ALB_KID: &str = "0b5f8a0c-6a55-4f53-9c3a-2b6c33b1d1aa";

async fn alb() -> Stand {
    let text = format!(
        "preset = \"aws-alb\"\nissuer = \"https://idp.example.com\"\naudience = [\"client-7\"]\n\
         signer = [\"{ARN}\"]"
    );
    Stand::new(&text, Algorithm::Es256, Some(ALB_KID)).await
}

fn alb_header(now: u64) -> Value {
    json!({
        "typ": "JWT", "kid": ALB_KID, "alg": "ES256", "iss": "https://idp.example.com",
        "client": "client-7", "signer": ARN, "exp": now + 120,
    })
}

/// Signed as a load balancer does: every part with its padding, and the padding signed too.
fn alb_token(stand: &Stand, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = stand.key.signature(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE.encode(signature))
}

#[tokio::test]
async fn a_load_balancers_padded_token_passes_with_its_claims_in_the_header() {
    let stand = alb().await;
    let now = stand.now();
    let header = alb_header(now);
    let companions = ["x-amzn-oidc-identity", "x-amzn-oidc-accesstoken"];
    let mut padded = 0;
    // Every length of padding, in the header and in the payload.
    for name in ["a", "an", "ann", "anna"] {
        let claims = json!({ "sub": name, "email": "ann@example.com" });
        let header = with(&header, "x", name);
        let token = alb_token(&stand, &header, &claims);
        padded += usize::from(token.contains('='));
        stand.passes(ALB, &token, &companions, name).await;
        // They say it twice, too.
        let twice = with(
            &with(&claims, "iss", "https://idp.example.com"),
            "exp",
            now + 120,
        );
        let token = alb_token(&stand, &header, &twice);
        stand.passes(ALB, &token, &companions, name).await;
    }
    assert_eq!(padded, 4);
}

/// AWS signs for all its customers with the same keys: this is the one check that matters.
#[tokio::test]
async fn a_load_balancer_of_somebody_else_is_refused() {
    let stand = alb().await;
    let header = alb_header(stand.now());
    let claims = json!({ "sub": "ann" });
    for signer in [
        Value::Null,
        json!(ARN.replace("123456789012", "210987654321")),
        json!(format!("{ARN}0")),
        json!(ARN[..ARN.len() - 1]),
        json!(ARN.to_uppercase()),
        json!([ARN]),
        json!(""),
    ] {
        let token = alb_token(&stand, &with(&header, "signer", signer), &claims);
        stand.refuses(ALB, &token, "signer_refused").await;
    }
}

#[tokio::test]
async fn what_a_load_balancers_header_says_is_judged() {
    let stand = alb().await;
    let now = stand.now();
    let header = alb_header(now);
    let claims = json!({ "sub": "ann" });
    let whole = with(
        &with(&claims, "iss", "https://idp.example.com"),
        "exp",
        now + 120,
    );
    for (member, value, code) in [
        ("iss", json!("https://evil.example.com"), "issuer_mismatch"),
        ("client", json!("client-8"), "audience_mismatch"),
        ("client", Value::Null, "audience_mismatch"),
        ("exp", json!(now - 3600), "token_expired"),
        ("exp", Value::Null, "expiry_missing"),
        ("exp", json!(now + 3600), "lifetime_too_long"),
        ("iss", Value::Null, "issuer_mismatch"),
        ("exp", json!("soon"), "claims_malformed"),
    ] {
        let token = alb_token(&stand, &with(&header, member, value), &claims);
        stand.refuses(ALB, &token, code).await;
    }
    // The payload's word alone does not count, and its contradiction is one.
    let silent = with(&header, "iss", Value::Null);
    let token = alb_token(&stand, &silent, &whole);
    stand.refuses(ALB, &token, "issuer_mismatch").await;
    let other = with(&whole, "iss", "https://other.example.com");
    let token = alb_token(&stand, &header, &other);
    stand.refuses(ALB, &token, "claims_malformed").await;
    let earlier = with(&whole, "exp", now - 3600);
    let token = alb_token(&stand, &header, &earlier);
    stand.refuses(ALB, &token, "token_expired").await;
    let kid = with(&header, "kid", "../other");
    stand
        .refuses(ALB, &alb_token(&stand, &kid, &claims), "key_unknown")
        .await;
}

#[tokio::test]
async fn padding_is_for_load_balancers_alone() {
    let stand = alb().await;
    let header = alb_header(stand.now());
    let good = alb_token(&stand, &with(&header, "x", "ab"), &json!({ "sub": "anna" }));
    let parts: Vec<&str> = good.split('.').collect();
    let [head, payload, signature] = parts.as_slice() else {
        panic!("{good}")
    };
    let bare = |part: &str| part.trim_end_matches('=').to_owned();
    assert!(signature.ends_with("==") && head.ends_with('='), "{good}");
    for token in [
        format!("{head}.{payload}.{}", bare(signature)),
        format!("{}.{payload}.{signature}", bare(head)),
        format!("{head}.{payload}.{signature}="),
        format!("{head}=.{payload}.{signature}"),
        format!("{head}.={payload}.{signature}"),
        format!("{head}.{payload}.{signature}===="),
        format!("{head}.{payload}.===="),
    ] {
        stand.refuses(ALB, &token, "token_malformed").await;
    }
    // The signature is over the text with its padding.
    let stripped = format!("{}.{}.{}", bare(head), bare(payload), bare(signature));
    stand.refuses(ALB, &stripped, "signature_invalid").await;
    stand.passes(ALB, &good, &[], "anna").await;

    let plain = pomerium("api.example.com").await;
    let claims = pomerium_claims(plain.now(), "api.example.com").to_string();
    let signed = format!(
        "{}.{}",
        URL_SAFE.encode(plain.key.header()),
        URL_SAFE.encode(claims)
    );
    let signature = plain.key.signature(signed.as_bytes()).unwrap();
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&signature));
    plain
        .refuses(POMERIUM, &format!("{token}=="), "token_malformed")
        .await;
}

/// Where both are looked for in one header, the issuer still decides.
#[tokio::test]
async fn padding_beside_a_load_balancer_is_for_the_load_balancer_alone() {
    let town = Town::with(|config| {
        let alb =
            format!("preset = \"aws-alb\"\nsigner = [\"{ARN}\"]\nalgorithms = [\"ES256\"]\nkeys");
        config
            .replacen("algorithms = [\"ES256\", \"RS256\"]\nkeys", &alb, 1)
            .replacen("X-Partner-Assertion", "X-Amzn-Oidc-Data", 1)
            .replacen(
                "issuers = [\"main\"]",
                "issuers = [\"main\", \"partner\"]",
                1,
            )
    })
    .await;
    let world = &town.world;
    let part = |text: &str| URL_SAFE.encode(text);
    let padded = |key: &SigningKey, header: &str, payload: &str| {
        let signed = format!("{}.{}", part(header), part(payload));
        let signature = URL_SAFE.encode(key.signature(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    };
    let header = json!({
        "alg": "ES256", "kid": "current", "signer": ARN, "iss": sidegate::lab::world::ISSUER,
        "client": sidegate::lab::world::AUDIENCE, "exp": world.now.unix() + 120,
    });
    let partner = &world.partner_key;
    let claims = world.partner_token();
    let plain = claims.sign(partner).unwrap();
    let spelled = padded(partner, &partner.header(), &claims.payload());
    assert!(spelled.ends_with("=="), "{spelled}");
    for (token, status) in [
        (
            padded(&world.key, &header.to_string(), r#"{"sub":"ann"}"#),
            200,
        ),
        (plain, 200),
        (spelled, 401),
    ] {
        let front = town.front(Http::Two);
        let answer = front.call(town.gate.address, get("/", &[(ALB, &token)]));
        assert_eq!(answer.await.unwrap().status(), status, "{token}");
    }
    assert_eq!(town.refused("token_malformed"), 1);
}

// === oauth2-proxy and OpenID Connect ===

const CLAIMS_OF_OIDC: &str = "issuer = \"https://idp.example.com\"\naudience = [\"client-7\"]";

fn oidc_claims(now: u64) -> Value {
    json!({
        "iss": "https://idp.example.com", "aud": ["client-7", "account"], "sub": "f:1:ann",
        "iat": now, "exp": now + 3600, "azp": "client-7", "email": "ann@example.com",
    })
}

#[tokio::test]
async fn oauth2_proxys_id_tokens_pass_and_what_it_says_of_the_session_does_not() {
    let text = format!("preset = \"oauth2-proxy\"\n{CLAIMS_OF_OIDC}");
    let stand = Stand::new(&text, Algorithm::Rs256, Some("k1")).await;
    let claims = oidc_claims(stand.now());
    let companions = [
        "x-forwarded-user",
        "x-forwarded-email",
        "x-forwarded-groups",
        "x-forwarded-preferred-username",
        "x-forwarded-access-token",
        "x-auth-request-user",
        "x-auth-request-access-token",
        "x_forwarded_user",
    ];
    let token = bearer(&stand.sign(&claims));
    stand
        .passes("authorization", &token, &companions, "f:1:ann")
        .await;
    let logout = stand.key.header().replace("\"JWT\"", "\"logout+jwt\"");
    let token = bearer(&stand.sign_as(&logout, &claims));
    stand
        .refuses("authorization", &token, "token_type_refused")
        .await;
}

#[tokio::test]
async fn oauth2_proxys_other_header_is_written_as_such() {
    let text = format!(
        "preset = \"oauth2-proxy\"\nheader = \"X-Forwarded-Access-Token\"\n{CLAIMS_OF_OIDC}"
    );
    let stand = Stand::new(&text, Algorithm::Rs256, Some("k1")).await;
    let token = stand.sign(&oidc_claims(stand.now()));
    stand
        .passes(
            "x-forwarded-access-token",
            &token,
            &["x-forwarded-user"],
            "f:1:ann",
        )
        .await;
    let got = stand.send(&[("authorization", &bearer(&token))]).await;
    assert_eq!(got, Got::Refused(401, "token_missing"));

    // Where the service is to see the token, it is no companion of itself.
    let stand = Stand::new(&format!("{text}\nforward = true"), Algorithm::Rs256, None).await;
    let token = stand.sign(&oidc_claims(stand.now()));
    let fields = [
        ("x-forwarded-access-token", &*token),
        ("x_forwarded_access_token", "unsigned"),
        ("x-forwarded-user", "unsigned"),
    ];
    let front = stand.town.front(Http::Two);
    let answer = front.call(stand.town.gate.address, get("/", &fields)).await;
    let answer = answer.unwrap();
    assert_eq!(seen_header(&answer, "x-forwarded-access-token"), [token]);
    let text = seen(&answer)["headers"].to_string();
    assert!(!text.contains("unsigned"), "{text}");
}

#[tokio::test]
async fn access_tokens_of_every_usual_type_pass() {
    let stand = Stand::new(
        &format!("preset = \"oidc\"\n{CLAIMS_OF_OIDC}"),
        Algorithm::Rs256,
        Some("k1"),
    )
    .await;
    let claims = oidc_claims(stand.now());
    for typ in [
        r#""at+jwt""#,
        r#""JWT""#,
        r#""application/AT+JWT""#,
        r#""jwt""#,
    ] {
        let header = format!(r#"{{"alg":"RS256","kid":"k1","typ":{typ}}}"#);
        let token = bearer(&stand.sign_as(&header, &claims));
        stand.passes("authorization", &token, &[], "f:1:ann").await;
    }
    let token = bearer(&stand.sign_as(r#"{"alg":"RS256","kid":"k1"}"#, &claims));
    stand.passes("authorization", &token, &[], "f:1:ann").await;
}

/// RFC 8725 3.11: the same issuer signs other things for other ends.
#[tokio::test]
async fn a_token_of_another_kind_is_refused() {
    let text = format!("preset = \"oidc\"\ntyp = [\"at+jwt\"]\n{CLAIMS_OF_OIDC}");
    let stand = Stand::new(&text, Algorithm::Rs256, Some("k1")).await;
    let claims = oidc_claims(stand.now());
    let header = r#"{"alg":"RS256","kid":"k1","typ":"application/at+jwt"}"#;
    let token = bearer(&stand.sign_as(header, &claims));
    stand.passes("authorization", &token, &[], "f:1:ann").await;
    for typ in [
        "JWT",
        "",
        "at+jwt;a=b",
        "xat+jwt",
        "logout+jwt",
        "dpop+jwt",
        "absent",
    ] {
        let header = json!({ "alg": "RS256", "kid": "k1", "typ": typ }).to_string();
        let token = bearer(&stand.sign_as(&header, &claims));
        stand
            .refuses("authorization", &token, "token_type_refused")
            .await;
    }
    let token = bearer(&stand.sign_as(r#"{"alg":"RS256","kid":"k1"}"#, &claims));
    stand
        .refuses("authorization", &token, "token_type_refused")
        .await;
}

// === SPIFFE JWT-SVID ===

#[tokio::test]
async fn jwt_svids_pass_with_and_without_an_issuer() {
    let text = "preset = \"jwt-svid\"\ntrust_domain = \"prod.example\"\naudience = [\"reports\"]";
    let stand = Stand::new(text, Algorithm::Es256, Some("svid-1")).await;
    let now = stand.now();
    let id = "spiffe://prod.example/ns/web/sa/front";
    // As SPIRE writes them: an array, and iat.
    let claims = json!({ "sub": id, "aud": ["reports"], "exp": now + 300, "iat": now });
    let named = with(&claims, "iss", "https://oidc.prod.example");
    for claims in [&claims, &named] {
        let token = bearer(&stand.sign(claims));
        stand.passes("authorization", &token, &[], id).await;
    }
    let jose = stand.key.header().replace("\"JWT\"", "\"JOSE\"");
    let token = bearer(&stand.sign_as(&jose, &claims));
    stand.passes("authorization", &token, &[], id).await;
    for (claims, code) in [
        (with(&claims, "aud", Value::Null), "audience_mismatch"),
        (with(&claims, "aud", json!(["other"])), "audience_mismatch"),
        (with(&claims, "exp", Value::Null), "expiry_missing"),
        (with(&claims, "sub", Value::Null), "subject_missing"),
    ] {
        let token = bearer(&stand.sign(&claims));
        stand.refuses("authorization", &token, code).await;
    }
}

#[tokio::test]
async fn a_workload_of_another_trust_domain_is_refused() {
    let text = "preset = \"jwt-svid\"\ntrust_domain = \"prod.example\"\naudience = [\"reports\"]\n\
                allow_empty_subject = true";
    let stand = Stand::new(text, Algorithm::Es256, Some("svid-1")).await;
    let now = stand.now();
    let claims = json!({ "aud": ["reports"], "exp": now + 300, "iat": now });
    for id in [
        "spiffe://dev.example/ns/web",
        "spiffe://prod.example.evil/ns/web",
        "spiffe://prod.example",
        "spiffe://prod.example/ns//web",
        "spiffe://prod.example/ns/../web",
        "spiffe://PROD.example/ns/web",
        "https://prod.example/ns/web",
        "ann",
    ] {
        let token = bearer(&stand.sign(&with(&claims, "sub", id)));
        stand
            .refuses("authorization", &token, "subject_refused")
            .await;
    }
    // Nor does anything else written make a nobody a workload.
    for id in [Value::Null, json!("")] {
        let token = bearer(&stand.sign(&with(&claims, "sub", id)));
        stand
            .refuses("authorization", &token, "subject_missing")
            .await;
    }
}

/// A JWT-SVID and another's access token in one header: each is judged by its own keys.
#[tokio::test]
async fn a_trust_domain_shares_its_header_with_an_issuer() {
    let town = Town::with(|config| {
        let start = config.find("issuer = \"https://partner.test/\"").unwrap();
        let (before, partner) = config.split_at(start);
        let partner = partner
            .replacen(
                "issuer = \"https://partner.test/\"",
                "trust_domain = \"prod.example\"",
                1,
            )
            .replacen("header = \"X-Partner-Assertion\"\n", "", 1);
        let both = before.replacen(
            "issuers = [\"main\"]",
            "issuers = [\"main\", \"partner\"]",
            1,
        );
        both + &partner
    })
    .await;
    let world = &town.world;
    let svid = world
        .token()
        .claim("sub", "spiffe://prod.example/ns/web")
        .without("iss");
    let foreign = svid.clone().claim("sub", "spiffe://dev.example/ns/web");
    let named = svid.clone().claim("iss", "https://oidc.prod.example");
    // The whole `iss` of another issuer says more than a trust domain.
    let claimed = svid.clone().claim("iss", sidegate::lab::world::ISSUER);
    let stranger = svid.clone().claim("sub", "ann");
    for (claims, key, want) in [
        (&world.token(), &world.key, Ok("ada")),
        (
            &svid,
            &world.partner_key,
            Ok("spiffe://prod.example/ns/web"),
        ),
        (
            &named,
            &world.partner_key,
            Ok("spiffe://prod.example/ns/web"),
        ),
        (&svid, &world.key, Err("algorithm_refused")),
        (&foreign, &world.partner_key, Err("issuer_unknown")),
        (&stranger, &world.partner_key, Err("issuer_unknown")),
        (&claimed, &world.partner_key, Err("algorithm_refused")),
        (&claimed, &world.key, Ok("spiffe://prod.example/ns/web")),
    ] {
        let token = bearer(&claims.sign(key).unwrap());
        let before = want.err().map(|code| town.refused(code));
        let front = town.front(Http::One);
        let answer = front.call(town.gate.address, get("/", &[("authorization", &token)]));
        let answer = answer.await.unwrap();
        match want {
            Ok(subject) => assert_eq!(seen_header(&answer, "x-auth-subject"), [subject]),
            Err(code) => {
                assert_eq!(answer.status(), 401, "{code}");
                assert_eq!(town.refused(code), before.unwrap() + 1, "{code}");
            }
        }
    }
}

// === SPIKE ===

#[tokio::test]
async fn spikes_tokens_pass_with_a_key_file_and_its_traps_do_not() {
    let stand = Stand::new("preset = \"spike\"", Algorithm::Hs256, None).await;
    let now = stand.now();
    let claims = json!({
        "adminTokenId": "spike-admin-jwt", "iss": "spike-nexus", "sub": "spike-admin",
        "iat": now, "nbf": now, "exp": now + 24 * 3600,
    });
    let token = bearer(&stand.sign(&claims));
    stand
        .passes("authorization", &token, &[], "spike-admin")
        .await;
    // Its own sample asks only whether the algorithm is an HMAC.
    for (claims, code) in [
        (with(&claims, "iss", "other"), "issuer_mismatch"),
        (with(&claims, "aud", "somebody-else"), "audience_mismatch"),
        (with(&claims, "aud", json!([])), "audience_mismatch"),
        (with(&claims, "exp", now - 60), "token_expired"),
        (with(&claims, "exp", Value::Null), "expiry_missing"),
    ] {
        let token = bearer(&stand.sign(&claims));
        stand.refuses("authorization", &token, code).await;
    }
    for alg in ["HS384", "none", "ES256"] {
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#);
        let token = bearer(&stand.sign_as(&header, &claims));
        stand
            .refuses("authorization", &token, "algorithm_refused")
            .await;
    }
}
