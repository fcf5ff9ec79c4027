//! The arguments, as clap reads them and `--help` teaches them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::lab::world;
use crate::model::{Algorithm, Timestamp};
use crate::settings::{Override, Overrides, parse_duration};

const AFTER: &str = "\
Try it:
  sidegate demo                        watch good callers get in and bad ones not
  sidegate check --config FILE         say everything that is wrong with a configuration
  sidegate explain --help              find out why a token or a certificate is refused
  sidegate run --config FILE           be the gate

Exit status: 0 done or drained, 1 failed, 2 cut off at the drain's deadline, 64 wrong settings.";

const DEV: &str = "\
A gate by hand, in three terminals:
  sidegate dev certs --out out && sidegate run --config out/sidegate.toml
  sidegate dev echo --listen 127.0.0.1:8080
  curl --cacert out/ca.crt --cert out/front.crt --key out/front.key \\
    -H \"Authorization: Bearer $(sidegate dev token --key out/signing.key --kid current)\" \\
    https://127.0.0.1:8443/";

const EXPLAIN: &str = "\
Try it:
  sidegate explain --config FILE --certificate client.crt --token-file token
  pbpaste | sidegate explain --config FILE --certificate client.crt --path /admin --method POST
  sidegate explain ... --at 2026-01-31T12:00:00Z    as it was at another time
  sidegate explain ... --json | jq .reason          for scripts

The token comes from a file or from standard input, never from an argument: arguments are seen by
every process of the host and stay in the history of the shell. Of the certificate only the public
part is needed, leaf first, then its intermediates.

Exit status: 0 allowed, also where only report mode lets it through; 1 refused; 2 the question could not
be asked.";

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
    /// Read the configuration and everything it names, keys by URL included; say what is wrong, and
    /// what to write instead.
    Check(Check),
    /// Say why a token and a certificate are refused, or that they are not: every check of the gate in
    /// its order, with the values compared and what to change. Offline, unless you say --fetch.
    #[command(after_help = EXPLAIN)]
    Explain(Explain),
    /// Ask a running gate whether it is ready: for exec probes and healthchecks without a shell.
    Probe(Probe),
    /// See it work: throw-away certificates, keys and a service, the real gate, and callers good and
    /// bad over real TLS sockets. Exits 0 only if each got exactly what it must.
    Demo(Demo),
    /// Make throw-away certificates, keys and tokens, or be a service to stand behind the gate.
    /// For development only.
    #[command(subcommand, after_help = DEV)]
    Dev(Dev),
    /// Print the JSON Schema of the configuration, for editors.
    Schema,
    /// Print the reference in Markdown: configuration, reasons, metrics, commands and presets.
    Reference(Reference),
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

/// What to check.
#[derive(Args, Clone, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) configured: Configured,
    /// Fetch nothing: keys by URL are not looked at.
    #[arg(long)]
    pub(super) offline: bool,
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

/// What would be sent, by whom and when.
#[derive(Args, Debug)]
pub(super) struct Explain {
    #[command(flatten)]
    pub(super) configured: Configured,
    /// The client's certificate in PEM, with its intermediates; no key.
    #[arg(long, value_name = "FILE")]
    pub(super) certificate: PathBuf,
    /// The file that holds the token; without this, it is read from standard input.
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The method of the request.
    #[arg(long, default_value = "GET")]
    pub(super) method: String,
    /// The path of the request.
    #[arg(long, default_value = "/")]
    pub(super) path: String,
    /// The host of the request.
    #[arg(long, default_value = "localhost")]
    pub(super) host: String,
    /// Put the token where this [[issuer]] expects it. By default where the one does whose iss the
    /// token says, else where the first one does.
    #[arg(long, value_name = "NAME")]
    pub(super) issuer: Option<String>,
    /// Another time than now: 2026-01-31T12:00:00Z or seconds since 1970.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) at: Option<Timestamp>,
    /// Fetch the keys that come from a URL, once (of a pem_url the one that the token names); nothing
    /// else is sent anywhere.
    #[arg(long)]
    pub(super) fetch: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    pub(super) json: bool,
}

