//! `sidegate explain`: a token and a certificate in, every check of the gate out.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use http::header::{COOKIE, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Request};

use super::args::Explain;
use super::check::look_now;
use super::demo::show;
use super::{DONE, FAILED, complain, config_path, say};
use crate::explain::{Outcome, Question, Report, Step, Verdict, explain, kid_of, place_of};
use crate::jwks::KeyRing;
use crate::model::{Denial, Timestamp};
use crate::pem::{self, PemError};
use crate::refresh::Seen;
use crate::settings::{IssuerSettings, Overrides, Settings, SettingsError, TokenPlace};
use crate::startup::{Judges, StartError};

/// It could not be run: no such file, a configuration that would not start.
pub(super) const NOT_RUN: u8 = 2;

/// More than any token is worth reading.
const MOST_BYTES: u64 = 1 << 20;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum NotRun {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("--certificate: {0}")]
    Certificate(#[from] PemError),
    #[error("{}: cannot be read: {cause}", path.display())]
    TokenFile { path: PathBuf, cause: io::Error },
    #[error("standard input: cannot be read: {0}")]
    Input(io::Error),
    #[error("--issuer: there is no [[issuer]] {name:?}; write one of {known}")]
    Issuer { name: String, known: String },
    #[error("the token holds a byte that no header can carry; is it the right file?")]
    Unsendable,
    #[error("no such request: {0}; write --path as /a/b?c=d and --host as a host name")]
    Request(#[from] http::Error),
}

pub(super) fn run(args: &Explain, overrides: &Overrides) -> u8 {
    match report(args, overrides) {
        Ok(report) => {
            if args.json {
                say(&format!("{:#}", report.json()));
            } else {
                show(text(&report).trim_end());
            }
            match report.verdict {
                Verdict::Allowed | Verdict::WouldRefuse(_) => DONE,
                Verdict::Refused(_) => FAILED,
            }
        }
        Err(error) => {
            complain(&error);
            NOT_RUN
        }
    }
}

fn report(args: &Explain, overrides: &Overrides) -> Result<Report, NotRun> {
    let (settings, _) = Settings::load(config_path(overrides), overrides)?;
    let chain = pem::certificates(&args.certificate)?;
    let token = token(args.token_file.as_deref())?;
    let kid = kid_of(&token);
    let judges = Judges::load(&settings, |issuer| {
        let fetched = || fetched(issuer, kid.as_deref());
        args.fetch.then(fetched).flatten()
    })?;
    let request = request(args, &token, &settings)?;
    Ok(explain(Question {
        settings: &settings,
        identity: &judges.identity,
        policy: &judges.policy.current(),
        judge: &judges.judge,
        client_ca: &judges.client_ca,
        chain: &chain,
        request: &request,
        now: args.at.unwrap_or_else(Timestamp::now),
    }))
}

/// The keys that an issuer publishes at its URL; why there are none is told at once.
fn fetched(issuer: &IssuerSettings, kid: Option<&str>) -> Option<KeyRing> {
    match look_now(issuer, kid) {
        Ok(Seen::Keys(ring, _)) => Some(ring),
        Ok(Seen::ByKid | Seen::Local) => None,
        Err(error) => {
            let text = format!("sidegate: issuer {:?}: {error}\n", issuer.name);
            drop(io::stderr().write_all(text.as_bytes()));
            None
        }
    }
}

/// The token's text, without what people copy along with it.
fn token(file: Option<&Path>) -> Result<String, NotRun> {
    let mut text = String::new();
    if let Some(path) = file {
        let failed = |cause| NotRun::TokenFile {
            path: path.to_owned(),
            cause,
        };
        let file = File::open(path).map_err(failed)?;
        file.take(MOST_BYTES)
            .read_to_string(&mut text)
            .map_err(failed)?;
    } else {
        let input = io::stdin();
        if input.is_terminal() {
            drop(io::stderr().write_all(b"Paste the token, then Enter and Ctrl-D.\n"));
        }
        let mut input = input.lock().take(MOST_BYTES);
        input.read_to_string(&mut text).map_err(NotRun::Input)?;
    }
    let text = text.trim();
    Ok(text
        .strip_prefix("Bearer ")
        .unwrap_or(text)
        .trim()
        .to_owned())
}

/// The request that would bring it.
fn request(args: &Explain, token: &str, settings: &Settings) -> Result<Request<()>, NotRun> {
    let mut request = Request::builder()
        .method(args.method.as_str())
        .uri(args.path.as_str())
        .header(HOST, args.host.as_str())
        .body(())?;
    let issuers = &settings.issuers;
    let Some(place) = place_of(token, args.issuer.as_deref(), issuers) else {
        let names: Vec<&str> = issuers.iter().map(|issuer| &*issuer.name).collect();
        return Err(NotRun::Issuer {
            name: args.issuer.clone().unwrap_or_default(),
            known: names.join(", "),
        });
    };
    if !token.is_empty() {
        put(request.headers_mut(), place, token)?;
    }
    Ok(request)
}

fn put(headers: &mut HeaderMap, place: &TokenPlace, token: &str) -> Result<(), NotRun> {
    let (name, text): (&HeaderName, String) = match place {
        TokenPlace::Header(name) => (name, token.to_owned()),
        TokenPlace::Bearer(name) => (name, format!("Bearer {token}")),
        TokenPlace::Cookie(cookie) => (&COOKIE, format!("{cookie}={token}")),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| NotRun::Unsendable)?;
    value.set_sensitive(true);
    headers.append(name.clone(), value);
    Ok(())
}

// === For people ===

fn text(report: &Report) -> String {
    let mut text = String::new();
    let width = report.steps.iter().map(|step| step.check.question().len());
    let width = width.max().unwrap_or(0);
    let mut stage = "";
    for step in &report.steps {
        let code = step.check.stage().code();
        if code != stage {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{BOLD}{code}{BOLD:#}");
            stage = code;
        }
        line(&mut text, step, width);
    }
    let verdict = match report.verdict {
        Verdict::Allowed => format!("{GOOD}allowed{GOOD:#}"),
        Verdict::Refused(denial) => refused("refused", denial),
        Verdict::WouldRefuse(denial) => format!(
            "{}\n{BOLD}let through all the same: its issuer or its route is in report mode{BOLD:#}",
            refused("would be refused", denial)
        ),
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

fn line(text: &mut String, step: &Step, width: usize) {
    let question = step.check.question();
    let _ = match step.outcome {
        Outcome::Passed => writeln!(
            text,
            "  {GOOD}passed{GOOD:#}  {question:width$}  {FAINT}{}{FAINT:#}",
            step.found
        ),
        Outcome::Failed => writeln!(
            text,
            "  {BAD}FAILED{BAD:#}  {question}\n          found     {}\n          expected  {}\n          \
             {BOLD}to do     {}{BOLD:#}",
            step.found, step.expected, step.fix
        ),
        Outcome::NotReached => {
            writeln!(text, "  {FAINT}  -     {question}{FAINT:#}")
        }
        Outcome::NotNeeded => writeln!(
            text,
            "  {FAINT}  -     {question:width$}  not needed: the route asks for no token{FAINT:#}"
        ),
    };
}

fn refused(verdict: &str, denial: Denial) -> String {
    format!(
        "{BAD}{verdict}: {}{BAD:#} (stage {}): {}",
        denial.code(),
        denial.stage().code(),
        denial.meaning()
    )
}
