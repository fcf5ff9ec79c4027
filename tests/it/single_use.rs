//! Tokens that pass once: exactly once, however many come at the same time and whatever is reloaded
//! meanwhile; and never used up by a request that was refused.

use sidegate::lab::{Caller, Echo, Http, World, world};
use tokio::net::TcpListener;

use crate::harness::{ANY, Town, bearer, eventually, get, new_world};
use crate::reload::from_file;

/// The first issuer's tokens pass once, by these settings.
async fn town(settings: &str) -> Town {
    Town::with(|config| once(&config, settings)).await
}

fn once(config: &str, settings: &str) -> String {
    let named = "name = \"main\"\n";
    assert!(config.contains(named));
    config.replacen(named, &format!("{named}single_use = {settings}\n"), 1)
}

fn token(world: &World, jti: &str) -> String {
    let claims = world.token().claim("jti", jti);
    bearer(&claims.sign(&world.key).unwrap())
}

async fn status(town: &Town, token: &str) -> u16 {
    let call = get("/", &[("authorization", token)]);
    let answer = town.front(Http::One).call(town.gate.address, call).await;
    answer.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_token_passes_once_and_another_of_the_same_key_as_well() {
    let town = town("true").await;
    let (one, two) = (token(&town.world, "one"), token(&town.world, "two"));
    assert_eq!(status(&town, &one).await, 200);
    assert_eq!(status(&town, &one).await, 401);
    assert_eq!(status(&town, &two).await, 200);
    assert_eq!(status(&town, &two).await, 401);
    assert_eq!(town.refused("token_used"), 2);
    // The same claims signed again: an ECDSA signature is another one each time.
    assert_eq!(status(&town, &token(&town.world, "one")).await, 401);
    let partner = town
        .world
        .partner_token()
        .sign(&town.world.partner_key)
        .unwrap();
    let caller = town.caller(Some(&town.world.partner), Http::One);
    for _ in 0..2 {
        let call = get("/", &[("x-partner-assertion", &partner)]);
        let answer = caller.call(town.gate.address, call).await.unwrap();
        assert_eq!(answer.status(), 200, "the other issuer did not ask for it");
    }
}

#[tokio::test]
async fn a_token_without_a_number_cannot_be_told_from_itself() {
    let town = town("true").await;
    assert_eq!(status(&town, &bearer(&town.token())).await, 401);
    assert_eq!(status(&town, &token(&town.world, "")).await, 401);
    assert_eq!(town.refused("jti_missing"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_requests_with_one_token_exactly_one_passes() {
    let town = town("true").await;
    let token = token(&town.world, "one");
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let (caller, token) = (town.front(Http::Two), token.clone());
            let address = town.gate.address;
            tokio::spawn(async move {
                let line = caller.open(address).await.unwrap();
                let mut calls = tokio::task::JoinSet::new();
                for _ in 0..50 {
                    let mut line = again(&line);
                    let call = get("/", &[("authorization", &token)]);
                    calls.spawn(async move { line.send(call).await.unwrap().status().as_u16() });
                }
                calls.join_all().await
            })
        })
        .collect();
    let mut passed = 0;
    let mut refused = 0;
    for caller in callers {
        for status in caller.await.unwrap() {
            match status {
                200 => passed += 1,
                401 => refused += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!((passed, refused), (1, 999));
    assert_eq!(town.echo.served(), 1);
}

/// Another end of a connection that carries many requests at once.
pub(crate) fn again(line: &sidegate::lab::Line) -> sidegate::lab::Line {
    match line {
        sidegate::lab::Line::Two(sender) => sidegate::lab::Line::Two(sender.clone()),
        sidegate::lab::Line::One(_) => panic!("HTTP/1.1 carries one request at a time"),
    }
}

#[tokio::test]
async fn a_request_that_is_refused_does_not_use_its_token_up() {
    let town = town("true").await;
    let token = token(&town.world, "one");
    let caller = town.caller(Some(&town.world.partner), Http::One);
    let call = get("/", &[("authorization", &token)]);
    let answer = caller.call(town.gate.address, call).await.unwrap();
    assert_eq!(answer.status(), 403, "this peer may not bring it");
    assert_eq!(status(&town, &token).await, 200);
}

#[tokio::test]
async fn a_request_that_its_route_refuses_does_not_use_its_token_up() {
    let routes = "[[route]]\npath = \"/\"\n[[route]]\npath = \"/none\"\nscope = \"none\"\n";
    let town = Town::with(|config| once(&config, "true") + routes).await;
    let token = token(&town.world, "one");
    let call = get("/none", &[("authorization", &token)]);
    let answer = town.front(Http::One).call(town.gate.address, call).await;
    assert_eq!(answer.unwrap().status(), 403);
    assert_eq!(town.refused("scope_missing"), 1);
    assert_eq!(status(&town, &token).await, 200);
}

#[tokio::test]
async fn a_request_for_which_there_is_no_room_does_not_use_its_token_up() {
    let silent = TcpListener::bind(ANY).await.unwrap();
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let upstream = silent.local_addr().unwrap().to_string();
    let limit = "\n[limits]\nrequests = 1\n";
    let town = Town::before(echo, &upstream, |config| once(&config, "true") + limit).await;
    let (first, second) = (token(&town.world, "one"), token(&town.world, "two"));
    let front = town.front(Http::One);
    let address = town.gate.address;
    let waiting = tokio::spawn(async move {
        let call = get("/", &[("authorization", &first)]);
        front.call(address, call).await.unwrap().status()
    });
    let (held, _) = silent.accept().await.unwrap();
    assert_eq!(status(&town, &second).await, 503);
    assert_eq!(town.refused("request_limit"), 1);
    drop(held);
    assert_eq!(waiting.await.unwrap(), 502);
    drop(silent);
    // Nobody is behind the gate any more; but the gate lets it through.
    assert_eq!(status(&town, &second).await, 503);
    assert_eq!(town.refused("upstream_unavailable"), 1);
}

#[tokio::test]
async fn a_full_memory_refuses_with_503_and_may_be_told_to_forget() {
    let full = town("{ remember = 2 }").await;
    for (jti, expected) in [("1", 200), ("2", 200), ("3", 503), ("1", 401), ("4", 503)] {
        assert_eq!(
            status(&full, &token(&full.world, jti)).await,
            expected,
            "{jti}"
        );
    }
    assert_eq!(full.refused("single_use_full"), 2);
    let forgets = town("{ remember = 2, when_full = \"forget-oldest\" }").await;
    for (jti, expected) in [("1", 200), ("2", 200), ("3", 200), ("3", 401)] {
        assert_eq!(
            status(&forgets, &token(&forgets.world, jti)).await,
            expected,
            "{jti}"
        );
    }
}

#[tokio::test]
async fn a_retry_on_the_same_connection_passes_where_that_is_allowed() {
    let town = town("{ retry_grace = \"1m\" }").await;
    let token = token(&town.world, "one");
    for http in [Http::One, Http::Two] {
        let mut line = town.front(http).open(town.gate.address).await.unwrap();
        let expected = if http == Http::One { 200 } else { 401 };
        for _ in 0..2 {
            let call = get("/", &[("authorization", &token)]);
            let answer = line.send(call).await.unwrap();
            assert_eq!(answer.status(), expected, "{http:?}");
        }
    }
}

#[tokio::test]
async fn a_new_configuration_does_not_forget_what_was_used() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let config = once(&world.config(ANY, ANY, &echo.address.to_string()), "true");
    world.write("sidegate.toml", &config).unwrap();
    let gate = from_file(&folder.path().join("sidegate.toml")).await;
    let caller = Caller::new(
        world.ca.pem(),
        world::SERVER_NAME,
        Some(&world.front),
        Http::One,
    );
    let caller = caller.unwrap();
    let token = token(&world, "one");
    let status = async || {
        let call = get("/", &[("authorization", &token)]);
        caller
            .call(gate.address, call)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status().await, 200);
    let renamed = config.replace("\"main\"", "\"first\"");
    world.write("sidegate.toml", &renamed).unwrap();
    eventually("it is in force", || {
        crate::harness::sample(&gate.metrics, "sidegate_generation{object=\"config\"}") == 2
    })
    .await;
    assert_eq!(status().await, 401);
}
