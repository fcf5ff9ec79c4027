//! `[identity]`: which header tells the service which claim.
//!
//! A header that already means something else, or that a service could confuse with another, is
//! refused: the service must be able to believe what it reads there.

use std::collections::HashMap;

use http::HeaderName;

use super::issuer::Issuers;
use super::{header, value};
use crate::model::ClaimPath;
use crate::settings::place::At;
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIdentity;
use crate::settings::{ArrayForm, IdentitySettings, defaults};

const TABLE: &str = "identity.headers";

pub(super) fn identity(
    at: At<RawIdentity>,
    issuers: &Issuers,
    report: &mut Report<'_>,
) -> Option<IdentitySettings> {
    let raw = at.value;
    let forms = [("join", ArrayForm::Join), ("json", ArrayForm::Json)];
    let arrays = raw.arrays.as_ref();
    let arrays = value::word(arrays, "identity.arrays", &forms, defaults::ARRAYS, report);
    let strip = raw.strip_headers.as_ref();
    let strip = header::patterns(strip, "identity.strip_headers", report);
    let mut twins = HashMap::new();
    let mut headers = Vec::new();
    let mut complete = true;
    for (name, claim) in raw.headers.map(|at| at.value).unwrap_or_default().0 {
        match pair(&name, &claim, issuers, &mut twins, report) {
            Some(pair) => headers.push(pair),
            None => complete = false,
        }
    }
    Some(IdentitySettings {
        headers: complete.then_some(headers)?,
        arrays: arrays?,
        strip,
    })
}

fn pair(
    written: &At<String>,
    claim: &At<String>,
    issuers: &Issuers,
    twins: &mut HashMap<String, String>,
    report: &mut Report<'_>,
) -> Option<(HeaderName, ClaimPath)> {
    let key = join(TABLE, written.text());
    let path = ClaimPath::parse(claim.text());
    if let Err(text) = path {
        let fix =
            "write a claim's name such as \"sub\", or a JSON Pointer such as \"/realm/roles\"";
        report.refuse(&claim.place, &key, text, fix);
    }
    let name = header::name(written, &key, report)?;
    if header::is_taken(&name) {
        let text = "this header already means something else";
        report.refuse(
            &written.place,
            &key,
            text,
            "write a name of its own, such as X-Auth-Subject",
        );
        return None;
    }
    let form = header::twin_form(name.as_str());
    if let Some(issuer) = issuers.reads_header(&form) {
        let text = format!("this header brings the token of issuer {issuer:?}");
        report.refuse(
            &written.place,
            &key,
            text,
            "write another name, such as X-Auth-Subject",
        );
        return None;
    }
    if let Some(other) = twins.insert(form, written.text().to_owned()) {
        let text = format!("many services read it and {other:?} as one");
        report.refuse(&written.place, &key, text, "keep one of the two");
        return None;
    }
    Some((name, path.ok()?))
}
