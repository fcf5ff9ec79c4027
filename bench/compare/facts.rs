//! What a reader must know of the machine and the programs. Nothing that tells whose they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{SHA256, digest};
use sidegate::model::Timestamp;
use time::OffsetDateTime;

use crate::Failure;
use crate::bars::{BARE, COPIER, ENVOY, HAPROXY};
use crate::contestants::Contestant;
use crate::figures::{busy_ticks, kilobytes, ticks};
use crate::place::Place;
use crate::results::Machine;

/// The processors, the memory, the kernel.
pub(crate) fn machine(place: &Place) -> Result<Machine, Failure> {
    let processors = fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = kilobytes(&memory, "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(Machine {
        processor: model.map_or("unknown", |(_, name)| name).trim().to_owned(),
        cores: place.cores.count(),
        memory_gigabytes: memory / 1_000_000_000,
        // What follows the first hyphen is the builder's own.
        kernel: kernel
            .trim()
            .split('-')
            .next()
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Today.
pub(crate) fn today() -> Result<String, Failure> {
    let now = i64::try_from(Timestamp::now().unix())?;
    Ok(OffsetDateTime::from_unix_timestamp(now)?.date().to_string())
}

/// What each program says its version is; for sidegate, which bytes it was.
pub(crate) fn software(contestants: &[Contestant]) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for contestant in contestants {
        let said = match contestant.program() {
            None => {
                let what = match &*contestant.name {
                    COPIER => "rustls, tokio: copy_bidirectional",
                    BARE => "rustls, hyper, aws-lc-rs",
                    _ => "",
                };
                format!("{what}; built with the quick profile, no link-time optimisation")
            }
            Some(program) if contestant.name == HAPROXY => version(program, "-v")?,
            Some(program) if contestant.name == ENVOY => version(program, "--version")?,
            Some(program) => {
                let sum = digest(&SHA256, &fs::read(program)?);
                let sum: String = sum.as_ref().iter().map(|b| format!("{b:02x}")).collect();
                let version = version(program, "--version")?;
                let words = contestant.words();
                format!("{version} (SHA-256 {sum:.16}) {words}")
                    .trim()
                    .to_owned()
            }
        };
        all.insert(contestant.name.clone(), said);
    }
    Ok(all)
}

fn version(program: &Path, flag: &str) -> Result<String, Failure> {
    let output = Command::new(program).arg(flag).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or_default().trim();
    // Envoy begins with its whole path.
    let from = line.find("version").unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let line = line.get(from..).unwrap_or_default();
    Ok(match from {
        0 => line.to_owned(),
        _ => format!("{name} {line}"),
    })
}

/// How much of the machine went to others.
pub(crate) struct Elsewhere {
    busy: u64,
    ours: u64,
}

impl Elsewhere {
    pub(crate) fn now() -> Result<Self, Failure> {
        let busy = busy_ticks(&fs::read_to_string("/proc/stat")?);
        Ok(Self {
            busy: busy.ok_or("/proc/stat has another form")?,
            ours: ours()?,
        })
    }

    /// Since then, the share of the work that was done for others. Call it once every process of
    /// the bench has ended.
    pub(crate) fn share(&self) -> Result<f64, Failure> {
        let now = Self::now()?;
        let busy = now.busy.saturating_sub(self.busy);
        let ours = now.ours.saturating_sub(self.ours);
        Ok(busy.saturating_sub(ours) as f64 / busy.max(1) as f64)
    }
}

/// Ticks of this process and of all that it started and that have ended.
fn ours() -> Result<u64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let own = ticks(&stat).ok_or("stat has another form")?;
    let ended: u64 = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_ascii_whitespace().skip(13).take(2))
        .into_iter()
        .flatten()
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(own + ended)
}
