//! HTTP through real front proxies: nginx, HAProxy and Envoy, speaking HTTP/1.1 and HTTP/2 to the
//! gate, with a plain Python service behind it.

use aws_lc_rs::digest::{SHA256, digest};
use http::HeaderMap;
use http_body_util::Full;
use serde_json::Value;

use crate::harness::peer::{self, Front};
use crate::harness::plain::{self, Answer, Chunks};
use crate::harness::street::{Street, behind, through_every_front};
use crate::harness::{bearer, eventually, get, request};

through_every_front! {
    a_good_token_goes_through_and_the_service_learns_who_calls
    what_a_caller_says_of_itself_never_arrives
    without_a_good_token_the_gate_answers_401
    a_body_arrives_as_it_was_sent
    an_answer_in_chunks_arrives_whole
    answers_without_a_body_have_none
    trailers_arrive_where_the_front_proxy_keeps_them
    a_front_proxy_of_a_foreign_ca_gets_nothing_through
}

async fn a_good_token_goes_through_and_the_service_learns_who_calls(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let fields = [
        ("authorization", &*street.pass()),
        ("via", "1.0 fred"),
        ("x-forwarded-for", "192.0.2.7"),
    ];
    let answer = plain::call(street.front.http, get("/path/a%2Fb?q=1&r=%20", &fields)).await;
    assert_eq!(answer.head.status(), 200, "{answer:?}");
    assert_eq!(answer.json()["path"], "/path/a%2Fb?q=1&r=%20");
    assert_eq!(answer.received("host"), ["legacy.test"]);
    assert_eq!(answer.received("x-auth-subject"), ["ada"]);
    assert_eq!(answer.received("x-auth-email"), ["ada@example.com"]);
    assert_eq!(answer.received("x-auth-groups"), ["engineers,readers"]);
    assert_eq!(answer.received("authorization"), NONE);
    assert_eq!(answer.received("x-request-id").len(), 1);

    let proxied = match front {
        Front::HaproxyH2 | Front::EnvoyH2 => "2 sidegate",
        Front::Nginx | Front::HaproxyH1 | Front::EnvoyH1 => "1.1 sidegate",
    };
    let via = answer.received("via");
    assert!(
        via.len() == 1 && via[0].starts_with("1.0 fred, "),
        "{via:?}"
    );
    assert!(via[0].ends_with(proxied), "{via:?}");
    let way = answer.received("x-forwarded-for");
    let hops: Vec<&str> = way
        .iter()
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    assert!(hops.len() == 3 && way.len() == 1, "{way:?}");
    assert_eq!((hops[0], hops[2]), ("192.0.2.7", "127.0.0.1"));
}

async fn what_a_caller_says_of_itself_never_arrives(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let fields = [
        ("authorization", &*street.pass()),
        ("x-auth-subject", "root"),
        ("X_Auth_Subject", "root"),
        ("x-auth_groups", "root"),
        ("x-partner-claim-role", "root"),
        ("x-forwarded-client-cert", "root"),
        ("x-innocent", "root-beer"),
    ];
    let answer = plain::call(street.front.http, get("/", &fields)).await;
    assert_eq!(answer.head.status(), 200, "{answer:?}");
    let seen = answer.json();
    for folded in ["headers", "environ"] {
        assert!(!seen[folded].to_string().contains("\"root\""), "{seen:#}");
    }
    assert_eq!(seen["environ"]["HTTP_X_AUTH_SUBJECT"], "ada");
    assert_eq!(answer.received("x-innocent"), ["root-beer"]);
}

async fn without_a_good_token_the_gate_answers_401(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let other_key = &street.town.world.partner_key;
    let forged = bearer(&street.town.world.token().sign(other_key).unwrap());
    for fields in [&[][..], &[("authorization", &*forged)]] {
        let answer = plain::call(street.front.http, get("/", fields)).await;
        assert_eq!(answer.head.status(), 401, "{answer:?}");
        let said = answer.header("proxy-status");
        assert_eq!(said, "sidegate; error=http_request_denied");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        let with_body = request("POST", "/", fields, &"x".repeat(100_000));
        let answer = plain::call(street.front.http, with_body).await;
        assert_eq!(answer.head.status(), 401, "{answer:?}");
    }
    nothing_arrived(&street.service.upstream).await;
}

