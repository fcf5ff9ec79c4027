//! The side port as a real Prometheus and its tools see it, and as a probe does.

use std::io::Write;
use std::process::{Command, Stdio};

use http::Request;
use http_body_util::Full;
use serde_json::Value;
use sidegate::lab::Http;

use crate::harness::peer::{self, installed};
use crate::harness::process::Gate;
use crate::harness::service::Fast;
use crate::harness::{eventually_so, get, local, plain, request};

#[tokio::test]
async fn prometheus_scrapes_the_gate_and_finds_its_requests() {
    let (gate, _service) = busy_gate().await;
    let Some((_peer, port)) = peer::prometheus(gate.admin).await else {
        return;
    };
    let query = async |text: &str| -> Value {
        let path = format!("/api/v1/query?query={text}");
        let answer = plain::call(port, get(&path, &[])).await;
        // Not ready yet, it answers 503 in plain words.
        serde_json::from_slice(&answer.body).unwrap_or_default()
    };
    eventually_so("up is 1", async || {
        query("up").await["data"]["result"][0]["value"][1] == "1"
    })
    .await;
    for (decision, status, wanted) in [("allowed", "2xx", "2"), ("refused", "4xx", "1")] {
        let text =
            format!("sidegate_requests_total%7Bdecision=%22{decision}%22,status=%22{status}%22%7D");
        let found = query(&text).await;
        assert_eq!(found["data"]["result"][0]["value"][1], wanted, "{found:#}");
    }
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_about_the_metrics() {
    let Some(promtool) = installed("promtool") else {
        return;
    };
    let (gate, _service) = busy_gate().await;
    let exposition = gate.ask("/metrics").await;
    let kind = exposition.header("content-type");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let mut checking = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = checking.stdin.take().unwrap();
    input.write_all(&exposition.body).unwrap();
    drop(input);
    let output = checking.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}

#[tokio::test]
async fn no_sample_is_there_twice_and_every_histogram_is_whole() {
    let (gate, _service) = busy_gate().await;
    let text = String::from_utf8(gate.ask("/metrics").await.body.to_vec()).unwrap();
    let mut names: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    for line in text.lines().filter(|line| line.ends_with(" histogram")) {
        let name = line.split(' ').nth(2).unwrap();
        for part in ["_bucket{le=\"+Inf\"} ", "_sum ", "_count "] {
            assert!(text.contains(&format!("\n{name}{part}")), "{name}{part}");
        }
    }
}

#[tokio::test]
async fn probes_and_people_get_their_answers() {
    let (gate, _service) = busy_gate().await;
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/status", 200),
        ("/x", 404),
    ] {
        assert_eq!(gate.ask(path).await.head.status(), status, "{path}");
    }
    let status = gate.ask("/status").await.json();
    assert_eq!(status["phase"], "ready");
    assert_eq!(
        status["facts"]["peers"],
        serde_json::json!(["front", "partner"])
    );
}

#[tokio::test]
async fn the_side_port_is_for_reading_only() {
    let (gate, _service) = busy_gate().await;
    for path in ["/livez", "/readyz", "/metrics", "/status"] {
        for method in ["POST", "PUT", "DELETE"] {
            let refused = plain::call(gate.admin, request(method, path, &[], "x")).await;
            assert_eq!(refused.head.status(), 405, "{method} {path}");
            assert_eq!(refused.header("allow"), "GET, HEAD");
        }
        let head = Request::head(path).body(Full::default()).unwrap();
        assert_eq!(plain::call(gate.admin, head).await.head.status(), 200);
    }
}

/// A gate that has let two requests through and refused one.
async fn busy_gate() -> (Gate, Fast) {
    let service = Fast::start().await;
    let gate = Gate::start(&service.upstream, "").await;
    let pass = gate.pass();
    for (fields, status) in [
        (&[("authorization", &*pass)][..], 200),
        (&[("authorization", &*pass)], 200),
        (&[], 401),
    ] {
        let caller = gate.front(Http::One);
        let answer = caller.call(local(gate.port), get("/", fields)).await;
        assert_eq!(answer.unwrap().status(), status);
    }
    (gate, service)
}
