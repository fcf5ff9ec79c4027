//! What `sidegate dev` makes: files that fit together, a gate that runs on them, and no key that
//! others can read.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sidegate::lab::{Caller, Echo, Http, Issued, world};
use sidegate::settings::{Overrides, Settings};
use sidegate::startup;

use crate::harness::{ANY, bearer, get, seen_header};

const SIDEGATE: &str = env!("CARGO_BIN_EXE_sidegate");

fn dev(arguments: &[&str]) -> Output {
    let mut command = Command::new(SIDEGATE);
    command.arg("dev").args(arguments).output().unwrap()
}

/// What it printed, if it succeeded.
fn made(arguments: &[&str]) -> String {
    let output = dev(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it complained about, if it failed.
fn refused(arguments: &[&str]) -> String {
    let output = dev(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The listed peer of a folder.
fn front(folder: &Path) -> Caller {
    caller(folder, "front")
}

/// Whoever has the certificate of this name in a folder.
fn caller(folder: &Path, name: &str) -> Caller {
    let certificate = Issued {
        chain_pem: read(folder, &format!("{name}.crt")),
        key_pem: read(folder, &format!("{name}.key")),
        der: Vec::new(),
        serial: Vec::new(),
    };
    let ca = read(folder, "ca.crt");
    Caller::new(&ca, world::SERVER_NAME, Some(&certificate), Http::One).unwrap()
}

#[tokio::test]
async fn a_gate_runs_on_what_dev_certs_writes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/out");
    let name = out.to_str().unwrap();
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let upstream = echo.address.to_string();
    let said = made(&[
        "certs",
        "--out",
        name,
        "--listen",
        ANY,
        "--admin",
        ANY,
        "--upstream",
        &upstream,
    ]);
    assert!(said.contains("FOR DEVELOPMENT ONLY"), "{said}");
    let (settings, _) = Settings::load(&out.join("sidegate.toml"), &Overrides::default()).unwrap();
    let gate = startup::start(settings).await.unwrap();

    let caller = front(&out);
    let key = out.join("next-signing.key");
    let token = made(&[
        "token",
        "--key",
        key.to_str().unwrap(),
        "--alg",
        "RS256",
        "--kid",
        "next",
        "--sub",
        "eve",
        "--claim",
        "groups=[\"a\",\"b\"]",
        "--claim",
        "email=eve@example.com",
    ]);
    for (token, subject, groups) in [
        (token.trim().to_owned(), "eve", "a,b"),
        (read(&out, "token"), "ada", "engineers,readers"),
    ] {
        let request = get("/", &[("authorization", &bearer(&token))]);
        let answer = caller.call(gate.address, request).await.unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(seen_header(&answer, "x-auth-subject"), [subject]);
        assert_eq!(seen_header(&answer, "x-auth-groups"), [groups]);
    }
}

#[tokio::test]
async fn each_token_that_dev_certs_writes_is_what_its_name_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let name = out.to_str().unwrap();
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let upstream = echo.address.to_string();
    let addresses = ["--listen", ANY, "--admin", ANY, "--upstream", &upstream];
    made(&[&["certs", "--out", name][..], &addresses].concat());
    let (settings, _) = Settings::load(&out.join("sidegate.toml"), &Overrides::default()).unwrap();
    let gate = startup::start(settings).await.unwrap();
    for (peer, token, status) in [
        ("front", "token", 200),
        ("front", "next.token", 200),
        ("front", "previous.token", 200),
        ("front", "expired.token", 401),
        ("partner", "token", 403),
    ] {
        let pass = bearer(&read(&out, token));
        let request = get("/", &[("authorization", &pass)]);
        let answer = caller(&out, peer).call(gate.address, request).await;
        assert_eq!(answer.unwrap().status(), status, "{peer} {token}");
    }
    let partners = read(&out, "partner.token");
    let request = get("/", &[("x-partner-assertion", &partners)]);
    let answer = caller(&out, "partner").call(gate.address, request).await;
    assert_eq!(seen_header(&answer.unwrap(), "x-auth-subject"), ["grace"]);
}

#[test]
fn a_development_ca_is_warned_of_beyond_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    made(&["certs", "--out", out.to_str().unwrap()]);
    let config = out.join("sidegate.toml");
    let check = |listen: &str| {
        let mut command = Command::new(SIDEGATE);
        command.args(["check", "--listen", listen, "--config"]);
        let output = command.arg(&config).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let warning = "warning: tls.client_ca holds a throw-away CA";
    for listen in ["0.0.0.0:8443", "192.0.2.1:8443", "[::]:8443"] {
        assert!(check(listen).contains(warning), "{listen}");
    }
    for listen in ["127.0.0.1:8443", "[::1]:8443"] {
        assert!(!check(listen).contains(warning), "{listen}");
    }
}

#[test]
fn dev_certs_is_private_says_what_it_is_and_overwrites_only_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let name = out.to_str().unwrap();
    made(&["certs", "--out", name]);
    assert_eq!(mode(&out), 0o700);
    let notice = fs::read_to_string(out.join("README.md")).unwrap();
    assert!(notice.contains("**For development only.**"));
    for entry in out.read_dir().unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        let name = path.file_name().unwrap().to_str().unwrap();
        let stem = name.split('.').next().unwrap();
        let named =
            notice.contains(&format!("`{name}`")) || notice.contains(&format!("`{stem}.*`"));
        assert!(
            named || name == "README.md",
            "the notice does not name {name}"
        );
    }
    let said = refused(&["certs", "--out", name]);
    assert!(
        said.contains("is not empty") && said.contains("--force"),
        "{said}"
    );

    let key = out.join("signing.key");
    let before = fs::read(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    made(&["certs", "--out", name, "--force"]);
    assert_ne!(fs::read(&key).unwrap(), before);
    assert_eq!(
        mode(&key),
        0o600,
        "an old file's mode must not open a new key"
    );
}

#[test]
fn dev_jwks_keeps_the_key_private_and_prints_the_same_set_again() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ["ES256", "ES384", "ES512", "RS256", "PS512", "EdDSA"] {
        let path = folder.path().join(algorithm);
        let name = path.to_str().unwrap();
        let first = made(&["jwks", "--alg", algorithm, "--kid", "one", "--out", name]);
        assert_eq!(mode(&path), 0o600);
        let set: Value = serde_json::from_str(&first).unwrap();
        let key = set.pointer("/keys/0").unwrap();
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        assert_eq!(
            (member("alg"), member("kid")),
            (Some(algorithm), Some("one"))
        );
        assert_eq!(member("d"), None, "the private half is printed");
        let again = made(&["jwks", "--alg", algorithm, "--kid", "one", "--key", name]);
        assert_eq!(first, again);
        let said = refused(&["jwks", "--alg", algorithm, "--out", name]);
        assert!(said.contains("exists"), "{said}");
        let token = made(&["token", "--alg", algorithm, "--key", name]);
        assert_eq!(token.trim().split('.').count(), 3);
    }
}

