//! Tokens that pass once: what was used is remembered until the token is worthless anyway.
//!
//! One memory for all policies of a gate, by the `iss` claim, so that a new policy of the same issuer
//! does not forget what was used under the old one. Bounded by the issuer's settings; what is kept of
//! a token is a digest of its `jti`, so its length costs nothing. It knows this process alone: another
//! replica, or the same one after a restart, knows nothing of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::accept::ConnectionId;
use crate::model::{Denial, Timestamp};
use crate::settings::{SingleUseSettings, WhenFull};

/// What was used, of every issuer that was ever asked about.
#[derive(Debug, Default)]
pub(super) struct UsedTokens {
    // Never held across an await, and only for a few lookups.
    issuers: Mutex<HashMap<String, Used, ahash::RandomState>>,
}

/// What is known of one issuer's tokens.
#[derive(Debug, Default)]
struct Used {
    first: HashMap<Id, First, ahash::RandomState>,
    /// Whose `exp` comes first.
    ends: BinaryHeap<Reverse<(Timestamp, Id)>>,
}

/// SHA-256 of a `jti`: as whole as the text itself.
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
    /// `iss`
    pub(super) issuer: &'a str,
    /// `jti`
    pub(super) id: &'a str,
    /// `exp`
    pub(super) expires: Timestamp,
    /// For how long after `exp` the token would still pass.
    pub(super) leeway: Duration,
    pub(super) on: ConnectionId,
    pub(super) now: Timestamp,
}

impl UsedTokens {
    /// Marks a token as used.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenUsed`] for one that was marked before, [`Denial::SingleUseFull`] where there is
    /// no room to mark it.
    pub(super) fn mark(&self, rule: &SingleUseSettings, one: Use<'_>) -> Result<(), Denial> {
        let mut id = Id::default();
        // Outside of the lock: it is the dearest part.
        id.copy_from_slice(digest(&SHA256, one.id.as_bytes()).as_ref());
        let mut issuers = self.locked();
        let used = match issuers.get_mut(one.issuer) {
            Some(used) => used,
            None => issuers.entry(one.issuer.to_owned()).or_default(),
        };
        used.forget_worthless(one.leeway, one.now);
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
        while used.first.len() >= rule.remember {
            match rule.when_full {
                WhenFull::Refuse => return Err(Denial::SingleUseFull),
                WhenFull::ForgetOldest => used.forget_one(),
            }
        }
        used.ends.push(Reverse((one.expires, id)));
        let (on, at) = (one.on, one.now);
        used.first.insert(id, First { on, at });
        Ok(())
    }

    /// How many tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.locked().values().map(|used| used.first.len()).sum()
    }

    /// Whoever panicked while holding it (nobody can) left the maps whole.
    fn locked(&self) -> MutexGuard<'_, HashMap<String, Used, ahash::RandomState>> {
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn forget_worthless(&mut self, leeway: Duration, now: Timestamp) {
        while let Some(Reverse((expires, _))) = self.ends.peek()
            && expires.plus(leeway) <= now
        {
            self.forget_one();
        }
    }

    /// Forgets the token that ends first.
    fn forget_one(&mut self) {
        if let Some(Reverse((_, id))) = self.ends.pop() {
            self.first.remove(&id);
        }
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

    fn one(id: &str, expires: u64, now: u64) -> Use<'_> {
        Use {
            issuer: "a",
            id,
            expires: Timestamp::from_unix(expires),
            leeway: Duration::from_secs(10),
            on: ConnectionId::for_test(1),
            now: Timestamp::from_unix(now),
        }
    }

    #[test]
    fn a_token_passes_once_until_it_would_not_pass_any_more() {
        let used = UsedTokens::default();
        assert_eq!(used.mark(&RULE, one("x", 100, 0)), Ok(()));
        assert_eq!(used.mark(&RULE, one("x", 100, 109)), Err(Denial::TokenUsed));
        let other = Use {
            issuer: "b",
            ..one("x", 100, 109)
        };
        assert_eq!(used.mark(&RULE, other), Ok(()), "of another issuer");
        assert_eq!(used.mark(&RULE, one("y", 300, 110)), Ok(()));
        assert_eq!(used.len(), 2, "x of a is forgotten");
    }

    #[test]
    fn a_full_memory_refuses_until_something_in_it_ends() {
        let used = UsedTokens::default();
        for (id, expires) in [("1", 100), ("2", 50), ("3", 200)] {
            assert_eq!(used.mark(&RULE, one(id, expires, 0)), Ok(()));
        }
        assert_eq!(used.mark(&RULE, one("4", 9, 0)), Err(Denial::SingleUseFull));
        assert_eq!(used.mark(&RULE, one("2", 50, 0)), Err(Denial::TokenUsed));
        assert_eq!(used.mark(&RULE, one("4", 99, 60)), Ok(()));
    }

    #[test]
    fn a_full_memory_that_may_forget_forgets_what_ends_first() {
        let rule = SingleUseSettings {
            when_full: WhenFull::ForgetOldest,
            ..RULE
        };
        let used = UsedTokens::default();
        for (id, expires) in [("1", 100), ("2", 50), ("3", 200), ("4", 300)] {
            assert_eq!(used.mark(&rule, one(id, expires, 0)), Ok(()));
        }
        assert_eq!(used.len(), 3);
        for id in ["1", "3", "4"] {
            assert_eq!(used.mark(&rule, one(id, 100, 0)), Err(Denial::TokenUsed));
        }
    }

    #[test]
    fn the_grace_is_for_the_same_connection_and_ends() {
        let rule = SingleUseSettings {
            retry_grace: Duration::from_secs(5),
            ..RULE
        };
        let used = UsedTokens::default();
        assert_eq!(used.mark(&rule, one("x", 100, 0)), Ok(()));
        assert_eq!(used.mark(&rule, one("x", 100, 5)), Ok(()));
        assert_eq!(used.mark(&rule, one("x", 100, 6)), Err(Denial::TokenUsed));
        let elsewhere = Use {
            on: ConnectionId::for_test(2),
            ..one("x", 100, 1)
        };
        assert_eq!(used.mark(&rule, elsewhere), Err(Denial::TokenUsed));
    }
}
