//! What runs longer than a request ends with its right: by time, by a change of keys, policy or deny
//! list. What has its right goes on.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use sidegate::lab::{Echo, Http, SigningKey};
use sidegate::model::{Algorithm, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::service::Fast;
use crate::harness::ticking::{Running, Ticking, events, upload, websocket};
use crate::harness::{ANY, Town, bearer, eventually};
use crate::reload::{from_file, replace};
use crate::single_use::again;

/// A gate before a service that never ends an answer, with a deny list of nobody.
async fn town(change: impl FnOnce(String) -> String) -> Town {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let service = Ticking::start().await;
    Town::prepared(echo, &service.upstream, |world, config| {
        world.write("deny.list", "# nobody\n").unwrap();
        change(format!("{config}\n[deny]\nfile = \"deny.list\"\n"))
    })
    .await
}

/// Without leeway, so that tests need not wait for it.
fn strict(config: String) -> String {
    config.replace("name = \"main\"\n", "name = \"main\"\nleeway = \"0s\"\n")
}

/// A token that lives so many seconds from now.
fn token(town: &Town, seconds: u64) -> String {
    let claims = town.world.token().claim("jti", "it");
    let claims = claims.lives(Timestamp::now(), Duration::from_secs(seconds));
    bearer(&claims.sign(&town.world.key).unwrap())
}

fn ended(town: &Town, reason: &str) -> u64 {
    town.sample(&format!(
        "sidegate_streams_ended_total{{reason=\"{reason}\"}}"
    ))
}

/// Waits until it is over, while the other goes on; says how it ended.
async fn over_while(one: Running, other: &Running) -> String {
    let (_, how) = one.ended().await;
    let before = other.ticks();
    eventually("the other goes on", || other.ticks() > before + 3).await;
    assert!(!other.is_over());
    how
}

#[tokio::test]
async fn a_stream_ends_when_its_token_expires() {
    let over = async |http| {
        let town = town(strict).await;
        let caller = town.front(http);
        let address = town.gate.address;
        let long = token(&town, 100);
        let other = events(&caller, address, http, &[("authorization", &long)]).await;
        let short = token(&town, 2);
        let one = events(&caller, address, http, &[("authorization", &short)]).await;
        let how = over_while(one, &other).await;
        assert_ne!(how, "end", "a cut must not look like the end of the answer");
        assert_eq!(ended(&town, "token_expired"), 1);
    };
    tokio::join!(over(Http::One), over(Http::Two));
}

#[tokio::test]
async fn a_websocket_ends_when_its_token_expires() {
    let over = async |http| {
        let town = town(strict).await;
        let caller = town.front(http);
        let address = town.gate.address;
        let long = token(&town, 100);
        let other = websocket(&caller, address, http, &[("authorization", &long)]).await;
        let short = token(&town, 2);
        let one = websocket(&caller, address, http, &[("authorization", &short)]).await;
        over_while(one, &other).await;
        assert_eq!(ended(&town, "token_expired"), 1);
    };
    tokio::join!(over(Http::One), over(Http::Two));
}

#[tokio::test]
async fn a_stream_goes_on_for_the_grace_that_is_configured() {
    let town = town(|config| {
        strict(config).replace("leeway = \"0s\"", "leeway = \"0s\"\nstream_grace = \"1h\"")
    })
    .await;
    let caller = town.front(Http::One);
    let short = token(&town, 2);
    let fields = [("authorization", &*short)];
    let one = events(&caller, town.gate.address, Http::One, &fields).await;
    // Three seconds of ticks: its token is over by then, and a new request is refused.
    eventually("it goes on", || one.ticks() > 150 || one.is_over()).await;
    assert!(!one.is_over());
    let call = crate::harness::get("/", &fields);
    let answer = caller.call(town.gate.address, call).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[tokio::test]
async fn a_stream_of_a_watched_issuer_outlives_its_token() {
    let watched = |config: String| {
        strict(config).replace("leeway = \"0s\"", "leeway = \"0s\"\nenforce = \"report\"")
    };
    let town = town(watched).await;
    let caller = town.front(Http::One);
    let short = token(&town, 2);
    let fields = [("authorization", &*short)];
    let one = events(&caller, town.gate.address, Http::One, &fields).await;
    let none = events(&caller, town.gate.address, Http::One, &[]).await;
    eventually("they go on", || {
        one.ticks().min(none.ticks()) > 150 || one.is_over() || none.is_over()
    })
    .await;
    assert!(!one.is_over() && !none.is_over());
}

#[tokio::test]
async fn a_stream_ends_when_its_route_asks_for_more() {
    let routes = |claims: &str| {
        let open = "[[route]]\npath = \"/open\"\n";
        format!("{open}[[route]]\npath = \"/**\"\n{claims}\n")
    };
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let service = Ticking::start().await;
    let town = Town::before(echo, &service.upstream, |config| config).await;
    let text = town.world.config(ANY, ANY, &service.upstream);
    town.world
        .write("routes.toml", &(text.clone() + &routes("")))
        .unwrap();
    let gate = from_file(&town.world.folder.join("routes.toml")).await;
    let caller = town.front(Http::Two);
    let fields = [("authorization", &*token(&town, 100))];
    let one = events(&caller, gate.address, Http::Two, &fields).await;
    replace(
        &town,
        "routes.toml",
        &(text + &routes("claims = { groups = { any = [\"admins\"] } }")),
    );
    let (_, how) = one.ended().await;
    assert_ne!(how, "end", "a cut must not look like the end of the answer");
    let ended = "sidegate_streams_ended_total{reason=\"claim_unmet\"}";
    assert_eq!(crate::harness::sample(&gate.metrics, ended), 1);
    gate.stop_now().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_peer_hands_over_its_client_in_another_way() {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let service = Ticking::start().await;
    let town = Town::before(echo, &service.upstream, |config| config).await;
    let text = town.world.config(ANY, ANY, &service.upstream);
    let named = "issuers = [\"main\"]\n";
    let handing = text.replacen(named, &format!("{named}hands_over = \"client-cert\"\n"), 1);
    town.world.write("handing.toml", &handing).unwrap();
    let gate = from_file(&town.world.folder.join("handing.toml")).await;
    let partner = &town.world.partner.der;
    let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, partner));
    let bound = town.world.token();
    let bound = bound.claim("cnf", json!({ "x5t#S256": thumbprint }));
    let bound = bearer(&bound.sign(&town.world.key).unwrap());
    let handed = format!(":{}:", STANDARD.encode(partner));
    let caller = town.front(Http::Two);
    let fields = [("authorization", &*bound), ("client-cert", &*handed)];
    let one = events(&caller, gate.address, Http::Two, &fields).await;
    let fields = [("authorization", &*token(&town, 100))];
    let other = events(&caller, gate.address, Http::Two, &fields).await;
    replace(&town, "handing.toml", &text);
    over_while(one, &other).await;
    let ended = "sidegate_streams_ended_total{reason=\"sender_missing\"}";
    assert_eq!(crate::harness::sample(&gate.metrics, ended), 1);
    gate.stop_now().await;
}

#[tokio::test]
async fn a_stream_ends_when_its_key_is_another_of_the_same_name() {
    let town = town(|config| config).await;
    let caller = town.front(Http::Two);
    let address = town.gate.address;
    let main = token(&town, 100);
    let next = bearer(&town.world.token().sign(&town.world.next_key).unwrap());
    let one = events(&caller, address, Http::Two, &[("authorization", &main)]).await;
    let other = events(&caller, address, Http::Two, &[("authorization", &next)]).await;
    let twin = SigningKey::generate(Algorithm::Es256, Some("current")).unwrap();
    let keys = SigningKey::jwks(&[&twin, &town.world.next_key]).unwrap();
    replace(&town, "jwks.json", &keys);
    over_while(one, &other).await;
    assert_eq!(ended(&town, "key_unknown"), 1);
}

#[tokio::test]
async fn an_upload_ends_when_its_token_is_denied() {
    let town = town(|config| config).await;
    let caller = town.front(Http::One);
    let address = town.gate.address;
    let main = token(&town, 100);
    let clean = bearer(&town.token());
    let one = upload(&caller, address, &[("authorization", &main)]).await;
    let other = upload(&caller, address, &[("authorization", &clean)]).await;
    replace(&town, "deny.list", "jti issuer=main jti=it\n");
    let how = over_while(one, &other).await;
    assert!(
        how.starts_with("HTTP/1.1 401"),
        "no head was out, so this one is said: {how}"
    );
    assert_eq!(town.refused("token_denied"), 1);
    assert_eq!(ended(&town, "token_denied"), 0, "it was refused, not cut");
}

/// How many tasks there are while so many requests are held, and a second later.
async fn tasks_of_held_requests(count: u64) -> Option<(usize, usize)> {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let service = Fast::start().await;
    let town = Town::before(echo, &service.upstream, |config| config).await;
    let main = token(&town, 100);
    let mut line = town.front(Http::Two).open(town.gate.address).await.unwrap();
    let call = crate::harness::get("/zeros/1", &[("authorization", &main)]);
    assert_eq!(line.send(call).await.unwrap().status(), 200);
    let tasks = || {
        let metrics = tokio::runtime::Handle::current().metrics();
        metrics.num_alive_tasks()
    };
    let began = Instant::now();
    let mut held = JoinSet::new();
    for _ in 0..count {
        let mut line = again(&line);
        let call = crate::harness::get("/held", &[("authorization", &main)]);
        held.spawn(async move { line.send(call).await.unwrap().status() });
    }
    eventually("all are held", || service.arrived() == count + 1).await;
    let young = tasks();
    // On a machine this busy they are young no more.
    let is_young = began.elapsed() < Duration::from_millis(400);
    eventually("they grow old", || began.elapsed() > Duration::from_secs(1)).await;
    let old = tasks();
    service.release();
    assert_eq!(held.join_all().await.len(), usize::try_from(count).unwrap());
    is_young.then_some((young, old))
}

#[tokio::test]
async fn a_request_is_looked_after_only_once_it_takes_long() {
    for _ in 0..5 {
        if let Some((young, old)) = tasks_of_held_requests(30).await {
            assert!(old >= young + 30, "{young} tasks, then {old}");
            return;
        }
    }
    eprintln!("too busy to see them young");
}
