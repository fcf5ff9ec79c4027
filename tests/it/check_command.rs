//! `sidegate check`, as a person meets it: what is wrong, where, and what to write instead.

use std::path::Path;
use std::process::{Command, Output};

use sidegate::lab::{Leaf, SigningKey, Validity, world};
use sidegate::model::Algorithm;

use crate::settings::broken::{BASE, ROWS};

use crate::harness::new_world;

fn check(config: &Path) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .args(["check", "--config"])
        .arg(config)
        .current_dir(config.parent().unwrap())
        .env_clear()
        .output()
        .unwrap();
    let text = [&*output.stdout, &output.stderr].concat();
    (output, String::from_utf8(text).unwrap())
}

#[test]
fn ten_broken_configurations_get_ten_texts_that_say_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sidegate.toml");
    for (old, new, words) in &ROWS[..10] {
        let text = if old.is_empty() {
            format!("{BASE}\n{new}\n")
        } else {
            BASE.replacen(old, new, 1)
        };
        std::fs::write(&config, text).unwrap();
        let (output, text) = check(&config);
        // The table's words begin with the file's bare name.
        assert!(
            text.contains(words.trim_start_matches("sidegate.toml")),
            "{words}\n{text}"
        );
        assert_eq!(output.status.code(), Some(64), "{text}");
        println!("{text}");
    }
}

#[test]
fn the_deny_list_is_read_and_counted_or_its_broken_line_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
    let config = format!("{config}\n[deny]\nfile = \"deny.list\"\n");
    world.write("sidegate.toml", &config).unwrap();
    let config = folder.path().join("sidegate.toml");
    let list = "sub issuer=main sub=ada\nsub issuer=main sub=bob until=2020-01-01 # gone\n";
    world.write("deny.list", list).unwrap();
    let (output, text) = check(&config);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("ok: deny.file: 2 entries, 1 of them expired"),
        "{text}"
    );
    world
        .write("deny.list", "\nsub issuer=mian sub=ada\n")
        .unwrap();
    let (output, text) = check(&config);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let words = "line 2: no [[issuer]] is named \"mian\"; did you mean `main`?";
    assert!(text.contains(words), "{text}");
}

#[test]
fn an_entry_for_a_key_that_has_no_name_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
    let config = format!("{config}\n[deny]\nfile = \"deny.list\"\n");
    let list = "kid issuer=main kid=old\nsub issuer=partner sub=ada\n";
    world.write("deny.list", list).unwrap();
    world
        .write("keys.pem", &world.key.public_pem().unwrap())
        .unwrap();
    for (keys, is_warned_of) in [
        ("file = \"jwks.json\"", false),
        ("pem = \"keys.pem\"", true),
    ] {
        let config = config.replacen("file = \"jwks.json\"", keys, 1);
        world.write("sidegate.toml", &config).unwrap();
        let (output, text) = check(&folder.path().join("sidegate.toml"));
        assert_eq!(output.status.code(), Some(0), "{text}");
        let words = "warning: deny.file: the keys of issuer \"main\" have no kid";
        assert_eq!(text.contains(words), is_warned_of, "{text}");
    }
}

#[test]
fn a_revocation_list_that_has_ended_is_an_error_for_it_keeps_everybody_out() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
    world.write("sidegate.toml", &config).unwrap();
    let config = folder.path().join("sidegate.toml");
    let (output, text) = check(&config);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let soon = "warning: a list in tls.client_crl expires in 6 days";
    assert!(text.contains(soon), "{text}");
    let ended = world.ca.revoke(&[], Validity::Expired).unwrap() + &world.intermediate_crl;
    world.write("ca.crl", &ended).unwrap();
    let (output, text) = check(&config);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("error: a list in tls.client_crl has expired"),
        "{text}"
    );
}

