//! `[identity]`: which header tells the service which claim, and which the peer's certificate.
//!
//! A header that already means something else, or that a service could confuse with another, is
//! refused: the service must be able to believe what it reads there.

use std::collections::HashMap;

use http::HeaderName;

use super::issuer::Issuers;
use super::{header, value};
use crate::model::ClaimPath;
use crate::settings::place::{At, List};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIdentity;
use crate::settings::{ArrayForm, CertificateForm, ClaimsHeader, IdentitySettings, defaults};

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
    let claims = claims(raw.claims_header, raw.claims, issuers, &mut twins, report);
    let client_cert = client_cert(raw.client_cert.as_ref(), report);
    Some(IdentitySettings {
        headers: complete.then_some(headers)?,
        arrays: arrays?,
        claims: claims?,
        client_cert: client_cert?,
        strip,
    })
}

/// The header of all claims: `Some(None)` where there is none.
fn claims(
    header: Option<At<String>>,
    only: Option<At<List>>,
    issuers: &Issuers,
    twins: &mut HashMap<String, String>,
    report: &mut Report<'_>,
) -> Option<Option<ClaimsHeader>> {
    let key = "identity.claims";
    let Some(header) = header else {
        if let Some(at) = &only {
            let fix = "write claims_header = \"X-Auth-Claims\" too, or take the line out";
            report.refuse(&at.place, key, "there is no header to hold them", fix);
            return None;
        }
        return Some(None);
    };
    let name = free_name(&header, "identity.claims_header", issuers, twins, report);
    let only = match &only {
        None => None,
        Some(at) => {
            let names: Vec<String> = at.items().map(|item| item.value).collect();
            if names.is_empty() || names.iter().any(String::is_empty) {
                let fix = "name at least one claim, or take the line out for all";
                report.refuse(&at.place, key, "is empty", fix);
                return None;
            }
            Some(names)
        }
    };
    Some(Some(ClaimsHeader { name: name?, only }))
}

fn client_cert(
    written: Option<&At<List>>,
    report: &mut Report<'_>,
) -> Option<Vec<CertificateForm>> {
    let words = [
        ("client-cert", CertificateForm::ClientCert),
        ("xfcc", CertificateForm::Xfcc),
    ];
    let mut forms = Vec::new();
    for item in written.iter().flat_map(|at| at.items()) {
        let form = value::word(Some(&item), "identity.client_cert", &words, "", report)?;
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    Some(forms)
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
    let name = free_name(written, &key, issuers, twins, report)?;
    Some((name, path.ok()?))
}

/// The name of a header that nobody else uses, and that no service could take for another.
fn free_name(
    written: &At<String>,
    key: &str,
    issuers: &Issuers,
    twins: &mut HashMap<String, String>,
    report: &mut Report<'_>,
) -> Option<HeaderName> {
    let name = header::name(written, key, report)?;
    if header::is_taken(&name) {
        let text = "this header already means something else";
        report.refuse(
            &written.place,
            key,
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
            key,
            text,
            "write another name, such as X-Auth-Subject",
        );
        return None;
    }
    if let Some(other) = twins.insert(form, written.text().to_owned()) {
        let text = format!("many services read it and {other:?} as one");
        report.refuse(&written.place, key, text, "keep one of the two");
        return None;
    }
    Some(name)
}
