//! The workflows for GitHub, which nothing here can run: that they can be read, and ask for little.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::harness::peer::python;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const WORKFLOWS: [&str; 2] = ["ci.yml", "release.yml"];

fn workflow(name: &str) -> String {
    let folder = Path::new(ROOT).join(".github/workflows");
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn every_workflow_is_yaml() {
    let Some(mut command) = python("parse_yaml.py", Some("yaml")) else {
        return;
    };
    for name in WORKFLOWS {
        let file = Path::new(ROOT).join(".github/workflows").join(name);
        command.stdin(fs::File::open(file).unwrap());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {why}");
    }
}

#[test]
fn every_workflow_names_its_rights_and_the_version_of_each_action() {
    for name in WORKFLOWS {
        let text = workflow(name);
        assert!(text.contains("\npermissions:"), "{name}");
        let mut actions = 0;
        for line in text.lines().filter(|line| line.contains("uses: ")) {
            let (_, version) = line.split_once('@').unwrap_or_else(|| panic!("{line}"));
            assert!(!["main", "master", "latest"].contains(&version), "{line}");
            actions += 1;
        }
        assert!(actions > 0, "{name}");
    }
}

#[test]
fn what_github_runs_is_what_everybody_runs() {
    for name in WORKFLOWS {
        assert!(workflow(name).contains(" .ci/run\n"), "{name}");
    }
    // Nothing of a release is made before the tests have passed, nor signed before it was scanned.
    let release = workflow("release.yml");
    let places = [
        ".ci/run",
        "needs: test",
        "scan-action",
        "needs: image",
        "cosign sign",
    ];
    let places = places.map(|step| release.find(step).unwrap_or_else(|| panic!("{step}")));
    assert!(places.is_sorted(), "{places:?}");
}