#[test]
fn a_good_configuration_is_told_as_good_with_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    world
        .write(
            "sidegate.toml",
            &world.config("127.0.0.1:0", "off", "127.0.0.1:1"),
        )
        .unwrap();
    let (output, text) = check(&folder.path().join("sidegate.toml"));
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in [
        "issuer \"main\": 3 usable keys",
        "tls.certificate is sidegate.test",
        "2 peers",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        text.contains("tls.certificate expires in"),
        "a week is soon: {text}"
    );
}

#[test]
fn what_is_in_force_is_told_with_what_the_preset_says_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
    let config = config.replacen(
        "algorithms = [\"ES256\", \"RS256\"]",
        "preset = \"oidc\"\nleeway = \"5s\"",
        1,
    );
    let config = config.replacen("issuers = [", "hands_over = \"xfcc\"\nissuers = [", 1);
    world.write("sidegate.toml", &config).unwrap();
    let (output, text) = check(&folder.path().join("sidegate.toml"));
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in [
        "    issuer = https://issuer.test/\n",
        "    audience = legacy.test\n",
        "    header = authorization: Bearer   (preset oidc)\n",
        "    algorithms = RS256, ES256   (preset oidc)\n",
        "    typ = at+jwt, JWT, absent   (preset oidc)\n",
        "    leeway = 5s\n",
        "    max_lifetime = 1h30m   (preset oidc)\n",
        "    allow_empty_subject = false\n",
        "ok: peer \"front\" hands over its client's certificate",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}

#[test]
fn every_file_that_cannot_be_used_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let good = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
    let other = world.ca.issue(&Leaf::server("other.test")).unwrap();
    world.write("other.key", &other.key_pem).unwrap();
    let expired = Leaf::server(world::SERVER_NAME).valid(Validity::Expired);
    let expired = world.ca.issue(&expired).unwrap();
    world
        .write("expired-server.crt", &expired.chain_pem)
        .unwrap();
    world.write("expired-server.key", &expired.key_pem).unwrap();
    world.write("empty", "").unwrap();
    world.write("null.json", "{\"keys\":null}").unwrap();
    let key = SigningKey::generate(Algorithm::Es256, Some("k")).unwrap();
    let mut private = key.jwk().unwrap();
    private["d"] = "AAAA".into();
    world
        .write("private.json", &format!("{{\"keys\":[{private}]}}"))
        .unwrap();
    for (old, new, words) in [
        ("\"server.key\"", "\"other.key\"", "not the key of"),
        (
            "\"server.key\"",
            "\"server.crt\"",
            "unencrypted PRIVATE KEY",
        ),
        (
            "\"ca.crt\"",
            "\"missing.crt\"",
            "missing.crt: cannot be read",
        ),
        ("\"ca.crt\"", "\"empty\"", "CERTIFICATE sections"),
        ("\"ca.crl\"", "\"ca.crt\"", "X509 CRL"),
        (
            "\"server.crt\"\nprivate_key = \"server.key\"",
            "\"expired-server.crt\"\nprivate_key = \"expired-server.key\"",
            "tls.certificate has expired",
        ),
        ("\"jwks.json\"", "\"null.json\"", "\"keys\": null"),
        (
            "\"jwks.json\"",
            "\"private.json\"",
            "private or shared key material",
        ),
        ("\"jwks.json\"", "\"partner-jwks.json\"", "issuer \"main\""),
    ] {
        let text = good.replacen(old, new, 1);
        assert_ne!(text, good, "{old}");
        world.write("sidegate.toml", &text).unwrap();
        let (output, text) = check(&folder.path().join("sidegate.toml"));
        assert_eq!(output.status.code(), Some(1), "{new}: {text}");
        assert!(
            text.contains("error: ") && text.contains(words),
            "{new}: {text}"
        );
        assert!(!text.contains("AAAA"), "no key material in a text: {text}");
    }
}

#[test]
fn report_mode_is_told_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
    let route = "\n[[route]]\npath = \"/**\"\nenforce = \"report\"\n";
    world.write("sidegate.toml", &(config + route)).unwrap();
    let (output, text) = check(&folder.path().join("sidegate.toml"));
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in [
        "warning: ",
        "route[0].enforce: report mode",
        "is let through",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}