async fn a_body_arrives_as_it_was_sent(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let pass = street.pass();
    let fields = [("authorization", &*pass)];
    let whole = "sixteen letters!".repeat(60_000);
    let answer = plain::call(street.front.http, request("POST", "/", &fields, &whole)).await;
    assert_arrived(&answer, whole.as_bytes());

    let chunks: [&'static [u8]; 3] = [b"one", &[b'2'; 100_000], b"three"];
    let head = http::Request::post("/").header("authorization", &pass);
    let chunked = head.body(Chunks::new(&chunks, None)).unwrap();
    let answer = plain::call(street.front.http, chunked).await;
    assert_arrived(&answer, &chunks.concat());
}

async fn an_answer_in_chunks_arrives_whole(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let pass = street.pass();
    let fields = [("authorization", &*pass)];
    let answer = plain::call(street.front.http, get("/chunked", &fields)).await;
    assert_eq!(answer.json()["path"], "/chunked");
    let answer = plain::call(street.front.http, get("/bytes/3000000", &fields)).await;
    assert_eq!(answer.body.len(), 3_000_000);
    let answer = plain::call(street.front.http, get("/close", &fields)).await;
    assert_eq!(answer.json()["path"], "/close");
}

async fn answers_without_a_body_have_none(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let pass = street.pass();
    let fields = [("authorization", &*pass)];
    for (method, path, status) in [
        ("HEAD", "/bytes/1000", 200),
        ("HEAD", "/chunked", 200),
        ("GET", "/status/204", 204),
        ("GET", "/status/304", 304),
        ("HEAD", "/status/304", 304),
        ("GET", "/bytes/0", 200),
    ] {
        let answer = plain::call(street.front.http, request(method, path, &fields, "")).await;
        assert_eq!(answer.head.status(), status, "{method} {path}: {answer:?}");
        assert_eq!(answer.body, "", "{method} {path}");
        if path == "/bytes/1000" {
            assert_eq!(answer.header("content-length"), "1000", "{answer:?}");
        }
    }
}

async fn trailers_arrive_where_the_front_proxy_keeps_them(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    trailers.insert("x-auth-subject", "root".parse().unwrap());
    let head = http::Request::post("/trailers")
        .header("authorization", street.pass())
        .header("te", "trailers")
        .header("trailer", "x-sum, x-auth-subject");
    let body = Chunks::new(&[b"one", b"two"], Some(trailers));
    let answer = plain::call(street.front.http, head.body(body).unwrap()).await;
    assert_arrived(&answer, b"onetwo");
    let seen = answer.json()["trailers"].to_string();
    if front == Front::Nginx {
        assert_eq!((&*seen, answer.trailers.len()), ("[]", 0));
        return;
    }
    assert_eq!(seen.to_lowercase(), r#"[["x-sum","42"]]"#);
    assert_eq!(answer.trailers["x-done"], "yes");
}

async fn a_front_proxy_of_a_foreign_ca_gets_nothing_through(front: Front) {
    let Some(service) = peer::legacy(None).await else {
        return;
    };
    let town = behind(&service, |config| config).await;
    let gate = town.gate.address.port();
    let Some(proxy) = front.start(&town.world, &town.world.foreign, gate).await else {
        return;
    };
    let pass = bearer(&town.token());
    for _ in 0..3 {
        let answer = plain::call(proxy.http, get("/", &[("authorization", &pass)])).await;
        let status = answer.head.status();
        assert!(status == 502 || status == 503, "{answer:?}");
    }
    eventually("the refusal is counted", || {
        town.refused("certificate_untrusted") > 0
    })
    .await;
    nothing_arrived(&service.upstream).await;
}

const NONE: [&str; 0] = [];

async fn street(front: Front) -> Option<Street> {
    Street::build(front, peer::legacy(None).await?).await
}

fn assert_arrived(answer: &Answer, body: &[u8]) {
    assert_eq!(answer.head.status(), 200, "{answer:?}");
    let seen = answer.json();
    let sum: String = digest(&SHA256, body)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        (&seen["length"], &seen["sha256"]),
        (&Value::from(body.len()), &Value::from(sum))
    );
}

/// `legacy.py` counts its connections: ours must be the first.
async fn nothing_arrived(upstream: &str) {
    let port = upstream.rsplit(':').next().unwrap().parse().unwrap();
    let request = http::Request::get("/").body(Full::default()).unwrap();
    let answer = plain::call(port, request).await;
    assert_eq!(answer.json()["connection"], 1);
}
