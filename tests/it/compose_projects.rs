//! The Compose projects to copy: each comes up, works, and lets nobody around the gate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use sidegate::lab::world::SERVER_NAME;
use sidegate::lab::{Caller, Http, Issued, SigningKey, TokenSpec};
use sidegate::model::{Algorithm, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::harness::docker::{docker, image, inspect};
use crate::harness::peer::{free_port, installed};
use crate::harness::{bearer, eventually_so, get, local, plain, seen_header};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn project(name: &str) -> PathBuf {
    Path::new(ROOT).join("compose").join(name)
}

/// A Compose project with files of its own, down again when it is dropped.
struct Project {
    name: String,
    file: PathBuf,
    files: TempDir,
    environment: Vec<(&'static str, String)>,
    images: Vec<String>,
}

impl Project {
    fn new(kind: &str, image: &str) -> Self {
        let files = tempfile::tempdir().unwrap();
        let name = format!("sidegate-{kind}-{}", std::process::id());
        let mut deal = Command::new(project("deal"));
        deal.arg(kind)
            .arg(files.path())
            .env("SIDEGATE_IMAGE", image);
        let output = deal.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let environment = vec![
            ("SIDEGATE_IMAGE", image.to_owned()),
            ("FILES", files.path().display().to_string()),
        ];
        Self {
            name,
            file: project(kind).join("docker-compose.yml"),
            files,
            environment,
            images: Vec::new(),
        }
    }

    /// Makes an image of a program of this machine, which `variable` then names.
    fn image_of(&mut self, variable: &'static str, program: &Path) {
        let name = format!("{}-{}:test", self.name, variable.to_lowercase());
        let mut make = Command::new(project("host-image"));
        let output = make.arg(&name).arg(program).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        self.environment.push((variable, name.clone()));
        self.images.push(name);
    }

    fn compose(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &self.name, "--file"]);
        command.arg(&self.file).args(arguments);
        let environment = self.environment.iter().map(|(name, value)| (*name, value));
        command.envs(environment).output().unwrap()
    }

    fn up(&self, services: &[&str]) {
        let output = self.compose(&[&["up", "--detach"], services].concat());
        assert!(output.status.success(), "{output:?}");
    }

    fn id(&self, service: &str) -> String {
        let output = self.compose(&["ps", "--quiet", service]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.files.path().join(name)).unwrap()
    }

    /// A client with the front proxy's certificate, or without any.
    fn caller(&self, certificate: bool) -> Caller {
        let issued = Issued {
            chain_pem: self.read("front/front.crt"),
            key_pem: self.read("front/front.key"),
            der: Vec::new(),
            serial: Vec::new(),
        };
        let ca = self.read("front/ca.crt");
        Caller::new(&ca, SERVER_NAME, certificate.then_some(&issued), Http::One).unwrap()
    }

    /// The service and the gate publish nothing.
    fn publishes_nothing(&self) {
        for service in ["legacy", "sidegate"] {
            assert_eq!(docker(["port", &self.id(service)]), "", "{service}");
        }
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.compose(&["logs", "--tail", "40"]);
            eprintln!("{}", String::from_utf8_lossy(&log.stdout));
        }
        drop(self.compose(&[
            "--profile",
            "metrics",
            "down",
            "--volumes",
            "--timeout",
            "1",
        ]));
        for image in &self.images {
            let mut command = Command::new("docker");
            drop(command.args(["image", "rm", "--force", image]).output());
        }
    }
}

