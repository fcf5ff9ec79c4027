//! The client certificate verifier: a chain that webpki believes, that nothing denies, *and* one
//! listed peer.
//!
//! rustls calls it in the middle of the handshake, so a stranger gets a TLS alert and never a
//! connection. rustls wants only yes or no; who it was, and why not, travels beside it in a
//! [`Witness`].

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureScheme};

use super::certificate::{self, Certificate};
use super::peer::Peer;
use super::peers::PeerTable;
use super::shown::{Believed, Shown};
use crate::model::{Denial, Timestamp};
use crate::reload::Reader;
use crate::revocation::{DenyList, Line};

tokio::task_local! {
    /// Set around one handshake. rustls calls the verifier inside the handshake's own poll, so this
    /// can only be the witness of that handshake.
    static WITNESS: RefCell<Witness>;
}

/// What the verifier saw in one handshake.
#[derive(Debug, Default)]
pub(super) enum Witness {
    /// It was not asked: no certificate came, or the handshake did not get so far.
    #[default]
    Unasked,
    /// It said no.
    Refused(Verdict),
    /// It said yes. Worth something only once the whole handshake has succeeded.
    Accepted(Peer),
}

/// Why a certificate was refused.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) denial: Denial,
    /// What it says of itself, where it could be read.
    pub(super) certificate: Option<Box<Certificate>>,
    /// The line of the deny list that names it.
    pub(super) deny_line: Option<Line>,
}

/// Runs one handshake and returns its outcome with what the verifier saw in it.
pub(super) async fn witnessed<F: Future>(handshake: F) -> (F::Output, Witness) {
    WITNESS
        .scope(RefCell::default(), async {
            let outcome = handshake.await;
            (outcome, WITNESS.with(RefCell::take))
        })
        .await
}

/// A chain that does not make a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejected {
    /// The reason, of stage `tls`.
    pub denial: Denial,
    /// What the TLS library said, where it was the one to refuse.
    pub cause: Option<String>,
    /// What speaks against it where [`Denial::CertificateRevoked`] is the reason.
    pub revocation: Option<Revocation>,
    /// The line of the deny list that names the certificate.
    pub deny_line: Option<Line>,
}

/// Why a revocation list kept a chain out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revocation {
    /// A certificate is on it.
    Listed,
    /// No list is of a CA of the chain.
    Uncovered,
    /// The list has ended.
    Ended,
}

/// Webpki's verdict on the chain, then the deny list's, then ours on the name.
pub(super) struct PeerVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    /// The last second of each revocation list that `chain` looks into.
    list_ends: Vec<Timestamp>,
    peers: PeerTable,
    denied: Reader<DenyList>,
    /// Of this verifier alone: another one has other CAs, lists or peers.
    believed: Believed,
}

/// rustls asks for it. Without the fields, for the program would hold the code to show all of them.
impl fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerVerifier").finish_non_exhaustive()
    }
}

impl PeerVerifier {
    pub(super) fn new(
        chain: Arc<dyn ClientCertVerifier>,
        list_ends: Vec<Timestamp>,
        peers: PeerTable,
        denied: Reader<DenyList>,
    ) -> Self {
        Self {
            chain,
            list_ends,
            peers,
            denied,
            believed: Believed::default(),
        }
    }

    pub(super) fn peers(&self) -> &PeerTable {
        &self.peers
    }

    /// Where the deny list in force is read.
    pub(super) fn denied(&self) -> &Reader<DenyList> {
        &self.denied
    }

    /// The line of the deny list that names this certificate now.
    pub(super) fn denies(&self, certificate: &Certificate, now: Timestamp) -> Option<Line> {
        let list = self.denied.current();
        list.value.denies_certificate(certificate.facts(), now)
    }

    /// Judges the chain of a connection that is open already, as if it came anew.
    ///
    /// # Errors
    ///
    /// The reason of stage `tls` for which it would not get in any more.
    pub(super) fn judge_again(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<Peer, Denial> {
        self.judge_chain(chain, now)
            .map_err(|rejected| rejected.denial)
    }

    /// The same, with what the TLS library said.
    pub(super) fn judge_chain(
        &self,
        chain: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Result<Peer, Rejected> {
        let (leaf, intermediates) = chain.split_first().ok_or(Rejected {
            denial: Denial::CertificateMissing,
            cause: None,
            revocation: None,
            deny_line: None,
        })?;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now.unix()));
        self.judge(leaf, intermediates, now)
            .map_err(|(error, verdict)| Rejected {
                // For what we refuse ourselves it has nothing to say.
                cause: (denial_of(&error) == verdict.denial).then(|| error.to_string()),
                revocation: revocation_of(&error),
                denial: verdict.denial,
                deny_line: verdict.deny_line,
            })
    }

