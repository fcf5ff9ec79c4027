//! HAProxy doing the same work, as far as version 2.6 can. What it leaves out is in
//! `bench/README.md`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sidegate::lab::world::{AUDIENCE, ISSUER};

use super::{Post, on_path};
use crate::Failure;
use crate::place::Place;
use crate::tokens::Kind;

/// `HAPROXY`, or the one on the path.
pub(super) fn program() -> Option<PathBuf> {
    match std::env::var_os("HAPROXY") {
        Some(program) => Some(program.into()),
        None => on_path("haproxy"),
    }
}

pub(super) fn command(
    program: &Path,
    place: &Place,
    post: Post,
    address: SocketAddr,
) -> Result<Command, Failure> {
    // It wants the certificate and the key in one file.
    let combined = place.keys().join("haproxy.pem");
    let world = &place.world.server;
    fs::write(&combined, format!("{}{}", world.chain_pem, world.key_pem))?;
    let key = |kind: Kind| place.keys().join(kind.public_file()).display().to_string();
    let file = place.keys().join("haproxy.cfg");
    let config = [
        ("@LISTEN@", address.port().to_string()),
        ("@UPSTREAM@", post.upstream.port().to_string()),
        ("@THREADS@", post.threads.to_string()),
        ("@CONNECTIONS@", crowd(post).to_string()),
        ("@FOLDER@", place.folder().display().to_string()),
        ("@COMBINED@", combined.display().to_string()),
        ("@ES256@", key(Kind::Es256)),
        ("@RS256@", key(Kind::Rs256)),
        ("@ISSUER@", ISSUER.to_owned()),
        ("@AUDIENCE@", AUDIENCE.to_owned()),
    ]
    .iter()
    .fold(
        include_str!("haproxy.cfg.in").to_owned(),
        |text, (mark, value)| text.replace(mark, value),
    );
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    // In the foreground, one process.
    command.args(["-db", "-f"]).arg(file);
    Ok(command)
}

/// What it sets aside grows with this, so it is what the row needs: sidegate's default, or more.
fn crowd(post: Post) -> usize {
    if post.crowded { 10_500 } else { 4_096 }
}
