//! The integration tests: one binary, one module for each promise.

mod attacks;
mod demo;
mod dev;
mod harness;
mod mtls;
mod readme;
mod settings;
