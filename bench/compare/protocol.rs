//! What the bench asks of the load, a JSON object a line, and what comes back.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One megabyte, up or down.
pub(crate) const MEGABYTE: usize = 1 << 20;
/// Any other answer.
pub(crate) const KILOBYTE: usize = 1 << 10;
/// The service answers here only what came with an identity and without a token.
pub(crate) const JUDGED: &str = "/judged";
/// The service answers here with a megabyte.
pub(crate) const LARGE: &str = "/large";

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Http {
    One,
    Two,
}

/// What the client offers for the key exchange.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Exchange {
    X25519,
    /// X25519MLKEM768 first, then X25519.
    Hybrid,
}

/// Where the connections go.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) http: Http,
    pub(crate) exchange: Exchange,
}

/// The tokens of the requests: lines of a file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Tokens {
    pub(crate) file: PathBuf,
    /// The line of the first request.
    pub(crate) from: usize,
    /// All requests bring that one.
    pub(crate) repeated: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Payload {
    /// Nothing there, a kilobyte back.
    Small,
    /// A megabyte there.
    Up,
    /// A megabyte back.
    Down,
}

/// So many requests.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Batch {
    pub(crate) requests: usize,
    pub(crate) tokens: Tokens,
    pub(crate) payload: Payload,
}

/// One thing to do. Every answer must be 200, else the job has failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Job {
    /// Try until the first good answer.
    Probe {
        target: Target,
        path: String,
        tokens: Tokens,
    },
    /// A token that nobody signed, and a connection without a certificate, must be refused.
    Refusals { target: Target, tokens: Tokens },
    /// Open connections for what follows.
    Open {
        target: Target,
        connections: usize,
        streams: usize,
    },
    /// Send on the open connections, as fast as answers come.
    Send(Batch),
    /// Send on the open connections at fixed times, whether or not answers came.
    Pace { per_second: u64, batch: Batch },
    /// A new connection for each request.
    Handshakes { target: Target, batch: Batch },
    /// Open connections, send one request on each, and leave them open.
    Hold {
        target: Target,
        connections: usize,
        tokens: Tokens,
    },
    /// How many connections are open still?
    Count,
    /// Close all.
    Close,
}

/// What came of a job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Answer {
    /// Why it failed.
    pub(crate) failure: Option<String>,
    pub(crate) seconds: f64,
    /// Of [`Job::Pace`], in microseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Of [`Job::Count`].
    pub(crate) open: usize,
    /// The key exchange that was agreed on.
    pub(crate) exchange: Option<String>,
}
