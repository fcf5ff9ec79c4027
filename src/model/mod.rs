//! Words that every stage shares: time, names and the reasons of refusal.
//!
//! Nothing here does input or output, and nothing here proves anything: the proofs (`accept::Peer`,
//! `check::Principal`) live with the step that earns them.

pub mod algorithm;
pub mod claim_path;
pub mod client_cert;
pub mod clock;
pub mod denial;
pub mod field_name;
pub mod ip;
pub mod json;
pub mod path;
pub mod spiffe;
pub mod url;

pub use algorithm::Algorithm;
pub use claim_path::ClaimPath;
pub use clock::Timestamp;
pub use denial::{Denial, Stage};
pub use field_name::folded;
pub use ip::write_ip;
pub use spiffe::TrustDomain;
pub use url::SecureUrl;
