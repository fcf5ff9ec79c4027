//! The integration tests: one binary, one module for each promise.

// Said of each module so that the lints know these are tests throughout.
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod check_command;
#[cfg(test)]
mod curl;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod floors;
#[cfg(test)]
mod front_proxies;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod live_attacks;
#[cfg(test)]
mod loss;
#[cfg(test)]
mod mtls;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod websocket;
