//! The only wiring: settings become a running gate.
//!
//! Everything that can fail fails here, before a request is accepted: files are read, keys parsed,
//! addresses bound. What comes back is a [`Running`] that knows its addresses.

mod load;
mod reloader;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

pub use self::load::ConfigFile;
use self::reloader::{Readers, Reloader, Reloading};
use crate::accept::identity::IdentityError;
use crate::accept::{Acceptor, ServerIdentity};
use crate::gate::{Gate, RequestIds};
use crate::jwks::LoadKeysError;
use crate::model::Timestamp;
use crate::observe::{Health, Metrics, Reloads};
use crate::ops::{self, Ops};
use crate::reload::Reader;
use crate::reload::watch::FileWatch;
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
    /// The system gives no thread.
    #[error("no thread for reloads: {0}")]
    Thread(io::Error),
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
    reloading: Reloading,
}

/// Starts the gate on the current runtime. The files that the settings name are watched; the
/// configuration itself only by [`start_from`].
///
/// # Errors
///
/// [`StartError`]; nothing is left running.
pub async fn start(settings: Settings) -> Result<Running, StartError> {
    assemble(settings, None).await
}

/// Starts the gate, and watches the file that the settings came from, too.
///
/// # Errors
///
/// [`StartError`]; nothing is left running.
pub async fn start_from(config: ConfigFile, settings: Settings) -> Result<Running, StartError> {
    assemble(settings, Some(config)).await
}

async fn assemble(settings: Settings, config: Option<ConfigFile>) -> Result<Running, StartError> {
    let seed = seed()?;
    let metrics = Arc::new(Metrics::new()?);
    let health = Health::new(Arc::clone(&metrics));
    let reloads = Reloads::new(Arc::clone(&metrics));
    // Before anything is read, so that no change falls between the reading and the watching.
    let watch = FileWatch::start(load::files(config.as_ref(), &settings), reloader::POLL);
    let (reloader, Readers { identity, policy }) =
        Reloader::load(settings.clone(), config, &metrics, reloads.clone())?;
    let listener = bind(settings.listen.address)?;
    let address = listener.local_addr().unwrap_or(settings.listen.address);
    let ops = serve_ops(&settings, &health, &metrics, reloads)?;
    let reloading = Reloading::spawn(reloader, watch).map_err(StartError::Thread)?;

    let ids = RequestIds::new(seed);
    let gate = Gate::new(&settings, policy, Arc::clone(&metrics), ids, Timestamp::now);
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
        reloading,
    })
}

impl Running {
    /// Ends the gate: not ready at once, still accepting for `shutdown.delay`, then finishing what
    /// is there for `shutdown.drain`.
    pub async fn stop(self) -> Ended {
        let ShutdownSettings { delay, drain } = self.shutdown;
        self.health.stopping();
        // The end goes by the rules that its requests began under.
        drop(self.reloading);
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
    reloads: Reloads,
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
        reloads,
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
        Timestamp::now,
        &settings.limits,
        &settings.timeouts,
        metrics,
    );
    tokio::spawn(acceptor.run(Arc::new(gate), watch));
}
