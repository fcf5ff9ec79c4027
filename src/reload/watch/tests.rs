//! What is told and when, with real files. The poll is out of the game unless a test is about it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::FileWatch;

mod alone;
mod directory;
mod kinds;
mod mixed;

/// For a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// In which nothing must be told.
const SILENCE: Duration = Duration::from_millis(700);
const NEVER: Duration = Duration::from_hours(1);

/// More than once, so that a watch that does not survive the first is found out.
const TIMES: usize = 3;

fn watch(files: &[&Path]) -> FileWatch {
    FileWatch::start(files.iter().map(|file| (*file).to_owned()), NEVER)
}

/// What is told next. Shows how long it took with `--nocapture`.
async fn told(watch: &mut FileWatch) -> Vec<PathBuf> {
    let start = Instant::now();
    let told = timeout(PATIENCE, watch.changed())
        .await
        .expect("the change was not noticed");
    let test = thread::current().name().unwrap_or_default().to_owned();
    println!("latency {} ms: {test}", start.elapsed().as_millis());
    told
}

async fn is_silent(watch: &mut FileWatch) -> bool {
    timeout(SILENCE, watch.changed()).await.is_err()
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_owned();
    (folder, path)
}

/// Write beside, rename over: what careful writers do.
fn put(path: &Path, content: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, content).unwrap();
    fs::rename(beside, path).unwrap();
}

fn relink(target: &Path, link: &Path) {
    let beside = link.with_file_name("beside");
    symlink(target, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}

/// What kubelet does: a new folder, `..data` renamed to it, the old folder removed.
fn swap(volume: &Path, edition: usize, files: &[(&str, String)]) {
    let folder = format!("..edition_{edition}");
    fs::create_dir_all(volume.join(&folder)).unwrap();
    for (name, content) in files {
        fs::write(volume.join(&folder).join(name), content).unwrap();
    }
    let old = fs::read_link(volume.join("..data"));
    symlink(&folder, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for (name, _) in files {
        if old.is_err() {
            symlink(Path::new("..data").join(name), volume.join(name)).unwrap();
        }
    }
    if let Ok(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}

// === What is told ===

#[tokio::test]
async fn the_same_content_is_not_told() {
    let (_folder, path) = folder();
    let (file, other) = (path.join("cert.pem"), path.join("other.pem"));
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    put(&file, "0");
    fs::write(&file, "0").unwrap();
    fs::write(&other, "1").unwrap();
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn reading_the_file_does_not_ring() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let watch = watch(&[&file]);
    for _ in 0..10 {
        fs::read(&file).unwrap();
        fs::write(path.join("other.pem"), "not watched").unwrap();
    }
    let rung = timeout(SILENCE, watch.alarm.rung()).await;
    assert!(rung.is_err(), "a look would cause the next look, for ever");
}

#[tokio::test]
async fn a_file_too_large_to_be_meant_is_told_once() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    let large = fs::File::create(&file).unwrap();
    large.set_len(super::content::LARGEST + 1).unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
    large.set_len(super::content::LARGEST + 2).unwrap();
    assert!(is_silent(&mut watch).await);
    large.set_len(super::content::LARGEST).unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
}

#[tokio::test]
async fn a_file_that_lost_its_name_behind_a_mount_is_told_as_pinned() {
    let (_folder, path) = folder();
    let (file, source) = (path.join("cert.pem"), path.join("source.pem"));
    fs::write(&source, "0").unwrap();
    // As a mount does, this link leads to the file itself, whatever becomes of its name.
    let open = fs::File::open(&source).unwrap();
    let held = std::os::fd::AsRawFd::as_raw_fd(&open);
    symlink(format!("/proc/{}/fd/{held}", std::process::id()), &file).unwrap();
    let mut watch = watch(&[&file]);
    assert_eq!(watch.pinned(), Vec::<PathBuf>::new());

    fs::write(&source, "in place").unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(watch.pinned(), Vec::<PathBuf>::new());

    put(&source, "replaced");
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(watch.pinned(), [&*file]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "in place");

    put(&file, "mounted anew");
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(watch.pinned(), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_was_written_while_it_was_read_is_told_again() {
    let (_folder, path) = folder();
    let (file, other) = (path.join("cert.pem"), path.join("keys"));
    fs::create_dir(&other).unwrap();
    fs::write(&file, "whole").unwrap();
    fs::write(other.join("a.pem"), "whole").unwrap();
    let mut watch = watch(&[&file, &other]);
    for half_read in [&file, &other.join("a.pem")] {
        // It was seen whole, is read half written, and is whole again when somebody looks.
        fs::write(half_read, "who").unwrap();
        fs::write(half_read, "whole").unwrap();
        watch.were_read();
        let told = told(&mut watch).await;
        assert!(told == [&*file] || told == [&*other], "{told:?}");
        watch.were_read();
        assert!(is_silent(&mut watch).await);
    }
}

// === When it is told ===

#[tokio::test]
async fn a_change_without_any_event_is_found_by_the_poll() {
    // It has another content every time, and nothing tells of it.
    let file = PathBuf::from("/proc/uptime");
    let mut watch = FileWatch::start([file.clone()], Duration::from_millis(200));
    for _ in 0..TIMES {
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_waiter_that_gives_up_loses_nothing() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::write(&file, time.to_string()).unwrap();
        let start = Instant::now();
        // Shorter than the quiet it waits for: the event is heard in one call, and told in another.
        let told = loop {
            if let Ok(told) = timeout(Duration::from_millis(7), watch.changed()).await {
                break told;
            }
            assert!(start.elapsed() < PATIENCE, "the change was lost");
        };
        assert_eq!(told, [&*file]);
    }
}

#[tokio::test]
async fn another_set_keeps_what_was_not_told_yet() {
    let (_folder, path) = folder();
    let files = ["a", "b", "c"].map(|name| path.join(name));
    for file in &files {
        fs::write(file, "0").unwrap();
    }
    let mut watch = FileWatch::start(files[..2].to_vec(), NEVER);
    for file in &files {
        fs::write(file, "1").unwrap();
    }
    watch.replace(files[1..].to_vec());
    assert_eq!(
        told(&mut watch).await,
        [&*files[1]],
        "a is gone, c is known"
    );
    fs::write(&files[0], "2").unwrap();
    assert!(is_silent(&mut watch).await);
    fs::write(&files[2], "2").unwrap();
    assert_eq!(told(&mut watch).await, [&*files[2]]);
}

#[tokio::test]
async fn a_watch_of_nothing_waits_and_may_get_files_later() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    let mut watch = watch(&[]);
    assert!(is_silent(&mut watch).await);
    watch.replace([file.clone(), PathBuf::new()]);
    fs::write(&file, "0").unwrap();
    assert_eq!(told(&mut watch).await, [file]);
}
