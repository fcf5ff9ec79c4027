//! What to change about a token that no key of its issuer vouches for.

use serde_json::Value;

use crate::explain::facts::Facts;
use crate::explain::words::{array, list, quoted};
use crate::jwks::ShownKey;
use crate::model::Algorithm;
use crate::settings::KeySource;

pub(super) fn algorithm(facts: &Facts<'_>) -> String {
    let said = facts.token().and_then(|token| token.in_header("alg"));
    let Some(said) = said.and_then(Value::as_str) else {
        return "its header has no alg: this is no signed JWT".to_owned();
    };
    let listed: Vec<&str> = facts
        .issuer
        .iter()
        .flat_map(|issuer| &issuer.algorithms)
        .map(|one| one.name())
        .collect();
    let known = Algorithm::from_name(said);
    let meant = Algorithm::ALL
        .into_iter()
        .find(|one| one.name().eq_ignore_ascii_case(said));
    match (known, meant) {
        _ if said.eq_ignore_ascii_case("none") => {
            "nobody signed it: alg none is never accepted. Switch signing on at the issuer"
                .to_owned()
        }
        (Some(one), _) if one.is_symmetric() => format!(
            "{said} is a shared secret, and this issuer's keys are public ones: with both, everybody \
             who has the public key could sign. Let the issuer sign with one of {}",
            list(listed)
        ),
        (Some(_), _) if has_secret(facts) => format!(
            "the key of this issuer is a shared secret, and {said} needs a public one, which never stands \
             beside it: let the issuer sign with one of {}, or write an [[issuer]] of its own for its \
             tokens by {said}",
            list(listed)
        ),
        (Some(_), _) => format!(
            "if the issuer is meant to sign with {said}, write algorithms = {} in [[issuer]] {}",
            array(listed.iter().copied().chain([said])),
            quoted(facts.issuer_name())
        ),
        (None, Some(meant)) => format!(
            "names of algorithms are compared with their case (RFC 7515 4.1.1): the issuer must \
             write {:?}",
            meant.name()
        ),
        (None, None) => format!(
            "{} is not known here: let the issuer sign with one of {}",
            quoted(said),
            list(listed)
        ),
    }
}

pub(super) fn unknown(facts: &Facts<'_>) -> String {
    let kid = facts.token().and_then(|token| token.in_header("kid"));
    let Some(kid) = kid.and_then(Value::as_str) else {
        return "its header names no key (kid) and several fit: let the issuer write kid, or leave one \
                key for each algorithm"
            .to_owned();
    };
    let file = source(facts);
    if let Some(key) = facts.keys.iter().find(|key| key.has_thumbprint(kid)) {
        return format!(
            "{} is the thumbprint (RFC 7638) of the key that {file} calls {}: take kid out of it \
             there, or let the issuer publish and write one name",
            quoted(kid),
            quoted(&key.name)
        );
    }
    let alike = |key: &&ShownKey| key.name.eq_ignore_ascii_case(kid);
    if let Some(key) = facts.keys.iter().find(alike) {
        return format!(
            "{} and {} differ in case alone: kid is compared whole, write both alike",
            quoted(kid),
            quoted(&key.name)
        );
    }
    let kid = quoted(kid);
    if is_fetched(facts) {
        return format!(
            "{file} does not hold key {kid}: another installation's issuer signed it, or the key was taken \
             back. A running gate asks the URL again for a key that it does not know"
        );
    }
    format!(
        "the issuer has a key {kid} that {file} does not hold: it was rotated, or the file is of another \
         installation. Fetch its JWKS anew; the gate reads the file by itself"
    )
}

pub(super) fn mismatch(facts: &Facts<'_>) -> String {
    format!(
        "key {} in {} is not for {}: let the issuer sign with that key's own algorithm, or name \
         another key",
        facts.in_header("kid"),
        source(facts),
        facts.in_header("alg")
    )
}

pub(super) fn signature(facts: &Facts<'_>) -> String {
    let file = source(facts);
    if has_secret(facts) {
        return format!(
            "another secret than that in {file} signed it, or it was changed on the way: put the \
             same bytes on both sides (one line end at the end of the file does not count)"
        );
    }
    let what = "the token was changed or cut on the way, or another private key of the same name signed it";
    if is_fetched(facts) {
        return format!(
            "{what}: see that the URL in keys is of the issuer that really made it, and let the issuer give a \
             new key a new name"
        );
    }
    format!("{what}: fetch the JWKS of the issuer that really made it into {file}")
}

pub(super) fn kind(facts: &Facts<'_>) -> String {
    let types = facts.issuer.map(|issuer| issuer.types.to_string());
    let types = types.unwrap_or_default();
    let token = facts.token();
    let said = token.and_then(|token| token.in_header("typ"));
    let said = said.and_then(Value::as_str).unwrap_or("absent");
    let written = types.split(", ").chain([said]);
    format!(
        "typ is {}, and kinds of token that are not meant are refused (RFC 8725 3.11): an ID token, or \
         one for another end? If it is meant, write typ = {} in [[issuer]] {}",
        quoted(said),
        array(written),
        quoted(facts.issuer_name())
    )
}

pub(super) fn signer(facts: &Facts<'_>) -> String {
    format!(
        "AWS signs for every customer with the same keys: if {} is your load balancer, write it to \
         signer in [[issuer]] {}; else this token is of somebody else's",
        facts.in_header("signer"),
        quoted(facts.issuer_name())
    )
}

pub(super) fn unavailable(facts: &Facts<'_>) -> String {
    let name = quoted(facts.issuer_name());
    if is_fetched(facts) {
        return format!(
            "the keys of issuer {name} come from a URL, and none was fetched: ask again with --fetch, or read \
             above why that failed; if the gate says so, see objects in its /status, and sidegate check"
        );
    }
    format!(
        "issuer {name} has no keys at this moment: see sidegate check and {}",
        source(facts)
    )
}

/// Where the issuer's keys come from, for people.
fn source(facts: &Facts<'_>) -> String {
    let keys = facts.issuer.map(|issuer| &issuer.keys);
    match keys.and_then(KeySource::path) {
        Some(path) => path.display().to_string(),
        None => "the document at its URL".to_owned(),
    }
}

fn has_secret(facts: &Facts<'_>) -> bool {
    let keys = facts.issuer.map(|issuer| &issuer.keys);
    matches!(keys, Some(KeySource::SecretFile(_)))
}

fn is_fetched(facts: &Facts<'_>) -> bool {
    let keys = facts.issuer.map(|issuer| &issuer.keys);
    matches!(keys, Some(KeySource::Remote(_)))
}
