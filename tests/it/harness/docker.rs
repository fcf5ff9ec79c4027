//! The image in a real Docker engine: containers that are removed when they are dropped.
//!
//! `make image` makes the image. Where it, or the engine, is missing, the test is noted as skipped;
//! with `CI` set in the environment that is a failure.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use sidegate::lab::{Caller, Http, World, world};
use tempfile::TempDir;

use super::peer::{installed, missing};
use super::{bearer, eventually, get, local, new_world};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What everybody who copies our manifests runs the image with.
pub(crate) const HARDENED: [&str; 5] = [
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
];

/// The port of the gate inside of a container.
const GATE: &str = "8443/tcp";

/// Whether a Docker engine answers.
pub(crate) fn engine() -> Option<()> {
    installed("docker")?;
    let mut command = Command::new("docker");
    command.arg("version").stdout(Stdio::null());
    if command.stderr(Stdio::null()).status().unwrap().success() {
        return Some(());
    }
    missing("no Docker engine answers", "start one");
    None
}

/// The archive that `make image` writes, if it is newer than what it was made of.
pub(crate) fn archive() -> Option<PathBuf> {
    let archive = Path::new(ROOT).join("target/image/sidegate.tar");
    let made = fs::metadata(&archive).and_then(|found| found.modified());
    let sources = ["src", "Cargo.toml", "Cargo.lock", "deploy/image"];
    let newest = sources
        .iter()
        .map(|name| newest(&Path::new(ROOT).join(name)))
        .max();
    if made.is_ok_and(|made| Some(made) >= newest) {
        return Some(archive);
    }
    missing("the image is not there or old", "make image makes it");
    None
}

fn newest(path: &Path) -> SystemTime {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let below = entries.map(|entry| newest(&entry.path()));
    let own = fs::metadata(path).unwrap().modified().unwrap();
    // A folder changes whenever an editor writes a temporary file.
    let own = if path.is_dir() {
        SystemTime::UNIX_EPOCH
    } else {
        own
    };
    below.fold(own, SystemTime::max)
}

/// The id of the image, in the engine.
pub(crate) fn image() -> Option<&'static str> {
    static ID: OnceLock<String> = OnceLock::new();
    engine()?;
    let archive = archive()?;
    Some(ID.get_or_init(|| {
        let said = docker([
            OsStr::new("load"),
            OsStr::new("--input"),
            archive.as_os_str(),
        ]);
        let name = said.trim().rsplit("Loaded image: ").next().unwrap();
        docker(["image", "inspect", "--format", "{{.Id}}", name])
            .trim()
            .to_owned()
    }))
}

/// What `docker` printed, which has to succeed.
pub(crate) fn docker<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let mut command = Command::new("docker");
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `docker inspect` says of a container.
pub(crate) fn inspect(id: &str, format: &str) -> String {
    let said = docker(["inspect", "--format", format, id]);
    said.trim().to_owned()
}

/// A container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
}

impl Container {
    /// `docker run --detach`, with these arguments.
    pub(crate) fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let detached = ["run", "--detach"].into_iter().chain(arguments);
        Self::made(&docker(detached))
    }

    /// One that was made by `docker run` or `docker create`, which printed this.
    pub(crate) fn made(id: &str) -> Self {
        let id = id.trim().to_owned();
        Self { id }
    }

    /// What `docker inspect` says of it.
    pub(crate) fn inspect(&self, format: &str) -> String {
        inspect(&self.id, format)
    }

    /// All that it has written.
    pub(crate) fn log(&self) -> String {
        let mut command = Command::new("docker");
        let output = command.args(["logs", &self.id]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Where a port of it is on loopback.
    pub(crate) fn port(&self, inside: &str) -> u16 {
        let said = docker(["port", &self.id, inside]);
        let line = said.lines().next().unwrap();
        line.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("=== {} wrote ===\n{}", self.id, self.log());
        }
        let mut command = Command::new("docker");
        command.args(["rm", "--force", "--volumes", &self.id]);
        drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

/// A gate in a container, with a service that shares its network namespace.
#[derive(Debug)]
pub(crate) struct Docked {
    pub(crate) world: World,
    pub(crate) gate: Container,
    _service: Container,
    _folder: TempDir,
}

impl Docked {
    /// Starts both. `prepare` may write more files, and says with which further arguments and which
    /// configuration the gate runs; the world's folder is its `/etc/sidegate`.
    pub(crate) async fn start(
        image: &str,
        prepare: impl FnOnce(&World, String) -> (Vec<String>, String),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = new_world(folder.path());
        let config = world.config("0.0.0.0:8443", "127.0.0.1:9090", "127.0.0.1:8080");
        let (more, config) = prepare(&world, config);
        world.write("sidegate.toml", &config).unwrap();
        share(folder.path());
        let mount = format!("{}:/etc/sidegate:ro", folder.path().display());
        let mut arguments = HARDENED.to_vec();
        arguments.extend(["--publish", "127.0.0.1::8443", "--volume", &mount]);
        arguments.extend(more.iter().map(String::as_str));
        arguments.push(image);
        let gate = Container::run(arguments);
        let beside = format!("container:{}", gate.id);
        let mut arguments = HARDENED.to_vec();
        arguments.extend(["--network", &beside, "--no-healthcheck", image]);
        arguments.extend(["dev", "echo", "--listen", "127.0.0.1:8080"]);
        let service = Container::run(arguments);
        eventually("the service listens", || service.log().contains("echo on")).await;
        let docked = Self {
            world,
            gate,
            _service: service,
            _folder: folder,
        };
        super::eventually_so("the gate answers", async || {
            docked.status(None).await == 401
        })
        .await;
        docked
    }

    /// The status for the peer `front` with this token; 0 where there was no answer.
    pub(crate) async fn status(&self, token: Option<&str>) -> u16 {
        let (ca, front) = (self.world.ca.pem(), &self.world.front);
        let caller = Caller::new(ca, world::SERVER_NAME, Some(front), Http::One).unwrap();
        let pass = token.map(bearer);
        let field = pass.as_deref().map(|pass| ("authorization", pass));
        let call = get("/", field.as_slice());
        let answer = caller.call(local(self.gate.port(GATE)), call).await;
        answer.map_or(0, |answer| answer.status().as_u16())
    }
}

/// Lets the image's user read what the test's user wrote.
pub(crate) fn share(path: &Path) {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for entry in fs::read_dir(path).into_iter().flatten() {
        share(&entry.unwrap().path());
    }
}
