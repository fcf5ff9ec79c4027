//! The log: JSON where a machine reads, plain lines where a person does.
//!
//! No token, key or unverified claim may be handed to it; the types that hold them print nothing of
//! themselves.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, LogSettings};

/// Starts logging to standard error. A second call in one process keeps the first one's settings.
pub fn start(settings: &LogSettings) {
    let terminal = std::io::stderr().is_terminal();
    let json = match settings.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let base = tracing_subscriber::registry().with(whose(settings.level));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_timer(SystemTime);
    let started = if json {
        base.with(layer.json().flatten_event(true).with_current_span(false))
            .try_init()
    } else {
        base.with(layer.with_ansi(terminal)).try_init()
    };
    // Only tests start twice, and they want one log.
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
