//! `sidegate check`, as a person meets it: what is wrong, where, and what to write instead.

use std::path::Path;
use std::process::{Command, Output};

use sidegate::lab::{Leaf, SigningKey, Validity, World, world};
use sidegate::model::{Algorithm, Timestamp};

use crate::settings::broken::{BASE, ROWS};

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
fn a_good_configuration_is_told_as_good_with_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::create(folder.path(), Timestamp::now()).unwrap();
    world
        .write(
            "sidegate.toml",
            &world.config("127.0.0.1:0", "off", "127.0.0.1:1"),
        )
        .unwrap();
    let (output, text) = check(&folder.path().join("sidegate.toml"));
    assert_eq!(output.status.code(), Some(0), "{text}");
    for words in [
        "issuer \"main\": 2 usable keys",
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
fn every_file_that_cannot_be_used_is_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::create(folder.path(), Timestamp::now()).unwrap();
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
