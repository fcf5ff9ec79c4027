//! Which header names only sidegate may set, and their removal from what a caller sent.
//!
//! Applications behind CGI, WSGI or PHP see `X-Auth-User`, `x_auth_user` and `X.Auth.User` as one
//! variable, so names are compared in a folded form in which all of these are equal.

use std::collections::HashSet;

use http::header::{HeaderMap, HeaderName};

use crate::settings::{HeaderPattern, IdentitySettings, IssuerSettings};

/// Names and starts of names, folded.
#[derive(Debug)]
pub(super) struct OursAlone {
    names: HashSet<String>,
    prefixes: Vec<String>,
}

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
            names: HashSet::new(),
            prefixes: Vec::new(),
        };
        built.names.extend(
            identity
                .headers
                .iter()
                .map(|(name, _)| folded(name.as_str())),
        );
        built.names.extend(ALWAYS.iter().map(|name| folded(name)));
        for pattern in identity
            .strip
            .iter()
            .chain(issuers.iter().flat_map(|i| &i.companions))
        {
            match pattern {
                HeaderPattern::Name(name) => {
                    built.names.insert(folded(name));
                }
                HeaderPattern::Prefix(start) => built.prefixes.push(folded(start)),
            }
        }
        built
    }

    /// Removes every field that only sidegate may set. Serves headers and trailers alike: many
    /// servers merge the two.
    pub(super) fn remove(&self, headers: &mut HeaderMap) {
        // Names are collected first, as the map cannot shrink while it is read; most requests have
        // none, and an empty vector costs nothing.
        let spoofed: Vec<HeaderName> = headers
            .keys()
            .filter(|name| self.covers(name.as_str()))
            .cloned()
            .collect();
        for name in spoofed {
            headers.remove(name);
        }
    }

    fn covers(&self, name: &str) -> bool {
        let alphanumeric_or_dash = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        // `HeaderName` is lower case already, so a name without odd characters is folded as it is.
        if name.bytes().all(alphanumeric_or_dash) {
            return self.covers_folded(name);
        }
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

/// The form in which look-alikes are equal: lower case, everything but letters and digits a dash.
fn folded(name: &str) -> String {
    let fold = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    name.chars().map(fold).collect()
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
