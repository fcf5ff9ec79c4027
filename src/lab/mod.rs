//! Throw-away keys and tokens: what `sidegate dev`, the demo and the tests sign with.
//!
//! Everything here plays the other side, the issuer. Nothing of it is part of a gate that runs.

pub mod signing;
pub mod token;

pub use signing::{SigningError, SigningKey};
pub use token::TokenSpec;
