//! `sidegate check`: everything that `run` would read, read and told.

use std::fmt::Write as _;
use std::path::Path;

use super::{DONE, FAILED, USAGE, complain, explain, say};
use crate::accept::ServerIdentity;
use crate::jwks;
use crate::model::Timestamp;
use crate::settings::{Overrides, Settings, Warning};

/// A certificate that ends sooner than this is worth a word.
const SOON_DAYS: u64 = 14;

const DEFAULT_CONFIG: &str = "/etc/sidegate/sidegate.toml";

pub(super) fn check(overrides: Overrides) -> u8 {
    let named = overrides
        .config
        .as_ref()
        .map_or(DEFAULT_CONFIG, |config| &config.value);
    let (settings, warnings) = match Settings::load(Path::new(named), &overrides) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return USAGE;
        }
    };
    let report = Report::of(&settings, &warnings, Timestamp::now());
    say(report.text.trim_end());
    if report.failed { FAILED } else { DONE }
}

#[derive(Debug, Default)]
struct Report {
    text: String,
    failed: bool,
}

impl Report {
    fn of(settings: &Settings, warnings: &[Warning], now: Timestamp) -> Self {
        let mut report = Self::default();
        for warning in warnings {
            report.line("warning", warning);
        }
        report.identity(settings, now);
        for issuer in &settings.issuers {
            match jwks::load(&issuer.keys, &issuer.algorithms) {
                Ok((ring, warnings)) => {
                    let count = ring.len();
                    report.line(
                        "ok",
                        &format!("issuer \"{}\": {count} usable keys", issuer.name),
                    );
                    for warning in warnings {
                        report.line("warning", &format!("issuer \"{}\": {warning}", issuer.name));
                    }
                }
                Err(error) => {
                    report.fail(&format!("issuer \"{}\": {}", issuer.name, explain(&error)));
                }
            }
        }
        report.line("ok", &format!("{} peers may connect", settings.peers.len()));
        report
    }

    fn identity(&mut self, settings: &Settings, now: Timestamp) {
        let identity = match ServerIdentity::load(settings, None) {
            Ok(identity) => identity,
            Err(error) => return self.fail(&error),
        };
        self.line(
            "ok",
            &format!("tls.certificate is {}", identity.certificate),
        );
        for (key, end) in [
            ("tls.certificate", identity.not_after),
            ("tls.client_ca", identity.client_ca_not_after),
        ] {
            let Some(end) = end else { continue };
            let days = end.since(now).as_secs() / (24 * 3600);
            if end <= now {
                self.fail(&format!("{key} has expired"));
            } else if days < SOON_DAYS {
                self.line("warning", &format!("{key} expires in {days} days"));
            }
        }
    }

    fn line(&mut self, kind: &str, text: &impl std::fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{kind}: {text}");
    }

    fn fail(&mut self, text: &impl std::fmt::Display) {
        self.failed = true;
        self.line("error", text);
    }
}
