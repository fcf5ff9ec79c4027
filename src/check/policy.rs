//! What tokens are judged by: places, issuers, rules and where each issuer's keys are read.
//!
//! Immutable and published whole, so that one request is judged by one policy. The key rings change
//! on their own clock and are therefore held by their readers.

use std::sync::Arc;

use super::rules::Rules;
use crate::bearer::Places;
use crate::jwks::KeyRing;
use crate::model::Algorithm;
use crate::reload::Reader;
use crate::settings::{IssuerIndex, IssuerSettings, Settings, TokenToUpstream};

/// The policy of all issuers.
#[derive(Debug)]
pub struct Policy {
    places: Places,
    issuers: Vec<Issuer>,
}

/// One issuer, as `check` sees it.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) index: IssuerIndex,
    pub(super) name: Arc<str>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) rules: Rules,
    pub(super) keys: Reader<Option<KeyRing>>,
    token_to_upstream: TokenToUpstream,
}

impl Policy {
    /// Builds the policy. `rings` holds one reader for each of `settings.issuers`, in their order; a
    /// reader whose value is `None` has no keys yet, and an issuer without a reader is unknown.
    #[must_use]
    pub fn build(settings: &Settings, rings: Vec<Reader<Option<KeyRing>>>) -> Self {
        Self::of_issuers(&settings.issuers, settings.limits.token_bytes, rings)
    }

    /// [`Policy::build`], from the two settings that it needs.
    #[must_use]
    pub fn of_issuers(
        issuers: &[IssuerSettings],
        token_bytes: usize,
        rings: Vec<Reader<Option<KeyRing>>>,
    ) -> Self {
        let places = Places::build(issuers, token_bytes);
        let issuers = (0..=u16::MAX)
            .map(IssuerIndex)
            .zip(issuers.iter().zip(rings))
            .map(|(index, (settings, keys))| Issuer {
                index,
                name: Arc::clone(&settings.name),
                algorithms: settings.algorithms.clone(),
                rules: Rules::build(settings),
                keys,
                token_to_upstream: settings.token_to_upstream,
            })
            .collect();
        Self { places, issuers }
    }

    /// Where tokens are found.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// `issuer`, if its tokens go on to the upstream: what [`Places::remove`] is to keep.
    #[must_use]
    pub fn keeps_token_of(&self, issuer: IssuerIndex) -> Option<IssuerIndex> {
        self.issuer(issuer)
            .filter(|known| known.token_to_upstream == TokenToUpstream::Forward)
            .map(|known| known.index)
    }

    pub(super) fn issuer(&self, index: IssuerIndex) -> Option<&Issuer> {
        self.issuers.get(usize::from(index.0))
    }
}
