//! Files that a container gets from outside: what a change of them does depends on how they are
//! mounted, and the gate either acts or says that it cannot.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sidegate::lab::SigningKey;
use sidegate::model::Algorithm;
use tokio::time::Instant;

use crate::harness::docker::{Docked, image, share};
use crate::harness::{eventually, eventually_so};

/// A key that the world does not know, its document, and a token that it signed.
fn newcomer(docked: &Docked, kid: &str) -> (String, String) {
    let key = SigningKey::generate(Algorithm::Es256, Some(kid)).unwrap();
    let token = docked.world.token().sign(&key).unwrap();
    (SigningKey::jwks(&[&key]).unwrap(), token)
}

/// A gate that finds its keys in `/keys`, which is a mount of `keys`, a folder beside the others, or
/// of the one file in it.
async fn gate(image: &str, single: bool) -> (Docked, PathBuf) {
    let docked = Docked::start(image, |world, config| {
        let folder = world.folder.join("keys");
        fs::create_dir(&folder).unwrap();
        fs::copy(world.folder.join("jwks.json"), folder.join("jwks.json")).unwrap();
        let name = if single { "/jwks.json" } else { "" };
        let from = folder.display();
        let mount = format!("{from}{name}:/keys{name}:ro");
        let config = config.replace("\"jwks.json\"", "\"/keys/jwks.json\"");
        (vec!["--volume".to_owned(), mount], config)
    })
    .await;
    let file = docked.world.folder.join("keys/jwks.json");
    (docked, file)
}

/// Replaces `file` as careful programs do: by renaming a whole new one over it.
fn rename_over(file: &PathBuf, text: &str) {
    let next = file.with_extension("next");
    fs::write(&next, text).unwrap();
    share(&next);
    fs::rename(next, file).unwrap();
}

async fn gets_in(docked: &Docked, token: &str) -> bool {
    docked.status(Some(token)).await == 200
}

/// The new key is known, and sooner than the poll behind the events could have found it.
async fn acts_by_an_event(docked: &Docked, new: &str) {
    let began = Instant::now();
    eventually_so("the new key is known", async || gets_in(docked, new).await).await;
    let took = began.elapsed();
    println!("acted after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_file_that_is_mounted_by_itself_acts_when_it_is_rewritten() {
    let Some(image) = image() else { return };
    let (docked, file) = gate(image, true).await;
    let old = docked.world.token().sign(&docked.world.key).unwrap();
    assert!(gets_in(&docked, &old).await);
    let (document, new) = newcomer(&docked, "rewritten");
    fs::write(&file, document).unwrap();
    acts_by_an_event(&docked, &new).await;
    assert!(!gets_in(&docked, &old).await);
}

#[tokio::test]
async fn a_file_that_is_mounted_by_itself_and_replaced_is_told_of() {
    let Some(image) = image() else { return };
    let (docked, file) = gate(image, true).await;
    let old = docked.world.token().sign(&docked.world.key).unwrap();
    let (document, new) = newcomer(&docked, "renamed");
    rename_over(&file, &document);
    eventually("it is told", || {
        let log = docked.gate.log();
        log.contains("mounted by itself and was replaced") && log.contains("/keys/jwks.json")
    })
    .await;
    assert!(gets_in(&docked, &old).await, "the last good edition stays");
    assert!(!gets_in(&docked, &new).await);
}

#[tokio::test]
async fn a_file_in_a_mounted_folder_acts_when_it_is_replaced() {
    let Some(image) = image() else { return };
    let (docked, file) = gate(image, false).await;
    let old = docked.world.token().sign(&docked.world.key).unwrap();
    assert!(gets_in(&docked, &old).await);
    let (document, new) = newcomer(&docked, "renamed");
    rename_over(&file, &document);
    acts_by_an_event(&docked, &new).await;
    assert!(!gets_in(&docked, &old).await);
    assert!(!docked.gate.log().contains("mounted by itself"));
}
