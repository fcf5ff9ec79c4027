//! A connection without a request for a second keeps no buffers, and nobody can tell.

use std::time::Duration;

use sidegate::lab::{Echo, Http, Validity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::harness::process::Gate;
use crate::harness::service::Fast;
use crate::harness::{ANY, Town, bearer, eventually, eventually_so, local};

const RESTING: &str = "sidegate_connections_resting";
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection of the peer `front` over HTTP/1.1, byte by byte.
struct Wire(TlsStream<TcpStream>);

impl Wire {
    async fn to(town: &Town) -> Self {
        let caller = town.front(Http::One);
        Self(caller.connect(town.gate.address).await.unwrap())
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One answer: its head, and as much of a body as it says.
    async fn answer(&mut self) -> String {
        let mut answer = String::new();
        let read = async {
            while !is_whole(&answer) {
                let mut some = [0; 4096];
                let count = self.0.read(&mut some).await.unwrap();
                assert_ne!(count, 0, "it ended after {answer:?}");
                answer.push_str(std::str::from_utf8(&some[..count]).unwrap());
            }
        };
        timeout(PATIENCE, read).await.expect("no answer");
        answer
    }

    /// What came before a clean end: `close_notify`, and no reset.
    async fn rest(&mut self) -> String {
        let mut rest = String::new();
        let read = timeout(PATIENCE, self.0.read_to_string(&mut rest));
        read.await.expect("no end").expect("an unclean end");
        rest
    }
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() == length.expect("a length").parse::<usize>().unwrap()
}

fn get(town: &Town) -> String {
    let token = bearer(&town.token());
    format!("GET / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\n\r\n")
}

async fn rested(town: &Town) {
    eventually("it rests", || town.sample(RESTING) == 1).await;
}

#[tokio::test]
async fn a_connection_that_rested_serves_what_comes_next() {
    let town = Town::start().await;
    let mut wire = Wire::to(&town).await;
    rested(&town).await;
    for _ in 0..3 {
        wire.say(&get(&town)).await;
        assert!(wire.answer().await.starts_with("HTTP/1.1 200"));
        assert_eq!(town.sample(RESTING), 0);
        rested(&town).await;
    }
    let token = bearer(&town.token());
    let (head, body) = (
        format!("POST / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\ncontent-length: 5\r\n"),
        "\r\nhello",
    );
    // In pieces, the first of which wakes it.
    for piece in [&head, body] {
        wire.say(piece).await;
        eventually("it is awake", || town.sample(RESTING) == 0).await;
    }
    assert!(wire.answer().await.contains("\"body_bytes\": 5"));
    assert_eq!(town.echo.served(), 4);
    assert_eq!(town.sample("sidegate_connections_open"), 1);
}

#[tokio::test]
async fn an_idle_connection_that_rests_is_closed_when_its_time_is_up() {
    let town =
        Town::with(|config| config + "\n[timeouts]\nidle = \"3s\"\nheader_read = \"2s\"\n").await;
    let mut wire = Wire::to(&town).await;
    wire.say(&get(&town)).await;
    wire.answer().await;
    rested(&town).await;
    let mut nothing = Vec::new();
    let end = timeout(PATIENCE, wire.0.read_to_end(&mut nothing));
    drop(end.await.expect("it stays open"));
    let closed = "sidegate_connections_closed_total{cause=\"idle\"}";
    eventually("counted", || town.sample(closed) == 1).await;
    assert_eq!(town.sample(RESTING), 0);
}

#[tokio::test]
async fn a_connection_that_rests_ends_when_its_caller_goes() {
    let town = Town::start().await;
    let wire = Wire::to(&town).await;
    rested(&town).await;
    drop(wire);
    eventually("it is gone", || {
        town.sample("sidegate_connections_open") == 0
    })
    .await;
    assert_eq!(town.sample(RESTING), 0);
}

#[tokio::test]
async fn a_connection_that_rests_ends_cleanly_when_the_gate_does() {
    let service = Fast::start().await;
    let times = "[shutdown]\ndelay = \"0s\"\ndrain = \"60s\"\n";
    let mut gate = Gate::start(&service.upstream, times).await;
    let caller = gate.front(Http::One);
    let mut wire = Wire(caller.connect(local(gate.port)).await.unwrap());
    eventually_so("it rests", async || gate.metric(RESTING).await == 1).await;
    gate.terminate();
    assert_eq!(wire.rest().await, "");
    assert_eq!(gate.exit_code().await, 0);
}

#[tokio::test]
async fn a_connection_that_rests_ends_when_its_certificate_is_revoked() {
    let town = Town::start().await;
    let mut wire = Wire::to(&town).await;
    rested(&town).await;
    let world = &town.world;
    let revoked = world.ca.revoke(&[&world.front.serial], Validity::Now);
    let lists = revoked.unwrap() + &world.intermediate_crl;
    world.write("ca.crl", &lists).unwrap();
    assert_eq!(wire.rest().await, "");
    let closed = "sidegate_connections_closed_total{cause=\"trust\"}";
    eventually("counted", || town.sample(closed) == 1).await;
}

#[tokio::test]
async fn what_is_left_of_an_upload_is_never_taken_for_a_request_when_its_connection_rests() {
    // A service that answers before it has read a body, and reads none.
    let listener = TcpListener::bind(ANY).await.unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    let (arrived, mut heads) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut some = [0; 4096];
            let count = socket.read(&mut some).await.unwrap();
            arrived.send(some[..count].to_vec()).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            held.push(socket);
        }
    });
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let town = Town::before(echo, &upstream, |config| {
        config + "\n[timeouts]\nstream_idle = \"3s\"\n"
    })
    .await;
    let mut wire = Wire::to(&town).await;
    let (token, smuggled) = (bearer(&town.token()), get(&town));
    wire.say(&format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {token}\r\ncontent-length: 100000\r\n\r\n{smuggled}"
    ))
    .await;
    assert!(wire.answer().await.starts_with("HTTP/1.1 200"));
    eventually("the connection ends", || {
        assert_eq!(town.sample(RESTING), 0);
        town.sample("sidegate_connections_open") == 0
    })
    .await;
    assert!(heads.recv().await.is_some());
    assert!(heads.try_recv().is_err(), "a second request arrived");
}
