//! For each check, what was found and what was expected, for people.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::facts::{Facts, expected_issuer};
use super::steps::Check;
use super::words::{about, date, list, quoted};
use super::{certificate, route, seen};
use crate::settings::{
    AudienceRule, CertificateForm, Maker, PathSettings, SenderRule, SubjectRule, TokenForm,
};

/// What a check compares.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Evidence {
    pub(super) found: String,
    pub(super) expected: String,
}

pub(super) fn said(found: impl Into<String>, expected: impl Into<String>) -> Evidence {
    Evidence {
        found: found.into(),
        expected: expected.into(),
    }
}

/// The evidence of one check.
pub(super) fn evidence(check: Check, facts: &Facts<'_>) -> Evidence {
    match check {
        Check::Certificate => certificate::shown(facts),
        Check::Chain => certificate::chain(facts),
        Check::CertificateAllowed | Check::TokenAllowed => deny_list(facts),
        Check::Peer => certificate::peer(facts),
        Check::Message => message(facts),
        Check::Path => path(facts),
        Check::Route => route::found(facts),
        Check::TokenFound => token_found(facts),
        Check::TokenLength => token_length(facts),
        Check::TokenForm => token_form(facts),
        Check::IssuerKnown => issuer_known(facts),
        Check::Keys => said(keys(facts), "at least one"),
        Check::TokenHeader => token_header(facts),
        Check::Algorithm => algorithm(facts),
        Check::TokenType => token_type(facts),
        Check::Signer => signer(facts),
        Check::Key => said(format!("kid {}", facts.in_header("kid")), keys(facts)),
        Check::Signature => signature(facts),
        Check::ClaimsForm => claims_form(facts),
        Check::Issuer => issuer(facts),
        Check::Audience => audience(facts),
        Check::Expiry => expiry(facts),
        Check::NotBefore => begun("nbf", facts),
        Check::IssuedAt => begun("iat", facts),
        Check::Lifetime => lifetime(facts),
        Check::Subject => subject(facts),
        Check::SubjectDomain => subject_domain(facts),
        Check::TokenId => token_id(facts),
        Check::Pair => pair(facts),
        Check::Sender => sender(facts),
        Check::RoutePeer => route::peer(facts),
        Check::RouteIssuer => route::issuer(facts),
        Check::Scope => route::scope(facts),
        Check::Claims => route::claims(facts),
        Check::Use => said("not asked: only a running gate knows", "its first use"),
        Check::Identity => identity(facts),
    }
}

fn deny_list(facts: &Facts<'_>) -> Evidence {
    let file = facts.settings.deny.file.as_deref();
    let found = match (facts.known.deny_line, file) {
        (Some(line), _) => format!("line {line} names it"),
        (None, Some(_)) => "not named".to_owned(),
        (None, None) => "no list".to_owned(),
    };
    let file = file.map_or_else(String::new, |file| format!(" in {}", file.display()));
    said(found, format!("no entry{file}"))
}

fn message(facts: &Facts<'_>) -> Evidence {
    let head = facts.request;
    let host = head.headers().get(http::header::HOST);
    let host = host.map_or_else(String::new, |host| {
        format!(" at {}", String::from_utf8_lossy(host.as_bytes()))
    });
    let limits = &facts.settings.limits;
    said(
        // Without the query: queries carry secrets.
        format!("{} {}{host}", head.method(), quoted(head.uri().path())),
        format!(
            "at most {} fields and {} bytes in the header",
            limits.header_count, limits.header_bytes
        ),
    )
}

fn path(facts: &Facts<'_>) -> Evidence {
    let rule = match facts.settings.paths {
        PathSettings::Untouched => "any: without a [[route]] paths are not looked at",
        PathSettings::Refuse => "one reading: paths.ambiguous is refuse",
        PathSettings::Normalise => "a normal form: paths.ambiguous is normalise",
    };
    said(quoted(facts.request.uri().path()), rule)
}

fn token_found(facts: &Facts<'_>) -> Evidence {
    let places = facts.found.iter().map(|found| &found.place);
    let all = facts.settings.issuers.iter().flat_map(|it| &it.places);
    let all = list(all.map(seen::place));
    said(list(places), format!("one of {all}"))
}

