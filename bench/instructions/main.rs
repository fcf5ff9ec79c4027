//! The instruction guard: what a request costs in instructions, held against what it is expected to.
//!
//! Counts, unlike times, are the same on a busy machine, so a small loss is seen on the day it is
//! made. Run it with `make instructions`; `UPDATE=1` writes the file of expected figures anew, `EXPECTED`
//! names another one, `SIDEGATE` another binary, and `TOP=30` also lists the costliest functions.

#[path = "../counted/mod.rs"]
mod counted;
mod verdict;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use sidegate::lab::{Caller, Http, World, world};
use sidegate::model::Timestamp;
use tokio::runtime::Runtime;

use self::counted::load::{Connections, Lengths, Load, upstream};
use self::counted::profile::{Cost, Profile};
use self::counted::{Counted, Failure, binary};
use self::verdict::{Expected, Figures, TOLERANCE, Tools, Verdict};

const LENGTHS: Lengths = Lengths {
    first: 20,
    runs: 5,
    run: 50,
};

/// How many gates are measured before one is said to have grown.
const TRIES: usize = 3;

/// What the guard must see: the least loss that it is there for.
const LOSS: u64 = 5;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime
        .map_err(Failure::from)
        .and_then(|runtime| guard(&runtime))
    {
        Ok(code) => code,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One after the other in one gate, in this order.
fn loads(world: &World) -> Result<Vec<(&'static str, Load)>, Failure> {
    let caller = |http| Caller::new(world.ca.pem(), world::SERVER_NAME, Some(&world.front), http);
    let bearer = |token: String| format!("Bearer {token}");
    let repeated = vec![bearer(world.token().sign(&world.next_key)?)];
    let load = |http, tokens, status, connections| -> Result<Load, Failure> {
        Ok(Load {
            caller: caller(http)?,
            path: "/bench?page=2".to_owned(),
            field: "authorization".to_owned(),
            tokens,
            status,
            connections,
        })
    };
    let fresh = |batch: usize| -> Result<Vec<String>, Failure> {
        let token = |number: usize| {
            let spec = world.token().claim("jti", format!("{batch}-{number:06}"));
            Ok(bearer(spec.sign(&world.key)?))
        };
        (0..LENGTHS.all()).map(token).collect()
    };
    let one = Connections::One;
    Ok(vec![
        (
            "h1-repeated-rs256",
            load(Http::One, repeated.clone(), 200, one)?,
        ),
        ("h1-fresh-es256", load(Http::One, fresh(1)?, 200, one)?),
        ("h2-fresh-es256", load(Http::Two, fresh(2)?, 200, one)?),
        ("h1-no-token", load(Http::One, Vec::new(), 401, one)?),
        (
            "handshake",
            load(Http::One, repeated, 200, Connections::Each)?,
        ),
    ])
}

async fn measure() -> Result<BTreeMap<String, Figures>, Failure> {
    let folder = tempfile::tempdir()?;
    let world = World::create(folder.path(), Timestamp::now())?;
    let upstream = upstream().await?.to_string();
    let name = folder.path().join("sidegate.toml");
    let mut gate = Counted::start(&binary()?, &name, |listen, admin| {
        // Nobody hurries here, and a connection that is closed for it would be one more to open.
        let upstream = format!("{upstream}\"\nidle_timeout = \"1h");
        let config = world.config(&listen.to_string(), &admin.to_string(), &upstream);
        format!("{config}\n[runtime]\nthreads = 1\n")
    })
    .await?;
    gate.begin().await?;
    let mut seen = BTreeMap::new();
    for (name, load) in loads(&world)? {
        let runs = load.count(&mut gate, LENGTHS).await?;
        let costs: Vec<Cost> = runs.iter().map(|run| run.per(LENGTHS.run as u64)).collect();
        let cost = Cost::median(&costs);
        show_functions(name, &runs);
        let figures = Figures {
            instructions: cost.ours,
            with_crypto: cost.all,
            allocations: cost.allocations,
        };
        seen.insert(name.to_owned(), figures);
    }
    Ok(seen)
}

/// Measures, and says what came of it.
fn guard(runtime: &Runtime) -> Result<ExitCode, Failure> {
    let name = env::var_os("EXPECTED").map(PathBuf::from);
    let name = name.unwrap_or_else(|| "bench/instructions/expected.toml".into());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    let taken_with = tools()?;
    if env::var("UPDATE").is_ok_and(|update| update == "1") {
        let case = least_of(runtime, |_| false)?;
        show(&case);
        fs::write(&path, Expected { taken_with, case }.write())?;
        return Ok(ExitCode::SUCCESS);
    }
    let read = fs::read_to_string(&path).map_err(|error| error.to_string());
    let expected = read
        .and_then(|text| Expected::parse(&text))
        .map_err(|error| {
            let name = name.display();
            format!("{name}: {error}; `make instructions UPDATE=1` writes it")
        })?;
    let seen = least_of(runtime, |seen| expected.judge(seen).grown.is_empty())?;
    show(&seen);
    let verdict = expected.judge(&seen);
    tell(&verdict, &expected, &taken_with);
    if !verdict.grown.is_empty() {
        let percent = TOLERANCE as f64 / 10.0;
        eprintln!(
            "\nMore than {percent} % above {}, or more allocations, {TRIES} times over. If that is \
             meant, write it there: `make instructions UPDATE=1`. `TOP=30 make instructions` says \
             where it goes.",
            name.display()
        );
        return Ok(ExitCode::FAILURE);
    }
    prove(&seen, taken_with)?;
    Ok(ExitCode::SUCCESS)
}

/// The least of several gates, each case by itself; fewer, once that is `enough`. Where memory lies and
/// when timers fall due differ from one gate to the next, by 1.5 % either way.
fn least_of(
    runtime: &Runtime,
    enough: impl Fn(&BTreeMap<String, Figures>) -> bool,
) -> Result<BTreeMap<String, Figures>, Failure> {
    let mut least = runtime.block_on(measure())?;
    for _ in 1..TRIES {
        if enough(&least) {
            break;
        }
        for (name, seen) in runtime.block_on(measure())? {
            if let Some(known) = least.get_mut(&name) {
                *known = known.least(seen);
            }
        }
    }
    Ok(least)
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn show(seen: &BTreeMap<String, Figures>) {
    println!("one request costs        instructions   with crypto   allocations");
    for (name, figures) in seen {
        let Figures {
            instructions,
            with_crypto,
            allocations,
        } = figures;
        println!("{name:<20} {instructions:>16} {with_crypto:>13} {allocations:>13}");
    }
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn tell(verdict: &Verdict, expected: &Expected, now: &Tools) {
    if expected.taken_with != *now {
        println!("taken with {:?},\n  and now  {now:?}", expected.taken_with);
    }
    for line in &verdict.shrunk {
        println!("\n!!! {line}");
        println!("!!! Good. Say so: `make instructions UPDATE=1`, or a growth back goes unseen.");
    }
    for line in &verdict.grown {
        eprintln!("\nGROWN: {line}");
    }
}

/// Whether the comparison would have failed, had each case become a little worse.
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn prove(seen: &BTreeMap<String, Figures>, taken_with: Tools) -> Result<(), Failure> {
    let (case, cases) = (seen.clone(), seen.len());
    let better = Expected { taken_with, case }.lowered(LOSS);
    let caught = better.judge(seen).grown.len();
    if caught != cases {
        return Err(format!("only {caught} of {cases} losses of {LOSS} % would be seen").into());
    }
    println!("as expected; a loss of {LOSS} % would have been seen in each of them");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn show_functions(name: &str, runs: &[Profile]) {
    let top = env::var("TOP").ok().and_then(|text| text.parse().ok());
    let Some(top) = top else { return };
    println!("\n{name}");
    let functions = functions(runs);
    let mut crates: BTreeMap<String, u64> = BTreeMap::new();
    for (symbol, cost) in &functions {
        *crates.entry(origin(symbol)).or_default() += cost;
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    for (origin, cost) in crates.into_iter().filter(|(_, cost)| *cost > 0).take(top) {
        println!("{cost:>10}  [{origin}]");
    }
    for (symbol, cost) in functions.into_iter().take(top) {
        println!("{cost:>10}  {:#}", rustc_demangle::demangle(symbol));
    }
}

/// What each function takes of one request, the costliest first.
fn functions(runs: &[Profile]) -> Vec<(&str, u64)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, cost) in runs.iter().flat_map(|run| &run.functions) {
        *sums.entry(name).or_default() += cost;
    }
    let requests = (LENGTHS.runs * LENGTHS.run) as u64;
    let mut functions: Vec<_> = sums
        .into_iter()
        .map(|(name, cost)| (name, cost / requests))
        .collect();
    functions.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    functions
}

/// The crate or the C library that a function is of.
fn origin(symbol: &str) -> String {
    if symbol.starts_with("_rjem_") {
        return "jemalloc".to_owned();
    }
    if symbol.starts_with("aws_lc_") {
        return "aws-lc".to_owned();
    }
    if !symbol.starts_with("_ZN") && !symbol.starts_with("_R") {
        return "C without a prefix".to_owned();
    }
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    let name = name.trim_start_matches(['<', '&', '*', '(', '[']);
    let name = name.strip_prefix("mut ").unwrap_or(name);
    let name = name.strip_prefix("dyn ").unwrap_or(name);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    name.get(..end.unwrap_or(name.len()))
        .unwrap_or(name)
        .to_owned()
}

/// What the counts depend on beside the commit.
fn tools() -> Result<Tools, Failure> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().find(|line| line.starts_with("flags"));
    let has = |flag: &str| flags.is_some_and(|flags| flags.split(' ').any(|one| one == flag));
    // valgrind shows the program one of five processors, whichever comes next below the real one: it
    // is the same one on all that have this.
    let known = if has("avx2") { "avx2" } else { "without avx2" };
    Ok(Tools {
        rustc: first_line("rustc")?,
        valgrind: first_line("valgrind")?,
        processor: format!("{} {known}", env::consts::ARCH),
    })
}

fn first_line(program: &str) -> Result<String, Failure> {
    let output = Command::new(program).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
