//! The integration tests: one binary, one module for each promise.

mod attacks;
mod floors;
mod harness;
mod headers;
mod limits;
mod live_attacks;
mod mtls;
mod settings;