fn token_length(facts: &Facts<'_>) -> Evidence {
    let bytes = facts.token().map(|token| format!("{} bytes", token.bytes));
    let most = facts.settings.limits.token_bytes;
    said(bytes.unwrap_or_default(), format!("at most {most} bytes"))
}

fn token_form(facts: &Facts<'_>) -> Evidence {
    let parts = facts.token().map(|token| format!("{} parts", token.parts));
    said(
        parts.unwrap_or_default(),
        "3 parts of canonical base64url, the first a JSON object",
    )
}

fn issuer_known(facts: &Facts<'_>) -> Evidence {
    let known = facts.settings.issuers.iter().filter_map(expected_issuer);
    said(format!("iss {}", facts.claim("iss")), list(known))
}

fn keys(facts: &Facts<'_>) -> String {
    let keys: Vec<String> = facts.keys.iter().map(ToString::to_string).collect();
    let keys = if keys.is_empty() {
        "none".to_owned()
    } else {
        keys.join(", ")
    };
    format!("keys of issuer {}: {keys}", quoted(facts.issuer_name()))
}

fn token_header(facts: &Facts<'_>) -> Evidence {
    let header = facts.token().and_then(|token| token.header.as_ref());
    said(
        header.map(|header| list(header.keys())).unwrap_or_default(),
        "no crit, b64, zip, enc, jwk, jku, x5u, x5c",
    )
}

fn algorithm(facts: &Facts<'_>) -> Evidence {
    let listed = facts.issuer.iter().flat_map(|issuer| &issuer.algorithms);
    said(
        format!("alg {}", facts.in_header("alg")),
        list(listed.map(|one| one.name())),
    )
}

fn token_type(facts: &Facts<'_>) -> Evidence {
    let types = facts.issuer.map(|issuer| issuer.types.to_string());
    said(
        format!("typ {}", facts.in_header("typ")),
        format!("one of {}", types.unwrap_or_default()),
    )
}

fn signer(facts: &Facts<'_>) -> Evidence {
    match facts.issuer.map(|issuer| &issuer.form) {
        Some(TokenForm::AwsAlb(ours)) => said(
            format!("signer {}", facts.in_header("signer")),
            format!("one of {}", list(ours)),
        ),
        Some(TokenForm::Jwt) | None => said("no load balancer's token", "nothing"),
    }
}

fn signature(facts: &Facts<'_>) -> Evidence {
    said(
        format!("signed as key {}", facts.in_header("kid")),
        format!(
            "a signature by a key of issuer {}",
            quoted(facts.issuer_name())
        ),
    )
}

fn claims_form(facts: &Facts<'_>) -> Evidence {
    let claims = facts.token().and_then(|token| token.claims.as_ref());
    said(
        claims.map_or_else(|| "no JSON object".to_owned(), |all| list(all.keys())),
        "one JSON object without repeated members; iss, sub, jti, sid texts; aud texts; exp, nbf, iat \
         seconds",
    )
}

fn issuer(facts: &Facts<'_>) -> Evidence {
    let expected = match facts.issuer.and_then(expected_issuer) {
        Some(issuer) => quoted(issuer),
        None => "anything: sub says whose it is".to_owned(),
    };
    said(facts.claim("iss"), expected)
}

fn audience(facts: &Facts<'_>) -> Evidence {
    let expected = match facts.issuer.map(|issuer| &issuer.audience) {
        Some(AudienceRule::OneOf(names)) => format!("one of {}", list(names)),
        Some(AudienceRule::Absent) => "missing".to_owned(),
        None => String::new(),
    };
    said(facts.claim("aud"), expected)
}

fn expiry(facts: &Facts<'_>) -> Evidence {
    said(
        facts.moment("exp"),
        format!("after {}, less {} of leeway", now(facts), leeway(facts)),
    )
}

fn begun(claim: &str, facts: &Facts<'_>) -> Evidence {
    said(
        facts.moment(claim),
        format!(
            "missing, or at most {}, plus {} of leeway",
            now(facts),
            leeway(facts)
        ),
    )
}

