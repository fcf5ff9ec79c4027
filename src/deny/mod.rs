//! 5a. A refusal becomes an answer.
//!
//! The one table from [`Denial`] to what the caller sees. The caller learns the status, and whether
//! a token would help; the exact reason goes to the log and the metric alone, so that the answer is
//! no oracle for what is configured.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};

use crate::model::Denial;

/// RFC 9209: who in the chain made this answer. Present on every answer that sidegate made itself,
/// so that "who said 503?" can be answered from the outside.
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// The id that finds the decision line.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the caller is told about a reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// RFC 6750 3: the challenge, where a token would help.
    pub challenge: Option<&'static str>,
    /// How long to wait before trying again, where waiting helps.
    pub retry_after: Option<Duration>,
    /// RFC 9209 2.3: the kind of failure.
    pub error: &'static str,
}

const DENIED: &str = "sidegate; error=http_request_denied";
const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";
/// RFC 6750 3.1. Without `scope=`, which would tell what the route asks for.
const INSUFFICIENT_SCOPE: &str = "Bearer error=\"insufficient_scope\"";

impl Answer {
    const fn new(status: StatusCode, error: &'static str) -> Self {
        Self {
            status,
            challenge: None,
            retry_after: None,
            error,
        }
    }

    const fn challenge(self, challenge: &'static str) -> Self {
        Self {
            challenge: Some(challenge),
            ..self
        }
    }

    const fn retry_after(self, seconds: u64) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(seconds)),
            ..self
        }
    }

    /// The answer to a refusal.
    ///
    /// No wildcard: a new reason does not compile until it has an answer.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one table, to be read in one piece")]
    pub const fn to(denial: Denial) -> Self {
        use Denial as D;
        use StatusCode as S;
        match denial {
            // These end in a TLS alert. Should one ever meet a request, it is forbidden.
            D::CertificateMissing
            | D::CertificateUntrusted
            | D::CertificateExpired
            | D::CertificateNotYetValid
            | D::CertificateRevoked
            | D::CertificateInvalid
            | D::CertificateDenied
            | D::PeerNotListed
            | D::PeerAmbiguous
            | D::HandshakeTooSlow
            | D::HandshakeFailed
            | D::ConnectionLimit
            | D::PeerConnectionLimit
            | D::RouteUnmatched
            | D::IssuerNotForPeer
            | D::RoutePeerRefused
            | D::RouteIssuerRefused
            | D::ClaimUnmet
            | D::IdentityUnforwardable => Self::new(S::FORBIDDEN, DENIED),
            D::ScopeMissing => Self::new(S::FORBIDDEN, DENIED).challenge(INSUFFICIENT_SCOPE),
            D::RequestMalformed => Self::new(S::BAD_REQUEST, "sidegate; error=http_protocol_error"),
            D::ClientCertMalformed | D::PathAmbiguous => Self::new(S::BAD_REQUEST, DENIED),
            D::HeaderTooLarge => Self::new(S::REQUEST_HEADER_FIELDS_TOO_LARGE, DENIED),
            D::HeaderTooSlow | D::RequestTooSlow => Self::new(S::REQUEST_TIMEOUT, DENIED),
            D::BodyTooLarge => Self::new(S::PAYLOAD_TOO_LARGE, DENIED),
            D::TokenMissing | D::TokenEmpty => {
                Self::new(S::UNAUTHORIZED, DENIED).challenge("Bearer")
            }
            D::TokenRepeated => {
                Self::new(S::BAD_REQUEST, DENIED).challenge("Bearer error=\"invalid_request\"")
            }
            D::TokenTooLong
            | D::TokenMalformed
            | D::TokenHeaderRefused
            | D::IssuerUnknown
            | D::AlgorithmRefused
            | D::TokenTypeRefused
            | D::SignerRefused
            | D::KeyUnknown
            | D::KeyMismatch
            | D::SignatureInvalid
            | D::ClaimsMalformed
            | D::IssuerMismatch
            | D::AudienceMismatch
            | D::ExpiryMissing
            | D::TokenExpired
            | D::TokenNotYetValid
            | D::TokenIssuedInFuture
            | D::LifetimeTooLong
            | D::SubjectMissing
            | D::TokenDenied
            | D::JtiMissing
            | D::TokenUsed
            | D::SubjectRefused
            // RFC 8705 3.
            | D::SenderMissing
            | D::SenderMismatch
            | D::SenderUnsupported => Self::new(S::UNAUTHORIZED, DENIED).challenge(INVALID_TOKEN),
            // Never 401: the caller's token may be perfect, and a front end would log the user out.
            D::KeysUnavailable | D::SingleUseFull => Self::new(
                S::SERVICE_UNAVAILABLE,
                "sidegate; error=proxy_internal_error",
            )
            .retry_after(5),
            D::RequestLimit => Self::new(
                S::SERVICE_UNAVAILABLE,
                "sidegate; error=connection_limit_reached",
            )
            .retry_after(1),
            D::UpstreamUnavailable => {
                Self::new(S::SERVICE_UNAVAILABLE, "sidegate; error=connection_refused")
                    .retry_after(1)
            }
            D::UpstreamFailed => Self::new(S::BAD_GATEWAY, "sidegate; error=connection_terminated"),
            D::UpstreamTooSlow => {
                Self::new(S::GATEWAY_TIMEOUT, "sidegate; error=http_response_timeout")
            }
        }
    }

    /// The whole response: the same for every reason with this answer, but for the id.
    #[must_use]
    pub fn response(self, form: BodyForm, request_id: &str) -> Response<Bytes> {
        let title = self.status.canonical_reason().unwrap_or("Refused");
        let code = self.status.as_u16();
        let (content_type, body) = match form {
            BodyForm::Text => (
                "text/plain; charset=utf-8",
                format!("{code} {title}\nrequest id: {request_id}\n"),
            ),
            // The id is printable ASCII without quotes or backslashes, see `gate`.
            BodyForm::Problem => (
                "application/problem+json",
                format!(
                    "{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{code},\"request_id\":\"{request_id}\"}}\n"
                ),
            ),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PROXY_STATUS, HeaderValue::from_static(self.error));
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}

