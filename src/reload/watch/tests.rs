//! Every way in which a file gets another content, with real files. The poll is out of the game
//! unless a test is about it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, timeout};

use super::{FileWatch, Pace};

mod growth;
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

// === Kinds of change ===

#[tokio::test]
async fn a_file_renamed_over_is_told_each_time() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        put(&file, &time.to_string());
        assert_eq!(told(&mut watch).await, [&*file]);
    }
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn a_file_rewritten_in_place_is_told_each_time() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::write(&file, time.to_string()).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
    }
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn a_slow_writer_is_told_once_it_is_done() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    // Long enough for a writer that gets no processor for a while.
    let pace = Pace {
        quiet: Duration::from_secs(1),
        longest: PATIENCE,
        poll: NEVER,
    };
    let mut watch = FileWatch::start_at(pace, [file.clone()]);
    let writer = thread::spawn({
        let file = file.clone();
        move || {
            for chunks in ["a", "ab", "abc"] {
                fs::write(&file, chunks).unwrap();
                thread::sleep(Duration::from_millis(30));
            }
        }
    });
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "abc");
    writer.join().unwrap();
    assert!(
        timeout(Duration::from_secs(2), watch.changed())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_kubernetes_volume_is_told_as_one_change() {
    let (_folder, path) = folder();
    let editions = |edition: usize| {
        [
            ("tls.crt", format!("certificate {edition}")),
            ("tls.key", format!("key {edition}")),
            ("ca.crt", "always the same".to_owned()),
        ]
    };
    swap(&path, 0, &editions(0));
    let files = ["ca.crt", "tls.crt", "tls.key"].map(|name| path.join(name));
    let mut watch = FileWatch::start(files.clone(), NEVER);
    for edition in 1..=TIMES {
        swap(&path, edition, &editions(edition));
        assert_eq!(told(&mut watch).await, files[1..]);
    }
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn a_link_to_elsewhere_is_told_when_its_target_changes() {
    let (_folder, path) = folder();
    let (_elsewhere, elsewhere) = folder();
    let (file, target) = (path.join("cert.pem"), elsewhere.join("current.pem"));
    fs::write(&target, "0").unwrap();
    symlink(&target, &file).unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::write(&target, format!("written {time}")).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        put(&target, &format!("replaced {time}"));
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_link_behind_a_link_is_told_when_it_is_turned() {
    let (_folder, path) = folder();
    let (_elsewhere, elsewhere) = folder();
    for edition in 0..=TIMES {
        let edition_folder = path.join(format!("releases/{edition}"));
        fs::create_dir_all(&edition_folder).unwrap();
        fs::write(edition_folder.join("cert.pem"), edition.to_string()).unwrap();
    }
    // path/cert.pem -> elsewhere/current/cert.pem, elsewhere/current -> path/releases/0
    let (file, middle) = (path.join("cert.pem"), elsewhere.join("current"));
    symlink(path.join("releases/0"), &middle).unwrap();
    symlink(middle.join("cert.pem"), &file).unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        relink(&path.join(format!("releases/{time}")), &middle);
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_file_that_goes_and_comes_back_is_told_both_times() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::remove_file(&file).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        fs::write(&file, time.to_string()).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_file_that_becomes_a_directory_is_told_and_so_is_its_return() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
    fs::remove_dir(&file).unwrap();
    fs::write(&file, "0").unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
}

#[tokio::test]
async fn a_directory_that_is_made_anew_is_told() {
    let (_folder, path) = folder();
    let file = path.join("tls/cert.pem");
    fs::create_dir(path.join("tls")).unwrap();
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::remove_dir_all(path.join("tls")).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        fs::create_dir(path.join("tls")).unwrap();
        fs::write(&file, format!("made {time}")).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        fs::write(&file, format!("written {time}")).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_directory_moved_away_and_another_moved_in_is_told() {
    let (_folder, path) = folder();
    for edition in 0..=TIMES {
        let edition_folder = path.join(format!("edition_{edition}/deep"));
        fs::create_dir_all(&edition_folder).unwrap();
        fs::write(edition_folder.join("cert.pem"), edition.to_string()).unwrap();
    }
    let (live, file) = (path.join("live"), path.join("live/deep/cert.pem"));
    fs::rename(path.join("edition_0"), &live).unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::rename(&live, path.join(format!("old_{time}"))).unwrap();
        fs::rename(path.join(format!("edition_{time}")), &live).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        fs::write(&file, format!("written {time}")).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_directory_moved_away_and_back_is_told_both_times() {
    let (_folder, path) = folder();
    let (live, away, file) = (
        path.join("live"),
        path.join("away"),
        path.join("live/cert.pem"),
    );
    fs::create_dir(&live).unwrap();
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::rename(&live, &away).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        fs::rename(&away, &live).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
        fs::write(&file, time.to_string()).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn a_directory_that_appears_later_is_told() {
    let (_folder, path) = folder();
    let file = path.join("a/b/c/cert.pem");
    let mut watch = watch(&[&file]);
    fs::create_dir(path.join("a")).unwrap();
    assert!(is_silent(&mut watch).await, "there is no file yet");
    fs::create_dir_all(path.join("a/b/c")).unwrap();
    fs::write(&file, "0").unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
    fs::write(&file, "1").unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
}

#[tokio::test]
async fn a_write_through_another_name_of_the_file_is_told() {
    let (_folder, path) = folder();
    let (_elsewhere, elsewhere) = folder();
    let (file, other) = (path.join("cert.pem"), elsewhere.join("source.pem"));
    fs::write(&other, "0").unwrap();
    fs::hard_link(&other, &file).unwrap();
    let mut watch = watch(&[&file]);
    for time in 1..=TIMES {
        fs::write(&other, time.to_string()).unwrap();
        assert_eq!(told(&mut watch).await, [&*file]);
    }
}

#[tokio::test]
async fn two_names_of_one_file_are_both_told() {
    let (_folder, path) = folder();
    let (one, two) = (path.join("cert.pem"), path.join("bundle.pem"));
    fs::write(&one, "0").unwrap();
    fs::hard_link(&one, &two).unwrap();
    let mut watch = watch(&[&one, &two]);
    fs::write(&one, "1").unwrap();
    assert_eq!(told(&mut watch).await, [&*two, &*one]);
    put(&one, "2");
    assert_eq!(told(&mut watch).await, [&*one]);
    fs::write(&two, "3").unwrap();
    assert_eq!(told(&mut watch).await, [&*two]);
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
async fn what_was_read_is_what_changes_are_measured_by() {
    let (_folder, path) = folder();
    let file = path.join("cert.pem");
    fs::write(&file, "whole").unwrap();
    let mut watch = watch(&[&file]);
    // It was known whole, is read half written, and is whole again when somebody looks.
    fs::write(&file, "who").unwrap();
    assert_eq!(watch.read(&file).unwrap(), b"who");
    fs::write(&file, "whole").unwrap();
    assert_eq!(told(&mut watch).await, [&*file]);
    assert_eq!(watch.read(&file).unwrap(), b"whole");
    assert!(is_silent(&mut watch).await);
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
