//! Words that every stage shares: time, names and the reasons of refusal.
//!
//! Nothing here does input or output, and nothing here proves anything: the proofs (`accept::Peer`,
//! `check::Principal`) live with the step that earns them.

pub mod algorithm;
pub mod claim_path;
pub mod clock;
pub mod denial;
pub mod json;

pub use algorithm::Algorithm;
pub use claim_path::ClaimPath;
pub use clock::Timestamp;
pub use denial::{Denial, Stage};
