//! The shape of the code: imports point down, files stay small and say what they are for, and each
//! outside library stays in its room.

use std::fs;
use std::path::Path;

/// From the roof to the ground. A file may use its own floor and those below it.
const FLOORS: [&str; 26] = [
    "main",
    "terminal",
    "lab",
    "explain",
    "startup",
    "gate",
    "forward",
    "deny",
    "decide",
    "check",
    "bearer",
    "accept",
    "ops",
    "refresh",
    "jwks",
    "fetch",
    "pem",
    "revocation",
    "reload",
    "shutdown",
    "socket",
    "observe",
    "settings",
    "file",
    "model",
    "lib",
];

/// A library and the only places that may name it.
const ROOMS: [(&str, &[&str]); 8] = [
    ("josekit", &["jwks/", "check/signature.rs"]),
    ("rustls_pemfile", &["pem.rs"]),
    (
        "prometheus",
        &[
            "observe/connections.rs",
            "observe/metrics.rs",
            "observe/registry.rs",
            "startup/",
        ],
    ),
    ("x509_parser", &["accept/certificate.rs", "jwks/"]),
    ("rcgen", &["lab/pki.rs"]),
    ("clap", &["terminal/"]),
    ("notify", &["reload/"]),
    ("rustls_native_certs", &["fetch/tls.rs"]),
];

const LONGEST_FILE: usize = 400;

fn sources() -> Vec<(String, String)> {
    sources_in("src")
}

/// The code without its tests: those may look wherever they like.
fn code(text: &str) -> &str {
    text.split_once("#[cfg(test)]\nmod tests {")
        .map_or(text, |(code, _)| code)
}

fn is_test(name: &str) -> bool {
    name.contains("/tests/") || name.ends_with("/tests.rs")
}

fn floor(name: &str) -> usize {
    let top = name.split(['/', '.']).next().unwrap();
    FLOORS
        .iter()
        .position(|floor| *floor == top)
        .unwrap_or_else(|| panic!("{name} is on no floor"))
}

#[test]
fn imports_point_downwards_only() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if is_test(&name) || name == "lib.rs" {
            continue;
        }
        let from = floor(&name);
        for (number, line) in code(&text).lines().enumerate() {
            let line = line.split("//").next().unwrap();
            for (at, _) in line.match_indices("crate::") {
                let target: String = line[at + 7..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if !target.is_empty() && floor(&target) < from {
                    wrong.push(format!("{name}:{}: looks up to {target}", number + 1));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if !text.starts_with("//! ") {
            wrong.push(format!("{name}: does not begin with //!"));
        }
        let lines = code(&text).lines().count();
        if lines > LONGEST_FILE && !is_test(&name) {
            wrong.push(format!("{name}: {lines} lines"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn each_library_stays_in_its_room() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        if is_test(&name) {
            continue;
        }
        for (library, rooms) in ROOMS {
            let allowed = rooms.iter().any(|room| name.starts_with(room));
            let needle = format!("{library}::");
            for (number, line) in code(&text).lines().enumerate() {
                let line = line.split("//").next().unwrap();
                if !allowed && line.contains(&needle) {
                    wrong.push(format!("{name}:{}: names {library}", number + 1));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_security_note_names_a_test_that_exists() {
    let mut tests = String::new();
    for folder in ["src", "tests/it"] {
        for (_, text) in sources_in(folder) {
            tests.push_str(&text);
        }
    }
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        for (at, _) in text.match_indices("SECURITY:") {
            let note: String = text[at..]
                .lines()
                .take_while(|line| line.contains("//") || line.starts_with("SECURITY:"))
                .collect::<Vec<_>>()
                .join("\n");
            let guards: Vec<&str> = note
                .split('`')
                .skip(1)
                .step_by(2)
                .filter(|word| word.matches('_').count() >= 3 && !word.contains("::"))
                .collect();
            if guards.is_empty() && !note.contains("attack table") {
                wrong.push(format!("{name}: a SECURITY note names no test: {note}"));
            }
            for guard in guards {
                if !tests.contains(&format!("fn {guard}(")) {
                    wrong.push(format!("{name}: there is no test {guard}"));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// Every Rust file below a folder, with its path inside it.
fn sources_in(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found.sort();
    found
}