/// How the body of a refusal is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyForm {
    /// For people.
    Text,
    /// RFC 9457, for callers that accept JSON.
    Problem,
}

impl BodyForm {
    /// What the caller's `Accept` asks for. Anything unclear is text.
    #[must_use]
    pub fn wanted_by(headers: &HeaderMap) -> Self {
        let json = |value: &HeaderValue| {
            value.to_str().is_ok_and(|text| {
                text.split(',')
                    .filter_map(|range| range.split(';').next())
                    .any(|range| {
                        matches!(
                            range.trim(),
                            "application/json" | "application/problem+json"
                        )
                    })
            })
        };
        if headers.get_all(ACCEPT).iter().any(json) {
            Self::Problem
        } else {
            Self::Text
        }
    }
}

/// The answer to a header that never ended, as bytes: there is no request to answer.
#[must_use]
pub fn slow_header() -> Bytes {
    let Answer { status, error, .. } = Answer::to(Denial::HeaderTooSlow);
    let code = status.as_u16();
    let title = status.canonical_reason().unwrap_or_default();
    Bytes::from(format!(
        "HTTP/1.1 {code} {title}\r\nconnection: close\r\ncontent-length: 0\r\nproxy-status: {error}\r\n\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_tells_the_status_and_the_id_and_never_the_reason() {
        for denial in Denial::ALL {
            let answer = Answer::to(*denial);
            for form in [BodyForm::Text, BodyForm::Problem] {
                let response = answer.response(form, "abc-1");
                let text = format!("{response:?}{:?}", response.body());
                assert!(!text.contains(denial.code()), "{denial:?}: {text}");
                assert!(text.contains("abc-1"));
                assert_eq!(response.status(), answer.status);
            }
        }
    }

    #[test]
    fn a_token_that_is_missing_gets_a_challenge_without_an_error_code() {
        assert_eq!(Answer::to(Denial::TokenMissing).challenge, Some("Bearer"));
        assert_eq!(
            Answer::to(Denial::TokenExpired).challenge,
            Some(INVALID_TOKEN)
        );
        assert_eq!(Answer::to(Denial::IssuerNotForPeer).challenge, None);
    }

    #[test]
    fn keys_that_are_not_there_are_our_fault_and_never_a_401() {
        let answer = Answer::to(Denial::KeysUnavailable);
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.retry_after.is_some());
    }

    #[test]
    fn problem_json_is_sent_only_to_those_who_ask_for_json() {
        let mut headers = HeaderMap::new();
        assert_eq!(BodyForm::wanted_by(&headers), BodyForm::Text);
        headers.insert(ACCEPT, HeaderValue::from_static("text/html, */*"));
        assert_eq!(BodyForm::wanted_by(&headers), BodyForm::Text);
        headers.append(ACCEPT, HeaderValue::from_static("application/json;q=0.5"));
        assert_eq!(BodyForm::wanted_by(&headers), BodyForm::Problem);
    }
}
