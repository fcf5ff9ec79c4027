//! A server of keys that does as it is told: TLS on a real socket, HTTP written by hand, so that it can
//! also misbehave.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sidegate::lab::{Authority, Caller, Echo, Http, Issued, Leaf, SigningKey, World, world};
use sidegate::model::Timestamp;
use sidegate::settings::{KeySource, Overrides, Pace, Settings};
use sidegate::startup;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{ANY, Town, new_world};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Answers this, and closes.
    Say(String),
    /// Answers 304 to whoever asks with this tag, and this to the others.
    Tagged(&'static str, String),
    /// Answers this after so many milliseconds.
    After(u64, String),
    /// Answers this once it is told to.
    When(watch::Receiver<bool>, String),
    /// Answers nothing.
    Hang,
    /// Begins to answer this, a byte at a time, and never gets far.
    Drip(String),
    /// Answers with a gigabyte.
    Endless,
    /// Closes without a word.
    Close,
    /// By path; any other is 404.
    ByPath(Vec<(String, String)>),
}

/// A server of keys.
pub(crate) struct KeyServer {
    pub(crate) authority: Authority,
    pub(crate) address: SocketAddr,
    folder: TempDir,
    seen: Arc<Seen>,
    tls: Option<TlsAcceptor>,
    serving: JoinSet<()>,
}

struct Seen {
    act: Mutex<Act>,
    /// The heads of all requests.
    heads: Mutex<Vec<String>>,
    /// Bytes of bodies without end.
    sent: AtomicU64,
}

/// 200 with this body.
pub(crate) fn ok(body: &str) -> String {
    say("200 OK", &[], body)
}

/// A whole answer.
pub(crate) fn say(status: &str, fields: &[&str], body: &str) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n{body}")
}

impl KeyServer {
    /// Serves `https` on loopback, answering 404.
    pub(crate) async fn start() -> Self {
        Self::with(Leaf::server("keys.internal"), None).await
    }

    /// The same with another certificate, and perhaps only for clients of the CA in this PEM.
    pub(crate) async fn with(leaf: Leaf, clients: Option<&str>) -> Self {
        let authority = Authority::root("keys CA", Timestamp::now()).unwrap();
        let issued = authority.issue(&leaf).unwrap();
        let tls = TlsAcceptor::from(Arc::new(config(&issued, clients)));
        Self::on(authority, Some(tls)).await
    }

    /// Serves plain `http`.
    pub(crate) async fn plain() -> Self {
        let authority = Authority::root("keys CA", Timestamp::now()).unwrap();
        Self::on(authority, None).await
    }

    async fn on(authority: Authority, tls: Option<TlsAcceptor>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), authority.pem()).unwrap();
        let listener = TcpListener::bind(ANY).await.unwrap();
        let mut server = Self {
            authority,
            address: listener.local_addr().unwrap(),
            folder,
            seen: Arc::new(Seen {
                act: Mutex::new(Act::ByPath(Vec::new())),
                heads: Mutex::default(),
                sent: AtomicU64::new(0),
            }),
            tls,
            serving: JoinSet::new(),
        };
        server.serve(listener);
        server
    }

    /// Does this from now on.
    pub(crate) fn act(&self, act: Act) {
        *self.seen.act.lock().unwrap() = act;
    }

    /// Publishes these keys.
    pub(crate) fn publish(&self, keys: &[&SigningKey]) {
        self.act(Act::Say(ok(&SigningKey::jwks(keys).unwrap())));
    }

    /// Does not even listen any more, and what was under way is cut off.
    pub(crate) async fn go_down(&mut self) {
        self.serving.shutdown().await;
    }

    /// Listens again at the same address.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// How many requests have come.
    pub(crate) fn asked(&self) -> usize {
        self.seen.heads.lock().unwrap().len()
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.heads.lock().unwrap().clone()
    }

    /// How many bytes of endless bodies the sockets took.
    pub(crate) fn sent(&self) -> u64 {
        self.seen.sent.load(Ordering::SeqCst)
    }

    /// A URL here.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    /// The file with its CA, as a value of the configuration.
    pub(crate) fn ca(&self) -> String {
        format!("{:?}", self.folder.path().join("ca.crt"))
    }

    /// `keys = { ... }` for a JWKS from here.
    pub(crate) fn jwks(&self) -> String {
        format!(
            "{{ url = {:?}, ca = {} }}",
            self.url("/jwks.json"),
            self.ca()
        )
    }

    fn serve(&mut self, listener: TcpListener) {
        let (seen, tls) = (Arc::clone(&self.seen), self.tls.clone());
        self.serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (seen, tls) = (Arc::clone(&seen), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => seen.answer(socket).await,
                        Some(tls) => match tls.accept(socket).await {
                            Ok(stream) => seen.answer(stream).await,
                            // The client did not like the certificate, or the other way round.
                            Err(_) => Some(()),
                        },
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
    }
}

