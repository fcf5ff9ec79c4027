//! Everything with an end: `[limits]`, `[timeouts]`, `[shutdown]`.
//!
//! Each value is bounded on its own first, and then held against its neighbours.

use std::time::Duration;

use super::value::{count, duration, duration_or_off, size};
use crate::settings::defaults::{self, Bounded, Bytes};
use crate::settings::place::{At, Number, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::{RawLimits, RawShutdown, RawTimeouts};
use crate::settings::units::{duration_text, size_text};
use crate::settings::{LimitSettings, ShutdownSettings, TimeoutSettings};

pub(super) fn limits(raw: &RawLimits, report: &mut Report<'_>) -> LimitSettings {
    let mut number = |written: &Option<At<i64>>, name: &str, bounds: &Bounded<u32>| {
        count(written.as_ref(), &join("limits", name), bounds, report)
    };
    let connections = number(&raw.connections, "connections", &defaults::CONNECTIONS);
    let per_peer = &defaults::CONNECTIONS_PER_PEER;
    let per_peer = number(&raw.connections_per_peer, "connections_per_peer", per_peer);
    let handshakes = number(&raw.handshakes, "handshakes", &defaults::HANDSHAKES);
    let streams = number(&raw.streams, "streams", &defaults::STREAMS);
    let requests = number(&raw.requests, "requests", &defaults::REQUESTS);
    let header_count = number(&raw.header_count, "header_count", &defaults::HEADER_COUNT);
    let cached = number(
        &raw.cached_tokens,
        "cached_tokens",
        &defaults::CACHED_TOKENS,
    );
    let mut bytes = |written: Option<&At<Number>>, name: &str, bounds: &Bounded<Bytes>| {
        size(written, &join("limits", name), bounds, report)
    };
    let header_bytes = bytes(
        raw.header_bytes.as_ref(),
        "header_bytes",
        &defaults::HEADER_BYTES,
    );
    let token_bytes = bytes(
        raw.token_bytes.as_ref(),
        "token_bytes",
        &defaults::TOKEN_BYTES,
    );
    let limited = raw.body_bytes.as_ref().filter(|at| !is_off(at));
    let body_bytes = limited.map(|at| bytes(Some(at), "body_bytes", &defaults::BODY_BYTES));
    let limits = LimitSettings {
        connections: whole(connections),
        connections_per_peer: whole(per_peer),
        handshakes: whole(handshakes),
        streams,
        requests: whole(requests),
        header_bytes: whole(header_bytes),
        header_count: whole(header_count),
        body_bytes,
        token_bytes: whole(token_bytes),
        cached_tokens: whole(cached),
    };
    relate(raw, limits, report)
}

/// A number as this machine counts; every bound is far below what a `usize` holds.
fn whole(number: impl TryInto<usize>) -> usize {
    number.try_into().unwrap_or(usize::MAX)
}

/// Limits that would make each other pointless.
fn relate(raw: &RawLimits, mut limits: LimitSettings, report: &mut Report<'_>) -> LimitSettings {
    if limits.header_bytes < limits.token_bytes {
        let (key, written) = match (&raw.header_bytes, &raw.token_bytes) {
            (Some(at), _) => ("limits.header_bytes", &at.place),
            (None, Some(at)) => ("limits.token_bytes", &at.place),
            (None, None) => ("limits.header_bytes", &Place::Nowhere),
        };
        let shown = |bytes: usize| size_text(u64::try_from(bytes).unwrap_or(u64::MAX));
        let (header, token) = (shown(limits.header_bytes), shown(limits.token_bytes));
        let text = format!(
            "a token of limits.token_bytes ({token}) does not fit into \
             limits.header_bytes ({header})"
        );
        let fix = format!("write a header_bytes above {token}, or a token_bytes below {header}");
        report.refuse(written, key, text, fix);
    }
    if limits.connections_per_peer > limits.connections {
        if let Some(at) = &raw.connections_per_peer {
            let text = "one peer alone can take all of limits.connections";
            let fix = format!("write a number below {}", limits.connections);
            report.warn(&at.place, "limits.connections_per_peer", text, fix);
        }
        limits.connections_per_peer = limits.connections;
    }
    limits
}

pub(super) fn timeouts(raw: &RawTimeouts, report: &mut Report<'_>) -> TimeoutSettings {
    let mut time = |written: &Option<At<String>>, name: &str, bounds: &Bounded<Duration>| {
        duration(written.as_ref(), &join("timeouts", name), bounds, report)
    };
    TimeoutSettings {
        handshake: time(&raw.handshake, "handshake", &defaults::HANDSHAKE),
        header_read: time(&raw.header_read, "header_read", &defaults::HEADER_READ),
        idle: time(&raw.idle, "idle", &defaults::IDLE),
        stream_idle: time(&raw.stream_idle, "stream_idle", &defaults::STREAM_IDLE),
        request: duration_or_off(
            raw.request.as_ref(),
            "timeouts.request",
            &defaults::REQUEST,
            report,
        ),
    }
}

pub(super) fn shutdown(raw: &RawShutdown, report: &mut Report<'_>) -> ShutdownSettings {
    let delay = duration(
        raw.delay.as_ref(),
        "shutdown.delay",
        &defaults::DELAY,
        report,
    );
    let drain = duration(
        raw.drain.as_ref(),
        "shutdown.drain",
        &defaults::DRAIN,
        report,
    );
    let both = delay.saturating_add(drain);
    if both > defaults::KUBERNETES_GRACE
        && let Some(at) = raw.drain.as_ref().or(raw.delay.as_ref())
    {
        let both = duration_text(both);
        let text = format!("delay and drain take {both} together; Kubernetes kills after 30s");
        let fix = "set terminationGracePeriodSeconds higher, or write less";
        report.warn(&at.place, "shutdown", text, fix);
    }
    ShutdownSettings { delay, drain }
}

fn is_off(at: &At<Number>) -> bool {
    matches!(&at.value, Number::Text(text) if text == "off")
}
