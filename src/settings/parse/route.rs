//! `[[route]]` and `[paths]`: which requests a rule is for, and what it asks of them.
//!
//! A rule that could never match, or that asks for what cannot be had, is refused here: whoever wrote
//! it believes that it protects something.

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use super::issuer::Issuers;
use super::marks::{self, Flaw};
use super::{claim_condition, path_pattern, route_lint, value};
use crate::settings::place::{At, List};
use crate::settings::problem::{Report, join};
use crate::settings::raw_route::{RawPaths, RawRoute};
use crate::settings::suggest::instead;
use crate::settings::{
    HostPattern, IssuerIndex, PathSettings, PeerSettings, Requirement, RouteSettings, defaults,
};

const LONGEST_HOST: usize = 253;

pub(super) fn paths(
    written: Option<&At<RawPaths>>,
    has_routes: bool,
    report: &mut Report<'_>,
) -> Option<PathSettings> {
    let words = [
        ("refuse", PathSettings::Refuse),
        ("normalise", PathSettings::Normalise),
    ];
    match written.and_then(|at| at.value.ambiguous.as_ref()) {
        Some(at) => value::word(Some(at), "paths.ambiguous", &words, "refuse", report),
        // Without a rule about paths there is none to walk around, and no service is to lose paths
        // that it had before the gate.
        None if !has_routes => Some(PathSettings::Untouched),
        None => Some(PathSettings::Refuse),
    }
}

/// Whom a route may name.
struct Known<'a> {
    peers: Option<&'a [PeerSettings]>,
    issuers: &'a Issuers,
}

pub(super) fn routes(
    raw: &[At<RawRoute>],
    peers: Option<&[PeerSettings]>,
    issuers: &Issuers,
    report: &mut Report<'_>,
) -> Option<Vec<RouteSettings>> {
    let mut names = HashMap::new();
    let known = Known { peers, issuers };
    let parsed: Vec<Option<RouteSettings>> = raw
        .iter()
        .enumerate()
        .map(|(index, at)| {
            let table = format!("route[{index}]");
            let name = match &at.value.name {
                Some(name) => value::name(Some(name), (&table, &at.place), &mut names, report),
                None => Some(table.as_str().into()),
            };
            let route = route(at, &table, name, &known, report)?;
            route_lint::open(&route, at, &table, report);
            route_lint::unmet(&route, peers?, at, &table, report);
            Some(route)
        })
        .collect();
    let routes: Vec<RouteSettings> = parsed.into_iter().collect::<Option<_>>()?;
    route_lint::shadowed(&routes, raw, report);
    Some(routes)
}

fn route(
    at: &At<RawRoute>,
    table: &str,
    name: Option<Arc<str>>,
    known: &Known<'_>,
    report: &mut Report<'_>,
) -> Option<RouteSettings> {
    let raw = &at.value;
    let key = |name: &str| join(table, name);
    if raw.path.is_none() {
        let fix = "write path = [\"/...\"]: which paths the rule is for; \"/**\" is every path";
        report.missing(table, &at.place, "path", fix);
    }
    let paths = marks::list(raw.path.as_ref(), &key("path"), path_pattern::parse, report);
    let methods = marks::list(raw.method.as_ref(), &key("method"), method, report);
    let hosts = marks::list(raw.host.as_ref(), &key("host"), host, report);
    let scopes = marks::list(raw.scope.as_ref(), &key("scope"), scope, report);
    let words = [("token", Requirement::Token), ("peer", Requirement::Peer)];
    let require = raw.require.as_ref();
    let require = value::word(require, &key("require"), &words, defaults::REQUIRE, report)?;
    let peers = peers(raw.peers.as_ref(), &key("peers"), known, report);
    let issuers = issuers(raw.issuers.as_ref(), &key("issuers"), known.issuers, report);
    let claims = claim_condition::conditions(raw.claims.as_ref(), &key("claims"), report)?;
    let enforcement = value::enforcement(raw.enforce.as_ref(), &key("enforce"), report);
    if require == Requirement::Peer {
        without_token(raw, table, report);
    }
    let values = |list: Vec<(_, _)>| list.into_iter().map(|(value, _)| value).collect();
    Some(RouteSettings {
        name: name?,
        paths: paths.into_iter().map(|(path, _)| path).collect(),
        methods: methods.into_iter().map(|(method, _)| method).collect(),
        hosts: hosts.into_iter().map(|(host, _)| host).collect(),
        require,
        peers: peers?,
        issuers: issuers?,
        scopes: values(scopes),
        claims,
        enforcement: enforcement?,
    })
}

