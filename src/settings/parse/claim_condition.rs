//! `route.claims`: what must be true of a claim.
//!
//! A condition that says nothing, or that nothing can fulfil, is refused.

use std::cmp::Ordering;

use serde_json::Value;

use super::marks;
use crate::model::ClaimPath;
use crate::settings::place::At;
use crate::settings::problem::{Report, join};
use crate::settings::raw_route::{Named, RawCondition, Scalars};
use crate::settings::{ClaimCondition, ClaimTest, Glob, Scalar};

type ListTest = fn(Vec<Scalar>) -> ClaimTest;

pub(super) fn conditions(
    written: Option<&At<Named<RawCondition>>>,
    table: &str,
    report: &mut Report<'_>,
) -> Option<Vec<ClaimCondition>> {
    let Some(at) = written else {
        return Some(Vec::new());
    };
    let members = &at.value.0;
    if members.is_empty() && !report.has_gap(table) {
        let fix = "write for example { groups = { any = [\"admins\"] } }, or take the line out";
        report.refuse(&at.place, table, "is empty", fix);
    }
    let parsed: Vec<_> = members
        .iter()
        .map(|(claim, tests)| condition(claim, tests, table, report))
        .collect();
    parsed.into_iter().collect()
}

fn condition(
    claim: &At<String>,
    at: &At<RawCondition>,
    table: &str,
    report: &mut Report<'_>,
) -> Option<ClaimCondition> {
    let key = join(table, claim.text());
    let path = ClaimPath::parse(claim.text());
    if let Err(text) = path {
        let fix =
            "write a claim's name such as \"groups\", or a JSON Pointer such as \"/realm/roles\"";
        report.refuse(&claim.place, &key, text, fix);
    }
    let raw = &at.value;
    let mut tests = Vec::new();
    if let Some(at) = &raw.equals {
        finite(at, &join(&key, "equals"), report);
        tests.push(ClaimTest::Equals(at.value.clone()));
    }
    let lists: [(_, _, ListTest); 3] = [
        ("any", &raw.any, ClaimTest::Any),
        ("all", &raw.all, ClaimTest::All),
        ("none", &raw.none, ClaimTest::None),
    ];
    for (name, list, test) in lists {
        if let Some(at) = list {
            tests.push(test(scalars(at, &join(&key, name), report)));
        }
    }
    if let Some(at) = &raw.present {
        tests.push(ClaimTest::Present(at.value));
    }
    tests.extend(bounds(raw, &key, report));
    if raw.pattern.is_some() {
        let globs = marks::list(raw.pattern.as_ref(), &join(&key, "pattern"), glob, report);
        let globs = globs.into_iter().map(|(glob, _)| glob).collect();
        tests.push(ClaimTest::Pattern(globs));
    }
    if let Some(at) = &raw.present
        && !at.value
        && tests.len() > 1
    {
        let text = "a claim that must not be there cannot be anything else";
        report.refuse(
            &at.place,
            &join(&key, "present"),
            text,
            "keep one of the two",
        );
    }
    if tests.is_empty() && !report.has_gap(&key) {
        let fix = "write one of equals, any, all, none, present, min, max and pattern";
        report.refuse(&at.place, &key, "says nothing", fix);
    }
    let path = path.ok()?;
    Some(ClaimCondition { path, tests })
}

fn scalars(at: &At<Scalars>, key: &str, report: &mut Report<'_>) -> Vec<Scalar> {
    let values: Vec<At<Scalar>> = at.values().collect();
    if values.is_empty() {
        let fix = "write at least one element, or take the line out";
        report.refuse(&at.place, key, "is empty", fix);
    }
    for value in &values {
        finite(value, key, report);
    }
    values.into_iter().map(|at| at.value).collect()
}

fn bounds(raw: &RawCondition, key: &str, report: &mut Report<'_>) -> Vec<ClaimTest> {
    let mut tests = Vec::new();
    for (name, bound) in [("min", &raw.min), ("max", &raw.max)] {
        let Some(at) = bound else { continue };
        let key = join(key, name);
        finite(at, &key, report);
        if matches!(at.value, Scalar::Text(_) | Scalar::Bool(_)) {
            let fix = format!("write a number: {name} = 3");
            report.refuse(&at.place, &key, "is no number", fix);
        }
        let value = at.value.clone();
        tests.push(if name == "min" {
            ClaimTest::Min(value)
        } else {
            ClaimTest::Max(value)
        });
    }
    if let (Some(min), Some(max)) = (&raw.min, &raw.max)
        && as_claim(&max.value).is_some_and(|max| min.value.compare(&max) == Some(Ordering::Less))
    {
        let fix = "write a max that is not below min";
        report.refuse(&max.place, &join(key, "max"), "is below min", fix);
    }
    tests
}

fn as_claim(number: &Scalar) -> Option<Value> {
    match number {
        Scalar::Integer(whole) => Some((*whole).into()),
        Scalar::Float(fraction) => serde_json::Number::from_f64(*fraction).map(Value::Number),
        Scalar::Text(_) | Scalar::Bool(_) => None,
    }
}

/// TOML knows `nan` and `inf`; a claim is never one of them.
fn finite(at: &At<Scalar>, key: &str, report: &mut Report<'_>) {
    if matches!(at.value, Scalar::Float(number) if !number.is_finite()) {
        report.refuse(&at.place, key, "is no number", "write a finite number");
    }
}

fn glob(text: &str) -> Result<Glob, marks::Flaw> {
    Glob::parse(text).ok_or_else(|| {
        let fix = format!("write equals = {text:?}, or a * for any run of characters");
        ("has no *".to_owned(), fix)
    })
}
