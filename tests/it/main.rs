//! The integration tests: one binary, one module for each promise.

// Said of each module so that the lints know these are tests throughout.
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod bench_figures;
#[cfg(test)]
mod broken_files;
#[cfg(test)]
mod check_command;
#[cfg(test)]
mod compose_demo;
#[cfg(test)]
mod compose_projects;
#[cfg(test)]
mod curl;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod decision_log;
#[cfg(test)]
mod decision_table;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod deny_list;
#[cfg(test)]
mod dev;
#[cfg(test)]
mod docker_mounts;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod explain_command;
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
mod image;
#[cfg(test)]
mod instructions;
#[cfg(test)]
mod key_sources;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod live_attacks;
#[cfg(test)]
mod loss;
#[cfg(test)]
mod many_reloads;
#[cfg(test)]
mod migration;
#[cfg(test)]
mod mtls;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod presets;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod report_mode;
#[cfg(test)]
mod resting;
#[cfg(test)]
mod revocation;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sender;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod single_use;
#[cfg(test)]
mod spoofing;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod systemd;
#[cfg(test)]
mod unread;
#[cfg(test)]
mod websocket;
#[cfg(test)]
mod workflows;
