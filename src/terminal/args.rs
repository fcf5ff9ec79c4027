//! The arguments, as clap reads them and `--help` teaches them.

use clap::{Args, Parser, Subcommand};

use crate::settings::{Override, Overrides};

const AFTER: &str = "\
Try it:
  sidegate demo                        watch good callers get in and bad ones not
  sidegate check --config FILE         say everything that is wrong with a configuration
  sidegate run --config FILE           be the gate

Exit status: 0 done or drained, 1 failed, 2 cut off at the drain's deadline, 64 wrong settings.";

/// The only way in to a service that nobody can change: mTLS says which server calls, a verified
/// JWT says for whom, plain HTTP goes on to localhost.
#[derive(Debug, Parser)]
#[command(name = "sidegate", version, after_help = AFTER, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Be the gate, until SIGTERM.
    Run(Configured),
    /// Read the configuration and every file it names; say what is wrong, and what to write instead.
    Check(Configured),
    /// Ask a running gate whether it is ready: for exec probes and healthchecks without a shell.
    Probe(Probe),
    /// See it work: throw-away certificates, keys and a service, the real gate, and callers good and
    /// bad over real TLS sockets. Exits 0 only if each got exactly what it must.
    Demo(Demo),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
}

/// Where the settings come from. A flag beats its environment variable, which beats the file.
#[derive(Args, Clone, Debug)]
pub(super) struct Configured {
    /// The configuration file [env: SIDEGATE_CONFIG] [default: /etc/sidegate/sidegate.toml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<String>,
    /// Where to accept mTLS, such as 0.0.0.0:8443 [env: SIDEGATE_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where the service is, such as 127.0.0.1:8080 or unix:/run/app.sock [env: SIDEGATE_UPSTREAM]
    #[arg(long, value_name = "ADDRESS")]
    upstream: Option<String>,
    /// Where to serve probes and metrics, or off [env: SIDEGATE_ADMIN]
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    /// off, error, warn, info, debug or trace [env: SIDEGATE_LOG_LEVEL]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// auto, json or text [env: SIDEGATE_LOG_FORMAT]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Configured {
    /// What the flags say, each with its name for error texts.
    pub(super) fn overrides(self) -> Overrides {
        let flag = |value: Option<String>, name| value.map(|value| Override::new(value, name));
        Overrides {
            config: flag(self.config, "--config"),
            listen: flag(self.listen, "--listen"),
            upstream: flag(self.upstream, "--upstream"),
            admin: flag(self.admin, "--admin"),
            log_level: flag(self.log_level, "--log-level"),
            log_format: flag(self.log_format, "--log-format"),
        }
    }
}

/// What to ask whom.
#[derive(Args, Debug)]
pub(super) struct Probe {
    /// ready: can it judge and forward? live: does it run?
    #[arg(default_value = "ready", value_parser = ["ready", "live"])]
    pub(super) question: String,
    /// The gate's admin address [env: SIDEGATE_ADMIN] [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) admin: Option<String>,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(super) timeout: u64,
}

/// How to show it.
#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Leave the gate and the service running afterwards and print curl commands to paste.
    #[arg(long)]
    pub(super) stay: bool,
    /// The port of the gate on 127.0.0.1; 0 finds a free one.
    #[arg(long, default_value_t = 0)]
    pub(super) port: u16,
    /// Show the gate's log, one decision line for each caller.
    #[arg(long, short)]
    pub(super) verbose: bool,
}
