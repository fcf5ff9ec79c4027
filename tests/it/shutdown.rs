//! SIGTERM: nothing that was begun is lost, nothing new is kept out before others could notice, and
//! nobody waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::CONNECTION;
use sidegate::lab::{Http, Line};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::process::Gate;
use crate::harness::service::Fast;
use crate::harness::{Town, eventually, eventually_so, get, local};

const BOTH: [Http; 2] = [Http::One, Http::Two];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_flight_are_answered_after_sigterm_and_the_gate_ends_with_0() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &times("100ms", "20s")).await;
    let mut callers = JoinSet::new();
    for number in 0..20 {
        let (mut line, pass) = (open(&gate, BOTH[number % 2]).await, gate.pass());
        callers.spawn(async move {
            let answer = line.send(get("/held", &[("authorization", &pass)])).await;
            answer.unwrap().status().as_u16()
        });
    }
    eventually("all are in flight", || service.arrived() == 20).await;
    gate.terminate();
    eventually_so("nobody new gets in", async || !gate.accepts().await).await;
    service.release();
    assert_eq!(callers.join_all().await, [200; 20]);
    assert_eq!(gate.exit_code().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_on_open_connections_loses_nothing_to_sigterm() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &times("200ms", "20s")).await;
    let answered = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for number in 0..16 {
        let mut line = open(&gate, BOTH[number % 2]).await;
        // Its own token for each request would only slow the load down.
        let (pass, answered) = (gate.pass(), Arc::clone(&answered));
        callers.spawn(async move {
            // Until the gate has said that this connection takes no more.
            while is_open(&mut line).await {
                let answer = match line.send(get("/", &[("authorization", &pass)])).await {
                    Ok(answer) => answer,
                    // Closed or GOAWAY before a byte of it was sent: nothing to lose.
                    Err(error) if sent_nothing(&error.to_string()) => return,
                    Err(error) => panic!("lost: {error}"),
                };
                assert_eq!(answer.status(), 200);
                answered.fetch_add(1, Ordering::SeqCst);
                let closing = answer.headers().get(CONNECTION);
                if closing.is_some_and(|value| value == "close") {
                    return;
                }
            }
        });
    }
    eventually("there is load", || answered.load(Ordering::SeqCst) > 200).await;
    gate.terminate();
    let ended = tokio::time::timeout(Duration::from_secs(60), callers.join_all());
    if ended.await.is_err() {
        let code = gate.exit_code().await;
        panic!("a caller waits for ever; the gate ended with {code}");
    }
    assert_eq!(answered.load(Ordering::SeqCst), service.arrived());
    assert_eq!(gate.exit_code().await, 0);
}

#[tokio::test]
async fn after_sigterm_readyz_says_503_while_connections_are_still_accepted() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &times("1500ms", "10s")).await;
    assert_eq!(gate.ask("/readyz").await.head.status(), 200);
    gate.terminate();
    eventually_so("not ready", async || {
        gate.ask("/readyz").await.head.status() == 503
    })
    .await;
    assert_eq!(gate.ask("/livez").await.head.status(), 200);
    for http in BOTH {
        let mut line = open(&gate, http).await;
        let answer = line
            .send(get("/", &[("authorization", &gate.pass())]))
            .await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    eventually_so("the port is closed", async || !gate.accepts().await).await;
    assert_eq!(gate.exit_code().await, 0);
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_end_up() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &times("0s", "60s")).await;
    let mut lines = Vec::new();
    for http in BOTH {
        let mut line = open(&gate, http).await;
        let answer = line
            .send(get("/", &[("authorization", &gate.pass())]))
            .await;
        assert_eq!(answer.unwrap().status(), 200);
        lines.push(line);
    }
    gate.terminate();
    // Long before the deadline, or this gives up.
    assert_eq!(gate.exit_code().await, 0);
}

#[tokio::test]
async fn a_second_sigterm_ends_the_gate_at_once_with_2() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &times("120s", "120s")).await;
    gate.terminate();
    eventually_so("the first one is noticed", async || {
        gate.ask("/readyz").await.head.status() == 503
    })
    .await;
    gate.terminate();
    assert_eq!(gate.exit_code().await, 2);
}

#[tokio::test]
async fn a_request_that_hangs_is_cut_off_at_the_deadline_and_the_gate_ends_with_2() {
    let service = Fast::start().await;
    for http in BOTH {
        let mut gate = Gate::start(&service.upstream, &times("0s", "500ms")).await;
        let before = service.arrived();
        let (mut line, pass) = (open(&gate, http).await, gate.pass());
        let hanging =
            tokio::spawn(async move { line.send(get("/held", &[("authorization", &pass)])).await });
        eventually("it is in flight", || service.arrived() > before).await;
        gate.terminate();
        assert_eq!(gate.exit_code().await, 2);
        assert!(hanging.await.unwrap().is_err());
    }
}

fn times(delay: &str, drain: &str) -> String {
    format!("[shutdown]\ndelay = \"{delay}\"\ndrain = \"{drain}\"\n")
}

async fn open(gate: &Gate, http: Http) -> Line {
    gate.front(http).open(local(gate.port)).await.unwrap()
}

/// Whether the connection takes another request: over HTTP/2 not after a GOAWAY.
async fn is_open(line: &mut Line) -> bool {
    match line {
        Line::One(sender) => sender.ready().await.is_ok(),
        Line::Two(sender) => sender.ready().await.is_ok(),
    }
}

/// What hyper says of a request that it gives back, of a connection that is closed already, and of a
/// GOAWAY without an error: by RFC 9113 6.8 what was not taken before it was not looked at. That this
/// is so, the count of what arrived at the service proves.
fn sent_nothing(error: &str) -> bool {
    [
        "operation was canceled",
        "channel closed",
        "not a result of an error",
    ]
    .iter()
    .any(|words| error.contains(words))
}

#[tokio::test]
async fn a_crowd_in_the_queue_does_not_keep_the_port_open_beyond_the_end() {
    let more = "\n[limits]\nhandshakes = 1\n[shutdown]\ndrain = \"1s\"\n";
    let town = Town::with(|config| config + more).await;
    let address = town.gate.address;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    // Each silent handshake has half a second before it gives way to the next: far too long for all.
    town.gate.stop_now().await;
    eventually_so("the port is closed", async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}