/// What speaks of a token, where none is asked for.
fn without_token(raw: &RawRoute, table: &str, report: &mut Report<'_>) {
    let claims = raw.claims.as_ref().map(|at| ("claims", &at.place));
    let list = |name, list: &Option<At<List>>| list.as_ref().map(|at| (name, at.place.clone()));
    let lists = [list("issuers", &raw.issuers), list("scope", &raw.scope)];
    let claims = claims.map(|(name, place)| (name, place.clone()));
    for (name, place) in lists.into_iter().flatten().chain(claims) {
        let text = "asks for something of a token, and the route asks for none";
        let fix = "take it out, or take out require = \"peer\"";
        report.refuse(&place, &join(table, name), text, fix);
    }
}

fn peers(
    written: Option<&At<List>>,
    key: &str,
    known: &Known<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<Arc<str>>> {
    // Where the peers themselves are in disorder, which of them exist is not known.
    let peers = known.peers?;
    let names: Vec<&str> = peers.iter().map(|peer| &*peer.name).collect();
    let find = |text: &str| {
        let found = peers.iter().find(|peer| *peer.name == *text);
        found.map(|peer| Arc::clone(&peer.name)).ok_or_else(|| {
            let fix = instead(text, &names, "the peers are");
            ("is no [[peer]]".to_owned(), fix)
        })
    };
    let found = marks::list(written, key, find, report);
    Some(found.into_iter().map(|(name, _)| name).collect())
}

fn issuers(
    written: Option<&At<List>>,
    key: &str,
    known: &Issuers,
    report: &mut Report<'_>,
) -> Option<Vec<IssuerIndex>> {
    if !known.are_known() {
        return None;
    }
    let find = |text: &str| {
        known.find(text).ok_or_else(|| {
            let fix = instead(text, &known.names(), "the issuers are");
            ("is no [[issuer]]".to_owned(), fix)
        })
    };
    let found = marks::list(written, key, find, report);
    Some(found.into_iter().map(|(index, _)| index).collect())
}

/// RFC 9110 9.1: case matters, and all that are in use are in upper case.
fn method(text: &str) -> Result<Method, Flaw> {
    let flaw = |text: &str, fix: &str| Err((text.to_owned(), fix.to_owned()));
    if text == "CONNECT" {
        return flaw("never arrives", "write GET: a WebSocket is one");
    }
    let upper = text.to_ascii_uppercase();
    if upper != text {
        return flaw("is not in upper case", &format!("write {upper:?}"));
    }
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) => Ok(method),
        Err(_) => flaw("is no method", "write for example \"GET\""),
    }
}

fn host(text: &str) -> Result<HostPattern, Flaw> {
    let flaw = |text: &str, fix: String| Err((text.to_owned(), fix));
    let lower = text.to_ascii_lowercase();
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    if name.contains('*') {
        let fix = "write \"*.example.com\" for one label, or list every host".to_owned();
        return flaw("has a * that is not its whole first label", fix);
    }
    if let Some(bare) = name.strip_suffix('.') {
        return flaw("ends in a dot", format!("write {bare:?}"));
    }
    let is_v6 = name.starts_with('[') && name.ends_with(']');
    if !is_v6 && let Some((before, _)) = lower.split_once(':') {
        return flaw("has a port", format!("write {before:?}: every port fits"));
    }
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_')
            || is_v6 && matches!(byte, b'[' | b']' | b':')
    };
    let has_gap = name.split('.').any(str::is_empty);
    if has_gap || name.len() > LONGEST_HOST || !name.bytes().all(plain) {
        return flaw(
            "is no host",
            "write for example \"app.example.com\"".to_owned(),
        );
    }
    Ok(match lower.strip_prefix('*') {
        Some(parent) => HostPattern::Below(parent.to_owned()),
        None => HostPattern::Whole(lower),
    })
}

/// RFC 6749 3.3
fn scope(text: &str) -> Result<String, Flaw> {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if !text.is_empty() && text.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    let parts: Vec<&str> = text.split_whitespace().collect();
    let fix = if parts.len() > 1 {
        format!("write each for itself: {parts:?}")
    } else {
        "write the name of one scope".to_owned()
    };
    Err(("is no scope".to_owned(), fix))
}
