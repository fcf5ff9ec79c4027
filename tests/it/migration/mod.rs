//! The way from an Envoy `jwt_authn` sidecar to sidegate: both are run with the configurations that
//! `docs/how-to/from-envoy.md` teaches and sent the same requests. What differs is a table, each line
//! with its argument; the page shows that table, and what it does not list must be the same.

mod differences;
mod requests;

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sidegate::lab::{Caller, Echo, Http, Issued, World, world};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use self::differences::DIFFERENCES;
use self::requests::{By, Case, FORGED, Rotated};
use crate::harness::peer::{self, Peer, free_port, installed};
use crate::harness::{ANY, Town, eventually, local};

const PAGE: &str = include_str!("../../../docs/how-to/from-envoy.md");

/// Nothing that is sent here takes long to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first fenced block of a language on the page.
fn fence(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0
}

/// A text with values put in the place of others, each of which must be there.
fn with(text: &str, values: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in values {
        assert!(text.contains(from), "the page does not hold {from}");
        text = text.replace(from, to);
    }
    text
}

// === The two sidecars ===

/// Envoy as the page has it, in front of a service of its own.
struct Envoy {
    port: u16,
    echo: Echo,
    _peer: Peer,
}

impl Envoy {
    async fn start(world: &World) -> Option<Self> {
        let program = installed("envoy")?;
        let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
        let (service, keys) = (echo.address.port(), world.folder.join("jwks.json"));
        let (peer, ports) = peer::start("envoy", |folder| {
            let port = free_port();
            let config = with(
                fence("yaml"),
                &[
                    (
                        "address: 0.0.0.0, port_value: 10000",
                        &format!("address: 127.0.0.1, port_value: {port}"),
                    ),
                    ("port_value: 8080", &format!("port_value: {service}")),
                    ("/etc/envoy/jwks.json", keys.to_str().unwrap()),
                    // It waits a second before it closes a connection; that is not the question.
                    ("codec_type: AUTO", "delayed_close_timeout: 0s"),
                ],
            );
            let path = folder.join("envoy.yaml");
            fs::write(&path, config).unwrap();
            let mut command = Command::new(&program);
            command.arg("-c").arg(path);
            command.args(["--disable-hot-restart", "--concurrency", "1"]);
            command.args(["--log-level", "error"]);
            (command, vec![port])
        })
        .await;
        Some(Self {
            port: ports[0],
            echo,
            _peer: peer,
        })
    }

    async fn send(&self, case: &Case) -> String {
        let before = self.echo.served();
        let mut socket = TcpStream::connect(local(self.port)).await.unwrap();
        let answer = exchange(&mut socket, &case.bytes).await;
        told(&answer, case, self.echo.served() - before)
    }
}

/// The page's configuration for sidegate, with the files of a `World`.
fn sidegate(upstream: &str) -> String {
    let config = with(
        fence("toml"),
        &[
            ("/etc/sidegate/tls/tls.crt", "server.crt"),
            ("/etc/sidegate/tls/tls.key", "server.key"),
            ("/etc/sidegate/ca/ca.crt", "ca.crt"),
            ("/etc/sidegate/ca/ca.crl", "ca.crl"),
            ("/etc/sidegate/jwks/pomerium.json", "jwks.json"),
            ("spiffe://prod.example/ns/edge/sa/pomerium", world::FRONT),
            ("127.0.0.1:8080", upstream),
        ],
    );
    format!("{config}\n[listen]\naddress = \"{ANY}\"\n[admin]\naddress = \"{ANY}\"\n")
}

async fn send(town: &Town, case: &Case) -> String {
    let before = town.echo.served();
    let world = &town.world;
    let certificate: Option<&Issued> = match case.by {
        By::Plain => {
            let mut socket = TcpStream::connect(town.gate.address).await.unwrap();
            let answer = exchange(&mut socket, &case.bytes).await;
            return told(&answer, case, town.echo.served() - before);
        }
        By::Front => Some(&world.front),
        By::NoCertificate => None,
        By::Stranger => Some(&world.stranger),
        By::Foreign => Some(&world.foreign),
        By::Expired => Some(&world.expired),
        By::Revoked => Some(&world.revoked),
    };
    let caller = Caller::new(world.ca.pem(), world::SERVER_NAME, certificate, Http::One);
    let answer = match caller.unwrap().connect(town.gate.address).await {
        Ok(mut tls) => exchange(&mut tls, &case.bytes).await,
        Err(_) => Vec::new(),
    };
    told(&answer, case, town.echo.served() - before)
}

