//! The unit for systemd: understood without a complaint, hardened, and its times and numbers add up
//! with ours.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sidegate::settings::{Overrides, Settings};

use crate::harness::peer::installed;

const UNIT: &str = include_str!("../../deploy/systemd/sidegate.service");
/// Of ten, as `systemd-analyze security` counts. What is left is the network, which it is for.
const MOST_EXPOSED: f64 = 1.1;

/// What the last line that sets a key says.
fn value(key: &str) -> &'static str {
    let mut values = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.next_back().unwrap_or_else(|| panic!("no {key}"))
}

/// The unit with a program that exists here, judged by `systemd-analyze`: whether it is content, and
/// what it said.
fn analyzed(arguments: &[&str], unit: &str) -> Option<(bool, String)> {
    let analyze = installed("systemd-analyze")?;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidegate.service");
    let program = env!("CARGO_BIN_EXE_sidegate");
    fs::write(&file, unit.replace("/usr/local/bin/sidegate", program)).unwrap();
    let mut command = Command::new(analyze);
    let output = command.args(arguments).arg(&file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Some((output.status.success(), said))
}

fn exposure(unit: &str) -> Option<f64> {
    let (_, said) = analyzed(&["security", "--offline=yes", "--no-pager"], unit)?;
    let level = said.split_once("exposure level for sidegate.service: ");
    let (_, rest) = level.unwrap_or_else(|| panic!("{said}"));
    Some(rest.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn systemd_understands_the_unit_without_a_complaint() {
    let verify = ["verify", "--recursive-errors=no", "--man=no"];
    let Some((content, said)) = analyzed(&verify, UNIT) else {
        return;
    };
    assert!(content && !said.contains("sidegate.service:"), "{said}");
    let wrong = UNIT.replace("PrivateTmp=yes", "PrivateTemp=yes");
    let (content, said) = analyzed(&verify, &wrong).unwrap();
    assert!(!content && said.contains("PrivateTemp"), "{said}");
}

#[test]
fn systemd_finds_next_to_nothing_left_to_take_from_the_unit() {
    let Some(level) = exposure(UNIT) else { return };
    println!("exposure level {level} of 10");
    assert!(level <= MOST_EXPOSED, "{level}");
    let softer = UNIT.replace("PrivateUsers=yes\n", "");
    assert!(exposure(&softer).unwrap() > MOST_EXPOSED);
}

#[test]
fn the_unit_waits_for_the_drain_and_allows_every_connection() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sidegate.toml");
    let (settings, _) = Settings::load(&folder, &Overrides::default()).unwrap();
    let seconds = value("TimeoutStopSec").trim_end_matches('s').parse();
    let stop = Duration::from_secs(seconds.unwrap());
    let ours = settings.shutdown.delay + settings.shutdown.drain;
    assert!(stop >= ours + Duration::from_secs(2), "{stop:?}");
    let files: usize = value("LimitNOFILE").parse().unwrap();
    assert!(files >= 2 * settings.limits.connections + 64, "{files}");
}