#[test]
fn a_secret_has_no_jwks_and_signs_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let name = path.to_str().unwrap();
    let output = dev(&["jwks", "--alg", "HS256", "--out", name]);
    assert!(output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("keys = { secret"));
    assert_eq!(mode(&path), 0o600);
    made(&["token", "--alg", "HS256", "--key", name]);
}

#[test]
fn mistakes_are_answered_with_what_to_write() {
    let says = |arguments: &[&str], fix: &str| {
        let said = refused(arguments);
        assert!(said.contains(fix), "{arguments:?}: {said}");
    };
    says(&["jwks"], "--out <FILE>");
    says(
        &["jwks", "--alg", "none", "--out", "x"],
        "write one of ES256",
    );
    says(&["token", "--key", "x", "--ttl", "5"], "5s");
    says(&["token", "--key", "x", "--claim", "groups"], "NAME=JSON");
    says(&["token", "--key", "not-there"], "not-there: ");
    says(&["echo", "--listen", "8080"], "127.0.0.1:8080");
}

#[test]
fn dev_echo_answers_on_a_unix_socket_and_removes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.sock");
    let mut child = Command::new(SIDEGATE)
        .args([
            "dev",
            "echo",
            "--listen",
            &format!("unix:{}", path.display()),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"GET /here HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(answer.contains("\"target\": \"/here\""), "{answer}");
    assert!(!path.exists(), "the socket is left behind");
}
