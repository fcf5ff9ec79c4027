//! What a request and its token say, read for showing alone.
//!
//! Lenient where the gate is strict, so that there is something to show of what was refused. Nothing
//! here is verified and nothing here decides; no whole token and no signature is kept.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::COOKIE;
use serde_json::{Map, Value};

use crate::settings::{IssuerSettings, TokenPlace};

/// Takes what any encoder writes.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Something that stands where a token may.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Where, for people.
    pub(super) place: String,
    /// What it says.
    pub(super) token: Seen,
}

/// A token, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its length.
    pub(super) bytes: usize,
    /// How many parts the dots make.
    pub(super) parts: usize,
    /// A character that no compact JWS has.
    pub(super) strange: Option<char>,
    /// The JOSE header, where it is a JSON object.
    pub(super) header: Option<Map<String, Value>>,
    /// The claims, where they are a JSON object.
    pub(super) claims: Option<Map<String, Value>>,
    /// Whether the claims name a member twice.
    pub(super) claims_repeat: bool,
}

impl Seen {
    pub(super) fn of(token: &str) -> Self {
        let decode = |part: Option<&str>| part.and_then(|part| LENIENT.decode(part).ok());
        let object = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).ok();
        let mut parts = token.split('.');
        let header = decode(parts.next());
        let payload = decode(parts.next());
        let header = header.as_deref().and_then(object);
        let mut claims = payload.as_deref().and_then(object);
        if let (Some(header), Some(claims)) = (&header, &mut claims)
            && header.contains_key("signer")
        {
            add_from_header(header, claims);
        }
        let strict = payload
            .as_deref()
            .is_some_and(|bytes| crate::model::json::parse_object(bytes).is_ok());
        let compact = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        Self {
            bytes: token.len(),
            parts: token.split('.').count(),
            strange: token.chars().find(|c| !compact(*c)),
            header,
            claims_repeat: claims.is_some() && !strict,
            claims,
        }
    }

    /// Whether somebody meant this to be a JWT.
    pub(super) fn looks_like_a_token(&self) -> bool {
        self.parts >= 3 && self.header.is_some()
    }

    /// A member of the JOSE header.
    pub(super) fn in_header(&self, name: &str) -> Option<&Value> {
        self.header.as_ref()?.get(name)
    }

    /// A claim, unverified.
    pub(super) fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.as_ref()?.get(name)
    }

    /// A claim that is a text, unverified.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claim(name)?.as_str()
    }

    /// `aud`, be it one or several.
    pub(super) fn audience(&self) -> Vec<&str> {
        match self.claim("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// An AWS load balancer says in the header what others say in the payload.
fn add_from_header(header: &Map<String, Value>, claims: &mut Map<String, Value>) {
    for (member, claim) in [("iss", "iss"), ("exp", "exp"), ("client", "aud")] {
        if let Some(value) = header.get(member) {
            claims.insert(claim.to_owned(), value.clone());
        }
    }
}

/// A place for people.
pub(super) fn place(place: &TokenPlace) -> String {
    match place {
        TokenPlace::Header(name) => name.to_string(),
        TokenPlace::Bearer(name) => format!("{name}: Bearer"),
        TokenPlace::Cookie(name) => format!("the cookie {name}"),
    }
}

/// Everything that stands where one of the issuers puts its tokens.
pub(super) fn found(headers: &HeaderMap, issuers: &[IssuerSettings]) -> Vec<Found> {
    let mut places: Vec<&TokenPlace> = Vec::new();
    for each in issuers.iter().flat_map(|issuer| &issuer.places) {
        if !places.contains(&each) {
            places.push(each);
        }
    }
    let mut found = Vec::new();
    for each in places {
        for text in texts(headers, each) {
            found.push(Found {
                place: place(each),
                token: Seen::of(text.trim()),
            });
        }
    }
    found
}

/// Headers that hold something like a token, wherever they are.
pub(super) fn elsewhere(headers: &HeaderMap) -> Vec<String> {
    let mut names: Vec<String> = headers
        .iter()
        .filter(|(_, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            let bare = without_scheme(&text).unwrap_or(&text);
            Seen::of(bare.trim()).looks_like_a_token()
        })
        .map(|(name, _)| name.to_string())
        .collect();
    names.dedup();
    names
}

fn texts(headers: &HeaderMap, place: &TokenPlace) -> Vec<String> {
    let all = |name: &http::HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    match place {
        TokenPlace::Header(name) => all(name),
        TokenPlace::Bearer(name) => all(name)
            .iter()
            .filter_map(|value| without_scheme(value).map(str::to_owned))
            .collect(),
        TokenPlace::Cookie(name) => {
            let fields = all(&COOKIE);
            let pairs = fields.iter().flat_map(|field| field.split(';'));
            pairs
                .filter_map(|pair| pair.trim().split_once('='))
                .filter(|(cookie, _)| cookie == name)
                .map(|(_, value)| value.to_owned())
                .collect()
        }
    }
}

fn without_scheme(value: &str) -> Option<&str> {
    let (scheme, rest) = value.trim_start().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(rest)
}
