//! What is measured, and the bar for each: the one table that everything else goes by. A bar is
//! changed here, with a reason, or not at all.

/// The contestants by name; further editions of sidegate have names of their own.
pub(crate) const ENVOY: &str = "envoy";
pub(crate) const HAPROXY: &str = "haproxy";
pub(crate) const COPIER: &str = "copier";
pub(crate) const BARE: &str = "bare";
pub(crate) const SIDEGATE: &str = "sidegate";

/// One figure of each contestant.
#[derive(Debug)]
pub(crate) struct Measure {
    /// What it is called in the results.
    pub(crate) name: &'static str,
    /// The row of the bench that takes it: what `ROWS` selects.
    pub(crate) row: &'static str,
    /// For a person.
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// Digits behind the point.
    pub(crate) digits: usize,
    pub(crate) better: Better,
    pub(crate) bars: &'static [Bar],
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Better {
    Less,
    More,
}

/// What sidegate's figure must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// At most (or, where more is better, at least) so many times that contestant's.
    Times(f64, &'static str),
    /// At most this.
    Most(f64),
}

use Bar::{Most, Times};
use Better::{Less, More};

const MICROSECONDS: &str = "us";

const fn processor(
    name: &'static str,
    title: &'static str,
    digits: usize,
    bars: &'static [Bar],
) -> Measure {
    Measure {
        name,
        row: name,
        title,
        unit: MICROSECONDS,
        digits,
        better: Less,
        bars,
    }
}

const fn quantity(
    name: &'static str,
    row: &'static str,
    title: &'static str,
    unit: &'static str,
    bars: &'static [Bar],
) -> Measure {
    Measure {
        name,
        row,
        title,
        unit,
        digits: 1,
        better: Less,
        bars,
    }
}

/// Every measure in the order of the report.
pub(crate) const MEASURES: [Measure; 19] = [
    processor(
        "h1-repeated-rs256",
        "GET over HTTP/1.1, a repeated RS256 token",
        1,
        &[
            Times(0.47, ENVOY),
            Times(0.40, HAPROXY),
            Times(1.35, COPIER),
        ],
    ),
    processor(
        "h1-fresh-es256",
        "GET over HTTP/1.1, a fresh ES256 token each time",
        1,
        &[Times(0.62, ENVOY), Times(0.80, HAPROXY)],
    ),
    processor(
        "h1-fresh-rs256",
        "GET over HTTP/1.1, a fresh RS256 token each time",
        1,
        &[Times(0.48, ENVOY), Times(0.74, HAPROXY)],
    ),
    processor(
        "h2-fresh-es256",
        "GET over HTTP/2, a fresh ES256 token each time",
        1,
        &[Times(0.75, ENVOY), Times(0.85, HAPROXY)],
    ),
    processor(
        "handshake",
        "full mTLS handshake and a GET, X25519",
        0,
        &[Times(0.66, ENVOY), Times(0.27, HAPROXY)],
    ),
    // HAProxy has no hybrid with this OpenSSL, so the bar against it is the one above.
    processor(
        "handshake-hybrid",
        "full mTLS handshake and a GET, X25519MLKEM768 offered first",
        0,
        &[Times(0.76, ENVOY)],
    ),
    processor("up", "POST of 1 MiB", 0, &[Times(0.78, ENVOY)]),
    processor("down", "GET of 1 MiB", 0, &[Times(0.65, ENVOY)]),
    quantity(
        "idle",
        "idle",
        "memory after the start, resident",
        "MB",
        &[Most(12.0)],
    ),
    quantity(
        "idle-private",
        "idle",
        "memory after the start, private",
        "MB",
        &[Most(3.0)],
    ),
    quantity(
        "held-1000",
        "memory",
        "memory per resting connection, 1,000 of them",
        "KB",
        &[Times(0.58, ENVOY), Times(0.70, HAPROXY)],
    ),
    quantity(
        "held-10000",
        "memory-10000",
        "memory per resting connection, 10,000 of them",
        "KB",
        &[Times(0.58, ENVOY), Times(0.70, HAPROXY)],
    ),
    Measure {
        digits: 2,
        ..quantity(
            "given-back",
            "memory",
            "memory a minute after closing 1,000 connections",
            "x idle",
            &[Most(1.25)],
        )
    },
    Measure {
        digits: 0,
        ..quantity(
            "latency-p50",
            "latency",
            "latency at a fixed rate, fresh ES256, p50",
            MICROSECONDS,
            &[Times(0.56, ENVOY), Times(0.95, HAPROXY)],
        )
    },
    Measure {
        digits: 0,
        ..quantity(
            "latency-p99",
            "latency",
            "latency at a fixed rate, fresh ES256, p99",
            MICROSECONDS,
            &[Times(0.40, ENVOY), Times(0.95, HAPROXY)],
        )
    },
    Measure {
        name: "throughput",
        row: "throughput",
        title: "requests per second, 2 threads, fresh ES256",
        unit: "/s",
        digits: 0,
        better: More,
        bars: &[Times(1.2, ENVOY), Times(1.05, HAPROXY)],
    },
    quantity(
        "start",
        "start",
        "start to first good answer",
        "ms",
        &[Times(1.2, BARE)],
    ),
    quantity("binary", "size", "the program", "MB", &[Most(12.0)]),
    quantity("image", "size", "the image", "MB", &[Most(12.0)]),
];

/// The rows that exist, in their order.
pub(crate) fn rows() -> Vec<&'static str> {
    // A row may give measures that do not stand together.
    let mut rows = Vec::new();
    for measure in &MEASURES {
        if !rows.contains(&measure.row) {
            rows.push(measure.row);
        }
    }
    rows
}

/// Whether this contestant can do that row's work.
pub(crate) fn takes_part(contestant: &str, row: &str) -> bool {
    match contestant {
        // It moves bytes of one connection to another: the service would have to speak HTTP/2, and
        // it holds a connection to it for each of its own.
        COPIER => !matches!(row, "h2-fresh-es256" | "memory" | "memory-10000" | "size"),
        BARE => row != "size",
        _ => true,
    }
}

impl Bar {
    /// Whether `own` reaches it, once the figure that it is compared to is known.
    pub(crate) fn met(self, better: Better, own: f64, other: Option<f64>) -> Option<bool> {
        match (self, better) {
            (Most(most), _) => Some(own <= most),
            (Times(times, _), Less) => Some(own <= times * other?),
            (Times(times, _), More) => Some(own >= times * other?),
        }
    }
}
