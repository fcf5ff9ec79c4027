//! What requests cost, against the file of what they are expected to cost.
//!
//! Only what is outside the crypto library is judged; see `bench/counted/profile.rs`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

/// A case costs this much more, in thousandths, before the guard says no. Ten gates of one binary were
/// within 15 of their middle, on a machine with a dozen other runnable processes.
pub(crate) const TOLERANCE: u64 = 30;

/// What is rounded may come out as one more.
pub(crate) const SPARE_ALLOCATIONS: u64 = 1;

/// The file of expected figures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) taken_with: Tools,
    /// By the case's name.
    pub(crate) case: BTreeMap<String, Figures>,
}

/// What the figures depend on beside the commit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    pub(crate) rustc: String,
    pub(crate) valgrind: String,
    pub(crate) processor: String,
}

/// What one request of a case costs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    /// Instructions outside the crypto library.
    pub(crate) instructions: u64,
    /// Instructions with the crypto library. Not judged: they depend on the processor.
    pub(crate) with_crypto: u64,
    /// Allocations.
    pub(crate) allocations: u64,
}

impl Figures {
    /// The lesser of both, each number by itself.
    pub(crate) fn least(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.min(other.instructions),
            with_crypto: self.with_crypto.min(other.with_crypto),
            allocations: self.allocations.min(other.allocations),
        }
    }
}

/// What came of a comparison.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Verdict {
    /// What is worse than expected: the guard fails.
    pub(crate) grown: Vec<String>,
    /// What is better: the file should say so, or a later growth back goes unseen.
    pub(crate) shrunk: Vec<String>,
}

impl Expected {
    /// Reads the file.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The text of the file.
    pub(crate) fn write(&self) -> String {
        let Tools {
            rustc,
            valgrind,
            processor,
        } = &self.taken_with;
        let mut text = format!(
            "# What one request costs, by `make instructions`; changed on purpose only, by\n\
             # `make instructions UPDATE=1`. Judged are `instructions`, which are those outside the\n\
             # crypto library (why: bench/counted/profile.rs), and `allocations`.\n\
             \n[taken_with]\nrustc = {rustc:?}\nvalgrind = {valgrind:?}\nprocessor = {processor:?}\n"
        );
        for (name, figures) in &self.case {
            let Figures {
                instructions,
                with_crypto,
                allocations,
            } = figures;
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "\n[case.{name}]\ninstructions = {instructions}\nwith_crypto = {with_crypto}\n\
                 allocations = {allocations}\n"
            );
        }
        text
    }

    /// Holds what was seen against what was expected.
    pub(crate) fn judge(&self, seen: &BTreeMap<String, Figures>) -> Verdict {
        let mut verdict = Verdict::default();
        for (name, seen) in seen {
            let Some(expected) = self.case.get(name) else {
                verdict.grown.push(format!("{name}: no figure is expected"));
                continue;
            };
            verdict.compare(
                format!("{name}: instructions"),
                (expected.instructions, seen.instructions),
                expected.instructions.saturating_mul(TOLERANCE) / 1000,
            );
            verdict.compare(
                format!("{name}: allocations"),
                (expected.allocations, seen.allocations),
                SPARE_ALLOCATIONS,
            );
        }
        for name in self.case.keys().filter(|name| !seen.contains_key(*name)) {
            verdict.grown.push(format!("{name}: was not measured"));
        }
        verdict
    }

    /// The same, as if each case had been expected to cost `percent` less.
    pub(crate) fn lowered(&self, percent: u64) -> Self {
        let lower = |count: u64| count - count * percent / 100;
        let figures = |(name, figures): (&String, &Figures)| {
            let instructions = lower(figures.instructions);
            (
                name.clone(),
                Figures {
                    instructions,
                    ..*figures
                },
            )
        };
        Self {
            taken_with: self.taken_with.clone(),
            case: self.case.iter().map(figures).collect(),
        }
    }
}

impl Verdict {
    fn compare(&mut self, what: String, (expected, seen): (u64, u64), room: u64) {
        let line = || {
            let change = (seen as f64 / expected.max(1) as f64 - 1.0) * 100.0;
            format!("{what}: {expected} expected, {seen} seen ({change:+.1} %)")
        };
        if seen > expected.saturating_add(room) {
            self.grown.push(line());
        } else if seen < expected.saturating_sub(room) {
            self.shrunk.push(line());
        }
    }
}