    /// The whole judgement of a client certificate.
    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Peer, (rustls::Error, Verdict)> {
        let at = Timestamp::from_unix(now.as_secs());
        let before = self.believed.find(leaf, intermediates, at);
        let is_new = before.is_none();
        let shown = match before {
            Some(shown) => shown,
            None => Arc::new(self.believe(leaf, intermediates, now)?),
        };
        // SECURITY: guarded by `a_denied_certificate_gets_an_alert_and_a_line_that_names_the_entry`.
        let deny_line = self.denies(&shown.leaf, at);
        if deny_line.is_some() {
            let verdict = Verdict {
                denial: Denial::CertificateDenied,
                certificate: Some(Box::new(shown.leaf.clone())),
                deny_line,
            };
            let error = rustls::Error::InvalidCertificate(CertificateError::Revoked);
            return Err((error, verdict));
        }
        let found = self.peers.find(&shown);
        let peer = found
            .map_err(|denial| refused_by_us(denial, Some(Box::new(shown.leaf.clone()))))?
            .holding_until(shown.until);
        // Only of listed peers: nobody else may push theirs out.
        if is_new {
            self.believed.keep(&shown);
        }
        Ok(peer)
    }

    /// What webpki says of the chain, and for how long.
    fn believe(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Shown, (rustls::Error, Verdict)> {
        // SECURITY: the chain first. Names in an unverified certificate are anybody's words.
        // Guarded by `a_certificate_of_a_foreign_ca_is_refused`.
        if let Err(error) = self.chain.verify_client_cert(leaf, intermediates, now) {
            let verdict = Verdict {
                denial: denial_of(&error),
                certificate: Certificate::parse(leaf).ok().map(Box::new),
                deny_line: None,
            };
            return Err((error, verdict));
        }
        let now = Timestamp::from_unix(now.as_secs());
        let shown = Shown::read(leaf, intermediates, now)
            .map_err(|_| refused_by_us(Denial::CertificateInvalid, None))?;
        let until = self.holds_until(shown.leaf.not_after, intermediates, now);
        Ok(shown.holding_until(until))
    }

    /// The last second in which nothing has ended that this judgement may hang on: with time alone, a
    /// chain that holds `now` holds until then.
    fn holds_until(
        &self,
        leaf: Option<Timestamp>,
        intermediates: &[CertificateDer<'_>],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let chain = intermediates.iter().filter_map(|der| certificate::end(der));
        let lists = self.list_ends.iter().copied();
        let all = leaf.into_iter().chain(chain).chain(lists);
        // What has ended already was of no consequence.
        all.filter(|end| *end >= now).min()
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let (verdict, witness) = match self.judge(end_entity, intermediates, now) {
            Ok(peer) => (Ok(ClientCertVerified::assertion()), Witness::Accepted(peer)),
            Err((error, verdict)) => (Err(error), Witness::Refused(verdict)),
        };
        WITNESS
            .try_with(|slot| slot.replace(witness))
            .map_err(|_| {
                rustls::Error::General("verifier called outside a handshake".to_owned())
            })?;
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// A chain that webpki believes and we do not.
fn refused_by_us(
    denial: Denial,
    certificate: Option<Box<Certificate>>,
) -> (rustls::Error, Verdict) {
    let error = CertificateError::ApplicationVerificationFailure;
    let verdict = Verdict {
        denial,
        certificate,
        deny_line: None,
    };
    (rustls::Error::InvalidCertificate(error), verdict)
}

/// Which reason a failed chain is.
fn denial_of(error: &rustls::Error) -> Denial {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(cause) = error else {
        return Denial::CertificateInvalid;
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "rustls marks the enum non-exhaustive; a cause without a name of its own is still a refusal"
    )]
    match cause {
        E::Expired | E::ExpiredContext { .. } => Denial::CertificateExpired,
        E::NotValidYet | E::NotValidYetContext { .. } => Denial::CertificateNotYetValid,
        E::Revoked
        | E::UnknownRevocationStatus
        | E::ExpiredRevocationList
        | E::ExpiredRevocationListContext { .. } => Denial::CertificateRevoked,
        // A signature that does not fit is a CA of the right name and another key.
        E::UnknownIssuer | E::BadSignature => Denial::CertificateUntrusted,
        _ => Denial::CertificateInvalid,
    }
}

fn revocation_of(error: &rustls::Error) -> Option<Revocation> {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(cause) = error else {
        return None;
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "rustls marks the enum non-exhaustive; every other cause is about the certificate itself"
    )]
    match cause {
        E::Revoked => Some(Revocation::Listed),
        E::UnknownRevocationStatus => Some(Revocation::Uncovered),
        E::ExpiredRevocationList | E::ExpiredRevocationListContext { .. } => {
            Some(Revocation::Ended)
        }
        _ => None,
    }
}
