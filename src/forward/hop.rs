//! What belongs to one connection only and is never passed on (RFC 9110 7.6.1), in both directions.

use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// All that [`remove`] reads or removes by name.
static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    HTTP2_SETTINGS,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the hop-by-hop fields of a request asked for, read before they were removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Asked {
    /// `Upgrade: websocket`, named by `Connection`.
    pub(super) websocket: bool,
    /// `TE: trailers`: the caller can read trailers.
    pub(super) trailers: bool,
}

/// Removes the hop-by-hop fields and those that `Connection` names; never the `Host`, by which the
/// request was judged and which the service must see as well (RFC 9110 7.6.1 has no sender name it).
///
/// SECURITY: this runs before any field of ours is set. Otherwise a caller could write
/// `Connection: x-auth-subject` and have the proof removed again. Guarded by
/// `a_field_named_by_connection_is_removed_before_ours_are_set`.
pub(super) fn remove(headers: &mut HeaderMap) -> Asked {
    // Most heads have none: one look at the names that are there is cheaper than one for each of these.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return Asked::default();
    }
    let asked = read(headers);
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(tokens)
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        // SECURITY: guarded by `a_host_that_connection_names_stays`.
        .filter(|name| name != HOST)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    asked
}

fn read(headers: &HeaderMap) -> Asked {
    let names = |field: HeaderName, wanted: &[u8]| {
        headers
            .get_all(field)
            .iter()
            .any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case(wanted)))
    };
    // SECURITY: of all upgrades only a WebSocket is passed on, and only alone. Above all not `h2c`:
    // behind it further requests would reach the upstream unjudged. Guarded by
    // `an_upgrade_to_anything_but_websocket_is_not_passed_on`.
    let mut upgrades = headers.get_all(UPGRADE).iter().flat_map(tokens);
    let only_websocket = upgrades.next().is_some_and(is_websocket) && upgrades.next().is_none();
    Asked {
        websocket: only_websocket && names(CONNECTION, b"upgrade"),
        trailers: names(TE, b"trailers"),
    }
}

/// Whether an `Upgrade` value is the WebSocket protocol.
pub(super) fn is_websocket(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"websocket")
}

/// The elements of a comma-separated list.
pub(super) fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn everything_that_connection_names_goes_whatever_its_case_or_line() {
        let mut map = headers(&[
            ("connection", "Close, X-One"),
            ("connection", "x-two , keep-alive"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-three", "3"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
        ]);
        assert_eq!(remove(&mut map), Asked::default());
        assert_eq!(map, headers(&[("x-three", "3")]));
    }

    #[test]
    fn a_host_that_connection_names_stays() {
        let mut map = headers(&[("connection", "Host, x-one"), ("host", "a"), ("x-one", "1")]);
        remove(&mut map);
        assert_eq!(map, headers(&[("host", "a")]));
    }

    #[test]
    fn only_a_lone_websocket_upgrade_counts() {
        for (upgrade, wanted) in [
            ("websocket", true),
            ("WebSocket", true),
            ("h2c", false),
            ("websocket, h2c", false),
            ("h2c, websocket", false),
        ] {
            let mut map = headers(&[("connection", "Upgrade")]);
            map.insert(UPGRADE, HeaderValue::from_static(upgrade));
            assert_eq!(remove(&mut map).websocket, wanted, "{upgrade}");
            assert!(map.is_empty());
        }
        assert!(
            !remove(&mut headers(&[("upgrade", "websocket")])).websocket,
            "not named"
        );
    }

    #[test]
    fn removing_twice_changes_nothing_more() {
        let mut once = headers(&[
            ("connection", "x-a"),
            ("x-a", "1"),
            ("te", "trailers"),
            ("b", "2"),
        ]);
        assert!(remove(&mut once).trailers);
        let mut twice = once.clone();
        remove(&mut twice);
        assert_eq!(once, twice);
    }
}
