//! sidegate as it is shipped, and the two roles of this program that do less.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Post;
use crate::Failure;
use crate::place::{Place, free_port};
use crate::process;

/// More than the crowd that is measured; the default is 4,096 and 2,048 for one peer.
const CROWD: usize = 12_000;

/// The copier or the bare gate.
pub(super) fn role(
    name: &str,
    place: &Place,
    post: Post,
    address: SocketAddr,
) -> Result<Command, Failure> {
    let mut command = process::role(name)?;
    command
        .args([address.to_string(), post.upstream.to_string()])
        .arg(place.folder())
        .arg(place.keys())
        .arg(post.threads.to_string());
    Ok(command)
}

/// Everything that the defaults switch on is on: metrics, the decision log as JSON, limits and
/// deadlines; and a revocation list, two peers and two issuers.
pub(super) fn sidegate(
    program: &Path,
    words: &[String],
    name: &str,
    place: &Place,
    post: Post,
    address: SocketAddr,
) -> Result<Command, Failure> {
    let admin = free_port()?.to_string();
    let (listen, upstream) = (address.to_string(), post.upstream.to_string());
    let mut config = place.world.config(&listen, &admin, &upstream);
    config += &format!("\n[runtime]\nthreads = {}\n", post.threads);
    if post.crowded {
        config += &format!("\n[limits]\nconnections = {CROWD}\nconnections_per_peer = {CROWD}\n");
    }
    let file = place.folder().join(format!("{name}.toml"));
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.args(["run", "--log-format", "json", "--config"]);
    command.arg(file).args(words);
    for (variable, _) in std::env::vars() {
        // They are settings for the gate, or name editions of it for the bench.
        if variable.starts_with("SIDEGATE") {
            command.env_remove(variable);
        }
    }
    Ok(command)
}
