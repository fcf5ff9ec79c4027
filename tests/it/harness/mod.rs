//! A gate in a little world of its own: fresh PKI and keys in a temporary folder, real sockets on
//! free ports, an echo service behind it.

// Each test module uses its part.
#![allow(dead_code, reason = "each test module uses its part of the harness")]

pub(crate) mod counters;
pub(crate) mod docker;
pub(crate) mod key_server;
pub(crate) mod peer;
pub(crate) mod plain;
pub(crate) mod process;
pub(crate) mod service;
pub(crate) mod street;
pub(crate) mod ticking;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::Value;
use sidegate::lab::{Caller, Echo, Http, Issued, World, world};
use sidegate::model::{Algorithm, Denial, Timestamp};
use sidegate::observe::Metrics;
use sidegate::settings::{Overrides, Settings};
use sidegate::startup::{self, Running};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::attacks::rsa::rsa;

/// What has not happened by then will not: far beyond what a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The loopback address with a free port to be found.
pub(crate) const ANY: &str = "127.0.0.1:0";

/// A running gate and everything around it.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) echo: Echo,
    pub(crate) gate: Running,
    _folder: TempDir,
}

impl Town {
    /// The standard world.
    pub(crate) async fn start() -> Self {
        Self::with(|config| config).await
    }

    /// The standard world with its configuration changed.
    pub(crate) async fn with(change: impl FnOnce(String) -> String) -> Self {
        let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
        let upstream = echo.address.to_string();
        Self::before(echo, &upstream, change).await
    }

    /// The standard world under another configuration: what `config` makes of the service's address.
    pub(crate) async fn start_as(config: impl FnOnce(&str) -> String) -> Self {
        let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
        let upstream = echo.address.to_string();
        Self::before(echo, &upstream, |_| config(&upstream)).await
    }

    /// The same in front of another service than `echo`.
    pub(crate) async fn before(
        echo: Echo,
        upstream: &str,
        change: impl FnOnce(String) -> String,
    ) -> Self {
        Self::prepared(echo, upstream, |_, config| change(config)).await
    }

    /// The same, for a configuration that names files which must be there at the start.
    pub(crate) async fn prepared(
        echo: Echo,
        upstream: &str,
        prepare: impl FnOnce(&World, String) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = new_world(folder.path());
        let config = prepare(&world, world.config(ANY, ANY, upstream));
        let gate = run(&world, config).await;
        Self {
            world,
            echo,
            gate,
            _folder: folder,
        }
    }

    /// A client that shows `certificate`.
    pub(crate) fn caller(&self, certificate: Option<&Issued>, http: Http) -> Caller {
        Caller::new(self.world.ca.pem(), world::SERVER_NAME, certificate, http).unwrap()
    }

    /// The listed peer `front`.
    pub(crate) fn front(&self, http: Http) -> Caller {
        self.caller(Some(&self.world.front), http)
    }

    /// A good token of the first issuer.
    pub(crate) fn token(&self) -> String {
        self.world.token().sign(&self.world.key).unwrap()
    }

    /// What `sidegate_refused_total` says of a reason.
    pub(crate) fn refused(&self, reason: &str) -> u64 {
        let denial = Denial::ALL.iter().find(|denial| denial.code() == reason);
        let stage = denial
            .unwrap_or_else(|| panic!("no reason {reason}"))
            .stage()
            .code();
        self.sample(&format!(
            "sidegate_refused_total{{reason=\"{reason}\",stage=\"{stage}\"}}"
        ))
    }

    /// The value of one sample of the exposition; 0 where it is not there yet.
    pub(crate) fn sample(&self, name: &str) -> u64 {
        sample(&self.gate.metrics, name)
    }
}

/// The value of one sample of an exposition; 0 where it is not there yet.
pub(crate) fn sample(metrics: &Metrics, name: &str) -> u64 {
    counters::sample(&counters::exposition(metrics), name).unwrap_or(0)
}

/// What `/status` says.
pub(crate) async fn status_page(town: &Town) -> Value {
    let request = Request::get("/status")
        .body(Full::<Bytes>::default())
        .unwrap();
    plain::call(town.gate.admin.unwrap().port(), request)
        .await
        .json()
}

/// A world in `folder`, its one RSA key shared with all others of this process.
pub(crate) fn new_world(folder: &Path) -> World {
    world_at(folder, Timestamp::now())
}

/// The same, made at another time than now.
pub(crate) fn world_at(folder: &Path, now: Timestamp) -> World {
    let next_key = rsa("next", Algorithm::Rs256, Some("next"));
    World::with_next_key(folder, now, next_key).unwrap()
}

/// Starts a gate from a configuration text, its files beside `world`'s.
pub(crate) async fn run(world: &World, config: String) -> Running {
    let name = world.folder.join("sidegate.toml");
    let name = name.to_str().unwrap();
    let (settings, _) = Settings::from_text(&config, name, &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}"));
    startup::start(settings)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// `GET path` with these fields.
pub(crate) fn get(path: &str, fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    request("GET", path, fields, "")
}

/// A request with these fields and this body.
pub(crate) fn request(
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path);
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

/// What the echo service saw.
pub(crate) fn seen(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body())
        .unwrap_or_else(|_| panic!("not from the echo service: {response:?}"))
}

/// The values of a header that the echo service saw.
pub(crate) fn seen_header(response: &Response<Bytes>, name: &str) -> Vec<String> {
    let seen = seen(response);
    let fields = seen["headers"].as_array().unwrap();
    let named = fields.iter().filter(|field| field[0] == name);
    named
        .map(|field| field[1].as_str().unwrap().to_owned())
        .collect()
}

/// Polls until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_so(what, async || condition()).await;
}

/// The same with a condition that has to ask somebody.
pub(crate) async fn eventually_so(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

/// `Authorization` with a bearer token.
pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A loopback address.
pub(crate) fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Sends bytes as the peer `front` over HTTP/1.1 and collects everything until the end.
pub(crate) async fn raw(town: &Town, text: &str) -> String {
    let mut tls = town
        .front(Http::One)
        .connect(town.gate.address)
        .await
        .unwrap();
    tls.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), tls.read_to_end(&mut answer));
    // Whether the end is polite is not what these tests ask.
    drop(read.await.expect("the gate left the connection open"));
    String::from_utf8_lossy(&answer).into_owned()
}
