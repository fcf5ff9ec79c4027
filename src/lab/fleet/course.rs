//! What happened in a run, counted: fetches for each second, and when the gates had what they lacked.

use std::time::Duration;

/// The course of a run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Course {
    gates: usize,
    arrivals: Vec<u32>,
    supplied: Vec<Duration>,
    in_vain: u64,
    refused: u64,
}

impl Course {
    pub(super) fn new(gates: usize, length: Duration) -> Self {
        let seconds = usize::try_from(length.as_secs()).unwrap_or_default();
        Self {
            gates,
            arrivals: vec![0; seconds],
            supplied: Vec::new(),
            in_vain: 0,
            refused: 0,
        }
    }

    pub(super) fn arrived(&mut self, now: Duration) {
        let second = usize::try_from(now.as_secs()).unwrap_or(usize::MAX);
        if let Some(count) = self.arrivals.get_mut(second) {
            *count += 1;
        }
    }

    pub(super) fn supplied(&mut self, after: Duration) {
        self.supplied.push(after);
    }

    pub(super) const fn came_to_nothing(&mut self) {
        self.in_vain += 1;
    }

    pub(super) const fn refused(&mut self) {
        self.refused += 1;
    }

    pub(super) fn finish(&mut self) {
        self.supplied.sort_unstable();
    }

    /// Fetches that arrived at the server, for each second.
    #[must_use]
    pub fn arrivals(&self) -> &[u32] {
        &self.arrivals
    }

    /// The most of them within one second, from this second on.
    #[must_use]
    pub fn peak(&self, from: usize) -> u32 {
        let later = self.arrivals.iter().skip(from);
        later.copied().max().unwrap_or_default()
    }

    /// All of them.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.arrivals.iter().copied().map(u64::from).sum()
    }

    /// Those that brought nothing: refused, not taken in, or given up.
    #[must_use]
    pub const fn in_vain(&self) -> u64 {
        self.in_vain
    }

    /// Good requests that were refused because the key of their token was not there.
    #[must_use]
    pub const fn refused_requests(&self) -> u64 {
        self.refused
    }

    /// How many gates got what they lacked.
    #[must_use]
    pub fn gates_supplied(&self) -> usize {
        self.supplied.len()
    }

    /// How long it took until so many of a hundred gates had what they lacked; `None` if they never
    /// had.
    #[must_use]
    pub fn supplied_after(&self, percent: usize) -> Option<Duration> {
        let count = (self.gates * percent).div_ceil(100);
        self.supplied.get(count.saturating_sub(1)).copied()
    }

    /// How long a gate lacked it, on average over those that got it.
    #[must_use]
    pub fn mean_lack(&self) -> Option<Duration> {
        let count = u32::try_from(self.supplied.len()).ok()?;
        self.supplied.iter().sum::<Duration>().checked_div(count)
    }
}
