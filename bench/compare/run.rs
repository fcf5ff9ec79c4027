//! A run: every row that was asked for, round after round, the contestants in turns, A B C and then
//! C B A; and its figures on paper.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use crate::Failure;
use crate::bars::{MEASURES, rows, takes_part};
use crate::contestants::{self, Contestant, root};
use crate::facts::{self, Elsewhere};
use crate::place::{Place, Seat};
use crate::process::{Dialogue, role};
use crate::report;
use crate::results::{Results, Settings};
use crate::tokens::Purse;

/// Everything that the rows need.
pub(crate) struct Bench {
    pub(crate) place: Place,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) purse: Purse,
    pub(crate) requests: usize,
    pub(crate) rounds: usize,
    pub(crate) results: Results,
}

/// A service that runs until this is dropped.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    _process: Dialogue,
}

impl Service {
    pub(crate) fn start(place: &Place, seat: Seat) -> Result<Self, Failure> {
        let mut process = Dialogue::start(role("upstream")?, seat, &place.cores)?;
        Ok(Self {
            address: process.hear()?.parse()?,
            _process: process,
        })
    }
}

/// Runs what the environment asks for: `ROWS`, `ROUNDS`, `REQUESTS`, `NAME`, `SIDEGATE` and
/// `SIDEGATE_*`.
pub(crate) fn run() -> Result<(), Failure> {
    let elsewhere = Elsewhere::now()?;
    let began = Instant::now();
    let wanted = wanted()?;
    let place = Place::create()?;
    let contestants = contestants::find()?;
    let (rounds, requests) = (number("ROUNDS", 3)?, number("REQUESTS", 20_000)?);
    let name = env::var("NAME").unwrap_or_else(|_| "latest".to_owned());
    let results = Results {
        name: name.clone(),
        taken: facts::today()?,
        machine: facts::machine(&place)?,
        software: facts::software(&contestants)?,
        settings: Settings {
            rounds,
            requests,
            per_second: 0,
        },
        elsewhere: 0.0,
        exchanges: BTreeMap::new(),
        measures: BTreeMap::new(),
    };
    let mut bench = Bench {
        place,
        contestants,
        purse: Purse::default(),
        requests,
        rounds,
        results,
    };
    for row in wanted {
        let began = Instant::now();
        bench.row(row)?;
        bench.tell(row, began);
    }
    let mut results = bench.results;
    results.elsewhere = elsewhere.share()?;
    let folder = root().join("bench/results");
    fs::create_dir_all(&folder)?;
    results.write(&folder.join(format!("{name}.json")))?;
    let table = report::table(&[&results]);
    // Not beside it: one run is no page of the documentation.
    let page = root().join(format!("target/bench-{name}.md"));
    fs::write(page, &table)?;
    eprintln!("{table}\n{:.0} s in all", began.elapsed().as_secs_f64());
    Ok(())
}

impl Bench {
    /// The places of the contestants of this row, in the order of this round.
    pub(crate) fn order(&self, row: &str, round: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.contestants.len()).collect();
        places.retain(|at| {
            let contestant = self.contestants.get(*at);
            contestant.is_some_and(|contestant| takes_part(&contestant.name, row))
        });
        if round % 2 == 1 {
            places.reverse();
        }
        places
    }

    pub(crate) fn contestant(&self, at: usize) -> Result<&Contestant, Failure> {
        self.contestants.get(at).ok_or_else(|| "no such one".into())
    }

    /// A row's figures as soon as they are there.
    fn tell(&self, row: &str, began: Instant) {
        for measure in MEASURES.iter().filter(|measure| measure.row == row) {
            let mut line = format!("{:<18}", measure.name);
            for contestant in &self.contestants {
                let name = &contestant.name;
                if let Some(series) = self.results.series(measure.name, name) {
                    let digits = measure.digits;
                    line += &format!(
                        "  {name} {:.digits$} ({:.digits$}-{:.digits$})",
                        series.median, series.least, series.most
                    );
                }
            }
            let unit = measure.unit;
            eprintln!("{line} {unit}   [{:.0} s]", began.elapsed().as_secs_f64());
        }
    }
}

/// The rows of `ROWS`, or all.
fn wanted() -> Result<Vec<&'static str>, Failure> {
    let all = rows();
    let Ok(text) = env::var("ROWS") else {
        return Ok(all);
    };
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    if let Some(unknown) = words.iter().find(|word| !all.contains(word)) {
        return Err(format!("ROWS names {unknown}; there are {}", all.join(", ")).into());
    }
    Ok(all.into_iter().filter(|row| words.contains(row)).collect())
}

fn number(name: &str, default: usize) -> Result<usize, Failure> {
    match env::var(name) {
        Err(_) => Ok(default),
        Ok(text) => match text.parse() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(format!("{name}={text}: write a whole number above 0").into()),
        },
    }
}
