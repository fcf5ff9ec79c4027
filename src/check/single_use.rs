//! Tokens that pass once: what was used is remembered until the token is worthless anyway.
//!
//! One memory for all policies of a gate and for all issuers, by what tokens say themselves, so that
//! neither a new policy nor another `[[issuer]]` for the same maker lets one pass again. How much of it
//! an issuer may fill is its own affair. What is kept of a token is a digest, so its length costs
//! nothing. It knows this process alone: another replica, or the same one after a restart, knows
//! nothing of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::accept::ConnectionId;
use crate::model::{Denial, Timestamp};
use crate::settings::{SingleUseSettings, WhenFull};

/// So many worthless marks are removed at a time: all others wait meanwhile.
const SWEPT: usize = 64;

/// What was used.
#[derive(Debug, Default)]
pub(super) struct UsedTokens {
    // Never held across an await, and only for a few lookups.
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    first: HashMap<Id, First, ahash::RandomState>,
    /// For each issuer, by the configuration's name, its marks: whose `exp` comes first is on top. One
    /// that is configured no more goes with its last mark.
    issuers: HashMap<Arc<str>, Ends, ahash::RandomState>,
    /// The longest that any issuer has let a token pass after `exp`.
    leeway: Duration,
    /// Marks of tokens with an `exp` until then were removed.
    swept: Option<Timestamp>,
}

type Ends = BinaryHeap<Reverse<(Timestamp, Id)>>;

/// SHA-256 of what tells a token from every other: as whole as that itself.
type Id = [u8; 32];

/// The first use of a token.
#[derive(Clone, Copy, Debug)]
struct First {
    on: ConnectionId,
    at: Timestamp,
}

/// One use of a token whose every other check has held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use<'a> {
    /// The configuration's name of the issuer.
    pub(super) issuer: &'a Arc<str>,
    pub(super) maker: Maker<'a>,
    /// `jti`
    pub(super) id: &'a str,
    /// `exp`
    pub(super) expires: Timestamp,
    /// For how long after `exp` the token would still pass.
    pub(super) leeway: Duration,
    pub(super) on: ConnectionId,
    pub(super) now: Timestamp,
}

