//! A fleet of gates and the one server that all of them fetch their keys from: the very [`Schedule`]
//! and [`Bucket`] that run in the gate are driven through hours of ten thousand in a moment.
//!
//! Pure: no clock, no socket, and the same seed gives the same course. The server is a queue. It
//! takes one fetch after the other, each for the same time, also those whose gate has given up, for
//! it learns of that only when it answers. What comes out chose the defaults of [`Pace`];
//! `make fleet` writes it down. It must never know another rule than the gate does.

mod course;
mod dice;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

pub use self::course::Course;

use self::dice::Dice;
use crate::refresh::{Bucket, Roll, Schedule};
use crate::settings::Pace;

/// How soon a machine without a server says so.
const REFUSAL: Duration = Duration::from_millis(1);
/// No pause between two requests is longer.
const LONGEST_PAUSE: f64 = 86_400.0;

/// The world of a run. Times count from its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// How many gates there are.
    pub gates: usize,
    /// Where their keys come from.
    pub server: Server,
    /// How the gates begin.
    pub start: Start,
    /// When the issuer begins to sign with another key.
    pub rotation: Option<Rotation>,
    /// When the server is away, from and to.
    pub away: Option<(Duration, Duration)>,
    /// How long is looked at.
    pub length: Duration,
}

/// A key server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Fetches that it can answer in a second.
    pub capacity: f64,
    /// Connections that wait for it at most; further ones get no answer at all.
    pub backlog: f64,
    /// How long it says that its answer is fresh.
    pub fresh: Option<Duration>,
}

/// How the gates begin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// All in the same moment, without keys.
    Together,
    /// Long ago: with keys, and each at its own point between two fetches.
    Before,
}

/// Another key.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// From here on all tokens are signed with it.
    pub signs: Duration,
    /// From here on the server hands it out.
    pub published: Duration,
    /// Requests a second at each gate.
    pub traffic: f64,
}

/// What a gate does: the rules of this repository, or what they are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// When it fetches.
    pub pace: Pace,
    /// Whether it throws dice.
    pub jitter: Jitter,
    /// What an unknown `kid` does.
    pub unknown_kid: UnknownKid,
}

/// Whether gates act apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Jitter {
    /// Each throws its own dice.
    Dice,
    /// All wait as long as may be.
    None,
}

/// What a gate does about a token that names a key which it lacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnknownKid {
    /// Fetches, as the cooldown and the back-off allow.
    Fetches,
    /// Fetches as the cooldown allows, also while fetches fail.
    FetchesAnyway,
    /// Refuses, and waits for the next fetch that is due.
    Waits,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    /// A fetch is due. Belongs to a turn: another fetch since then has made it void.
    Due { gate: usize, turn: u64 },
    /// A fetch is over.
    Over { gate: usize, ending: Ending },
    /// A request comes whose token needs the newest key.
    Asks { gate: usize },
}

/// How a fetch ends: with the number of the newest key, or with nothing.
type Ending = Option<u32>;

#[derive(Debug)]
struct Gate {
    schedule: Schedule,
    bucket: Bucket,
    turn: u64,
    /// The fetch under way: when it will be over, and how.
    under_way: Option<(Duration, Ending)>,
    /// The newest key that it has: 0 is none.
    knows: u32,
    /// Until when the newest key's name causes no fetch.
    remembers: Duration,
    /// Whether it lacks what the run is about.
    lacks: bool,
}

#[derive(Debug)]
struct Run<'f> {
    fleet: &'f Fleet,
    manner: Manner,
    gates: Vec<Gate>,
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    sequence: u64,
    dice: Dice,
    /// When the server will have worked off all that has arrived.
    free: Duration,
    course: Course,
}

// === impl Fleet ===

impl Fleet {
    /// What happens when its gates behave in this manner.
    #[must_use]
    pub fn run(&self, manner: Manner, seed: u64) -> Course {
        let mut run = Run {
            fleet: self,
            manner,
            gates: Vec::with_capacity(self.gates),
            events: BinaryHeap::new(),
            sequence: 0,
            dice: Dice::new(seed),
            free: Duration::ZERO,
            course: Course::new(self.gates, self.length),
        };
        (0..self.gates).for_each(|gate| run.begin(gate));
        while let Some(Reverse((now, _, event))) = run.events.pop() {
            if now >= self.length {
                break;
            }
            match event {
                Event::Due { gate, turn } => run.due(gate, turn, now),
                Event::Over { gate, ending } => run.over(gate, ending, now),
                Event::Asks { gate } => run.asks(gate, now),
            }
        }
        run.course.finish();
        run.course
    }

    /// The moment that the run is about: from here on gates lack something.
    fn moment(&self) -> Duration {
        let back = self.away.map(|(_, back)| back);
        let signs = self.rotation.map(|rotation| rotation.signs);
        signs.or(back).unwrap_or_default()
    }

    /// The newest key that the server hands out.
    fn published(&self, now: Duration) -> u32 {
        1 + u32::from(self.rotation.is_some_and(|one| now >= one.published))
    }

    /// Which key a gate must have at last.
    fn last_key(&self) -> u32 {
        1 + u32::from(self.rotation.is_some())
    }

    fn is_away(&self, now: Duration) -> bool {
        self.away.is_some_and(|(from, to)| now >= from && now < to)
    }
}

// === impl Run ===

