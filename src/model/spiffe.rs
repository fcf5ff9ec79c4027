//! SPIFFE IDs of workloads, held to the rules of the SPIFFE ID specification.
//!
//! Compared byte by byte later on, so an ID that could be spelled in two ways is refused here.

use std::fmt;

/// The scheme and what follows it.
pub const SCHEME: &str = "spiffe://";

const LONGEST_ID: usize = 2048;
const LONGEST_TRUST_DOMAIN: usize = 255;

/// The name of a trust domain (SPIFFE-ID 2.1): whose workloads they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Reads a name such as `prod.example`, without scheme and path.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to write instead.
    pub fn parse(text: &str) -> Result<Self, (&'static str, &'static str)> {
        let fix = "write the name alone, such as prod.example";
        if text.contains(SCHEME) {
            return Err(("has a scheme", fix));
        }
        if text.contains('/') {
            return Err(("has a path", fix));
        }
        check_domain(text)?;
        Ok(Self(text.to_owned()))
    }

    /// Whether `id` is the well-formed SPIFFE ID of a workload of this trust domain.
    #[must_use]
    pub fn holds(&self, id: &str) -> bool {
        // SECURITY: the whole name, up to the slash: `prod.example` does not hold what
        // `prod.example.evil` says. Guarded by `a_trust_domain_holds_its_own_workloads_alone`.
        named_by(id) == Some(&self.0) && check(id).is_ok()
    }

    /// The name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of the trust domain in what may be a workload's ID, and is not checked further.
#[must_use]
pub fn named_by(id: &str) -> Option<&str> {
    let (domain, _) = id.strip_prefix(SCHEME)?.split_once('/')?;
    Some(domain)
}

/// Checks a whole ID that starts with [`SCHEME`] and names a workload.
///
/// # Errors
///
/// What is wrong, and what to write instead.
pub fn check(id: &str) -> Result<(), (&'static str, &'static str)> {
    let rest = id.strip_prefix(SCHEME).unwrap_or_default();
    if id.len() > LONGEST_ID {
        return Err(("is longer than 2048 bytes", "use a shorter path"));
    }
    if rest.contains(['?', '#']) {
        return Err(("has a query or a fragment", "end it with the path"));
    }
    if rest.contains('%') {
        return Err((
            "has a percent sign",
            "write the path as it is, without escapes",
        ));
    }
    if rest.contains('*') {
        return Err(("has a wildcard", "list every whole ID"));
    }
    let (domain, path) = match rest.split_once('/') {
        Some((domain, path)) => (domain, Some(path)),
        None => (rest, None),
    };
    check_domain(domain)?;
    let Some(path) = path.filter(|path| !path.is_empty()) else {
        let fix = "add the workload's path, such as /ns/edge/sa/pomerium";
        return Err(("names a whole trust domain", fix));
    };
    check_path(path)
}

fn check_domain(domain: &str) -> Result<(), (&'static str, &'static str)> {
    if domain.is_empty() {
        return Err(("has no trust domain", "write spiffe://DOMAIN/PATH"));
    }
    if domain.contains('@') {
        return Err(("has a user name", "write the trust domain alone"));
    }
    if domain.contains(':') {
        return Err(("has a port", "write the trust domain alone"));
    }
    if domain.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err((
            "has upper case in its trust domain",
            "write it in lower case",
        ));
    }
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    if domain.len() > LONGEST_TRUST_DOMAIN || !domain.bytes().all(plain) {
        let fix = "write at most 255 of a-z, 0-9, '.', '-' and '_'";
        return Err(("has no valid trust domain", fix));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), (&'static str, &'static str)> {
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err((
                "has an empty path segment",
                "write single slashes, and none at the end",
            ));
        }
        if segment == "." || segment == ".." {
            return Err(("has a dot segment", "write the path without . and .."));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if !segment.bytes().all(plain) {
            let fix = "write a-z, A-Z, 0-9, '.', '-' and '_' between the slashes";
            return Err(("has a character that no SPIFFE path may have", fix));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workload_ids_pass() {
        for id in [
            "spiffe://prod.example/ns/edge/sa/pomerium",
            "spiffe://a_b-c.1/W.x_Y-z",
            "spiffe://d/...",
        ] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
    }

    #[test]
    fn a_trust_domain_holds_its_own_workloads_alone() {
        let domain = TrustDomain::parse("prod.example").unwrap();
        assert!(domain.holds("spiffe://prod.example/ns/a"));
        for id in [
            "spiffe://prod.example.evil/ns/a",
            "spiffe://prod.exampl/ns/a",
            "spiffe://evil/prod.example/a",
            "spiffe://PROD.example/ns/a",
            "spiffe://prod.example",
            "spiffe://prod.example/",
            "spiffe://prod.example/a/../b",
            "SPIFFE://prod.example/ns/a",
            "https://prod.example/ns/a",
            "prod.example/ns/a",
            "",
        ] {
            assert!(!domain.holds(id), "{id}");
        }
        for text in ["spiffe://d", "d/a", "", "D", "d:1", "u@d"] {
            assert!(TrustDomain::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn everything_with_two_spellings_is_refused() {
        let long = format!("spiffe://d/{}", "a".repeat(2048));
        let long_domain = format!("spiffe://{}/a", "a".repeat(256));
        for (id, said) in [
            ("spiffe://", "no trust domain"),
            ("spiffe:///a", "no trust domain"),
            ("spiffe://d", "whole trust domain"),
            ("spiffe://d/", "whole trust domain"),
            ("spiffe://D/a", "upper case"),
            ("spiffe://d:8443/a", "port"),
            ("spiffe://u@d/a", "user name"),
            ("spiffe://d/a?b", "query"),
            ("spiffe://d/a#b", "query"),
            ("spiffe://d/%61", "percent"),
            ("spiffe://d/*", "wildcard"),
            ("spiffe://d//a", "empty path"),
            ("spiffe://d/a/", "empty path"),
            ("spiffe://d/./a", "dot segment"),
            ("spiffe://d/a/..", "dot segment"),
            ("spiffe://d/a b", "character"),
            ("spiffe://d/\u{e9}", "character"),
            ("spiffe://d\u{e9}/a", "no valid trust domain"),
            (&long, "2048"),
            (&long_domain, "no valid trust domain"),
        ] {
            let (text, fix) = check(id).unwrap_err();
            assert!(text.contains(said), "{id}: {text}");
            assert!(!fix.is_empty());
        }
    }
}
