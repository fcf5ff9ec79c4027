//! Envoy doing the same work: mTLS with the client's name checked, `jwt_authn` with its cache,
//! claims as headers, a pooled upstream. What it leaves out is in `bench/README.md`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use sidegate::lab::world::{AUDIENCE, FRONT, ISSUER};

use super::{Post, root};
use crate::Failure;
use crate::place::Place;

/// The program itself, not the Python script that starts it: `ENVOY`, or where tests/setup puts it.
pub(super) fn program() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os("ENVOY") {
        return Some(program.into());
    }
    let libraries = fs::read_dir(root().join("target/peers-venv/lib")).ok()?;
    libraries
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|program| program.is_file())
}

pub(super) fn command(
    program: &Path,
    place: &Place,
    post: Post,
    address: SocketAddr,
) -> Result<Command, Failure> {
    let jwks = fs::read_to_string(place.folder().join("jwks.json"))?;
    let file = place.keys().join("envoy.yaml");
    let template = include_str!("envoy.yaml.in");
    let config = [
        ("@LISTEN@", address.port().to_string()),
        ("@UPSTREAM@", post.upstream.port().to_string()),
        ("@FOLDER@", place.folder().display().to_string()),
        ("@PEER@", FRONT.to_owned()),
        ("@ISSUER@", ISSUER.to_owned()),
        ("@AUDIENCE@", AUDIENCE.to_owned()),
        // Between single quotes.
        ("@JWKS@", jwks.replace('\n', " ").replace('\'', "''")),
    ]
    .iter()
    .fold(template.to_owned(), |text, (mark, value)| {
        text.replace(mark, value)
    });
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command
        .arg("--config-path")
        .arg(file)
        .args(["--concurrency", &post.threads.to_string()])
        .args(["--disable-hot-restart", "--log-level", "error"]);
    Ok(command)
}
