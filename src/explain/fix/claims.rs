//! What to change about a token that is rightly signed and not good enough.

use serde_json::Value;

use crate::explain::facts::{Facts, expected_audience, expected_issuer};
use crate::explain::words::{Difference, array, quoted};
use crate::model::Denial;
use crate::settings::{AudienceRule, Maker};

/// Later than any time in seconds that somebody means: 13 digits are milliseconds.
const MILLISECONDS: f64 = 100_000_000_000.0;

/// Whether two names differ in a known trap alone.
pub(super) fn is_near(found: &str, expected: &str) -> bool {
    Difference::between(found, expected) != Difference::Other
}

pub(super) fn malformed(facts: &Facts<'_>) -> String {
    let Some(token) = facts.token() else {
        return Denial::ClaimsMalformed.meaning().to_owned();
    };
    if token.claims.is_none() {
        return "the payload is no JSON object: let the issuer sign a claims set (RFC 7519)"
            .to_owned();
    }
    for name in ["exp", "nbf", "iat"] {
        match token.claim(name) {
            Some(Value::Number(number)) if number.as_f64().is_some_and(|it| it >= MILLISECONDS) => {
                return format!(
                    "{name} is {number}, which is milliseconds: RFC 7519 2 has seconds, so let the \
                     issuer divide by 1000"
                );
            }
            Some(Value::String(_)) => {
                return format!("{name} is a text: let the issuer write a number of seconds");
            }
            Some(Value::Number(number)) if number.as_f64().is_none_or(|it| it < 0.0) => {
                return format!("{name} is {number}, before 1970");
            }
            Some(Value::Number(_)) | None => {}
            Some(_) => return format!("{name} must be a number of seconds"),
        }
    }
    for name in ["iss", "sub", "jti", "sid"] {
        if token.claim(name).is_some_and(|value| !value.is_string()) {
            return format!(
                "{name} must be a text: let the issuer put it in quotes or leave it out"
            );
        }
    }
    match token.claim("aud") {
        Some(Value::Array(all)) if all.iter().any(|one| !one.is_string()) => {
            return "aud must be a text or an array of texts".to_owned();
        }
        Some(Value::Array(_) | Value::String(_)) | None => {}
        Some(_) => return "aud must be a text or an array of texts".to_owned(),
    }
    let bound = token.claim("cnf");
    let print = bound.and_then(|cnf| cnf.get("x5t#S256"));
    if bound.is_some_and(|cnf| !cnf.is_object()) || print.is_some_and(|it| !it.is_string()) {
        return "cnf must be an object, such as { \"x5t#S256\": \"...\" } (RFC 8705 3.1): let the issuer \
                write it so, or leave it out"
            .to_owned();
    }
    if token.claims_repeat {
        return "the claims name a member twice, or are nested deeper than 32: two readers could read \
                two tokens, so let the issuer write each once"
            .to_owned();
    }
    Denial::ClaimsMalformed.meaning().to_owned()
}

pub(super) fn party(facts: &Facts<'_>) -> String {
    let expected = facts.issuer.and_then(expected_issuer).unwrap_or_default();
    let Some(said) = facts.token().and_then(|token| token.text("iss")) else {
        return format!("let the issuer write iss = {expected:?}: the token has none");
    };
    let name = quoted(facts.issuer_name());
    let (token, policy) = (quoted(said), quoted(expected));
    let both = format!("the token says {token}, the policy says {policy}");
    let write = format!("write issuer = {said:?} in [[issuer]] {name}");
    match Difference::between(said, expected) {
        Difference::UriForHost if facts.is_pomerium() => {
            format!("{both}: Pomerium's jwt_issuer_format is uri, so {write}")
        }
        Difference::HostForUri if facts.is_pomerium() => {
            format!("{both}: Pomerium's jwt_issuer_format is hostOnly, so {write}")
        }
        Difference::UriForHost | Difference::HostForUri => {
            format!("{both}: one is a URI and one a bare host, so {write}")
        }
        Difference::Slash => format!("{both}: they differ in the slash at the end, so {write}"),
        Difference::Case => format!("{both}: they differ in case alone, so {write}"),
        Difference::Scheme => {
            format!("{both}: http and https are two issuers; if it is yours, {write}")
        }
        Difference::Blanks => format!("{both}: they differ in blanks at an end, so {write}"),
        Difference::Other => {
            format!("{both}: the token is another issuer's; if it is the one you mean, {write}")
        }
    }
}

