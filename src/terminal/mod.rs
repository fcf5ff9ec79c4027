//! What people type: arguments in, exit codes out.
//!
//! The only place that reads the process's arguments and environment, prints to the terminal and
//! decides how the process ends.

mod args;
mod check;
mod demo;
mod dev;
mod explain;
mod flags;
mod probe;
mod reference;
mod run;
mod stay;

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::args::{Cli, Command};
use self::check::Fetching;
use crate::observe::{in_full, log};
use crate::settings::{JSON_SCHEMA, Overrides};

/// Everything ended as it should.
pub const DONE: u8 = 0;
/// It did not start, or the question was answered with no.
pub const FAILED: u8 = 1;
/// The drain's deadline passed and something was cut off.
pub const CUT_OFF: u8 = 2;
/// The settings are wrong (`EX_USAGE` of sysexits).
pub const USAGE: u8 = 64;

/// Does what the arguments say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match cli.command {
        Command::Run(args) => in_environment(USAGE, |it| run::run(args.overrides().over(it))),
        Command::Check(args) => {
            let fetching = if args.offline {
                Fetching::Offline
            } else {
                Fetching::Once
            };
            let flags = args.configured.overrides();
            in_environment(USAGE, |it| check::check(flags.over(it), fetching))
        }
        Command::Explain(args) => in_environment(explain::NOT_RUN, |it| {
            explain::run(&args, &args.configured.clone().overrides().over(it))
        }),
        Command::Probe(args) => in_environment(USAGE, |it| probe::probe(&args, &it)),
        Command::Demo(args) => demo::demo(&args),
        Command::Dev(what) => dev::dev(&what),
        Command::Schema => say(JSON_SCHEMA),
        Command::Reference(args) => reference::reference(&args),
    };
    log::end();
    ExitCode::from(code)
}

/// Does what depends on the environment; what it cannot mean ends this with `otherwise`. Commands that
/// read none of it are not asked.
fn in_environment(otherwise: u8, act: impl FnOnce(Overrides) -> u8) -> u8 {
    match Overrides::from_environment(std::env::vars_os()) {
        Ok(environment) => act(environment),
        Err(error) => {
            complain(&error);
            otherwise
        }
    }
}

/// The configuration file.
fn config_path(overrides: &Overrides) -> &Path {
    const UNSAID: &str = "/etc/sidegate/sidegate.toml";
    let said = overrides.config.as_ref();
    Path::new(said.map_or(UNSAID, |config| &config.value))
}

/// Prints to standard output. That the reader went away (`| head`) is no failure.
fn say(text: &str) -> u8 {
    drop(std::io::stdout().write_all(format!("{}\n", text.trim_end()).as_bytes()));
    DONE
}

/// Prints an error with its causes to standard error, below what the log said before it.
fn complain(error: &dyn Error) {
    log::flush();
    drop(std::io::stderr().write_all(format!("sidegate: {}\n", in_full(error)).as_bytes()));
}

/// Ctrl-C and SIGTERM, from the moment this is made: one that comes while nobody waits is kept. So it
/// is made once, before there is anything to clean up.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Completes when the process is asked to end.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
