//! What a route asks for, what was there, and what to change about it.

use serde_json::Value;

use super::evidence::{Evidence, said};
use super::facts::Facts;
use super::words::{array, claim, list, quoted};
use crate::settings::{ClaimTest, Scalar};

// === Evidence ===

pub(super) fn found(facts: &Facts<'_>) -> Evidence {
    let head = facts.request;
    let host = head.headers().get(http::header::HOST);
    let host = host.map_or_else(String::new, |host| {
        String::from_utf8_lossy(host.as_bytes()).into_owned()
    });
    let routes = &facts.settings.routes;
    let expected = match (&facts.known.route, routes.is_empty()) {
        (Some(name), _) => format!("route {}", quoted(name)),
        (None, true) => "no [[route]]: every path needs a good token".to_owned(),
        (None, false) => format!("one of {}", list(routes.iter().map(|route| &*route.name))),
    };
    let path = quoted(head.uri().path());
    said(
        format!("{} {path} at {}", head.method(), quoted(&host)),
        expected,
    )
}

pub(super) fn peer(facts: &Facts<'_>) -> Evidence {
    let name = facts.peer.as_ref().map_or("?", |peer| &**peer.name());
    let peers = facts.route().map(|route| &*route.peers).unwrap_or_default();
    said(quoted(name), any_or(peers))
}

pub(super) fn issuer(facts: &Facts<'_>) -> Evidence {
    said(quoted(facts.issuer_name()), any_or(&issuers(facts)))
}

pub(super) fn scope(facts: &Facts<'_>) -> Evidence {
    let needed = facts
        .route()
        .map(|route| &*route.scopes)
        .unwrap_or_default();
    let found = format!("scope {}, scp {}", facts.claim("scope"), facts.claim("scp"));
    let expected = if needed.is_empty() {
        "none".to_owned()
    } else {
        format!("all of {}", list(needed))
    };
    said(found, expected)
}

pub(super) fn claims(facts: &Facts<'_>) -> Evidence {
    let conditions = facts
        .route()
        .map(|route| &*route.claims)
        .unwrap_or_default();
    let mut found = Vec::new();
    let mut expected = Vec::new();
    for condition in conditions {
        let path = condition.path.to_string();
        found.push(format!("{path} is {}", claim(at(facts, &path))));
        let tests: Vec<String> = condition.tests.iter().map(test).collect();
        expected.push(format!("{path}: {}", tests.join(" and ")));
    }
    if expected.is_empty() {
        return said("", "nothing");
    }
    said(found.join("; "), expected.join("; "))
}

fn any_or<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() {
        "any".to_owned()
    } else {
        format!("one of {}", list(names))
    }
}

fn issuers(facts: &Facts<'_>) -> Vec<String> {
    let indices = facts
        .route()
        .map(|route| &*route.issuers)
        .unwrap_or_default();
    let names = indices
        .iter()
        .filter_map(|it| facts.settings.issuer_name(*it));
    names.map(|name| name.to_string()).collect()
}

/// A claim as the token says it: a JSON Pointer, or the name of a top-level claim.
fn at<'f>(facts: &'f Facts<'_>, path: &str) -> Option<&'f Value> {
    let token = facts.token()?;
    let Some(pointer) = path.strip_prefix('/') else {
        return token.claim(path);
    };
    let (first, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
    let name = first.replace("~1", "/").replace("~0", "~");
    let top = token.claim(&name)?;
    if rest.is_empty() {
        Some(top)
    } else {
        top.pointer(&format!("/{rest}"))
    }
}

fn test(test: &ClaimTest) -> String {
    let all = |scalars: &[Scalar]| scalars.iter().map(scalar).collect::<Vec<_>>().join(", ");
    match test {
        ClaimTest::Equals(one) => format!("equals {}", scalar(one)),
        ClaimTest::Any(some) => format!("any of [{}]", all(some)),
        ClaimTest::All(some) => format!("all of [{}]", all(some)),
        ClaimTest::None(some) => format!("none of [{}]", all(some)),
        ClaimTest::Present(true) => "present".to_owned(),
        ClaimTest::Present(false) => "absent".to_owned(),
        ClaimTest::Min(bound) => format!("at least {}", scalar(bound)),
        ClaimTest::Max(bound) => format!("at most {}", scalar(bound)),
        ClaimTest::Pattern(globs) => format!("of one of {} patterns", globs.len()),
    }
}

fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => quoted(text),
        Scalar::Integer(number) => number.to_string(),
        Scalar::Float(number) => number.to_string(),
        Scalar::Bool(value) => value.to_string(),
    }
}

// === Fixes ===

pub(super) fn fix_unmatched(facts: &Facts<'_>) -> String {
    let head = facts.request;
    format!(
        "no [[route]] is for {} {}: write one with path = {} (the first that matches wins), or look \
         whether method, host, upper case or a slash at the end differs from the one you mean",
        head.method(),
        quoted(head.uri().path()),
        array([head.uri().path()])
    )
}

pub(super) fn fix_peer(facts: &Facts<'_>) -> String {
    let Evidence { found, expected } = peer(facts);
    format!(
        "the route is for {expected}: if {found} may use it, write it into peers of {}",
        name(facts)
    )
}

pub(super) fn fix_issuer(facts: &Facts<'_>) -> String {
    let Evidence { found, expected } = issuer(facts);
    format!(
        "the route is for tokens of {expected}: if those of {found} are good here, write it into \
         issuers of {}",
        name(facts)
    )
}

pub(super) fn fix_scope(facts: &Facts<'_>) -> String {
    let Evidence { found, expected } = scope(facts);
    format!(
        "the token has {found}, and {} asks for {expected}: let the client ask its issuer for them",
        name(facts)
    )
}

pub(super) fn fix_claims(facts: &Facts<'_>) -> String {
    let Evidence { found, expected } = claims(facts);
    format!(
        "{found}; {} asks for {expected}: give the user what it takes, or change claims there",
        name(facts)
    )
}

fn name(facts: &Facts<'_>) -> String {
    let name = facts.known.route.as_deref().unwrap_or("?");
    format!("[[route]] {}", quoted(name))
}
