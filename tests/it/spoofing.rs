//! The spoofing corpus: whatever a caller writes under the names that only the gate may set, in
//! whatever spelling and place, a service that folds names sees what was verified and nothing else.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use sidegate::lab::Http;

use crate::harness::plain::Chunks;
use crate::harness::street::behind;
use crate::harness::{Town, bearer, get, peer, raw, seen_header};

/// What only the gate may set here, and what only the issuer's proxy sets.
const OURS: [&str; 10] = [
    "X-Auth-Subject",
    "X-Auth-Email",
    "X-Auth-Groups",
    "X-Auth-Claims",
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
    "X-Partner-Claim-Role",
    "X-Partner-Claim-",
    "X-Partner-Assertion",
];

/// Everything that the gate can tell.
fn telling(config: String) -> String {
    config.replacen(
        "[identity.headers]",
        "[identity]\nclaims_header = \"X-Auth-Claims\"\nclient_cert = [\"client-cert\", \"xfcc\"]\n\n\
         [identity.headers]",
        1,
    )
}

/// The spellings of a name that some server takes for the name.
fn spellings(name: &str) -> BTreeSet<String> {
    let dashes: Vec<usize> = name.match_indices('-').map(|(at, _)| at).collect();
    let mut all = BTreeSet::from([name.to_owned(), name.to_lowercase(), name.to_uppercase()]);
    for other in ['_', '.', '~', '!', '+', '|'] {
        all.insert(name.replace('-', &other.to_string()));
        // Every mixture of dashes and this character.
        for mask in 1..1_u32 << dashes.len() {
            let mut text: Vec<char> = name.to_lowercase().chars().collect();
            for (bit, at) in dashes.iter().enumerate() {
                if mask & (1 << bit) != 0 {
                    text[*at] = other;
                }
            }
            all.insert(text.into_iter().collect());
        }
    }
    all
}

/// Fields in requests of fifty: the gate takes a hundred.
fn corpus() -> Vec<Vec<String>> {
    let all: Vec<String> = OURS
        .iter()
        .flat_map(|name| spellings(name))
        // Under its own name a second token is refused, and the request with it.
        .filter(|name| !name.eq_ignore_ascii_case("x-partner-assertion"))
        .collect();
    assert!(all.len() > 300, "{}", all.len());
    all.chunks(50).map(<[String]>::to_vec).collect()
}

async fn wsgi() -> Option<(Town, peer::Service)> {
    let service = peer::wsgi().await?;
    let town = behind(&service, telling).await;
    Some((town, service))
}

/// What the application may see of identity: exactly what was verified.
fn assert_only_ours(town: &Town, environ: &Value) {
    let text = environ.to_string();
    assert!(!text.contains("spoofed"), "{environ:#}");
    let variables = environ.as_object().unwrap();
    let told: BTreeSet<&str> = variables
        .keys()
        .map(String::as_str)
        .filter(|name| name.contains("AUTH") || name.contains("CERT") || name.contains("PARTNER"))
        .collect();
    let wanted = [
        "HTTP_X_AUTH_SUBJECT",
        "HTTP_X_AUTH_EMAIL",
        "HTTP_X_AUTH_GROUPS",
        "HTTP_X_AUTH_CLAIMS",
        "HTTP_CLIENT_CERT",
        "HTTP_X_FORWARDED_CLIENT_CERT",
    ];
    assert_eq!(told, BTreeSet::from(wanted), "{environ:#}");
    assert_eq!(environ["HTTP_X_AUTH_SUBJECT"], "ada");
    assert_eq!(environ["HTTP_X_AUTH_EMAIL"], "ada@example.com");
    assert_eq!(environ["HTTP_X_AUTH_GROUPS"], "engineers,readers");

    let claims = environ["HTTP_X_AUTH_CLAIMS"].as_str().unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let signed: Value = serde_json::from_str(&town.world.token().payload()).unwrap();
    assert_eq!(claims, signed);

    let der = &town.world.front.der;
    let certificate = format!(":{}:", STANDARD.encode(der));
    assert_eq!(environ["HTTP_CLIENT_CERT"], certificate);
    let hop = environ["HTTP_X_FORWARDED_CLIENT_CERT"].as_str().unwrap();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert!(
        hop.starts_with(&format!(
            "Hash={hash};Cert=\"-----BEGIN%20CERTIFICATE-----%0A"
        )),
        "{hop}"
    );
    assert!(
        hop.contains(";Subject=\"") && hop.ends_with(";URI=spiffe://test.example/front"),
        "{hop}"
    );
}

