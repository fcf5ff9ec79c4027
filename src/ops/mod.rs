//! The read-only side port: `/livez`, `/readyz`, `/metrics`, `/status` and a page for people.
//!
//! Plain HTTP because probes and Prometheus have no client certificate; therefore nothing here
//! changes anything, and nothing here says a secret. Served on a thread and a runtime of its own, so
//! that a busy data path cannot make the process look dead.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::observe::{Health, Metrics, Phase, Refusals, Reloads};
use crate::socket;

/// Probes and scrapers open one connection for each request; a flood waits.
const MAX_CONNECTIONS: usize = 64;
/// A probe's head is one line and some fields.
const HEADER_READ: Duration = Duration::from_secs(5);
/// One request and its answer. Whoever does not read must not keep the probes out.
const EXCHANGE: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";
/// The exposition format of the `prometheus` crate's encoder.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the side port tells.
#[derive(Clone, Debug)]
pub struct Ops {
    /// Behind `/livez` and `/readyz`.
    pub health: Health,
    /// Behind `/metrics`.
    pub metrics: Arc<Metrics>,
    /// Behind `/status`, too: the last refusals.
    pub refusals: Arc<Refusals>,
    /// Behind `/status`: facts that do not change while the process runs.
    pub facts: Arc<serde_json::Map<String, serde_json::Value>>,
    /// Behind `/status`, too: who is known, the editions in force, and those that could not be.
    pub reloads: Reloads,
}

/// The side port, until it is dropped.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub address: SocketAddr,
    _stop: oneshot::Sender<Infallible>,
}

impl Ops {
    /// Binds and serves on a thread of its own.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound or the thread cannot be started.
    pub fn serve(self, address: SocketAddr) -> io::Result<Serving> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new()
            .name("sidegate-ops".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = self.accept(listener) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Serving {
            address,
            _stop: stop,
        })
    }

    async fn accept(self, listener: std::net::TcpListener) {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the admin port cannot be served");
                return;
            }
        };
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                return;
            };
            let Ok((socket, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let ops = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    std::future::ready(Ok::<_, Infallible>(ops.answer(&request)))
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .keep_alive(false)
                    .header_read_timeout(HEADER_READ)
                    .max_header_size(16 * 1024)
                    .serve_connection(socket::any(socket), answer);
                match tokio::time::timeout(EXCHANGE, served).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "admin connection ended"),
                    Err(_) => tracing::debug!("admin connection took too long"),
                }
                drop(permit);
            });
        }
    }

    /// The answer to one request.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD only\n");
            refused
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match request.uri().path() {
            // Alive until the very end: a liveness probe goes on while a pod drains, and a restart
            // then would cut off what is still running.
            "/livez" => page(StatusCode::OK, TEXT, "alive\n"),
            "/readyz" => self.ready(),
            "/metrics" => page(StatusCode::OK, EXPOSITION, self.metrics.render()),
            "/status" => page(StatusCode::OK, "application/json", self.status()),
            "/" => page(StatusCode::OK, "text/html; charset=utf-8", INDEX),
            _ => page(
                StatusCode::NOT_FOUND,
                TEXT,
                "/livez /readyz /metrics /status\n",
            ),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        match self.health.phase() {
            Phase::Ready => page(StatusCode::OK, TEXT, "ready\n"),
            Phase::Starting => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "starting\n"),
            Phase::Stopping => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n"),
        }
    }

    fn status(&self) -> String {
        let phase = match self.health.phase() {
            Phase::Ready => "ready",
            Phase::Starting => "starting",
            Phase::Stopping => "stopping",
        };
        let (refusals, connections) = self.refusals.shown();
        let mut facts = serde_json::Map::clone(&self.facts);
        facts.extend(
            self.reloads
                .known()
                .map(|(key, names)| (key.to_owned(), names)),
        );
        format!(
            "{:#}\n",
            serde_json::json!({
                "phase": phase,
                "facts": facts,
                "objects": self.reloads.shown(),
                "report_mode": self.reloads.watched(),
                "refusals": refusals,
                "refused_connections": connections,
            })
        )
    }
}

const INDEX: &str = "<!doctype html><title>sidegate</title><h1>sidegate</h1><ul>\
<li><a href=\"/readyz\">/readyz</a> can it judge and forward?\
<li><a href=\"/livez\">/livez</a> does it run?\
<li><a href=\"/metrics\">/metrics</a> for Prometheus\
<li><a href=\"/status\">/status</a> what it runs with</ul>\n";

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
