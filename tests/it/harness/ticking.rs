//! A service whose answers never end by themselves, and callers that see when they do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sidegate::lab::{Caller, Http};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

use super::ANY;

/// `/events` ticks for ever, as does anything that asks for a WebSocket; `/upload` reads for ever and
/// does not answer; anything else is answered with `ok`.
pub(crate) struct Ticking {
    pub(crate) upstream: String,
}

impl Ticking {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket));
            }
        });
        Self { upstream }
    }
}

async fn serve(socket: TcpStream) -> Option<()> {
    let mut socket = BufReader::new(socket);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            socket.read_line(&mut head).await.ok().filter(|n| *n > 0)?;
        }
        let head = head.to_ascii_lowercase();
        if head.contains("upgrade: websocket") {
            let answer = "HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            socket.write_all(answer.as_bytes()).await.ok()?;
            return tick(socket, b"tick").await;
        } else if head.starts_with("get /events") {
            let answer = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            socket.write_all(answer.as_bytes()).await.ok()?;
            return tick(socket, b"4\r\ntick\r\n").await;
        } else if head.starts_with("post /upload") {
            let mut rest = [0; 1024];
            while socket.read(&mut rest).await.ok()? > 0 {}
            return None;
        }
        let answer = b"HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\nok";
        socket.write_all(answer).await.ok()?;
    }
}

async fn tick(mut socket: BufReader<TcpStream>, text: &[u8]) -> Option<()> {
    let mut pace = interval(Duration::from_millis(20));
    loop {
        pace.tick().await;
        socket.write_all(text).await.ok()?;
    }
}

/// Something long that a caller has begun.
pub(crate) struct Running {
    ticks: Arc<AtomicU64>,
    end: JoinHandle<(Instant, String)>,
}

impl Running {
    /// How much has arrived.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_finished()
    }

    /// When it was over, and how.
    pub(crate) async fn ended(self) -> (Instant, String) {
        self.end.await.unwrap()
    }
}

/// `GET /events` on a connection of its own.
pub(crate) async fn events(
    caller: &Caller,
    address: SocketAddr,
    http: Http,
    fields: &[(&str, &str)],
) -> Running {
    let io = TokioIo::new(caller.connect(address).await.unwrap());
    let mut request = Request::get("https://legacy.test/events");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let answer = match http {
        Http::One => {
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            let (mut head, body) = request.into_parts();
            head.headers.insert("host", "legacy.test".parse().unwrap());
            head.uri = "/events".parse().unwrap();
            sender.send_request(Request::from_parts(head, body)).await
        }
        Http::Two => {
            let executor = TokioExecutor::new();
            let (mut sender, connection) = http2::handshake(executor, io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    let end = tokio::spawn(async move {
        loop {
            match body.frame().await {
                Some(Ok(_)) => counted.fetch_add(1, Ordering::SeqCst),
                Some(Err(error)) => return (Instant::now(), format!("{error:?}")),
                None => return (Instant::now(), "end".to_owned()),
            };
        }
    });
    begun(Running { ticks, end }).await
}

/// A WebSocket on a connection of its own. What it carries is not looked at.
pub(crate) async fn websocket(
    caller: &Caller,
    address: SocketAddr,
    http: Http,
    fields: &[(&str, &str)],
) -> Running {
    let tls = caller.connect(address).await.unwrap();
    if http == Http::Two {
        let executor = TokioExecutor::new();
        let (mut sender, connection) = http2::handshake(executor, TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri("https://legacy.test/socket")
            .extension(Protocol::from_static("websocket"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let mut answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let stream = hyper::upgrade::on(&mut answer).await.unwrap();
        return reading(TokioIo::new(stream)).await;
    }
    let mut tls = BufReader::new(tls);
    let mut text = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n".to_owned();
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    tls.write_all(format!("{text}\r\n").as_bytes())
        .await
        .unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(tls.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    reading(tls).await
}

/// An upload that goes on and is not answered, over HTTP/1.1: over when it is.
pub(crate) async fn upload(
    caller: &Caller,
    address: SocketAddr,
    fields: &[(&str, &str)],
) -> Running {
    let tls = caller.connect(address).await.unwrap();
    let (mut reading, mut writing) = tokio::io::split(tls);
    let mut text = "POST /upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n".to_owned();
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    writing
        .write_all(format!("{text}\r\n").as_bytes())
        .await
        .unwrap();
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    let end = tokio::spawn(async move {
        let mut pace = interval(Duration::from_millis(20));
        let mut answer = [0; 1024];
        loop {
            tokio::select! {
                read = reading.read(&mut answer) => {
                    let text = read.map(|n| String::from_utf8_lossy(&answer[..n]).into_owned());
                    return (Instant::now(), text.unwrap_or_else(|error| error.to_string()));
                }
                _ = pace.tick() => if writing.write_all(b"4\r\ntick\r\n").await.is_ok() {
                    counted.fetch_add(1, Ordering::SeqCst);
                },
            }
        }
    });
    begun(Running { ticks, end }).await
}

async fn reading(mut stream: impl AsyncRead + Send + Unpin + 'static) -> Running {
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    let end = tokio::spawn(async move {
        let mut buffer = [0; 1024];
        loop {
            match stream.read(&mut buffer).await {
                Ok(1..) => counted.fetch_add(1, Ordering::SeqCst),
                Ok(0) => return (Instant::now(), "end".to_owned()),
                Err(error) => return (Instant::now(), error.to_string()),
            };
        }
    });
    begun(Running { ticks, end }).await
}

async fn begun(running: Running) -> Running {
    super::eventually("it runs", || running.ticks() >= 3).await;
    running
}
