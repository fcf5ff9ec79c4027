//! `[[issuer]]`: whose tokens are believed, and what they must be.
//!
//! Two mistakes here would open the gate: a symmetric algorithm beside public keys, and two issuers
//! that a token cannot be told apart by. Both are refused.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::token_place::places;
use super::{header, keys, value};
use crate::settings::place::{At, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::{
    IssuerIndex, IssuerSettings, SubjectRule, TokenPlace, TokenToUpstream, defaults,
};

/// The issuers as far as they could be read.
pub(super) struct Issuers {
    entries: Vec<Entry>,
    is_known: bool,
}

struct Entry {
    name: Option<Arc<str>>,
    places: Vec<TokenPlace>,
    settings: Option<IssuerSettings>,
}

impl Issuers {
    /// The names that `peer.issuers` may use.
    pub(super) fn names(&self) -> Vec<&str> {
        self.entries
            .iter()
            .filter_map(|entry| entry.name.as_deref())
            .collect()
    }

    /// Whether every issuer that was written could be named.
    pub(super) const fn are_known(&self) -> bool {
        self.is_known
    }

    /// The place of the issuer of this name.
    pub(super) fn find(&self, name: &str) -> Option<IssuerIndex> {
        let is_it = |entry: &Entry| entry.name.as_deref() == Some(name);
        let index = self.entries.iter().position(is_it)?;
        u16::try_from(index).ok().map(IssuerIndex)
    }

    /// The issuer that reads its token from the header of this twin form.
    pub(super) fn reads_header(&self, form: &str) -> Option<&str> {
        let reads = |place: &TokenPlace| match place {
            TokenPlace::Header(name) | TokenPlace::Bearer(name) => {
                header::twin_form(name.as_str()) == form
            }
            TokenPlace::Cookie(_) => false,
        };
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.places.iter().any(reads))?;
        Some(entry.name.as_deref().unwrap_or("?"))
    }

    /// All of them, where all could be read.
    pub(super) fn complete(self) -> Option<Vec<IssuerSettings>> {
        let all: Option<Vec<IssuerSettings>> = self
            .entries
            .into_iter()
            .map(|entry| entry.settings)
            .collect();
        all.filter(|issuers| !issuers.is_empty())
    }
}

pub(super) fn issuers(raw: Vec<At<RawIssuer>>, folder: &Path, report: &mut Report<'_>) -> Issuers {
    if raw.is_empty() {
        let fix = "write a section [[issuer]] with name, issuer, audience and keys: \
                   without one no token could be verified";
        report.missing("", &Place::Nowhere, "issuer", fix);
    }
    if u16::try_from(raw.len()).is_err() {
        report.refuse(
            &Place::Nowhere,
            "issuer",
            "more than 65535 sections",
            "write fewer",
        );
    }
    let mut names = HashMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (index, at) in raw.iter().enumerate() {
        let table = format!("issuer[{index}]");
        let name = value::name(
            at.value.name.as_ref(),
            (&table, &at.place),
            &mut names,
            report,
        );
        let places = places(&at.value, &table, report);
        let settings = issuer(at, &table, name.clone(), places.as_deref(), folder, report);
        let entry = Entry {
            name,
            places: places.unwrap_or_default(),
            settings,
        };
        for earlier in &entries {
            tell_apart(earlier, &entry, at, &table, report);
        }
        entries.push(entry);
    }
    let is_known = !entries.is_empty() && entries.iter().all(|entry| entry.name.is_some());
    Issuers { entries, is_known }
}

