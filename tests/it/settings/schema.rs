//! The JSON Schema and the reference: true to what the program understands.

use serde_json::Value;
use sidegate::settings::{JSON_SCHEMA, config_reference, generate_schema};

use super::{BASE, EXAMPLE, starts};

fn schema() -> Value {
    serde_json::from_str(JSON_SCHEMA).unwrap()
}

/// Every key of every section, with its schema: `("tls", "min_version", ...)`.
fn keys() -> Vec<(String, String, Value)> {
    let schema = schema();
    let sections = schema["properties"].as_object().unwrap();
    let keys = sections.iter().flat_map(|(section, about)| {
        let table = about.get("items").unwrap_or(about);
        let keys = table["properties"].as_object().unwrap();
        keys.iter()
            .map(|(key, about)| (section.clone(), key.clone(), about.clone()))
            .collect::<Vec<_>>()
    });
    keys.collect()
}

/// [`BASE`], with a section of this name where it has to be there for a key of it.
fn base(section: &str) -> String {
    match section {
        "route" => format!("{BASE}\n[[route]]\npath = \"/**\"\n"),
        _ => BASE.to_owned(),
    }
}

/// The same with `value` for one key.
fn with(section: &str, key: &str, value: &Value) -> String {
    let mut table: toml::Table = base(section).parse().unwrap();
    let value = toml::Value::try_from(value).unwrap();
    let entry = table
        .entry(section)
        .or_insert_with(|| toml::Table::new().into());
    let entry = if entry.is_array() {
        &mut entry[0]
    } else {
        entry
    };
    entry.as_table_mut().unwrap().insert(key.to_owned(), value);
    table.to_string()
}

#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = generate_schema();
    if std::env::var_os("WRITE_SCHEMA").is_some() {
        let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/sidegate.schema.json");
        std::fs::write(committed, generated).unwrap();
        return;
    }
    assert!(JSON_SCHEMA == generated, "run `make docs`");
}

#[test]
fn every_key_is_described_and_closed() {
    fn closed(path: &str, schema: &Value) {
        let about = schema["description"].as_str().unwrap_or_default();
        assert!(
            about.ends_with('.') || path.ends_with("[]"),
            "{path}: {about}"
        );
        if let Some(keys) = schema.get("properties") {
            assert_eq!(schema["additionalProperties"], false, "{path}");
            for (key, schema) in keys.as_object().unwrap() {
                closed(&format!("{path}.{key}"), schema);
            }
        }
        if let Some(items) = schema
            .get("items")
            .filter(|items| items["type"] == "object")
        {
            closed(&format!("{path}[]"), items);
        }
    }
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    closed("", &schema);
}

#[test]
fn every_default_in_the_schema_is_the_one_that_holds() {
    let mut defaults = 0;
    for (section, key, about) in keys() {
        if let Some(default) = about.get("default") {
            let (plain, _) = starts(&base(&section));
            let (settings, _) = starts(&with(&section, &key, default));
            assert_eq!(
                format!("{settings:?}"),
                format!("{plain:?}"),
                "{section}.{key}"
            );
            defaults += 1;
        }
    }
    assert!(defaults > 30, "{defaults}");
}

/// What a word cannot stand without.
fn with_what_it_needs(text: String, word: &Value) -> String {
    let keys = "[issuer.keys]\nfile = \"jwks.json\"\n";
    assert!(text.contains(keys), "{text}");
    match word.as_str() {
        Some("aws-alb") => text.replacen(
            "[[issuer]]",
            "[[issuer]]\nsigner = \"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/b\"",
            1,
        ),
        Some("jwt-svid") => {
            text.replacen("[[issuer]]", "[[issuer]]\ntrust_domain = \"prod.example\"", 1)
        }
        Some("last" | "first") => {
            text.replacen("[[peer]]", "[[peer]]\nhands_over = \"xfcc\"", 1)
        }
        Some("spike") => text.replacen(keys, "[issuer.keys]\nsecret = \"hs.key\"\n", 1),
        _ => text,
    }
}

#[test]
fn every_word_and_bound_in_the_schema_is_accepted() {
    for (section, key, about) in keys() {
        let words = about["enum"].as_array().cloned().unwrap_or_default();
        let bounds = ["minimum", "maximum"].map(|bound| about.get(bound).cloned());
        for value in words.iter().chain(bounds.iter().flatten()) {
            let text = with(&section, &key, value);
            starts(&with_what_it_needs(text, value));
        }
    }
}

#[test]
fn the_example_and_the_reference_name_every_key() {
    let reference = config_reference();
    for (section, key, _) in keys() {
        assert!(EXAMPLE.contains(&format!("{key} = ")), "{section}.{key}");
        assert!(
            reference.contains(&format!("| `{key}` | ")),
            "{section}.{key}"
        );
        assert!(reference.contains(&format!("[{section}]")), "{section}");
    }
    assert!(reference.contains("| `keys.secret` | "));
    assert!(reference.contains("| `claims.NAME.equals` | "));
}
