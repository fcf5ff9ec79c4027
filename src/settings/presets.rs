//! What is known of the systems that forward tokens: one table, and its way into an `[[issuer]]`.
//!
//! A preset writes the keys that the operator did not write, and nothing else: whatever stands in
//! the file wins, and everything behind reads both alike. It never names a key, an audience or a
//! certificate: whom to trust is the operator's to say.

use std::fmt;

use super::place::{At, List, Place};
use super::raw::RawIssuer;

/// A system whose tokens are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Preset {
    /// Pomerium's `pass_identity_headers`.
    Pomerium,
    /// Cloudflare Access.
    CloudflareAccess,
    /// Google Cloud's Identity-Aware Proxy.
    GoogleIap,
    /// The `authenticate` actions of an AWS Application Load Balancer.
    AwsAlb,
    /// oauth2-proxy, which passes the identity provider's own tokens on.
    Oauth2Proxy,
    /// Access tokens of an OpenID Connect or OAuth 2.0 server.
    Oidc,
    /// SPIFFE JWT-SVIDs.
    JwtSvid,
    /// SPIKE's HS256 tokens.
    Spike,
}

/// What a preset writes, as it would stand in the file; empty or `None` where it says nothing.
pub(super) struct Values {
    pub(super) header: &'static str,
    pub(super) algorithms: &'static [&'static str],
    pub(super) issuer: Option<&'static str>,
    pub(super) audience: Option<&'static str>,
    pub(super) leeway: &'static str,
    pub(super) max_lifetime: &'static str,
    pub(super) typ: &'static [&'static str],
    pub(super) form: &'static str,
    pub(super) strip_headers: &'static [&'static str],
    /// Which members of `keys` fit what the system publishes.
    pub(super) keys: &'static [&'static str],
}

/// Google IAP asks its verifiers to allow so much, and no other system for more.
const LEEWAY: &str = "30s";

const POMERIUM: Values = Values {
    // Only on routes with `pass_identity_headers`.
    header: "X-Pomerium-Jwt-Assertion",
    // ES256 for every EC key that it is given, RS256 for RSA; it signs with nothing else.
    algorithms: &["ES256", "RS256"],
    // The route's host: every installation has its own.
    issuer: None,
    audience: None,
    leeway: LEEWAY,
    // It signs anew for each request, for five minutes.
    max_lifetime: "10m",
    // It always says so.
    typ: &["JWT"],
    form: "jwt",
    // Unsigned copies of claims; and the assertion that the *caller* sent, passed on unverified.
    strip_headers: &["X-Pomerium-Claim-*", "X-Pomerium-Jwt-Assertion-For"],
    keys: &["url", "file", "pem"],
};

const CLOUDFLARE_ACCESS: Values = Values {
    // Why not the cookie CF_Authorization too? It comes beside the header, and is not guaranteed.
    header: "Cf-Access-Jwt-Assertion",
    algorithms: &["RS256"],
    issuer: None,
    audience: None,
    leeway: LEEWAY,
    // A token lives as long as the session: a day, unless the application says otherwise.
    max_lifetime: "24h",
    typ: &["JWT", "absent"],
    form: "jwt",
    // Unsigned copy of a claim.
    strip_headers: &["Cf-Access-Authenticated-User-Email"],
    keys: &["url", "file"],
};

const GOOGLE_IAP: Values = Values {
    header: "X-Goog-Iap-Jwt-Assertion",
    algorithms: &["ES256"],
    // The same for everybody: the audience tells services apart.
    issuer: Some("https://cloud.google.com/iap"),
    audience: None,
    leeway: LEEWAY,
    // Google's own words: at most ten minutes from iat to exp.
    max_lifetime: "10m",
    typ: &["JWT"],
    form: "jwt",
    // Unsigned; Google keeps them for compatibility.
    strip_headers: &["X-Goog-Authenticated-User-*"],
    keys: &["url", "file"],
};

const AWS_ALB: Values = Values {
    header: "X-Amzn-Oidc-Data",
    algorithms: &["ES256"],
    issuer: None,
    audience: None,
    leeway: LEEWAY,
    // It signs anew for each request, for two minutes, and says no iat.
    max_lifetime: "10m",
    typ: &["JWT", "absent"],
    // Padding, claims in the JOSE header, and a signer that must be compared.
    form: "aws-alb",
    // The subject and the provider's access token, both unsigned.
    strip_headers: &["X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Accesstoken"],
    keys: &["pem_url", "directory", "file"],
};

