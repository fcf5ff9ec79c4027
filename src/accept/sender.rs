//! The end client's certificate, as a peer that may do so hands it over, becomes the fingerprint
//! that tokens are bound to.
//!
//! The peer is believed because of its own certificate; from any other the same fields are nothing
//! and are removed before the request goes on. Never falls back to the peer's own certificate: then
//! a client without one could use the proxy's.

use http::header::{HeaderMap, HeaderName};

use super::certificate;
use crate::model::Denial;
use crate::model::client_cert::{self, Unreadable};
use crate::settings::{HandsOver, XfccElement};

const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");
const XFCC: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// SHA-256 of the certificate that was handed over; `None` where none was.
///
/// # Errors
///
/// [`Denial::ClientCertMalformed`].
pub(super) fn handed_over(how: HandsOver, headers: &HeaderMap) -> Result<Option<[u8; 32]>, Denial> {
    let name = match how {
        HandsOver::ClientCert => CLIENT_CERT,
        HandsOver::Xfcc(_) => XFCC,
    };
    let mut fields = headers.get_all(name).iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    // SECURITY: of two fields, the caller may have sent one. Guarded by
    // `a_handed_over_certificate_that_has_two_readings_is_refused`.
    if fields.next().is_some() {
        return Err(Denial::ClientCertMalformed);
    }
    let read = match how {
        HandsOver::ClientCert => one(field.as_bytes()),
        HandsOver::Xfcc(which) => element(which, field.as_bytes()),
    };
    read.map(Some).map_err(|_| Denial::ClientCertMalformed)
}

fn one(field: &[u8]) -> Result<[u8; 32], Unreadable> {
    // What is in it does not matter: whoever bound the token has seen it, and only its hash is compared.
    let der = client_cert::read_byte_sequence(field)?;
    if certificate::is_whole(&der) {
        Ok(certificate::sha256(&der))
    } else {
        Err(Unreadable)
    }
}

fn element(which: XfccElement, field: &[u8]) -> Result<[u8; 32], Unreadable> {
    let elements = client_cert::read_elements(field)?;
    let chosen = match (which, elements.as_slice()) {
        (XfccElement::Only, [only]) => Some(only),
        (XfccElement::Only, _) => None,
        (XfccElement::First, all) => all.first(),
        (XfccElement::Last, all) => all.last(),
    };
    chosen.ok_or(Unreadable)?.hash()
}