pub(super) fn audience(facts: &Facts<'_>) -> String {
    let expected = facts.issuer.map(expected_audience).unwrap_or_default();
    let Some(token) = facts.token() else {
        return Denial::AudienceMismatch.meaning().to_owned();
    };
    if facts.issuer.map(|issuer| &issuer.audience) == Some(&AudienceRule::Absent) {
        return format!(
            "the token names an audience, so it is for somebody else; if that is this service, write \
             audience = {} in [[issuer]] {}",
            array(token.audience()),
            quoted(facts.issuer_name())
        );
    }
    let said = token.audience();
    let name = quoted(facts.issuer_name());
    let write = |audience: &str| {
        let all = expected.iter().map(String::as_str).chain([audience]);
        format!("write audience = {} in [[issuer]] {name}", array(all))
    };
    if said.is_empty() {
        let needed = expected.first().map_or("", String::as_str);
        let azp = token.text("azp").or_else(|| token.text("client_id"));
        let azp = azp.map_or_else(String::new, |azp| {
            format!(
                " (azp or client_id {} is who asked for it, not for whom it is)",
                quoted(azp)
            )
        });
        return format!("the token names no audience{azp}: let the issuer write aud = {needed:?}");
    }
    let joined = |one: &&&str| one.contains([',', ' ']) && names(one, expected);
    if let Some(one) = said.iter().find(joined) {
        return format!(
            "aud {} is one text with several names in it: let the issuer write an array",
            quoted(one)
        );
    }
    let near = said
        .iter()
        .find(|one| expected.iter().any(|it| is_near(one, it)));
    match (near, said.first()) {
        (Some(near), _) => format!(
            "aud {} and the policy's {} are compared whole: {}",
            quoted(near),
            array(expected),
            write(near)
        ),
        (None, Some(one)) if facts.is_pomerium() => format!(
            "Pomerium's aud is the host of the route: this token is for {}. If that route leads \
             here, {}",
            quoted(one),
            write(one)
        ),
        (None, one) => format!(
            "the token is for another service; if that is this one, {}",
            write(one.copied().unwrap_or_default())
        ),
    }
}

fn names(joined: &str, expected: &[String]) -> bool {
    joined
        .split([',', ' '])
        .any(|one| expected.iter().any(|it| it == one))
}

pub(super) fn subject(facts: &Facts<'_>) -> String {
    let name = quoted(facts.issuer_name());
    if facts.is_pomerium() {
        return format!(
            "Pomerium signs an empty sub for nobody in particular, on a route with \
             allow_public_unauthenticated_access: switch that off there, or write \
             allow_empty_subject = true in [[issuer]] {name}"
        );
    }
    format!(
        "let the issuer say for whom the token is (sub), or write allow_empty_subject = true in \
         [[issuer]] {name}"
    )
}

pub(super) fn subject_domain(facts: &Facts<'_>) -> String {
    let domain = match facts.issuer.map(|issuer| &issuer.maker) {
        Some(Maker::TrustDomain(domain, _)) => domain.to_string(),
        Some(Maker::Issuer(_)) | None => String::new(),
    };
    format!(
        "sub is {}, and the trust domain of [[issuer]] {} is {domain}: a workload of another domain \
         needs an [[issuer]] with that domain's bundle",
        facts.claim("sub"),
        quoted(facts.issuer_name())
    )
}
