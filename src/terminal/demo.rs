//! `sidegate demo`: the whole job in one process, and a table of what happened.
//!
//! The gate is the real one, started by `startup` on a free port; the callers use real TLS sockets.
//! Nothing in the table is taken from what was expected: the answer is the caller's, the count and
//! the headers are the service's, the reason is the difference of the gate's own metric.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::args::Demo;
use super::{DONE, FAILED, Interrupts, complain, stay};
use crate::lab::{Caller, Echo, Got, Outcome, Scenario, Scratch, Seen, World, cast, world};
use crate::model::Timestamp;
use crate::observe::log;
use crate::settings::{Overrides, Settings};
use crate::startup::{self, Running};

/// How long a refusal may take to be counted: a refused handshake is counted after its alert is out.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEAD: Style = Style::new().bold();

/// Everything on stage. Dropping it removes the folder.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) gate: Running,
    pub(super) admin: SocketAddr,
    echo: Echo,
    _folder: Scratch,
}

/// What is not the demo's result but its end.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

pub(super) fn demo(args: &Demo) -> u8 {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return FAILED;
        }
    };
    let code = runtime.block_on(run(args)).unwrap_or_else(|error| {
        complain(&*error);
        FAILED
    });
    runtime.shutdown_background();
    code
}

async fn run(args: &Demo) -> Result<u8, Failure> {
    let mut interrupts = Interrupts::catch()?;
    // Whoever interrupts wants the folder gone, too: dropping the future removes it.
    let (stage, code) = tokio::select! {
        () = interrupts.next() => return Ok(FAILED),
        played = play(args) => played?,
    };
    if args.stay && code == DONE {
        stay::stay(&stage, &mut interrupts).await?;
    }
    stage.gate.stop_now().await;
    Ok(code)
}

async fn play(args: &Demo) -> Result<(Stage, u8), Failure> {
    let stage = Stage::set(args, |config| config).await?;
    show(&format!(
        "The gate listens on {} and the service behind it on {}.\n",
        stage.gate.address, stage.echo.address
    ));
    let cast = cast(&stage.world)?;
    let rows = stage.perform_all(&cast).await?;
    show(&table(&rows));
    let verdict = Verdict::of(&rows, stage.echo.served());
    show(&verdict.text());
    let code = if verdict.is_good() { DONE } else { FAILED };
    Ok((stage, code))
}

impl Stage {
    /// Makes the world and starts the gate on its configuration, changed by `change`.
    async fn set(args: &Demo, change: impl FnOnce(String) -> String) -> Result<Self, Failure> {
        let folder = Scratch::create("sidegate-demo")?;
        let world = World::create(folder.path(), Timestamp::now())?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listen = SocketAddr::from(([127, 0, 0, 1], args.port)).to_string();
        let echo = Echo::start(any).await?;
        let level = if args.verbose { "info" } else { "error" };
        let mut config = world.config(&listen, &any.to_string(), &echo.address.to_string());
        config.push_str(&format!(
            "\n[log]\nlevel = \"{level}\"\nformat = \"text\"\n"
        ));
        world.write("sidegate.toml", &change(config))?;
        let path = folder.path().join("sidegate.toml");
        let (settings, _) = Settings::load(&path, &Overrides::default())?;
        log::start(&settings.log);
        let gate = startup::start(settings).await?;
        let admin = gate.admin.ok_or("the admin port is off")?;
        Ok(Self {
            world,
            gate,
            admin,
            echo,
            _folder: folder,
        })
    }

    async fn perform_all<'a>(&self, cast: &'a [Scenario]) -> Result<Vec<Row<'a>>, Failure> {
        let mut rows = Vec::new();
        for scenario in cast {
            rows.push(Row {
                name: scenario.name,
                must: &scenario.must,
                was: self.perform(scenario).await?,
            });
        }
        Ok(rows)
    }

    /// Lets one caller call and finds out what came of it.
    async fn perform(&self, scenario: &Scenario) -> Result<Outcome, Failure> {
        let certificate = scenario.certificate.as_ref();
        let ca = self.world.ca.pem();
        let caller = Caller::new(ca, world::SERVER_NAME, certificate, scenario.http)?;
        let (served, refused) = (self.echo.served(), self.refused());
        let answer = caller.call(self.gate.address, scenario.request()?).await;
        let (got, body) = match answer {
            Ok(answer) => {
                let got = Got::Answer(answer.version(), answer.status().as_u16());
                (got, answer.into_body())
            }
            Err(error) => (Got::from_error(&error.to_string()), bytes::Bytes::new()),
        };
        let seen = if self.echo.served() == served {
            Seen::Nothing
        } else {
            Seen::in_echo(&body, &scenario.fields)
        };
        let reasons = self.reasons_since(&refused, &got).await;
        Ok(Outcome { got, seen, reasons })
    }

    /// The reasons counted since then. Waits for one unless the caller got through.
    async fn reasons_since(&self, before: &BTreeMap<String, u64>, got: &Got) -> Vec<String> {
        let through = matches!(got, Got::Answer(_, 200..=299));
        let deadline = tokio::time::Instant::now() + COUNTED_WITHIN;
        loop {
            let mut reasons = self.refused();
            reasons.retain(|reason, count| before.get(reason) != Some(count));
            if through || !reasons.is_empty() || tokio::time::Instant::now() >= deadline {
                return reasons.into_keys().collect();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What `sidegate_refused_total` says, reason by reason.
    fn refused(&self) -> BTreeMap<String, u64> {
        let text = String::from_utf8(self.gate.metrics.render()).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let labels = line.strip_prefix("sidegate_refused_total{")?;
                let (_, reason) = labels.split_once("reason=\"")?;
                let (reason, rest) = reason.split_once('"')?;
                let count = rest.rsplit(' ').next()?.parse().ok()?;
                Some((reason.to_owned(), count))
            })
            .collect()
    }
}

