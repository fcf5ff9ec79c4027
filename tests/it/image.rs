//! The image: what is in it, what is not, how it runs, and that it is the same bytes each time.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::docker::{Container, Docked, HARDENED, archive, docker, engine, image};
use crate::harness::peer::installed;
use crate::harness::{eventually, eventually_so};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The binary takes most of it; README.md says what it is now.
const LARGEST: u64 = 12_600_000;

/// What an image says of itself.
fn about(image: &str) -> Value {
    let said = docker(["image", "inspect", image]);
    let mut all: Value = serde_json::from_str(&said).unwrap();
    all[0].take()
}

/// The files and folders of an image, without what the engine puts into a container.
fn files(image: &str) -> BTreeSet<String> {
    let container = Container::made(&docker(["create", image]));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("all.tar");
    docker(["export", "--output", out.to_str().unwrap(), &container.id]);
    let mut list = Command::new("tar");
    let listed = output_of(list.arg("--list").arg("--file").arg(&out));
    let listed = String::from_utf8(listed).unwrap();
    let of_the_engine = [
        ".dockerenv",
        "dev/",
        "proc/",
        "sys/",
        "etc/hostname",
        "etc/hosts",
        "etc/mtab",
        "etc/resolv.conf",
    ];
    let names = listed.lines().filter(|name| {
        !of_the_engine
            .iter()
            .any(|engines| name.starts_with(engines))
    });
    names.map(str::to_owned).collect()
}

fn output_of(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

const FILES: [&str; 9] = [
    "etc/",
    "etc/sidegate/",
    "sidegate",
    "usr/",
    "usr/share/",
    "usr/share/doc/",
    "usr/share/doc/sidegate/",
    "usr/share/doc/sidegate/THIRD-PARTY-LICENSES.txt.gz",
    "usr/share/doc/sidegate/sbom.cdx.json",
];

#[test]
fn the_image_is_one_program_with_its_papers_and_no_shell() {
    let Some(image) = image() else { return };
    let expected: BTreeSet<_> = FILES.map(str::to_owned).into();
    assert_eq!(files(image), expected);
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--entrypoint", "/bin/sh", image, "-c", "id"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(127), "{output:?}");
}

#[test]
fn the_image_is_small_and_runs_as_nobody_of_the_host() {
    let Some(image) = image() else { return };
    let about = about(image);
    let size = about["Size"].as_u64().unwrap();
    println!("the image has {size} bytes");
    assert!(size < LARGEST, "{size}");
    let config = &about["Config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/sidegate"]));
    assert_eq!(
        config["Labels"]["org.opencontainers.image.title"],
        "sidegate"
    );
    let version = &config["Labels"]["org.opencontainers.image.version"];
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let history = docker(["history", "--no-trunc", "--format", "{{.CreatedBy}}", image]);
    print!("{history}");
    assert_eq!(history.lines().count(), 2, "{history}");
}

#[tokio::test]
async fn the_image_lets_a_good_caller_in_read_only_and_without_any_capability() {
    let Some(image) = image() else { return };
    let docked = Docked::start(image, |_, config| (Vec::new(), config)).await;
    let host = docked.gate.inspect("{{json .HostConfig}}");
    let host: Value = serde_json::from_str(&host).unwrap();
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
    let token = docked.world.token().sign(&docked.world.key).unwrap();
    assert_eq!(docked.status(Some(&token)).await, 200);
    assert_eq!(docked.status(None).await, 401);
    // It listens beyond loopback and believes a CA of the tests.
    let warned = || docked.gate.log().contains("a throw-away CA");
    eventually("it says so", warned).await;
}

#[tokio::test]
async fn the_healthcheck_of_the_image_tells_a_ready_gate_from_none() {
    let Some(image) = image() else { return };
    let docked = Docked::start(image, |_, config| {
        (vec!["--health-interval=1s".to_owned()], config)
    })
    .await;
    eventually("it is healthy", || {
        docked.gate.inspect("{{.State.Health.Status}}") == "healthy"
    })
    .await;
    // The same program, and nobody to ask.
    let mut arguments = vec!["--health-interval=1s", "--health-start-period=0s"];
    arguments.extend(["--health-retries=1", image]);
    arguments.extend(["dev", "echo", "--listen", "127.0.0.1:8080"]);
    let alone = Container::run(arguments);
    eventually("it is unhealthy", || {
        alone.inspect("{{.State.Health.Status}}") == "unhealthy"
    })
    .await;
}

#[tokio::test]
async fn a_container_that_is_told_to_stop_drains_and_ends_well() {
    let Some(image) = image() else { return };
    let docked = Docked::start(image, |_, config| {
        (Vec::new(), config + "[shutdown]\ndelay = \"0s\"\n")
    })
    .await;
    docker(["kill", "--signal", "TERM", &docked.gate.id]);
    eventually_so("it has ended", async || {
        docked.gate.inspect("{{.State.Status}}") == "exited"
    })
    .await;
    assert_eq!(docked.gate.inspect("{{.State.ExitCode}}"), "0");
}