/// nginx or Envoy as the project's front proxy, and Prometheus beside it.
async fn front_proxy(kind: &str, program: &Path, third: u8) -> Option<()> {
    let image = image()?;
    installed("docker-compose")?;
    let prometheus = installed("prometheus")?;
    let mut project = Project::new(kind, image);
    project.image_of("FRONT_IMAGE", program);
    project.image_of("PROMETHEUS_IMAGE", &prometheus);
    let (front, scraper) = (free_port(), free_port());
    project.environment.extend([
        ("METRICS_NET", format!("10.203.{third}")),
        ("FRONT_PORT", front.to_string()),
        ("PROMETHEUS_PORT", scraper.to_string()),
    ]);
    let output = project.compose(&["--profile", "metrics", "up", "--detach"]);
    assert!(output.status.success(), "{output:?}");
    project.publishes_nothing();

    let pass = bearer(&project.read("caller/token"));
    eventually_so("the front proxy lets a good caller through", async || {
        status(front, &[("authorization", &pass)]).await == 200
    })
    .await;
    assert_eq!(status(front, &[]).await, 401);
    let spoofed = [("authorization", &*pass), ("x-auth-subject", "root")];
    let answer = plain::call(front, get("/", &spoofed)).await;
    assert_eq!(answer.received("x-auth-subject"), ["ada"]);
    eventually_so("Prometheus has scraped the gate", async || {
        let query = "/api/v1/query?query=sidegate_ready";
        let Some(answer) = answered(scraper, query).await else {
            return false;
        };
        answer.contains("\"instance\":\"10.203.")
    })
    .await;
    Some(())
}

async fn status(port: u16, fields: &[(&str, &str)]) -> u16 {
    if TcpStream::connect(local(port)).await.is_err() {
        return 0;
    }
    plain::call(port, get("/", fields))
        .await
        .head
        .status()
        .as_u16()
}

