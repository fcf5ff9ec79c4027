//! A directory that is watched as a whole: what is put in, changed and taken out.

use std::fs;
use std::os::unix::fs::symlink;

use super::{TIMES, folder, is_silent, put, swap, told, watch};

#[tokio::test]
async fn what_is_put_in_changed_and_taken_out_is_told() {
    let (_folder, path) = folder();
    let mut watch = watch(&[&path]);
    for time in 0..TIMES {
        let file = path.join(format!("{time}.pem"));
        fs::write(&file, "first").unwrap();
        assert_eq!(told(&mut watch).await, [&*path], "put in");
        fs::write(&file, "other").unwrap();
        assert_eq!(told(&mut watch).await, [&*path], "rewritten");
        put(&file, "third");
        assert_eq!(told(&mut watch).await, [&*path], "replaced");
        fs::rename(&file, path.join("renamed.pem")).unwrap();
        assert_eq!(told(&mut watch).await, [&*path], "renamed");
        fs::remove_file(path.join("renamed.pem")).unwrap();
        assert_eq!(told(&mut watch).await, [&*path], "taken out");
    }
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn keys_among_thousands_of_other_files_are_told() {
    let (_folder, path) = folder();
    for number in 0..1_100 {
        fs::write(path.join(format!("{number}.txt")), "a").unwrap();
    }
    let file = path.join("z.pem");
    fs::write(&file, "0").unwrap();
    let mut watch = watch(&[&path]);
    for time in 1..=TIMES {
        put(&file, &time.to_string());
        assert_eq!(told(&mut watch).await, [&*path]);
    }
}

#[tokio::test]
async fn what_is_no_key_and_what_stays_the_same_is_not_told() {
    let (_folder, path) = folder();
    fs::write(path.join("a.pem"), "a").unwrap();
    let mut watch = watch(&[&path]);
    fs::write(path.join(".hidden.pem"), "b").unwrap();
    fs::write(path.join("readme.txt"), "b").unwrap();
    put(&path.join("a.pem"), "a");
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn a_mounted_volume_is_told_when_it_is_swapped_and_when_keys_come_and_go() {
    let (_folder, path) = folder();
    swap(&path, 0, &[("a.pem", "0".to_owned())]);
    let mut watch = watch(&[&path]);
    for edition in 1..=TIMES {
        swap(&path, edition, &[("a.pem", edition.to_string())]);
        assert_eq!(told(&mut watch).await, [&*path]);
    }
    symlink("..data/b.pem", path.join("b.pem")).unwrap();
    assert_eq!(
        told(&mut watch).await,
        [&*path],
        "a name that leads nowhere yet"
    );
    swap(
        &path,
        9,
        &[("a.pem", "9".to_owned()), ("b.pem", "9".to_owned())],
    );
    assert_eq!(told(&mut watch).await, [&*path]);
    fs::remove_file(path.join("b.pem")).unwrap();
    assert_eq!(told(&mut watch).await, [&*path]);
    assert!(is_silent(&mut watch).await);
}

#[tokio::test]
async fn a_link_in_it_is_told_when_what_it_leads_to_changes() {
    let (_folder, path) = folder();
    let (_elsewhere, elsewhere) = folder();
    let target = elsewhere.join("current.pem");
    fs::write(&target, "0").unwrap();
    symlink(&target, path.join("a.pem")).unwrap();
    let mut watch = watch(&[&path]);
    for time in 1..=TIMES {
        put(&target, &time.to_string());
        assert_eq!(told(&mut watch).await, [&*path]);
    }
}

#[tokio::test]
async fn a_directory_that_appears_is_told_and_so_is_one_that_goes() {
    let (_folder, path) = folder();
    let keys = path.join("keys");
    let mut watch = watch(&[&keys]);
    for _ in 0..TIMES {
        fs::create_dir(path.join("beside")).unwrap();
        fs::write(path.join("beside/a.pem"), "a").unwrap();
        fs::rename(path.join("beside"), &keys).unwrap();
        assert_eq!(told(&mut watch).await, [&*keys]);
        fs::remove_dir_all(&keys).unwrap();
        assert_eq!(told(&mut watch).await, [&*keys]);
    }
    assert!(is_silent(&mut watch).await);
}
