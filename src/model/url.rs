//! The text of a URL becomes an address that may be fetched from: `https` anywhere, `http` only on
//! this machine.
//!
//! Everything that two readers could take for two addresses (user information, fragments, spaces,
//! backslashes) is refused, so what was checked is what is fetched.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use http::uri::{Authority, PathAndQuery};
use rustls::pki_types::ServerName;

/// The longest URL that is taken, in bytes.
const MAX_BYTES: usize = 2048;

/// A URL that passed every check. Shown without its query, which may hold a key of the operator's.
#[derive(Clone, Eq, PartialEq)]
pub struct SecureUrl {
    is_tls: bool,
    /// Lower case, IPv6 without brackets.
    host: String,
    port: u16,
    /// As written, for the `Host` field.
    authority: String,
    /// Begins with `/`.
    path_and_query: String,
}

/// A segment of a path that means the same with and without escaping, and never another directory.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Segment(Arc<str>);

/// The longest [`Segment`] in bytes.
const MAX_SEGMENT: usize = 64;

/// Why a text is no URL to fetch from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlFault {
    /// Not an absolute URL.
    #[error("is no absolute URL of printable ASCII")]
    Form,
    /// Another scheme.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// `http` to somewhere else.
    #[error("plain http leaves this machine, and whoever is on the way could give his own keys")]
    Plain,
    /// `user@` or `user:password@`.
    #[error("holds user information, which logs would show")]
    User,
    /// `#...`
    #[error("holds a fragment, which is never sent")]
    Fragment,
    /// The host is neither an address nor a name that a certificate can hold.
    #[error("its host is neither an IP address nor a DNS name")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("its port is no number from 1 to 65535")]
    Port,
}

impl SecureUrl {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// [`UrlFault`]
    pub fn parse(text: &str) -> Result<Self, UrlFault> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte);
        if text.len() > MAX_BYTES || !text.bytes().all(plain) {
            return Err(UrlFault::Form);
        }
        // The library drops it in silence.
        if text.contains('#') {
            return Err(UrlFault::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| UrlFault::Form)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(UrlFault::Form);
        };
        let is_tls = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err(UrlFault::Scheme),
        };
        if authority.as_str().contains('@') {
            return Err(UrlFault::User);
        }
        let host = host(authority)?;
        // SECURITY: guarded by `plain_http_never_leaves_this_machine`.
        if !is_tls && !is_here(&host) {
            return Err(UrlFault::Plain);
        }
        let port = port(authority, if is_tls { 443 } else { 80 })?;
        // RFC 9112 3.2.1: an empty path is sent as `/`, also before a query.
        let path_and_query = uri.path_and_query().map_or("", PathAndQuery::as_str);
        let slash = if path_and_query.starts_with('/') {
            ""
        } else {
            "/"
        };
        Ok(Self {
            is_tls,
            host,
            port,
            authority: authority.as_str().to_ascii_lowercase(),
            path_and_query: format!("{slash}{path_and_query}"),
        })
    }

    /// Whether it is `https`.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// A DNS name in lower case, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where none was written that of the scheme.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The same address with one more segment after its path, which must end with `/` and be
    /// followed by nothing.
    #[must_use]
    pub fn child(&self, segment: &Segment) -> Self {
        let mut child = self.clone();
        child.path_and_query.push_str(&segment.0);
        child
    }

    /// Host and port as written: the `Host` field.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// What is asked for.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }
}

impl fmt::Display for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority)
    }
}

impl fmt::Debug for SecureUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Segment ===