async fn answered(port: u16, path: &str) -> Option<String> {
    TcpStream::connect(local(port)).await.ok()?;
    let answer = plain::call(port, get(path, &[])).await;
    Some(String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test]
async fn the_project_with_nginx_works_and_is_scraped() {
    if let Some(nginx) = installed("nginx") {
        front_proxy("nginx", &nginx, third(0)).await;
    }
}

#[tokio::test]
async fn the_project_with_envoy_works_and_is_scraped() {
    // What is in the path is a script around it.
    if let Some(script) = installed("envoy") {
        let folder = script.parent().unwrap().parent().unwrap().join("lib");
        let mut find = Command::new("find");
        find.arg(folder).args(["-path", "*/envoy/_bin/envoy"]);
        let found = String::from_utf8(find.output().unwrap().stdout).unwrap();
        front_proxy("envoy", Path::new(found.trim()), third(1)).await;
    }
}

/// A part of a network that no other run of the tests has right now.
fn third(which: u8) -> u8 {
    let pid = u8::try_from(std::process::id() % 100).unwrap();
    2 * pid + which + 50
}

// === Pomerium ===

const HOST: &str = "legacy.localhost.pomerium.io";

/// What Pomerium calls a key: the thumbprint (RFC 7638) in hex.
fn hex_thumbprint(key: &SigningKey) -> String {
    let jwk = key.jwk().unwrap();
    let part = |name: &str| jwk[name].as_str().unwrap().to_owned();
    let (x, y) = (part("x"), part("y"));
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// The stand-in's assertions: for each request a new one.
struct Assertions {
    key: SigningKey,
    made: u64,
}

impl Assertions {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
        let kid = hex_thumbprint(&key);
        let pem = key.private_pem().unwrap();
        let key = SigningKey::from_private_pem(&pem, Algorithm::Es256, Some(&kid)).unwrap();
        Self { key, made: 0 }
    }

    fn of(&mut self, change: impl FnOnce(TokenSpec) -> TokenSpec) -> String {
        self.made += 1;
        let jti = format!("5b7b4a52-6fcb-4ba3-9a3f-{:012x}", self.made);
        let now = Timestamp::now();
        let spec = TokenSpec::pomerium(HOST, "user-7", "ann@example.com", &["admins"], now);
        change(spec.claim("jti", jti)).sign(&self.key).unwrap()
    }
}

/// The project without Pomerium itself, in whose place the test stands.
struct Pomerium {
    project: Project,
    assertions: Assertions,
    gate: SocketAddr,
}

const ASSERTION: &str = "x-pomerium-jwt-assertion";

impl Pomerium {
    async fn stand_in(run: &str) -> Option<Self> {
        let image = image()?;
        installed("docker-compose")?;
        let mut project = Project::new("pomerium", image);
        project.name.push_str(run);
        let assertions = Assertions::new();
        let keys = SigningKey::jwks(&[&assertions.key]).unwrap();
        std::fs::write(project.files.path().join("gate/jwks.json"), keys).unwrap();
        project.up(&["legacy", "sidegate"]);
        project.publishes_nothing();
        let networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = inspect(&project.id("legacy"), networks);
        let gate = format!("{address}:8443").parse().unwrap();
        let this = Self {
            project,
            assertions,
            gate,
        };
        eventually_so("the gate answers", async || this.ask(&[]).await.is_some()).await;
        Some(this)
    }

    /// What the gate answers to Pomerium.
    async fn ask(&self, fields: &[(&str, &str)]) -> Option<Response<Bytes>> {
        let call = get("/", &[&[("host", HOST)], fields].concat());
        let caller = self.project.caller(true);
        caller.call(self.gate, call).await.ok()
    }
}

#[tokio::test]
async fn the_project_with_pomerium_lets_its_assertions_in_and_nothing_unsigned() {
    let Some(mut pomerium) = Pomerium::stand_in("-in").await else {
        return;
    };
    for _ in 0..3 {
        let good = pomerium.assertions.of(|spec| spec);
        let fields = [
            (ASSERTION, &*good),
            ("x-pomerium-claim-email", "root@example.com"),
            ("x-pomerium-jwt-assertion-for", &*good),
            ("x-auth-groups", "root"),
        ];
        let answer = pomerium.ask(&fields).await.unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(seen_header(&answer, "x-auth-subject"), ["user-7"]);
        assert_eq!(seen_header(&answer, "x-auth-groups"), ["admins"]);
        for gone in [
            ASSERTION,
            "x-pomerium-claim-email",
            "x-pomerium-jwt-assertion-for",
        ] {
            assert!(seen_header(&answer, gone).is_empty(), "{gone}");
        }
    }
}

#[tokio::test]
async fn the_project_with_pomerium_closes_what_the_guide_left_open() {
    let Some(mut pomerium) = Pomerium::stand_in("-out").await else {
        return;
    };
    let now = Timestamp::now();
    let earlier = Timestamp::from_unix(now.unix() - 400);
    let five_minutes = Duration::from_secs(300);
    let mut of = |change: fn(TokenSpec) -> TokenSpec| pomerium.assertions.of(change);
    let good = of(|spec| spec);
    let refused = [
        ("none, as when it cannot sign", String::new()),
        ("of a public route", of(|spec| spec.claim("sub", ""))),
        (
            "the other form of iss",
            of(|spec| spec.claim("iss", format!("https://{HOST}/"))),
        ),
        (
            "of another route",
            of(|spec| spec.claim("aud", "other.localhost.pomerium.io")),
        ),
        ("one that never ends", of(|spec| spec.without("exp"))),
        ("of another key", Assertions::new().of(|spec| spec)),
        (
            "an old one",
            pomerium
                .assertions
                .of(|spec| spec.lives(earlier, five_minutes)),
        ),
        (
            "one for a day",
            pomerium
                .assertions
                .of(|spec| spec.lives(now, five_minutes * 288)),
        ),
    ];
    for (what, assertion) in refused {
        let answer = pomerium.ask(&[(ASSERTION, &*assertion)]).await.unwrap();
        assert_eq!(answer.status(), 401, "{what}");
    }
    let call = get("/", &[(ASSERTION, &*good)]);
    let nobody = pomerium.project.caller(false);
    let stolen = nobody.call(pomerium.gate, call).await;
    assert!(
        stolen.is_err(),
        "without Pomerium's certificate: {stolen:?}"
    );
    let around = TcpStream::connect((pomerium.gate.ip(), 8080)).await;
    let refused = around.unwrap_err().kind();
    assert_eq!(refused, std::io::ErrorKind::ConnectionRefused);
}
