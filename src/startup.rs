//! The only wiring: settings become a running gate.
//!
//! Everything that can fail fails here, before a request is accepted: files are read, keys parsed,
//! addresses bound. What comes back is a [`Running`] that knows its addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::accept::identity::IdentityError;
use crate::accept::{Acceptor, ServerIdentity};
use crate::check;
use crate::forward::HeaderRules;
use crate::gate::{Gate, Policy, RequestIds};
use crate::jwks::{self, KeyRing, LoadKeysError};
use crate::model::Timestamp;
use crate::observe::{Health, Metrics};
use crate::ops::{self, Ops};
use crate::reload::{Publisher, Reader, live};
use crate::settings::{Settings, ShutdownSettings};
use crate::shutdown::{Drain, DrainWatch, Ended, drain};

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 1024;

/// Why the gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificate, key, client CA or CRL.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An issuer's keys.
    #[error("issuer \"{issuer}\"")]
    Keys {
        /// The issuer's name in the configuration.
        issuer: Arc<str>,
        /// What was wrong with them.
        #[source]
        cause: LoadKeysError,
    },
    /// An address is taken or not ours.
    #[error("{key} = \"{address}\": cannot listen there: {cause}")]
    Bind {
        /// The key in the configuration.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A metric was registered twice. A mistake in this program.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// A gate that accepts connections.
#[derive(Debug)]
pub struct Running {
    /// Where mTLS is accepted.
    pub address: SocketAddr,
    /// Where the side port is, if it is on.
    pub admin: Option<SocketAddr>,
    /// The metrics of this gate.
    pub metrics: Arc<Metrics>,
    health: Health,
    drain: Drain,
    shutdown: ShutdownSettings,
    _ops: Option<ops::Serving>,
    _publishers: Publishers,
}

/// The writing ends of everything that may change later.
#[derive(Debug)]
struct Publishers {
    _identity: Publisher<ServerIdentity>,
    _policy: Publisher<Policy>,
    _rings: Vec<Publisher<Option<KeyRing>>>,
}

/// Starts the gate on the current runtime.
///
/// # Errors
///
/// [`StartError`]; nothing is left running.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    let seed = seed()?;
    let metrics = Arc::new(Metrics::new()?);
    let health = Health::new(Arc::clone(&metrics));
    let per_peer = settings.limits.connections_per_peer;
    let identity = ServerIdentity::load(&settings.tls, &settings.peers, per_peer)?;
    note_certificates(&identity, &metrics);
    let (rings, ring_readers) = load_keys(&settings, &metrics)?;
    let policy = Policy {
        judgement: check::Policy::build(&settings, ring_readers),
        headers: HeaderRules::build(&settings),
    };

    let listener = bind(settings.listen.address)?;
    let address = listener.local_addr().unwrap_or(settings.listen.address);
    let ops = serve_ops(&settings, &health, &metrics)?;
    let (identity_publisher, identity) = live(identity);
    let (policy_publisher, policy) = live(policy);
    metrics.set_generation("identity", identity.current().generation.number());
    metrics.set_generation("policy", policy.current().generation.number());

    let gate = Gate::new(
        &settings,
        policy,
        Arc::clone(&metrics),
        RequestIds::new(seed),
        Timestamp::now,
    );
    gate.spawn_housekeeping();
    let (drain, watch) = drain();
    serve(
        &settings,
        listener,
        identity,
        gate,
        Arc::clone(&metrics),
        watch,
    );
    health.ready();
    tracing::info!(%address, admin = ?ops.as_ref().map(|ops| ops.address), "ready");
    Ok(Running {
        address,
        admin: ops.as_ref().map(|ops| ops.address),
        metrics,
        health,
        drain,
        shutdown: settings.shutdown,
        _ops: ops,
        _publishers: Publishers {
            _identity: identity_publisher,
            _policy: policy_publisher,
            _rings: rings,
        },
    })
}

impl Running {
    /// Ends the gate: not ready at once, still accepting for `shutdown.delay`, then finishing what
    /// is there for `shutdown.drain`.
    pub async fn stop(self) -> Ended {
        let ShutdownSettings { delay, drain } = self.shutdown;
        self.health.stopping();
        tracing::info!(?delay, ?drain, "stopping");
        tokio::time::sleep(delay).await;
        let ended = self.drain.finish(drain).await;
        tracing::info!(?ended, "stopped");
        ended
    }

    /// The same, without the time for others to notice.
    pub async fn stop_now(mut self) -> Ended {
        self.shutdown.delay = Duration::ZERO;
        self.stop().await
    }
}

/// One random number, and with it the seeding of the crypto library, which takes 25 ms and would
/// otherwise be the first caller's to wait for.
fn seed() -> Result<u64, StartError> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| StartError::Random)?;
    Ok(u64::from_be_bytes(bytes))
}

fn note_certificates(identity: &ServerIdentity, metrics: &Metrics) {
    for (role, end) in [
        ("server", identity.not_after),
        ("client_ca", identity.client_ca_not_after),
    ] {
        if let Some(end) = end {
            metrics.set_certificate_end(role, end);
        }
    }
}

type Rings = (
    Vec<Publisher<Option<KeyRing>>>,
    Vec<Reader<Option<KeyRing>>>,
);

fn load_keys(settings: &Settings, metrics: &Metrics) -> Result<Rings, StartError> {
    let mut publishers = Vec::new();
    let mut readers = Vec::new();
    for issuer in &settings.issuers {
        let loaded = jwks::load(&issuer.keys, &issuer.algorithms);
        let (ring, warnings) = loaded.map_err(|cause| StartError::Keys {
            issuer: Arc::clone(&issuer.name),
            cause,
        })?;
        for warning in warnings {
            tracing::warn!(issuer = &*issuer.name, %warning, "a key is not used");
        }
        metrics.set_keys(&issuer.name, ring.len());
        let (publisher, reader) = live(Some(ring));
        publishers.push(publisher);
        readers.push(reader);
    }
    Ok((publishers, readers))
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        // A gate that restarts must not wait for the old one's closed connections.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|cause| StartError::Bind {
        key: "listen.address",
        address,
        cause,
    })
}

fn serve_ops(
    settings: &Settings,
    health: &Health,
    metrics: &Arc<Metrics>,
) -> Result<Option<ops::Serving>, StartError> {
    let Some(address) = settings.admin.address else {
        return Ok(None);
    };
    let facts = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listen": settings.listen.address.to_string(),
        "upstream": format!("{:?}", settings.upstream.address),
        "peers": settings.peers.iter().map(|peer| &*peer.name).collect::<Vec<_>>(),
        "issuers": settings.issuers.iter().map(|issuer| &*issuer.name).collect::<Vec<_>>(),
    });
    let ops = Ops {
        health: health.clone(),
        metrics: Arc::clone(metrics),
        facts: Arc::new(facts),
    };
    let serving = ops.serve(address);
    serving.map(Some).map_err(|cause| StartError::Bind {
        key: "admin.address",
        address,
        cause,
    })
}

fn serve(
    settings: &Settings,
    listener: TcpListener,
    identity: Reader<ServerIdentity>,
    gate: Gate,
    metrics: Arc<Metrics>,
    watch: DrainWatch,
) {
    let acceptor = Acceptor::new(
        listener,
        identity,
        &settings.limits,
        &settings.timeouts,
        metrics,
    );
    tokio::spawn(acceptor.run(Arc::new(gate), watch));
}
