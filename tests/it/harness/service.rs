//! Services of our own behind the gate, for what `legacy.py` is too slow or too polite for.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use super::ANY;

/// A fast service: `/zeros/N` answers with N zero bytes, `/held` not before it is released, anything
/// else with the length of what it was sent.
pub(crate) struct Fast {
    pub(crate) upstream: String,
    /// How many requests it has answered or holds.
    pub(crate) arrived: Arc<AtomicU64>,
    released: watch::Sender<bool>,
}

impl Fast {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let arrived = Arc::new(AtomicU64::new(0));
        let (released, hold) = watch::channel(false);
        let count = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).unwrap();
                let (count, hold) = (Arc::clone(&count), hold.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        count.fetch_add(1, Ordering::SeqCst);
                        answer(request, hold.clone())
                    });
                    let serving =
                        http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                    drop(serving.await);
                });
            }
        });
        Self {
            upstream,
            arrived,
            released,
        }
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::SeqCst)
    }

    /// Answers every `/held`.
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }
}

async fn answer(
    request: Request<Incoming>,
    mut hold: watch::Receiver<bool>,
) -> Result<Response<Zeros>, hyper::Error> {
    let path = request.uri().path().to_owned();
    if path == "/held" {
        // The test may be over: then nobody waits for the answer.
        drop(hold.wait_for(|released| *released).await);
    }
    let mut length = 0_u64;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    let zeros = path
        .strip_prefix("/zeros/")
        .map_or(0, |n| n.parse().unwrap());
    let response = Response::builder().header("x-length", length);
    Ok(response.body(Zeros(zeros)).unwrap())
}

/// A body of so many zero bytes, made as they are asked for.
#[derive(Debug)]
pub(crate) struct Zeros(pub(crate) u64);

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static BLOCK: [u8; 64 * 1024] = [0; 64 * 1024];
        let length = self.0.min(BLOCK.len() as u64);
        self.0 -= length;
        let data = Bytes::from_static(&BLOCK[..usize::try_from(length).unwrap()]);
        Poll::Ready((length > 0).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0 == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

/// A service that never says when it closes a kept-alive connection. Of its connections, every other
/// one ends right after its third answer, the rest when a fourth request has arrived.
pub(crate) struct Rude {
    pub(crate) upstream: String,
    arrivals: mpsc::UnboundedReceiver<String>,
}

impl Rude {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let (arrived, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut waits = false;
            while let Ok((socket, _)) = listener.accept().await {
                waits = !waits;
                tokio::spawn(rude(socket, waits, arrived.clone()));
            }
        });
        Self { upstream, arrivals }
    }

    /// How often each request (`METHOD /path`) has arrived.
    pub(crate) fn arrivals(&mut self) -> HashMap<String, u32> {
        let mut counts = HashMap::new();
        while let Ok(request) = self.arrivals.try_recv() {
            *counts.entry(request).or_default() += 1;
        }
        counts
    }
}

async fn rude(socket: TcpStream, waits: bool, arrived: mpsc::UnboundedSender<String>) {
    let mut socket = BufReader::new(socket);
    for number in 1.. {
        let Some(request) = read(&mut socket).await else {
            return;
        };
        arrived.send(request).unwrap_or_default();
        if number > 3 {
            return;
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        if socket.write_all(answer).await.is_err() || (number == 3 && !waits) {
            return;
        }
    }
}

/// Reads one request: its method and target, once the body is read as well.
async fn read(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let mut first = String::new();
    socket.read_line(&mut first).await.ok().filter(|n| *n > 0)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok().filter(|n| *n > 0)?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    Some(first.trim_end_matches(" HTTP/1.1\r\n").to_owned())
}
