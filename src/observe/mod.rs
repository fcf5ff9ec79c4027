//! What the operator sees: logs, metrics, health and one record for each request.
//!
//! Handed down from `startup` as `Arc<Metrics>` and [`Health`]; there is no global but the log.

mod described;
mod fetches;
pub mod health;
mod line;
pub mod log;
pub mod metrics;
mod record;
mod refusals;
mod reloads;
mod spool;

pub use fetches::{Fetch, UnknownKid};
pub use health::{Health, Phase};
pub use metrics::{Closed, Metrics};
pub use record::{Known, RequestRecord};
pub use refusals::{Refusals, RefusedConnection, RefusedRequest};
pub use reloads::{Reloads, Told, Watched};

use std::sync::Arc;

/// Who is told of refusals: the counters and the list of the last ones.
#[derive(Clone, Debug)]
pub struct Journal {
    /// Everything that is counted.
    pub metrics: Arc<Metrics>,
    /// The last refusals.
    pub refusals: Arc<Refusals>,
}
