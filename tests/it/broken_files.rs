//! What is broken changes nothing: every kind of broken file, each met by a gate that goes on with
//! the last good one and says which object is stale, since when and why.

use std::fs;
use std::path::Path;

use http::Request;
use http_body_util::Full;
use sidegate::lab::{Http, Leaf, World, world};

use crate::harness::process::{Gate, fresh_world};
use crate::harness::service::Fast;
use crate::harness::{eventually_so, get, local};

/// One way to break one file.
struct Row {
    what: &'static str,
    object: &'static str,
    file: &'static str,
    spoil: fn(&Path, &World),
    /// What the reason must hold, beside the name of the file.
    why: &'static str,
}

const fn row(
    what: &'static str,
    object: &'static str,
    file: &'static str,
    spoil: fn(&Path, &World),
    why: &'static str,
) -> Row {
    Row {
        what,
        object,
        file,
        spoil,
        why,
    }
}

const KEYS: &str = "keys/main";
const JWKS: &str = "jwks.json";
const IDENTITY: &str = "identity";
const CONFIG: &str = "config";
const DENY: &str = "deny";
const DENY_LIST: &str = "deny.list";
const TOML: &str = "sidegate.toml";
/// A member of a JWKS that must never be there, and must never be shown.
const SECRET: &str = "c2VjcmV0LW1hdGVyaWFs";

const ROWS: &[Row] = &[
    row(
        "empty",
        KEYS,
        JWKS,
        |f, _| put(f, ""),
        "not one JSON object",
    ),
    row(
        "half written",
        KEYS,
        JWKS,
        |f, _| halve(f),
        "not one JSON object",
    ),
    row(
        "binary",
        KEYS,
        JWKS,
        |f, _| put(f, [0xff; 99]),
        "not one JSON object",
    ),
    row(
        "null",
        KEYS,
        JWKS,
        |f, _| put(f, "{\"keys\":null}"),
        "no array",
    ),
    row(
        "no keys",
        KEYS,
        JWKS,
        |f, _| put(f, "{\"keys\":[]}"),
        "none of",
    ),
    row(
        "an array",
        KEYS,
        JWKS,
        |f, _| put(f, "[]"),
        "not one JSON object",
    ),
    row(
        "two sets",
        KEYS,
        JWKS,
        |f, _| put(f, "{\"keys\":[],\"keys\":[]}"),
        "not one JSON object",
    ),
    row(
        "a secret",
        KEYS,
        JWKS,
        |f, _| put(f, secret()),
        "shared key material",
    ),
    row(
        "two MiB",
        KEYS,
        JWKS,
        |f, _| put(f, vec![b' '; 2 << 20]),
        "larger than 1 MiB",
    ),
    row(
        "missing",
        KEYS,
        JWKS,
        |f, _| fs::remove_file(f).unwrap(),
        "cannot read",
    ),
    row("no permission", KEYS, JWKS, |f, _| forbid(f), "cannot read"),
    row("a folder", KEYS, JWKS, |f, _| folder(f), "cannot read"),
    row(
        "a link to itself",
        KEYS,
        JWKS,
        |f, _| loops(f),
        "cannot read",
    ),
    row("a pipe", KEYS, JWKS, |f, _| pipe(f), "cannot"),
    row(
        "an empty certificate",
        IDENTITY,
        "server.crt",
        |f, _| put(f, ""),
        "",
    ),
    row("a key of another", IDENTITY, "server.key", stranger, ""),
    row("a halved key", IDENTITY, "server.key", |f, _| halve(f), ""),
    row(
        "a CA that is none",
        IDENTITY,
        "ca.crt",
        |f, _| put(f, "CA"),
        "",
    ),
    row(
        "a missing CA",
        IDENTITY,
        "ca.crt",
        |f, _| fs::remove_file(f).unwrap(),
        "",
    ),
    row("a halved CRL", IDENTITY, "ca.crl", |f, _| halve(f), ""),
    row("a forbidden CRL", IDENTITY, "ca.crl", |f, _| forbid(f), ""),
    row(
        "half an entry",
        DENY,
        DENY_LIST,
        |f, _| put(f, "sub issuer=main su"),
        "line 1",
    ),
    row(
        "a deny list of nobody's",
        DENY,
        DENY_LIST,
        |f, _| put(f, "sub issuer=x sub=y"),
        "line 1",
    ),
    row(
        "an empty deny list",
        DENY,
        DENY_LIST,
        |f, _| put(f, ""),
        "the file is empty",
    ),
    row(
        "a half-written deny list",
        DENY,
        DENY_LIST,
        |f, _| put(f, "sub issuer=main sub=y"),
        "it has no line end",
    ),
    row(
        "a forbidden deny list",
        DENY,
        DENY_LIST,
        |f, _| forbid(f),
        "cannot read",
    ),
    row(
        "no configuration",
        CONFIG,
        TOML,
        |f, _| put(f, ""),
        "missing",
    ),
    row("half of one", CONFIG, TOML, |f, _| halve(f), ""),
    row("an unknown key", CONFIG, TOML, |f, _| typo(f), "client_ca"),
    row(
        "one that opens the gate",
        CONFIG,
        TOML,
        |f, _| open(f),
        "issuers",
    ),
    row(
        "one that names no file",
        CONFIG,
        TOML,
        |f, _| astray(f),
        "nowhere.json",
    ),
];

