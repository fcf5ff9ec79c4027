//! A client with or without a certificate: what a front proxy is to the gate, in the demo and the
//! tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::pki::Issued;
use crate::socket;

/// No answer in the lab takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The HTTP version a caller speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Http {
    /// HTTP/1.1
    One,
    /// HTTP/2
    Two,
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The certificates do not make a TLS client.
    #[error("no TLS client: {0}")]
    Setup(String),
    /// The connection was refused or broken off, which is how a stranger's ends.
    #[error("connection refused: {0}")]
    Connection(String),
    /// Nothing came in time.
    #[error("no answer in time")]
    Silence,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Caller {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    http: Http,
}

impl Caller {
    /// A client that believes the CA in `ca_pem`, expects the server to be `name`, and shows
    /// `certificate` if it has one.
    ///
    /// # Errors
    ///
    /// [`CallError::Setup`].
    pub fn new(
        ca_pem: &str,
        name: &str,
        certificate: Option<&Issued>,
        http: Http,
    ) -> Result<Self, CallError> {
        let setup = |error: &dyn std::fmt::Display| CallError::Setup(error.to_string());
        let mut roots = RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots
                .add(der.map_err(|e| setup(&e))?)
                .map_err(|e| setup(&e))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| setup(&e))?
            .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain: Result<_, _> =
                    CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes()).collect();
                let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes());
                builder
                    .with_client_auth_cert(
                        chain.map_err(|e| setup(&e))?,
                        key.map_err(|e| setup(&e))?,
                    )
                    .map_err(|e| setup(&e))?
            }
        };
        config.alpn_protocols = match http {
            Http::One => vec![b"http/1.1".to_vec()],
            Http::Two => vec![b"h2".to_vec()],
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|e| setup(&e))?;
        Ok(Self {
            config: Arc::new(config),
            name,
            http,
        })
    }

    /// Opens a TLS connection.
    ///
    /// # Errors
    ///
    /// [`CallError::Connection`].
    pub async fn connect(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, CallError> {
        let broken = |error: std::io::Error| CallError::Connection(error.to_string());
        let socket = TcpStream::connect(address).await.map_err(broken)?;
        drop(socket.set_nodelay(true));
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector
            .connect(self.name.clone(), socket)
            .await
            .map_err(broken)
    }

    /// Sends one request on a new connection and collects the answer. `request` names a path; host
    /// and version are filled in.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn call(
        &self,
        address: SocketAddr,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, CallError> {
        let call = async {
            let (mut line, connection) = self.open_watched(address).await?;
            match line.send(request).await {
                // The alert may have ended the connection before the request was handed to it: then
                // only the connection knows why.
                Err(CallError::Connection(why)) => match connection.await {
                    Ok(Err(error)) => Err(CallError::Connection(explain(&error))),
                    Ok(Ok(())) | Err(_) => Err(CallError::Connection(why)),
                },
                other => other,
            }
        };
        tokio::time::timeout(PATIENCE, call)
            .await
            .unwrap_or(Err(CallError::Silence))
    }

    /// Opens a connection for several requests.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn open(&self, address: SocketAddr) -> Result<Line, CallError> {
        Ok(self.open_watched(address).await?.0)
    }

    async fn open_watched(&self, address: SocketAddr) -> Result<(Line, Ending), CallError> {
        let io = socket::any(self.connect(address).await?);
        let broken = |error: hyper::Error| CallError::Connection(explain(&error));
        match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.map_err(broken)?;
                Ok((Line::One(sender), tokio::spawn(connection)))
            }
            Http::Two => {
                let executor = TokioExecutor::new();
                let (sender, connection) = http2::handshake(executor, io).await.map_err(broken)?;
                Ok((Line::Two(sender), tokio::spawn(connection)))
            }
        }
    }
}

/// How a connection ended, once it has.
type Ending = tokio::task::JoinHandle<hyper::Result<()>>;

/// An open connection to the gate.
#[derive(Debug)]
pub enum Line {
    /// HTTP/1.1
    One(http1::SendRequest<Full<Bytes>>),
    /// HTTP/2
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Line {
    /// Sends one request and collects the answer.
    ///
    /// # Errors
    ///
    /// [`CallError`].
    pub async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, CallError> {
        let broken = |error: hyper::Error| CallError::Connection(explain(&error));
        let (mut head, body) = request.into_parts();
        let path = head
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .to_owned();
        let answer = match self {
            Self::One(sender) => {
                if !head.headers.contains_key(HOST) {
                    head.headers
                        .insert(HOST, http::HeaderValue::from_static("legacy.test"));
                }
                sender.ready().await.map_err(broken)?;
                sender.send_request(Request::from_parts(head, body)).await
            }
            Self::Two(sender) => {
                head.version = Version::HTTP_2;
                head.uri = format!("https://legacy.test{path}")
                    .parse::<Uri>()
                    .map_err(|error| CallError::Setup(error.to_string()))?;
                sender.ready().await.map_err(broken)?;
                sender.send_request(Request::from_parts(head, body)).await
            }
        };
        let (head, body) = answer.map_err(broken)?.into_parts();
        let body = body.collect().await.map_err(broken)?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

/// The error with its causes: hyper's own text hides the TLS alert.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
