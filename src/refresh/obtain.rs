//! One round for a document with all keys: found by discovery where need be, fetched, and made into
//! a ring.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::fetch::{FetchError, Fetched, Freshness, Tag, fetch};
use crate::jwks::{KeyRing, KeyWarning, KeysError};
use crate::model::url::{Segment, UrlFault};
use crate::model::{Algorithm, SecureUrl, json};
use crate::settings::{DocumentPlace, IssuerSettings, KeyForm, KeySource, RemoteKeys, RemotePlace};

/// How long the place that discovery named is believed without asking again. A fetch that fails
/// there asks at once.
const DISCOVERY_KEPT: Duration = Duration::from_secs(3600);

/// Why there is no ring.
#[derive(Debug, thiserror::Error)]
pub enum ObtainError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It was, and cannot be used.
    #[error("{url}")]
    Keys {
        /// Which document.
        url: String,
        /// Why.
        source: KeysError,
    },
    /// The provider's metadata cannot be used.
    #[error("{url}")]
    Discovery {
        /// Which document.
        url: String,
        /// Why.
        source: DiscoveryFault,
    },
}

/// What is wrong with a provider's metadata.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DiscoveryFault {
    /// Not JSON, not an object, or ambiguous.
    #[error("the provider's metadata is {0}")]
    Json(#[from] json::JsonError),
    /// OIDC Discovery 4.3.
    #[error(
        "the provider's metadata is for another issuer, or for none; its \"issuer\" must be exactly \
         the issuer of this section (a slash at the end counts)"
    )]
    Issuer,
    /// Nowhere to go.
    #[error("the provider's metadata has no \"jwks_uri\"")]
    NoUri,
    /// Nowhere that is safe.
    #[error("the provider's \"jwks_uri\" {0}")]
    Uri(#[from] UrlFault),
}

/// What one round leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The edition in force.
    tag: Option<Tag>,
    /// Where discovery led, and until when it is believed.
    found: Option<(SecureUrl, Duration)>,
}

/// What a round brought.
#[derive(Debug)]
pub(super) struct Obtained {
    /// `None`: the edition asked with is still the one.
    pub(super) ring: Option<(KeyRing, Vec<KeyWarning>)>,
    pub(super) freshness: Freshness,
}

impl Memory {
    /// Whatever comes next is taken as the first.
    pub(super) fn forget(&mut self) {
        self.tag = None;
    }
}

/// Obtains the keys now.
pub(super) async fn obtain(
    place: &DocumentPlace,
    keys: &RemoteKeys,
    (iss, algorithms): (&str, &[Algorithm]),
    memory: &mut Memory,
    now: Duration,
) -> Result<Obtained, ObtainError> {
    let (url, form) = match place {
        DocumentPlace::Url { url, form } => (url.clone(), *form),
        DocumentPlace::Discovery { url } => {
            (discover(url, keys, iss, memory, now).await?, KeyForm::Jwks)
        }
    };
    let fetched = fetch(&url, &keys.access, &keys.pace, memory.tag.as_ref()).await;
    let fetched = fetched.inspect_err(|_| memory.found = None)?;
    let (body, tag, freshness) = match fetched {
        Fetched::Document {
            body,
            tag,
            freshness,
        } => (body, tag, freshness),
        Fetched::Unchanged { freshness } => {
            return Ok(Obtained {
                ring: None,
                freshness,
            });
        }
    };
    // Before it is parsed: what cannot be used is fetched whole again.
    memory.tag = None;
    let ring = parse(&body, form, algorithms).map_err(|source| ObtainError::Keys {
        url: url.to_string(),
        source,
    })?;
    memory.tag = tag;
    Ok(Obtained {
        ring: Some(ring),
        freshness,
    })
}

fn parse(
    body: &Bytes,
    form: KeyForm,
    algorithms: &[Algorithm],
) -> Result<(KeyRing, Vec<KeyWarning>), KeysError> {
    match form {
        KeyForm::Jwks => KeyRing::from_jwks(body, algorithms),
        KeyForm::PemMap => KeyRing::from_pem_map(body, algorithms),
    }
}

