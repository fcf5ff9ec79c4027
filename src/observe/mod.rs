//! What the operator sees: logs, metrics, health and one record for each request.
//!
//! Handed down from `startup` as `Arc<Metrics>` and [`Health`]; there is no global but the log.

mod connections;
mod described;
mod fetches;
pub mod health;
mod line;
pub mod log;
pub mod metrics;
mod record;
mod refusals;
mod registry;
mod reloads;
mod spool;

pub use connections::{Closed, Resting};
pub use fetches::{Fetch, UnknownKid};
pub use health::{Health, Phase};
pub use metrics::Metrics;
pub use record::{Known, RequestRecord};
pub use refusals::{Refusals, RefusedConnection, RefusedRequest};
pub use reloads::{KnownNames, Reloads, Told, Watched};

use std::error::Error;
use std::sync::Arc;

/// Who is told of refusals: the counters and the list of the last ones.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// The last refusals.
    pub refusals: Arc<Refusals>,
}

/// An error with all its causes, for one line.
#[must_use]
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
