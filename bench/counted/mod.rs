//! A gate under callgrind: how many instructions it takes between two moments, whoever else is on the
//! machine.
//!
//! Counted are the instructions of the program, not the kernel's. Why by way of vgdb, and not from the
//! start to the end of two processes? What a start takes differs by more than a request: the crypto
//! library gathers entropy for as long as it likes. vgdb may not stop the gate, which keeps other
//! processes from looking into it; so it leaves its word, and a request to the admin port wakes a
//! thread that finds it. Neither that thread is counted nor those that wake by the clock.

pub(crate) mod load;
pub(crate) mod profile;

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use self::profile::Profile;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is in the symbols of the threads that do nothing for a request: one serves the admin port, the
/// others look after files as time goes by.
const BESIDE: [&str; 4] = [
    "sidegate3ops",
    "sidegate6reload5watch",
    "sidegate7startup8reloader",
    "notify7inotify",
];
/// Under valgrind everything takes fifty times as long.
const PATIENCE: Duration = Duration::from_secs(300);

/// A gate whose instructions are counted.
pub(crate) struct Counted {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
    dumps: usize,
}

impl Counted {
    /// Starts `binary` on the configuration that `config` makes of the addresses to listen at; it is
    /// written to `name`. Nothing is counted yet.
    pub(crate) async fn start(
        binary: &Path,
        name: &Path,
        config: impl Fn(SocketAddr, SocketAddr) -> String,
    ) -> Result<Self, Failure> {
        let (address, admin) = (free()?, free()?);
        fs::write(name, config(address, admin))?;
        let folder = tempfile::tempdir()?;
        let at = |file: &str| folder.path().join(file);
        let option = |key: &str, file: &str| format!("--{key}={}", at(file).display());
        let child = Command::new("valgrind")
            .args(["--tool=callgrind", "--instr-atstart=no", "--dump-line=no"])
            .args(["--compress-strings=no", "--compress-pos=no"])
            .args(["--demangle=no", "--separate-threads=yes"])
            .args([option("callgrind-out-file", "out")])
            .args(["--vgdb=yes", "--vgdb-poll=500"])
            .args([option("vgdb-prefix", "vgdb"), option("log-file", "said")])
            .arg(binary)
            .args(["run", "--log-format", "json", "--config"])
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(File::create(at("log"))?))
            .spawn()
            .map_err(|error| format!("valgrind cannot be started ({error}): run tests/setup"))?;
        let mut counted = Self {
            child,
            address,
            admin,
            folder,
            dumps: 0,
        };
        counted.wait().await?;
        Ok(counted)
    }

    /// Where the gate listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to count.
    pub(crate) async fn begin(&self) -> Result<(), Failure> {
        self.tell("instrumentation on").await
    }

    /// What was counted since the last time.
    pub(crate) async fn take(&mut self) -> Result<Profile, Failure> {
        self.tell("dump").await?;
        self.dumps += 1;
        let mut profile = Profile::default();
        let prefix = format!("out.{}-", self.dumps);
        for file in fs::read_dir(self.folder.path())? {
            let path = file?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with(&prefix) {
                continue;
            }
            let dump = fs::read_to_string(&path)?;
            let mut functions = dump.lines().filter(|line| line.starts_with("fn="));
            if !functions.any(|line| BESIDE.iter().any(|beside| line.contains(beside))) {
                profile.add(&dump);
            }
            fs::remove_file(&path)?;
        }
        if profile.all() == 0 {
            return Err("callgrind counted nothing".into());
        }
        let known = |name: &String| name.starts_with("_ZN") || name.starts_with("_R");
        if !profile.functions.keys().any(known) {
            return Err("the binary has no symbols: give one that is not stripped".into());
        }
        Ok(profile)
    }

    async fn wait(&mut self) -> Result<(), Failure> {
        let until = Instant::now() + PATIENCE;
        while !self.ask("/readyz").await.is_ok_and(|status| status == 200) {
            if let Some(status) = self.child.try_wait()? {
                let said = fs::read_to_string(self.folder.path().join("log"))?;
                return Err(format!("the gate ended with {status}:\n{said}").into());
            }
            if Instant::now() > until {
                return Err("the gate did not start in time".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Gives callgrind an order and waits until it was carried out.
    async fn tell(&self, order: &str) -> Result<(), Failure> {
        let prefix = self.folder.path().join("vgdb");
        let mut vgdb = Command::new("vgdb")
            .arg(format!("--vgdb-prefix={}", prefix.display()))
            .arg(format!("--pid={}", self.child.id()))
            // Never by ptrace.
            .args(["--max-invoke-ms=0", order])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(File::create(
                self.folder.path().join("vgdb.log"),
            )?))
            .spawn()?;
        let until = Instant::now() + PATIENCE;
        loop {
            tokio::time::sleep(Duration::from_millis(30)).await;
            if let Some(status) = vgdb.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                let said = fs::read_to_string(self.folder.path().join("vgdb.log"))?;
                return Err(format!("vgdb could not say {order:?}: {said}").into());
            }
            if Instant::now() > until {
                drop((vgdb.kill(), vgdb.wait()));
                return Err(format!("callgrind did not hear {order:?}").into());
            }
            self.ask("/livez").await?;
        }
    }

    /// Asks the admin port, and gives the status.
    async fn ask(&self, path: &str) -> Result<u16, Failure> {
        let mut socket = TcpStream::connect(self.admin).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        Ok(status.parse()?)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // The child is ours, and there is nobody left to tell.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The gate to count: what the image holds, before its symbols were taken out.
pub(crate) fn binary() -> Result<PathBuf, Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("SIDEGATE").map(PathBuf::from);
    let path = root.join(named.unwrap_or_else(|| "target/image/sidegate.symbols".into()));
    if path.is_file() {
        return Ok(path);
    }
    let path = path.display();
    Err(format!(
        "there is no {path}: run `make image`, or set SIDEGATE to a gate that is not stripped"
    )
    .into())
}

fn free() -> Result<SocketAddr, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