async fn discover(
    url: &SecureUrl,
    keys: &RemoteKeys,
    iss: &str,
    memory: &mut Memory,
    now: Duration,
) -> Result<SecureUrl, ObtainError> {
    if let Some((found, until)) = &memory.found
        && now < *until
    {
        return Ok(found.clone());
    }
    let Fetched::Document { body, .. } = fetch(url, &keys.access, &keys.pace, None).await? else {
        // Only a conditional request can be answered so.
        return Err(refused(url, DiscoveryFault::NoUri));
    };
    let found = jwks_uri(&body, iss).map_err(|fault| refused(url, fault))?;
    // An edition is one of its own place.
    if memory
        .found
        .as_ref()
        .is_none_or(|(before, _)| *before != found)
    {
        memory.tag = None;
    }
    memory.found = Some((found.clone(), now.saturating_add(DISCOVERY_KEPT)));
    Ok(found)
}

fn refused(url: &SecureUrl, source: DiscoveryFault) -> ObtainError {
    ObtainError::Discovery {
        url: url.to_string(),
        source,
    }
}

/// Reads a provider's metadata (OIDC Discovery 3).
fn jwks_uri(body: &[u8], iss: &str) -> Result<SecureUrl, DiscoveryFault> {
    let metadata = json::parse_object(body)?;
    // SECURITY: guarded by `metadata_of_another_issuer_is_refused`: whoever could pass off his
    // metadata as another's would choose that one's keys.
    if metadata.get("issuer").and_then(Value::as_str) != Some(iss) {
        return Err(DiscoveryFault::Issuer);
    }
    let uri = metadata.get("jwks_uri").and_then(Value::as_str);
    Ok(SecureUrl::parse(uri.ok_or(DiscoveryFault::NoUri)?)?)
}

/// What a single look at an issuer's keys found.
#[derive(Debug)]
pub enum Seen {
    /// A ring.
    Keys(KeyRing, Vec<KeyWarning>),
    /// Nothing: they are fetched one by one, when tokens name them.
    ByKid,
    /// They are not fetched at all.
    Local,
}

/// Looks at an issuer's keys once, for `sidegate check` and `sidegate explain`. Where each key is a
/// document of its own, at the one of this `kid`.
///
/// # Errors
///
/// [`ObtainError`]
pub async fn look(issuer: &IssuerSettings, kid: Option<&str>) -> Result<Seen, ObtainError> {
    let KeySource::Remote(keys) = &issuer.keys else {
        return Ok(Seen::Local);
    };
    let place = match &keys.place {
        RemotePlace::Document(place) => place,
        RemotePlace::ByKid { folder } => {
            let Some(kid) = kid.and_then(Segment::parse) else {
                return Ok(Seen::ByKid);
            };
            return one_key(issuer, keys, folder, &kid).await;
        }
    };
    let iss = issuer.maker.issuer().unwrap_or_default();
    let algorithms = &*issuer.algorithms;
    let mut memory = Memory::default();
    let expected = (iss, algorithms);
    let obtained = obtain(place, keys, expected, &mut memory, Duration::ZERO).await?;
    let (ring, warnings) = obtained.ring.unwrap_or_else(|| {
        // Not reachable: nothing was asked for conditionally.
        (KeyRing::of_pems([], algorithms), Vec::new())
    });
    Ok(Seen::Keys(ring, warnings))
}

async fn one_key(
    issuer: &IssuerSettings,
    keys: &RemoteKeys,
    folder: &SecureUrl,
    kid: &Segment,
) -> Result<Seen, ObtainError> {
    let url = folder.child(kid);
    let Fetched::Document { body, .. } = fetch(&url, &keys.access, &keys.pace, None).await? else {
        // Not reachable: nothing was asked for conditionally.
        return Ok(Seen::ByKid);
    };
    let ring = KeyRing::from_named_pem(kid.text(), &body, &issuer.algorithms);
    let (ring, warnings) = ring.map_err(|source| ObtainError::Keys {
        url: url.to_string(),
        source,
    })?;
    Ok(Seen::Keys(ring, warnings))
}
