//! A socket becomes a TLS stream and a [`Peer`], or a reason why not, before a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::Certificate;
use super::peer::Peer;
use super::verifier::{Witness, witnessed};
use crate::model::Denial;
use crate::observe::{Refusals, RefusedConnection};
use crate::revocation::Line;

/// After a refusal the socket is read until the caller closes it, this long at most. Closing at once
/// would answer the request the caller has already sent with a reset, which can overtake the alert
/// that says why.
const LINGER: Duration = Duration::from_millis(500);

/// A handshake that did not make a peer.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) denial: Denial,
    /// The stranger's words, if it showed a certificate.
    pub(super) certificate: Option<Box<Certificate>>,
    /// The line of the deny list that names it.
    pub(super) deny_line: Option<Line>,
    /// What the TLS library said.
    pub(super) cause: String,
}

/// Performs one handshake.
pub(super) async fn handshake(
    socket: TcpStream,
    config: Arc<ServerConfig>,
    deadline: Duration,
) -> Result<(Box<TlsStream<TcpStream>>, Peer), Refused> {
    let accepting = TlsAcceptor::from(config).accept(socket).into_fallible();
    let Ok((outcome, witness)) = tokio::time::timeout(deadline, witnessed(accepting)).await else {
        return Err(Refused::without_certificate(
            Denial::HandshakeTooSlow,
            "deadline",
        ));
    };
    match (outcome, witness) {
        (Ok(stream), Witness::Accepted(peer)) => Ok((Box::new(stream), peer)),
        // SECURITY: a handshake that succeeded without our verifier having said yes (a resumed
        // session would be one) is refused. Guarded by `a_session_is_never_resumed`.
        (Ok(_), Witness::Unasked | Witness::Refused(..)) => Err(Refused::without_certificate(
            Denial::CertificateMissing,
            "not verified",
        )),
        (Err((error, socket)), witness) => {
            linger(socket).await;
            Err(refused(&error, witness))
        }
    }
}

fn refused(error: &std::io::Error, witness: Witness) -> Refused {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let missing = matches!(tls, Some(rustls::Error::NoCertificatesPresented));
    let without = |denial| Refused::without_certificate(denial, &error.to_string());
    match witness {
        Witness::Refused(verdict) => Refused {
            denial: verdict.denial,
            certificate: verdict.certificate,
            deny_line: verdict.deny_line,
            cause: error.to_string(),
        },
        Witness::Unasked | Witness::Accepted(_) if missing => without(Denial::CertificateMissing),
        Witness::Unasked | Witness::Accepted(_) => without(Denial::HandshakeFailed),
    }
}

impl Refused {
    pub(super) fn without_certificate(denial: Denial, cause: &str) -> Self {
        Self {
            denial,
            certificate: None,
            deny_line: None,
            cause: cause.to_owned(),
        }
    }

    /// Keeps it for `/status`.
    pub(super) fn keep(&self, remote: SocketAddr, refusals: &Refusals) {
        let certificate = self.certificate.as_deref();
        let shown = certificate.map(|it| (it.best_name(), it.fingerprint()));
        refusals.connection(RefusedConnection {
            denial: self.denial,
            remote,
            peer: None,
            certificate: shown.as_ref().map(|(name, sha256)| (&**name, &**sha256)),
        });
    }

    /// Writes the line that says which connection was refused, and whose it claimed to be.
    pub(super) fn log(&self, remote: SocketAddr, suppressed: u64) {
        let shown = self.certificate.as_deref();
        tracing::warn!(
            target: "sidegate::decision",
            decision = "refused",
            reason = self.denial.code(),
            stage = self.denial.stage().code(),
            %remote,
            certificate = shown.map(Certificate::best_name),
            sha256 = shown.map(Certificate::fingerprint),
            serial = shown.map(Certificate::shown_serial),
            certificate_issuer = shown.map(Certificate::shown_issuer),
            deny_line = self.deny_line.map(Line::number),
            cause = self.cause,
            suppressed = (suppressed > 0).then_some(suppressed),
        );
    }
}

async fn linger(mut socket: TcpStream) {
    let drained = async {
        // The alert is out already; this ends our direction so that the caller can see it all.
        if socket.shutdown().await.is_ok() {
            let mut rest = [0; 1024];
            while matches!(socket.read(&mut rest).await, Ok(1..)) {}
        }
    };
    drop(tokio::time::timeout(LINGER, drained).await);
}
