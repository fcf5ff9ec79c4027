//! A client without TLS: what a browser or another service is to a front proxy.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::local;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// A header of the answer.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.head.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The values of a header that `legacy.py` received.
    pub(crate) fn received(&self, name: &str) -> Vec<String> {
        received(&self.json(), name)
    }
}

/// The values of a header among the pairs in `seen["headers"]`.
pub(crate) fn received(seen: &Value, name: &str) -> Vec<String> {
    let pairs = seen["headers"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pairs
        .iter()
        .filter(|pair| text(&pair[0]).eq_ignore_ascii_case(name))
        .map(|pair| text(&pair[1]))
        .collect()
}

/// Sends one request over HTTP/1.1 on a new connection and collects the answer.
pub(crate) async fn call<B>(port: u16, mut request: Request<B>) -> Answer
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let socket = TcpStream::connect(local(port)).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let host = HeaderValue::from_static("legacy.test");
    request.headers_mut().entry(HOST).or_insert(host);
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    Answer {
        head: Response::from_parts(head, ()),
        body: body.to_bytes(),
        trailers,
    }
}

/// A body of unknown length, sent in these chunks.
#[derive(Debug)]
pub(crate) struct Chunks(VecDeque<Frame<Bytes>>);

impl Chunks {
    /// The chunks, then the trailers if there are any.
    pub(crate) fn new(chunks: &[&'static [u8]], trailers: Option<HeaderMap>) -> Self {
        let data = chunks
            .iter()
            .map(|chunk| Frame::data(Bytes::from_static(chunk)));
        Self(data.chain(trailers.map(Frame::trailers)).collect())
    }
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
