//! What the documentation shows to be copied: configurations and YAML.

use std::io::Write as _;
use std::process::Stdio;

use sidegate::settings::{Overrides, Settings};
use toml::{Table, Value};

use super::page::pages;
use crate::harness::peer::python;

/// What an example that shows only a part is a part of.
const BASE: &str = r#"
[tls]
certificate = "tls.crt"
private_key = "tls.key"
client_ca = "ca.crt"

[[peer]]
name = "pomerium"
uri = ["spiffe://prod.example/ns/edge/sa/pomerium"]
issuers = ["pomerium"]

[[issuer]]
name = "pomerium"
issuer = "app.example.com"
audience = ["app.example.com"]
header = "X-Pomerium-Jwt-Assertion"
keys = { file = "jwks.json" }

[upstream]
address = "127.0.0.1:8080"
"#;

#[test]
fn every_configuration_that_is_taught_is_understood() {
    let mut examples = 0;
    for page in pages() {
        for fence in page.fences() {
            if fence.language != "toml" {
                continue;
            }
            examples += 1;
            let place = format!("{}:{}", page.name, fence.line);
            let text = completed(&fence.text).unwrap_or_else(|why| panic!("{place}: {why}"));
            let read = Settings::from_text(&text, &place, &Overrides::default());
            let (_, warnings) = read.unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(warnings, [], "{place}");
        }
    }
    assert!(examples >= 3, "{examples}");
}

/// An example with the sections that it leaves out. What it names a second time, it replaces; a peer
/// may bring what the example's issuers make.
fn completed(example: &str) -> Result<String, toml::de::Error> {
    let part: Table = example.parse()?;
    let mut whole: Table = BASE.parse()?;
    let sections = part.keys().map(String::as_str);
    if sections.collect::<Vec<_>>().starts_with(&["tls"]) || part.contains_key("upstream") {
        return Ok(example.to_owned());
    }
    let has_peer = part.contains_key("peer");
    let issuers = part.get("issuer").and_then(Value::as_array).cloned();
    for (section, value) in part {
        match (whole.get_mut(&section), value) {
            (Some(Value::Table(base)), Value::Table(more)) => base.extend(more),
            (_, value) => drop(whole.insert(section, value)),
        }
    }
    if let (Some(issuers), false) = (issuers, has_peer) {
        let names = issuers.iter().filter_map(|one| one.get("name").cloned());
        whole["peer"][0]["issuers"] = Value::Array(names.collect());
    }
    Ok(whole.to_string())
}

#[test]
fn every_json_that_is_shown_can_be_read() {
    for page in pages() {
        for fence in page.fences() {
            if fence.language == "json" {
                let read: Result<serde_json::Value, _> = serde_json::from_str(&fence.text);
                assert!(read.is_ok(), "{}:{}: {read:?}", page.name, fence.line);
            }
        }
    }
}

#[test]
fn every_yaml_that_is_shown_can_be_read() {
    let Some(mut command) = python("parse_yaml.py", Some("yaml")) else {
        return;
    };
    let mut examples = 0;
    for page in pages() {
        for fence in page.fences() {
            if fence.language != "yaml" {
                continue;
            }
            examples += 1;
            command.stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(fence.text.as_bytes()).unwrap();
            drop(stdin);
            let output = child.wait_with_output().unwrap();
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success(),
                "{}:{}: {why}",
                page.name,
                fence.line
            );
        }
    }
    assert!(examples >= 2, "{examples}");
}
