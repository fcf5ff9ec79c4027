//! The small sections: `[listen]`, `[tls]`, `[deny]`, `[admin]`, `[log]`, `[runtime]`.
//!
//! Each becomes its typed form, or `None` after a problem was reported.

use std::path::Path;

use tracing::level_filters::LevelFilter;

use super::{address, value};
use crate::settings::defaults;
use crate::settings::place::{At, Number, Place};
use crate::settings::problem::Report;
use crate::settings::raw::{RawAdmin, RawDeny, RawListen, RawLog, RawRuntime, RawTls};
use crate::settings::{
    AdminSettings, DenySettings, ListenSettings, LogFormat, LogSettings, RuntimeSettings,
    TlsSettings, TlsVersion,
};

pub(super) fn listen(raw: &RawListen, report: &mut Report<'_>) -> Option<ListenSettings> {
    let address = match &raw.address {
        Some(at) => address::socket(at, "listen.address", defaults::LISTEN, report)?,
        None => defaults::LISTEN,
    };
    Some(ListenSettings { address })
}

pub(super) fn tls(
    raw: Option<At<RawTls>>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<TlsSettings> {
    let Some(at) = raw else {
        let fix = "write a section [tls] with certificate, private_key and client_ca";
        report.missing("", &Place::Nowhere, "tls", fix);
        return None;
    };
    let (raw, table) = (&at.value, ("tls", &at.place));
    let certificate = raw.certificate.as_ref();
    let certificate = value::required_path(certificate, table, "certificate", folder, report);
    let private_key = raw.private_key.as_ref();
    let private_key = value::required_path(private_key, table, "private_key", folder, report);
    let client_ca = raw.client_ca.as_ref();
    let client_ca = value::required_path(client_ca, table, "client_ca", folder, report);
    let client_crl = raw.client_crl.as_ref();
    let client_crl = client_crl.map(|at| value::path(at, "tls.client_crl", folder, report));
    let versions = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];
    let key = "tls.min_version";
    let version = raw.min_version.as_ref();
    let min_version = value::word(version, key, &versions, defaults::MIN_VERSION, report);
    if let (Some(at), Some(TlsVersion::V1_2)) = (version, min_version) {
        let text = "TLS 1.2 shows certificates, and so who calls, to everybody on the way";
        report.warn(
            &at.place,
            key,
            text,
            "write \"1.3\" once every peer speaks it",
        );
    }
    Some(TlsSettings {
        certificate: certificate?,
        private_key: private_key?,
        client_ca: client_ca?,
        client_crl: match client_crl {
            Some(path) => Some(path?),
            None => None,
        },
        min_version: min_version?,
    })
}

pub(super) fn deny(
    at: &At<RawDeny>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<DenySettings> {
    let file = match &at.value.file {
        Some(file) => Some(value::path(file, "deny.file", folder, report)?),
        None => None,
    };
    // A section that is there and denies nothing is a slip that opens the gate.
    if file.is_none() && !matches!(at.place, Place::Nowhere) {
        let fix = "write file = \"...\", the path of the deny list, or take the section out";
        report.missing("deny", &at.place, "file", fix);
        return None;
    }
    Some(DenySettings { file })
}

pub(super) fn admin(raw: &RawAdmin, report: &mut Report<'_>) -> Option<AdminSettings> {
    let key = "admin.address";
    let address = match &raw.address {
        None => Some(defaults::ADMIN),
        Some(at) if at.text() == "off" => None,
        Some(at) => Some(address::socket(at, key, defaults::ADMIN, report)?),
    };
    if let (Some(address), Some(at)) = (address, &raw.address)
        && !address.ip().is_loopback()
    {
        let text = "metrics and status are shown to everybody who reaches this address";
        let fix = "keep it to the pod or the scraper's network, or write \"127.0.0.1:9090\"";
        report.warn(&at.place, key, text, fix);
    }
    Some(AdminSettings { address })
}

pub(super) fn log(raw: &RawLog, report: &mut Report<'_>) -> LogSettings {
    let levels = [
        ("error", LevelFilter::ERROR),
        ("warn", LevelFilter::WARN),
        ("info", LevelFilter::INFO),
        ("debug", LevelFilter::DEBUG),
        ("trace", LevelFilter::TRACE),
    ];
    let formats = [
        ("auto", LogFormat::Auto),
        ("json", LogFormat::Json),
        ("text", LogFormat::Text),
    ];
    let (level, format) = (raw.level.as_ref(), raw.format.as_ref());
    let level = value::word(level, "log.level", &levels, defaults::LEVEL, report);
    let format = value::word(format, "log.format", &formats, defaults::FORMAT, report);
    LogSettings {
        level: level.unwrap_or(LevelFilter::INFO),
        format: format.unwrap_or(LogFormat::Auto),
    }
}

pub(super) fn runtime(raw: &RawRuntime, report: &mut Report<'_>) -> RuntimeSettings {
    let key = "runtime.threads";
    let threads = match &raw.threads {
        None => None,
        Some(at) => match &at.value {
            Number::Text(text) if text == "auto" => None,
            Number::Text(text) => {
                let fix = "write a whole number, or \"auto\"";
                report.refuse(&at.place, key, format!("{text:?} is no number"), fix);
                None
            }
            Number::Integer(number) => {
                let number = At {
                    value: *number,
                    place: at.place.clone(),
                };
                let threads = value::count(Some(&number), key, &defaults::THREADS, report);
                usize::try_from(threads).ok()
            }
        },
    };
    RuntimeSettings { threads }
}
