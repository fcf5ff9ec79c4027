//! A caller that asks for much and takes nothing holds nothing for ever: neither the upstream's
//! connection nor its share of `limits.requests`.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sidegate::lab::{Echo, Http};
use tokio::io::AsyncWriteExt;

use crate::harness::service::Fast;
use crate::harness::{ANY, Town, bearer, eventually, eventually_so, get};

/// More than all buffers on the way hold.
const MUCH: &str = "/zeros/1000000000";

/// A gate that passes on one request at a time, before a service of any number of bytes.
async fn town() -> (Town, Fast) {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let service = Fast::start().await;
    let more = "\n[limits]\nrequests = 1\n[timeouts]\nstream_idle = \"1s\"\n";
    let town = Town::before(echo, &service.upstream, |config| config + more).await;
    (town, service)
}

async fn status(town: &Town) -> u16 {
    let call = get("/zeros/1", &[("authorization", &bearer(&town.token()))]);
    let answer = town.front(Http::One).call(town.gate.address, call).await;
    answer.unwrap().status().as_u16()
}

/// Waits until the one place is taken, and then until it is free again.
async fn taken_and_freed(town: &Town) {
    eventually_so("its place is taken", async || status(town).await == 503).await;
    eventually_so("its place is free", async || status(town).await == 200).await;
}

#[tokio::test]
async fn a_caller_that_leaves_before_its_answer_was_allowed_all_the_same() {
    let (town, service) = town().await;
    let front = town.front(Http::Two);
    let (address, token) = (town.gate.address, bearer(&town.token()));
    let waiting = tokio::spawn(async move {
        let call = get("/held", &[("authorization", &token)]);
        drop(front.call(address, call).await);
    });
    eventually("it has arrived", || service.arrived() == 1).await;
    waiting.abort();
    let allowed = "sidegate_requests_total{decision=\"allowed\",status=\"4xx\"}";
    eventually("it is counted", || town.sample(allowed) == 1).await;
}

#[tokio::test]
async fn a_caller_that_does_not_read_loses_its_connection() {
    let (town, _service) = town().await;
    let front = town.front(Http::One);
    let mut tls = front.connect(town.gate.address).await.unwrap();
    let token = bearer(&town.token());
    let text = format!("GET {MUCH} HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\n\r\n");
    tls.write_all(text.as_bytes()).await.unwrap();
    taken_and_freed(&town).await;
    drop(tls);
}

#[tokio::test]
async fn a_caller_that_gives_a_stream_no_room_loses_that_stream_alone() {
    let (town, _service) = town().await;
    let tls = town.front(Http::Two).connect(town.gate.address).await;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(tls.unwrap()));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let token = bearer(&town.token());
    let ask = |path: &str| {
        let request = Request::get(format!("https://legacy.test{path}"));
        let request = request.header("authorization", &*token);
        request.body(Full::<Bytes>::default()).unwrap()
    };
    let unread = sender.send_request(ask(MUCH)).await.unwrap();
    taken_and_freed(&town).await;
    let other = sender.send_request(ask("/zeros/1")).await.unwrap();
    assert_eq!(other.status(), 200, "on the same connection");
    let rest = tokio::time::timeout(Duration::from_secs(30), unread.into_body().collect());
    assert!(rest.await.unwrap().is_err(), "it was reset");
}