// === The table ===

struct Row<'a> {
    name: &'a str,
    must: &'a Outcome,
    was: Outcome,
}

impl Row<'_> {
    fn is_right(&self) -> bool {
        self.was == *self.must
    }

    fn cells(&self) -> [String; 4] {
        [
            self.name.to_owned(),
            self.was.got.to_string(),
            self.was.seen.to_string(),
            reason(&self.was),
        ]
    }
}

fn reason(outcome: &Outcome) -> String {
    if outcome.reasons.is_empty() {
        "-".to_owned()
    } else {
        outcome.reasons.join(" ")
    }
}

fn table(rows: &[Row<'_>]) -> String {
    let head = ["caller", "got", "service saw", "reason"].map(str::to_owned);
    let mut widths = head.each_ref().map(String::len);
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let line = |cells: &[String; 4]| {
        let padded = cells.iter().zip(widths);
        let padded = padded.map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ")
    };
    let mut text = format!("{HEAD}{}  verdict{HEAD:#}\n", line(&head));
    for (row, cells) in rows.iter().zip(&cells) {
        let (style, mark) = if row.is_right() {
            (GOOD, "ok")
        } else {
            (BAD, "WRONG")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}  {style}{mark}{style:#}", line(cells));
        if !row.is_right() {
            let must = row.must;
            let _ = writeln!(
                text,
                "  {BAD}must be: {}, {}, {}{BAD:#}",
                must.got,
                must.seen,
                reason(must)
            );
        }
    }
    text
}

struct Verdict {
    callers: usize,
    wrong: usize,
    reached: usize,
    /// The service's own count: nothing may have come later, or on the side.
    served: u64,
}

impl Verdict {
    fn of(rows: &[Row<'_>], served: u64) -> Self {
        let count = |which: fn(&Row<'_>) -> bool| rows.iter().filter(|row| which(row)).count();
        Self {
            callers: rows.len(),
            wrong: count(|row| !row.is_right()),
            reached: count(|row| row.was.seen != Seen::Nothing),
            served,
        }
    }

    fn is_good(&self) -> bool {
        self.wrong == 0 && self.served == self.reached as u64
    }

    fn text(&self) -> String {
        let Self {
            callers,
            wrong,
            reached,
            served,
        } = self;
        let count = format!("The service served {served} requests, of {reached} callers.");
        if self.is_good() {
            let refused = callers - reached;
            format!(
                "{GOOD}All {callers} callers got what they must: {reached} in, {refused} out.{GOOD:#} {count}"
            )
        } else {
            format!("{BAD}{wrong} of {callers} callers got something else.{BAD:#} {count}")
        }
    }
}

/// Prints in colour on a terminal that has them, and plainly elsewhere.
pub(super) fn show(text: &str) {
    let mut out = anstream::stdout();
    // That the reader went away (`| head`) is no failure.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGS: Demo = Demo {
        stay: false,
        port: 0,
        verbose: false,
    };

    /// The callers that get something else when the gate is configured like this.
    async fn wrong_with(change: impl FnOnce(String) -> String) -> Vec<&'static str> {
        let stage = Stage::set(&ARGS, change).await.unwrap();
        let cast = cast(&stage.world).unwrap();
        let rows = stage.perform_all(&cast).await.unwrap();
        let text = table(&rows);
        let wrong = cast.iter().zip(&rows).filter(|(_, row)| !row.is_right());
        let names: Vec<_> = wrong.map(|(scenario, _)| scenario.name).collect();
        assert_eq!(text.matches("WRONG").count(), names.len(), "{text}");
        assert_eq!(text.matches("must be: ").count(), names.len(), "{text}");
        names
    }

    #[tokio::test]
    async fn a_gate_that_lets_somebody_in_is_found_out() {
        let any_issuer = |config: String| {
            config.replace("issuers = [\"main\"]", "issuers = [\"main\", \"partner\"]")
        };
        assert_eq!(
            wrong_with(any_issuer).await,
            ["good token of the other peer's issuer"]
        );
        let no_crl = |config: String| config.replace("client_crl = \"ca.crl\"", "");
        assert_eq!(wrong_with(no_crl).await, ["revoked certificate"]);
    }

    #[tokio::test]
    async fn a_gate_that_keeps_a_friend_out_is_found_out() {
        let one_algorithm = |config: String| config.replace("\"ES256\", \"RS256\"", "\"ES256\"");
        assert_eq!(
            wrong_with(one_algorithm).await,
            ["good, with the next key (RS256)"]
        );
    }
}
