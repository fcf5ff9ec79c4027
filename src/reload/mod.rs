//! One publish/read pair for every piece of state that changes while the gate runs.
//!
//! A [`Publisher`] validates whole and publishes whole; a [`Reader`] only ever sees a complete
//! value, with the generation it was published as. Nothing here knows what the value means.
//! [`watch`] says when a file has another content, so that there may be something to publish.

pub mod watch;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch::{Receiver, Sender, channel};

/// Which edition of a value this is: 1 for the first, one more at each publication.
///
/// Whatever is derived from a value (a cached verdict, an accepted connection) keeps the generation
/// it was derived under, and is worth nothing under another.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Generation(u64);

/// A value together with the generation it was published as.
#[derive(Debug)]
pub struct Edition<T> {
    /// What was published.
    pub value: T,
    /// Its generation.
    pub generation: Generation,
}

/// The writing end. There is one for each value, held by whoever reloads it.
#[derive(Debug)]
pub struct Publisher<T> {
    current: Arc<ArcSwap<Edition<T>>>,
    changes: Sender<Generation>,
}

/// The reading end. Cheap to clone; [`Reader::current`] takes no lock.
#[derive(Debug)]
pub struct Reader<T> {
    current: Arc<ArcSwap<Edition<T>>>,
    changes: Receiver<Generation>,
}

/// Tells of publications from a moment on, whatever it is that is published.
#[derive(Debug)]
pub struct Changes {
    publications: Receiver<Generation>,
}

/// Makes the pair, with `first` as generation 1.
#[must_use]
pub fn live<T>(first: T) -> (Publisher<T>, Reader<T>) {
    let generation = Generation(1);
    let current = Arc::new(ArcSwap::from_pointee(Edition {
        value: first,
        generation,
    }));
    let (changes, receiver) = channel(generation);
    let reader = Reader {
        current: Arc::clone(&current),
        changes: receiver,
    };
    (Publisher { current, changes }, reader)
}

// === impl Generation ===

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Generation {
    /// The bare number, for a gauge.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

// === impl Publisher ===

impl<T> Publisher<T> {
    /// The generation in force.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.current.load().generation
    }

    /// Replaces the value for every reader at once and says which generation it became.
    ///
    /// Takes `&mut self`: two writers racing could publish in one order and be numbered in the other.
    pub fn publish(&mut self, value: T) -> Generation {
        let generation = Generation(self.current.load().generation.0.saturating_add(1));
        self.current.store(Arc::new(Edition { value, generation }));
        // After the store, so that whoever wakes finds the new value.
        self.changes.send_replace(generation);
        generation
    }
}

// === impl Reader ===

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            current: Arc::clone(&self.current),
            changes: self.changes.clone(),
        }
    }
}

impl<T> Reader<T> {
    /// The edition in force now. A request takes it once and keeps it to its end, so that all its
    /// checks speak of the same state.
    #[must_use]
    pub fn current(&self) -> Arc<Edition<T>> {
        self.current.load_full()
    }

    /// What is published from now on, without the values.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mut publications = self.changes.clone();
        publications.mark_unchanged();
        Changes { publications }
    }

    /// Completes when a generation has been published that this reader was not woken for yet;
    /// `false` when no further one can come.
    pub async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }
}

// === impl Changes ===

impl Changes {
    /// Completes at the next publication. Never, once nobody is left who could publish: then
    /// nothing changes any more. Cancel-safe.
    pub async fn next(&mut self) {
        if self.publications.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_whole_editions_in_order() {
        let (mut publisher, reader) = live("first");
        let held = reader.current();
        assert_eq!((held.value, held.generation.number()), ("first", 1));

        assert_eq!(publisher.publish("second").number(), 2);
        assert_eq!(reader.current().value, "second");
        assert_eq!(held.value, "first", "a snapshot in use must not change");
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken_by_a_publication_and_by_the_end() {
        let (mut publisher, mut reader) = live(1);
        publisher.publish(2);
        assert!(reader.changed().await);
        assert_eq!(reader.current().value, 2);
        drop(publisher);
        assert!(!reader.changed().await);
    }
}
