//! Real programs as peers: nginx, HAProxy and Envoy in front of the gate, Python services behind it,
//! Prometheus beside it. `tests/peers/README.md` says what each of them needs and does.
//!
//! Every peer lives in a temporary folder of its own and is killed by its pid when it is dropped.
//! What is not installed is skipped, loudly; with `CI` set in the environment that is a failure.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{env, process, thread};

use sidegate::lab::{Issued, World, world};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{eventually_so, local};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A running program.
pub(crate) struct Peer {
    name: String,
    child: Child,
    folder: TempDir,
}

/// A service behind the gate.
pub(crate) struct Service {
    /// As the configuration names it: `127.0.0.1:PORT` or `unix:PATH`.
    pub(crate) upstream: String,
    _peer: Peer,
}

/// A front proxy, and what it speaks to the gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Front {
    Nginx,
    HaproxyH1,
    HaproxyH2,
    EnvoyH1,
    EnvoyH2,
}

/// A running front proxy.
pub(crate) struct FrontProxy {
    /// Where it takes plain HTTP.
    pub(crate) http: u16,
    /// Where it takes gRPC.
    pub(crate) grpc: u16,
    _peer: Peer,
}

/// `legacy.py` on a free port, or on a Unix socket.
pub(crate) async fn legacy(socket: Option<&Path>) -> Option<Service> {
    let address = socket.map_or_else(|| "0".to_owned(), |path| format!("unix:{}", path.display()));
    service("legacy.py", None, &address).await
}

/// `wsgi_service.py`.
pub(crate) async fn wsgi() -> Option<Service> {
    service("wsgi_service.py", None, "0").await
}

/// `ws_service.py`.
pub(crate) async fn websocket_service() -> Option<Service> {
    service("ws_service.py", Some("websockets"), "0").await
}

/// `grpc_service.py`.
pub(crate) async fn grpc_service() -> Option<Service> {
    service("grpc_service.py", Some("grpc"), "0").await
}

async fn service(script: &str, module: Option<&str>, address: &str) -> Option<Service> {
    let command = python(script, module)?;
    let peer = start(script, |_| {
        let mut again = Command::new(command.get_program());
        again.args(command.get_args()).arg(address);
        (again, Vec::new())
    });
    let (peer, _) = peer.await;
    let said = peer.output();
    let place = said
        .lines()
        .find_map(|line| line.strip_prefix("listening "));
    let place = place.unwrap();
    let upstream = match place.parse() {
        Ok(port) => local(port).to_string(),
        Err(_) => format!("unix:{place}"),
    };
    Some(Service {
        upstream,
        _peer: peer,
    })
}

/// A Python program of `tests/peers`, if Python and the module that it needs are there.
pub(crate) fn python(script: &str, module: Option<&str>) -> Option<Command> {
    let venv = Path::new(ROOT).join("target/peers-venv");
    let python = match module {
        None => installed("python3")?,
        Some(module) => {
            let libraries = fs::read_dir(venv.join("lib")).into_iter().flatten();
            let found = libraries
                .flatten()
                .any(|lib| lib.path().join("site-packages").join(module).exists());
            if !found {
                skip(&format!("Python's {module}"));
                return None;
            }
            venv.join("bin/python")
        }
    };
    let mut command = Command::new(python);
    command.arg(Path::new(ROOT).join("tests/peers").join(script));
    Some(command)
}

/// nginx as a service: its pages below `/admin` say `PROTECTED`, all others `OPEN`.
pub(crate) async fn nginx_service() -> Option<Service> {
    let program = installed("nginx")?;
    let starting = start("nginx", |folder| {
        let port = free_port();
        let values = [
            ("LISTEN", port.to_string()),
            ("DIR", folder.to_str().unwrap().to_owned()),
        ];
        let config = fill("nginx_upstream.conf.in", folder, &values);
        let mut command = Command::new(&program);
        command.args(["-e", "stderr", "-p"]).arg(folder);
        command.arg("-c").arg(config);
        (command, vec![port])
    });
    let (peer, ports) = starting.await;
    Some(Service {
        upstream: local(ports[0]).to_string(),
        _peer: peer,
    })
}

