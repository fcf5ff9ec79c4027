//! Throw-away keys, certificates and tokens: what `sidegate dev`, the demo and the tests sign with.
//!
//! Everything here plays the other side, the issuer, or a whole fleet at once. Nothing of it is part of a gate that runs.

pub mod caller;
pub mod echo;
pub mod fleet;
pub mod pki;
pub mod scenario;
pub mod scratch;
pub mod signing;
pub mod token;
pub mod world;

pub use caller::{CallError, Caller, Http, Line};
pub use echo::Echo;
pub use pki::{Authority, Issued, Leaf, Role, Validity};
pub use scenario::{Got, Outcome, Scenario, Seen, cast};
pub use scratch::Scratch;
pub use signing::{SigningError, SigningKey};
pub use token::TokenSpec;
pub use world::{World, WorldError};
