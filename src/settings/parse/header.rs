//! Header names in settings: which exist, which belong to HTTP, which are twins.

use http::HeaderName;

use crate::settings::HeaderPattern;
use crate::settings::place::{At, List};
use crate::settings::problem::Report;

/// Fields that belong to one hop (RFC 9110 7.6.1) or frame the message: nobody's to set or strip.
const FRAMING: [&str; 13] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields that say something else already, to the service or to the next program.
const TAKEN: [&str; 18] = [
    "authorization",
    "client-cert",
    "client-cert-chain",
    "content-encoding",
    "content-type",
    "cookie",
    "forwarded",
    "range",
    "traceparent",
    "tracestate",
    "via",
    "www-authenticate",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// Whether `name`, or its twin, is a field of the connection or the message's frame.
pub(super) fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(&twin_form(name.as_str()).as_str())
}

/// Whether `name`, or its twin, already means something to the service.
pub(super) fn is_taken(name: &HeaderName) -> bool {
    is_framing(name) || TAKEN.contains(&twin_form(name.as_str()).as_str())
}

/// The form that twins share: many servers read `X_User` and `X-User` as one (CGI, RFC 3875 4.1.18).
pub(super) fn twin_form(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// A header name.
pub(super) fn name(at: &At<String>, key: &str, report: &mut Report<'_>) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(at.text().as_bytes());
    if parsed.is_err() {
        let fix = "write letters, digits and '-', such as X-Auth-Subject";
        report.refuse(
            &at.place,
            key,
            format!("{:?} is no header name", at.text()),
            fix,
        );
    }
    parsed.ok()
}

/// A list of names and of patterns that end with `*`.
pub(super) fn patterns(
    written: Option<&At<List>>,
    key: &str,
    report: &mut Report<'_>,
) -> Vec<HeaderPattern> {
    let Some(at) = written else {
        return Vec::new();
    };
    let mut patterns = Vec::new();
    for item in at.items() {
        match pattern(item.text()) {
            Ok(pattern) => patterns.push(pattern),
            Err((text, fix)) => {
                report.refuse(&item.place, key, format!("{:?} {text}", item.text()), fix);
            }
        }
    }
    patterns
}

fn pattern(text: &str) -> Result<HeaderPattern, (&'static str, &'static str)> {
    let (start, is_prefix) = match text.strip_suffix('*') {
        Some(start) => (start, true),
        None => (text, false),
    };
    if start.contains('*') {
        return Err((
            "has a * before its end",
            "write the * last, or list every name",
        ));
    }
    if is_prefix && start.is_empty() {
        return Err((
            "would strip every header",
            "write the start of the names before the *",
        ));
    }
    let Ok(name) = HeaderName::from_bytes(start.as_bytes()) else {
        return Err((
            "is no header name",
            "write letters, digits and '-', and a * only at the end",
        ));
    };
    let start = name.as_str();
    // A pattern takes the twins too, so `content_length` would take `content-length`.
    let form = twin_form(start);
    let hits = FRAMING.iter().any(|field| {
        if is_prefix {
            field.starts_with(&form)
        } else {
            *field == form
        }
    });
    if hits {
        return Err((
            "would strip a header that HTTP itself needs",
            "write a longer name",
        ));
    }
    let start = start.to_owned();
    Ok(if is_prefix {
        HeaderPattern::Prefix(start)
    } else {
        HeaderPattern::Name(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_prefixes_are_read_in_lower_case() {
        let name = HeaderPattern::Name("x-user".to_owned());
        assert_eq!(pattern("X-User"), Ok(name));
        let prefix = HeaderPattern::Prefix("x-claim-".to_owned());
        assert_eq!(pattern("X-Claim-*"), Ok(prefix));
    }

    #[test]
    fn a_pattern_that_would_break_the_message_is_refused() {
        for (text, said) in [
            ("*", "every header"),
            ("", "no header name"),
            ("x-*-y", "before its end"),
            ("x y", "no header name"),
            ("Host", "HTTP itself"),
            ("content_length", "HTTP itself"),
            ("c*", "HTTP itself"),
            ("transfer_*", "HTTP itself"),
        ] {
            let (flaw, _) = pattern(text).unwrap_err();
            assert!(flaw.contains(said), "{text}: {flaw}");
        }
    }

    #[test]
    fn a_twin_is_as_taken_as_its_original() {
        for (name, framing, taken) in [
            ("content_length", true, true),
            ("transfer-encoding", true, true),
            ("x_forwarded_for", false, true),
            ("authorization", false, true),
            ("x-auth-subject", false, false),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(
                (is_framing(&name), is_taken(&name)),
                (framing, taken),
                "{name}"
            );
        }
    }
}