impl Segment {
    /// Takes 1 to 64 of letters, digits, `-` and `_`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // SECURITY: guarded by `a_hostile_kid_never_becomes_part_of_a_url`.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = (1..=MAX_SEGMENT).contains(&text.len()) && text.bytes().all(plain);
        fits.then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// Whether a host can only be this machine. What `localhost` resolves to is looked at again.
fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn host(authority: &Authority) -> Result<String, UrlFault> {
    let written = authority.host().to_ascii_lowercase();
    let bare = written
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match (bare, ServerName::try_from(bare.unwrap_or(&written))) {
        (Some(_), Ok(ServerName::IpAddress(_))) | (None, Ok(_)) => {
            Ok(bare.unwrap_or(&written).to_owned())
        }
        _ => Err(UrlFault::Host),
    }
}

fn port(authority: &Authority, default: u16) -> Result<u16, UrlFault> {
    let after = authority.as_str().get(authority.host().len()..);
    match after.unwrap_or_default() {
        "" => Ok(default),
        written => written
            .strip_prefix(':')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|port| *port != 0)
            .ok_or(UrlFault::Port),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let url = SecureUrl::parse("https://IdP.example:8443/a/jwks?v=1&key=hush").unwrap();
        assert!(url.is_tls());
        assert_eq!((url.host(), url.port()), ("idp.example", 8443));
        assert_eq!(url.authority(), "idp.example:8443");
        assert_eq!(url.path_and_query(), "/a/jwks?v=1&key=hush");
        assert_eq!(url.to_string(), "https://idp.example:8443/a/jwks");
        let url = SecureUrl::parse("https://[2001:db8::1]").unwrap();
        assert_eq!((url.host(), url.port()), ("2001:db8::1", 443));
        assert_eq!(url.path_and_query(), "/");
        let url = SecureUrl::parse("https://idp.example?v=1").unwrap();
        assert_eq!(url.path_and_query(), "/?v=1");
    }

    #[test]
    fn plain_http_never_leaves_this_machine() {
        for here in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]", "127.9.9.9"] {
            let url = SecureUrl::parse(&format!("http://{here}:8080/jwks")).unwrap();
            assert!(!url.is_tls(), "{here}");
        }
        for elsewhere in [
            "10.0.0.1",
            "idp.example",
            "localhost.example",
            "127.0.0.1.nip.example",
            "[::ffff:10.0.0.1]",
            "0.0.0.0",
        ] {
            let refused = SecureUrl::parse(&format!("http://{elsewhere}/jwks"));
            assert_eq!(refused, Err(UrlFault::Plain), "{elsewhere}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, fault) in [
            ("", UrlFault::Form),
            ("/jwks", UrlFault::Form),
            ("idp.example/jwks", UrlFault::Form),
            ("https:///jwks", UrlFault::Form),
            ("https://idp.example/a b", UrlFault::Form),
            ("https://idp.example\\@evil.example/", UrlFault::Form),
            ("https://idp.example/{kid}", UrlFault::Form),
            ("https://idp.example/\r\nHost: x", UrlFault::Form),
            ("ftp://idp.example/", UrlFault::Scheme),
            ("file:///etc/jwks", UrlFault::Form),
            ("https://me@idp.example/", UrlFault::User),
            ("https://me:hush@idp.example/", UrlFault::User),
            ("https://idp.example/#keys", UrlFault::Fragment),
            ("https://idp_example!/", UrlFault::Host),
            ("https://-/", UrlFault::Host),
            ("https://idp.example:0/", UrlFault::Port),
            ("https://idp.example:/", UrlFault::Port),
        ] {
            assert_eq!(SecureUrl::parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_hostile_kid_never_becomes_part_of_a_url() {
        let long = "a".repeat(65);
        for hostile in [
            "",
            "..",
            "../x",
            "a/b",
            "%2f",
            "a%2fb",
            "a?b",
            "a#b",
            "a b",
            "a\0",
            "ä",
            "a.b",
            "{kid}",
            &long,
            &"a".repeat(10_240),
        ] {
            assert_eq!(Segment::parse(hostile), None, "{hostile}");
        }
        let base = SecureUrl::parse("https://keys.example/eu/").unwrap();
        let kid = Segment::parse("9f2c-AB_1").unwrap();
        assert_eq!(
            base.child(&kid).to_string(),
            "https://keys.example/eu/9f2c-AB_1"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_taken_has_a_host_and_is_safe(text in "(https?://)?[ -~]{0,60}") {
            if let Ok(url) = SecureUrl::parse(&text) {
                prop_assert!(!url.host().is_empty() && url.port() != 0);
                prop_assert!(url.is_tls() || is_here(url.host()));
                prop_assert!(url.path_and_query().starts_with('/'));
                prop_assert!(!url.authority().contains('@'));
            }
        }
    }
}
