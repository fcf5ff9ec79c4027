//! The rows in which a contestant works: processor time, latency, requests per second, start, size.
//! A contestant is started anew for every sample.

use std::fs;

use crate::Failure;
use crate::bars::{ENVOY, HAPROXY};
use crate::contestants::{Contestant, Post, Running};
use crate::place::{Place, Seat};
use crate::process::{Dialogue, Process, role};
use crate::protocol::{Batch, Exchange, Http, JUDGED, Job, Payload, Target, Tokens};
use crate::run::{Bench, Service};
use crate::tokens::Kind;

/// Kept-alive connections of the rows with small requests over HTTP/1.1.
const CONNECTIONS: usize = 16;
/// How often each contestant is started in a round of `start`.
const STARTS: usize = 5;

/// The work of a row that counts processor time.
struct Work {
    row: &'static str,
    http: Http,
    exchange: Exchange,
    connections: usize,
    streams: usize,
    kind: Kind,
    repeated: bool,
    payload: Payload,
    /// A part of `REQUESTS`.
    part: usize,
    /// Each request on a connection of its own.
    handshakes: bool,
}

const SMALL: Work = Work {
    row: "h1-fresh-es256",
    http: Http::One,
    exchange: Exchange::X25519,
    connections: CONNECTIONS,
    streams: 1,
    kind: Kind::Es256,
    repeated: false,
    payload: Payload::Small,
    part: 1,
    handshakes: false,
};

const HANDSHAKE: Work = Work {
    row: "handshake",
    repeated: true,
    part: 10,
    handshakes: true,
    ..SMALL
};

const LARGE: Work = Work {
    row: "up",
    connections: 4,
    repeated: true,
    payload: Payload::Up,
    part: 20,
    ..SMALL
};

const WORKS: [Work; 8] = [
    Work {
        row: "h1-repeated-rs256",
        kind: Kind::Rs256,
        repeated: true,
        ..SMALL
    },
    SMALL,
    Work {
        row: "h1-fresh-rs256",
        kind: Kind::Rs256,
        ..SMALL
    },
    Work {
        row: "h2-fresh-es256",
        http: Http::Two,
        connections: 4,
        streams: 10,
        ..SMALL
    },
    HANDSHAKE,
    Work {
        row: "handshake-hybrid",
        exchange: Exchange::Hybrid,
        ..HANDSHAKE
    },
    LARGE,
    Work {
        row: "down",
        payload: Payload::Down,
        ..LARGE
    },
];

/// A contestant that has answered, and a load that is ready.
pub(crate) struct Stage {
    pub(crate) running: Running,
    pub(crate) load: Dialogue,
    pub(crate) target: Target,
}

impl Stage {
    /// Starts both, waits for the first good answer, and sees that what must be refused is.
    pub(crate) fn set(
        contestant: &Contestant,
        place: &Place,
        post: Post,
        http: Http,
        tokens: &Tokens,
    ) -> Result<Self, Failure> {
        let running = contestant.start(place, post)?;
        let mut load = load(place, post.seat)?;
        let target = Target {
            address: running.address,
            http,
            exchange: Exchange::X25519,
        };
        let path = if contestant.judges() { JUDGED } else { "/" };
        let probe = Job::Probe {
            target,
            path: path.to_owned(),
            tokens: tokens.clone(),
        };
        let told = |failure: Failure, process: &Process| -> Failure {
            let words = process.last_words();
            format!("{}: {failure}\n{words}", contestant.name).into()
        };
        let answered = load.ask(&probe);
        answered.map_err(|failure| told(failure, &running.process))?;
        if contestant.judges() {
            let refusals = Job::Refusals {
                target,
                tokens: tokens.clone(),
            };
            let refused = load.ask(&refusals);
            refused.map_err(|failure| told(failure, &running.process))?;
        }
        Ok(Self {
            running,
            load,
            target,
        })
    }
}

/// A load beside a contestant on this seat.
fn load(place: &Place, beside: Seat) -> Result<Dialogue, Failure> {
    let seat = match beside {
        Seat::First => Seat::Rest,
        Seat::Rest | Seat::Any => Seat::Any,
    };
    let mut command = role("load")?;
    command.arg(place.folder());
    let mut load = Dialogue::start(command, seat, &place.cores)?;
    // It is ready once it answers.
    load.ask(&Job::Count)?;
    Ok(load)
}

