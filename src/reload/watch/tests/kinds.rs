//! The ways in which a file gets another content, each of them several times in a row.

use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::Duration;

use tokio::time::timeout;

use super::super::{FileWatch, Pace};
use super::{NEVER, PATIENCE, TIMES, folder, is_silent, put, relink, swap, told, watch};

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
