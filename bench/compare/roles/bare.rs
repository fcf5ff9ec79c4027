//! What rustls, hyper and the cryptographic library cost when next to nothing is asked of them: mTLS,
//! HTTP/1.1 and HTTP/2, a token verified and remembered, the request passed on. No limits, no
//! deadlines, no log, no metrics, no reload, no drain.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::judge::Judge;
use super::{Post, listener};
use crate::Failure;

struct Bare {
    judge: Judge,
    upstream: std::net::SocketAddr,
    pool: Mutex<Vec<Sender>>,
}

type Sender = SendRequest<Incoming>;

/// Serves until it is killed.
pub(super) async fn serve(post: &Post<'_>) -> Result<(), Failure> {
    // The first random bytes of a process are costly: not at the first caller's expense.
    aws_lc_rs::rand::fill(&mut [0; 16]).map_err(|_| "no random numbers")?;
    let acceptor = listener::acceptor(post, &["h2", "http/1.1"])?;
    let bare = Arc::new(Bare {
        judge: Judge::new(post.keys)?,
        upstream: post.upstream,
        pool: Mutex::default(),
    });
    let listener = TcpListener::bind(post.listen).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        drop(socket.set_nodelay(true));
        let (acceptor, bare) = (acceptor.clone(), Arc::clone(&bare));
        tokio::spawn(async move {
            if let Ok(tls) = acceptor.accept(socket).await {
                // A task of its own, or it would keep the room that the handshake needed.
                tokio::spawn(connection(bare, Box::new(tls)));
            }
        });
    }
}

async fn connection(bare: Arc<Bare>, tls: Box<TlsStream<TcpStream>>) {
    let second = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let io = TokioIo::new(tls);
    let service = service_fn(move |request| {
        let bare = Arc::clone(&bare);
        async move { bare.pass(request).await }
    });
    if second {
        let http = http2::Builder::new(TokioExecutor::new());
        drop(http.serve_connection(io, service).await);
    } else {
        drop(http1::Builder::new().serve_connection(io, service).await);
    }
}

type Answer = Response<Returning>;

/// Why a request came to no answer; its connection ends.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    #[error(transparent)]
    Host(#[from] http::header::InvalidHeaderValue),
}

impl Bare {
    async fn pass(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Answer, Broken> {
        let headers = request.headers_mut();
        let Some(identity) = self.judge.judge(headers.get(AUTHORIZATION)) else {
            let mut refusal = Response::new(Returning {
                body: None,
                sender: None,
                bare: self,
            });
            *refusal.status_mut() = StatusCode::UNAUTHORIZED;
            return Ok(refusal);
        };
        headers.remove(AUTHORIZATION);
        for (name, value) in [
            ("x-auth-subject", identity.subject),
            ("x-auth-email", identity.email),
            ("x-auth-groups", identity.groups),
        ] {
            headers.insert(HeaderName::from_static(name), value);
        }
        *request.version_mut() = http::Version::HTTP_11;
        if let Some(authority) = request.uri().authority().cloned() {
            let host = authority.as_str().parse()?;
            request.headers_mut().insert(http::header::HOST, host);
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = path.map(Into::into).unwrap_or_default();
        }
        let mut sender = self.sender().await?;
        let answer = sender.send_request(request).await?;
        Ok(answer.map(|body| Returning {
            body: Some(body),
            sender: Some(sender),
            bare: self,
        }))
    }

    async fn sender(&self) -> Result<Sender, Broken> {
        loop {
            let pooled = self.pool().pop();
            let Some(mut sender) = pooled else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let socket = TcpStream::connect(self.upstream).await?;
        drop(socket.set_nodelay(true));
        let (sender, connection) = handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Sender>> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer's body; at its end the connection is free for the next request.
struct Returning {
    body: Option<Incoming>,
    sender: Option<Sender>,
    bare: Arc<Bare>,
}

impl Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        let good = !matches!(frame, Some(Err(_)));
        if good && self.is_end_stream() {
            let sender = self.sender.take();
            self.bare.pool().extend(sender);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
