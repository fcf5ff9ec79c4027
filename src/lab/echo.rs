//! A legacy service to stand behind the gate: it answers every request with what it saw.
//!
//! `GET /anything` gives a JSON object of method, target, headers and body size. It also keeps what
//! it saw, so that the demo and the tests can ask whether a refused request came through after all.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use serde_json::{Value, json};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use crate::socket::{self, AnySocket};

/// A running echo service. Stops when it is dropped.
#[derive(Debug)]
pub struct Echo {
    /// Where it listens; on a Unix socket, no address at all (`0.0.0.0:0`).
    pub address: SocketAddr,
    served: Arc<AtomicU64>,
    _alive: watch::Sender<()>,
}

impl Echo {
    /// Listens on `address` and answers in the background.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self::serve(Listener::Tcp(listener), address))
    }

    /// Listens on a Unix socket at `path` and answers in the background.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made, for one because a file of that name is there.
    pub async fn start_unix(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        Ok(Self::serve(
            Listener::Unix(listener),
            ([0, 0, 0, 0], 0).into(),
        ))
    }

    fn serve(listener: Listener, address: SocketAddr) -> Self {
        let served = Arc::new(AtomicU64::new(0));
        let (alive, dead) = watch::channel(());
        tokio::spawn(accept(listener, Arc::clone(&served), dead));
        Self {
            address,
            served,
            _alive: alive,
        }
    }

    /// How many requests have reached the service.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> io::Result<AnySocket> {
        match self {
            Self::Tcp(listener) => Ok(socket::any(listener.accept().await?.0)),
            Self::Unix(listener) => Ok(socket::any(listener.accept().await?.0)),
        }
    }
}

async fn accept(listener: Listener, served: Arc<AtomicU64>, mut dead: watch::Receiver<()>) {
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = dead.changed() => return,
        };
        let Ok(socket) = socket else { continue };
        let (served, mut dead) = (Arc::clone(&served), dead.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &served));
            let serving = http1::Builder::new().serve_connection(socket, service);
            tokio::select! {
                result = serving => if let Err(error) = result {
                    tracing::debug!(%error, "echo connection ended");
                },
                _ = dead.changed() => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    served: &AtomicU64,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let number = served.fetch_add(1, Ordering::SeqCst) + 1;
    let (head, mut body) = request.into_parts();
    let mut length = 0_u64;
    let mut trailers = Value::Null;
    while let Some(Ok(frame)) = body.frame().await {
        match frame.into_data() {
            Ok(data) => length += data.len() as u64,
            Err(frame) => trailers = frame.trailers_ref().map_or(Value::Null, fields),
        }
    }
    let seen = json!({
        "number": number,
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "version": format!("{:?}", head.version),
        "headers": fields(&head.headers),
        "body_bytes": length,
        "trailers": trailers,
    });
    let mut response = Response::new(Full::new(Bytes::from(format!("{seen:#}\n"))));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

fn fields(headers: &http::HeaderMap) -> Value {
    let field = |(name, value): (&http::HeaderName, &HeaderValue)| {
        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
    };
    headers.iter().map(field).collect()
}
