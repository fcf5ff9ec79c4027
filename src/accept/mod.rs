//! 1. A socket becomes an authenticated peer.

pub mod peer;

pub use peer::Peer;
