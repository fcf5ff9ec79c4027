//! Tokens that name a key which is not there: a rotation that nobody announced, and a stranger who
//! makes names up.
//!
//! `MADE_UP_KIDS` sets another size of the flood than 10,000: 100,000 for the figure that is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use sidegate::lab::{Caller, TokenSpec, world};
use sidegate::model::Timestamp;
use tokio::task::JoinSet;

use super::*;
use crate::harness::{process, service};

#[tokio::test]
async fn a_rotation_that_nobody_announced_costs_one_fetch_and_no_caller() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let jwks = SigningKey::jwks(&[&plan.world.key]).unwrap();
    server.act(Act::Say(ok(&jwks)));
    let town = plan
        .tuned(&server.jwks(), |pace| {
            pace.patience = Duration::from_secs(30);
            pace.whole = Duration::from_secs(30);
        })
        .await;
    ready(&town).await;
    let new = key("brand-new");
    let rotated = ok(&SigningKey::jwks(&[&new]).unwrap());
    server.act(Act::After(1_500, rotated));
    let town = Arc::new(town);
    let token = town.world.token().sign(&new).unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let (town, token) = (Arc::clone(&town), token.clone());
        callers.spawn(async move { status(&town, &token).await });
    }
    assert_eq!(callers.join_all().await, [200; 50]);
    assert_eq!(server.asked(), 2, "one at the start, one for all of them");
    assert_eq!((asked(&town, "found"), asked(&town, "unknown")), (50, 0));
}

#[tokio::test]
async fn a_kid_that_a_fetch_did_not_bring_causes_no_other() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let town = plan
        .tuned(&server.jwks(), |pace| pace.cooldown = Duration::ZERO)
        .await;
    ready(&town).await;
    let token = town.world.token().sign(&key("nowhere")).unwrap();
    for _ in 0..20 {
        assert_eq!(status(&town, &token).await, 401);
    }
    assert_eq!((server.asked(), asked(&town, "remembered")), (2, 19));
    // Another one does, and within a cooldown none would.
    let token = town.world.token().sign(&key("elsewhere")).unwrap();
    assert_eq!(status(&town, &token).await, 401);
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn an_unknown_kid_does_not_undo_the_back_off_of_a_failing_server() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let town = plan
        .tuned(&server.jwks(), |pace| {
            pace.cooldown = Duration::ZERO;
            pace.first_retry = Duration::from_secs(3_600);
            pace.last_retry = Duration::from_secs(3_600);
        })
        .await;
    ready(&town).await;
    server.act(Act::Say(say("500 Internal Server Error", &[], "")));
    for name in ["one", "two", "three"] {
        let token = town.world.token().sign(&key(name)).unwrap();
        assert_eq!(status(&town, &token).await, 401);
    }
    assert_eq!(
        server.asked(),
        2,
        "one at the start, one for the first name"
    );
    assert_eq!((asked(&town, "failed"), asked(&town, "cooldown")), (1, 2));
}

#[tokio::test]
async fn a_request_waits_only_so_long_and_only_so_many_wait() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let town = plan
        .tuned(&server.jwks(), |pace| {
            pace.whole = Duration::from_secs(300);
            pace.patience = Duration::from_millis(2_500);
        })
        .await;
    ready(&town).await;
    server.act(Act::Hang);
    let town = Arc::new(town);
    let token = town.world.token().sign(&key("nowhere")).unwrap();
    let mut callers = JoinSet::new();
    for _ in 0..150 {
        let (town, token) = (Arc::clone(&town), token.clone());
        callers.spawn(async move { status(&town, &token).await });
    }
    assert_eq!(callers.join_all().await, [401; 150]);
    assert_eq!(server.asked(), 2);
    assert!(asked(&town, "slow") >= 1);
    assert_eq!(asked(&town, "slow") + asked(&town, "crowded"), 150);
    // Keys that are there wait for nobody.
    assert_eq!(status(&town, &town.token()).await, 200);
}