/// Runs a script of `deploy/image` and returns what it printed.
fn script(name: &str, arguments: &[&Path], umask: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask} && exec \"$@\""), "sh"]);
    command.arg(Path::new(ROOT).join("deploy/image").join(name));
    command.args(arguments);
    String::from_utf8(output_of(&mut command)).unwrap()
}

#[test]
fn packing_twice_gives_one_digest() {
    if archive().is_none() {
        return;
    }
    let binary = Path::new(ROOT).join("target/image/sidegate");
    let digests = ["022", "077"].map(|umask| {
        let folder = tempfile::tempdir().unwrap();
        let (root, out) = (folder.path().join("root"), folder.path().join("out.tar"));
        script("root", &[&binary, &root], umask);
        let digest = script("archive", &[&root, &out, Path::new("a:b")], umask);
        let bytes = fs::read(out).unwrap();
        (digest, bytes)
    });
    assert!(digests[0].0.starts_with("sha256:"), "{}", digests[0].0);
    assert!(digests[0] == digests[1]);
}

/// A folder with the script that decides where to build, and one that says where that was.
fn builder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("deploy/image");
    fs::create_dir_all(&scripts).unwrap();
    fs::create_dir_all(folder.path().join("cargo")).unwrap();
    fs::create_dir_all(folder.path().join("target/image")).unwrap();
    let decides = Path::new(ROOT).join("deploy/image/binary");
    fs::copy(decides, scripts.join("binary")).unwrap();
    let says = "#!/bin/sh\necho \"$PWD $CARGO_HOME\" | tee \"$1\" >\"$1.symbols\"\n";
    fs::write(scripts.join("compile"), says).unwrap();
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(scripts.join("compile"), executable).unwrap();
    folder
}

/// Where a build in `folder` sees itself and Cargo's folder, and what it says on standard error.
fn built_at(folder: &Path, path: &str) -> (String, String) {
    let mut command = Command::new(folder.join("deploy/image/binary"));
    command.arg("out").env("CARGO_HOME", folder.join("cargo"));
    let output = command.env("PATH", path).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (fs::read_to_string(folder.join("out")).unwrap(), said)
}

#[test]
fn every_build_sees_itself_at_the_same_paths_or_says_that_its_bytes_depend_on_the_folder() {
    let path = std::env::var("PATH").unwrap();
    for _ in 0..2 {
        let folder = builder();
        let (place, said) = built_at(folder.path(), &path);
        if said.is_empty() {
            assert_eq!(place, "/srv/sidegate /srv/cargo\n");
            assert!(!Path::new("/srv/sidegate").exists(), "others see it, too");
        } else {
            // This machine lets nobody mount.
            assert!(said.contains("will depend on the folder"), "{said}");
        }
    }
    let folder = builder();
    let unshare = folder.path().join("cargo/unshare");
    fs::write(&unshare, "#!/bin/sh\necho no mounts >&2\nexit 1\n").unwrap();
    fs::set_permissions(&unshare, fs::Permissions::from_mode(0o755)).unwrap();
    let first = folder.path().join("cargo");
    let (place, said) = built_at(folder.path(), &format!("{}:{path}", first.display()));
    let here = folder.path().display();
    assert_eq!(place, format!("{here} {here}/cargo\n"));
    assert!(said.contains("will depend on the folder") && said.contains("no mounts"));
}

#[test]
fn public_cas_are_in_the_image_when_asked_for() {
    if archive().is_none() {
        return;
    }
    let binary = Path::new(ROOT).join("target/image/sidegate");
    let folder = tempfile::tempdir().unwrap();
    let (root, bundle) = (folder.path().join("root"), folder.path().join("bundle.pem"));
    fs::write(&bundle, "-----BEGIN CERTIFICATE-----\n").unwrap();
    script("root", &[&binary, &root, &bundle], "077");
    let there = fs::read(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert_eq!(there, fs::read(bundle).unwrap());
}

#[test]
fn the_dockerfiles_last_stage_makes_the_same_image() {
    let Some(image) = image() else { return };
    let text = fs::read_to_string(Path::new(ROOT).join("Dockerfile")).unwrap();
    let (_, stage) = text.split_once("\nFROM scratch\n").unwrap();
    assert!(stage.contains("COPY --from=build /image/ /\n"));
    let stage = stage.replace("COPY --from=build /image/ /", "COPY root/ /");
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("Dockerfile"),
        format!("FROM scratch\n{stage}"),
    )
    .unwrap();
    let root = Path::new(ROOT).join("target/image/root");
    let mut copy = Command::new("cp");
    output_of(copy.arg("-r").arg(root).arg(folder.path()));
    let labels = &about(image)["Config"]["Labels"];
    let label = |name: &str| {
        let value = &labels[format!("org.opencontainers.image.{name}")];
        format!("{}={}", name.to_uppercase(), value.as_str().unwrap())
    };
    let mut build = Command::new("docker");
    // The classic builder is the one that every engine has.
    build.env("DOCKER_BUILDKIT", "0");
    build.args(["build", "--quiet", "--build-arg", &label("revision")]);
    build.args(["--build-arg", &label("created")]);
    let built = String::from_utf8(output_of(build.arg(folder.path()))).unwrap();
    let built = Built(built.trim().to_owned());
    let (ours, theirs) = (&about(image)["Config"], &about(&built.0)["Config"]);
    for key in [
        "User",
        "ExposedPorts",
        "Env",
        "Entrypoint",
        "Cmd",
        "Healthcheck",
        "Labels",
        "StopSignal",
    ] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    assert_eq!(files(image), files(&built.0));
}

