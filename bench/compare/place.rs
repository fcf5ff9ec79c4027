//! Where a run happens: the throw-away world, folders, free ports, and which processors whom.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};
use sidegate::lab::{Scratch, World};
use sidegate::model::Timestamp;

use crate::Failure;
use crate::tokens::Kind;

/// Everything that the contestants share.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) cores: Cores,
    scratch: Scratch,
}

/// Which processors this run may use.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    all: CpuSet,
    first: CpuSet,
    rest: CpuSet,
}

/// Whom a processor is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seat {
    /// The first processor, alone: the contestant.
    First,
    /// All others: the load and the service.
    Rest,
    /// Anywhere.
    Any,
}

impl Place {
    /// Makes certificates, keys and folders.
    pub(crate) fn create() -> Result<Self, Failure> {
        raise_open_files()?;
        let scratch = Scratch::create("sidegate-bench")?;
        // sidegate watches the world; its log and all that changes go elsewhere, as in production.
        for folder in ["world", "keys", "tokens", "output"] {
            fs::create_dir(scratch.path().join(folder))?;
        }
        let world = World::create(&scratch.path().join("world"), Timestamp::now())?;
        let place = Self {
            world,
            cores: Cores::find()?,
            scratch,
        };
        let file = |kind: Kind| place.keys().join(kind.public_file());
        fs::write(file(Kind::Es256), place.world.key.public_pem()?)?;
        fs::write(file(Kind::Rs256), place.world.next_key.public_pem()?)?;
        Ok(place)
    }

    /// The public keys in PEM, and configurations.
    pub(crate) fn keys(&self) -> PathBuf {
        self.scratch.path().join("keys")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.scratch.path().join("tokens")
    }

    /// What the contestants say.
    pub(crate) fn output(&self) -> PathBuf {
        self.scratch.path().join("output")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.world.folder
    }
}

impl Cores {
    fn find() -> Result<Self, Failure> {
        let all = sched_getaffinity(None)?;
        let (mut first, mut rest) = (CpuSet::new(), CpuSet::new());
        for core in (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)) {
            if first.count() == 0 {
                first.set(core);
            } else {
                rest.set(core);
            }
        }
        if rest.count() == 0 {
            return Err("the bench needs two processors: one for the contestant alone".into());
        }
        Ok(Self { all, first, rest })
    }

    pub(crate) fn of(&self, seat: Seat) -> CpuSet {
        match seat {
            Seat::First => self.first,
            Seat::Rest => self.rest,
            Seat::Any => self.all,
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.all.count()
    }
}

/// A port that nobody listens on. Below those that outgoing connections are given: else the load,
/// knocking at a contestant that starts, could be given that very port and be connected to itself.
pub(crate) fn free_port() -> Result<SocketAddr, Failure> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 20_000;
    const MANY: u16 = 10_000;
    let start = (std::process::id() % 100) as u16 * 100;
    for _ in 0..MANY {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + start.wrapping_add(step) % MANY;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no free port".into())
}

/// Ten thousand connections are as many open files, here and in every contestant, which inherits
/// this.
fn raise_open_files() -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum;
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: most,
            maximum: most,
        },
    )?;
    Ok(())
}
