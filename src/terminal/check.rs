//! `sidegate check`: everything that `run` would read, read and told.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{DONE, FAILED, USAGE, complain, config_path, say};
use crate::accept::ServerIdentity;
use crate::jwks;
use crate::model::Timestamp;
use crate::observe::in_full;
use crate::refresh::{self, Seen};
use crate::reload::live;
use crate::revocation::DenyList;
use crate::settings::{InForce, IssuerSettings, KeySource, Overrides, Settings, Warning, in_force};

/// A certificate that ends sooner than this is worth a word.
const SOON_DAYS: u64 = 14;

pub(super) fn check(overrides: Overrides, fetching: Fetching) -> u8 {
    let (settings, warnings) = match Settings::load(config_path(&overrides), &overrides) {
        Ok(loaded) => loaded,
        Err(error) => {
            complain(&error);
            return USAGE;
        }
    };
    let report = Report::of(&settings, &warnings, fetching, Timestamp::now());
    say(report.text.trim_end());
    if report.failed { FAILED } else { DONE }
}

/// Whether keys by URL are fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fetching {
    /// Once, to see whether they can be used.
    Once,
    /// Not at all: `--offline`.
    Offline,
}

/// Fetches an issuer's keys once; where each is a document of its own, the one of this `kid`.
pub(super) fn look_now(issuer: &IssuerSettings, kid: Option<&str>) -> Result<Seen, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime
        .block_on(refresh::look(issuer, kid))
        .map_err(|error| in_full(&error))
}

#[derive(Debug, Default)]
struct Report {
    text: String,
    failed: bool,
}

impl Report {
    fn of(settings: &Settings, warnings: &[Warning], fetching: Fetching, now: Timestamp) -> Self {
        let mut report = Self::default();
        for warning in warnings {
            report.line("warning", warning);
        }
        report.identity(settings, now);
        for issuer in &settings.issuers {
            report.keys(issuer, fetching);
            report.in_force(issuer);
        }
        report.deny_list(settings, now);
        report.line("ok", &format!("{} peers may connect", settings.peers.len()));
        for peer in settings
            .peers
            .iter()
            .filter(|peer| peer.hands_over.is_some())
        {
            let text = "hands over its client's certificate: bound tokens are held to that one";
            report.line("ok", &format!("peer \"{}\" {text}", peer.name));
        }
        report
    }

    /// What tokens of this issuer are held to, and what of that its preset says.
    fn in_force(&mut self, issuer: &IssuerSettings) {
        for InForce { key, value, preset } in in_force(issuer) {
            let from = preset.map_or_else(String::new, |preset| format!("   (preset {preset})"));
            // Writing to a String cannot fail.
            let _ = writeln!(self.text, "    {key} = {value}{from}");
        }
    }

    fn keys(&mut self, issuer: &IssuerSettings, fetching: Fetching) {
        let name = &issuer.name;
        let seen = match (&issuer.keys, fetching) {
            (KeySource::Remote(_), Fetching::Offline) => {
                let text = format!("issuer \"{name}\": its keys are fetched, which was not tried");
                return self.line("warning", &text);
            }
            (KeySource::Remote(_), Fetching::Once) => look_now(issuer, None),
            _ => jwks::load(&issuer.keys, &issuer.algorithms)
                .map(|(ring, warnings)| Seen::Keys(ring, warnings))
                .map_err(|error| in_full(&error)),
        };
        match seen {
            Ok(Seen::Keys(ring, warnings)) => {
                let count = ring.len();
                self.line("ok", &format!("issuer \"{name}\": {count} usable keys"));
                for warning in warnings {
                    self.line("warning", &format!("issuer \"{name}\": {warning}"));
                }
            }
            Ok(Seen::ByKid | Seen::Local) => {
                let text = format!("issuer \"{name}\": each key is fetched when a token names it");
                self.line("ok", &text);
            }
            Err(error) => self.fail(&format!("issuer \"{name}\": {error}")),
        }
    }

    fn identity(&mut self, settings: &Settings, now: Timestamp) {
        let identity = match ServerIdentity::load(settings, live(DenyList::default()).1, None) {
            Ok(identity) => identity,
            Err(error) => return self.fail(&error),
        };
        self.line(
            "ok",
            &format!("tls.certificate is {}", identity.certificate),
        );
        if let Some(warning) = identity.warning(settings.listen.address) {
            self.line("warning", &warning);
        }
        for (key, end) in [
            ("tls.certificate", identity.not_after),
            ("tls.client_ca", identity.client_ca_not_after),
            ("a list in tls.client_crl", identity.client_crl_not_after),
        ] {
            let Some(end) = end else { continue };
            let days = end.since(now).as_secs() / (24 * 3600);
            if end <= now {
                self.fail(&format!("{key} has expired: put a new one in its place"));
            } else if days < SOON_DAYS {
                self.line("warning", &format!("{key} expires in {days} days"));
            }
        }
    }

    fn deny_list(&mut self, settings: &Settings, now: Timestamp) {
        let Some(file) = &settings.deny.file else {
            return;
        };
        let names: Vec<Arc<str>> = settings
            .issuers
            .iter()
            .map(|issuer| Arc::clone(&issuer.name))
            .collect();
        match DenyList::load(file, &names) {
            Ok(list) => {
                let (all, expired) = (list.len(), list.expired(now));
                let text = format!("deny.file: {all} entries, {expired} of them expired");
                self.line("ok", &text);
                for issuer in &settings.issuers {
                    if issuer.keys.is_nameless() && list.names_keys_of(&issuer.name) {
                        let name = &issuer.name;
                        let text = format!(
                            "deny.file: the keys of issuer \"{name}\" have no kid, so an entry \
                             \"kid issuer={name} ...\" denies nothing; take the key out of its file"
                        );
                        self.line("warning", &text);
                    }
                }
            }
            Err(error) => self.fail(&in_full(&error)),
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
