//! What a task inherits and what it leaves behind.

use super::*;
use crate::lab::World;
use crate::settings::{Overrides, Settings};

/// An issuer whose keys are fetched where nobody is.
fn issuer(world: &World) -> IssuerSettings {
    let config = world.config("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1");
    let fetched = "{ url = \"https://127.0.0.1:9/jwks.json\" }";
    let config = config.replacen("{ file = \"jwks.json\" }", fetched, 1);
    let name = world.folder.join("sidegate.toml");
    let name = name.to_str().unwrap();
    let (settings, _) = Settings::from_text(&config, name, &Overrides::default()).unwrap();
    settings.issuers.into_iter().next().unwrap()
}

fn around() -> Surroundings {
    let metrics = Arc::new(Metrics::new().unwrap());
    Surroundings {
        reloads: Reloads::new(Arc::clone(&metrics)),
        metrics,
        clock: Timestamp::now,
        dice: || Roll::new(0.5),
    }
}

/// When the keys end that were taken over, by the clock of who took them over.
fn ends(remote: &Remote) -> Option<Duration> {
    match &remote.waiting {
        Some(Task::Document(document)) => document.ends(),
        Some(Task::ByKid(_)) | None => panic!("no document is waiting"),
    }
}

#[tokio::test(start_paused = true)]
async fn another_configuration_gives_the_same_keys_no_longer_life() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::create(folder.path(), Timestamp::now()).unwrap();
    let issuer = issuer(&world);
    let around = around();
    let mut first = Remote::prepare(&issuer, None, &around).unwrap();
    assert_eq!(ends(&first), None);
    first.reader = live(Some(KeyRing::of_pems([], &issuer.algorithms))).1;
    first
        .asking
        .ended(&asking::Wanted::Whole, asking::Ended::Answered);

    let day = Duration::from_secs(24 * 3600);
    let hour = Duration::from_secs(3600);
    tokio::time::advance(hour).await;
    let second = Remote::prepare(&issuer, Some(&first), &around).unwrap();
    assert_eq!(ends(&second), Some(day - hour));
    tokio::time::advance(hour).await;
    let third = Remote::prepare(&issuer, Some(&second), &around).unwrap();
    assert_eq!(ends(&third), Some(day - 2 * hour), "nor does the next");
    tokio::time::advance(day).await;
    let last = Remote::prepare(&issuer, Some(&third), &around).unwrap();
    assert_eq!(ends(&last), Some(Duration::ZERO));
}

/// What no fetch survives.
fn broken_dice() -> Roll {
    panic!("by the test")
}

#[tokio::test]
async fn keys_end_where_their_fetching_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::create(folder.path(), Timestamp::now()).unwrap();
    let issuer = issuer(&world);
    let around = around();
    let mut first = Remote::prepare(&issuer, None, &around).unwrap();
    first.reader = live(Some(KeyRing::of_pems([], &issuer.algorithms))).1;
    first
        .asking
        .ended(&asking::Wanted::Whole, asking::Ended::Answered);
    let mut second = Remote::prepare(&issuer, Some(&first), &around).unwrap();
    let Some(Task::Document(document)) = &mut second.waiting else {
        panic!("no document is waiting")
    };
    document.load_dice(broken_dice);
    let mut reader = second.reader();
    assert!(reader.current().value.is_some() && !second.is_over());
    second.begin();
    let patience = Duration::from_secs(30);
    assert!(
        tokio::time::timeout(patience, reader.changed())
            .await
            .unwrap()
    );
    assert!(reader.current().value.is_none(), "nobody would end them");
    assert!(second.is_over(), "another configuration begins anew");
    let why = around.reloads.shown()["keys/main"]["stale"]["why"].to_string();
    assert!(why.contains("by a fault in the gate"), "{why}");
    assert_eq!(second.asking().ask("any").await, Asked::Unavailable);
}

#[tokio::test]
async fn whoever_waits_for_a_fetch_hears_that_there_will_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::create(folder.path(), Timestamp::now()).unwrap();
    let mut issuer = issuer(&world);
    if let KeySource::Remote(keys) = &mut issuer.keys {
        keys.pace.patience = Duration::from_secs(3_600);
    }
    let remote = Remote::prepare(&issuer, None, &around()).unwrap();
    let asking = remote.asking();
    let waiting = tokio::spawn(async move { asking.ask("kid").await });
    let mut wishes = remote.asking.wishes();
    drop(wishes.wait_for(|state| !state.wanted.is_empty()).await);
    // As a new configuration does it.
    drop(remote);
    let patience = Duration::from_secs(30);
    let asked = tokio::time::timeout(patience, waiting).await;
    assert_eq!(asked.unwrap().unwrap(), Asked::Unavailable);
}

#[tokio::test]
async fn a_fetch_that_had_begun_says_nothing_of_a_key_for_long() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::create(folder.path(), Timestamp::now()).unwrap();
    let issuer = issuer(&world);
    let remote = Remote::prepare(&issuer, None, &around()).unwrap();
    let whole = asking::Wanted::Whole;
    for (begun, fetches) in [(true, true), (false, false)] {
        if begun {
            remote.asking.begins(&whole);
        }
        let kid = format!("begun: {begun}");
        let (asking, name) = (remote.asking(), kid.clone());
        let waiting = tokio::spawn(async move { asking.ask(&name).await });
        let mut wishes = remote.asking.wishes();
        drop(wishes.wait_for(|state| !state.wanted.is_empty()).await);
        // The request waits for it once all that can go on has gone on.
        tokio::task::yield_now().await;
        remote.asking.ended(&whole, asking::Ended::Answered);
        assert_eq!(waiting.await.unwrap(), Asked::Unknown);
        let asking = remote.asking();
        assert_eq!(!asking.is_remembered(&kid), fetches, "{kid}");
    }
}
