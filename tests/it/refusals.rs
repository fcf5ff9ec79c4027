//! `/status` finds a refusal by the request id that the caller was told.

use serde_json::Value;
use sidegate::lab::Http;

use crate::harness::{Town, bearer, eventually_so, get, status_page};

#[tokio::test]
async fn a_refusal_is_found_on_the_status_page_by_its_request_id() {
    let town = Town::start().await;
    let expired = town
        .world
        .token()
        .claim("exp", 1)
        .claim("email", "ada@secret.test");
    let expired = expired.sign(&town.world.key).unwrap();
    let fields = [
        ("x-request-id", "find-me"),
        ("authorization", &*bearer(&expired)),
    ];
    let front = town.front(Http::Two);
    let mut line = front.open(town.gate.address).await.unwrap();
    let answer = line.send(get("/orders?key=hush", &fields)).await.unwrap();
    assert_eq!(answer.status(), 401);
    let good = bearer(&town.token());
    let fields = [("x-request-id", "good"), ("authorization", &*good)];
    assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);

    let page = status_page(&town).await;
    let refusals = page["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), 1, "an allowed request is none: {page}");
    let refusal = &refusals[0];
    for (member, value) in [
        ("id", "find-me"),
        ("decision", "refused"),
        ("reason", "token_expired"),
        ("stage", "claims"),
        ("peer", "front"),
        ("issuer", "main"),
        ("kid", "current"),
        ("method", "GET"),
        ("path", "/orders"),
    ] {
        assert_eq!(refusal[member], value, "{member}");
    }
    assert!(refusal["at"].as_u64().unwrap() >= town.world.now.unix());
    let text = page.to_string();
    for secret in ["hush", "secret.test", &expired[..40]] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn a_connection_refused_in_the_handshake_is_on_the_status_page() {
    let town = Town::start().await;
    let stranger = town.caller(Some(&town.world.stranger), Http::One);
    let request = get("/", &[]);
    assert!(stranger.call(town.gate.address, request).await.is_err());
    // Counted after the alert is out.
    let mut page = Value::Null;
    eventually_so("the refusal is on the page", async || {
        page = status_page(&town).await;
        page["refused_connections"] != Value::Array(Vec::new())
    })
    .await;
    let refusal = &page["refused_connections"][0];
    assert_eq!(refusal["reason"], "peer_not_listed");
    assert_eq!(refusal["certificate"], "spiffe://test.example/stranger");
    assert_eq!(refusal["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(page["refusals"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn the_status_page_writes_addresses_as_the_configuration_does() {
    let town = Town::start().await;
    let page = status_page(&town).await;
    assert_eq!(
        page["facts"]["upstream"],
        town.echo.address.to_string(),
        "{page}"
    );
}
