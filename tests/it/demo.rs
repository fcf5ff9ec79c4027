//! The newcomer's first command: `sidegate demo` through the binary, and every command it prints.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::eventually;
use crate::harness::peer::installed;

const SIDEGATE: &str = env!("CARGO_BIN_EXE_sidegate");

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The cells of a row of the table.
fn cells(line: &str) -> Vec<&str> {
    let cells = line.split("  ").map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn every_caller_of_the_demo_gets_what_it_must() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(SIDEGATE)
        .arg("demo")
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "the log is quiet unless asked");
    assert!(!said.contains('\x1b'), "colour without a terminal: {said}");

    let rows: Vec<_> = said
        .lines()
        .map(cells)
        .filter(|cells| cells.len() == 5 && cells[4] != "verdict")
        .collect();
    assert!(rows.len() >= 16, "{said}");
    assert!(rows.iter().all(|row| row[4] == "ok"), "{said}");
    for row in [
        [
            "no certificate",
            "TLS alert CertificateRequired",
            "nothing",
            "certificate_missing",
        ],
        ["no token", "HTTP/1.1 401", "nothing", "token_missing"],
        [
            "HS256 signed with the public key",
            "HTTP/1.1 401",
            "nothing",
            "algorithm_refused",
        ],
        ["good, over HTTP/2", "HTTP/2 200", "ada", "-"],
        [
            "good, but says X-Auth-Subject: admin",
            "HTTP/1.1 200",
            "ada",
            "-",
        ],
    ] {
        assert!(
            rows.iter().any(|cells| cells[..4] == row),
            "{row:?}\n{said}"
        );
    }
    let left = folder.path().read_dir().unwrap().count();
    assert_eq!(left, 0, "something is left in the temporary folder");
}

#[test]
fn a_verbose_demo_shows_the_decisions() {
    let output = Command::new(SIDEGATE).args(["demo", "--verbose"]).output();
    let output = output.unwrap();
    let log = text(&output.stderr);
    assert!(output.status.success(), "{log}");
    for reason in [
        "certificate_missing",
        "token_expired",
        "issuer_not_for_peer",
    ] {
        assert!(log.contains(reason), "{reason}\n{log}");
    }
    assert!(!log.contains("eyJ"), "a token in the log: {log}");
}

/// A demo that stays, until it is dropped.
struct Staying {
    child: Child,
    said: String,
}

impl Staying {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(SIDEGATE)
            .args(["demo", "--stay"])
            .env("TMPDIR", folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        while !said.contains("Ctrl-C") {
            assert_ne!(reader.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Self { child, said }
    }

    /// Each command with the line above it that says what it does.
    fn commands(&self) -> Vec<(&str, &str)> {
        let lines: Vec<_> = self.said.lines().collect();
        let pairs = lines.windows(2);
        let commands = pairs.filter(|pair| pair[1].starts_with("curl "));
        commands
            .map(|pair| (pair[0].strip_prefix("# ").unwrap(), pair[1]))
            .collect()
    }
}

impl Drop for Staying {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn pasted(command: &str) -> Output {
    let output = Command::new("sh").args(["-c", command]).output();
    output.unwrap()
}

/// Asserts that what a command did is what its comment says after the arrow.
fn did_what_it_says(says: &str, output: &Output) {
    let (_, promise) = says.split_once(" -> ").unwrap();
    let answer = text(&output.stdout);
    let shown = format!("{says}\n{answer}{}", text(&output.stderr));
    let first = answer.lines().next().unwrap_or_default();
    let (result, more) = promise.split_once(", ").unwrap_or((promise, ""));
    if result.starts_with("TLS alert") {
        assert_eq!(more, "curl fails", "{shown}");
        assert!(!output.status.success() && answer.is_empty(), "{shown}");
        let error = text(&output.stderr).to_lowercase();
        assert!(error.contains("certificate required"), "{shown}");
        return;
    }
    assert!(output.status.success(), "{shown}");
    if result.starts_with("HTTP/") {
        assert!(first.starts_with(result), "{shown}");
    } else {
        assert!(answer.contains(result), "{shown}");
    }
    if let Some(header) = more.strip_prefix("the service sees ") {
        let (name, value) = header.split_once(": ").unwrap();
        let body = &answer[answer.find("\r\n\r\n").unwrap()..];
        let body: Value = serde_json::from_str(body).unwrap();
        let fields = body["headers"].as_array().unwrap();
        let named = fields.iter().filter(|field| field[0] == name);
        let values: Vec<_> = named.map(|field| &field[1]).collect();
        assert_eq!(values, [value], "{shown}");
        assert!(!answer.contains("admin"), "{shown}");
    } else {
        assert_eq!(more, "", "a promise that this test does not check: {says}");
    }
}

#[test]
fn every_command_that_the_staying_demo_prints_does_what_it_says() {
    if installed("curl").is_none() {
        return;
    }
    // A blank and a quote: the printed paths must be words of a shell all the same.
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("it's a folder");
    std::fs::create_dir(&folder).unwrap();
    let mut demo = Staying::start(&folder);
    let commands = demo.commands();
    assert!(commands.len() >= 6, "{}", demo.said);
    for (says, command) in commands {
        did_what_it_says(says, &pasted(command));
    }
    let pid = Pid::from_child(&demo.child);
    kill_process(pid, Signal::INT).unwrap();
    let status = demo.child.wait().unwrap();
    assert!(status.success(), "{status}");
    let left = folder.read_dir().unwrap().count();
    assert_eq!(left, 0, "Ctrl-C must remove the folder");
}

#[tokio::test]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let left = || folder.path().read_dir().unwrap().count();
    let mut staying = Staying::start(folder.path());
    kill_process(Pid::from_child(&staying.child), Signal::TERM).unwrap();
    assert!(staying.child.wait().unwrap().success());
    assert_eq!(left(), 0);

    let mut early = Command::new(SIDEGATE)
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the folder is made", || left() == 1).await;
    kill_process(Pid::from_child(&early), Signal::INT).unwrap();
    early.wait().unwrap();
    assert_eq!(left(), 0);
}

#[test]
fn a_port_that_is_taken_is_said_in_words() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(SIDEGATE)
        .args(["demo", "--port", &port])
        .output();
    let output = output.unwrap();
    assert!(!output.status.success());
    let said = text(&output.stderr);
    assert!(
        said.contains(&port) && said.contains("cannot listen"),
        "{said}"
    );
}
