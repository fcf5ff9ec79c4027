//! What needs a process of its own: what a watch costs after thousands of changes, what it does when
//! the system gives it nothing, and a mount of a single file.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::{FileWatch, Pace};
use super::{NEVER, folder, put, swap, told};

const CHANGES: usize = 2000;
const ALONE: &str = "SIDEGATE_TEST_ALONE";

/// Runs the calling test once more, alone in a process. True in that process.
fn is_alone(test: &str) -> bool {
    is_alone_in(&mut Command::new(std::env::current_exe().unwrap()), test)
}

fn is_alone_in(process: &mut Command, test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = process
        .args(["--exact", "--nocapture"])
        .arg(format!("reload::watch::tests::alone::{test}"))
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("1 passed"), "it did not run: {said}");
    false
}

/// `make test` shows these lines last.
fn skip(test: &str, why: &str) {
    let summary = concat!(env!("CARGO_MANIFEST_DIR"), "/target/skipped-tests.txt");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(summary)
        .unwrap();
    writeln!(file, "SKIPPED: {test}: {why}").unwrap();
}

#[derive(Debug, Eq, PartialEq)]
struct Cost {
    descriptors: usize,
    threads: usize,
    watches: usize,
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).unwrap().count()
}

fn cost() -> Cost {
    let watches = fs::read_dir("/proc/self/fdinfo").unwrap().map(|entry| {
        let info = fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
        info.lines()
            .filter(|line| line.starts_with("inotify wd"))
            .count()
    });
    Cost {
        descriptors: entries("/proc/self/fd"),
        threads: entries("/proc/self/task"),
        watches: watches.sum(),
    }
}

fn memory_in_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn thousands_of_changes_cost_no_more_than_one() {
    if !is_alone("thousands_of_changes_cost_no_more_than_one") {
        return;
    }
    let (_folder, path) = folder();
    let (plain, volume) = (path.join("plain.pem"), path.join("volume"));
    fs::write(&plain, "0").unwrap();
    swap(&volume, 0, &[("tls.crt", "0".to_owned())]);
    let files = [plain.clone(), volume.join("tls.crt")];
    let pace = Pace {
        quiet: Duration::from_millis(1),
        longest: Duration::from_millis(1),
        poll: NEVER,
    };
    let mut watch = FileWatch::start_at(pace, files.clone());
    let mut first = None;
    for change in 1..=CHANGES {
        match change % 4 {
            0 => put(&plain, &change.to_string()),
            1 => fs::write(&plain, change.to_string()).unwrap(),
            2 => swap(&volume, change, &[("tls.crt", change.to_string())]),
            _ => {
                watch.replace([volume.join("ca.crt")]);
                watch.replace(files.clone());
            }
        }
        if change % 4 != 3 {
            drop(
                tokio::time::timeout(super::PATIENCE, watch.changed())
                    .await
                    .unwrap(),
            );
        }
        if change == CHANGES / 4 {
            first = Some((cost(), memory_in_kib()));
        }
    }
    let (first, memory) = first.unwrap();
    let grown = memory_in_kib().saturating_sub(memory);
    println!("{first:?}, {memory} KiB, {grown} KiB more at the end");
    assert_eq!(cost(), first);
    assert!(grown < 2048, "{grown} KiB more than after a quarter");
    drop(watch);
}

#[tokio::test]
async fn without_a_watcher_the_poll_serves_until_there_is_one() {
    if !is_alone("without_a_watcher_the_poll_serves_until_there_is_one") {
        return;
    }
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(100),
            ..before
        },
    )
    .unwrap();
    let hoard: Vec<fs::File> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    let mut watch = FileWatch::start([file.clone()], Duration::from_millis(200));
    drop(hoard);
    assert_eq!(cost().watches, 0);

    assert_eq!(told(&mut watch).await, [&*file], "it can be read now");
    put(&file, "1");
    assert_eq!(told(&mut watch).await, [&*file]);
    assert!(
        cost().watches > 0,
        "a watcher is made as soon as one can be"
    );
}

#[tokio::test]
async fn a_mounted_file_is_told_when_rewritten_and_pinned_when_replaced() {
    let test = "a_mounted_file_is_told_when_rewritten_and_pinned_when_replaced";
    // Mounts need a namespace, which not every machine gives to everybody. There, only the test with
    // a link through `/proc` remains.
    let mut unshare = Command::new("unshare");
    let is_possible = unshare
        .args(["--map-root-user", "--mount", "true"])
        .status();
    if !is_possible.is_ok_and(|status| status.success()) {
        return skip(test, "mount namespaces are not allowed here");
    }
    let mut process = Command::new("unshare");
    process.args(["--map-root-user", "--mount"]);
    process.arg(std::env::current_exe().unwrap());
    if !is_alone_in(&mut process, test) {
        return;
    }
    let (_folder, path) = folder();
    let (_elsewhere, elsewhere) = folder();
    let (file, source) = (path.join("cert.pem"), elsewhere.join("source.pem"));
    fs::write(&source, "0").unwrap();
    fs::write(&file, "the mount's place").unwrap();
    let mount = Command::new("mount")
        .arg("--bind")
        .args([&source, &file])
        .status();
    assert!(mount.unwrap().success());
    let mut watch = FileWatch::start([file.clone()], NEVER);

    fs::write(&source, "in place").unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(fs::read(&file).unwrap(), b"in place");
    assert!(watch.pinned().is_empty());

    put(&source, "replaced");
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(fs::read(&file).unwrap(), b"in place");
    assert_eq!(watch.pinned(), [&*file]);
    let unmount = Command::new("umount").arg(&file).status();
    assert!(unmount.unwrap().success());
}
