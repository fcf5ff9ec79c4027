//! The last refusals, to be found again by the request id that the caller was told.
//!
//! Behind `/status`. Holds what the decision line holds and nothing more: no token, no claim but the
//! names of peer, issuer and key, no query. Memory is fixed and nobody ever waits: a refusal takes
//! the place of the oldest, an allowed request does not come here at all. Connections have places of
//! their own, so that strangers at the door cannot push out the refusals of requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use serde_json::{Value, json};

use crate::model::{Denial, Timestamp};

/// How many of each kind are kept.
const KEPT: usize = 64;

/// The longest text kept; names from the configuration are shorter as a rule.
const SHOWN: usize = 256;

/// The last refused requests and the last refused connections.
#[derive(Debug)]
pub struct Refusals {
    clock: fn() -> Timestamp,
    requests: Ring,
    connections: Ring,
}

/// A refused request, in the words of its decision line.
#[derive(Clone, Copy, Debug)]
pub struct RefusedRequest<'a> {
    /// `refused` or `would_refuse`.
    pub decision: &'static str,
    /// The reason.
    pub denial: Denial,
    /// The id that the caller was told.
    pub request_id: &'a str,
    /// The peer's name in the configuration.
    pub peer: &'a str,
    /// The issuer's name in the configuration.
    pub issuer: Option<&'a str>,
    /// The key's id as the key ring spells it.
    pub kid: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path, without its query.
    pub path: &'a str,
    /// The route's name in the configuration.
    pub route: Option<&'a str>,
}

/// A connection refused before there was a request.
#[derive(Clone, Copy, Debug)]
pub struct RefusedConnection<'a> {
    /// The reason.
    pub denial: Denial,
    /// The socket's other end.
    pub remote: SocketAddr,
    /// The peer's name in the configuration, where it had passed as one.
    pub peer: Option<&'a str>,
    /// What the certificate says of itself, and its fingerprint.
    pub certificate: Option<(&'a str, &'a str)>,
}

#[derive(Debug)]
struct Ring {
    slots: [ArcSwapOption<Entry>; KEPT],
    next: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    shown: Value,
}

// === impl Refusals ===

impl Refusals {
    /// None yet. `clock` says when one came.
    #[must_use]
    pub fn new(clock: fn() -> Timestamp) -> Self {
        Self {
            clock,
            requests: Ring::new(),
            connections: Ring::new(),
        }
    }

    /// A request was refused.
    pub fn request(&self, refused: RefusedRequest<'_>) {
        self.requests.push(json!({
            "id": cut(refused.request_id),
            "at": (self.clock)().unix(),
            "decision": refused.decision,
            "reason": refused.denial.code(),
            "stage": refused.denial.stage().code(),
            "peer": cut(refused.peer),
            "issuer": refused.issuer.map(cut),
            "kid": refused.kid.map(cut),
            "method": cut(refused.method),
            "path": cut(refused.path),
            "route": refused.route.map(cut),
        }));
    }

    /// A connection was refused.
    pub fn connection(&self, refused: RefusedConnection<'_>) {
        self.connections.push(json!({
            "at": (self.clock)().unix(),
            "reason": refused.denial.code(),
            "stage": refused.denial.stage().code(),
            "remote": refused.remote.to_string(),
            "peer": refused.peer.map(cut),
            "certificate": refused.certificate.map(|(name, _)| cut(name)),
            "sha256": refused.certificate.map(|(_, sha256)| cut(sha256)),
        }));
    }

    /// For `/status`: both lists, the newest first.
    #[must_use]
    pub fn shown(&self) -> (Value, Value) {
        (self.requests.shown(), self.connections.shown())
    }
}

/// The start of a text, as much as is kept.
fn cut(text: &str) -> &str {
    let end = (0..=SHOWN.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

// === impl Ring ===

impl Ring {
    fn new() -> Self {
        Self {
            slots: [const { ArcSwapOption::const_empty() }; KEPT],
            next: AtomicU64::new(0),
        }
    }

    fn push(&self, shown: Value) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = usize::try_from(number % KEPT as u64).unwrap_or_default();
        if let Some(slot) = self.slots.get(slot) {
            slot.store(Some(Arc::new(Entry { number, shown })));
        }
    }

    fn shown(&self) -> Value {
        let mut kept: Vec<Arc<Entry>> = self.slots.iter().filter_map(|it| it.load_full()).collect();
        kept.sort_by_key(|entry| std::cmp::Reverse(entry.number));
        kept.iter().map(|entry| entry.shown.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_noon() -> Timestamp {
        Timestamp::from_unix(1_800_000_000)
    }

    fn refused<'a>(id: &'a str, path: &'a str) -> RefusedRequest<'a> {
        RefusedRequest {
            decision: "refused",
            denial: Denial::TokenExpired,
            request_id: id,
            peer: "front",
            issuer: Some("main"),
            kid: None,
            method: "GET",
            path,
            route: None,
        }
    }

    #[test]
    fn only_the_last_ones_are_kept_and_the_newest_comes_first() {
        let refusals = Refusals::new(at_noon);
        for number in 0..1_000 {
            refusals.request(refused(&number.to_string(), "/x"));
        }
        let (requests, connections) = refusals.shown();
        let requests = requests.as_array().unwrap();
        assert_eq!(requests.len(), KEPT);
        assert_eq!(requests[0]["id"], "999");
        assert_eq!(requests[0]["at"], 1_800_000_000_u64);
        assert_eq!(requests[KEPT - 1]["id"], (1_000 - KEPT).to_string());
        assert_eq!(connections, json!([]));
    }

    #[test]
    fn strangers_at_the_door_push_no_request_out() {
        let refusals = Refusals::new(at_noon);
        refusals.request(refused("one", "/x"));
        for _ in 0..1_000 {
            refusals.connection(RefusedConnection {
                denial: Denial::HandshakeFailed,
                remote: ([127, 0, 0, 1], 1).into(),
                peer: None,
                certificate: None,
            });
        }
        let (requests, connections) = refusals.shown();
        assert_eq!(requests[0]["id"], "one");
        assert_eq!(connections.as_array().unwrap().len(), KEPT);
    }

    #[test]
    fn no_text_of_a_caller_takes_more_room_than_its_share() {
        let refusals = Refusals::new(at_noon);
        let long = "é".repeat(10_000);
        refusals.request(refused(&long, &long));
        let text = refusals.shown().0.to_string();
        assert!(text.len() < 1_200, "{} bytes", text.len());
    }
}
