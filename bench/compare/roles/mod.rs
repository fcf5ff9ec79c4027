//! What this program is when it was started again by itself: one role, for as long as it is needed.

mod bare;
mod copier;
mod judge;
mod listener;
mod load;
mod upstream;

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::Failure;

/// Plays `role` until the bench ends it.
pub(crate) fn play(role: &str, words: &[&str]) -> Result<(), Failure> {
    // However the bench ends, no role stays behind.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match (role, words) {
        ("load", [world]) => single()?.block_on(load::serve(Path::new(world))),
        ("upstream", []) => single()?.block_on(upstream::serve()),
        ("copier" | "bare", [listen, upstream, world, keys, threads]) => {
            let place = Post {
                listen: listen.parse()?,
                upstream: upstream.parse()?,
                world: Path::new(world),
                keys: Path::new(keys),
            };
            let runtime = several(threads.parse()?)?;
            match role {
                "copier" => runtime.block_on(copier::serve(&place)),
                _ => runtime.block_on(bare::serve(&place)),
            }
        }
        _ => Err(format!("no such role: {role} {words:?}").into()),
    }
}

/// Where a contestant of ours stands.
struct Post<'a> {
    listen: SocketAddr,
    upstream: SocketAddr,
    /// The folder with the certificates.
    world: &'a Path,
    /// The folder with the public keys of the issuer.
    keys: &'a Path,
}

fn single() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn several(threads: usize) -> std::io::Result<tokio::runtime::Runtime> {
    if threads == 1 {
        return single();
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
}
