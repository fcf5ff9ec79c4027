//! What a reload does step by step, where a live gate would show it only by chance.

use super::*;
use crate::lab::World;
use crate::settings::Overrides;

/// A reloader of a small world's configuration, and what watches for it.
struct Bench {
    world: World,
    text: String,
    path: PathBuf,
    reloader: Reloader,
    watch: FileWatch,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::create(folder.path(), Timestamp::now()).unwrap();
        let text = world.config("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1");
        world.write("sidegate.toml", &text).unwrap();
        let config = ConfigFile {
            path: folder.path().join("sidegate.toml"),
            overrides: Overrides::default(),
        };
        let (settings, _) = Settings::load(&config.path, &config.overrides).unwrap();
        let watch = FileWatch::start(files(Some(&config), &settings), NEVER);
        let metrics = Arc::new(Metrics::new().unwrap());
        let reloads = Reloads::new(Arc::clone(&metrics));
        let path = config.path.clone();
        let (reloader, _) = Reloader::load(settings, Some(config), &metrics, reloads).unwrap();
        Self {
            world,
            text,
            path,
            reloader,
            watch,
            _folder: folder,
        }
    }

    /// Writes the configuration with more at its end, and reads it.
    fn configure(&mut self, more: &str) {
        let text = format!("{}\n{more}\n", self.text);
        self.world.write("sidegate.toml", &text).unwrap();
        let changed = [self.path.clone()];
        self.react(&changed);
    }

    fn react(&mut self, changed: &[PathBuf]) {
        let now = Timestamp::now();
        self.reloader.react(changed, &mut self.watch, now);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.world.folder.join(name)
    }

    async fn told(&mut self) -> Vec<PathBuf> {
        let told = tokio::time::timeout(Duration::from_secs(30), self.watch.changed());
        told.await.expect("nothing was told")
    }

    fn entries(&self) -> usize {
        self.reloader.denied.1.current().value.len()
    }
}

const DENY_LIST: &str = "[deny]\nfile = \"deny.list\"";

#[tokio::test]
async fn what_a_new_configuration_names_is_watched_before_it_is_read() {
    let mut bench = Bench::new();
    bench.world.write("deny.list", "# nobody\n").unwrap();
    bench.configure(DENY_LIST);
    // Read, and replaced at once, before anybody can have looked again.
    bench
        .world
        .write("next", "sub issuer=main sub=ada\n")
        .unwrap();
    std::fs::rename(bench.file("next"), bench.file("deny.list")).unwrap();
    bench.watch.replace(bench.reloader.files());
    let list = bench.file("deny.list");
    let mut told = bench.told().await;
    while !told.contains(&list) {
        told = bench.told().await;
    }
    assert_eq!(bench.entries(), 0);
    bench.react(&told);
    assert_eq!(bench.entries(), 1);
}

#[tokio::test]
async fn what_a_broken_configuration_names_is_watched_until_it_is_mended() {
    let mut bench = Bench::new();
    bench.configure(DENY_LIST);
    let list = bench.file("deny.list");
    assert!(bench.reloader.broken.contains(&bench.path), "it is missing");
    bench.watch.replace(bench.reloader.files());
    bench
        .world
        .write("deny.list", "sub issuer=main sub=ada\n")
        .unwrap();
    let mut told = bench.told().await;
    while !told.contains(&list) {
        told = bench.told().await;
    }
    bench.react(&told);
    assert_eq!(bench.entries(), 1, "the configuration was read again");

    // What no configuration names any more is nobody's business.
    bench.configure("[deny]\nfile = \"other.list\"");
    assert!(bench.reloader.files().contains(&bench.file("other.list")));
    bench.configure(DENY_LIST);
    assert!(!bench.reloader.files().contains(&bench.file("other.list")));
}

