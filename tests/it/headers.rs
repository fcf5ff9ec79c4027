//! What the upstream is told: only what was verified, whatever the caller wrote beside it.

use sidegate::lab::Http;

use crate::harness::{Town, bearer, get, raw, request, seen, seen_header};

const BOTH: [Http; 2] = [Http::One, Http::Two];

#[tokio::test]
async fn the_body_of_a_get_that_does_not_say_its_length_arrives() {
    let town = Town::start().await;
    let text = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        bearer(&town.token())
    );
    let answer = raw(&town, &text).await;
    assert!(answer.contains("\"body_bytes\": 5"), "{answer}");
}

#[tokio::test]
async fn identity_headers_of_the_caller_never_reach_the_upstream() {
    let town = Town::start().await;
    let token = bearer(&town.token());
    for http in BOTH {
        let spoofed = get(
            "/",
            &[
                ("authorization", &token),
                ("x-auth-subject", "admin"),
                ("x-auth-subject", "root"),
                ("x_auth_subject", "admin"),
                ("x-auth_email", "admin@example.com"),
                ("x-partner-claim-role", "admin"),
                ("x_partner_claim_role", "admin"),
                ("client-cert", ":AAAA:"),
                ("x-forwarded-client-cert", "URI=spiffe://test.example/admin"),
                ("x-harmless", "stays"),
            ],
        );
        let answer = town
            .front(http)
            .call(town.gate.address, spoofed)
            .await
            .unwrap();
        assert_eq!(seen_header(&answer, "x-auth-subject"), ["ada"]);
        assert_eq!(seen_header(&answer, "x-auth-email"), ["ada@example.com"]);
        assert_eq!(seen_header(&answer, "x-harmless"), ["stays"]);
        let text = seen(&answer)["headers"].to_string();
        for word in ["admin", "root", "AAAA"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[tokio::test]
async fn a_claim_that_is_not_there_leaves_no_header_and_not_the_callers_either() {
    let town = Town::start().await;
    let token = town
        .world
        .token()
        .without("email")
        .sign(&town.world.key)
        .unwrap();
    let fields = [
        ("authorization", &*bearer(&token)),
        ("x-auth-email", "admin@example.com"),
    ];
    let answer = town
        .front(Http::One)
        .call(town.gate.address, get("/", &fields))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(seen_header(&answer, "x-auth-email").is_empty());
}

#[tokio::test]
async fn a_field_named_by_connection_is_removed_before_ours_are_set() {
    let town = Town::start().await;
    let token = bearer(&town.token());
    let fields = [
        ("authorization", &*token),
        (
            "connection",
            "x-auth-subject, x-auth-email, x-other, x-forwarded-for, via",
        ),
        ("x-other", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
    ];
    let answer = town
        .front(Http::One)
        .call(town.gate.address, get("/", &fields))
        .await
        .unwrap();
    assert_eq!(seen_header(&answer, "x-auth-subject"), ["ada"]);
    assert_eq!(seen_header(&answer, "via"), ["1.1 sidegate"]);
    for gone in ["x-other", "keep-alive", "proxy-connection", "connection"] {
        assert!(seen_header(&answer, gone).is_empty(), "{gone}");
    }
}

#[tokio::test]
async fn an_identity_header_sent_as_a_trailer_is_removed() {
    let town = Town::start().await;
    let text = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\
         trailer: x-auth-subject, x-checksum\r\nconnection: close\r\n\r\n\
         5\r\nhello\r\n0\r\nx-auth-subject: admin\r\nx_auth_subject: admin\r\nx-checksum: 7\r\n\r\n",
        bearer(&town.token())
    );
    let answer = raw(&town, &text).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("x-checksum"),
        "other trailers go through: {answer}"
    );
    assert!(!answer.contains("admin"), "{answer}");
}

#[tokio::test]
async fn an_upgrade_to_anything_but_websocket_is_not_passed_on() {
    let town = Town::start().await;
    for upgrade in ["h2c", "websocket, h2c", "TLS/1.0", "connect-ip"] {
        let text = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\nconnection: upgrade, http2-settings, close\r\n\
             upgrade: {upgrade}\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
            bearer(&town.token())
        );
        let answer = raw(&town, &text).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{upgrade}: {answer}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap();
        assert!(
            !body.contains("upgrade") && !body.contains("http2-settings"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_marks_of_a_gateway_are_added_to_the_peers_own() {
    let town = Town::start().await;
    let token = bearer(&town.token());
    let plain = get("/", &[("authorization", &token)]);
    let answer = town
        .front(Http::One)
        .call(town.gate.address, plain)
        .await
        .unwrap();
    assert_eq!(seen_header(&answer, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen_header(&answer, "x-forwarded-proto"), ["https"]);
    assert_eq!(seen_header(&answer, "x-forwarded-host"), ["legacy.test"]);
    assert_eq!(seen_header(&answer, "x-request-id").len(), 1);

    let fields = [
        ("authorization", &*token),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "public.example"),
        ("via", "2 edge"),
        ("x-request-id", "abc-1"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let answer = town
        .front(Http::Two)
        .call(town.gate.address, get("/", &fields))
        .await
        .unwrap();
    assert_eq!(
        seen_header(&answer, "x-forwarded-for"),
        ["203.0.113.7, 10.0.0.1, 127.0.0.1"]
    );
    assert_eq!(seen_header(&answer, "x-forwarded-proto"), ["http"]);
    assert_eq!(seen_header(&answer, "x-forwarded-host"), ["public.example"]);
    assert_eq!(seen_header(&answer, "via"), ["2 edge, 2 sidegate"]);
    assert_eq!(seen_header(&answer, "x-request-id"), ["abc-1"]);
    assert_eq!(seen_header(&answer, "traceparent").len(), 1);
}

#[tokio::test]
async fn the_token_goes_on_only_where_the_issuer_says_so() {
    let forwarding = Town::with(|config| {
        config.replacen("name = \"main\"\n", "name = \"main\"\nforward = true\n", 1)
    })
    .await;
    let token = bearer(&forwarding.token());
    let good = get("/", &[("authorization", &token)]);
    let answer = forwarding
        .front(Http::One)
        .call(forwarding.gate.address, good)
        .await
        .unwrap();
    assert_eq!(seen_header(&answer, "authorization"), [token]);
}

#[tokio::test]
async fn basic_credentials_for_the_application_are_no_token_and_go_on() {
    let town = Town::start().await;
    let token = town
        .world
        .partner_token()
        .sign(&town.world.partner_key)
        .unwrap();
    let fields = [
        ("x-partner-assertion", &*token),
        ("authorization", "Basic dTpw"),
    ];
    let caller = town.caller(Some(&town.world.partner), Http::One);
    let answer = caller
        .call(town.gate.address, get("/", &fields))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(seen_header(&answer, "x-auth-subject"), ["grace"]);
    assert!(seen_header(&answer, "x-partner-assertion").is_empty());
    assert_eq!(seen_header(&answer, "authorization"), ["Basic dTpw"]);
}

#[tokio::test]
async fn a_good_token_over_the_wrong_peer_is_refused_although_both_halves_are_good() {
    let town = Town::start().await;
    let token = town
        .world
        .partner_token()
        .sign(&town.world.partner_key)
        .unwrap();
    let fields = [("x-partner-assertion", &*token)];
    for http in BOTH {
        let answer = town
            .front(http)
            .call(town.gate.address, get("/", &fields))
            .await
            .unwrap();
        assert_eq!(answer.status(), 403);
    }
    assert_eq!(town.refused("issuer_not_for_peer"), 2);
    assert_eq!(town.echo.served(), 0);
}

#[tokio::test]
async fn a_refusal_is_marked_generic_and_carries_the_id_that_finds_its_line() {
    let town = Town::start().await;
    let fields = [
        ("accept", "application/json"),
        ("x-request-id", "find-me-7"),
    ];
    let answer = town
        .front(Http::One)
        .call(town.gate.address, get("/", &fields))
        .await
        .unwrap();
    assert_eq!(answer.status(), 401);
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(header("www-authenticate"), Some("Bearer"));
    assert_eq!(header("content-type"), Some("application/problem+json"));
    assert_eq!(header("x-request-id"), Some("find-me-7"));
    assert_eq!(
        header("proxy-status"),
        Some("sidegate; error=http_request_denied")
    );
    let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(
        (&problem["status"], &problem["request_id"]),
        (&401.into(), &"find-me-7".into())
    );
    let post = request("POST", "/", &[("authorization", "Bearer a.b.c")], "body");
    let answer = town
        .front(Http::Two)
        .call(town.gate.address, post)
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\""
    );
}
