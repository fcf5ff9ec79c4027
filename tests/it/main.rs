//! The integration tests: one binary, one module for each promise.

mod harness;
mod mtls;
mod settings;