#[tokio::test]
async fn a_peer_has_no_keys_fetched_that_are_none_of_its_business() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let town = plan.start(&server.jwks()).await;
    ready(&town).await;
    let token = town.world.token().sign(&key("nowhere")).unwrap();
    let call = get("/", &[("authorization", &bearer(&token))]);
    let partner = town.caller(Some(&town.world.partner), Http::One);
    let answer = partner.call(town.gate.address, call).await.unwrap();
    assert_eq!((answer.status().as_u16(), server.asked()), (401, 1));
    assert_eq!(status(&town, &token).await, 401);
    assert_eq!(server.asked(), 2, "its own peer may");
}

const CONNECTIONS: usize = 16;

/// How many tokens are sent to keys in one document; a fifth of it where each is a document of its own.
fn tokens() -> usize {
    let named = std::env::var("MADE_UP_KIDS").ok();
    named.map_or(10_000, |count| count.parse().unwrap())
}

/// The third issuer and the peer that may bring its tokens.
fn flooded(keys: &str) -> String {
    format!(
        r#"
[[peer]]
name = "flood"
uri = ["spiffe://test.example/stranger"]
issuers = ["fetched"]

[[issuer]]
name = "fetched"
issuer = "https://fetched.example"
audience = ["{}"]
keys = {keys}

[log]
level = "error"
"#,
        world::AUDIENCE
    )
}

/// Sends so many tokens, each with another name for its key.
async fn flood(caller: &Caller, port: u16, payload: &str, tokens: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut line = caller.open(crate::harness::local(port)).await.unwrap();
        let (next, payload) = (Arc::clone(&next), payload.to_owned());
        let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= tokens {
                    return;
                }
                let header = format!(r#"{{"alg":"ES256","kid":"made-up-{number}"}}"#);
                let token = key.sign(&header, payload.as_bytes()).unwrap();
                let call = get("/", &[("authorization", &bearer(&token))]);
                assert_eq!(line.send(call).await.unwrap().status(), 401);
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_made_up_kids_costs_the_server_a_handful_of_fetches() {
    let honest = key("honest");
    let pem = ok(&honest.public_pem().unwrap());
    for by_kid in [false, true] {
        let tokens = if by_kid { tokens() / 5 } else { tokens() };
        let server = KeyServer::start().await;
        let ca = server.ca();
        let keys = if by_kid {
            server.act(Act::ByPath(vec![("/pem/honest".to_owned(), pem.clone())]));
            format!("{{ pem_url = {:?}, ca = {ca} }}", server.url("/pem/{kid}"))
        } else {
            server.publish(&[&honest]);
            server.jwks()
        };
        let service = service::Fast::start().await;
        let gate = process::Gate::start(&service.upstream, &flooded(&keys)).await;
        let claims = TokenSpec::new(
            "https://fetched.example",
            world::AUDIENCE,
            "ada",
            Timestamp::now(),
        );
        let stranger = Some(&gate.world.stranger);
        let name = world::SERVER_NAME;
        let caller = Caller::new(gate.world.ca.pem(), name, stranger, Http::Two).unwrap();
        let good = bearer(&claims.sign(&honest).unwrap());
        let call = get("/", &[("authorization", &good)]);
        let answer = caller.call(crate::harness::local(gate.port), call).await;
        assert_eq!(answer.unwrap().status(), 200);

        let before = gate.resident_bytes();
        let (began, asked) = (Instant::now(), server.asked());
        flood(&caller, gate.port, &claims.payload(), tokens).await;
        let took = began.elapsed();
        let (fetched, after) = (server.asked() - asked, gate.resident_bytes());
        println!(
            "{tokens} made-up kids in {took:?}: {fetched} fetches, resident {} -> {} KiB",
            before / 1024,
            after / 1024
        );
        // A burst of four at most, and then one for each cooldown of 10 s.
        let share = usize::try_from(took.as_secs() / 10).unwrap() + 5;
        assert!(fetched <= share, "{fetched} fetches in {took:?}");
        assert!(after < before + (24 << 20), "{before} -> {after}");
    }
}
