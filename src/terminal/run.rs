//! `sidegate run`: the gate from its settings to its end.

use std::thread::available_parallelism;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tokio::signal::unix::{SignalKind, signal};

use super::{CUT_OFF, DONE, FAILED, USAGE, complain, config_path};
use crate::observe::log;
use crate::settings::{Overrides, RuntimeSettings, Settings};
use crate::shutdown::Ended;
use crate::startup::{self, ConfigFile, Running};

pub(super) fn run(overrides: Overrides) -> u8 {
    let config = ConfigFile {
        path: config_path(&overrides).to_owned(),
        overrides: overrides.clone(),
    };
    let settings = match load(&config) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    // Tokens pass through memory: no core dump, and no other process of this user reads it.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps cannot be switched off");
    }
    let runtime = match runtime(&settings.runtime) {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error);
            return FAILED;
        }
    };
    let code = runtime.block_on(gate(config, settings));
    // Whatever ignored the order to stop is not waited for.
    runtime.shutdown_background();
    code
}

/// Reads the settings and starts the log.
fn load(config: &ConfigFile) -> Result<Settings, u8> {
    let loaded = Settings::load(&config.path, &config.overrides);
    let (settings, warnings) = loaded.map_err(|error| {
        complain(&error);
        USAGE
    })?;
    log::start_spooled(&settings.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}

/// As many threads as the cgroup's processor quota gives. One thread needs no locks to be contended
/// and no work to be stolen, so it gets the simpler scheduler.
fn runtime(settings: &RuntimeSettings) -> std::io::Result<tokio::runtime::Runtime> {
    let threads = settings
        .threads
        .unwrap_or_else(|| available_parallelism().map_or(1, Into::into));
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(threads);
        builder
    };
    builder.enable_all().build()
}

async fn gate(config: ConfigFile, settings: Settings) -> u8 {
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt) = match signals {
        Ok(signals) => signals,
        Err(error) => {
            complain(&error);
            return FAILED;
        }
    };
    let mut running: Running = match startup::start_from(config, settings).await {
        Ok(running) => running,
        Err(error) => {
            complain(&error);
            return FAILED;
        }
    };
    let is_broken = tokio::select! {
        _ = terminate.recv() => false,
        _ = interrupt.recv() => false,
        () = running.failed() => true,
    };
    if is_broken {
        tracing::error!("the thread that reloads has ended by a fault in the gate, which ends too");
    }
    // Whoever asks twice means now.
    let ended = tokio::select! {
        ended = stopped(running) => ended,
        _ = terminate.recv() => Ended::Forced,
        _ = interrupt.recv() => Ended::Forced,
    };
    match ended {
        _ if is_broken => FAILED,
        Ended::Drained => DONE,
        Ended::Forced => CUT_OFF,
    }
}

/// The end of the gate and of its log, whose reader may be slow.
async fn stopped(running: Running) -> Ended {
    let ended = running.stop().await;
    // A thread of its own, which is left alone if a second signal comes.
    drop(tokio::task::spawn_blocking(log::flush).await);
    ended
}
