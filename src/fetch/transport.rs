//! A checked URL becomes an HTTP/1.1 connection to it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::{self, SendRequest};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{FetchFault, tls};
use crate::model::SecureUrl;
use crate::settings::Access;
use crate::socket::{self, AnySocket};

/// The longest head of an answer.
const MAX_HEAD: usize = 32 * 1024;

/// A connection; it ends when this is dropped.
pub(super) struct Line {
    pub(super) sender: SendRequest<Empty<Bytes>>,
    _driver: JoinSet<()>,
}

pub(super) async fn connect(url: &SecureUrl, access: &Access) -> Result<Line, FetchFault> {
    if !url.is_tls() {
        return speak(socket::any(dial(url).await?)).await;
    }
    // Before anything is sent: files that cannot be used are the operator's to mend.
    let config = tls::client(access)?;
    let name = match &access.server_name {
        Some(name) => name.clone(),
        None => {
            ServerName::try_from(url.host().to_owned()).map_err(|cause| FetchFault::Material {
                key: "url",
                cause: cause.to_string(),
            })?
        }
    };
    let socket = dial(url).await?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
        .map_err(|cause| FetchFault::Tls { cause })?;
    speak(socket::any(stream)).await
}

/// Tries every address that the host has, in the order of the system's resolver.
async fn dial(url: &SecureUrl) -> Result<TcpStream, FetchFault> {
    let resolve = |cause| FetchFault::Resolve {
        host: url.host().to_owned(),
        cause,
    };
    let addresses = lookup_host((url.host(), url.port())).await;
    let mut last = resolve(std::io::Error::other("it has no address"));
    for address in addresses.map_err(resolve)? {
        // SECURITY: guarded by `plain_http_never_leaves_this_machine`: a name is no promise.
        if !url.is_tls() && !address.ip().is_loopback() {
            last = FetchFault::NotHere { address };
            continue;
        }
        match reach(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn reach(address: SocketAddr) -> Result<TcpStream, FetchFault> {
    let connected = TcpStream::connect(address).await;
    connected.map_err(|cause| FetchFault::Connect { address, cause })
}

async fn speak(stream: AnySocket) -> Result<Line, FetchFault> {
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(stream)
        .await
        .map_err(FetchFault::Protocol)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What went wrong is told by the request.
        drop(connection.await);
    });
    Ok(Line {
        sender,
        _driver: driver,
    })
}