impl Bench {
    /// Takes all samples of a row.
    pub(crate) fn row(&mut self, row: &str) -> Result<(), Failure> {
        if let Some(work) = WORKS.iter().find(|work| work.row == row) {
            return self.processor_time(work);
        }
        match row {
            "idle" => self.idle(),
            "memory" => self.held("memory", 1_000),
            "memory-10000" => self.held("memory-10000", 10_000),
            "latency" => self.latency(),
            "throughput" => self.throughput(),
            "start" => self.start(),
            "size" => self.size(),
            _ => Err(format!("no such row: {row}").into()),
        }
    }

    fn processor_time(&mut self, work: &Work) -> Result<(), Failure> {
        let requests = (self.requests / work.part).max(20);
        let warm = requests / 4;
        let needed = if work.repeated {
            1
        } else {
            1 + warm + requests
        };
        let tokens = self.purse.fill(&self.place, work.kind, needed)?;
        let service = Service::start(&self.place, Seat::Rest)?;
        let post = Post {
            upstream: service.address,
            threads: 1,
            seat: Seat::First,
            crowded: false,
        };
        for round in 0..self.rounds {
            for at in self.order(work.row, round) {
                let contestant = self.contestant(at)?;
                let name = contestant.name.clone();
                let stage = Stage::set(contestant, &self.place, post, work.http, &tokens)?;
                let (cost, exchange) = work
                    .time(stage, &tokens, warm, requests)
                    .map_err(|failure| format!("{}: {name}: {failure}", work.row))?;
                self.results.add(work.row, &name, cost);
                if let Some(exchange) = exchange {
                    let row = self.results.exchanges.entry(work.row.to_owned());
                    row.or_default().insert(name, exchange);
                }
            }
        }
        Ok(())
    }

    /// Half of what Envoy does at most, so that nobody is at the end of its strength.
    fn fair_rate(&mut self, service: &Service) -> Result<u64, Failure> {
        let requests = 8_000;
        let tokens = self.purse.fill(&self.place, Kind::Es256, requests + 1)?;
        let rival = [ENVOY, HAPROXY]
            .iter()
            .find_map(|name| self.contestants.iter().find(|c| c.name == *name))
            .ok_or("the latency row needs Envoy or HAProxy to find the rate: run tests/setup")?;
        let post = Post {
            upstream: service.address,
            threads: 1,
            seat: Seat::First,
            crowded: false,
        };
        let mut stage = Stage::set(rival, &self.place, post, Http::One, &tokens)?;
        stage.open(CONNECTIONS, 1)?;
        let batch = SMALL.batch(requests, &tokens, 1);
        let seconds = stage.load.ask(&Job::Send(batch))?.seconds;
        let half = requests as f64 / seconds / 2.0;
        Ok(((half / 100.0).round() * 100.0).max(100.0) as u64)
    }

    fn latency(&mut self) -> Result<(), Failure> {
        let service = Service::start(&self.place, Seat::Rest)?;
        let per_second = self.fair_rate(&service)?;
        self.results.settings.per_second = per_second;
        let (requests, warm) = (self.requests, self.requests / 4);
        let tokens = self
            .purse
            .fill(&self.place, Kind::Es256, 1 + warm + requests)?;
        let post = Post {
            upstream: service.address,
            threads: 1,
            seat: Seat::First,
            crowded: false,
        };
        for round in 0..self.rounds {
            for at in self.order("latency", round) {
                let contestant = self.contestant(at)?;
                let name = contestant.name.clone();
                let mut stage = Stage::set(contestant, &self.place, post, Http::One, &tokens)?;
                stage.open(CONNECTIONS, 1)?;
                stage.load.ask(&Job::Send(SMALL.batch(warm, &tokens, 1)))?;
                let answer = stage.load.ask(&Job::Pace {
                    per_second,
                    batch: SMALL.batch(requests, &tokens, 1 + warm),
                })?;
                self.results.add("latency-p50", &name, answer.p50);
                self.results.add("latency-p99", &name, answer.p99);
            }
        }
        Ok(())
    }