impl Front {
    /// Starts it in front of the gate at `gate`, with `certificate` as its client certificate.
    pub(crate) async fn start(
        self,
        world: &World,
        certificate: &Issued,
        gate: u16,
    ) -> Option<FrontProxy> {
        let program = installed(match self {
            Self::Nginx => "nginx",
            Self::HaproxyH1 | Self::HaproxyH2 => "haproxy",
            Self::EnvoyH1 | Self::EnvoyH2 => "envoy",
        })?;
        let name = format!("{self:?}");
        let starting = start(&name, |folder| {
            let ports = [free_port(), free_port()];
            let mut command = Command::new(&program);
            self.configure(&mut command, folder, world, certificate, gate, ports);
            // HAProxy has one port for everything.
            let used = match self {
                Self::HaproxyH1 | Self::HaproxyH2 => vec![ports[0]],
                Self::Nginx | Self::EnvoyH1 | Self::EnvoyH2 => ports.to_vec(),
            };
            (command, used)
        });
        let (peer, ports) = starting.await;
        let (http, grpc) = match self {
            Self::Nginx => (ports[0], ports[1]),
            Self::HaproxyH1 | Self::HaproxyH2 | Self::EnvoyH1 => (ports[0], ports[0]),
            Self::EnvoyH2 => (ports[1], ports[1]),
        };
        Some(FrontProxy {
            http,
            grpc,
            _peer: peer,
        })
    }

    fn configure(
        self,
        command: &mut Command,
        folder: &Path,
        world: &World,
        certificate: &Issued,
        gate: u16,
        ports: [u16; 2],
    ) {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (chain, key) = (&certificate.chain_pem, &certificate.key_pem);
        let values = [
            ("GATE", gate.to_string()),
            ("LISTEN", ports[0].to_string()),
            ("LISTEN_GRPC", ports[1].to_string()),
            ("LISTEN_H1", ports[0].to_string()),
            ("LISTEN_H2", ports[1].to_string()),
            (
                "ALPN",
                if self == Self::HaproxyH2 {
                    "h2"
                } else {
                    "http/1.1"
                }
                .to_owned(),
            ),
            ("SERVER_NAME", world::SERVER_NAME.to_owned()),
            ("CA", file("ca.crt", world.ca.pem())),
            ("CERT", file("client.crt", chain)),
            ("KEY", file("client.key", key)),
            ("COMBINED", file("client.pem", &format!("{chain}{key}"))),
            ("DIR", folder.to_str().unwrap().to_owned()),
        ];
        match self {
            Self::Nginx => {
                let config = fill("nginx.conf.in", folder, &values);
                command
                    .args(["-e", "stderr", "-p"])
                    .arg(folder)
                    .arg("-c")
                    .arg(config);
            }
            Self::HaproxyH1 | Self::HaproxyH2 => {
                let config = fill("haproxy.cfg.in", folder, &values);
                command.args(["-db", "-q", "-f"]).arg(config);
            }
            Self::EnvoyH1 | Self::EnvoyH2 => {
                let config = fill("envoy.yaml.in", folder, &values);
                command.arg("-c").arg(config);
                command.args(["--disable-hot-restart", "--concurrency", "1"]);
                command.args(["--log-level", "warn"]);
            }
        }
    }
}

/// Prometheus that scrapes the admin port `admin`; with the port of its own HTTP API.
pub(crate) async fn prometheus(admin: u16) -> Option<(Peer, u16)> {
    let program = installed("prometheus")?;
    let starting = start("prometheus", |folder| {
        let port = free_port();
        let values = [("ADMIN", admin.to_string())];
        let config = fill("prometheus.yml.in", folder, &values);
        let mut command = Command::new(&program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!(
            "--storage.tsdb.path={}",
            folder.join("tsdb").display()
        ));
        command.arg(format!("--web.listen-address={}", local(port)));
        command.arg("--log.level=warn");
        (command, vec![port])
    });
    let (peer, ports) = starting.await;
    Some((peer, ports[0]))
}