impl Run<'_> {
    fn begin(&mut self, gate: usize) {
        let pace = self.manner.pace;
        let mut schedule = Schedule::new(pace, Duration::ZERO, self.roll());
        let mut due = schedule.due();
        let has_keys = self.fleet.start == Start::Before;
        if has_keys {
            let fresh = self.fleet.server.fresh;
            schedule.succeeded(Duration::ZERO, fresh, self.roll());
            due = schedule.due().mul_f64(self.dice.number());
        }
        self.gates.push(Gate {
            schedule,
            bucket: Bucket::new(1, pace.cooldown),
            turn: 0,
            under_way: None,
            knows: u32::from(has_keys),
            remembers: Duration::ZERO,
            lacks: true,
        });
        self.later(due, Event::Due { gate, turn: 0 });
        if let Some(rotation) = self.fleet.rotation {
            let first = rotation.signs + self.pause(rotation.traffic);
            self.later(first, Event::Asks { gate });
        }
    }

    fn due(&mut self, at: usize, turn: u64, now: Duration) {
        let is_valid = |gate: &&Gate| gate.turn == turn && gate.under_way.is_none();
        if self.gates.get(at).is_some_and(|gate| is_valid(&gate)) {
            self.fetch(at, now);
        }
    }

    /// A fetch arrives at the server.
    fn fetch(&mut self, at: usize, now: Duration) {
        self.course.arrived(now);
        let (over, ending) = self.answer(now);
        if let Some(gate) = self.gates.get_mut(at) {
            gate.under_way = Some((over, ending));
        }
        self.later(over, Event::Over { gate: at, ending });
    }

    /// When a fetch that arrives now will be over, and how.
    fn answer(&mut self, now: Duration) -> (Duration, Ending) {
        if self.fleet.is_away(now) {
            return (now + REFUSAL, None);
        }
        let Server {
            capacity, backlog, ..
        } = self.fleet.server;
        let Pace { connect, whole, .. } = self.manner.pace;
        // What takes the server's time is the handshake of TLS, which belongs to connecting.
        let gives_up = now + connect.min(whole);
        let queued = self.free.saturating_sub(now).as_secs_f64() * capacity;
        if queued >= backlog {
            return (gives_up, None);
        }
        self.free = self.free.max(now) + Duration::from_secs_f64(1.0 / capacity);
        if self.free > gives_up {
            return (gives_up, None);
        }
        (self.free, Some(self.fleet.published(self.free)))
    }

    fn over(&mut self, at: usize, ending: Ending, now: Duration) {
        let roll = self.roll();
        let Some(gate) = self.gates.get_mut(at) else {
            return;
        };
        gate.under_way = None;
        gate.turn += 1;
        match ending {
            Some(newest) => {
                let fresh = self.fleet.server.fresh;
                gate.schedule.succeeded(now, fresh, roll);
                gate.knows = newest;
                let moment = self.fleet.moment();
                let is_new = self.fleet.rotation.is_some() || now >= moment;
                if gate.lacks && is_new && newest >= self.fleet.last_key() {
                    gate.lacks = false;
                    self.course.supplied(now.saturating_sub(moment));
                }
            }
            None => {
                self.course.came_to_nothing();
                gate.schedule.failed(now, None, roll);
                if self.manner.unknown_kid == UnknownKid::Fetches {
                    gate.bucket.pause(gate.schedule.due());
                }
            }
        }
        let (due, turn) = (gate.schedule.due(), gate.turn);
        self.later(due, Event::Due { gate: at, turn });
    }

    /// A request comes whose key may be missing: as in [`Asking`](crate::refresh::Asking).
    fn asks(&mut self, at: usize, now: Duration) {
        let Some(gate) = self.gates.get_mut(at) else {
            return;
        };
        let Some(rotation) = self.fleet.rotation else {
            return;
        };
        if gate.knows >= self.fleet.last_key() {
            return;
        }
        let may_ask = self.manner.unknown_kid != UnknownKid::Waits && now >= gate.remembers;
        let causes = may_ask && gate.under_way.is_none() && gate.bucket.take(now);
        if causes {
            self.fetch(at, now);
        }
        let Some(gate) = self.gates.get_mut(at) else {
            return;
        };
        let Pace {
            patience,
            unknown_kept,
            ..
        } = self.manner.pace;
        let waits_for = gate
            .under_way
            .filter(|(over, _)| may_ask && *over <= now + patience);
        match waits_for {
            Some((_, Some(newest))) if newest >= self.fleet.last_key() => {}
            Some((over, Some(_))) => {
                gate.remembers = over + unknown_kept;
                self.course.refused();
            }
            Some((_, None)) | None => self.course.refused(),
        }
        let next = now + self.pause(rotation.traffic);
        self.later(next, Event::Asks { gate: at });
    }

    /// Until the next request at a gate: they come independently of each other.
    fn pause(&mut self, traffic: f64) -> Duration {
        let share = 1.0 - self.dice.number();
        Duration::from_secs_f64((-share.ln() / traffic).clamp(0.0, LONGEST_PAUSE))
    }

    fn roll(&mut self) -> Roll {
        match self.manner.jitter {
            Jitter::Dice => Roll::new(self.dice.number()),
            Jitter::None => Roll::new(1.0),
        }
    }

    fn later(&mut self, at: Duration, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }
}

#[cfg(test)]
mod tests;