    fn throughput(&mut self) -> Result<(), Failure> {
        let (requests, warm) = (self.requests, self.requests / 4);
        let tokens = self
            .purse
            .fill(&self.place, Kind::Es256, 1 + warm + requests)?;
        let service = Service::start(&self.place, Seat::Any)?;
        let post = Post {
            upstream: service.address,
            threads: 2,
            seat: Seat::Any,
            crowded: false,
        };
        for round in 0..self.rounds {
            for at in self.order("throughput", round) {
                let contestant = self.contestant(at)?;
                let name = contestant.name.clone();
                let mut stage = Stage::set(contestant, &self.place, post, Http::One, &tokens)?;
                stage.open(CONNECTIONS, 1)?;
                stage.load.ask(&Job::Send(SMALL.batch(warm, &tokens, 1)))?;
                let batch = SMALL.batch(requests, &tokens, 1 + warm);
                let seconds = stage.load.ask(&Job::Send(batch))?.seconds;
                let per_second = requests as f64 / seconds;
                self.results.add("throughput", &name, per_second);
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Failure> {
        let tokens = self.purse.fill(&self.place, Kind::Es256, 1)?;
        let service = Service::start(&self.place, Seat::Rest)?;
        let post = Post {
            upstream: service.address,
            threads: 1,
            seat: Seat::First,
            crowded: false,
        };
        for round in 0..self.rounds * STARTS {
            for at in self.order("start", round) {
                let mut load = load(&self.place, post.seat)?;
                let contestant = self.contestant(at)?;
                let running = contestant.start(&self.place, post)?;
                let path = if contestant.judges() { JUDGED } else { "/" };
                load.ask(&Job::Probe {
                    target: Target {
                        address: running.address,
                        http: Http::One,
                        exchange: Exchange::X25519,
                    },
                    path: path.to_owned(),
                    tokens: tokens.clone(),
                })?;
                let took = running.process.began.elapsed();
                let name = contestant.name.clone();
                self.results.add("start", &name, took.as_secs_f64() * 1e3);
            }
        }
        Ok(())
    }

    fn size(&mut self) -> Result<(), Failure> {
        for at in self.order("size", 0) {
            let contestant = self.contestant(at)?;
            let name = contestant.name.clone();
            let files = [
                ("binary", contestant.program().map(ToOwned::to_owned)),
                ("image", contestant.image()),
            ];
            for (measure, file) in files {
                if let Some(file) = file {
                    let size = fs::metadata(file)?.len() as f64 / 1e6;
                    self.results.add(measure, &name, size);
                }
            }
        }
        Ok(())
    }
}

impl Stage {
    fn open(&mut self, connections: usize, streams: usize) -> Result<(), Failure> {
        self.load.ask(&Job::Open {
            target: self.target,
            connections,
            streams,
        })?;
        Ok(())
    }
}

impl Work {
    /// Microseconds on a processor for each request, and the key exchange where there is one.
    fn time(
        &self,
        mut stage: Stage,
        tokens: &Tokens,
        warm: usize,
        requests: usize,
    ) -> Result<(f64, Option<String>), Failure> {
        if !self.handshakes {
            stage.open(self.connections, self.streams)?;
        }
        // The first token was the probe's.
        stage.load.ask(&self.job(&stage, warm, tokens, 1))?;
        let job = self.job(&stage, requests, tokens, 1 + warm);
        let process = &stage.running.process;
        let (before, ticks) = (process.processor_time()?, process.ticks()?);
        let answer = stage.load.ask(&job)?;
        let (after, ended) = (process.processor_time()?, process.ticks()?);
        let used = after.saturating_sub(before).as_secs_f64();
        // A tick is a hundredth of a second.
        let coarse = ended.saturating_sub(ticks) as f64 / 100.0;
        if (used - coarse).abs() > 0.05 + 0.1 * coarse {
            return Err(format!(
                "used {used:.2} s by one count and {coarse:.2} s by another: did threads end?"
            )
            .into());
        }
        Ok((used * 1e6 / requests as f64, answer.exchange))
    }

    fn job(&self, stage: &Stage, requests: usize, tokens: &Tokens, from: usize) -> Job {
        let batch = self.batch(requests, tokens, from);
        if !self.handshakes {
            return Job::Send(batch);
        }
        let target = Target {
            exchange: self.exchange,
            ..stage.target
        };
        Job::Handshakes { target, batch }
    }

    fn batch(&self, requests: usize, tokens: &Tokens, from: usize) -> Batch {
        Batch {
            requests,
            tokens: Tokens {
                from: if self.repeated { 0 } else { from },
                repeated: self.repeated,
                ..tokens.clone()
            },
            payload: self.payload,
        }
    }
}
