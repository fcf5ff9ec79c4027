//! What callgrind wrote becomes counts: instructions, those of the crypto library apart, and calls of
//! the allocator.
//!
//! Why apart? The crypto library has code for each kind of processor and takes the best that there is,
//! so its count is a property of the machine; all the rest is a property of the commit.

use std::collections::BTreeMap;

/// How each function of the crypto library begins that Rust code can call.
const CRYPTO: &str = "aws_lc_";
/// The functions of jemalloc that give memory.
const ALLOCATOR: [&str; 5] = ["malloc", "mallocx", "calloc", "rallocx", "realloc"];

/// What was counted between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Profile {
    /// Instructions of each function itself, by its symbol.
    pub(crate) functions: BTreeMap<String, u64>,
    /// Instructions in the crypto library, with what it calls.
    pub(crate) crypto: u64,
    /// Calls of the allocator.
    pub(crate) allocations: u64,
}

impl Profile {
    /// Reads a dump that was written with `--compress-strings=no --compress-pos=no --dump-line=no`.
    /// Dumps of several threads are added up.
    pub(crate) fn add(&mut self, dump: &str) {
        let (mut function, mut callee) = ("", None);
        for line in dump.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = name;
            } else if let Some(name) = line.strip_prefix("cfn=") {
                callee = Some(name);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                if callee.is_some_and(|name| ALLOCATOR.contains(&name)) {
                    self.allocations += first_number(calls);
                }
            } else if line.starts_with(|first: char| first.is_ascii_digit()) {
                let cost = line.split(' ').nth(1).map_or(0, first_number);
                match callee.take() {
                    // The line after `calls=` is what the callee cost with all that it called.
                    Some(name) if name.starts_with(CRYPTO) && is_rust(function) => {
                        self.crypto += cost;
                    }
                    Some(_) => {}
                    None => *self.functions.entry(function.to_owned()).or_default() += cost,
                }
            }
        }
    }

    /// All instructions.
    pub(crate) fn all(&self) -> u64 {
        self.functions.values().sum()
    }

    /// What one of so many requests took.
    pub(crate) fn per(&self, requests: u64) -> Cost {
        let requests = requests.max(1);
        let all = self.all() / requests;
        Cost {
            all,
            ours: all.saturating_sub(self.crypto / requests),
            // Half of one is what grows now and then: a table, a buffer.
            allocations: (self.allocations + requests / 2) / requests,
        }
    }
}

/// What one request costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cost {
    /// Instructions in all.
    pub(crate) all: u64,
    /// Instructions outside the crypto library.
    pub(crate) ours: u64,
    /// Calls of the allocator.
    pub(crate) allocations: u64,
}

impl Cost {
    /// Of several runs the middle one, in each respect: a run in which a timer fell due or a table
    /// grew is none to judge by.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let median = |respect: fn(&Self) -> u64| {
            let mut all: Vec<u64> = costs.iter().map(respect).collect();
            all.sort_unstable();
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self {
            all: median(|cost| cost.all),
            ours: median(|cost| cost.ours),
            allocations: median(|cost| cost.allocations),
        }
    }
}

fn is_rust(symbol: &str) -> bool {
    symbol.starts_with("_ZN") || symbol.starts_with("_R")
}

fn first_number(text: &str) -> u64 {
    let number = text.split(' ').next().unwrap_or_default();
    number.parse().unwrap_or_default()
}