/// What to ask whom.
#[derive(Args, Debug)]
pub(super) struct Probe {
    /// ready: can it judge and forward? live: does it run?
    #[arg(default_value = "ready", value_parser = ["ready", "live"])]
    pub(super) question: String,
    /// The gate's admin address; the configuration, which may be broken while the gate runs, is not
    /// read [env: SIDEGATE_ADMIN] [default: 127.0.0.1:9090]
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

/// What to print.
#[derive(Args, Debug)]
pub(super) struct Reference {
    /// One part of it instead of all.
    #[arg(value_parser = ["config", "reasons", "metrics", "commands", "presets"])]
    pub(super) table: Option<String>,
    /// Put each part between its markers in these Markdown files instead of printing it.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "table")]
    pub(super) into: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Dev {
    /// Write a CA, certificates of friends and strangers, signing keys, JWKS, a token and a
    /// configuration that ties them together. They are good for a week.
    Certs(Certs),
    /// Make a signing key, or read one, and print its JWKS.
    Jwks(Jwks),
    /// Sign a token and print it.
    Token(Token),
    /// Be the legacy service: answer every request with what came, as JSON, until Ctrl-C.
    Echo(EchoArgs),
}

/// Where to write what.
#[derive(Args, Debug)]
pub(super) struct Certs {
    /// The folder; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Write into a folder that is not empty; files of the same names are replaced.
    #[arg(long)]
    pub(super) force: bool,
    /// What the configuration says for listen.address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    pub(super) listen: String,
    /// What the configuration says for upstream.address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) upstream: String,
    /// What the configuration says for admin.address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9090")]
    pub(super) admin: String,
}

/// Which key.
#[derive(Args, Debug)]
pub(super) struct Jwks {
    /// Make a new key and write it to this file, which must not be there yet.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "key",
        conflicts_with = "key"
    )]
    pub(super) out: Option<PathBuf>,
    /// Read this key (PKCS#8 PEM) instead.
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// What it signs with: ES256, ES384, ES512, RS256 ..., PS256 ..., EdDSA or HS256 ...
    #[arg(long, value_name = "ALG", default_value = "ES256", value_parser = algorithm)]
    pub(super) alg: Algorithm,
    /// The key's name: what tokens say to choose it.
    #[arg(long, default_value = "dev")]
    pub(super) kid: String,
}

/// What the token says.
#[derive(Args, Debug)]
pub(super) struct Token {
    /// The private key (PKCS#8 PEM), or the secret of an HS algorithm.
    #[arg(long, value_name = "FILE")]
    pub(super) key: PathBuf,
    /// What the key signs with.
    #[arg(long, value_name = "ALG", default_value = "ES256", value_parser = algorithm)]
    pub(super) alg: Algorithm,
    /// The key's name in the JWKS.
    #[arg(long, default_value = "dev")]
    pub(super) kid: String,
    /// Who made it.
    #[arg(long, default_value = world::ISSUER)]
    pub(super) iss: String,
    /// For whom it is meant.
    #[arg(long, default_value = world::AUDIENCE)]
    pub(super) aud: String,
    /// Whom it is about.
    #[arg(long, default_value = "ada")]
    pub(super) sub: String,
    /// How long it is good, from now: 30s, 5m, 1h.
    #[arg(long, default_value = "5m", value_parser = parse_duration)]
    pub(super) ttl: Duration,
    /// One more claim, or another value for one above; repeat it for more. The value is JSON; what
    /// is not is taken as a string: --claim 'groups=["admins"]' --claim email=ada@example.com
    #[arg(long = "claim", value_name = "NAME=JSON", value_parser = claim)]
    pub(super) claims: Vec<(String, Value)>,
}

/// Where to be it.
#[derive(Args, Debug)]
pub(super) struct EchoArgs {
    /// Such as 127.0.0.1:8080 or unix:/run/app.sock
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: String,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let names = Algorithm::ALL.map(Algorithm::name);
        format!("write one of {}", names.join(", "))
    })
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=JSON, such as groups=[\"admins\"]")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
    Ok((name.to_owned(), value))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Timestamp::from_unix(seconds));
    }
    let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
    parsed
        .and_then(|moment| u64::try_from(moment.unix_timestamp()).ok())
        .map(Timestamp::from_unix)
        .ok_or_else(|| "write 2026-01-31T12:00:00Z, or seconds since 1970".to_owned())
}
