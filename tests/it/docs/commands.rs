//! The commands of the documentation, run as whoever reads a page from top to bottom would.
//!
//! The blocks of `sh` on some pages are run here: all of a page as one script, in one folder. What a
//! block prints must be the `text` block after it, if there is one. Before every other block stands a
//! comment that names the test which does what it does, if not by its very words (`covered by: name`), or
//! says why none does (`not run: reason`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::page::{Fence, Page, ROOT, pages};
use crate::harness::local;
use crate::harness::peer::{free_port, installed};

/// What the pages call the gate's three ports, and the variable that says otherwise.
const PORTS: [(&str, &str); 3] = [
    ("8443", "SIDEGATE_LISTEN"),
    ("8080", "SIDEGATE_UPSTREAM"),
    ("9090", "SIDEGATE_ADMIN"),
];
const PREFIX: &str = "set -euo pipefail\ntrap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT\n";
const LINE: &str = "=== block";

/// The pages that are run. No other is, so that nothing is executed because somebody wrote it down.
const SCRIPTS: [&str; 2] = ["docs/how-to/rotate.md", "docs/tutorial.md"];

/// Who runs a block.
enum Runner {
    Page,
    Test(String),
    Nobody(String),
}

impl Runner {
    fn of(fence: &Fence) -> Self {
        let note = |kind| fence.note.strip_prefix(kind).map(str::to_owned);
        match (note("covered by: "), note("not run: ")) {
            (Some(test), _) => Self::Test(test),
            (_, Some(reason)) => Self::Nobody(reason),
            (None, None) => Self::Page,
        }
    }
}

fn commands(page: &Page) -> Vec<Fence> {
    let fences = page.fences().into_iter();
    fences.filter(|fence| fence.language == "sh").collect()
}

#[test]
fn every_command_is_run_or_says_why_not() {
    let tests = all_tests();
    let mut wrong = Vec::new();
    let (mut run, mut left) = (0, 0);
    for page in pages() {
        for fence in page.fences() {
            let place = format!("{}:{}", page.name, fence.line);
            if ["bash", "shell", "console"].contains(&&*fence.language) {
                wrong.push(format!("{place}: write sh, or text"));
            }
            if fence.language != "sh" {
                continue;
            }
            match Runner::of(&fence) {
                Runner::Page if SCRIPTS.contains(&&*page.name) => run += 1,
                Runner::Page => wrong.push(format!("{place}: who runs this? see docs/commands.rs")),
                Runner::Test(name) if tests.contains(&format!("fn {name}(")) => run += 1,
                Runner::Test(name) => wrong.push(format!("{place}: there is no test {name}")),
                Runner::Nobody(reason) if reason.len() < 12 => {
                    wrong.push(format!("{place}: no reason"));
                }
                Runner::Nobody(_) => left += 1,
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(run > left, "{run} are run and {left} are not");
}

/// The text of all test files.
fn all_tests() -> String {
    fn collect(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, text);
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    collect(&Path::new(ROOT).join("tests/it"), &mut text);
    text
}

#[test]
fn every_make_target_that_is_named_is_one() {
    let makefile = fs::read_to_string(Path::new(ROOT).join("Makefile")).unwrap();
    let rules = makefile.lines().filter_map(|line| line.split_once(':'));
    let targets: BTreeSet<&str> = rules.map(|(target, _)| target).collect();
    let mut named = 0;
    for page in pages() {
        for fence in commands(&page) {
            for line in fence
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("make "))
            {
                let target = line.split_whitespace().next().unwrap();
                assert!(targets.contains(target), "{}: make {target}", page.name);
                named += 1;
            }
        }
    }
    assert!(named > 3, "{named}");
}

#[test]
fn the_commands_of_every_page_do_what_it_says() {
    for program in ["bash", "curl", "openssl", "python3", "timeout"] {
        if installed(program).is_none() {
            return;
        }
    }
    let running = SCRIPTS.map(|name| thread::spawn(move || follow(&Page::read(name))));
    let wrong: Vec<String> = running
        .into_iter()
        .filter_map(|page| page.join().unwrap().err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Does what a page says, in a folder of its own, with ports of its own.
fn follow(page: &Page) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    symlink(
        env!("CARGO_BIN_EXE_sidegate"),
        folder.path().join("sidegate"),
    )
    .unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after", "5", "90", "bash", "-c"])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", folder.path().display()));
    let ports = PORTS.map(|(name, variable)| {
        let port = free_port();
        command.env(variable, local(port).to_string());
        (name, port.to_string())
    });
    let mine = |text: &str| {
        ports.iter().fold(text.to_owned(), |text, (name, port)| {
            text.replace(name, port)
        })
    };
    let (script, expected) = script(&page.fences());
    command.arg(mine(&script));
    let output = command.output().unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    let story = || {
        format!(
            "{}:\n{said}\n--- standard error ---\n{complained}",
            page.name
        )
    };
    if !output.status.success() {
        return Err(format!("{} in {}", output.status, story()));
    }
    for (line, text) in expected {
        let marker = format!("{LINE} {line}\n");
        let (_, rest) = said.split_once(&marker).unwrap();
        let printed = rest.split(LINE).next().unwrap().trim_end();
        if printed != mine(&text).trim_end() {
            return Err(format!("line {line} prints something else in {}", story()));
        }
    }
    Ok(())
}

/// The page as a script, and what the blocks at these lines must print.
fn script(fences: &[Fence]) -> (String, Vec<(usize, String)>) {
    let mut text = PREFIX.to_owned();
    let mut expected = Vec::new();
    for (at, fence) in fences.iter().enumerate() {
        if fence.language != "sh" || !matches!(Runner::of(fence), Runner::Page) {
            continue;
        }
        write!(text, "echo '{LINE} {}'\n{}\n", fence.line, fence.text).unwrap();
        if let Some(next) = fences.get(at + 1)
            && next.language == "text"
        {
            expected.push((fence.line, next.text.clone()));
        }
    }
    (text, expected)
}
