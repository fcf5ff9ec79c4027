//! The integration tests: one binary, one module for each promise.

mod attacks;
mod harness;
mod mtls;
mod settings;