/// Among whose tokens a `jti` is the only one of its kind (RFC 7519 4.1.7).
#[derive(Clone, Copy, Debug)]
pub(super) enum Maker<'a> {
    /// `iss`
    Issuer(&'a str),
    /// `sub`, of a token without `iss`.
    Subject(&'a str),
}

impl UsedTokens {
    /// Marks a token as used.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenUsed`] for one that was marked before, [`Denial::SingleUseFull`] where there is
    /// no room to mark it, and [`Denial::TokenExpired`] for one so old that its mark may be gone.
    pub(super) fn mark(&self, rule: &SingleUseSettings, one: Use<'_>) -> Result<(), Denial> {
        // Outside of the lock: it is the dearest part.
        let id = one.digest();
        let mut used = self.locked();
        used.leeway = used.leeway.max(one.leeway);
        used.sweep(one.now);
        if let Some(first) = used.first.get(&id) {
            // SECURITY: guarded by `of_many_requests_with_one_token_exactly_one_passes` and
            // `the_grace_is_for_the_same_connection_and_ends`.
            let again = first.on == one.on
                && !rule.retry_grace.is_zero()
                && one.now <= first.at.plus(rule.retry_grace);
            return if again {
                Ok(())
            } else {
                Err(Denial::TokenUsed)
            };
        }
        // SECURITY: guarded by `a_token_whose_mark_may_be_gone_does_not_pass`.
        if used.swept.is_some_and(|swept| one.expires <= swept) {
            return Err(Denial::TokenExpired);
        }
        used.insert(rule, one, id)
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.locked().first.len()
    }

    /// Whoever panicked while holding it (nobody can) left the maps whole.
    fn locked(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Removes marks of tokens that would not pass any more. Which those are depends on a clock that
    /// each request has read for itself and on a leeway that may be raised; so it is noted how far this
    /// got, and no token from before that passes again.
    fn sweep(&mut self, now: Timestamp) {
        let mut left = SWEPT;
        let Self {
            first,
            issuers,
            leeway,
            swept,
        } = self;
        issuers.retain(|_, ends| {
            while left > 0
                && let Some(Reverse((expires, _))) = ends.peek()
                && expires.plus(*leeway) <= now
            {
                *swept = (*swept).max(Some(*expires));
                forget_first(ends, first);
                left -= 1;
            }
            !ends.is_empty()
        });
    }

    fn insert(&mut self, rule: &SingleUseSettings, one: Use<'_>, id: Id) -> Result<(), Denial> {
        // Borrowed first: the name is copied for an issuer's first mark only.
        let ends = match self.issuers.get_mut(one.issuer) {
            Some(ends) => ends,
            None => self.issuers.entry(Arc::clone(one.issuer)).or_default(),
        };
        while ends.len() >= rule.remember {
            match rule.when_full {
                WhenFull::Refuse => return Err(Denial::SingleUseFull),
                WhenFull::ForgetOldest => forget_first(ends, &mut self.first),
            }
        }
        ends.push(Reverse((one.expires, id)));
        let (on, at) = (one.on, one.now);
        self.first.insert(id, First { on, at });
        Ok(())
    }
}

/// Forgets the token that ends first.
fn forget_first(ends: &mut Ends, first: &mut HashMap<Id, First, ahash::RandomState>) {
    if let Some(Reverse((_, id))) = ends.pop() {
        first.remove(&id);
    }
}

impl Use<'_> {
    fn digest(&self) -> Id {
        let (kind, maker) = match self.maker {
            Maker::Issuer(issuer) => (b'i', issuer),
            Maker::Subject(subject) => (b's', subject),
        };
        let mut digest = Context::new(&SHA256);
        digest.update(&[kind]);
        // With its length before it, so that no two pairs read alike.
        digest.update(&maker.len().to_be_bytes());
        digest.update(maker.as_bytes());
        digest.update(self.id.as_bytes());
        let mut id = Id::default();
        id.copy_from_slice(digest.finish().as_ref());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: SingleUseSettings = SingleUseSettings {
        remember: 3,
        when_full: WhenFull::Refuse,
        retry_grace: Duration::ZERO,
    };

    struct Bench {
        used: UsedTokens,
        issuers: [Arc<str>; 2],
    }

    impl Bench {
        fn new() -> Self {
            Self {
                used: UsedTokens::default(),
                issuers: ["a".into(), "b".into()],
            }
        }

        fn one<'a>(&'a self, id: &'a str, expires: u64, now: u64) -> Use<'a> {
            Use {
                issuer: &self.issuers[0],
                maker: Maker::Issuer("https://a"),
                id,
                expires: Timestamp::from_unix(expires),
                leeway: Duration::from_secs(10),
                on: ConnectionId::for_test(1),
                now: Timestamp::from_unix(now),
            }
        }

        fn mark(&self, id: &str, expires: u64, now: u64) -> Result<(), Denial> {
            self.used.mark(&RULE, self.one(id, expires, now))
        }
    }

    #[test]
    fn a_token_passes_once_until_it_would_not_pass_any_more() {
        let bench = Bench::new();
        assert_eq!(bench.mark("x", 100, 0), Ok(()));
        assert_eq!(bench.mark("x", 100, 109), Err(Denial::TokenUsed));
        let other = Use {
            maker: Maker::Issuer("https://b"),
            ..bench.one("x", 100, 109)
        };
        assert_eq!(bench.used.mark(&RULE, other), Ok(()), "of another maker");
        assert_eq!(bench.mark("y", 300, 110), Ok(()));
        assert_eq!(bench.used.len(), 1, "both x are forgotten");
    }

    #[test]
    fn a_token_whose_mark_may_be_gone_does_not_pass() {
        let bench = Bench::new();
        assert_eq!(bench.mark("x", 100, 0), Ok(()));
        assert_eq!(bench.mark("y", 300, 110), Ok(()), "x is forgotten");
        let expired = Err(Denial::TokenExpired);
        assert_eq!(bench.mark("x", 100, 109), expired, "a clock read earlier");
        let patient = Use {
            leeway: Duration::from_secs(300),
            ..bench.one("x", 100, 120)
        };
        let again = bench.used.mark(&RULE, patient);
        assert_eq!(again, expired, "the leeway was raised");
        let elsewhere = Use {
            issuer: &bench.issuers[1],
            ..patient
        };
        let again = bench.used.mark(&RULE, elsewhere);
        assert_eq!(again, expired, "at another issuer with the same iss");
    }

    #[test]
    fn what_was_used_at_one_issuer_is_used_at_every_other_with_the_same_iss() {
        let bench = Bench::new();
        assert_eq!(bench.mark("x", 100, 0), Ok(()));
        let elsewhere = Use {
            issuer: &bench.issuers[1],
            ..bench.one("x", 100, 0)
        };
        let again = bench.used.mark(&RULE, elsewhere);
        assert_eq!(again, Err(Denial::TokenUsed));
    }

    #[test]
    fn no_issuer_fills_or_empties_the_memory_of_another() {
        let bench = Bench::new();
        let forgets = SingleUseSettings {
            remember: 1,
            when_full: WhenFull::ForgetOldest,
            ..RULE
        };
        for id in ["1", "2", "3"] {
            assert_eq!(bench.mark(id, 100, 0), Ok(()));
        }
        for id in ["4", "5", "6"] {
            let one = Use {
                issuer: &bench.issuers[1],
                ..bench.one(id, 50, 0)
            };
            assert_eq!(bench.used.mark(&forgets, one), Ok(()));
        }
        assert_eq!(bench.mark("7", 100, 0), Err(Denial::SingleUseFull));
        for id in ["1", "2", "3"] {
            assert_eq!(bench.mark(id, 100, 0), Err(Denial::TokenUsed));
        }
        assert_eq!(bench.used.len(), 4);
    }

    #[test]
    fn whoever_signs_under_many_names_fills_no_more_than_the_issuer_may() {
        let bench = Bench::new();
        let by = |maker| Use {
            maker,
            ..bench.one("x", 100, 0)
        };
        let mark = |maker| bench.used.mark(&RULE, by(maker));
        assert_eq!(mark(Maker::Issuer("1")), Ok(()));
        assert_eq!(mark(Maker::Issuer("2")), Ok(()));
        assert_eq!(mark(Maker::Subject("1")), Ok(()));
        assert_eq!(mark(Maker::Issuer("3")), Err(Denial::SingleUseFull));
        assert_eq!(mark(Maker::Subject("1")), Err(Denial::TokenUsed));
    }

    #[test]
    fn much_that_has_ended_is_forgotten_little_by_little() {
        let bench = Bench::new();
        let rule = SingleUseSettings {
            remember: 1000,
            ..RULE
        };
        for number in 0..200 {
            let id = number.to_string();
            assert_eq!(bench.used.mark(&rule, bench.one(&id, 100, 0)), Ok(()));
        }
        for id in ["a", "b"] {
            let before = bench.used.len();
            assert_eq!(bench.used.mark(&rule, bench.one(id, 900, 500)), Ok(()));
            assert_eq!(bench.used.len(), before - SWEPT + 1);
        }
    }

    #[test]
    fn an_issuer_that_is_not_asked_about_any_more_is_forgotten_with_its_last_token() {
        let bench = Bench::new();
        assert_eq!(bench.mark("x", 100, 0), Ok(()));
        let renamed = Use {
            issuer: &bench.issuers[1],
            ..bench.one("y", 300, 110)
        };
        assert_eq!(bench.used.mark(&RULE, renamed), Ok(()));
        assert_eq!(bench.used.locked().issuers.len(), 1);
    }

    #[test]
    fn a_full_memory_refuses_until_something_in_it_ends() {
        let bench = Bench::new();
        for (id, expires) in [("1", 100), ("2", 50), ("3", 200)] {
            assert_eq!(bench.mark(id, expires, 0), Ok(()));
        }
        assert_eq!(bench.mark("4", 9, 0), Err(Denial::SingleUseFull));
        assert_eq!(bench.mark("2", 50, 0), Err(Denial::TokenUsed));
        assert_eq!(bench.mark("4", 99, 60), Ok(()));
    }

    #[test]
    fn a_full_memory_that_may_forget_forgets_what_ends_first() {
        let rule = SingleUseSettings {
            when_full: WhenFull::ForgetOldest,
            ..RULE
        };
        let bench = Bench::new();
        let mark = |id, expires| bench.used.mark(&rule, bench.one(id, expires, 0));
        for (id, expires) in [("1", 100), ("2", 50), ("3", 200), ("4", 300)] {
            assert_eq!(mark(id, expires), Ok(()));
        }
        assert_eq!(bench.used.len(), 3);
        for id in ["1", "3", "4"] {
            assert_eq!(mark(id, 100), Err(Denial::TokenUsed));
        }
    }

    #[test]
    fn the_grace_is_for_the_same_connection_and_ends() {
        let rule = SingleUseSettings {
            retry_grace: Duration::from_secs(5),
            ..RULE
        };
        let bench = Bench::new();
        let mark = |one| bench.used.mark(&rule, one);
        assert_eq!(mark(bench.one("x", 100, 0)), Ok(()));
        assert_eq!(mark(bench.one("x", 100, 5)), Ok(()));
        assert_eq!(mark(bench.one("x", 100, 6)), Err(Denial::TokenUsed));
        let elsewhere = Use {
            on: ConnectionId::for_test(2),
            ..bench.one("x", 100, 1)
        };
        assert_eq!(mark(elsewhere), Err(Denial::TokenUsed));
    }
}
