//! Who is compared, and how each is started for the same work.

mod envoy;
mod haproxy;
mod own;

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::bars::{BARE, COPIER, ENVOY, HAPROXY, SIDEGATE};
use crate::place::{Place, Seat, free_port};
use crate::process::Process;

/// The shipped program, as `make image` builds it.
const SHIPPED: &str = "target/image/sidegate";
const IMAGE: &str = "target/image/sidegate.tar";
/// Settings of the product that look like names of further editions.
const SETTINGS: [&str; 6] = [
    "CONFIG",
    "LISTEN",
    "UPSTREAM",
    "ADMIN",
    "LOG_LEVEL",
    "LOG_FORMAT",
];

pub(crate) struct Contestant {
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    Envoy(PathBuf),
    Haproxy(PathBuf),
    Copier,
    Bare,
    /// The program, and words to add behind `run`.
    Sidegate(PathBuf, Vec<String>),
}

/// What a contestant is started for.
#[derive(Clone, Copy)]
pub(crate) struct Post {
    pub(crate) upstream: SocketAddr,
    pub(crate) threads: usize,
    pub(crate) seat: Seat,
    /// More connections than the defaults allow.
    pub(crate) crowded: bool,
}

/// A contestant that was started.
pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

/// All that are to be had; says on standard error who is missing.
pub(crate) fn find() -> Result<Vec<Contestant>, Failure> {
    let mut found = Vec::new();
    let mut add = |name: &str, kind| {
        found.push(Contestant {
            name: name.to_owned(),
            kind,
        });
    };
    for (name, program) in [(ENVOY, envoy::program()), (HAPROXY, haproxy::program())] {
        match program {
            Some(program) if name == ENVOY => add(name, Kind::Envoy(program)),
            Some(program) => add(name, Kind::Haproxy(program)),
            None => eprintln!("!!! {name} is not installed (run tests/setup): left out"),
        }
    }
    add(COPIER, Kind::Copier);
    add(BARE, Kind::Bare);
    let shipped = root().join(SHIPPED).display().to_string();
    let program = env::var("SIDEGATE").unwrap_or(shipped);
    add(SIDEGATE, edition("SIDEGATE", &program)?);
    let mut editions: Vec<(String, String)> = env::vars()
        .filter_map(|(name, program)| {
            let name = name.strip_prefix("SIDEGATE_")?.to_owned();
            (!SETTINGS.contains(&&*name)).then_some((name, program))
        })
        .collect();
    editions.sort();
    for (name, program) in editions {
        let kind = edition(&format!("SIDEGATE_{name}"), &program)?;
        add(&format!("{SIDEGATE}-{}", name.to_lowercase()), kind);
    }
    if let Ok(only) = env::var("ONLY") {
        let wanted: Vec<&str> = only.split(',').map(str::trim).collect();
        if let Some(unknown) = wanted
            .iter()
            .find(|name| !found.iter().any(|one: &Contestant| one.name == **name))
        {
            let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
            return Err(format!("ONLY names {unknown}; there are {}", names.join(", ")).into());
        }
        found.retain(|one| wanted.contains(&one.name.as_str()));
    }
    Ok(found)
}

/// A path, and words behind it that `sidegate run` gets as well.
fn edition(variable: &str, text: &str) -> Result<Kind, Failure> {
    let mut words = text.split_whitespace().map(str::to_owned);
    let program = words.next().map(PathBuf::from).unwrap_or_default();
    if !program.is_file() {
        let shown = program.display();
        let hint = "make image builds the shipped program";
        return Err(format!("{variable} names no program: {shown} ({hint})").into());
    }
    Ok(Kind::Sidegate(program.canonicalize()?, words.collect()))
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The first of these programs on the path.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        // Where Debian keeps it, and users often have no path to.
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

impl Contestant {
    /// Starts it; it may take a while until it answers.
    pub(crate) fn start(&self, place: &Place, post: Post) -> Result<Running, Failure> {
        let address = free_port()?;
        let command = match &self.kind {
            Kind::Envoy(program) => envoy::command(program, place, post, address)?,
            Kind::Haproxy(program) => haproxy::command(program, place, post, address)?,
            Kind::Copier | Kind::Bare => own::role(&self.name, place, post, address)?,
            Kind::Sidegate(program, words) => {
                own::sidegate(program, words, &self.name, place, post, address)?
            }
        };
        let process = Process::start(command, &self.name, post.seat, place)?;
        Ok(Running { process, address })
    }

    /// The program and its size in bytes, and what it says its version is.
    pub(crate) fn program(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Envoy(program) | Kind::Haproxy(program) | Kind::Sidegate(program, _) => {
                Some(program)
            }
            Kind::Copier | Kind::Bare => None,
        }
    }

    /// The image of it, where it has been built: of the shipped program alone.
    pub(crate) fn image(&self) -> Option<PathBuf> {
        let image = root().join(IMAGE);
        let shipped = root().join(SHIPPED).canonicalize().ok();
        (self.name == SIDEGATE && self.program() == shipped.as_deref() && image.is_file())
            .then_some(image)
    }

    /// Words that were added to its command.
    pub(crate) fn words(&self) -> String {
        match &self.kind {
            Kind::Sidegate(_, words) => words.join(" "),
            Kind::Envoy(_) | Kind::Haproxy(_) | Kind::Copier | Kind::Bare => String::new(),
        }
    }

    /// Whether it judges what it passes on.
    pub(crate) fn judges(&self) -> bool {
        !matches!(self.kind, Kind::Copier)
    }
}
