//! The README tells the truth: its tables are the program's, its links lead somewhere, and the
//! configuration it teaches starts.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sidegate::model::Denial;
use sidegate::observe::metrics::DESCRIBED;
use sidegate::settings::{Overrides, Settings};

use crate::harness::Town;

const README: &str = include_str!("../../README.md");
const SIDEGATE: &str = env!("CARGO_BIN_EXE_sidegate");

/// What stands between the markers of a generated table.
fn between(table: &str) -> &'static str {
    let (_, rest) = README
        .split_once(&format!("<!-- {table}-reference:start -->\n"))
        .unwrap_or_else(|| panic!("no start marker for {table}"));
    let end = format!("<!-- {table}-reference:end -->");
    rest.split_once(&end).unwrap().0.trim()
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let blocks = README.split("\n```").skip(1).step_by(2);
    let named = blocks.filter_map(|block| block.split_once('\n'));
    named
        .filter(|(name, _)| *name == language)
        .map(|(_, text)| text)
        .collect()
}

#[test]
fn the_generated_tables_are_the_programs() {
    for table in ["config", "reasons", "metrics"] {
        let output = Command::new(SIDEGATE).args(["reference", table]).output();
        let generated = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(
            between(table) == generated.trim(),
            "the table of {table} in README.md is out of date: run `make docs`"
        );
    }
}

#[test]
fn make_docs_changes_nothing_but_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("README.md");
    let emptied = README.replacen(between("reasons"), "old", 1);
    std::fs::write(&copy, emptied).unwrap();
    let mut command = Command::new(SIDEGATE);
    let status = command.args(["reference", "--into"]).arg(&copy).status();
    assert!(status.unwrap().success());
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), README);

    std::fs::write(&copy, "# No markers\n").unwrap();
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("config-reference:start"));
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "# No markers\n");
}

#[tokio::test]
async fn every_metric_that_is_served_is_in_the_table_and_the_other_way_round() {
    let town = Town::start().await;
    let text = String::from_utf8(town.gate.metrics.render()).unwrap();
    let served: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let described: BTreeSet<_> = DESCRIBED.iter().map(|metric| metric.name).collect();
    assert_eq!(served, described);
    let rows = between("metrics").lines().skip(2);
    let told: BTreeSet<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(told, described);
}

#[test]
fn every_relative_link_leads_somewhere() {
    let headings: BTreeSet<String> = README
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for target in README.split("](").skip(1) {
        let target = target.split(')').next().unwrap();
        if target.starts_with("https://") {
            continue;
        }
        links += 1;
        match target.strip_prefix('#') {
            Some(name) => assert!(headings.contains(name), "no heading {name}: {headings:?}"),
            None => assert!(root.join(target).exists(), "no file {target}"),
        }
    }
    assert!(links > 5, "{links}");
}

/// The name that a heading gets as a link's target.
fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

#[test]
fn every_configuration_that_is_taught_is_understood() {
    let examples = blocks("toml");
    assert!(!examples.is_empty());
    for example in examples {
        let read = Settings::from_text(example, "README.md", &Overrides::default());
        let (_, warnings) = read.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(warnings, [], "{example}");
    }
}

#[test]
fn every_command_and_every_reason_named_is_one() {
    let codes: BTreeSet<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
    let (_, rest) = README.split_once("### From Envoy's words to ours").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut mapped = 0;
    for row in rows {
        let cell = row.split(" | ").nth(1).unwrap();
        for code in cell.split('`').skip(1).step_by(2) {
            assert!(codes.contains(code), "{code}");
            mapped += 1;
        }
    }
    assert!(mapped >= 9, "{mapped}");

    let output = Command::new(SIDEGATE).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for command in commands.take_while(|line| !line.is_empty()) {
        let name = command.split_whitespace().next().unwrap();
        let told = README.contains(&format!("`sidegate {name}"));
        assert!(
            told || name == "help",
            "README.md does not name sidegate {name}"
        );
    }
}
