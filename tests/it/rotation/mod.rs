//! Everything that can be rotated, by every kind of file change, while requests with fresh tokens go
//! on over HTTP/1.1 and HTTP/2: no good one is refused, no bad one admitted a second later.
//!
//! `make rotations` runs a hundred of each by themselves (`ROTATIONS=100`) and prints the latencies.
//! Beside the other tests there are three of each. The bound is the same second; a rotation that took
//! longer counts for nothing where the steady callers were held up, too, for then the machine was
//! measured, and another is made in its place.

mod change;
mod object;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sidegate::lab::{Caller, Http, Line, world};
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use self::change::Change;
use self::object::{EDITIONS, Edition, Object, Probe, Turn, Visitor};
use crate::harness::process::{Gate, fresh_world};
use crate::harness::service::Fast;
use crate::harness::{get, local};

const BOTH: [Http; 2] = [Http::One, Http::Two];
/// Between two requests of one steady caller.
const PACE: Duration = Duration::from_millis(5);
/// After so many requests a steady caller connects anew.
const PER_CONNECTION: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gates_own_certificate_and_key_rotate() {
    rotate(Object::Identity).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_cas_rotate() {
    rotate(Object::ClientCa).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_revocation_lists_rotate() {
    rotate(Object::Crl).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_jwks_rotate() {
    rotate(Object::Jwks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_pem_file_rotate() {
    rotate(Object::PemKeys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_an_hs_issuer_rotates() {
    rotate(Object::Secret).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_a_directory_rotate() {
    rotate(Object::PemDirectory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deny_list_rotates() {
    rotate(Object::DenyList).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_configuration_rotates() {
    rotate(Object::Config).await;
}

/// How soon each change must act.
const WITHIN: Duration = Duration::from_secs(1);
/// A call of a steady caller takes a few milliseconds. One that took so long was held up by the machine.
const HELD_UP: Duration = Duration::from_millis(250);

/// How often each change is made, and how many more may take the place of such as prove nothing.
fn task() -> (usize, usize) {
    match env::var("ROTATIONS") {
        Ok(count) => (count.parse().unwrap(), 0),
        Err(_) => (3, 6),
    }
}

async fn rotate(object: Object) {
    let mut table = String::new();
    for change in Change::ALL {
        let found = Rotation::start(object, change).await.run().await;
        let row = found.row(object, change, task().0);
        assert!(
            found.worst() <= WITHIN,
            "{row}: longer than {WITHIN:?} to act"
        );
        assert!(found.steady > 0, "nobody was there to notice anything");
        writeln!(table, "{row}").unwrap();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/rotations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{object:?}.md")), table).unwrap();
}

/// One gate, one object, one kind of change.
struct Rotation {
    gate: Arc<Gate>,
    turn: Turn,
    change: Change,
    _service: Fast,
}

/// How long each rotation took to act.
#[derive(Default)]
struct Found {
    let_in: Vec<Duration>,
    shut_out: Vec<Duration>,
    steady: u64,
}

/// What the steady callers got.
#[derive(Default)]
struct Served {
    calls: AtomicU64,
    /// Of the calls since somebody set it to 0, in milliseconds.
    slowest: AtomicU64,
}

impl Served {
    fn note(&self, began: Instant) {
        let took = u64::try_from(began.elapsed().as_millis()).unwrap();
        self.slowest.fetch_max(took, Ordering::Relaxed);
    }
}

impl Rotation {
    async fn start(object: Object, change: Change) -> Self {
        let service = Fast::start().await;
        let (world, folder) = fresh_world();
        let mut turn = Turn::of(object, &world);
        for (name, content) in &turn.beside {
            world.write(name, content).unwrap();
        }
        if let Some(first) = turn.editions.first() {
            change.lay_out(&world.folder.join("turn"), &first.files);
        }
        let laid_out = std::cell::RefCell::new(&mut turn);
        let gate = Gate::within(
            (world, folder),
            "exec \"$@\"",
            &service.upstream,
            |world, config| {
                let mut turn = laid_out.borrow_mut();
                let text = turn.configure(world, &format!("{config}\n[log]\nlevel = \"error\"\n"));
                let place = world.folder.join("turn");
                if matches!(object, Object::Config) {
                    // What `--config` names is a link to where the editions are. A start that is
                    // tried again finds the folder of the one before.
                    drop(fs::remove_dir_all(&place));
                    drop(fs::remove_file(world.folder.join("sidegate.toml")));
                    change.lay_out(&place, &turn.editions[0].files);
                    let link = world.folder.join("sidegate.toml");
                    std::os::unix::fs::symlink("turn/sidegate.toml", link).unwrap();
                    return turn.editions[0].files[0].1.clone();
                }
                text
            },
        )
        .await;
        Self {
            gate: Arc::new(gate),
            turn,
            change,
            _service: service,
        }
    }

    async fn run(self) -> Found {
        let steady = Arc::new(RwLock::new(Arc::new(self.turn.editions[0].steady.clone())));
        let served = Arc::new(Served::default());
        let mut callers = JoinSet::new();
        for http in BOTH {
            callers.spawn(keep_calling(
                Arc::clone(&self.gate),
                http,
                Arc::clone(&steady),
                Arc::clone(&served),
            ));
        }
        let mut found = Found::default();
        let (count, mut spare) = task();
        for round in 1.. {
            if found.let_in.len() == count {
                break;
            }
            let edition = &self.turn.editions[round % EDITIONS];
            let inside = self.inside(edition).await;
            self.change
                .apply(&self.gate.world.folder.join("turn"), &edition.files);
            served.slowest.store(0, Ordering::Relaxed);
            let (let_in, shut_out) = self.wait_for(edition, inside).await;
            let slowest = Duration::from_millis(served.slowest.load(Ordering::Relaxed));
            if let_in.max(shut_out) > WITHIN && slowest > HELD_UP && spare > 0 {
                println!("{let_in:?} and {shut_out:?} while a steady call took {slowest:?}");
                spare -= 1;
            } else {
                found.let_in.push(let_in);
                found.shut_out.push(shut_out);
            }
            *steady.write().await = Arc::new(edition.steady.clone());
            if let Some(ended) = callers.try_join_next() {
                ended.unwrap();
            }
        }
        callers.abort_all();
        while let Some(ended) = callers.join_next().await {
            assert!(
                ended.unwrap_err().is_cancelled(),
                "a good request was refused"
            );
        }
        found.steady = served.calls.load(Ordering::Relaxed);
        found
    }

    /// The outcast-to-be on connections that are open, if it is one that calls.
    async fn inside(&self, edition: &Edition) -> Vec<Line> {
        let Probe::Admits(visitor) = &edition.outcast else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for http in BOTH {
            let mut line = open(&self.gate, visitor, http).await.unwrap();
            assert!(is_let_in(&mut line, visitor).await, "not good before");
            lines.push(line);
        }
        lines
    }

    /// How long until the newcomer is let in and the outcast shut out, on every connection.
    async fn wait_for(&self, edition: &Edition, mut inside: Vec<Line>) -> (Duration, Duration) {
        let began = Instant::now();
        let (mut let_in, mut shut_out) = (None, None);
        while let_in.is_none() || shut_out.is_none() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "{:?}: has not acted; newcomer in: {let_in:?}, outcast out: {shut_out:?}\n{}",
                self.change,
                self.gate.log()
            );
            if let_in.is_none() && self.holds(&edition.newcomer).await {
                let_in = Some(began.elapsed());
            }
            if shut_out.is_none() {
                let mut still = self.holds(&edition.outcast).await;
                if let Probe::Admits(visitor) = &edition.outcast {
                    for line in &mut inside {
                        still |= is_let_in(line, visitor).await;
                    }
                }
                if !still {
                    shut_out = Some(began.elapsed());
                }
            }
        }
        // And so it stays.
        assert!(self.holds(&edition.newcomer).await && !self.holds(&edition.outcast).await);
        (let_in.unwrap(), shut_out.unwrap())
    }

    /// Asks on a new connection.
    async fn holds(&self, probe: &Probe) -> bool {
        match probe {
            Probe::Admits(visitor) => match open(&self.gate, visitor, Http::One).await {
                Ok(mut line) => is_let_in(&mut line, visitor).await,
                Err(_) => false,
            },
            Probe::Shows(der) => {
                let caller = self.gate.front(Http::One);
                let tls = caller.connect(local(self.gate.port)).await.unwrap();
                let shown = tls.get_ref().1.peer_certificates().unwrap();
                shown[0].as_ref() == der
            }
        }
    }
}

impl Found {
    fn worst(&self) -> Duration {
        let all = self.let_in.iter().chain(&self.shut_out);
        all.max().copied().unwrap()
    }

    fn row(&self, object: Object, change: Change, count: usize) -> String {
        let shown = |times: &[Duration]| {
            let mut times = times.to_vec();
            times.sort();
            let median = times[times.len() / 2].as_millis();
            format!("{median} / {}", times.last().unwrap().as_millis())
        };
        let (let_in, shut_out) = (shown(&self.let_in), shown(&self.shut_out));
        let steady = self.steady;
        format!("| {object:?} | {change:?} | {count} | {let_in} | {shut_out} | {steady} |")
    }
}

async fn open(gate: &Gate, visitor: &Visitor, http: Http) -> Result<Line, String> {
    let certificate = Some(&visitor.certificate);
    let caller = Caller::new(gate.world.ca.pem(), world::SERVER_NAME, certificate, http).unwrap();
    let line = caller.open(local(gate.port)).await;
    line.map_err(|error| error.to_string())
}

async fn is_let_in(line: &mut Line, visitor: &Visitor) -> bool {
    let (field, value) = visitor.pass();
    let answer = line.send(get("/", &[(field, &value)])).await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

/// Calls for ever; everything must be answered with 200.
async fn keep_calling(
    gate: Arc<Gate>,
    http: Http,
    steady: Arc<RwLock<Arc<Visitor>>>,
    served: Arc<Served>,
) {
    let mut pace = interval(PACE);
    loop {
        // Held during each call: who is steady changes between calls only.
        let now = steady.read().await;
        let visitor = Arc::clone(&now);
        let began = Instant::now();
        let mut line = open(&gate, &visitor, http).await.unwrap();
        served.note(began);
        drop(now);
        for _ in 0..PER_CONNECTION {
            pace.tick().await;
            let now = steady.read().await;
            if !Arc::ptr_eq(&now, &visitor) {
                break;
            }
            let (field, value) = visitor.pass();
            let began = Instant::now();
            let answer = line.send(get("/", &[(field, &value)])).await;
            served.note(began);
            let status = answer.map(|answer| answer.status().as_u16());
            assert_eq!(status.ok(), Some(200), "a good request was refused");
            served.calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}
