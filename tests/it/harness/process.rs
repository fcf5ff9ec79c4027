//! The gate as a process of its own: with its own memory, its own signals and its own exit code.

use std::fs;
use std::process::Command;

use http::Request;
use http_body_util::Full;
use rustix::process::{Pid, Signal, kill_process};
use sidegate::lab::{Caller, Http, World, world};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::peer::{self, Peer, free_port};
use super::plain::{self, Answer};
use super::{bearer, counters, eventually_so, local, new_world};

/// A running `sidegate run`.
pub(crate) struct Gate {
    pub(crate) world: World,
    /// Where it accepts mTLS.
    pub(crate) port: u16,
    /// Where its side port is.
    pub(crate) admin: u16,
    peer: Peer,
    _folder: TempDir,
}

impl Gate {
    /// Starts it in front of `upstream`, with `more` added to the configuration.
    pub(crate) async fn start(upstream: &str, more: &str) -> Self {
        Self::under("exec \"$@\"", upstream, more).await
    }

    /// The same, started by this shell script, which finds the command in its arguments.
    pub(crate) async fn under(script: &str, upstream: &str, more: &str) -> Self {
        let more = with_level(more);
        let change = |_: &World, config| format!("{config}\n{more}");
        Self::within(fresh_world(), script, upstream, change).await
    }

    /// The same in a world that was made before, with its configuration changed.
    pub(crate) async fn within(
        (world, folder): (World, TempDir),
        script: &str,
        upstream: &str,
        change: impl Fn(&World, String) -> String,
    ) -> Self {
        let starting = peer::start("sidegate", |_| {
            let ports = vec![free_port(), free_port()];
            let address = |port| local(port).to_string();
            let config = world.config(&address(ports[0]), &address(ports[1]), upstream);
            let config = change(&world, config);
            world.write("sidegate.toml", &config).unwrap();
            let mut command = Command::new("sh");
            command.args([
                "-c",
                script,
                "sh",
                env!("CARGO_BIN_EXE_sidegate"),
                "run",
                "--config",
            ]);
            command.arg(world.folder.join("sidegate.toml"));
            (command, ports)
        });
        let (peer, ports) = starting.await;
        let gate = Self {
            world,
            port: ports[0],
            admin: ports[1],
            peer,
            _folder: folder,
        };
        // Its ports accept a moment before it is ready.
        eventually_so("the gate is ready", async || {
            gate.ask("/readyz").await.head.status() == 200
        })
        .await;
        gate
    }

    /// Everything it has written.
    pub(crate) fn log(&self) -> String {
        self.peer.output()
    }

    /// The listed peer `front`.
    pub(crate) fn front(&self, http: Http) -> Caller {
        let (ca, front) = (self.world.ca.pem(), &self.world.front);
        Caller::new(ca, world::SERVER_NAME, Some(front), http).unwrap()
    }

    /// `Authorization` with a good token of this very moment.
    pub(crate) fn pass(&self) -> String {
        let claims = self.world.token().claim("jti", unique());
        bearer(&claims.sign(&self.world.key).unwrap())
    }

    /// What the side port answers to a `GET`.
    pub(crate) async fn ask(&self, path: &str) -> Answer {
        let request = Request::get(path).body(Full::default()).unwrap();
        plain::call(self.admin, request).await
    }

    /// The value of one sample.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.ask("/metrics").await.body;
        let text = String::from_utf8(text.to_vec()).unwrap();
        counters::sample(&text, name).unwrap_or_else(|| panic!("no sample {name}"))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.peer.pid()
    }

    /// Its resident memory.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.peer.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: u64 = line
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        kib * 1024
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.peer.pid()).ok().and_then(Pid::from_raw);
        kill_process(pid.unwrap(), Signal::TERM).unwrap();
    }

    /// Its exit code, which it must have within a while.
    pub(crate) async fn exit_code(&mut self) -> i32 {
        let mut code = None;
        eventually_so("the gate ends", async || {
            code = self.peer.exit_code();
            code.is_some()
        })
        .await;
        code.unwrap()
    }

    /// Whether a new connection is accepted.
    pub(crate) async fn accepts(&self) -> bool {
        TcpStream::connect(local(self.port)).await.is_ok()
    }
}

/// A world of its own, and the folder that goes with it.
pub(crate) fn fresh_world() -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    (world, folder)
}

/// A number that no other token has, so that none is found in a cache.
pub(crate) fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// Quiet, unless the test says otherwise.
fn with_level(more: &str) -> String {
    if more.contains("[log]") {
        return more.to_owned();
    }
    format!("{more}\n[log]\nlevel = \"warn\"\n")
}