/// Sends the bytes and takes what comes until the other side closes. Whether the end is polite is
/// not what this asks.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let whole = async {
        if socket.write_all(bytes).await.is_ok() {
            drop(socket.flush().await);
        }
        drop(socket.read_to_end(&mut answer).await);
    };
    let whole = tokio::time::timeout(PATIENCE, whole).await;
    assert!(whole.is_ok(), "the connection was left open");
    answer
}

/// What came of it, in the words of the table: `passes` with what the service saw that the caller
/// had made up, or the status, or `no answer`.
fn told(answer: &[u8], case: &Case, served: u64) -> String {
    let text = String::from_utf8_lossy(answer);
    let status = text.split(' ').nth(1).unwrap_or("no answer");
    assert!(served < 2, "{}: reached the service twice", case.name);
    if served == 0 {
        return status.to_owned();
    }
    if status != "200" {
        return format!("reaches the service, {status}");
    }
    let (from, to) = (text.find('{').unwrap(), text.rfind('}').unwrap());
    let seen: Value = serde_json::from_str(&text[from..=to]).unwrap();
    let mut told = "passes".to_owned();
    let line = String::from_utf8_lossy(&case.bytes);
    let target = seen["target"].as_str().unwrap();
    if line.split(' ').nth(1) != Some(target) {
        told.push_str(&format!(" as `{target}`"));
    }
    for field in seen["headers"].as_array().unwrap() {
        let (name, value) = (field[0].as_str().unwrap(), field[1].as_str().unwrap());
        if value == FORGED {
            told.push_str(&format!(" with the caller's `{name}`"));
        } else if value.starts_with("eyJ") {
            told.push_str(&format!(" with the token in `{name}`"));
        }
    }
    told
}

// === The comparison ===

type Found = Vec<(&'static str, String, String)>;

async fn compare(envoy: &Envoy, town: &Town, cases: &[Case], found: &mut Found) {
    for case in cases {
        found.push((case.name, envoy.send(case).await, send(town, case).await));
    }
}

#[tokio::test]
async fn the_sidecar_of_the_guide_and_ours_differ_in_what_the_table_says_and_nothing_else() {
    let town = Town::start_as(sidegate).await;
    let Some(envoy) = Envoy::start(&town.world).await else {
        return;
    };
    let rotated = Rotated::new();
    let mut found = Found::new();
    compare(&envoy, &town, &requests::before(&town.world), &mut found).await;

    town.world.write("jwks.json", &rotated.jwks()).unwrap();
    eventually("the gate has the new keys", || {
        town.sample("sidegate_generation{object=\"keys/pomerium\"}") == 2
    })
    .await;
    let after = requests::after(&town.world, &rotated);
    compare(&envoy, &town, &after, &mut found).await;

    town.world.write("jwks.json", "{").unwrap();
    let stale = "sidegate_reload_total{object=\"keys/pomerium\",result=\"failed\"}";
    eventually("the gate has seen the broken file", || {
        town.sample(stale) > 0
    })
    .await;
    let broken = requests::broken(&town.world, &rotated);
    compare(&envoy, &town, &broken, &mut found).await;

    assert!(found.len() >= 60, "{}", found.len());
    let passed = |row: &&(&str, String, String)| row.2.starts_with("passes");
    assert!(found.iter().filter(passed).count() >= 15);
    let differ: Vec<_> = found
        .iter()
        .filter(|(_, envoy, sidegate)| envoy != sidegate)
        .map(|(case, envoy, sidegate)| (*case, &**envoy, &**sidegate))
        .collect();
    let expected: Vec<_> = DIFFERENCES.iter().map(|it| (it.0, it.1, it.2)).collect();
    for (differs, expects) in differ.iter().zip(&expected) {
        assert_eq!(differs, expects);
    }
    assert_eq!(differ.len(), expected.len());
}

#[test]
fn the_page_shows_the_table_of_differences() {
    let mut table = "| request | Envoy | sidegate | why |\n|---|---|---|---|\n".to_owned();
    for (case, envoy, sidegate, why) in DIFFERENCES {
        assert!(why.len() > 8, "{case}: no argument");
        table.push_str(&format!("| {case} | {envoy} | {sidegate} | {why} |\n"));
    }
    let (_, rest) = PAGE.split_once("<!-- differences:start -->\n").unwrap();
    let (shown, _) = rest.split_once("<!-- differences:end -->").unwrap();
    assert!(
        shown.trim() == table.trim(),
        "docs/how-to/from-envoy.md must hold this table:\n{table}"
    );
}
