//! Report mode: what would be refused is counted and let through, where the configuration says so and
//! nowhere else.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::StatusCode;
use serde_json::json;
use sidegate::lab::{Caller, Http};
use sidegate::model::{Denial, Timestamp};

use crate::attacks::{Attack, World, rows};
use crate::harness::counters::by_reason;
use crate::harness::{Town, bearer, get, raw, seen_header, status_page};
use crate::live_attacks;

const REPORT_ROUTE: &str = "\n[[route]]\nname = \"all\"\npath = \"/**\"\nenforce = \"report\"\n";

/// The town's configuration with the issuer `main` only watched.
fn watch_main(config: &str) -> String {
    config.replacen(
        "name = \"main\"\n",
        "name = \"main\"\nenforce = \"report\"\n",
        1,
    )
}

fn refused(town: &Town) -> BTreeMap<String, u64> {
    by_reason(&town.gate.metrics, "sidegate_refused_total")
}

fn would_refuse(town: &Town) -> BTreeMap<String, u64> {
    by_reason(&town.gate.metrics, "sidegate_would_refuse_total")
}

/// Sends every row and says what came of each.
async fn send(town: &Town, rows: &[Attack]) -> Vec<(String, StatusCode, Vec<String>)> {
    let mut line = town.front(Http::One).open(town.gate.address).await.unwrap();
    let mut got = Vec::new();
    for row in rows {
        let fields: Vec<(&str, &str)> = row
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .chain([("x-auth-subject", "forged")])
            .collect();
        let answer = line.send(get("/", &fields)).await.unwrap();
        let subject = match answer.status() {
            StatusCode::OK => seen_header(&answer, "x-auth-subject"),
            _ => Vec::new(),
        };
        got.push((row.name.clone(), answer.status(), subject));
    }
    got
}

#[tokio::test]
async fn a_watched_gate_refuses_nothing_and_counts_the_same_as_one_that_enforces() {
    let world = World::new(Timestamp::now());
    let rows = rows(&world);
    let enforcing = Town::with(|base| live_attacks::config(&base, &world)).await;
    let watching = Town::with(|base| live_attacks::config(&base, &world) + REPORT_ROUTE).await;
    send(&enforcing, &rows).await;
    let mut wrong = String::new();
    for (name, status, subject) in send(&watching, &rows).await {
        if status != 200 || !subject.is_empty() {
            writeln!(wrong, "{name}: {status}, told {subject:?}").unwrap();
        }
    }
    assert_eq!(wrong, "", "all pass, and none of them as somebody");
    assert_eq!(would_refuse(&watching), refused(&enforcing));
    assert_eq!(refused(&watching), BTreeMap::new());
    assert_eq!(watching.echo.served(), rows.len() as u64);
    assert_eq!(enforcing.echo.served(), 0);
    assert_eq!(would_refuse(&enforcing), BTreeMap::new());
}

