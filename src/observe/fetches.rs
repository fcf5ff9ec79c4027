//! The words for what became of a fetch of keys, and of a request that asked for one.

/// How a fetch ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fetch {
    /// Other keys than before.
    Changed,
    /// The same keys.
    Unchanged,
    /// There is no such key, where each is a document of its own.
    Absent,
    /// None, or nothing that could be used.
    Failed,
}

impl Fetch {
    pub(super) const ALL: [Self; 4] = [Self::Changed, Self::Unchanged, Self::Absent, Self::Failed];

    /// The label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// What asking for a key that was not there gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UnknownKid {
    /// The key: the request was judged again.
    Found,
    /// A fetch that did not bring it.
    Unknown,
    /// A fetch that failed.
    Failed,
    /// A fetch that was not over when the request could wait no longer.
    Slow,
    /// No fetch: the last one that was asked for is too short ago.
    Cooldown,
    /// No fetch: too many requests were waiting.
    Crowded,
    /// No fetch: the last one did not bring this key.
    Remembered,
    /// No fetch: the name cannot be part of a URL.
    Unfit,
}

impl UnknownKid {
    pub(super) const ALL: [Self; 8] = [
        Self::Found,
        Self::Unknown,
        Self::Failed,
        Self::Slow,
        Self::Cooldown,
        Self::Crowded,
        Self::Remembered,
        Self::Unfit,
    ];

    /// The label.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Cooldown => "cooldown",
            Self::Crowded => "crowded",
            Self::Remembered => "remembered",
            Self::Unfit => "unfit",
        }
    }
}
