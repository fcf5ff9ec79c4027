//! The log: every decision is in it once, in its order, whoever reads it and however slowly.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use sidegate::lab::{Http, Line};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::harness::process::Gate;
use crate::harness::service::Fast;
use crate::harness::{eventually, eventually_so, get, local};

/// Sixteen callers, until the gate is told to end, and on until it takes no more. What was answered is
/// in the log, once each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_and_then_sigterm_lose_no_line() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &told("info", "100ms")).await;
    let answered = under_load(&gate, || gate.terminate()).await;
    assert_eq!(gate.exit_code().await, 0);
    let lines = lines(&gate.log());
    let counts = by_request_id(&lines);
    assert!(answered.len() > 200);
    for id in &answered {
        assert_eq!(counts.get(id.as_str()), Some(&1), "{id}");
    }
    assert_eq!(counts.len() as u64, service.arrived());
    // The last of all words stands last.
    let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert_eq!(messages.last(), Some(&&Value::from("stopped")));
    assert!(messages.contains(&&Value::from("stopping")));
}

/// The same where nothing is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_loses_no_line_of_what_was_answered() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &told("info", "60s")).await;
    let answered = under_load(&gate, || gate.terminate());
    let twice = async {
        eventually_so("the first signal is noticed", async || {
            gate.ask("/readyz").await.head.status() == 503
        })
        .await;
        gate.terminate();
    };
    let (answered, ()) = tokio::join!(answered, twice);
    assert_eq!(gate.exit_code().await, 2);
    let lines = lines(&gate.log());
    let counts = by_request_id(&lines);
    for id in &answered {
        assert_eq!(counts.get(id.as_str()), Some(&1), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stands_still_gets_every_line_in_order_when_it_goes_on() {
    let service = Fast::start().await;
    let pipe = Pipe::create();
    let mut gate = Gate::under(&pipe.script(), &service.upstream, &told("info", "0s")).await;
    let mut line = open(&gate).await;
    let pass = gate.pass();
    // More than fits into the pipe; what does not fit waits, and requests do not.
    for number in 0..50 {
        let path = long_path(number);
        let answer = line.send(get(&path, &[("authorization", &pass)])).await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    // More than fits anywhere: whoever calls waits for whoever reads.
    let rest = tokio::spawn(async move {
        for number in 50..500 {
            let path = long_path(number);
            let answer = line.send(get(&path, &[("authorization", &pass)])).await;
            assert_eq!(answer.unwrap().status(), 200);
        }
    });
    let path = pipe.path.clone();
    let read = tokio::task::spawn_blocking(move || fs::read_to_string(path).unwrap());
    rest.await.unwrap();
    gate.terminate();
    assert_eq!(gate.exit_code().await, 0);
    let lines = lines(&read.await.unwrap());
    let paths = lines.iter().filter_map(|line| line["path"].as_str());
    assert!(paths.eq((0..500).map(long_path)));
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

#[tokio::test]
async fn a_reader_that_stands_still_does_not_hold_up_a_second_signal() {
    let service = Fast::start().await;
    let pipe = Pipe::create();
    let mut gate = Gate::under(&pipe.script(), &service.upstream, &told("info", "0s")).await;
    let mut line = open(&gate).await;
    let pass = gate.pass();
    for number in 0..50 {
        let path = long_path(number);
        let answer = line.send(get(&path, &[("authorization", &pass)])).await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    drop(line);
    gate.terminate();
    // It has ended but for its log, which nobody reads.
    eventually_so("the port is closed", async || !gate.accepts().await).await;
    gate.terminate();
    assert_eq!(gate.exit_code().await, 2);
}

/// Requests make their lines in another way than everything else that is logged.
#[tokio::test]
async fn lines_of_requests_and_other_lines_stand_in_the_order_of_what_happened() {
    let service = Fast::start().await;
    let mut gate = Gate::start(&service.upstream, &told("info", "0s")).await;
    let mut line = open(&gate).await;
    let pass = gate.pass();
    for number in 0..20 {
        let answer = line.send(get(&format!("/{number}"), &[("authorization", &pass)]));
        assert_eq!(answer.await.unwrap().status(), 200);
        // Its own line is written before its answer.
        malformed(&gate).await;
    }
    gate.terminate();
    assert_eq!(gate.exit_code().await, 0);
    let lines = lines(&gate.log());
    let decisions = lines.iter().filter(|line| line["peer"].is_string());
    let told: Vec<String> = decisions
        .map(|line| match line["path"].as_str() {
            Some(path) => path.to_owned(),
            None => line["reason"].as_str().unwrap().to_owned(),
        })
        .collect();
    let expected: Vec<String> = (0..20)
        .flat_map(|number| [format!("/{number}"), "request_malformed".to_owned()])
        .collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn the_level_decides_which_decisions_are_told() {
    let service = Fast::start().await;
    let all = ["allowed", "refused"];
    for (level, expected) in [("info", &all[..]), ("warn", &all[1..]), ("error", &[])] {
        let mut gate = Gate::start(&service.upstream, &told(level, "0s")).await;
        let mut line = open(&gate).await;
        let pass = gate.pass();
        for (fields, status) in [(&[("authorization", &*pass)][..], 200), (&[], 401)] {
            let answer = line.send(get("/", fields)).await.unwrap();
            assert_eq!(answer.status(), status);
        }
        gate.terminate();
        assert_eq!(gate.exit_code().await, 0);
        let lines = lines(&gate.log());
        // Whether the gate accepts was found out by connections that nobody vouched for.
        let of_requests = lines.iter().filter(|line| line["path"].is_string());
        let decisions = of_requests.filter_map(|line| line["decision"].as_str());
        assert_eq!(decisions.collect::<Vec<_>>(), expected, "{level}");
    }
}

/// A pipe with a name, which is open before anybody reads it.
struct Pipe {
    path: PathBuf,
    _folder: TempDir,
}

impl Pipe {
    fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        Self {
            path,
            _folder: folder,
        }
    }

    /// Starts a command that writes into it.
    fn script(&self) -> String {
        fn shown(path: &Path) -> &str {
            path.to_str().unwrap()
        }
        format!("exec \"$@\" 2<> '{}'", shown(&self.path))
    }
}

/// Keeps the gate busy on sixteen connections, calls `end` once it is, and goes on until nothing is
/// taken any more. The ids of what was answered.
async fn under_load(gate: &Gate, end: impl FnOnce()) -> HashSet<String> {
    let count = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..16 {
        let (mut line, pass, count) = (open(gate).await, gate.pass(), Arc::clone(&count));
        callers.spawn(async move {
            let mut answered = Vec::new();
            for number in 0.. {
                let id = format!("{caller}-{number}");
                let fields = [("authorization", &*pass), ("x-request-id", &*id)];
                // Closed, sooner or later.
                let Ok(answer) = line.send(get("/", &fields)).await else {
                    break;
                };
                assert_eq!(answer.status(), 200);
                answered.push(id);
                count.fetch_add(1, Ordering::SeqCst);
            }
            answered
        });
    }
    eventually("there is load", || count.load(Ordering::SeqCst) > 200).await;
    end();
    callers.join_all().await.into_iter().flatten().collect()
}

async fn open(gate: &Gate) -> Line {
    let line = gate.front(Http::One).open(local(gate.port)).await;
    line.unwrap()
}

/// A head that is none, and the end of its answer.
async fn malformed(gate: &Gate) {
    let connected = gate.front(Http::One).connect(local(gate.port)).await;
    let mut tls = connected.unwrap();
    tls.write_all(b"this is no request\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Whether the end is polite is not asked here.
    drop(tokio::io::AsyncReadExt::read_to_end(&mut tls, &mut answer).await);
    assert!(answer.starts_with(b"HTTP/1.1 400"));
}

fn long_path(number: usize) -> String {
    format!("/{number}/{}", "x".repeat(4_000))
}

fn told(level: &str, delay: &str) -> String {
    format!(
        "[log]\nlevel = \"{level}\"\nformat = \"json\"\n[shutdown]\ndelay = \"{delay}\"\ndrain = \"20s\"\n"
    )
}

fn lines(log: &str) -> Vec<Value> {
    let parsed = log.lines().map(|line| serde_json::from_str(line).unwrap());
    parsed.collect()
}

fn by_request_id(lines: &[Value]) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    for line in lines {
        if let Some(id) = line["request_id"].as_str() {
            *counts.entry(id).or_default() += 1;
        }
    }
    counts
}