impl Seen {
    /// One request; `None` where the client went away.
    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        let act = self.act.lock().unwrap().clone();
        match act {
            Act::Say(text) => stream.write_all(text.as_bytes()).await.ok()?,
            Act::Tagged(tag, text) => {
                let known = head
                    .to_lowercase()
                    .contains(&format!("if-none-match: {tag}"));
                let unchanged = "HTTP/1.1 304 Not Modified\r\ncache-control: max-age=0\r\n\r\n";
                let text = if known { unchanged } else { &text };
                stream.write_all(text.as_bytes()).await.ok()?;
            }
            Act::After(millis, text) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                stream.write_all(text.as_bytes()).await.ok()?;
            }
            Act::When(mut told, text) => {
                told.wait_for(|told| *told).await.ok()?;
                stream.write_all(text.as_bytes()).await.ok()?;
            }
            Act::Hang => std::future::pending().await,
            Act::Drip(text) => {
                for byte in text.as_bytes() {
                    stream.write_u8(*byte).await.ok()?;
                    stream.flush().await.ok()?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Act::Endless => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.ok()?;
                let chunk = format!("10000\r\n{}\r\n", "k".repeat(0x10000));
                for _ in 0..(1 << 30) / 0x10000 {
                    stream.write_all(chunk.as_bytes()).await.ok()?;
                    self.sent.fetch_add(0x10000, Ordering::SeqCst);
                }
            }
            Act::Close => {}
            Act::ByPath(answers) => {
                let path = head.split(' ').nth(1).unwrap();
                let found = answers.iter().find(|(known, _)| known == path);
                let missing = say("404 Not Found", &[], "");
                let text = found.map_or(&missing, |(_, text)| text);
                stream.write_all(text.as_bytes()).await.ok()?;
            }
        }
        stream.shutdown().await.ok()
    }
}

fn config(issued: &Issued, clients: Option<&str>) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            let ca = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            roots.add(ca).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(issued.chain_pem.as_bytes());
    let chain: Result<_, _> = chain.collect();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    builder.with_single_cert(chain.unwrap(), key).unwrap()
}

/// A world that no gate stands in yet: its keys can be published first.
pub(crate) struct Plan {
    pub(crate) world: World,
    folder: TempDir,
}

impl Plan {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = new_world(folder.path());
        Self { world, folder }
    }

    /// The listed peer `front` of a world.
    pub(crate) fn front(world: &World) -> Caller {
        let front = Some(&world.front);
        Caller::new(world.ca.pem(), world::SERVER_NAME, front, Http::One).unwrap()
    }

    /// The configuration in which the first issuer has these keys.
    pub(crate) fn config(&self, keys: &str, upstream: &str) -> String {
        let text = self.world.config(ANY, ANY, upstream);
        text.replacen("{ file = \"jwks.json\" }", keys, 1)
    }

    /// Starts a gate whose first issuer has these keys, in a hurry.
    pub(crate) async fn start(self, keys: &str) -> Town {
        self.tuned(keys, |_| ()).await
    }

    /// The same, with the paces changed further.
    pub(crate) async fn tuned(self, keys: &str, tune: impl FnOnce(&mut Pace)) -> Town {
        self.changed(keys, |config| config, tune).await
    }

    /// The same, with the configuration changed further.
    pub(crate) async fn written(self, keys: &str, change: impl FnOnce(String) -> String) -> Town {
        self.changed(keys, change, |_| ()).await
    }

    async fn changed(
        self,
        keys: &str,
        change: impl FnOnce(String) -> String,
        tune: impl FnOnce(&mut Pace),
    ) -> Town {
        let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
        let config = change(self.config(keys, &echo.address.to_string()));
        let name = self.world.folder.join("sidegate.toml");
        let name = name.to_str().unwrap();
        let (mut settings, _) = Settings::from_text(&config, name, &Overrides::default())
            .unwrap_or_else(|error| panic!("{error}"));
        if let KeySource::Remote(remote) = &mut settings.issuers[0].keys {
            hurry(&mut remote.pace);
            tune(&mut remote.pace);
        }
        let gate = startup::start(settings).await.unwrap();
        Town {
            world: self.world,
            echo,
            gate,
            _folder: self.folder,
        }
    }
}

/// Failures are tried again at once, and what takes long is given up soon. What a success is followed
/// by, and what strangers may cause, is left as it is.
fn hurry(pace: &mut Pace) {
    let soon = Duration::from_millis(20);
    pace.first_retry = soon;
    pace.last_retry = soon;
    pace.last_retry_without_keys = soon;
    pace.whole = Duration::from_millis(500);
}
