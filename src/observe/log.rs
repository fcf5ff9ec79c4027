//! The log: JSON where a machine reads, plain lines where a person does.
//!
//! No token, key or unverified claim may be handed to it; the types that hold them print nothing of
//! themselves. The JSON lines of requests are many and are made by `line`; all others are
//! `tracing` events. Both leave by the same way, so that what was said first stands first.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::line::{self, Line};
use super::spool::Spool;
use crate::model::clock;
use crate::settings::{LogFormat, LogSettings};

/// The target of decision lines.
pub(super) const DECISION: &str = "sidegate::decision";

/// How long the very end, or a panic, waits for whoever reads the log.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log of this process, once started.
static LOG: OnceLock<Log> = OnceLock::new();

/// Where lines go.
#[derive(Debug)]
pub(super) struct Log {
    way: Way,
    /// The least important decisions that are told in JSON; nothing if they are told as text.
    decisions: Option<LevelFilter>,
}

/// The way to standard error.
#[derive(Debug)]
enum Way {
    /// A line is written before its caller goes on.
    Straight,
    /// A thread of its own writes.
    Spooled(Spool),
}

/// Starts logging to standard error. A second call in one process keeps the first one's settings.
pub fn start(settings: &LogSettings) {
    begin(settings, Way::Straight);
}

/// The same for the gate: nobody waits until a line is written, unless a person looks on. That all of
/// them are, [`flush`] and [`end`] see to.
pub fn start_spooled(settings: &LogSettings) {
    if io::stderr().is_terminal() {
        return start(settings);
    }
    let Ok(spool) = Spool::start(io::stderr()) else {
        // No thread is no reason to be silent.
        return start(settings);
    };
    begin(settings, Way::Spooled(spool));
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        // What led to a panic stands above it, even if nothing can be written any more afterwards.
        if let Some(spool) = spool_in_use() {
            spool.flush(Some(PATIENCE));
        }
        before(panic);
    }));
}

/// Waits until everything is written that was logged so far, however long its reader takes.
pub fn flush() {
    if let Some(spool) = spool_in_use() {
        spool.flush(None);
    }
}

/// The process ends: whatever was logged is waited for once more, though not for ever, and from now on
/// a line is written before its caller goes on.
pub fn end() {
    if let Some(spool) = spool_in_use() {
        spool.end(PATIENCE);
    }
}

/// The log, if decisions are to be told in JSON. `tracing` tells them otherwise.
pub(super) fn json() -> Option<&'static Log> {
    LOG.get().filter(|log| log.decisions.is_some())
}

fn spool_in_use() -> Option<&'static Spool> {
    match &LOG.get()?.way {
        Way::Straight => None,
        Way::Spooled(spool) => Some(spool),
    }
}

fn begin(settings: &LogSettings, way: Way) {
    let terminal = io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let filter = whose(settings.level);
    let decisions = json.then(|| least_decision(&filter));
    // Only tests start twice, and they want one log.
    let log = LOG.get_or_init(|| Log { way, decisions });
    let base = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || log)
        .with_timer(SystemTime);
    let started = if json {
        base.with(layer.json().flatten_event(true).with_current_span(false))
            .try_init()
    } else {
        base.with(layer.with_ansi(terminal)).try_init()
    };
    drop(started);
}

/// The asked level for our own words. Of libraries only warnings.
///
/// SECURITY: at `trace` the HTTP/2 library prints the header fields it reads, tokens among them.
/// Guarded by `no_token_and_no_unverified_claim_is_logged_at_any_level`.
fn whose(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("sidegate", level)
}

/// Allowed requests are told at `INFO`, others at `WARN`.
fn least_decision(filter: &Targets) -> LevelFilter {
    [Level::INFO, Level::WARN]
        .into_iter()
        .find(|level| filter.would_enable(DECISION, level))
        .map_or(LevelFilter::OFF, LevelFilter::from_level)
}

// === impl Log ===

impl Log {
    /// Writes one decision in JSON, if its level is wanted.
    pub(super) fn decision(&self, level: Level, fields: impl FnOnce(&mut Line<'_>)) {
        if self.decisions.is_some_and(|least| level <= least) {
            let now = clock::since_1970();
            line::write(now, level.as_str(), DECISION, fields, |line| {
                self.take(line)
            });
        }
    }

    fn take(&self, lines: &[u8]) {
        match &self.way {
            // That nobody reads it stops nothing.
            Way::Straight => drop(io::stderr().write_all(lines)),
            Way::Spooled(spool) => spool.append(lines),
        }
    }
}

/// What `tracing_subscriber` writes: each line in one piece.
impl Write for &Log {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.take(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_told_from_the_asked_level_on() {
        for (level, least) in [
            (LevelFilter::OFF, LevelFilter::OFF),
            (LevelFilter::ERROR, LevelFilter::OFF),
            (LevelFilter::WARN, LevelFilter::WARN),
            (LevelFilter::INFO, LevelFilter::INFO),
            (LevelFilter::TRACE, LevelFilter::INFO),
        ] {
            assert_eq!(least_decision(&whose(level)), least, "{level}");
        }
    }
}
