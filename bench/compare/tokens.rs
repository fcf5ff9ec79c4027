//! Tokens minted before they are needed, each different from all others: a file of them for each
//! algorithm. Contestants share them; each is a new process every time, and has seen none.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use sidegate::lab::world::{AUDIENCE, ISSUER};
use sidegate::lab::{SigningKey, TokenSpec};
use sidegate::model::Timestamp;

use crate::Failure;
use crate::place::Place;
use crate::protocol::Tokens;

/// Longer than a run, and not longer than a gate believes.
const LIFE: Duration = Duration::from_secs(3600);

/// What a token is signed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Es256,
    Rs256,
}

impl Kind {
    pub(crate) fn alg(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// The name of the key in the world's JWKS.
    pub(crate) fn kid(self) -> &'static str {
        match self {
            Self::Es256 => "current",
            Self::Rs256 => "next",
        }
    }

    /// The file with the public key.
    pub(crate) fn public_file(self) -> &'static str {
        match self {
            Self::Es256 => "es256.pem",
            Self::Rs256 => "rs256.pem",
        }
    }

    fn key(self, place: &Place) -> &SigningKey {
        match self {
            Self::Es256 => &place.world.key,
            Self::Rs256 => &place.world.next_key,
        }
    }
}

/// The files, and how many are in each.
#[derive(Debug, Default)]
pub(crate) struct Purse {
    minted: Vec<(Kind, usize)>,
}

impl Purse {
    /// A file with at least `count` tokens.
    pub(crate) fn fill(
        &mut self,
        place: &Place,
        kind: Kind,
        count: usize,
    ) -> Result<Tokens, Failure> {
        let file = place.tokens().join(kind.alg());
        let there = self.minted.iter().position(|(known, _)| *known == kind);
        let there = there.map_or(0, |at| self.minted.swap_remove(at).1);
        if there < count {
            mint(place, kind, there, count, &file)?;
        }
        self.minted.push((kind, there.max(count)));
        Ok(Tokens {
            file,
            from: 0,
            repeated: false,
        })
    }
}

/// Signs on every processor: an RSA signature takes a millisecond.
fn mint(place: &Place, kind: Kind, from: usize, to: usize, file: &Path) -> Result<(), Failure> {
    let (key, now) = (kind.key(place), Timestamp::now());
    let workers = place.cores.count() as usize;
    let parts: Vec<Vec<String>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    (from + worker..to)
                        .step_by(workers)
                        .map(|number| claims(number, now).sign(key))
                        .collect::<Result<Vec<_>, _>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                let tokens = worker.join().map_err(|_| "minting failed")?;
                Ok::<_, Failure>(tokens?)
            })
            .collect::<Result<_, _>>()
    })?;
    let mut out = BufWriter::new(OpenOptions::new().create(true).append(true).open(file)?);
    for token in parts.iter().flatten() {
        writeln!(out, "Bearer {token}")?;
    }
    out.flush()?;
    Ok(())
}

/// As Pomerium asserts an identity: some 700 bytes once signed with RS256.
fn claims(number: usize, now: Timestamp) -> TokenSpec {
    let groups = ["engineers", "readers"];
    TokenSpec::pomerium(AUDIENCE, "ada", "ada@example.com", &groups, now)
        .claim("iss", ISSUER)
        .claim("jti", format!("5b7b4a52-6fcb-4ba3-9a3f-{number:012}"))
        .lives(now, LIFE)
}
