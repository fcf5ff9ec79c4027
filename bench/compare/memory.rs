//! The rows that read memory: idle, with connections that rest, and after they were closed. All
//! contestants at once: memory does not depend on who else runs, and waiting is shared.

use std::thread;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::contestants::Post;
use crate::measure::Stage;
use crate::place::Seat;
use crate::protocol::{Http, Job};
use crate::run::{Bench, Service};
use crate::tokens::Kind;

const RESIDENT: &str = "VmRSS";
const PRIVATE: &str = "RssAnon";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Memory has settled once it has not changed by more than a hundredth for so many looks.
const STEADY: usize = 10;
/// Or after this.
const LONGEST: Duration = Duration::from_secs(20);
/// How long a contestant has to give memory back.
const MINUTE: Duration = Duration::from_secs(60);
/// From here on it has.
const GIVEN_BACK: f64 = 1.25;

/// A contestant and its memory before anybody called.
struct Guest {
    name: String,
    stage: Stage,
    idle: f64,
}

impl Guest {
    fn resident(&self) -> Result<f64, Failure> {
        self.stage.running.process.memory(RESIDENT)
    }
}

impl Bench {
    /// Memory after the start and a first answer.
    pub(crate) fn idle(&mut self) -> Result<(), Failure> {
        for round in 0..self.rounds {
            let service = Service::start(&self.place, Seat::Any)?;
            for guest in self.guests("idle", round, &service)? {
                let private = guest.stage.running.process.memory(PRIVATE)?;
                self.results.add("idle", &guest.name, guest.idle / 1e6);
                self.results.add("idle-private", &guest.name, private / 1e6);
            }
        }
        Ok(())
    }

    /// Memory with so many connections, each of which has made one request; and, of a thousand,
    /// what is left of it within a minute of closing them.
    pub(crate) fn held(&mut self, row: &'static str, connections: usize) -> Result<(), Failure> {
        let tokens = self.purse.fill(&self.place, Kind::Es256, 1)?;
        for round in 0..self.rounds {
            let service = Service::start(&self.place, Seat::Any)?;
            let mut guests = self.guests(row, round, &service)?;
            for guest in &mut guests {
                let held = guest.stage.load.ask(&Job::Hold {
                    target: guest.stage.target,
                    connections,
                    tokens: tokens.clone(),
                });
                held.map_err(|failure| format!("{row}: {}: {failure}", guest.name))?;
            }
            settle(&guests)?;
            for guest in &mut guests {
                let open = guest.stage.load.ask(&Job::Count)?.open;
                if open != connections {
                    let name = &guest.name;
                    return Err(format!("{row}: {name} closed all but {open} of them").into());
                }
                let each = (guest.resident()? - guest.idle) / connections as f64;
                let measure = format!("held-{connections}");
                self.results.add(&measure, &guest.name, each / 1e3);
            }
            if row == "memory" {
                self.give_back(&mut guests)?;
            }
        }
        Ok(())
    }

    fn give_back(&mut self, guests: &mut [Guest]) -> Result<(), Failure> {
        for guest in guests.iter_mut() {
            guest.stage.load.ask(&Job::Close)?;
        }
        let began = Instant::now();
        let mut shares = vec![f64::INFINITY; guests.len()];
        while began.elapsed() < MINUTE && shares.iter().any(|share| *share > GIVEN_BACK) {
            thread::sleep(LOOK);
            for (share, guest) in shares.iter_mut().zip(guests.iter()) {
                *share = share.min(guest.resident()? / guest.idle);
            }
        }
        for (share, guest) in shares.iter().zip(guests.iter()) {
            self.results.add("given-back", &guest.name, *share);
        }
        Ok(())
    }

    /// Every contestant of the row, started and at rest.
    fn guests(
        &mut self,
        row: &str,
        round: usize,
        service: &Service,
    ) -> Result<Vec<Guest>, Failure> {
        let tokens = self.purse.fill(&self.place, Kind::Es256, 1)?;
        let post = Post {
            upstream: service.address,
            threads: 1,
            seat: Seat::Any,
            crowded: row == "memory-10000",
        };
        let mut guests = Vec::new();
        for at in self.order(row, round) {
            let contestant = self.contestant(at)?;
            let stage = Stage::set(contestant, &self.place, post, Http::One, &tokens)?;
            guests.push(Guest {
                name: contestant.name.clone(),
                stage,
                idle: 0.0,
            });
        }
        settle(&guests)?;
        for guest in &mut guests {
            guest.idle = guest.resident()?;
        }
        Ok(guests)
    }
}

/// Waits until nobody's memory changes any more.
fn settle(guests: &[Guest]) -> Result<(), Failure> {
    let look = || -> Result<Vec<f64>, Failure> { guests.iter().map(Guest::resident).collect() };
    let began = Instant::now();
    let (mut last, mut steady) = (look()?, 0);
    while steady < STEADY && began.elapsed() < LONGEST {
        thread::sleep(LOOK);
        let now = look()?;
        let same = now
            .iter()
            .zip(&last)
            .all(|(now, last)| (now - last).abs() <= 0.01 * last);
        if same {
            steady += 1;
        } else {
            (last, steady) = (now, 0);
        }
    }
    Ok(())
}