fn issuer(
    at: &At<RawIssuer>,
    table: &str,
    name: Option<Arc<str>>,
    places: Option<&[TokenPlace]>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<IssuerSettings> {
    let raw = &at.value;
    let issuer = identifier(raw, table, &at.place, report);
    let audience = audience(raw, table, &at.place, report);
    let keys = keys::source(raw, (table, &at.place), folder, report);
    let algorithms = keys::algorithms(raw, (table, &at.place), keys.as_ref(), report);
    let leeway = raw.leeway.as_ref();
    let leeway = value::duration(leeway, &join(table, "leeway"), &defaults::LEEWAY, report);
    let max_lifetime = lifetime(raw, table, places, report);
    let companions = raw.strip_headers.as_ref();
    let companions = header::patterns(companions, &join(table, "strip_headers"), report);
    let is_true = |written: &Option<At<bool>>| written.as_ref().is_some_and(|at| at.value);
    Some(IssuerSettings {
        name: name?,
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms?,
        keys: keys?,
        places: places?.to_vec(),
        token_to_upstream: if is_true(&raw.forward) {
            TokenToUpstream::Forward
        } else {
            TokenToUpstream::Remove
        },
        leeway,
        max_lifetime,
        subject: if is_true(&raw.allow_empty_subject) {
            SubjectRule::MayBeEmpty
        } else {
            SubjectRule::Required
        },
        companions,
    })
}

fn identifier(
    raw: &RawIssuer,
    table: &str,
    place: &Place,
    report: &mut Report<'_>,
) -> Option<String> {
    let Some(at) = &raw.issuer else {
        let fix = "write issuer = \"...\", the whole iss claim of its tokens";
        report.missing(table, place, "issuer", fix);
        return None;
    };
    if at.text().trim().is_empty() {
        let fix = "write the whole iss claim of its tokens";
        report.refuse(&at.place, &join(table, "issuer"), "is empty", fix);
        return None;
    }
    Some(at.value.clone())
}

fn audience(
    raw: &RawIssuer,
    table: &str,
    place: &Place,
    report: &mut Report<'_>,
) -> Option<Vec<String>> {
    let key = join(table, "audience");
    let Some(at) = &raw.audience else {
        let fix = "write audience = [\"...\"], what aud holds in tokens for this service: \
                   without it a token for any other service would do";
        report.missing(table, place, "audience", fix);
        return None;
    };
    let items: Vec<At<String>> = at.items().collect();
    let empty = items.iter().find(|item| item.text().trim().is_empty());
    if items.is_empty() || empty.is_some() {
        let place = empty.map_or(&at.place, |item| &item.place);
        let fix = "write what aud holds in tokens for this service";
        report.refuse(place, &key, "is empty", fix);
        return None;
    }
    if let Some(any) = items.iter().find(|item| item.text() == "*") {
        let text = "\"*\" is compared like any other text: nothing stands for every audience";
        report.refuse(
            &any.place,
            &key,
            text,
            "write what aud holds in tokens for this service",
        );
        return None;
    }
    Some(items.into_iter().map(|item| item.value).collect())
}

fn lifetime(
    raw: &RawIssuer,
    table: &str,
    places: Option<&[TokenPlace]>,
    report: &mut Report<'_>,
) -> Duration {
    let is_authorization = |place: &TokenPlace| match place {
        TokenPlace::Header(name) | TokenPlace::Bearer(name) => name == http::header::AUTHORIZATION,
        TokenPlace::Cookie(_) => false,
    };
    let mut bounds = defaults::MAX_LIFETIME;
    if !places.unwrap_or_default().iter().any(is_authorization) {
        bounds.default = defaults::MAX_LIFETIME_FORWARDED;
    }
    let key = join(table, "max_lifetime");
    let lifetime = value::duration(raw.max_lifetime.as_ref(), &key, &bounds, report);
    if let Some(at) = &raw.max_lifetime
        && lifetime > defaults::LONG_LIFETIME
    {
        let text = "a stolen token is good for more than a day";
        report.warn(
            &at.place,
            &key,
            text,
            "let the issuer make shorter ones, and write \"1h\"",
        );
    }
    lifetime
}

/// Refuses two issuers between which a token could not choose.
fn tell_apart(
    earlier: &Entry,
    later: &Entry,
    at: &At<RawIssuer>,
    table: &str,
    report: &mut Report<'_>,
) {
    let header = |place: &TokenPlace| match place {
        TokenPlace::Header(name) | TokenPlace::Bearer(name) => Some(name.clone()),
        TokenPlace::Cookie(_) => None,
    };
    let name = earlier.name.as_deref().unwrap_or("?");
    for place in &later.places {
        let clash = |other: &&TokenPlace| header(other) == header(place) && *other != place;
        if header(place).is_some() && earlier.places.iter().any(|other| clash(&other)) {
            let written = raw_place(&at.value).unwrap_or(&at.place);
            let text = format!("issuer {name:?} reads the same header with another scheme");
            report.refuse(
                written,
                &join(table, "scheme"),
                text,
                "write the same scheme in both",
            );
            return;
        }
    }
    let (Some(first), Some(second)) = (&earlier.settings, &later.settings) else {
        return;
    };
    let shared = second
        .places
        .iter()
        .any(|place| first.places.contains(place));
    if shared && first.issuer == second.issuer {
        let written = at
            .value
            .issuer
            .as_ref()
            .map_or(&at.place, |issuer| &issuer.place);
        let text = format!(
            "issuer {name:?} has the same iss and the same place: a token could be either's"
        );
        let fix = "write both keys into one [[issuer]], or give each its own header";
        report.refuse(written, &join(table, "issuer"), text, fix);
    }
}

fn raw_place(raw: &RawIssuer) -> Option<&Place> {
    let scheme = raw.scheme.as_ref().or(raw.header.as_ref());
    scheme.map(|at| &at.place)
}