#[tokio::test]
async fn no_spelling_of_an_identity_header_reaches_an_application_that_folds_names() {
    let Some((town, _service)) = wsgi().await else {
        return;
    };
    let token = bearer(&town.token());
    for names in corpus() {
        let mut text = format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\n");
        for name in &names {
            text.push_str(&format!("{name}: spoofed\r\n"));
        }
        text.push_str("x-innocent: comes through\r\nconnection: close\r\n\r\n");
        let answer = raw(&town, &text).await;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let environ: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        assert_only_ours(&town, &environ);
        assert_eq!(environ["HTTP_X_INNOCENT"], "comes through");

        // HTTP/2 has lower case alone; each twice, once before and once behind.
        let lower: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let mut fields = Vec::new();
        for name in lower.iter().take(25).chain(lower.iter().take(25)) {
            fields.push((name.as_str(), "spoofed"));
        }
        fields.extend([("authorization", &*token), ("x-innocent", "comes through")]);
        for name in lower.iter().skip(25) {
            fields.push((name, "spoofed"));
        }
        let answer = town
            .front(Http::Two)
            .call(town.gate.address, get("/", &fields))
            .await
            .unwrap();
        let environ: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_only_ours(&town, &environ);
        assert_eq!(environ["HTTP_X_INNOCENT"], "comes through");
    }
}

/// The other way to lie: to have the truth removed.
#[tokio::test]
async fn naming_ours_in_connection_takes_nothing_of_ours_away() {
    let Some((town, _service)) = wsgi().await else {
        return;
    };
    let token = bearer(&town.token());
    for named in [
        OURS.join(", "),
        OURS.join(",").replace('-', "_"),
        "close, *".to_owned(),
    ] {
        let text = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\nconnection: close\r\n\
             connection: {named}\r\nx-auth-subject: spoofed\r\n\r\n"
        );
        let answer = raw(&town, &text).await;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let environ: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"));
        assert_only_ours(&town, &environ);
    }
}

#[tokio::test]
async fn what_is_not_in_the_token_is_not_there_whatever_the_caller_says() {
    let Some((town, _service)) = wsgi().await else {
        return;
    };
    let bare = town.world.token().without("email").without("groups");
    let token = bearer(&bare.sign(&town.world.key).unwrap());
    let fields = [
        ("authorization", &*token),
        ("x-auth-email", "spoofed"),
        ("x_auth_groups", "spoofed"),
    ];
    let answer = town
        .front(Http::Two)
        .call(town.gate.address, get("/", &fields))
        .await
        .unwrap();
    let environ: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(environ["HTTP_X_AUTH_SUBJECT"], "ada");
    for gone in ["HTTP_X_AUTH_EMAIL", "HTTP_X_AUTH_GROUPS"] {
        assert!(environ.get(gone).is_none(), "{environ:#}");
    }
}

