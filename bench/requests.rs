//! What a request costs: processor time of the gate's own process, with a fresh ES256 token on every
//! request and with one repeated token; and what the gate takes of memory and disk.
//!
//! The load and the service behind run in this process, the gate in a child, so that only the gate
//! is measured. Processor time, not elapsed time: the machine may be busy with other things. Run it
//! with `make bench`; `REQUESTS` and `ROUNDS` change how much.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sidegate::lab::{Caller, Http, World, world};
use sidegate::model::Timestamp;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Connections that are kept open, and streams on each where HTTP/2 has them.
const LINES: usize = 16;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

#[expect(
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "its output is what it is for, from the top to the bottom of the page"
)]
async fn measure() -> Result<(), Failure> {
    let requests: usize = variable("REQUESTS", 10_000);
    let rounds: usize = variable("ROUNDS", 5);
    let folder = tempfile::tempdir()?;
    let world = World::create(folder.path(), Timestamp::now())?;
    let upstream = upstream().await?;
    let gate = Gate::start(&world, upstream)?;
    gate.wait().await?;
    println!(
        "binary                       {:>8.1} MB",
        megabytes(fs::metadata(gate.binary())?.len())
    );
    println!(
        "memory idle, resident        {:>8.1} MB",
        megabytes(gate.memory("VmRSS")?)
    );
    println!(
        "memory idle, private         {:>8.1} MB",
        megabytes(gate.memory("RssAnon")?)
    );

    let fresh: Arc<Vec<String>> = Arc::new(
        (0..requests)
            .map(|number| {
                let token = world.token().claim("jti", number.to_string());
                token
                    .sign(&world.key)
                    .map(|token| format!("Bearer {token}"))
            })
            .collect::<Result<_, _>>()?,
    );
    let repeated = Arc::new(vec![format!(
        "Bearer {}",
        world.token().sign(&world.next_key)?
    )]);
    let nothing = Arc::new(Vec::new());
    for (name, http, tokens) in [
        ("HTTP/1.1, fresh ES256", Http::One, &fresh),
        ("HTTP/1.1, repeated RS256", Http::One, &repeated),
        ("HTTP/2, fresh ES256", Http::Two, &fresh),
        ("HTTP/1.1, no token (401)", Http::One, &nothing),
    ] {
        let caller = Caller::new(world.ca.pem(), world::SERVER_NAME, Some(&world.front), http)?;
        let mut costs = Vec::new();
        for round in 0..=rounds {
            let before = gate.processor_time()?;
            load(&caller, gate.address, tokens, requests).await?;
            let cost = (gate.processor_time()? - before).as_secs_f64() * 1e6 / requests as f64;
            // The first round warms up.
            if round > 0 {
                costs.push(cost);
            }
        }
        costs.sort_by(f64::total_cmp);
        let median = costs.get(costs.len() / 2).copied().unwrap_or_default();
        let (low, high) = (costs.first().unwrap_or(&0.0), costs.last().unwrap_or(&0.0));
        println!("{name:<28} {median:>8.1} us/request  ({low:.1} to {high:.1})");
    }
    println!(
        "memory after, resident       {:>8.1} MB",
        megabytes(gate.memory("VmRSS")?)
    );
    Ok(())
}

/// Sends `requests` over kept-alive connections, each with the next token.
async fn load(
    caller: &Caller,
    address: SocketAddr,
    tokens: &Arc<Vec<String>>,
    requests: usize,
) -> Result<(), Failure> {
    let mut tasks = Vec::new();
    for lane in 0..LINES {
        let mut line = caller.open(address).await?;
        let tokens = Arc::clone(tokens);
        tasks.push(tokio::spawn(async move {
            for number in (lane..requests).step_by(LINES) {
                let mut request = Request::builder().uri("/bench");
                let token = tokens.get(number % tokens.len().max(1));
                if let Some(token) = token {
                    request = request.header("authorization", token);
                }
                let answer = line.send(request.body(Full::new(Bytes::new()))?).await?;
                let expected = if token.is_some() { 200 } else { 401 };
                if answer.status() != expected {
                    return Err(format!("answered {}", answer.status()).into());
                }
            }
            Ok::<_, Failure>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

/// A service that answers at once with one kilobyte.
async fn upstream() -> Result<SocketAddr, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(socket.set_nodelay(true));
            tokio::spawn(async move {
                let answer = service_fn(|_| async {
                    let body = Full::new(Bytes::from_static(&[b'x'; 1024]));
                    Ok::<_, std::convert::Infallible>(Response::new(body))
                });
                let http = hyper::server::conn::http1::Builder::new();
                drop(http.serve_connection(TokioIo::new(socket), answer).await);
            });
        }
    });
    Ok(address)
}

/// The gate as a process of its own.
struct Gate {
    child: Child,
    address: SocketAddr,
    _log: tempfile::TempDir,
}

impl Gate {
    fn start(world: &World, upstream: SocketAddr) -> Result<Self, Failure> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = world.config(&address.to_string(), "off", &upstream.to_string());
        world.write(
            "sidegate.toml",
            &format!("{config}\n[runtime]\nthreads = 1\n"),
        )?;
        let log = tempfile::tempdir()?;
        let child = Command::new(env!("CARGO_BIN_EXE_sidegate"))
            .args(["run", "--config"])
            .arg(world.folder.join("sidegate.toml"))
            .args(["--log-format", "json"])
            // The decision log is written, as it is in production: not into a folder that the gate
            // watches, where each line would be an event to look at.
            .stderr(Stdio::from(fs::File::create(log.path().join("log"))?))
            .spawn()?;
        Ok(Self {
            child,
            address,
            _log: log,
        })
    }

    fn binary(&self) -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_sidegate"))
    }

    async fn wait(&self) -> Result<(), Failure> {
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err("the gate did not start".into())
    }

    /// Time on a processor, user and system, of all threads.
    fn processor_time(&self) -> Result<Duration, Failure> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split(' ').next().unwrap_or_default();
            nanoseconds += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn memory(&self, field: &str) -> Result<u64, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = text
            .lines()
            .find(|line| line.starts_with(field))
            .ok_or("no such field")?;
        let kilobytes = line.split_whitespace().nth(1).ok_or("no value")?;
        Ok(kilobytes.parse::<u64>()? * 1024)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // The child is ours, and there is nobody left to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
