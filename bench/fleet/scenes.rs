//! The scenes of the page: worlds, and in each of them the rules of the gate beside other rules.

use std::time::Duration;

use sidegate::lab::fleet::{Fleet, Jitter, Manner, Rotation, Server, Start, UnknownKid};
use sidegate::settings::Pace;

/// One table and one plot.
pub(crate) struct Scene {
    /// What its marks and its plot are called.
    pub(crate) name: &'static str,
    /// What the plot shows.
    pub(crate) title: &'static str,
    /// The second that it is about; peaks count from there.
    pub(crate) from: usize,
    /// What is compared.
    pub(crate) runs: Vec<Run>,
}

/// One line.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) fleet: Fleet,
    pub(crate) manner: Manner,
}

const GATES: usize = 10_000;
/// What Linux holds for a server that asks for as much as it may (`net.core.somaxconn`).
const BACKLOG: f64 = 4_096.0;

type Line = (&'static str, fn(&mut Manner));

const OURS: Line = ("sidegate", |_| ());
const NO_JITTER: Line = ("without jitter", |manner| manner.jitter = Jitter::None);
const FIXED: Line = ("again after 1 s, always", |manner| {
    manner.jitter = Jitter::None;
    manner.pace.first_retry = seconds(1);
    manner.pace.last_retry = seconds(1);
    manner.pace.last_retry_without_keys = seconds(1);
});
const CEILING: Line = ("back-off up to 30 s", |manner| {
    manner.pace.last_retry_without_keys = seconds(30);
});
const SPREAD_30: Line = ("start spread over 30 s", |manner| {
    manner.pace.start_spread = seconds(30);
});
const SPREAD_60: Line = ("start spread over 60 s", |manner| {
    manner.pace.start_spread = seconds(60);
});
const ANYWAY: Line = ("unknown kid: no back-off", |manner| {
    manner.unknown_kid = UnknownKid::FetchesAnyway;
});
const NO_COOLDOWN: Line = ("nor a cooldown", |manner| {
    manner.unknown_kid = UnknownKid::FetchesAnyway;
    manner.pace.cooldown = Duration::ZERO;
});
const WAITS: Line = ("unknown kid: no fetch", |manner| {
    manner.unknown_kid = UnknownKid::Waits;
});

/// All of them, in the order of the page.
pub(crate) fn scenes() -> Vec<Scene> {
    let starts = [OURS, CEILING, SPREAD_30, SPREAD_60, NO_JITTER, FIXED];
    let together = [OURS, NO_JITTER];
    let rotations = [OURS, ANYWAY, NO_COOLDOWN, WAITS];
    vec![
        scene("start-200", "Start, 200/s", 0, start(200.0), &starts),
        scene("start-500", "Start, 500/s", 0, start(500.0), &starts),
        scene("start-2000", "Start, 2,000/s", 0, start(2_000.0), &starts),
        scene(
            "down",
            "Start while the server is away, 200/s",
            1_800,
            down(),
            &[OURS, CEILING],
        ),
        scene(
            "steady-60",
            "max-age=60",
            1_800,
            steady(Some(seconds(60))),
            &together,
        ),
        scene("steady", "No max-age", 1_800, steady(None), &together),
        scene(
            "rotation-busy",
            "Rotation, 1 request/s, 500/s",
            10,
            rotation(500.0, 10, 1.0),
            &rotations,
        ),
        scene(
            "rotation-fast",
            "Rotation, 1 request/s, 2,000/s",
            10,
            rotation(2_000.0, 10, 1.0),
            &rotations,
        ),
        scene(
            "rotation-quiet",
            "Rotation, 0.01 requests/s",
            10,
            rotation(500.0, 10, 0.01),
            &[OURS, WAITS],
        ),
        scene(
            "rotation-late",
            "Published 30 s late, 2,000/s",
            10,
            rotation(2_000.0, 40, 1.0),
            &[OURS, WAITS],
        ),
        scene("rotation-announced", "Announced", 710, announced(), &[OURS]),
        scene(
            "away",
            "Away for 30 minutes, 500/s",
            2_400,
            away(),
            &[OURS, NO_JITTER, FIXED],
        ),
    ]
}

fn scene(
    name: &'static str,
    title: &'static str,
    from: usize,
    fleet: Fleet,
    lines: &[Line],
) -> Scene {
    let run = |(name, change): &Line| {
        let mut manner = Manner {
            pace: Pace::default(),
            jitter: Jitter::Dice,
            unknown_kid: UnknownKid::Fetches,
        };
        change(&mut manner);
        Run {
            name,
            fleet,
            manner,
        }
    };
    let runs = lines.iter().map(run).collect();
    Scene {
        name,
        title,
        from,
        runs,
    }
}

fn start(capacity: f64) -> Fleet {
    Fleet {
        gates: GATES,
        server: Server {
            capacity,
            backlog: BACKLOG,
            fresh: None,
        },
        start: Start::Together,
        rotation: None,
        away: None,
        length: seconds(600),
    }
}

fn down() -> Fleet {
    Fleet {
        away: Some((Duration::ZERO, seconds(1_800))),
        length: seconds(2_400),
        ..start(200.0)
    }
}

fn steady(fresh: Option<Duration>) -> Fleet {
    let mut fleet = start(2_000.0);
    fleet.server.fresh = fresh;
    fleet.length = seconds(3_600);
    fleet
}

fn rotation(capacity: f64, published: u64, traffic: f64) -> Fleet {
    Fleet {
        start: Start::Before,
        rotation: Some(Rotation {
            signs: seconds(10),
            published: seconds(published),
            traffic,
        }),
        length: seconds(650),
        ..start(capacity)
    }
}

fn announced() -> Fleet {
    Fleet {
        rotation: Some(Rotation {
            signs: seconds(710),
            published: seconds(10),
            traffic: 1.0,
        }),
        length: seconds(900),
        ..rotation(500.0, 10, 1.0)
    }
}

fn away() -> Fleet {
    Fleet {
        start: Start::Before,
        away: Some((seconds(600), seconds(2_400))),
        length: seconds(3_000),
        ..start(500.0)
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
