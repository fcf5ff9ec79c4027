//! Which header names only sidegate may set, and their removal from what a caller sent.
//!
//! Names are compared in the folded form, in which look-alikes are equal.

use std::collections::HashSet;

use http::header::{HeaderMap, HeaderName};

use crate::model::folded;
use crate::settings::{HeaderPattern, IdentitySettings, IssuerSettings, TokenPlace};

/// Names and starts of names, folded.
#[derive(Debug)]
pub(super) struct OursAlone {
    names: HashSet<String, ahash::RandomState>,
    prefixes: Vec<String>,
    /// The headers in which tokens stand: judged there, and nowhere else.
    tokens: HashSet<String>,
}

/// What may not come behind a body, for it decides about the request before it (RFC 9110 6.5.1).
const NEVER_BEHIND: [&str; 5] = [
    "authorization",
    "cookie",
    "forwarded",
    "host",
    "x-request-id",
];
const NEVER_BEHIND_START: &str = "x-forwarded-";

/// Fields that sidegate writes itself, or that claim to come from a gate like it (RFC 9440).
const ALWAYS: [&str; 3] = [
    "client-cert",
    "client-cert-chain",
    "x-forwarded-client-cert",
];

impl OursAlone {
    /// Collects the identity headers and the unsigned companions of every issuer. Of every one, not
    /// of the judged one: a companion is a lie whichever issuer's token stands beside it.
    pub(super) fn build(identity: &IdentitySettings, issuers: &[IssuerSettings]) -> Self {
        let mut built = Self {
            names: HashSet::default(),
            prefixes: Vec::new(),
            tokens: HashSet::new(),
        };
        for place in issuers.iter().flat_map(|issuer| &issuer.places) {
            match place {
                TokenPlace::Header(name) | TokenPlace::Bearer(name) => {
                    built.tokens.insert(folded(name.as_str()).into_owned());
                }
                TokenPlace::Cookie(_) => {}
            }
        }
        built.names.extend(
            identity
                .headers
                .iter()
                .map(|(name, _)| folded(name.as_str()).into_owned()),
        );
        let claims = identity.claims.iter().map(|header| header.name.as_str());
        let fixed = ALWAYS.into_iter();
        let names = claims.chain(fixed).map(|name| folded(name).into_owned());
        built.names.extend(names);
        for pattern in identity
            .strip
            .iter()
            .chain(issuers.iter().flat_map(|i| &i.companions))
        {
            match pattern {
                HeaderPattern::Name(name) => {
                    built.names.insert(folded(name).into_owned());
                }
                HeaderPattern::Prefix(start) => built.prefixes.push(folded(start).into_owned()),
            }
        }
        // Issuers of one kind have the same companions, and every field is held against each start.
        built.prefixes.sort_unstable();
        built.prefixes.dedup();
        built
    }

    /// Removes every field that only sidegate may set.
    pub(super) fn remove(&self, headers: &mut HeaderMap) {
        remove_where(headers, |name| self.covers(name));
    }

    /// The same of trailers, which many servers merge with the headers: there goes also what was
    /// judged as a header, tokens above all, or was believed for who sent it.
    pub(super) fn remove_from_trailers(&self, trailers: &mut HeaderMap) {
        // SECURITY: guarded by `a_token_that_comes_as_a_trailer_goes_no_further`.
        remove_where(trailers, |name| {
            let folded = folded(name);
            self.covers_folded(&folded)
                || self.tokens.contains(&*folded)
                || NEVER_BEHIND.contains(&&*folded)
                || folded.starts_with(NEVER_BEHIND_START)
        });
    }

    fn covers(&self, name: &str) -> bool {
        self.covers_folded(&folded(name))
    }

    fn covers_folded(&self, name: &str) -> bool {
        self.names.contains(name)
            || self
                .prefixes
                .iter()
                .any(|start| name.starts_with(start.as_str()))
    }
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    // Names are collected first, as the map cannot shrink while it is read; most requests have none,
    // and an empty vector costs nothing.
    let spoofed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| unwanted(name.as_str()))
        .cloned()
        .collect();
    for name in spoofed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::model::ClaimPath;
    use crate::settings::ArrayForm;

    fn ours() -> OursAlone {
        let identity = IdentitySettings {
            headers: vec![(
                HeaderName::from_static("x-auth-user"),
                ClaimPath::parse("sub").unwrap(),
            )],
            arrays: ArrayForm::Join,
            claims: None,
            client_cert: Vec::new(),
            strip: vec![
                HeaderPattern::Prefix("x-pomerium-claim-".to_owned()),
                HeaderPattern::Name("X_Real_User".to_owned()),
            ],
        };
        OursAlone::build(&identity, &[])
    }

    #[test]
    fn twins_and_companions_go_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-auth-user",
            "x_auth_user",
            "x-auth_user",
            "x.auth.user",
            "x~auth~user",
            "x-pomerium-claim-email",
            "x_pomerium_claim_email",
            "x-real-user",
            "client-cert",
            "x-forwarded-client-cert",
            "x-auth-user-2",
            "x-auth-use",
            "accept",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        ours().remove(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "x-auth-use", "x-auth-user-2"]);
    }

    proptest! {
        #[test]
        fn no_name_that_folds_to_ours_survives(name in "[xX][-_.~!#$%&'*+^`|]auth[-_.~!#$%&'*+^`|]user") {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("v"));
            ours().remove(&mut headers);
            prop_assert!(headers.is_empty());
        }

        #[test]
        fn stripping_is_idempotent_and_touches_only_what_folds_to_ours(
            names in proptest::collection::vec("[a-z][a-z_.-]{0,20}", 0..20)
        ) {
            let mut once = HeaderMap::new();
            for name in &names {
                once.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("v"));
            }
            let before = once.clone();
            let ours = ours();
            ours.remove(&mut once);
            let mut twice = once.clone();
            ours.remove(&mut twice);
            prop_assert_eq!(&once, &twice);
            for name in before.keys() {
                let folded = name.as_str().replace(['_', '.'], "-");
                let spoof = ["x-auth-user", "x-real-user", "client-cert"].contains(&folded.as_str())
                    || folded.starts_with("x-pomerium-claim-");
                prop_assert_eq!(once.contains_key(name), !spoof, "{}", name);
            }
        }
    }
}
