//! `[[issuer]]`: whose tokens are believed, and what they must be.
//!
//! Two mistakes here would open the gate: a symmetric algorithm beside public keys, and two issuers
//! that a token cannot be told apart by. Both are refused.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::preset::{self, Filled};
use super::single_use::single_use;
use super::token_place::places;
use super::{header, key_source, keys, token, value};
use crate::settings::place::{At, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::{
    HeaderPattern, IssuerIndex, IssuerSettings, SubjectRule, TokenPlace, TokenToUpstream, defaults,
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
    for (index, mut at) in raw.into_iter().enumerate() {
        let table = format!("issuer[{index}]");
        let preset = preset::fill(&mut at.value, &table, report);
        let at = &at;
        let name = value::name(
            at.value.name.as_ref(),
            (&table, &at.place),
            &mut names,
            report,
        );
        let places = places(&at.value, &table, report);
        let known = (name.clone(), preset);
        let settings = issuer(at, &table, known, places.as_deref(), folder, report);
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
    (name, preset): (Option<Arc<str>>, Option<Filled>),
    places: Option<&[TokenPlace]>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<IssuerSettings> {
    let raw = &at.value;
    let maker = token::maker(raw, table, &at.place, report);
    let keys = key_source::source(raw, (table, &at.place), folder, report);
    let audience = token::audience(raw, (table, &at.place), keys.as_ref(), report);
    let form = token::form(raw, (table, &at.place), report);
    let types = token::types(raw, table, report);
    let sender = token::sender(raw, table, report);
    let algorithms = keys::algorithms(raw, (table, &at.place), keys.as_ref(), report);
    let leeway = raw.leeway.as_ref();
    let leeway = value::duration(leeway, &join(table, "leeway"), &defaults::LEEWAY, report);
    let grace = raw.stream_grace.as_ref();
    let bounds = &defaults::STREAM_GRACE;
    let stream_grace = value::duration(grace, &join(table, "stream_grace"), bounds, report);
    let single_use = single_use(raw.single_use.as_ref(), table, report);
    let max_lifetime = lifetime(raw, table, places, report);
    let companions = raw.strip_headers.as_ref();
    let mut companions = header::patterns(companions, &join(table, "strip_headers"), report);
    // What one configuration sends beside its token is another's token: then it is no companion.
    companions.retain(|pattern| {
        !places
            .unwrap_or_default()
            .iter()
            .any(|at| stands(at, pattern))
    });
    let enforce = raw.enforce.as_ref();
    let enforcement = value::enforcement(enforce, &join(table, "enforce"), report);
    let is_true = |written: &Option<At<bool>>| written.as_ref().is_some_and(|at| at.value);
    Some(IssuerSettings {
        name: name?,
        preset: preset.map(|filled| (filled.preset, filled.keys)),
        maker: maker?,
        audience: audience?,
        form: form?,
        types: types?,
        sender: sender?,
        algorithms: algorithms?,
        keys: keys?,
        places: places?.to_vec(),
        token_to_upstream: if is_true(&raw.forward) {
            TokenToUpstream::Forward
        } else {
            TokenToUpstream::Remove
        },
        leeway,
        stream_grace,
        single_use: single_use?,
        max_lifetime,
        subject: if is_true(&raw.allow_empty_subject) {
            SubjectRule::MayBeEmpty
        } else {
            SubjectRule::Required
        },
        enforcement: enforcement?,
        companions,
    })
}

/// Whether the token's own header is what a pattern names.
fn stands(place: &TokenPlace, pattern: &HeaderPattern) -> bool {
    match (place, pattern) {
        (TokenPlace::Header(name) | TokenPlace::Bearer(name), HeaderPattern::Name(other)) => {
            header::twin_form(name.as_str()) == header::twin_form(other)
        }
        (TokenPlace::Cookie(_), _) | (_, HeaderPattern::Prefix(_)) => false,
    }
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
    if shared && first.maker.overlaps(&second.maker) {
        let named = at.value.issuer.as_ref().or(at.value.trust_domain.as_ref());
        let written = named.map_or(&at.place, |named| &named.place);
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
