//! `sidegate dev`: throw-away certificates, keys, tokens and a service, for development only.
//!
//! Plays the sides that a gate never plays itself: the CA, the issuer and the service.

mod certs;
mod keys;
mod service;

use std::path::Path;

use super::args::Dev;
use super::{DONE, FAILED, complain};

/// What a person reads when it does not work.
#[derive(Debug, thiserror::Error)]
enum DevError {
    #[error("{0}")]
    Words(String),
    #[error(transparent)]
    World(#[from] crate::lab::WorldError),
    #[error(transparent)]
    Signing(#[from] crate::lab::SigningError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

pub(super) fn dev(what: &Dev) -> u8 {
    let done = match what {
        Dev::Certs(args) => certs::certs(args),
        Dev::Jwks(args) => keys::jwks(args),
        Dev::Token(args) => keys::token(args),
        Dev::Echo(args) => service::echo(args),
    };
    match done {
        Ok(()) => DONE,
        Err(error) => {
            complain(&error);
            FAILED
        }
    }
}

/// An error that names its file.
fn at(path: &Path) -> impl Fn(std::io::Error) -> DevError + '_ {
    move |error| DevError::Words(format!("{}: {error}", path.display()))
}
