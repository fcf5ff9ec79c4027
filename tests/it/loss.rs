//! No request is lost: not among thousands, not among a thousand at once, and not to a service that
//! closes its kept-alive connections without saying so.

use std::sync::Arc;

use sidegate::lab::{Http, Line};
use tokio::task::JoinSet;

use crate::harness::process::Gate;
use crate::harness::service::{Fast, Rude};
use crate::harness::{get, local, request};

const BOTH: [Http; 2] = [Http::One, Http::Two];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_one_after_the_other_are_all_answered() {
    const CONNECTIONS: usize = 4;
    const EACH: usize = 2_500;
    let service = Fast::start().await;
    let gate = Arc::new(Gate::start(&service.upstream, "").await);
    let mut callers = JoinSet::new();
    for number in 0..CONNECTIONS {
        let gate = Arc::clone(&gate);
        callers.spawn(async move {
            let mut line = open(&gate, BOTH[number % 2]).await;
            for _ in 0..EACH {
                let answer = line
                    .send(get("/", &[("authorization", &gate.pass())]))
                    .await;
                assert_eq!(answer.unwrap().status(), 200);
            }
        });
    }
    callers.join_all().await;
    assert_eq!(service.arrived(), 10_000);
    // Fresh tokens all of them: none was a cached one's twin.
    let judged = gate
        .metric("sidegate_tokens_verified_total{source=\"signature\"}")
        .await;
    assert_eq!(judged, 10_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_at_once_are_all_answered() {
    let service = Fast::start().await;
    // A gate without optimisation, on a busy machine, takes longer for so many than one may.
    let patient = "[timeouts]\nhandshake = \"60s\"\n";
    let gate = Arc::new(Gate::start(&service.upstream, patient).await);
    let mut callers = JoinSet::new();
    for _ in 0..1_000 {
        let gate = Arc::clone(&gate);
        callers.spawn(async move {
            let mut line = open(&gate, Http::One).await;
            let fields = [("authorization", &*gate.pass())];
            let answer = line.send(request("POST", "/", &fields, "body")).await;
            assert_eq!(answer.unwrap().status(), 200);
        });
    }
    callers.join_all().await;
    assert_eq!(service.arrived(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_of_handshakes_wait_for_their_turn() {
    let service = Fast::start().await;
    // Few at a time, so that none is half a second under way on a busy machine either.
    let gate = Gate::start(&service.upstream, "[limits]\nhandshakes = 2\n").await;
    let gate = Arc::new(gate);
    let mut callers = JoinSet::new();
    for _ in 0..32 {
        let gate = Arc::clone(&gate);
        callers.spawn(async move {
            let mut line = open(&gate, Http::One).await;
            let answer = line.send(get("/", &[("authorization", &gate.pass())]));
            assert_eq!(answer.await.unwrap().status(), 200);
        });
    }
    callers.join_all().await;
    assert_eq!(service.arrived(), 32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_once_on_ten_connections_are_all_answered() {
    let service = Fast::start().await;
    let gate = Arc::new(Gate::start(&service.upstream, "").await);
    let mut callers = JoinSet::new();
    for _ in 0..10 {
        let Line::Two(line) = open(&gate, Http::Two).await else {
            unreachable!()
        };
        for _ in 0..100 {
            let (gate, mut line) = (Arc::clone(&gate), Line::Two(line.clone()));
            callers.spawn(async move {
                let fields = [("authorization", &*gate.pass())];
                let answer = line.send(request("POST", "/", &fields, "body")).await;
                assert_eq!(answer.unwrap().status(), 200);
            });
        }
    }
    callers.join_all().await;
    assert_eq!(service.arrived(), 1_000);
}

#[tokio::test]
async fn no_get_is_lost_and_no_post_sent_twice_where_the_service_closes_unannounced() {
    const ROUNDS: usize = 120;
    // Five of them, so that each meets every moment in the life of a connection.
    const METHODS: [&str; 5] = ["GET", "POST", "DELETE", "POST", "POST"];
    let mut service = Rude::start().await;
    let gate = Gate::start(&service.upstream, "").await;
    let mut line = open(&gate, Http::Two).await;
    let pass = gate.pass();
    let fields = [("authorization", &*pass)];
    let mut answered = Vec::new();
    for round in 0..ROUNDS {
        for (place, method) in METHODS.into_iter().enumerate() {
            let body = if method == "POST" { "body" } else { "" };
            let path = format!("/{round}/{place}");
            let answer = line
                .send(request(method, &path, &fields, body))
                .await
                .unwrap();
            let status = answer.status();
            // Whether a request without an answer did its work nobody knows: a POST may not be tried
            // again, and the caller is told.
            assert!(
                status == 200 || (status == 502 && method == "POST"),
                "{answer:?}"
            );
            if status == 200 {
                answered.push(format!("{method} {path}"));
            }
        }
    }
    let arrivals = service.arrivals();
    assert!(
        answered
            .iter()
            .all(|request| arrivals.contains_key(request))
    );
    let posts = arrivals.iter().filter(|(name, _)| name.starts_with("POST"));
    assert!(posts.clone().all(|(_, times)| *times == 1), "{arrivals:?}");
    // Otherwise the service was too polite to prove anything.
    assert!(gate.metric("sidegate_upstream_retries_total").await > 20);
    assert!(answered.len() < METHODS.len() * ROUNDS);
}

async fn open(gate: &Gate, http: Http) -> Line {
    gate.front(http).open(local(gate.port)).await.unwrap()
}
