//! Requests to a gate that is counted, one after the other: so each run takes the same way.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sidegate::lab::{Caller, Line};

use super::profile::Profile;
use super::{Counted, Failure};

/// How many requests settle in, and how many runs are counted of how many each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    pub(crate) first: usize,
    pub(crate) runs: usize,
    pub(crate) run: usize,
}

impl Lengths {
    /// All requests together.
    pub(crate) const fn all(self) -> usize {
        self.first + self.runs * self.run
    }
}

/// What is sent, time after time.
pub(crate) struct Load {
    pub(crate) caller: Caller,
    pub(crate) path: String,
    /// The field of a token, and the tokens: one each time, or the only one always; or none.
    pub(crate) field: String,
    pub(crate) tokens: Vec<String>,
    pub(crate) status: u16,
    pub(crate) connections: Connections,
}

/// Which connection a request takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connections {
    /// The same for all.
    One,
    /// A new one for each.
    Each,
}

impl Load {
    /// Sends it all; what each run took.
    pub(crate) async fn count(
        &self,
        gate: &mut Counted,
        lengths: Lengths,
    ) -> Result<Vec<Profile>, Failure> {
        let mut line = self.caller.open(gate.address()).await?;
        let mut sent = 0;
        self.send(&mut line, gate, &mut sent, lengths.first).await?;
        drop(gate.take().await?);
        let mut runs = Vec::new();
        for _ in 0..lengths.runs {
            self.send(&mut line, gate, &mut sent, lengths.run).await?;
            runs.push(gate.take().await?);
        }
        Ok(runs)
    }

    async fn send(
        &self,
        line: &mut Line,
        gate: &Counted,
        sent: &mut usize,
        times: usize,
    ) -> Result<(), Failure> {
        for _ in 0..times {
            if self.connections == Connections::Each {
                *line = self.caller.open(gate.address()).await?;
            }
            let mut request = Request::builder().uri(&self.path);
            if let Some(token) = self.tokens.get(*sent % self.tokens.len().max(1)) {
                request = request.header(&self.field, token);
            }
            let answer = line.send(request.body(Full::new(Bytes::new()))?).await?;
            if answer.status() != self.status {
                return Err(format!("answered {}, not {}", answer.status(), self.status).into());
            }
            *sent += 1;
        }
        Ok(())
    }
}

/// A service that answers at once with one kilobyte.
pub(crate) async fn upstream() -> Result<SocketAddr, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            drop(socket.set_nodelay(true));
            tokio::spawn(async move {
                let answer = service_fn(|_| async {
                    let body = Full::new(Bytes::from_static(&[b'x'; 1024]));
                    Ok::<_, Infallible>(Response::new(body))
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(socket), answer);
                drop(serving.await);
            });
        }
    });
    Ok(address)
}
