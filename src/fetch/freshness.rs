//! What an answer says about when to ask again (RFC 9111 5.2.2, RFC 9110 10.2.3).
//!
//! Only what makes a schedule; whether the server is believed, and how far, is the schedule's.

use std::time::Duration;

use http::header::{AGE, CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

/// How long a document may be used without asking again; `None` where the server does not say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Freshness(pub Option<Duration>);

impl Freshness {
    /// Reads `Cache-Control` and `Age`. `no-cache` and `no-store` are no time at all; of two
    /// `max-age` the shorter one counts, and one that is no number is none at all.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let mut lifetime: Option<u64> = None;
        for value in headers.get_all(CACHE_CONTROL) {
            for directive in value.to_str().unwrap_or("no-cache").split(',') {
                let found = directive_seconds(directive.trim());
                lifetime = lifetime.into_iter().chain(found).min();
            }
        }
        let age = headers.get(AGE).and_then(|age| age.to_str().ok());
        let age = age.and_then(|age| age.trim().parse().ok()).unwrap_or(0);
        Self(lifetime.map(|seconds| Duration::from_secs(seconds.saturating_sub(age))))
    }
}

fn directive_seconds(directive: &str) -> Option<u64> {
    let (name, value) = directive
        .split_once('=')
        .map_or((directive, None), |(name, value)| (name, Some(value)));
    let is = |wanted: &str| name.trim().eq_ignore_ascii_case(wanted);
    if is("no-cache") || is("no-store") {
        return Some(0);
    }
    if !is("max-age") {
        return None;
    }
    let digits = value.unwrap_or_default().trim().trim_matches('"');
    // RFC 9111 4.2.1: what cannot be understood is stale.
    Some(digits.parse().unwrap_or(0))
}

/// `Retry-After` in seconds, of an answer that means it. The form with a date is not read: it would
/// need both clocks to agree, and the back-off is sound without it.
#[must_use]
pub fn retry_after(status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let busy = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if !busy.contains(&status) {
        return None;
    }
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn fresh(cache_control: &[&str], age: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in cache_control {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(value).unwrap());
        }
        if let Some(age) = age {
            headers.insert(AGE, HeaderValue::from_str(age).unwrap());
        }
        Freshness::of(&headers).0.map(|time| time.as_secs())
    }

    #[test]
    fn the_server_says_how_long_a_document_is_fresh() {
        for (cache_control, age, expected) in [
            (&[][..], None, None),
            (&["public"], None, None),
            (&["max-age=60"], None, Some(60)),
            (&["public, Max-Age=60, must-revalidate"], None, Some(60)),
            (&["max-age=60"], Some("45"), Some(15)),
            (&["max-age=60"], Some("90"), Some(0)),
            (&["max-age=60"], Some("old"), Some(60)),
            (&["max-age=60, max-age=30"], None, Some(30)),
            (&["max-age=60", "no-store"], None, Some(0)),
            (&["no-cache"], None, Some(0)),
            (&["max-age=\"60\""], None, Some(60)),
            (&["max-age=-1"], None, Some(0)),
            (&["max-age"], None, Some(0)),
            (&["s-maxage=60"], None, None),
        ] {
            assert_eq!(
                fresh(cache_control, age),
                expected,
                "{cache_control:?} {age:?}"
            );
        }
    }

    #[test]
    fn only_a_busy_server_is_left_alone_for_as_long_as_it_asks() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("120"));
        let asked = |status| retry_after(status, &headers);
        assert_eq!(
            asked(StatusCode::SERVICE_UNAVAILABLE),
            Some(Duration::from_secs(120))
        );
        assert_eq!(
            asked(StatusCode::TOO_MANY_REQUESTS),
            Some(Duration::from_secs(120))
        );
        assert_eq!(asked(StatusCode::NOT_FOUND), None);
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reading_fail(value in "[ -~]{0,80}", age in "[ -~]{0,20}") {
            let _ = fresh(&[&value], Some(&age));
        }
    }
}
