//! A client with a certificate: hyper over rustls, HTTP/1.1 or HTTP/2, every handshake a full one.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use sidegate::lab::world::SERVER_NAME;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Failure;
use crate::protocol::{Exchange, Http, KILOBYTE, MEGABYTE, Payload, Target};

const HOST_NAME: &str = "legacy.test";
/// Room for a megabyte, so that it does not wait for leave to go on.
const WINDOW: u32 = 4 << 20;

pub(super) struct Client {
    configs: Vec<(Http, Exchange, Arc<ClientConfig>)>,
    /// HTTP/1.1 without a certificate.
    stranger: Arc<ClientConfig>,
    name: ServerName<'static>,
    large: Bytes,
}

/// An open connection, or one stream of it.
pub(super) struct Line {
    sender: Sender,
    exchange: Option<String>,
    large: Bytes,
}

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(super) fn new(world: &Path) -> Result<Self, Failure> {
        // The first random bytes of a process are costly: not while something is timed.
        ::aws_lc_rs::rand::fill(&mut [0; 16]).map_err(|_| "no random numbers")?;
        let mut configs = Vec::new();
        for http in [Http::One, Http::Two] {
            for exchange in [Exchange::X25519, Exchange::Hybrid] {
                let config = config(world, http, exchange, Shown::Certificate)?;
                configs.push((http, exchange, config));
            }
        }
        Ok(Self {
            configs,
            stranger: config(world, Http::One, Exchange::X25519, Shown::Nothing)?,
            name: ServerName::try_from(SERVER_NAME)?,
            large: Bytes::from(vec![b'x'; MEGABYTE]),
        })
    }

    pub(super) async fn open(&self, target: Target) -> Result<Line, Failure> {
        let wanted = |(http, exchange, _): &&(Http, Exchange, Arc<ClientConfig>)| {
            *http == target.http && *exchange == target.exchange
        };
        let (_, _, config) = self.configs.iter().find(wanted).ok_or("no such client")?;
        self.connect(target, config).await
    }

    pub(super) async fn open_without_certificate(&self, target: Target) -> Result<Line, Failure> {
        self.connect(target, &self.stranger).await
    }

    async fn connect(&self, target: Target, config: &Arc<ClientConfig>) -> Result<Line, Failure> {
        let socket = TcpStream::connect(target.address).await?;
        socket.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(config));
        let tls = Box::new(connector.connect(self.name.clone(), socket).await?);
        let agreed = tls.get_ref().1.negotiated_key_exchange_group();
        let exchange = agreed.map(|group| format!("{:?}", group.name()));
        let io = TokioIo::new(tls);
        let sender = match target.http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(WINDOW)
                    .initial_connection_window_size(WINDOW)
                    .handshake(io)
                    .await?;
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        };
        Ok(Line {
            sender,
            exchange,
            large: self.large.clone(),
        })
    }
}

impl Line {
    /// What the two sides agreed on.
    pub(super) fn exchange(&self) -> Option<String> {
        self.exchange.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => !sender.is_closed(),
            Sender::Two(sender) => !sender.is_closed(),
        }
    }

    /// As many streams of this connection; HTTP/1.1 has one.
    pub(super) fn streams(self, streams: usize) -> Vec<Self> {
        let Sender::Two(sender) = &self.sender else {
            return vec![self];
        };
        let stream = || Self {
            sender: Sender::Two(sender.clone()),
            exchange: self.exchange.clone(),
            large: self.large.clone(),
        };
        (0..streams).map(|_| stream()).collect()
    }

    /// Sends one request; fails unless the answer is 200 and of the right length.
    pub(super) async fn send(
        &mut self,
        path: &Bytes,
        token: HeaderValue,
        payload: Payload,
    ) -> Result<(), Failure> {
        let (method, body, expected) = match payload {
            Payload::Small => (Method::GET, Bytes::new(), KILOBYTE),
            Payload::Up => (Method::POST, self.large.clone(), KILOBYTE),
            Payload::Down => (Method::GET, Bytes::new(), MEGABYTE),
        };
        let request = Request::builder()
            .method(method)
            .header(AUTHORIZATION, token);
        let answer = match &mut self.sender {
            Sender::One(sender) => {
                let request = request
                    .uri(Uri::from_maybe_shared(path.clone())?)
                    .header(HOST, HeaderValue::from_static(HOST_NAME))
                    .body(Full::new(body))?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                let uri = Uri::builder()
                    .scheme("https")
                    .authority(HOST_NAME)
                    .path_and_query(&**path)
                    .build()?;
                let request = request.uri(uri).body(Full::new(body))?;
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (head, mut body) = answer.into_parts();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame?.data_ref().map_or(0, Bytes::len);
        }
        if head.status != 200 || length != expected {
            return Err(format!("answered {} with {length} bytes", head.status).into());
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Shown {
    Certificate,
    Nothing,
}

fn config(
    world: &Path,
    http: Http,
    exchange: Exchange,
    shown: Shown,
) -> Result<Arc<ClientConfig>, Failure> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(world.join("ca.crt"))? {
        roots.add(root?)?;
    }
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = match exchange {
        Exchange::X25519 => vec![kx_group::X25519],
        Exchange::Hybrid => vec![kx_group::X25519MLKEM768, kx_group::X25519],
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots);
    let mut config = match shown {
        Shown::Nothing => builder.with_no_client_auth(),
        Shown::Certificate => {
            let chain = CertificateDer::pem_file_iter(world.join("front.crt"))?
                .collect::<Result<Vec<_>, _>>()?;
            let key = PrivateKeyDer::from_pem_file(world.join("front.key"))?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![match http {
        Http::One => b"http/1.1".to_vec(),
        Http::Two => b"h2".to_vec(),
    }];
    Ok(Arc::new(config))
}
