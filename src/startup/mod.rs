//! The only wiring: settings become a running gate.
//!
//! Everything that can fail fails here, before a request is accepted: files are read, keys parsed,
//! addresses bound. What comes back is a [`Running`] that knows its addresses.

mod judges;
mod keys;
mod load;
mod reloader;
mod reloading;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use self::judges::Judges;
pub use self::load::ConfigFile;
use self::reloader::{Readers, Reloader};
use self::reloading::Reloading;
use crate::accept::identity::IdentityError;
use crate::accept::{Acceptor, BACKLOG, ServerIdentity};
use crate::gate::{Gate, Policy, RequestIds};
use crate::jwks::LoadKeysError;
use crate::model::Timestamp;
use crate::observe::{Health, Journal, Metrics, Refusals, Reloads};
use crate::ops::{self, Ops};
use crate::reload::Reader;
use crate::reload::watch::FileWatch;
use crate::revocation::LoadDenyListError;
use crate::settings::{Settings, ShutdownSettings};
use crate::shutdown::{Drain, DrainWatch, Ended, drain};

/// Why the gate did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Certificate, key, client CA or CRL.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The deny list.
    #[error(transparent)]
    DenyList(#[from] LoadDenyListError),
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
    _becoming_ready: JoinSet<()>,
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
    let journal = Journal {
        metrics: Arc::clone(&metrics),
        refusals: Arc::new(Refusals::new(Timestamp::now)),
    };
    let ops = serve_ops(&settings, &health, &journal, reloads)?;
    let reloading = Reloading::spawn(reloader, watch).map_err(StartError::Thread)?;

    let ids = RequestIds::new(seed);
    let gate = Gate::new(
        &settings,
        policy.clone(),
        journal.clone(),
        ids,
        Timestamp::now,
    );
    gate.spawn_housekeeping();
    let (drain, watch) = drain();
    serve(&settings, listener, identity, gate, journal, watch);
    let admin = ops.as_ref().map(|ops| ops.address.to_string());
    tracing::info!(%address, admin = admin.as_deref(), "listening");
    let becoming_ready = become_ready(policy, health.clone());
    Ok(Running {
        address,
        admin: ops.as_ref().map(|ops| ops.address),
        metrics,
        health,
        drain,
        shutdown: settings.shutdown,
        _ops: ops,
        reloading,
        _becoming_ready: becoming_ready,
    })
}

impl Running {
    /// Completes when the gate cannot go on: it would not notice any more what it must not let in.
    pub async fn failed(&mut self) {
        self.reloading.failed().await;
    }

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

/// Ready once every issuer has had keys: at once, unless some are fetched.
fn become_ready(policy: Reader<Policy>, health: Health) -> JoinSet<()> {
    let mut waiting = JoinSet::new();
    if policy.current().value.judgement.without_keys().is_none() {
        health.ready();
        tracing::info!("ready");
        return waiting;
    }
    tracing::info!("ready when every issuer has keys; until then requests get 503");
    waiting.spawn(async move {
        wait_for_keys(policy).await;
        health.ready();
        tracing::info!("ready");
    });
    waiting
}

async fn wait_for_keys(policy: Reader<Policy>) {
    loop {
        // Taken before the look, so that whatever is published after it wakes. Once nobody is left who
        // could publish, which is at the end, this waits for ever and does not spin.
        let mut policies = policy.changes();
        let Some(keys) = policy.current().value.judgement.without_keys() else {
            return;
        };
        let mut published = keys.changes();
        if keys.current().value.is_some() {
            continue;
        }
        tokio::select! {
            () = published.next() => {}
            // Another configuration, perhaps without this issuer.
            () = policies.next() => {}
        }
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
        socket.listen(BACKLOG.into())?;
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
    journal: &Journal,
    reloads: Reloads,
) -> Result<Option<ops::Serving>, StartError> {
    let Some(address) = settings.admin.address else {
        return Ok(None);
    };
    let facts = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("listen", settings.listen.address.to_string()),
        ("upstream", settings.upstream.address.to_string()),
    ];
    let facts = facts.map(|(key, fact)| (key.to_owned(), fact.into()));
    let ops = Ops {
        health: health.clone(),
        metrics: Arc::clone(&journal.metrics),
        refusals: Arc::clone(&journal.refusals),
        facts: Arc::new(facts.into_iter().collect()),
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
    journal: Journal,
    watch: DrainWatch,
) {
    let acceptor = Acceptor::new(
        listener,
        identity,
        Timestamp::now,
        &settings.limits,
        &settings.timeouts,
        journal,
    );
    tokio::spawn(acceptor.run(Arc::new(gate), watch));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::*;
    use crate::lab::World;
    use crate::settings::Overrides;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// At the end, a gate that never had keys waits; it once turned for as long as the drain took.
    #[tokio::test]
    async fn waiting_for_keys_that_nobody_can_bring_sleeps() {
        let folder = tempfile::tempdir().unwrap();
        let world = World::create(folder.path(), Timestamp::now()).unwrap();
        let config = world.config("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1");
        let fetched = "{ url = \"https://127.0.0.1:9/jwks.json\" }";
        let config = config.replacen("{ file = \"jwks.json\" }", fetched, 1);
        let name = folder.path().join("sidegate.toml");
        let name = name.to_str().unwrap();
        let (settings, _) = Settings::from_text(&config, name, &Overrides::default()).unwrap();
        // The writing ends are gone already.
        let policy = Judges::load(&settings, |_| None).unwrap().policy;
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let mut waiting = std::pin::pin!(wait_for_keys(policy));
        let polled = waiting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        // The runtime puts off the waking of what only used up its turn.
        tokio::task::yield_now().await;
        assert_eq!(
            count.0.load(Ordering::SeqCst),
            0,
            "it asked to be polled again"
        );
    }
}