/// Servers that know trailers often put them among the headers.
#[tokio::test]
async fn no_spelling_of_an_identity_header_comes_through_as_a_trailer() {
    let Some(service) = peer::legacy(None).await else {
        return;
    };
    let town = behind(&service, telling).await;
    let token = bearer(&town.token());
    for names in corpus() {
        let mut text = format!(
            "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\ntrailer: x-checksum, {}\r\n\r\n5\r\nhello\r\n0\r\n",
            names.join(", ")
        );
        for name in &names {
            text.push_str(&format!("{name}: spoofed\r\n"));
        }
        text.push_str("x-checksum: 7\r\n\r\n");
        let answer = raw(&town, &text).await;
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        assert_only_the_checksum(body);

        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", "7".parse().unwrap());
        for name in &names {
            let name: http::HeaderName = name.to_lowercase().parse().unwrap();
            trailers.append(name, "spoofed".parse().unwrap());
        }
        let answer = over_http2(&town, &token, trailers).await;
        assert_eq!(answer.status(), 200);
        assert_only_the_checksum(&String::from_utf8(answer.into_body()).unwrap());
    }
}

#[tokio::test]
async fn a_token_that_comes_as_a_trailer_goes_no_further() {
    let town = Town::with(telling).await;
    let token = bearer(&town.token());
    let names = [
        "authorization",
        "x-partner-assertion",
        "x_partner_assertion",
        "cookie",
        "x-forwarded-for",
        "x-forwarded-host",
        "forwarded",
        "host",
    ];
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "7".parse().unwrap());
    for name in names {
        trailers.append(name, "spoofed".parse().unwrap());
    }
    let answer = over_http2(&town, &token, trailers).await;
    assert_only_the_checksum(&String::from_utf8(answer.into_body()).unwrap());
}

/// Of all trailers, the innocent one alone has come through.
fn assert_only_the_checksum(body: &str) {
    let seen: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}"));
    assert_eq!(
        seen["trailers"].to_string(),
        r#"[["x-checksum","7"]]"#,
        "{seen:#}"
    );
}

async fn over_http2(town: &Town, token: &str, trailers: HeaderMap) -> Response<Vec<u8>> {
    let tls = town
        .front(Http::Two)
        .connect(town.gate.address)
        .await
        .unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls))
        .await
        .unwrap();
    tokio::spawn(connection);
    // Over HTTP/1.1 only trailers that were announced are passed on.
    let names: Vec<&str> = trailers.keys().map(http::HeaderName::as_str).collect();
    let request = Request::post("https://legacy.test/")
        .header("authorization", token)
        .header("trailer", names.join(", "));
    let body = Chunks::new(&[b"hello"], Some(trailers));
    let answer = sender
        .send_request(request.body(body).unwrap())
        .await
        .unwrap();
    let (head, body) = answer.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes().to_vec())
}

// === What is told ===

#[tokio::test]
async fn only_the_claims_that_are_named_are_in_the_header_of_claims() {
    let town = Town::with(|config| {
        let only = "claims_header = \"X-Auth-Claims\"\nclaims = [\"sub\", \"groups\", \"nothing\"]";
        telling(config).replacen("claims_header = \"X-Auth-Claims\"", only, 1)
    })
    .await;
    let token = bearer(&town.token());
    let front = town.front(Http::One);
    let answer = front.call(town.gate.address, get("/", &[("authorization", &token)]));
    let told = seen_header(&answer.await.unwrap(), "x-auth-claims");
    let json = URL_SAFE_NO_PAD.decode(&told[0]).unwrap();
    let want = br#"{"groups":["engineers","readers"],"sub":"ada"}"#;
    assert_eq!(json, want, "{told:?}");
}

#[tokio::test]
async fn claims_too_large_for_a_header_are_refused_and_never_cut() {
    let roomy = |config| telling(config) + "\n[limits]\ntoken_bytes = \"16KiB\"\n";
    let town = Town::with(roomy).await;
    let large = town.world.token().claim("note", "x".repeat(6_200));
    let token = bearer(&large.sign(&town.world.key).unwrap());
    let front = town.front(Http::Two);
    let answer = front
        .call(town.gate.address, get("/", &[("authorization", &token)]))
        .await
        .unwrap();
    assert_eq!(answer.status(), 403, "{answer:?}");
    assert_eq!(town.refused("identity_unforwardable"), 1);
    assert_eq!(town.echo.served(), 0);
}
