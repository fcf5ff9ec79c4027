//! Bodies stream: one of many times the room passes through the gate, and its memory stays as it was.
//!
//! The gate is a process of its own. `STREAM_MIB` sets another size than 128: 1024 for a gigabyte.

use std::env;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sidegate::lab::Http;

use crate::harness::local;
use crate::harness::process::Gate;
use crate::harness::service::{Fast, Zeros};

const MIB: u64 = 1024 * 1024;
/// What the memory may grow by. A body that were collected would need the whole of its size.
const ROOM: u64 = 16 * MIB;
/// Enough for every buffer to have been as large as it gets.
const WARM_UP: u64 = 32 * MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_goes_up_at_a_flat_memory_size_over_http_1() {
    flat(Http::One, async |gate| {
        upload(gate, Http::One, size()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_goes_up_at_a_flat_memory_size_over_http_2() {
    flat(Http::Two, async |gate| {
        upload(gate, Http::Two, size()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_comes_down_at_a_flat_memory_size_over_http_1() {
    flat(Http::One, async |gate| {
        download(gate, Http::One, size()).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_comes_down_at_a_flat_memory_size_over_http_2() {
    flat(Http::Two, async |gate| {
        download(gate, Http::Two, size()).await
    })
    .await;
}

fn size() -> u64 {
    let named = env::var("STREAM_MIB").ok();
    named.map_or(128, |mib| mib.parse().unwrap()) * MIB
}

/// Warms a gate up in both directions, then watches its memory during `transfer`.
async fn flat(http: Http, transfer: impl AsyncFnOnce(&Gate)) {
    let service = Fast::start().await;
    let gate = Gate::start(&service.upstream, "").await;
    upload(&gate, http, WARM_UP).await;
    download(&gate, http, WARM_UP).await;
    let before = gate.resident_bytes();
    let mut most = before;
    let watch = async {
        loop {
            most = most.max(gate.resident_bytes());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = transfer(&gate) => {}
        () = watch => {}
    }
    println!(
        "{http:?}: {} KiB, at most {} KiB",
        before / 1024,
        most / 1024
    );
    assert!(most < before + ROOM, "from {before} to {most} bytes");
}

async fn upload(gate: &Gate, http: Http, size: u64) {
    let request = Request::post("https://legacy.test/").body(Zeros(size));
    let answer = send(gate, http, request.unwrap()).await;
    let arrived = answer.headers()["x-length"].to_str().unwrap().to_owned();
    assert_eq!(arrived, size.to_string());
}

async fn download(gate: &Gate, http: Http, size: u64) {
    let request = Request::get(format!("https://legacy.test/zeros/{size}")).body(Zeros(0));
    let mut body = send(gate, http, request.unwrap()).await.into_body();
    let mut arrived = 0;
    while let Some(frame) = body.frame().await {
        arrived += frame
            .unwrap()
            .data_ref()
            .map_or(0, |data| data.len() as u64);
    }
    assert_eq!(arrived, size);
}

async fn send(
    gate: &Gate,
    http: Http,
    mut request: Request<Zeros>,
) -> http::Response<hyper::body::Incoming> {
    let stream = gate.front(http).connect(local(gate.port)).await.unwrap();
    let io = TokioIo::new(stream);
    let headers = request.headers_mut();
    headers.insert("authorization", gate.pass().parse().unwrap());
    let answer = match http {
        Http::One => {
            headers.insert("host", "legacy.test".parse().unwrap());
            let path = request.uri().path().parse().unwrap();
            *request.uri_mut() = path;
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
        Http::Two => {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}