fn put(file: &Path, content: impl AsRef<[u8]>) {
    fs::write(file, content).unwrap();
}

fn halve(file: &Path) {
    let whole = fs::read(file).unwrap();
    put(file, &whole[..whole.len() / 2]);
}

fn secret() -> String {
    format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"{SECRET}\"}}]}}")
}

fn forbid(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o000)).unwrap();
    // Permissions are no content: nobody looks before something else happens.
    let beside = file.with_extension("beside");
    fs::rename(file, &beside).unwrap();
    fs::rename(beside, file).unwrap();
}

fn folder(file: &Path) {
    fs::remove_file(file).unwrap();
    fs::create_dir(file).unwrap();
}

fn loops(file: &Path) {
    fs::remove_file(file).unwrap();
    std::os::unix::fs::symlink(file.file_name().unwrap(), file).unwrap();
}

fn pipe(file: &Path) {
    fs::remove_file(file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(file).status();
    assert!(made.unwrap().success());
}

fn stranger(file: &Path, world: &World) {
    let other = world.ca.issue(&Leaf::server(world::SERVER_NAME)).unwrap();
    put(file, other.key_pem);
}

fn typo(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    put(file, text.replacen("client_ca =", "client_cas =", 1));
}

fn open(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    put(
        file,
        text.replacen("issuers = [\"main\"]", "issuers = []", 1),
    );
}

fn astray(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    put(file, text.replacen("jwks.json", "nowhere.json", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_broken_the_last_good_stays_and_the_reason_is_told() {
    // Root reads everything: without these two capabilities it is told "permission denied" as well.
    const SCRIPT: &str = "if [ \"$(id -u)\" = 0 ]; then \
         exec setpriv --bounding-set=-dac_override,-dac_read_search \"$@\"; \
         else exec \"$@\"; fi";
    let service = Fast::start().await;
    let change = |world: &World, config| {
        world.write(DENY_LIST, "# nobody\n").unwrap();
        format!("{config}\n[deny]\nfile = \"{DENY_LIST}\"\n")
    };
    let gate = Gate::within(fresh_world(), SCRIPT, &service.upstream, change).await;
    let mut lines = Vec::new();
    for http in [Http::One, Http::Two] {
        lines.push(gate.front(http).open(local(gate.port)).await.unwrap());
    }
    for Row {
        what,
        object,
        file,
        spoil,
        why,
    } in ROWS
    {
        let path = gate.world.folder.join(file);
        let whole = fs::read(&path).unwrap();
        assert_eq!(stale(&gate, object).await, None, "before {what}");
        spoil(&path, &gate.world);

        eventually_so(what, async || stale(&gate, object).await.is_some()).await;
        let (since, told) = stale(&gate, object).await.unwrap();
        // The file to mend: for a configuration that names a missing file, that one.
        let named = if *why == "nowhere.json" { why } else { file };
        assert!(told.contains(named) && told.contains(why), "{what}: {told}");
        assert!(!told.contains(SECRET), "{what}: {told}");
        let gauge = format!("sidegate_reload_stale_since_timestamp_seconds{{object=\"{object}\"}}");
        assert_eq!(gate.metric(&gauge).await, since, "{what}");
        // The line is written a moment after the page is.
        eventually_so("it is logged", async || {
            let log = gate.log();
            let line = log.lines().rev().find(|line| line.contains(object));
            line.is_some_and(|line| line.contains(named))
        })
        .await;
        for line in &mut lines {
            let answer = line
                .send(get("/", &[("authorization", &gate.pass())]))
                .await;
            assert_eq!(answer.unwrap().status(), 200, "{what}: an open connection");
        }
        let call = get("/", &[("authorization", &gate.pass())]);
        let answer = gate.front(Http::One).call(local(gate.port), call).await;
        assert_eq!(answer.unwrap().status(), 200, "{what}: a new connection");

        drop(fs::remove_file(&path));
        drop(fs::remove_dir(&path));
        put(&path, whole);
        eventually_so(&format!("{what} is mended"), async || {
            stale(&gate, object).await.is_none()
        })
        .await;
    }
    assert!(!gate.log().contains(SECRET));
}

/// Since when and why the last good edition of `object` stays, if it does.
async fn stale(gate: &Gate, object: &str) -> Option<(u64, String)> {
    let request = Request::get("/status").body(Full::default()).unwrap();
    let page = crate::harness::plain::call(gate.admin, request)
        .await
        .json();
    let stale = &page["objects"][object]["stale"];
    let since = stale["since"].as_u64()?;
    Some((since, stale["why"].as_str().unwrap().to_owned()))
}
