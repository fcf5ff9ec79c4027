//! `issuer.header`, `scheme` and `cookie`: where a token may stand.

use super::{header, value};
use crate::settings::place::{At, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::{TokenPlace, defaults};

#[derive(Clone, Copy)]
enum Scheme {
    Bearer,
    Bare,
}

/// At least one place, or `None` after a problem was reported.
pub(super) fn places(
    raw: &RawIssuer,
    table: &str,
    report: &mut Report<'_>,
) -> Option<Vec<TokenPlace>> {
    let mut places = Vec::new();
    // Whoever names only a cookie did not ask for a second way in.
    if raw.header.is_some() || raw.cookie.is_none() {
        places.push(header_place(raw, table, report)?);
    } else if let Some(at) = &raw.scheme {
        let fix = "take the line out, or write a header too";
        report.refuse(
            &at.place,
            &join(table, "scheme"),
            "a cookie has no scheme",
            fix,
        );
        return None;
    }
    if let Some(at) = &raw.cookie {
        places.push(cookie(at, &join(table, "cookie"), report)?);
    }
    Some(places)
}

fn header_place(raw: &RawIssuer, table: &str, report: &mut Report<'_>) -> Option<TokenPlace> {
    let key = join(table, "header");
    let written = raw.header.clone().unwrap_or_else(|| At {
        value: defaults::TOKEN_HEADER.to_owned(),
        place: Place::Nowhere,
    });
    let name = header::name(&written, &key, report)?;
    if name == http::header::COOKIE {
        let fix = "write cookie = \"...\", the cookie's name, instead";
        report.refuse(
            &written.place,
            &key,
            "a token in a cookie is read by its name",
            fix,
        );
        return None;
    }
    if header::is_framing(&name) {
        let text = format!(
            "{:?} belongs to the connection and never carries a token",
            written.text()
        );
        report.refuse(
            &written.place,
            &key,
            text,
            "write the header that the proxy sets",
        );
        return None;
    }
    let is_authorization = name == http::header::AUTHORIZATION;
    let schemes = [("Bearer", Scheme::Bearer), ("none", Scheme::Bare)];
    let default = if is_authorization { "Bearer" } else { "none" };
    let scheme = raw.scheme.as_ref();
    match value::word(scheme, &join(table, "scheme"), &schemes, default, report)? {
        Scheme::Bearer => Some(TokenPlace::Bearer(name)),
        Scheme::Bare => Some(TokenPlace::Header(name)),
    }
}

/// A cookie's name: a token (RFC 6265 4.1.1, RFC 9110 5.6.2).
fn cookie(at: &At<String>, key: &str, report: &mut Report<'_>) -> Option<TokenPlace> {
    let text = at.text();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.is_empty() || !text.bytes().all(token) {
        let said = if text.is_empty() {
            "is empty".to_owned()
        } else {
            format!("{text:?} is no name of a cookie")
        };
        let fix = "write the name alone, without '=', ';' or spaces: \"CF_Authorization\"";
        report.refuse(&at.place, key, said, fix);
        return None;
    }
    Some(TokenPlace::Cookie(text.to_owned()))
}
