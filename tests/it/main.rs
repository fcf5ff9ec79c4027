//! The integration tests: one binary, one module for each promise.

mod front_proxies;
mod grpc;
mod harness;
mod mtls;
mod settings;
mod websocket;