/// Writes a template of `tests/peers` into `folder`, every `@NAME@` replaced.
fn fill(template: &str, folder: &Path, values: &[(&str, String)]) -> PathBuf {
    let mut text = fs::read_to_string(Path::new(ROOT).join("tests/peers").join(template)).unwrap();
    for (name, value) in values {
        text = text.replace(&format!("@{name}@"), value);
    }
    let path = folder.join(template.trim_end_matches(".in"));
    fs::write(&path, text).unwrap();
    path
}

/// Starts a program and waits until all its ports accept; one without ports has to say where it
/// listens. A port may have been taken since it was found free, so the start is tried twice.
pub(crate) async fn start(
    name: &str,
    prepare: impl Fn(&Path) -> (Command, Vec<u16>),
) -> (Peer, Vec<u16>) {
    for attempt in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (command, ports) = prepare(folder.path());
        let mut peer = Peer::spawn(name, command, folder);
        let mut alive = true;
        eventually_so(&format!("{name} is ready"), async || {
            alive = peer.exit_code().is_none();
            !alive || peer.is_ready(&ports).await
        })
        .await;
        if alive && peer.exit_code().is_none() {
            return (peer, ports);
        }
        assert!(attempt < 2, "{name} does not start: {}", peer.output());
    }
    unreachable!()
}

impl Peer {
    fn spawn(name: &str, mut command: Command, folder: TempDir) -> Self {
        let output = File::create(folder.path().join("output")).unwrap();
        command.stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("{name}: {error}"));
        let name = name.to_owned();
        Self {
            name,
            child,
            folder,
        }
    }

    async fn is_ready(&self, ports: &[u16]) -> bool {
        for port in ports {
            if TcpStream::connect(local(*port)).await.is_err() {
                return false;
            }
        }
        !ports.is_empty() || self.output().contains("listening ")
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has; -1 if by a signal.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let status = self.child.try_wait().unwrap();
        status.map(|status| status.code().unwrap_or(-1))
    }

    /// All that it has written.
    pub(crate) fn output(&self) -> String {
        let bytes = fs::read(self.folder.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("=== {} wrote ===\n{}", self.name, self.output());
        }
    }
}

/// Runs a program with these last arguments to its end, without keeping the runtime from its work.
pub(crate) async fn finished(mut command: Command, arguments: &[&str]) -> Output {
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().unwrap())
        .await
        .unwrap()
}

/// Where a program is. If it is not installed, the test is noted as skipped.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps nginx and HAProxy in /usr/sbin, which is not in everybody's PATH.
    let more = [
        Path::new(ROOT).join("target/peers-venv/bin"),
        "/usr/sbin".into(),
    ];
    let found = env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(program);
    }
    found
}

fn skip(what: &str) {
    missing(
        &format!("{what} is not installed"),
        "tests/setup installs it",
    );
}

/// Notes the test as skipped, loudly, in a file that `make test` shows last.
pub(crate) fn missing(what: &str, remedy: &str) {
    assert!(
        env::var_os("CI").is_none(),
        "{what}, and CI skips nothing: {remedy}"
    );
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("SKIPPED: {test}: {what}; {remedy}\n");
    eprint!("{line}");
    let summary = Path::new(ROOT).join("target/skipped-tests.txt");
    let file = OpenOptions::new().append(true).create(true).open(summary);
    file.unwrap().write_all(line.as_bytes()).unwrap();
}

/// A port that is free now. Below the ports that the system hands out by itself, so that no outgoing
/// connection of a test takes it before its owner does.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    let start = u16::try_from(process::id() * 97 % u32::from(COUNT)).unwrap();
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (start + step) % COUNT;
        if TcpListener::bind(local(port)).is_ok() {
            return port;
        }
    }
}
