//! The configuration from outside: what starts, what does not, and in which words.

pub(crate) mod broken;
mod broken_routes;
mod routes;
mod schema;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use sidegate::settings::{
    KeySource, Override, Overrides, Settings, SettingsError, TokenPlace, TokenToUpstream,
    UpstreamAddress, Warning, in_force,
};

use broken::{BASE, ROWS};

/// The example that is shipped.
const EXAMPLE: &str = include_str!("../../deploy/sidegate.toml");

fn read(text: &str) -> Result<(Settings, Vec<Warning>), SettingsError> {
    Settings::from_text(text, "sidegate.toml", &Overrides::default())
}

fn starts(text: &str) -> (Settings, Vec<Warning>) {
    read(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// [`BASE`] with one piece in place of another; an empty one stands for the end.
fn edited(from: &str, to: &str) -> String {
    if from.is_empty() {
        return format!("{BASE}\n{to}\n");
    }
    assert!(BASE.contains(from), "{from}");
    BASE.replacen(from, to, 1)
}

/// What is said, without the quoted source.
fn said(error: &SettingsError) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("    ")).collect();
    lines.join("\n")
}

#[test]
fn the_complete_example_starts_without_a_warning() {
    let (settings, warnings) = starts(EXAMPLE);
    assert_eq!(warnings, []);
    assert_eq!((settings.peers.len(), settings.issuers.len()), (2, 2));
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let (settings, warnings) = starts(BASE);
    assert_eq!(warnings, []);
    let loopback: SocketAddr = "127.0.0.1:9090".parse().unwrap();
    assert_eq!(settings.listen.address.to_string(), "0.0.0.0:8443");
    assert_eq!(settings.admin.address, Some(loopback));
    let issuer = &settings.issuers[0];
    let names: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
    assert_eq!(names, ["ES256", "RS256"]);
    let bearer = TokenPlace::Bearer(http::header::AUTHORIZATION);
    assert_eq!(issuer.places, [bearer]);
    assert_eq!(issuer.token_to_upstream, TokenToUpstream::Remove);
    assert_eq!(issuer.leeway, Duration::from_secs(30));
    assert_eq!(issuer.max_lifetime, Duration::from_secs(3600));
    assert_eq!(issuer.keys, KeySource::JwksFile("jwks.json".into()));
    let limits = &settings.limits;
    assert_eq!(
        (limits.connections, limits.connections_per_peer),
        (4096, 2048)
    );
    assert_eq!((limits.header_bytes, limits.token_bytes), (65536, 8192));
    assert_eq!((limits.body_bytes, settings.timeouts.request), (None, None));
    assert_eq!(settings.upstream.idle_timeout, Duration::from_secs(4));
    assert_eq!(settings.upstream.response_timeout, Duration::from_secs(60));
    assert_eq!(settings.shutdown.delay, Duration::from_secs(5));
    assert_eq!(settings.shutdown.drain, Duration::from_secs(20));
}

#[test]
fn a_forwarded_assertion_is_bare_and_lives_ten_minutes() {
    for (keys, places) in [
        ("header = \"X-Jwt\"", "[Header(\"x-jwt\")]"),
        ("cookie = \"c\"", "[Cookie(\"c\")]"),
        (
            "header = \"X-Jwt\"\ncookie = \"c\"",
            "[Header(\"x-jwt\"), Cookie(\"c\")]",
        ),
        (
            "header = \"X-Jwt\"\nscheme = \"Bearer\"",
            "[Bearer(\"x-jwt\")]",
        ),
    ] {
        let text = edited("name = \"idp\"", &format!("name = \"idp\"\n{keys}"));
        let (settings, _) = starts(&text);
        let issuer = &settings.issuers[0];
        assert_eq!(format!("{:?}", issuer.places), places);
        assert_eq!(issuer.max_lifetime, Duration::from_secs(600));
    }
}

#[test]
fn every_broken_configuration_is_refused_in_these_words() {
    assert!(ROWS.len() >= 40);
    for (from, to, expected) in ROWS {
        let Err(error) = read(&edited(from, to)) else {
            panic!("this starts: {from:?} -> {to:?}");
        };
        assert_eq!(said(&error), *expected, "{from:?} -> {to:?}");
        for problem in &error.problems {
            assert!(
                problem.line.is_some() && !problem.key.is_empty(),
                "{problem}"
            );
            assert!(!problem.fix.is_empty(), "{problem}");
        }
    }
}