/// An image that a test built.
struct Built(String);

impl Drop for Built {
    fn drop(&mut self) {
        let mut command = Command::new("docker");
        drop(command.args(["image", "rm", "--force", &self.0]).output());
    }
}

#[test]
fn hadolint_finds_nothing_in_the_dockerfile() {
    let Some(hadolint) = installed("hadolint") else {
        return;
    };
    let mut command = Command::new(hadolint);
    command.arg(Path::new(ROOT).join("Dockerfile"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_bill_of_materials_names_what_is_linked_and_the_binary_says_the_same() {
    if archive().is_none() {
        return;
    }
    let root = Path::new(ROOT).join("target/image/root");
    let text = fs::read_to_string(root.join("usr/share/doc/sidegate/sbom.cdx.json")).unwrap();
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let lock = fs::read_to_string(Path::new(ROOT).join("Cargo.lock")).unwrap();
    let mut known = BTreeSet::from([bill["metadata"]["component"]["bom-ref"].clone().to_string()]);
    let mut names = BTreeSet::new();
    for component in bill["components"].as_array().unwrap() {
        known.insert(component["bom-ref"].to_string());
        let name = component["name"].as_str().unwrap();
        names.insert(name);
        let licence = component["licenses"][0]["expression"].as_str().unwrap();
        assert!(!licence.is_empty(), "{name}");
        if name == "glibc" {
            continue;
        }
        let version = component["version"].as_str().unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        let (_, rest) = lock.split_once(&entry).unwrap_or_else(|| panic!("{entry}"));
        let sum = component["hashes"][0]["content"].as_str().unwrap();
        assert!(rest.split("\n\n").next().unwrap().contains(sum), "{name}");
    }
    for name in ["rustls", "aws-lc-sys", "josekit", "hyper", "glibc"] {
        assert!(names.contains(name), "{name}");
    }
    for name in ["proptest", "tempfile"] {
        assert!(!names.contains(name), "{name} is not linked");
    }
    for dependency in bill["dependencies"].as_array().unwrap() {
        assert!(known.contains(&dependency["ref"].to_string()));
        for needed in dependency["dependsOn"].as_array().unwrap() {
            assert!(known.contains(&needed.to_string()), "{needed}");
        }
    }
    let licences = root.join("usr/share/doc/sidegate/THIRD-PARTY-LICENSES.txt.gz");
    let licences = output_of(Command::new("gzip").arg("-dc").arg(licences));
    let licences = String::from_utf8(licences).unwrap();
    assert!(licences.contains("\nrustls-") && licences.contains("\naws-lc-sys-"));

    // The section that cargo-auditable writes and scanners read.
    let binary = fs::read(root.join("sidegate")).unwrap();
    let section = b".dep-v0\0";
    assert!(binary.windows(section.len()).any(|at| at == section));
    let elf = String::from_utf8_lossy(&binary);
    assert!(!elf.contains("/lib64/ld-linux"), "it needs a loader");
    assert!(!elf.contains(ROOT), "it holds a path of this machine");
}

/// What the program is linked like, in three lines.
const LOOKUP: &str = r#"fn main() {
    use std::net::ToSocketAddrs;
    println!("{:?}", ("a.test", 80).to_socket_addrs().unwrap().next().unwrap());
}"#;

#[test]
fn names_are_looked_up_without_any_shared_library() {
    if engine().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lookup.rs"), LOOKUP).unwrap();
    fs::write(
        folder.path().join("Dockerfile"),
        "FROM scratch\nCOPY lookup /\nENTRYPOINT [\"/lookup\"]\n",
    )
    .unwrap();
    let mut compile = Command::new("rustc");
    compile.args(["-Ctarget-feature=+crt-static", "lookup.rs"]);
    output_of(compile.current_dir(folder.path()));
    let mut build = Command::new("docker");
    build.env("DOCKER_BUILDKIT", "0");
    let built = output_of(build.args(["build", "--quiet"]).arg(folder.path()));
    let built = Built(String::from_utf8(built).unwrap().trim().to_owned());
    let network = Network::new();
    let mut arguments = HARDENED.to_vec();
    arguments.extend(["--network", &network.0, "--network-alias", "a.test"]);
    let said = docker(
        ["run", "--rm"]
            .into_iter()
            .chain(arguments)
            .chain([&*built.0]),
    );
    assert!(said.trim().ends_with(":80"), "{said}");
}

/// A network that nothing leaves.
struct Network(String);

impl Network {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let name = format!("sidegate-{}", name.trim_start_matches('.').to_lowercase());
        docker(["network", "create", "--internal", &name]);
        Self(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let mut command = Command::new("docker");
        drop(command.args(["network", "rm", &self.0]).output());
    }
}
