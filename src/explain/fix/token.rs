//! What to change about a token that is not there, or not what it should look like.

use crate::explain::facts::{Facts, expected_issuer};
use crate::explain::seen::{elsewhere, place};
use crate::explain::words::{list, quoted};
use crate::model::Denial;
use crate::settings::{MOST_TOKEN_BYTES, TokenPlace};

pub(super) fn missing(facts: &Facts<'_>) -> String {
    let places = facts.settings.issuers.iter().flat_map(|it| &it.places);
    let places: Vec<&TokenPlace> = places.collect();
    let other = elsewhere(facts.request.headers());
    let bearer = |name: &str| {
        let wants = |place: &&&TokenPlace| matches!(place, TokenPlace::Bearer(it) if it == name);
        places.iter().any(|place| wants(&place))
    };
    match other.first() {
        Some(name) if bearer(name) => format!(
            "{name} holds a token without the word Bearer: send \"{name}: Bearer TOKEN\", or write \
             scheme = \"none\" in the [[issuer]]"
        ),
        Some(name) => format!(
            "a token stands in {name}, where no issuer puts one: write header = {name:?} in its \
             [[issuer]], or send it in {}",
            list(places.into_iter().map(place))
        ),
        None if facts.is_pomerium()
            || places.iter().any(|it| place(it).starts_with("x-pomerium")) =>
        {
            "send one; Pomerium does so only on routes with pass_identity_headers: true".to_owned()
        }
        None => format!("send one in {}", list(places.into_iter().map(place))),
    }
}

pub(super) fn empty(facts: &Facts<'_>) -> String {
    let place = facts.found.first().map(|found| found.place.as_str());
    if place.is_some_and(|place| place.starts_with("x-pomerium-")) {
        "Pomerium could not sign: set signing_key there, and look into its log".to_owned()
    } else {
        format!(
            "{} is there and empty: the front proxy had no token to pass on",
            quoted(place.unwrap_or("the header"))
        )
    }
}

pub(super) fn repeated(facts: &Facts<'_>) -> String {
    let places: Vec<&String> = facts.found.iter().map(|found| &found.place).collect();
    match places.as_slice() {
        [one] => format!(
            "{} holds several values joined by commas: let the front proxy replace the header \
             instead of adding to it",
            quoted(one)
        ),
        _ => format!(
            "tokens stand in {}: let the front proxy remove what callers send and set one, in one \
             place",
            list(places)
        ),
    }
}

pub(super) fn too_long(facts: &Facts<'_>) -> String {
    let bytes = facts.token().map_or(0, |token| token.bytes as u64);
    let needed = bytes.div_ceil(1024);
    if bytes > MOST_TOKEN_BYTES {
        return format!(
            "it has {needed} KiB, and no setting takes more than {} KiB: let the issuer put fewer groups \
             into the token",
            MOST_TOKEN_BYTES / 1024
        );
    }
    format!(
        "raise limits.token_bytes to \"{needed}KiB\" (and limits.header_bytes above it), or let the \
         issuer put fewer groups into the token"
    )
}

pub(super) fn malformed(facts: &Facts<'_>) -> String {
    let Some(token) = facts.token() else {
        return Denial::TokenMalformed.meaning().to_owned();
    };
    match (token.parts, token.strange) {
        (_, Some('=')) => "the parts are padded with \"=\", as an AWS load balancer writes them: if it is \
             one, write preset = \"aws-alb\"; else let the issuer write base64url without padding (RFC \
             7515 2)"
            .to_owned(),
        (_, Some(c @ ('+' | '/'))) => format!(
            "it has {c:?}: that is base64, and a JWS is base64url (RFC 7515 2), with \"-\" and \"_\""
        ),
        (_, Some('"')) => "send it without quotation marks".to_owned(),
        (_, Some(c)) if c.is_whitespace() => {
            "there is a blank or a line end in it: it was cut or wrapped on the way".to_owned()
        }
        (_, Some(c)) => {
            format!("it has {c:?}, which no compact JWS has: it was damaged on the way")
        }
        (5, None) => {
            "five parts are an encrypted token (JWE), which nobody here can open: let the \
             issuer sign without encrypting"
                .to_owned()
        }
        (1, None) => {
            "no dots: this is an opaque token or a session id. Let the front proxy pass a \
             JWT on, such as the ID token or a JWT access token"
                .to_owned()
        }
        (2, None) => "the signature is missing: it was cut on the way".to_owned(),
        (3, None) if token.header.is_none() => {
            "the first part is not base64url of a JSON object: this is no JWT, or it was damaged"
                .to_owned()
        }
        (3, None) => {
            "a part is empty, ends in bits that mean nothing, or the header names a member \
             twice: it was cut or changed on the way"
                .to_owned()
        }
        (parts, None) => format!("{parts} parts: a signed JWT has three"),
    }
}

pub(super) fn header(facts: &Facts<'_>) -> String {
    const REFUSED: [&str; 8] = ["crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c"];
    let header = facts.token().and_then(|token| token.header.as_ref());
    let Some(header) = header else {
        return Denial::TokenHeaderRefused.meaning().to_owned();
    };
    let found: Vec<&str> = REFUSED
        .into_iter()
        .filter(|name| header.contains_key(*name))
        .collect();
    let wrong = ["alg", "kid", "typ"]
        .into_iter()
        .find(|name| header.get(*name).is_some_and(|value| !value.is_string()));
    match (found.as_slice(), wrong) {
        ([], Some(name)) => format!("{name} in its header must be a text"),
        ([], None) => "its kid is longer than 256 bytes".to_owned(),
        ([name @ ("jwk" | "jku" | "x5u" | "x5c"), ..], _) => format!(
            "its header brings its own key ({name}): keys come from the configuration alone. Let \
             the issuer leave {name} out and name its key by kid"
        ),
        (names, _) => format!(
            "let the issuer leave out {}: nothing of the kind is understood here",
            list(names)
        ),
    }
}

pub(super) fn unknown_issuer(facts: &Facts<'_>) -> String {
    let said = facts.token().and_then(|token| token.text("iss"));
    let known = facts.settings.issuers.iter().filter_map(expected_issuer);
    let near = said.and_then(|said| {
        let mut known = facts.settings.issuers.iter().filter_map(expected_issuer);
        known.find(|it| super::claims::is_near(said, it))
    });
    match (said, near) {
        (Some(said), Some(near)) => format!(
            "the token says {} and an [[issuer]] says {}: write issuer = {said:?} there",
            quoted(said),
            quoted(near)
        ),
        (Some(said), None) => format!(
            "write an [[issuer]] with issuer = {said:?}, if its tokens are to be believed; known \
             are {}",
            list(known)
        ),
        (None, _) => format!(
            "it has no iss, and several issuers share the place: let its issuer write one of {}",
            list(known)
        ),
    }
}
