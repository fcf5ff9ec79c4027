//! What tokens are judged by: places, issuers, rules and where each issuer's keys are read.
//!
//! Immutable and published whole, so that one request is judged by one policy. The key rings change
//! on their own clock and are therefore held by their readers.

use std::collections::HashMap;
use std::sync::Arc;

use super::rules::Rules;
use super::signature::{Looks, Parts};
use crate::bearer::Places;
use crate::jwks::{KeyRing, ShownKey};
use crate::model::{Algorithm, Denial, spiffe};
use crate::reload::Reader;
use crate::revocation::DenyList;
use crate::settings::{
    Enforcement, IssuerIndex, IssuerSettings, Settings, TokenForm, TokenToUpstream, TypeRule,
};

/// The policy of all issuers.
#[derive(Debug)]
pub struct Policy {
    places: Places,
    issuers: Vec<Issuer>,
    /// The issuers by what their tokens say, each list in its order.
    said: HashMap<Box<str>, Vec<IssuerIndex>, ahash::RandomState>,
    watches_any: bool,
    pub(super) denied: Reader<DenyList>,
}

/// One issuer, as `check` sees it.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) index: IssuerIndex,
    pub(super) name: Arc<str>,
    pub(super) wanted: Wanted,
    pub(super) rules: Rules,
    pub(super) keys: Reader<Option<KeyRing>>,
    pub(super) enforcement: Enforcement,
    token_to_upstream: TokenToUpstream,
}

/// What a token must look like, before anything in it is believed.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) types: TypeRule,
    pub(super) form: TokenForm,
}

impl Wanted {
    /// Whether a token that looked so, and passed then, would be taken for one of the issuer's now.
    ///
    /// # Errors
    ///
    /// [`Denial::TokenTypeRefused`], [`Denial::SignerRefused`]; and [`Denial::TokenMalformed`] for a
    /// load balancer's token where no such tokens are meant any more.
    pub(super) fn admits(&self, looks: &Looks) -> Result<(), Denial> {
        if !self.types.admits(looks.typ.as_deref()) {
            return Err(Denial::TokenTypeRefused);
        }
        match (&self.form, looks.load_balancer.as_deref()) {
            (TokenForm::Jwt, None) => Ok(()),
            // Part of its claims came out of its header, which nobody would read now.
            (TokenForm::Jwt, Some(_)) => Err(Denial::TokenMalformed),
            (TokenForm::AwsAlb(signers), Some(signer)) if signers.iter().any(|it| it == signer) => {
                Ok(())
            }
            (TokenForm::AwsAlb(_), Some(_) | None) => Err(Denial::SignerRefused),
        }
    }
}

impl Policy {
    /// Builds the policy. `rings` holds one reader for each of `settings.issuers`, in their order; a
    /// reader whose value is `None` has no keys yet, and an issuer without a reader is unknown.
    /// `denied` is read anew for every token.
    #[must_use]
    pub fn build(
        settings: &Settings,
        rings: Vec<Reader<Option<KeyRing>>>,
        denied: Reader<DenyList>,
    ) -> Self {
        let token_bytes = settings.limits.token_bytes;
        Self::denying(denied, &settings.issuers, token_bytes, rings)
    }

    /// A policy that denies nobody, from the two settings that it needs, for unit tests and fuzz targets.
    #[cfg(any(test, fuzzing))]
    #[must_use]
    pub fn of_issuers(
        issuers: &[IssuerSettings],
        token_bytes: usize,
        rings: Vec<Reader<Option<KeyRing>>>,
    ) -> Self {
        let (_, denied) = crate::reload::live(DenyList::default());
        Self::denying(denied, issuers, token_bytes, rings)
    }