#[tokio::test]
async fn limits_are_those_of_the_start_until_the_next_one() {
    let mut bench = Bench::new();
    let of_the_start = bench.reloader.settings.limits.clone();
    bench.configure("[limits]\ntoken_bytes = \"2KiB\"\nconnections_per_peer = 7");
    assert!(bench.reloader.broken.is_empty(), "it was used");
    let in_force = &bench.reloader.settings.limits;
    assert_eq!(in_force.token_bytes, of_the_start.token_bytes);
    assert_eq!(
        in_force.connections_per_peer,
        of_the_start.connections_per_peer
    );

    let load = |text: &str| {
        let name = bench.path.to_str().unwrap();
        Settings::from_text(text, name, &Overrides::default())
            .unwrap()
            .0
    };
    let fixed = &bench.reloader.fixed;
    let mut other = load(&format!("{}\n[limits]\ntoken_bytes = \"2KiB\"", bench.text));
    assert_eq!(fixed.hold(&mut other), ["limits"]);
    let mut same = load(&bench.text);
    assert!(fixed.hold(&mut same).is_empty(), "it was put back");
}

#[tokio::test]
async fn the_status_page_names_whom_the_configuration_in_force_names() {
    let mut bench = Bench::new();
    let issuers = |bench: &Bench| {
        let [_, (_, issuers)] = bench.reloader.reloads.known();
        issuers.to_string()
    };
    assert_eq!(issuers(&bench), r#"["main","partner"]"#);
    bench.text = bench.text.replace("\"partner\"", "\"other\"");
    bench.configure("");
    assert_eq!(issuers(&bench), r#"["main","other"]"#);
}

#[tokio::test]
async fn what_is_not_configured_any_more_is_not_told_as_stale() {
    let mut bench = Bench::new();
    bench.world.write("deny.list", "# nobody\n").unwrap();
    bench.configure(DENY_LIST);
    for name in ["deny.list", "partner-jwks.json"] {
        bench.world.write(name, "{").unwrap();
        let file = bench.file(name);
        bench.react(from_ref(&file));
    }
    let told = |bench: &Bench| {
        let metrics = String::from_utf8(bench.reloader.metrics.render()).unwrap();
        metrics + &bench.reloader.reloads.shown().to_string()
    };
    let of_the_two = ["\"deny\"", "keys/partner", "issuer=\"partner\""];
    for words in of_the_two {
        assert!(told(&bench).contains(words), "{words}");
    }
    bench.text = bench
        .text
        .replace("\"partner\"", "\"other\"")
        .replace("partner-jwks", "jwks");
    bench.text = bench.text.replace("[\"EdDSA\"]", "[\"ES256\"]");
    bench.configure("");
    for words in of_the_two {
        assert!(!told(&bench).contains(words), "{words}: {}", told(&bench));
    }
    assert!(told(&bench).contains("keys/main"));
}

#[tokio::test]
async fn a_configuration_that_is_not_used_leaves_no_trace_of_its_keys() {
    use crate::lab::SigningKey;
    use crate::model::Algorithm;

    let mut bench = Bench::new();
    let count = |bench: &Bench| {
        let text = String::from_utf8(bench.reloader.metrics.render()).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains("jwks_keys{issuer=\"main\"}"));
        line.unwrap().to_owned()
    };
    let before = count(&bench);
    let other = SigningKey::generate(Algorithm::Es256, Some("other")).unwrap();
    let other = SigningKey::jwks(&[&other]).unwrap();
    bench.world.write("other.json", &other).unwrap();
    let text = bench.text.clone();
    bench.text = text
        .replacen("\"jwks.json\"", "\"other.json\"", 1)
        .replacen("\"partner-jwks.json\"", "\"missing.json\"", 1);
    bench.configure("");
    assert!(
        bench.reloader.broken.contains(&bench.path),
        "it is not used"
    );
    assert_eq!(count(&bench), before);
    bench.text = text.replacen("\"jwks.json\"", "\"other.json\"", 1);
    bench.configure("");
    assert_ne!(count(&bench), before);
}

#[tokio::test]
async fn nothing_is_tried_again_that_a_new_configuration_has_mended() {
    let mut bench = Bench::new();
    let keys = bench.file("jwks.json");
    let good = std::fs::read_to_string(&keys).unwrap();
    bench.world.write("jwks.json", "{").unwrap();
    bench.react(from_ref(&keys));
    assert!(bench.reloader.broken.contains(&keys));
    bench.world.write("other.json", &good).unwrap();
    bench.text = bench.text.replacen("\"jwks.json\"", "\"other.json\"", 1);
    bench.configure("");
    assert_eq!(bench.reloader.broken, BTreeSet::new());
}
