//! The documentation tells the truth: its tables are the program's, its links lead somewhere, the
//! configurations it teaches start, and its commands do what they say.

mod commands;
mod examples;
mod page;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sidegate::model::Denial;
use sidegate::observe::metrics::DESCRIBED;

use self::page::{Page, ROOT, pages};
use crate::harness::Town;

const SIDEGATE: &str = env!("CARGO_BIN_EXE_sidegate");
/// What `sidegate reference` can print.
const TABLES: [&str; 5] = ["config", "reasons", "metrics", "commands", "presets"];

fn start(table: &str) -> String {
    format!("<!-- {table}-reference:start -->\n")
}

/// What stands between the markers of a generated table, which has one place.
fn between(table: &str) -> String {
    let end = format!("<!-- {table}-reference:end -->");
    let pages = pages();
    let found: Vec<&str> = pages
        .iter()
        .filter_map(|page| page.text.split_once(&start(table)))
        .map(|(_, rest)| rest.split_once(&end).unwrap().0.trim())
        .collect();
    let [one] = found[..] else {
        panic!("the table of {table} has {} places", found.len())
    };
    one.to_owned()
}

#[test]
fn the_generated_tables_are_the_programs() {
    for table in TABLES {
        let output = Command::new(SIDEGATE).args(["reference", table]).output();
        let generated = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(
            between(table) == generated.trim(),
            "the table of {table} is out of date: run `make docs`"
        );
    }
}

#[test]
fn make_docs_changes_nothing_but_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, mut copies) = (Command::new(SIDEGATE), Vec::new());
    command.args(["reference", "--into"]);
    for page in pages() {
        if !TABLES.iter().any(|table| page.text.contains(&start(table))) {
            continue;
        }
        let copy = folder.path().join(page.name.replace('/', "-"));
        // The last word of a generated part is lost.
        let (before, after) = page.text.rsplit_once("-reference:end -->").unwrap();
        let (rest, name) = before.rsplit_once("\n\n<!-- ").unwrap();
        let (rest, _) = rest.rsplit_once(' ').unwrap();
        let old = format!("{rest}\n\n<!-- {name}-reference:end -->{after}");
        std::fs::write(&copy, old).unwrap();
        command.arg(&copy);
        copies.push((copy, page));
    }
    assert!(command.status().unwrap().success());
    for (copy, page) in &copies {
        let written = std::fs::read_to_string(copy).unwrap();
        assert!(written == page.text, "{} was changed", page.name);
    }

    // A table without a place changes no file.
    let (copy, page) = copies.first().unwrap();
    std::fs::write(copy, "# No markers\n").unwrap();
    let output = command.output().unwrap();
    assert!(!output.status.success());
    let missing = TABLES
        .iter()
        .find(|table| page.text.contains(&start(table)));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(start(missing.unwrap()).trim()), "{said}");
    assert_eq!(std::fs::read_to_string(copy).unwrap(), "# No markers\n");
}

#[tokio::test]
async fn every_metric_that_is_served_is_in_the_table_and_the_other_way_round() {
    // An issuer of each kind, so that the metrics of each are there.
    let fetched = "\n[[issuer]]\nname = \"fetched\"\nissuer = \"https://fetched.example\"\n\
                   audience = [\"api\"]\nheader = \"X-Fetched\"\n\
                   keys = { pem_url = \"https://127.0.0.1:9/{kid}\" }\n";
    let town = Town::with(|config| config + fetched).await;
    let text = String::from_utf8(town.gate.metrics.render()).unwrap();
    let served: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let described: BTreeSet<_> = DESCRIBED.iter().map(|metric| metric.name).collect();
    assert_eq!(served, described);
    let table = between("metrics");
    let rows = table.lines().skip(2);
    let told: BTreeSet<_> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert_eq!(told, described);
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut links = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        for target in page.links() {
            links += 1;
            if !leads_somewhere(&page, &target) {
                wrong.push(format!("{}: {target}", page.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(links > 50, "{links}");
}

fn leads_somewhere(page: &Page, target: &str) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(ROOT).join(&page.name);
    let path = if file.is_empty() {
        folder
    } else {
        folder.parent().unwrap().join(file)
    };
    if anchor.is_empty() {
        return path.exists();
    }
    std::fs::read_to_string(path).is_ok_and(|text| page::anchors(&text).contains(anchor))
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let pages = pages();
    let mut found = BTreeSet::from(["README.md".to_owned()]);
    let mut left = vec!["README.md".to_owned()];
    while let Some(name) = left.pop() {
        let page = pages.iter().find(|page| page.name == name).unwrap();
        let folder = Path::new(ROOT).join(&name);
        for target in page.links() {
            let file = target.split('#').next().unwrap();
            let path = folder.parent().unwrap().join(file).canonicalize();
            let Ok(path) = path else { continue };
            let name = path.strip_prefix(Path::new(ROOT).canonicalize().unwrap());
            let name = name.unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".md") && found.insert(name.clone()) {
                left.push(name);
            }
        }
    }
    let all: BTreeSet<String> = pages.into_iter().map(|page| page.name).collect();
    assert_eq!(found, all);
}

#[test]
fn every_reason_and_every_metric_named_is_one() {
    let codes: BTreeSet<_> = Denial::ALL.iter().map(|denial| denial.code()).collect();
    let metrics: BTreeSet<_> = DESCRIBED.iter().map(|metric| metric.name).collect();
    let page = Page::read("docs/reference/reasons.md");
    let (_, section) = page
        .text
        .split_once("## From Envoy's words to ours")
        .unwrap();
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

    // Whoever looks for a reason finds it on the page that says what to do.
    let help = Page::read("docs/how-to/why-was-i-refused.md");
    for denial in Denial::ALL {
        let code = format!("`{}`", denial.code());
        assert!(
            help.text.contains(&code),
            "{} does not name {code}",
            help.name
        );
    }
    for page in pages() {
        for word in page
            .text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        {
            let name = word.trim_end_matches("_bucket").trim_end_matches("_sum");
            let is_metric = name
                .strip_prefix("sidegate_")
                .is_some_and(|rest| rest.len() > 3);
            assert!(
                !is_metric || metrics.contains(name),
                "{}: {word}",
                page.name
            );
        }
    }
}

#[test]
fn every_command_is_named() {
    let readme = Page::read("README.md").text;
    let output = Command::new(SIDEGATE).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for command in commands.take_while(|line| !line.is_empty()) {
        let name = command.split_whitespace().next().unwrap();
        let told = readme.contains(&format!("`sidegate {name}"));
        assert!(
            told || name == "help",
            "README.md does not name sidegate {name}"
        );
    }
}