#[test]
fn several_mistakes_are_shown_together_in_the_order_of_the_lines() {
    let text = edited("client_ca = \"ca.crt\"", "client_cert = \"ca.crt\"")
        .replace("\"127.0.0.1:8080\"", "\"localhost:8080\"")
        .replace("issuers = [\"idp\"]", "\tissuers = [\"ipd\"]");
    assert_eq!(
        read(&text).unwrap_err().to_string(),
        r#"sidegate.toml:4:1: tls.client_cert: unknown key; did you mean `client_ca`?
    client_cert = "ca.crt"
    ^
sidegate.toml:9:13: peer[0].issuers: no [[issuer]] is named "ipd"; did you mean `idp`?
     issuers = ["ipd"]
                ^
sidegate.toml:18:11: upstream.address: "localhost:8080" must be resolved first; write "127.0.0.1:8080" or "[::1]:8080"
    address = "localhost:8080"
              ^"#
    );
}

#[test]
fn a_line_with_a_secret_is_never_quoted() {
    for keys in [
        "keys = { secret = hunter2 }",
        "keys = { secret = [\"hunter2\"] }",
        "keys = { secrets = \"hunter2\" }",
        "keys = { hs256 = \"hunter2\" }",
        "keys.hs256 = hunter2",
        "keys = \"hunter2\"",
        "keys = { secret = \"-----BEGIN hunter2\" }",
    ] {
        let error = read(&edited("keys = { file = \"jwks.json\" }", keys)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn what_stands_outside_of_the_file_beats_it_and_is_named_in_texts() {
    let overrides = Overrides {
        listen: Some(Override::new("127.0.0.1:1", "--listen")),
        upstream: Some(Override::new("unix:/run/app.sock", "SIDEGATE_UPSTREAM")),
        admin: Some(Override::new("off", "SIDEGATE_ADMIN")),
        log_level: Some(Override::new("debug", "--log-level")),
        ..Overrides::default()
    };
    let (settings, _) = Settings::from_text(BASE, "sidegate.toml", &overrides).unwrap();
    assert_eq!(settings.listen.address.port(), 1);
    let socket = UpstreamAddress::Unix("/run/app.sock".into());
    assert_eq!(settings.upstream.address, socket);
    assert_eq!(settings.admin.address, None);
    assert_eq!(
        settings.log.level,
        tracing::level_filters::LevelFilter::DEBUG
    );

    let overrides = Overrides {
        listen: Some(Override::new("localhost", "SIDEGATE_LISTEN")),
        upstream: Some(Override::new("", "--upstream")),
        log_format: Some(Override::new("jsn", "--log-format")),
        ..Overrides::default()
    };
    let error = Settings::from_text(BASE, "sidegate.toml", &overrides).unwrap_err();
    assert_eq!(
        error.to_string(),
        "SIDEGATE_LISTEN: listen.address: \"localhost\" is no address and port; \
         write \"127.0.0.1:8443\" or \"[::1]:8443\"\n\
         --upstream: upstream.address: \"\" has no port; \
         write an address and a port: \"127.0.0.1:8080\"\n\
         --log-format: log.format: \"jsn\" is not known here; did you mean `json`?"
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a table: split up it would only be harder to read"
)]
fn what_does_not_look_like_the_presets_system_starts_with_a_warning() {
    let tag = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228";
    let backend = "/projects/1/global/backendServices/2";
    let team = "https://team.cloudflareaccess.com";
    for (preset, issuer, audience, more, doubted) in [
        ("pomerium", "api.example.com", "api.example.com", "", None),
        (
            "pomerium",
            "https://api.example.com/",
            "api.example.com",
            "",
            None,
        ),
        (
            "pomerium",
            "https://api.example.com",
            "api.example.com",
            "",
            Some("issuer"),
        ),
        (
            "pomerium",
            "api.example.com/",
            "api.example.com",
            "",
            Some("issuer"),
        ),
        (
            "pomerium",
            "http://api.example.com/",
            "api.example.com",
            "",
            Some("issuer"),
        ),
        (
            "pomerium",
            "api.example.com",
            "https://api.example.com/",
            "",
            Some("audience"),
        ),
        (
            "pomerium",
            "api.example.com",
            "api.example.com",
            "strip_headers = [\"x-pomerium-claim-*\"]",
            Some("strip_headers"),
        ),
        ("cloudflare-access", team, tag, "", None),
        (
            "cloudflare-access",
            "https://team.cloudflareaccess.com/",
            tag,
            "",
            Some("issuer"),
        ),
        (
            "cloudflare-access",
            team,
            "api.example.com",
            "",
            Some("audience"),
        ),
        (
            "google-iap",
            "https://cloud.google.com/iap",
            backend,
            "",
            None,
        ),
        (
            "google-iap",
            "https://accounts.google.com",
            backend,
            "",
            Some("issuer"),
        ),
        (
            "google-iap",
            "https://cloud.google.com/iap",
            "projects/1",
            "",
            Some("audience"),
        ),
        ("oidc", "https://idp.example.com", "api", "", None),
        ("oidc", "idp.example.com", "api", "", Some("issuer")),
    ] {
        let issuer = format!("preset = {preset:?}\nissuer = {issuer:?}\n{more}");
        let text = edited("issuer = \"https://idp.example\"", &issuer);
        let text = text.replacen("\"api\"", &format!("{audience:?}"), 1);
        let (_, warnings) = starts(&text);
        let keys: Vec<&str> = warnings.iter().map(|warning| &*warning.key).collect();
        let wanted: Vec<String> = doubted
            .iter()
            .map(|key| format!("issuer[0].{key}"))
            .collect();
        assert_eq!(keys, wanted, "{text}");
    }
}

#[test]
fn every_value_of_a_preset_yields_to_the_key_itself() {
    let plain = edited(
        "issuer = \"https://idp.example\"",
        "preset = \"pomerium\"\nissuer = \"api.example.com\"",
    );
    let (settings, _) = starts(&plain);
    let issuer = &settings.issuers[0];
    let written: BTreeSet<&str> = issuer.preset.as_ref().unwrap().1.iter().copied().collect();
    for (key, value, shown) in [
        ("header", "\"X-Other\"", "x-other"),
        ("algorithms", "[\"ES384\"]", "ES384"),
        ("leeway", "\"7s\"", "7s"),
        ("max_lifetime", "\"77s\"", "1m17s"),
        ("typ", "[\"at+jwt\"]", "at+jwt"),
        ("form", "\"jwt\"", "jwt"),
        ("strip_headers", "[\"x-mine\"]", "x-mine"),
    ] {
        assert!(written.contains(key), "{key}");
        let text = plain.replacen(
            "name = \"idp\"",
            &format!("name = \"idp\"\n{key} = {value}"),
            1,
        );
        let (settings, _) = starts(&text);
        let lines = in_force(&settings.issuers[0]);
        let line = lines.iter().find(|line| line.key == key).unwrap();
        assert_eq!((&*line.value, line.preset), (shown, None), "{key}");
    }
    assert_eq!(written.len(), 7, "{written:?}");
}

#[test]
fn what_is_doubtful_starts_with_a_warning() {
    let hs = "algorithms = \"HS256\"\nkeys = { secret = \"hs.key\" }";
    let rows = [
        (
            "client_ca = \"ca.crt\"",
            "client_ca = \"ca.crt\"\nmin_version = \"1.2\"",
            "tls.min_version",
        ),
        (
            "uri = [\"spiffe://prod.example/edge\"]",
            "cn = \"edge\"",
            "peer[0].cn",
        ),
        (
            "keys = { file = \"jwks.json\" }",
            hs,
            "issuer[0].algorithms",
        ),
        (
            "name = \"idp\"",
            "name = \"idp\"\nmax_lifetime = \"25h\"",
            "issuer[0].max_lifetime",
        ),
        (
            "\"127.0.0.1:8080\"",
            "\"app:8080\"\nunsafe_address = true",
            "upstream.unsafe_address",
        ),
        (
            "\"127.0.0.1:8080\"",
            "\"[::1]:8080\"\nunsafe_address = true",
            "upstream.unsafe_address",
        ),
        (
            "name = \"idp\"",
            "name = \"idp\"\nenforce = \"report\"",
            "issuer[0].enforce",
        ),
        (
            "",
            "[[route]]\npath = \"/**\"\nenforce = \"report\"",
            "route[0].enforce",
        ),
        ("", "[admin]\naddress = \"0.0.0.0:9090\"", "admin.address"),
        ("", "[shutdown]\ndrain = \"26s\"", "shutdown"),
        (
            "",
            "[limits]\nconnections = 9\nconnections_per_peer = 10",
            "limits.connections_per_peer",
        ),
    ];
    for (from, to, key) in rows {
        let (_, warnings) = starts(&edited(from, to));
        let keys: Vec<&str> = warnings
            .iter()
            .map(|warning| warning.key.as_str())
            .collect();
        assert_eq!(keys, [key], "{to}");
        assert!(warnings[0].line.is_some() && !warnings[0].fix.is_empty());
    }
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidegate.toml");
    std::fs::write(&path, BASE.replace("tls.key", "/abs/tls.key")).unwrap();
    let (settings, _) = Settings::load(&path, &Overrides::default()).unwrap();
    assert_eq!(settings.tls.certificate, folder.path().join("tls.crt"));
    assert_eq!(settings.tls.private_key, Path::new("/abs/tls.key"));
    let (settings, _) = starts(BASE);
    assert_eq!(settings.tls.certificate, Path::new("tls.crt"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidegate.toml");
    let load = || {
        Settings::load(&path, &Overrides::default())
            .unwrap_err()
            .to_string()
    };
    assert!(
        load().contains("sidegate.toml: cannot be read: No such file"),
        "{}",
        load()
    );
    std::fs::write(&path, b"[tls]\n\xff").unwrap();
    assert!(
        load().contains("line 2 is not UTF-8; save the file as UTF-8"),
        "{}",
        load()
    );
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load().contains("larger than 1048576 bytes"), "{}", load());
    let error = Settings::load(folder.path(), &Overrides::default()).unwrap_err();
    assert!(
        error.to_string().contains("not a regular file; name"),
        "{error}"
    );
}

#[test]
fn the_editors_of_other_systems_are_understood() {
    starts(&format!("\u{feff}{BASE}"));
    starts(&BASE.replace('\n', "\r\n"));
    let error = read(&edited("client_ca", "client_cert").replace('\n', "\r\n")).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("\n    client_cert = \"ca.crt\"\n    ^")
    );
}

#[test]
fn a_text_made_to_exhaust_the_stack_is_refused() {
    for piece in ["[", "{a=", "a.", "[["] {
        assert!(read(&format!("x = {}", piece.repeat(100_000))).is_err());
        assert!(read(&piece.repeat(100_000)).is_err());
    }
}

/// Every problem must say where, what, and what to write.
fn judge(text: &str, overrides: &Overrides) {
    if let Err(error) = Settings::from_text(text, "f", overrides) {
        assert!(!error.problems.is_empty());
        for problem in error.problems {
            assert!(
                !problem.text.is_empty() && !problem.fix.is_empty(),
                "{problem}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics_the_parser(text in ".{0,300}") {
        judge(&text, &Overrides::default());
    }

    #[test]
    fn no_damage_to_a_good_file_panics_the_parser(
        start in 0..EXAMPLE.len(), cut in 0_usize..200, put in "[\\PC\n]{0,12}",
    ) {
        let end = (start + cut).min(EXAMPLE.len());
        let start = (0..=start).rev().find(|at| EXAMPLE.is_char_boundary(*at)).unwrap();
        let end = (end..=EXAMPLE.len()).find(|at| EXAMPLE.is_char_boundary(*at)).unwrap();
        let text = format!("{}{put}{}", &EXAMPLE[..start], &EXAMPLE[end..]);
        judge(&text, &Overrides::default());
    }

    #[test]
    fn no_value_panics_the_parser(row in 0..ROWS.len(), value in "\\PC{0,40}") {
        let (from, to, _) = ROWS[row];
        let value = toml::Value::String(value).to_string();
        let text = edited(from, to);
        for old in ["\"127.0.0.1:8080\"", "\"spiffe://prod.example/edge\"", "\"idp\"", "\"tls.crt\""] {
            judge(&text.replace(old, &value), &Overrides::default());
        }
    }

    #[test]
    fn no_override_panics_the_parser(value in "\\PC{0,40}") {
        let said = Some(Override::new(value, "--flag"));
        let overrides = Overrides {
            listen: said.clone(),
            upstream: said.clone(),
            admin: said.clone(),
            log_level: said.clone(),
            log_format: said.clone(),
            config: said,
        };
        judge(BASE, &overrides);
    }
}
