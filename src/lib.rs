//! sidegate: the only way in to a service that nobody can change.
//!
//! A caller needs two proofs: a TLS client certificate that says *which server* it is, and a signed
//! token that says *for whom* it speaks. The pair is judged as one; what passes goes on as plain
//! HTTP over loopback, with headers that say who it is.
//!
//! The folders are the path of a request, in alphabetical and in time order:
//! `accept` (a socket becomes a [`Peer`](accept::Peer)), `bearer` (the raw token is found), `check`
//! (token and pair are judged), `decide` (the route is found, and a permit given), then `deny` (a
//! refusal becomes an answer) or `forward` (an allowed request reaches the upstream). `gate` is their
//! table of contents.
//!
//! Why may later stages import earlier ones? Because each takes the proof that the one before it
//! earned, and only the earning module can make that proof: `forward` cannot be called without a
//! `decide::Permit`, `decide` gives one for a `check::Principal` (or where a route says that a peer is
//! enough), and nobody outside `check` can make that.

pub mod accept;
pub mod bearer;
pub mod check;
pub mod decide;
pub mod deny;
pub mod explain;
pub mod fetch;
pub mod file;
pub mod forward;
pub mod gate;
pub mod jwks;
pub mod lab;
pub mod model;
pub mod observe;
pub mod ops;
pub mod pem;
pub mod refresh;
pub mod reload;
pub mod revocation;
pub mod settings;
pub mod shutdown;
pub mod socket;
pub mod startup;
pub mod terminal;

// The attack table under `tests/` is also run inside the crate, where a `Peer` can be made without
// a handshake; there it still calls the crate by its name.
#[cfg(test)]
extern crate self as sidegate;
