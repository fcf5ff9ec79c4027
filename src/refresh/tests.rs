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
