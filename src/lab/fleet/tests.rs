//! What the rules of fetching promise to a fleet and to its key server, in numbers. Two thousand
//! gates and a fifth of the server, so that a debug build takes seconds; virtual time only.

use std::time::Duration;

use super::{Fleet, Jitter, Manner, Rotation, Server, Start, UnknownKid};
use crate::settings::Pace;

const GATES: usize = 2_000;
const SEED: u64 = 7;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Stands for 10,000 gates and a server of five times the capacity.
const fn fleet(capacity: f64) -> Fleet {
    Fleet {
        gates: GATES,
        server: Server {
            capacity,
            backlog: 819.0,
            fresh: None,
        },
        start: Start::Together,
        rotation: None,
        away: None,
        length: s(600),
    }
}

fn ours() -> Manner {
    Manner {
        pace: Pace::default(),
        jitter: Jitter::Dice,
        unknown_kid: UnknownKid::Fetches,
    }
}

fn naive() -> Manner {
    let mut manner = ours();
    manner.jitter = Jitter::None;
    manner.pace.first_retry = s(1);
    manner.pace.last_retry = s(1);
    manner.pace.last_retry_without_keys = s(1);
    manner
}

fn rotation() -> Fleet {
    Fleet {
        start: Start::Before,
        rotation: Some(Rotation {
            signs: s(10),
            published: s(10),
            traffic: 1.0,
        }),
        length: s(300),
        ..fleet(100.0)
    }
}

#[test]
fn a_run_is_the_same_each_time() {
    assert_eq!(fleet(40.0).run(ours(), 1), fleet(40.0).run(ours(), 1));
    assert_ne!(fleet(40.0).run(ours(), 1), fleet(40.0).run(ours(), 2));
}

#[test]
fn a_start_of_all_does_not_keep_a_slow_server_down() {
    let course = fleet(40.0).run(ours(), SEED);
    assert_eq!(course.gates_supplied(), GATES);
    assert!(course.supplied_after(100).unwrap() < s(420), "{course:?}");
}

#[test]
fn trying_again_each_second_keeps_it_down() {
    let course = fleet(40.0).run(naive(), SEED);
    assert!(course.gates_supplied() < GATES / 2, "{course:?}");
}

#[test]
fn a_ceiling_of_half_a_minute_keeps_it_down() {
    let mut manner = ours();
    manner.pace.last_retry_without_keys = s(30);
    let course = fleet(40.0).run(manner, SEED);
    assert!(course.gates_supplied() < GATES / 2, "{course:?}");
}

#[test]
fn gates_that_started_together_soon_act_apart() {
    let mut fleet = fleet(400.0);
    fleet.server.fresh = Some(s(60));
    fleet.length = s(1_200);
    let course = fleet.run(ours(), SEED);
    assert!(course.peak(600) < 80, "{}", course.peak(600));
    let mut together = ours();
    together.jitter = Jitter::None;
    let course = fleet.run(together, SEED);
    assert!(course.peak(600) > 300, "{}", course.peak(600));
}

#[test]
fn the_end_of_an_outage_is_no_rush() {
    let fleet = Fleet {
        start: Start::Before,
        away: Some((s(60), s(1_860))),
        length: s(2_400),
        ..fleet(100.0)
    };
    let course = fleet.run(ours(), SEED);
    assert!(course.peak(1_860) < 40, "{}", course.peak(1_860));
    assert!(course.supplied_after(100).unwrap() <= s(301));
    let each = course.fetches() / 2_000;
    assert!(each < 40, "{each}");
}

#[test]
fn a_busy_fleet_soon_knows_a_key_that_nobody_announced() {
    let fast = Fleet {
        server: Server {
            capacity: 400.0,
            ..rotation().server
        },
        ..rotation()
    };
    let course = fast.run(ours(), SEED);
    assert!(course.supplied_after(99).unwrap() < s(30), "{course:?}");
    let mut waits = ours();
    waits.unknown_kid = UnknownKid::Waits;
    let course = fast.run(waits, SEED);
    assert!(course.supplied_after(50).unwrap() > s(200), "{course:?}");
}

#[test]
fn unknown_keys_do_not_undo_the_back_off() {
    let course = rotation().run(ours(), SEED);
    assert!(course.supplied_after(99).unwrap() < s(200), "{course:?}");
    let mut anyway = ours();
    anyway.unknown_kid = UnknownKid::FetchesAnyway;
    let course = rotation().run(anyway, SEED);
    assert!(course.gates_supplied() < GATES / 2, "{course:?}");
}