#[tokio::test]
async fn a_watched_issuer_lets_its_own_tokens_through_without_an_identity() {
    let town = Town::with(|config| watch_main(&config)).await;
    let late = town.world.token().claim("exp", 1);
    let late = bearer(&late.sign(&town.world.key).unwrap());
    let mut line = town.front(Http::Two).open(town.gate.address).await.unwrap();
    for fields in [
        vec![],
        vec![("authorization", &*late), ("x-auth-subject", "eve")],
    ] {
        let answer = line.send(get("/", &fields)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(seen_header(&answer, "x-auth-subject"), [""; 0]);
        assert_eq!(seen_header(&answer, "authorization"), [""; 0]);
    }
    let good = bearer(&town.token());
    let answer = line
        .send(get("/", &[("authorization", &good)]))
        .await
        .unwrap();
    assert_eq!(seen_header(&answer, "x-auth-subject").len(), 1);
    let counted = [("token_expired", 1), ("token_missing", 1)];
    let counted = counted.map(|(reason, count)| (reason.to_owned(), count));
    assert_eq!(would_refuse(&town), BTreeMap::from(counted));
}

#[tokio::test]
async fn an_issuer_that_is_watched_opens_nothing_for_the_peers_of_another() {
    let town = Town::with(|config| watch_main(&config)).await;
    let partner = town.caller(Some(&town.world.partner), Http::One);
    let good = bearer(&town.token());
    for fields in [
        vec![],
        vec![("authorization", "Bearer garbage")],
        vec![("authorization", &*good)],
        vec![("x-partner-assertion", "garbage")],
    ] {
        let answer = partner.call(town.gate.address, get("/", &fields)).await;
        let status = answer.unwrap().status();
        assert!(status == 401 || status == 403, "{fields:?}: {status}");
    }
    assert_eq!(town.echo.served(), 0);
    assert_eq!(would_refuse(&town), BTreeMap::new());
}

#[tokio::test]
async fn a_missing_token_is_refused_where_an_issuer_of_the_peer_is_not_watched() {
    let both = |config: String| {
        watch_main(&config).replace("issuers = [\"main\"]", "issuers = [\"main\", \"partner\"]")
    };
    let town = Town::with(both).await;
    let front = town.front(Http::One);
    let call = async |fields: &[(&str, &str)]| {
        let answer = front.call(town.gate.address, get("/", fields)).await;
        answer.unwrap().status()
    };
    assert_eq!(call(&[]).await, 401);
    assert_eq!(call(&[("x-partner-assertion", "garbage")]).await, 401);
    // Where only `main` puts its tokens, it can be nobody else's.
    assert_eq!(call(&[("authorization", "Bearer garbage")]).await, 200);
}

#[tokio::test]
async fn a_route_that_asks_more_is_not_opened_by_a_watched_issuer() {
    let routes = "\n[[route]]\npath = \"/admin/**\"\nclaims = { groups = { any = [\"admins\"] } }\n\
                  [[route]]\npath = \"/**\"\n";
    let town = Town::with(|config| watch_main(&config) + routes).await;
    let mut line = town.front(Http::One).open(town.gate.address).await.unwrap();
    assert_eq!(line.send(get("/", &[])).await.unwrap().status(), 200);
    assert_eq!(line.send(get("/admin", &[])).await.unwrap().status(), 401);
    let good = bearer(&town.token());
    let fields = [("authorization", &*good)];
    let answer = line.send(get("/admin", &fields)).await.unwrap();
    assert_eq!(answer.status(), 403, "the route enforces what it asks");
}

#[tokio::test]
async fn a_watched_route_reports_what_it_asks_and_tells_who_was_verified() {
    let routes = "\n[[route]]\nname = \"admin\"\npath = \"/admin/**\"\nenforce = \"report\"\n\
                  claims = { groups = { any = [\"admins\"] } }\n\
                  [[route]]\npath = \"/open\"\n";
    let town = Town::with(|config| config + routes).await;
    let mut line = town.front(Http::Two).open(town.gate.address).await.unwrap();
    let good = bearer(&town.token());
    let fields = [("authorization", &*good), ("x-request-id", "watched")];
    let answer = line.send(get("/admin/x", &fields)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(seen_header(&answer, "x-auth-subject").len(), 1);
    assert_eq!(
        would_refuse(&town),
        BTreeMap::from([("claim_unmet".to_owned(), 1)])
    );
    let reported = town.sample("sidegate_requests_total{decision=\"would_refuse\",status=\"2xx\"}");
    assert_eq!(reported, 1);
    assert_eq!(line.send(get("/open", &[])).await.unwrap().status(), 401);
    assert_eq!(
        line.send(get("/other", &fields)).await.unwrap().status(),
        403
    );

    let page = status_page(&town).await;
    assert_eq!(
        page["report_mode"],
        json!({ "issuers": [], "routes": ["admin"] })
    );
    let refusals = page["refusals"].as_array().unwrap();
    let watched = refusals.iter().find(|it| it["decision"] == "would_refuse");
    assert_eq!(watched.unwrap()["route"], "admin");
    assert_eq!(town.sample("sidegate_report_mode{scope=\"route\"}"), 1);
    assert_eq!(town.sample("sidegate_report_mode{scope=\"issuer\"}"), 0);
}

#[tokio::test]
async fn report_mode_lets_no_broken_message_through() {
    let town = Town::with(|config| watch_main(&config) + REPORT_ROUTE).await;
    let two_hosts = "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n";
    assert!(raw(&town, two_hosts).await.starts_with("HTTP/1.1 400 "));
    let hidden = "GET /a/%2e%2e/admin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(raw(&town, hidden).await.starts_with("HTTP/1.1 400 "));
    assert_eq!(town.echo.served(), 0);
    assert_eq!(town.refused(Denial::PathAmbiguous.code()), 1);
}

#[tokio::test]
async fn report_mode_lets_no_stranger_through() {
    let town = Town::with(|config| watch_main(&config) + REPORT_ROUTE).await;
    for stranger in [Some(&town.world.stranger), Some(&town.world.revoked), None] {
        let caller: Caller = town.caller(stranger, Http::One);
        let called = caller.call(town.gate.address, get("/", &[])).await;
        assert!(called.is_err(), "{called:?}");
    }
    assert_eq!(town.echo.served(), 0);
}
