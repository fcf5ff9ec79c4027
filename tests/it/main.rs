//! The integration tests: one binary, one module for each promise.

// Said of each module so that the lints know these are tests throughout.
#[cfg(test)]
mod attacks;
mod demo;
mod dev;
mod floors;
mod harness;
mod headers;
mod limits;
mod live_attacks;
mod mtls;
mod readme;
mod settings;
