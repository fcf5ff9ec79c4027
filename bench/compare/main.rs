//! The side-by-side bench: sidegate, Envoy, HAProxy, a TLS byte copier and a bare gate do the same
//! work in turns, and what it costs each of them becomes `bench/results/`.
//!
//! `make bench` runs all of it, `make bench-quick` a part; `bench/README.md` says how to read and
//! repeat it. Every role is a process of its own: this program starts itself again as the load, as
//! the service behind, as the copier and as the bare gate. Traffic never leaves loopback.

mod bars;
mod contestants;
mod facts;
mod figures;
mod measure;
mod memory;
mod place;
mod plot;
mod process;
mod protocol;
mod report;
mod results;
mod roles;
mod run;
mod tokens;

use std::env;

/// As the shipped program: memory and time of the copier and the bare gate are not the allocator's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Whatever ends the bench; it is for a person to read.
type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    // Cargo adds `--bench` to whatever is asked for.
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => run::run(),
        ["role", role, rest @ ..] => roles::play(role, rest),
        ["report", folder, files @ ..] if !files.is_empty() => report::combine(folder, files),
        _ => Err("usage: compare | compare report FOLDER RESULTS.json...".into()),
    }
}