    fn denying(
        denied: Reader<DenyList>,
        issuers: &[IssuerSettings],
        token_bytes: usize,
        rings: Vec<Reader<Option<KeyRing>>>,
    ) -> Self {
        let places = Places::build(issuers, token_bytes);
        let issuers: Vec<Issuer> = (0..=u16::MAX)
            .map(IssuerIndex)
            .zip(issuers.iter().zip(rings))
            .map(|(index, (settings, keys))| Issuer {
                index,
                name: Arc::clone(&settings.name),
                wanted: Wanted {
                    algorithms: settings.algorithms.clone(),
                    types: settings.types.clone(),
                    form: settings.form.clone(),
                },
                rules: Rules::build(settings),
                keys,
                enforcement: settings.enforcement,
                token_to_upstream: settings.token_to_upstream,
            })
            .collect();
        let mut said: HashMap<_, Vec<_>, _> = HashMap::default();
        for issuer in &issuers {
            let same = said.entry(Box::from(issuer.rules.said())).or_default();
            same.push(issuer.index);
        }
        let watched = |issuer: &Issuer| issuer.enforcement == Enforcement::Report;
        Self {
            places,
            watches_any: issuers.iter().any(watched),
            issuers,
            said,
            denied,
        }
    }

    /// Where tokens are found.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The keys of an issuer that has none now.
    #[must_use]
    pub fn without_keys(&self) -> Option<Reader<Option<KeyRing>>> {
        let mut keys = self.issuers.iter().map(|issuer| &issuer.keys);
        keys.find(|keys| keys.current().value.is_none()).cloned()
    }

    /// `issuer`, if its tokens go on to the upstream: what [`Places::remove`] is to keep.
    #[must_use]
    pub fn keeps_token_of(&self, issuer: IssuerIndex) -> Option<IssuerIndex> {
        self.issuer(issuer)
            .filter(|known| known.token_to_upstream == TokenToUpstream::Forward)
            .map(|known| known.index)
    }

    /// What may be said to people of the keys of the issuer of this name.
    #[must_use]
    pub fn shown_keys(&self, issuer: &str) -> Vec<ShownKey> {
        let issuer = self.issuers.iter().find(|known| *known.name == *issuer);
        let keys = issuer.map(|issuer| issuer.keys.current());
        let ring = keys.as_ref().and_then(|keys| keys.value.as_ref());
        ring.map_or_else(Vec::new, |ring| ring.shown().collect())
    }

    /// Whether the tokens of some issuer are only watched.
    pub(super) const fn watches_any(&self) -> bool {
        self.watches_any
    }

    pub(super) fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.issuers.iter()
    }

    /// The issuers whose tokens may say this of themselves; what else they say is not looked at.
    fn saying<'p>(&'p self, word: Option<&str>) -> impl Iterator<Item = &'p Issuer> {
        let same = word.and_then(|word| self.said.get(word));
        let places = same.into_iter().flatten();
        places.filter_map(|index| self.issuer(*index))
    }

    pub(super) fn issuer(&self, index: IssuerIndex) -> Option<&Issuer> {
        self.issuers.get(usize::from(index.0))
    }
}

/// The issuer whose keys are to be tried. Alone at its place, an issuer is taken without a look at
/// the payload; several are told apart by the unverified `iss`, or `sub` in a trust domain, which only
/// choose who must have signed: the signature is then judged by that issuer's keys, and both once
/// more as claims. Looks at those alone that the token may mean, of however many.
pub(super) fn choose<'p>(
    policy: &'p Policy,
    candidates: &[IssuerIndex],
    parts: &Parts<'_>,
) -> Option<&'p Issuer> {
    if let Some(index) = only(candidates) {
        return policy.issuer(index);
    }
    let peeked = parts.peek();
    let domain = peeked.subject.as_deref().and_then(spiffe::named_by);
    policy
        .saying(peeked.issuer.as_deref())
        .chain(policy.saying(domain))
        .filter(|issuer| candidates.binary_search(&issuer.index).is_ok())
        .filter_map(|issuer| Some((issuer.rules.claimed_by(&peeked)?, issuer)))
        .min_by_key(|(claim, _)| *claim)
        .map(|(_, issuer)| issuer)
}

pub(super) fn only(candidates: &[IssuerIndex]) -> Option<IssuerIndex> {
    match candidates {
        [index] => Some(*index),
        _ => None,
    }
}
