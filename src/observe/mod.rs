//! What the operator sees: logs, metrics, health and one record for each request.
//!
//! Handed down from `startup` as `Arc<Metrics>` and [`Health`]; there is no global but the log.

pub mod health;
pub mod log;
pub mod metrics;
mod record;
mod reloads;

pub use health::{Health, Phase};
pub use metrics::{Closed, Metrics};
pub use record::RequestRecord;
pub use reloads::{Reloads, Told};