const OAUTH2_PROXY: Values = Values {
    // With pass_authorization_header. Its X-Forwarded-Access-Token is written as header.
    header: "Authorization",
    algorithms: &["RS256", "ES256"],
    issuer: None,
    audience: None,
    leeway: LEEWAY,
    // Providers give an hour; Microsoft draws between 60 and 90 minutes.
    max_lifetime: "1h30m",
    // ID tokens by design, and many providers leave typ out of those.
    typ: &["JWT", "absent"],
    form: "jwt",
    // What it says of the session, all unsigned.
    strip_headers: &[
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Access-Token",
        "X-Auth-Request-*",
    ],
    keys: &["discovery", "url", "file"],
};

const OIDC: Values = Values {
    // RFC 6750 2.1.
    header: "Authorization",
    algorithms: &["RS256", "ES256"],
    issuer: None,
    audience: None,
    leeway: LEEWAY,
    max_lifetime: "1h30m",
    // RFC 9068 has at+jwt; older servers say JWT or nothing. Narrow it where yours says at+jwt.
    typ: &["at+jwt", "JWT", "absent"],
    form: "jwt",
    strip_headers: &[],
    keys: &["discovery", "url", "file"],
};

const JWT_SVID: Values = Values {
    // JWT-SVID 5.2.
    header: "Authorization",
    // JWT-SVID 2.1 has these and no others: above all neither HS256 nor EdDSA.
    algorithms: &[
        "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    ],
    issuer: None,
    audience: None,
    leeway: LEEWAY,
    // SPIRE gives five minutes; the specification asks for as little as possible.
    max_lifetime: "1h",
    // JWT-SVID 2.3.
    typ: &["JWT", "JOSE", "absent"],
    form: "jwt",
    strip_headers: &[],
    keys: &["url", "file"],
};

const SPIKE: Values = Values {
    header: "Authorization",
    // With a shared secret, and so with keys.secret only.
    algorithms: &["HS256"],
    issuer: Some("spike-nexus"),
    // It writes none: whoever has the secret is meant.
    audience: Some("absent"),
    leeway: LEEWAY,
    max_lifetime: "24h",
    typ: &["JWT"],
    form: "jwt",
    strip_headers: &[],
    keys: &["secret"],
};

// === impl Preset ===

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 8] = [
        Self::Pomerium,
        Self::CloudflareAccess,
        Self::GoogleIap,
        Self::AwsAlb,
        Self::Oauth2Proxy,
        Self::Oidc,
        Self::JwtSvid,
        Self::Spike,
    ];

    /// What the configuration calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pomerium => "pomerium",
            Self::CloudflareAccess => "cloudflare-access",
            Self::GoogleIap => "google-iap",
            Self::AwsAlb => "aws-alb",
            Self::Oauth2Proxy => "oauth2-proxy",
            Self::Oidc => "oidc",
            Self::JwtSvid => "jwt-svid",
            Self::Spike => "spike",
        }
    }

    pub(super) const fn values(self) -> &'static Values {
        match self {
            Self::Pomerium => &POMERIUM,
            Self::CloudflareAccess => &CLOUDFLARE_ACCESS,
            Self::GoogleIap => &GOOGLE_IAP,
            Self::AwsAlb => &AWS_ALB,
            Self::Oauth2Proxy => &OAUTH2_PROXY,
            Self::Oidc => &OIDC,
            Self::JwtSvid => &JWT_SVID,
            Self::Spike => &SPIKE,
        }
    }

    /// Writes what is not written, and says which keys that were.
    pub(super) fn fill(self, raw: &mut RawIssuer, place: &Place) -> Vec<&'static str> {
        let values = self.values();
        let mut written = Vec::new();
        let mut text = |slot: &mut Option<At<String>>, key, value: Option<&str>| {
            if let (None, Some(value)) = (&slot, value) {
                *slot = Some(at(value.to_owned(), place));
                written.push(key);
            }
        };
        text(&mut raw.issuer, "issuer", values.issuer);
        text(&mut raw.leeway, "leeway", Some(values.leeway));
        let life = Some(values.max_lifetime);
        text(&mut raw.max_lifetime, "max_lifetime", life);
        text(&mut raw.form, "form", Some(values.form));
        // Whoever names a cookie alone has said where the token is.
        let header = raw.cookie.is_none().then_some(values.header);
        text(&mut raw.header, "header", header);
        let mut list = |slot: &mut Option<At<List>>, key, values: &[&str]| {
            if slot.is_none() && !values.is_empty() {
                *slot = Some(at(List::of(values, place), place));
                written.push(key);
            }
        };
        list(&mut raw.algorithms, "algorithms", values.algorithms);
        list(&mut raw.audience, "audience", values.audience.as_slice());
        list(&mut raw.typ, "typ", values.typ);
        list(
            &mut raw.strip_headers,
            "strip_headers",
            values.strip_headers,
        );
        written
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn at<T>(value: T, place: &Place) -> At<T> {
    At {
        value,
        place: place.clone(),
    }
}
