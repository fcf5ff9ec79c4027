//! The states of a connection that are counted: at rest, and ended for a reason.

use prometheus::IntGauge;

/// Why an open connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closed {
    /// The peer closed it, or the last request asked for it.
    Peer,
    /// It broke.
    Error,
    /// No request came within `timeouts.idle`, or nothing was taken of an answer within
    /// `timeouts.stream_idle`.
    Idle,
    /// A header did not arrive in time.
    Slow,
    /// sidegate is stopping.
    Drain,
    /// The peer would not get in any more.
    Trust,
}

impl Closed {
    pub(super) const ALL: [(Self, &'static str); 6] = [
        (Self::Peer, "peer"),
        (Self::Error, "error"),
        (Self::Idle, "idle"),
        (Self::Slow, "slow"),
        (Self::Drain, "drain"),
        (Self::Trust, "trust"),
    ];

    /// The cause that was stored as `cause as u8`.
    #[must_use]
    pub fn from_index(index: u8) -> Self {
        Self::ALL
            .get(usize::from(index))
            .map_or(Self::Error, |(cause, _)| *cause)
    }
}

/// Counts one connection as resting.
#[derive(Debug)]
pub struct Resting<'a>(&'a IntGauge);

impl<'a> Resting<'a> {
    pub(super) fn count(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
