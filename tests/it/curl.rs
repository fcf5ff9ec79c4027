//! curl as a direct client of the gate: somebody else's TLS, HTTP/1.1 and HTTP/2.

use std::process::{Command, Output};

use serde_json::Value;
use sidegate::lab::world;

use crate::harness::plain::received;
use crate::harness::street::behind;
use crate::harness::{Town, bearer, peer};

const VERSIONS: [&str; 2] = ["--http1.1", "--http2"];

#[tokio::test]
async fn curl_gets_through_with_certificate_and_token_over_either_version() {
    let Some((town, _service)) = town().await else {
        return;
    };
    let pass = format!("authorization: {}", bearer(&town.token()));
    for version in VERSIONS {
        let Some(output) = curl(&town, &[version, "-H", &pass, "-d", "a=b"]).await else {
            return;
        };
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&seen["method"], &seen["length"]),
            (&"POST".into(), &3.into())
        );
        assert_eq!(received(&seen, "x-auth-subject"), ["ada"]);
    }
}

#[tokio::test]
async fn an_announced_upload_is_asked_for_and_arrives() {
    let Some((town, _service)) = town().await else {
        return;
    };
    let pass = format!("authorization: {}", bearer(&town.token()));
    let file = upload(&town);
    for version in VERSIONS {
        let asks = [
            "-v",
            version,
            "-H",
            &pass,
            "-H",
            "expect: 100-continue",
            "-T",
            &file,
        ];
        let Some(output) = curl(&town, &asks).await else {
            return;
        };
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen["length"], 3_000_000, "{seen:#}");
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(
            version == "--http2" || talk.contains("< HTTP/1.1 100 Continue"),
            "{talk}"
        );
    }
}

#[tokio::test]
async fn an_announced_upload_that_is_refused_is_never_sent() {
    let Some((town, _service)) = town().await else {
        return;
    };
    let file = upload(&town);
    let asks = [
        "-H",
        "expect: 100-continue",
        "--expect100-timeout",
        "20",
        "-T",
        &file,
    ];
    let tells = [
        "--http1.1",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_upload}",
    ];
    let Some(output) = curl(&town, &[&asks[..], &tells].concat()).await else {
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401 0");
}

#[tokio::test]
async fn a_service_on_a_unix_socket_is_reached_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("legacy.sock");
    let Some(service) = peer::legacy(Some(&socket)).await else {
        return;
    };
    let town = behind(&service, |config| config).await;
    let pass = format!("authorization: {}", bearer(&town.token()));
    let file = upload(&town);
    for version in VERSIONS {
        let Some(output) = curl(&town, &[version, "-H", &pass, "-T", &file]).await else {
            return;
        };
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(seen["length"], 3_000_000, "{seen:#}");
        assert_eq!(received(&seen, "x-auth-subject"), ["ada"]);
    }
}

async fn town() -> Option<(Town, peer::Service)> {
    let service = peer::legacy(None).await?;
    Some((behind(&service, |config| config).await, service))
}

/// A file of 3 MB to send.
fn upload(town: &Town) -> String {
    town.world
        .write("upload", &"abc".repeat(1_000_000))
        .unwrap();
    town.world
        .folder
        .join("upload")
        .to_str()
        .unwrap()
        .to_owned()
}

/// curl with the certificate of the listed peer `front`.
async fn curl(town: &Town, arguments: &[&str]) -> Option<Output> {
    let (name, gate) = (world::SERVER_NAME, town.gate.address);
    let file = |name: &str| town.world.folder.join(name);
    let mut command = Command::new(peer::installed("curl")?);
    command.args(["-sS", "--noproxy", "*", "--max-time", "30"]);
    command.arg("--cacert").arg(file("ca.crt"));
    command.arg("--cert").arg(file("front.crt"));
    command.arg("--key").arg(file("front.key"));
    command.args([
        "--resolve",
        &format!("{name}:{}:{}", gate.port(), gate.ip()),
    ]);
    command.arg(format!("https://{name}:{}/", gate.port()));
    let output = peer::finished(command, arguments).await;
    assert!(output.status.success(), "{output:?}");
    Some(output)
}
