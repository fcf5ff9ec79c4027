//! The dashboard for Grafana: what it asks for is there, and Prometheus can read the questions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sidegate::observe::metrics::{DESCRIBED, Described};

use crate::harness::peer::installed;

/// What Prometheus itself adds to a sample, and the bounds of a histogram's buckets.
const LABELS_OF_OTHERS: [&str; 3] = ["instance", "job", "le"];

fn dashboard() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/grafana/sidegate.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter()
}

/// Every expression with where it stands, as Grafana would send it.
fn expressions() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut all = Vec::new();
    for panel in panels(&dashboard).filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        all.extend(targets.iter().map(|target| (&panel["title"], target)));
    }
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    all.extend(annotations.iter().map(|one| (&one["name"], one)));
    all.into_iter()
        .map(|(title, asked)| {
            let text = asked["expr"].as_str().unwrap();
            let text = text.replace("$__rate_interval", "5m");
            let text = text.replace("$job", ".*").replace("$instance", ".*");
            assert!(!text.contains('$'), "{text}");
            (title.as_str().unwrap().to_owned(), text)
        })
        .collect()
}

/// The metric that a name in an expression means: a histogram has three names.
fn metric(name: &str) -> Option<&'static Described> {
    DESCRIBED.iter().find(|metric| {
        let rest = name.strip_prefix(metric.name);
        let parts: &[_] = match metric.kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        rest.is_some_and(|rest| parts.contains(&rest))
    })
}

/// The words of an expression: names of metrics and labels, functions, numbers.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|at: char| !at.is_ascii_alphanumeric() && at != '_')
        .filter(|word| !word.is_empty())
}

#[test]
fn every_metric_on_the_dashboard_is_one_of_the_gate() {
    let mut shown = BTreeSet::new();
    for (title, text) in expressions() {
        for word in words(&text).filter(|word| word.starts_with("sidegate_")) {
            let found = metric(word).unwrap_or_else(|| panic!("{title}: {word}"));
            shown.insert(found.name);
        }
    }
    for name in [
        "sidegate_requests_total",
        "sidegate_refused_total",
        "sidegate_would_refuse_total",
        "sidegate_tls_handshakes_total",
        "sidegate_jwt_verify_seconds",
        "sidegate_jwks_last_success_timestamp_seconds",
        "sidegate_reload_stale_since_timestamp_seconds",
        "sidegate_certificate_not_after_timestamp_seconds",
        "sidegate_connections_open",
        "sidegate_streams_ended_total",
    ] {
        assert!(shown.contains(name), "{name} is not shown");
    }
}

#[test]
fn every_label_that_the_dashboard_groups_by_is_one_of_the_metric() {
    let mut grouped = 0;
    for (title, text) in expressions() {
        let labels: BTreeSet<_> = words(&text)
            .filter_map(metric)
            .flat_map(|metric| metric.labels.iter().copied())
            .chain(LABELS_OF_OTHERS)
            .collect();
        for group in text.split(" by (").skip(1) {
            let (group, _) = group.split_once(')').unwrap();
            for label in words(group) {
                assert!(labels.contains(label), "{title}: {label}");
                grouped += 1;
            }
        }
    }
    assert!(grouped > 10, "{grouped}");
}

#[test]
fn prometheus_can_read_every_expression_of_the_dashboard() {
    let Some(promtool) = installed("promtool") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let check = |expressions: &[(String, String)]| {
        let rules: Vec<Value> = (0..)
            .zip(expressions)
            .map(|(number, (_, text))| json!({"record": format!("asked:{number}"), "expr": text}))
            .collect();
        let count = rules.len();
        // promtool reads YAML, and JSON is YAML.
        let file = folder.path().join("rules.json");
        let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
        fs::write(&file, groups.to_string()).unwrap();
        let mut command = Command::new(&promtool);
        let output = command.args(["check", "rules"]).arg(file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8(said).unwrap(),
            count,
        )
    };
    let mut all = expressions();
    let (good, said, count) = check(&all);
    assert!(good, "{said}");
    assert!(said.contains(&format!("{count} rules found")), "{said}");
    // One that it cannot read, so that the silence above means something.
    all.push((String::new(), "sum by (sidegate_ready".to_owned()));
    assert!(!check(&all).0);
}

#[test]
fn every_panel_has_a_place_of_its_own_and_asks_the_source_that_was_chosen() {
    let dashboard = dashboard();
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert_eq!(variables[0]["name"], "datasource");
    assert_eq!(variables[0]["type"], "datasource");
    let mut taken = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"], source, "{title}");
            assert!(panel["description"].as_str().is_some(), "{title}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"], source, "{title}");
            }
        }
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title}");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                let other = taken.insert((x, y), title);
                assert_eq!(other, None, "{title}");
            }
        }
    }
}
