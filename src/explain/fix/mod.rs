//! What to change, for each reason. As exact as what is known allows: the line to write, the file to
//! renew, the setting of the front proxy.

mod certificate;
mod claims;
mod key;
mod sender;
mod time;
mod token;

use super::facts::Facts;
use super::route;
use super::words::{array, quoted};
use crate::model::Denial;

/// What to change so that the reason goes away.
///
/// No wildcard: a new reason does not compile until it has its text.
#[expect(clippy::too_many_lines, reason = "one table, to be read in one piece")]
pub(super) fn fix(denial: Denial, facts: &Facts<'_>) -> String {
    use Denial as D;
    match denial {
        D::CertificateMissing => certificate::missing(facts),
        D::CertificateUntrusted => certificate::untrusted(facts),
        D::CertificateExpired => certificate::expired(facts),
        D::CertificateNotYetValid => certificate::early(facts),
        D::CertificateRevoked => certificate::revoked(facts),
        D::CertificateInvalid => certificate::invalid(facts),
        D::CertificateDenied => denied("certificate", facts),
        D::PeerNotListed => certificate::not_listed(facts),
        D::PeerAmbiguous => certificate::ambiguous(facts),
        D::RequestMalformed => {
            "send a path that begins with / and one sound Host, and say the length \
             of the body once"
                .to_owned()
        }
        D::ClientCertMalformed => {
            "let the front proxy write one client certificate, and only its own: see \
             peer.hands_over"
                .to_owned()
        }
        D::HeaderTooLarge => "send less, cookies above all, or raise limits.header_bytes and \
             limits.header_count"
            .to_owned(),
        D::BodyTooLarge => "send less, or raise limits.body_bytes".to_owned(),
        D::PathAmbiguous => {
            "the path has a second reading (dot segments, double slashes, needless or \
             hidden escapes): let the client send its normal form, or write paths.ambiguous = \
             \"normalise\""
                .to_owned()
        }
        D::RouteUnmatched => route::fix_unmatched(facts),
        D::TokenMissing => token::missing(facts),
        D::TokenEmpty => token::empty(facts),
        D::TokenRepeated => token::repeated(facts),
        D::TokenTooLong => token::too_long(facts),
        D::TokenMalformed => token::malformed(facts),
        D::TokenHeaderRefused => token::header(facts),
        D::IssuerUnknown => token::unknown_issuer(facts),
        D::AlgorithmRefused => key::algorithm(facts),
        D::TokenTypeRefused => key::kind(facts),
        D::SignerRefused => key::signer(facts),
        D::KeyUnknown => key::unknown(facts),
        D::KeyMismatch => key::mismatch(facts),
        D::KeysUnavailable => key::unavailable(facts),
        D::SignatureInvalid => key::signature(facts),
        D::ClaimsMalformed => claims::malformed(facts),
        D::IssuerMismatch => claims::party(facts),
        D::AudienceMismatch => claims::audience(facts),
        D::ExpiryMissing => {
            "let the issuer write exp: a token without an end is good for ever".to_owned()
        }
        D::TokenExpired => time::expired(facts),
        D::TokenNotYetValid => time::ahead("nbf", facts),
        D::TokenIssuedInFuture => time::ahead("iat", facts),
        D::LifetimeTooLong => time::lifetime(facts),
        D::SubjectMissing => claims::subject(facts),
        D::SubjectRefused => claims::subject_domain(facts),
        D::JtiMissing => {
            "let the issuer give every token a jti of its own, or take single_use out of its \
             [[issuer]]"
                .to_owned()
        }
        D::TokenDenied => denied("token", facts),
        D::IssuerNotForPeer => pair(facts),
        D::SenderMissing => sender::missing(facts),
        D::SenderMismatch => sender::mismatch(facts),
        D::SenderUnsupported => sender::unsupported(facts),
        D::RoutePeerRefused => route::fix_peer(facts),
        D::RouteIssuerRefused => route::fix_issuer(facts),
        D::ScopeMissing => route::fix_scope(facts),
        D::ClaimUnmet => route::fix_claims(facts),
        D::IdentityUnforwardable => {
            "a claim named in identity.headers, all of them for identity.claims_header, or the certificate \
             for identity.client_cert is longer than 8 KiB: let the issuer send fewer groups, or take it \
             out of [identity]"
                .to_owned()
        }
        // Only a running gate meets these.
        D::HandshakeTooSlow
        | D::HandshakeFailed
        | D::ConnectionLimit
        | D::PeerConnectionLimit
        | D::HeaderTooSlow
        | D::RequestTooSlow
        | D::TokenUsed
        | D::SingleUseFull
        | D::RequestLimit
        | D::UpstreamUnavailable
        | D::UpstreamFailed
        | D::UpstreamTooSlow => denial.meaning().to_owned(),
    }
}

fn denied(what: &str, facts: &Facts<'_>) -> String {
    let file = facts.settings.deny.file.as_deref();
    let file = file.map_or_else(String::new, |file| file.display().to_string());
    let line = facts.known.deny_line.unwrap_or_default();
    format!("line {line} of {file} denies this {what}: if that is over, take the line out")
}

fn pair(facts: &Facts<'_>) -> String {
    let Some(peer) = facts.peer_settings() else {
        return Denial::IssuerNotForPeer.meaning().to_owned();
    };
    let indices = peer.issuers.iter();
    let mut names: Vec<String> = indices
        .filter_map(|index| facts.settings.issuer_name(*index))
        .map(|name| name.to_string())
        .collect();
    names.push(facts.issuer_name().to_owned());
    format!(
        "if peer {} may speak for users of issuer {}, write issuers = {} in its [[peer]]; else the \
         token came the wrong way",
        quoted(&peer.name),
        quoted(facts.issuer_name()),
        array(names)
    )
}