fn now(facts: &Facts<'_>) -> String {
    let now = facts.now;
    format!("{} ({})", now.unix(), date(now).unwrap_or_default())
}

fn leeway(facts: &Facts<'_>) -> String {
    facts
        .issuer
        .map(|issuer| about(issuer.leeway))
        .unwrap_or_default()
}

fn lifetime(facts: &Facts<'_>) -> Evidence {
    let life = match (facts.timestamp("iat"), facts.timestamp("exp")) {
        (Some(from), Some(until)) => format!("{} from iat to exp", about(until.since(from))),
        (None, Some(until)) => format!("{} left, and no iat", about(until.since(facts.now))),
        (_, None) => "no exp".to_owned(),
    };
    let most = facts.issuer.map(|issuer| about(issuer.max_lifetime));
    said(life, format!("at most {}", most.unwrap_or_default()))
}

fn subject(facts: &Facts<'_>) -> Evidence {
    let expected = match facts.issuer.map(|issuer| issuer.subject) {
        Some(SubjectRule::MayBeEmpty) => "anything: allow_empty_subject is true",
        Some(SubjectRule::Required) | None => "not empty",
    };
    said(facts.claim("sub"), expected)
}

fn subject_domain(facts: &Facts<'_>) -> Evidence {
    match facts.issuer.map(|issuer| &issuer.maker) {
        Some(Maker::TrustDomain(domain, _)) => said(
            facts.claim("sub"),
            format!("a SPIFFE ID of the trust domain {domain}"),
        ),
        Some(Maker::Issuer(_)) | None => said(facts.claim("sub"), "anything: no trust_domain"),
    }
}

fn token_id(facts: &Facts<'_>) -> Evidence {
    let once = facts
        .issuer
        .is_some_and(|issuer| issuer.single_use.is_some());
    let expected = if once {
        "not empty: single_use is on"
    } else {
        "anything: single_use is off"
    };
    said(facts.claim("jti"), expected)
}

fn pair(facts: &Facts<'_>) -> Evidence {
    let name = facts.peer.as_ref().map(|peer| &**peer.name());
    let allowed = facts.peer_settings().map_or_else(String::new, |peer| {
        let names = peer.issuers.iter();
        list(names.filter_map(|index| facts.settings.issuer_name(*index)))
    });
    said(
        format!(
            "peer {} with a token of issuer {}",
            quoted(name.unwrap_or("?")),
            quoted(facts.issuer_name())
        ),
        format!("its issuers: {allowed}"),
    )
}

fn sender(facts: &Facts<'_>) -> Evidence {
    let sender = facts.peer.as_ref().and_then(|peer| peer.sender());
    let sender = sender.map_or_else(
        || "no certificate handed over".to_owned(),
        |sha256| format!("the certificate with x5t#S256 {:?}", thumbprint(sha256)),
    );
    let rule = match facts.issuer.map(|issuer| issuer.sender) {
        Some(SenderRule::Required) => "required",
        Some(SenderRule::IfBound) | None => "compared where it is there",
    };
    said(
        format!("cnf {}", facts.claim("cnf")),
        format!("{rule}: {sender}"),
    )
}

/// RFC 8705 3.1.
pub(super) fn thumbprint(sha256: &[u8; 32]) -> String {
    URL_SAFE_NO_PAD.encode(sha256)
}

fn identity(facts: &Facts<'_>) -> Evidence {
    let headers = &facts.settings.identity.headers;
    let told = facts.told.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        format!("{name}: {}", quoted(&value))
    });
    let forms = facts.settings.identity.client_cert.iter();
    let forms = forms.map(|form| match form {
        CertificateForm::ClientCert => "client-cert",
        CertificateForm::Xfcc => "x-forwarded-client-cert",
    });
    let names = list(headers.iter().map(|(name, _)| name.as_str()).chain(forms));
    said(
        told.collect::<Vec<_>>().join(", "),
        format!("{names}, each at most 8 KiB"),
    )
}
