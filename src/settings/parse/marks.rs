//! What a peer's certificate may carry to be recognized by: names, addresses, fingerprints.
//!
//! Every mark is compared whole, so one that could never be equal to anything in a certificate is
//! refused here rather than never matched.

use std::net::IpAddr;

use super::fingerprint;
use crate::model::spiffe;
use crate::settings::place::{At, List};
use crate::settings::problem::Report;

const LONGEST_URI: usize = 2048;
const LONGEST_DNS: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What is wrong with a mark, and what to write.
pub(super) type Flaw = (String, String);

/// Reads every element of one list of marks.
pub(super) fn list<T>(
    written: Option<&At<List>>,
    key: &str,
    read: impl Fn(&str) -> Result<T, Flaw>,
    report: &mut Report<'_>,
) -> Vec<(T, At<String>)> {
    let Some(at) = written else {
        return Vec::new();
    };
    let mut marks = Vec::new();
    let mut count = 0_usize;
    for item in at.items() {
        count += 1;
        match read(item.text()) {
            Ok(mark) => marks.push((mark, item)),
            Err((text, fix)) => {
                report.refuse(&item.place, key, format!("{:?} {text}", item.text()), fix);
            }
        }
    }
    if count == 0 {
        let fix = "write at least one element, or take the line out";
        report.refuse(&at.place, key, "is empty", fix);
    }
    marks
}

fn flaw<T>(text: &str, fix: impl Into<String>) -> Result<T, Flaw> {
    Err((text.to_owned(), fix.into()))
}

pub(super) fn uri(text: &str) -> Result<String, Flaw> {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with(spiffe::SCHEME) {
        if !text.starts_with(spiffe::SCHEME) {
            return flaw("is no SPIFFE ID", "write spiffe:// in lower case");
        }
        return match spiffe::check(text) {
            Ok(()) => Ok(text.to_owned()),
            Err((text, fix)) => flaw(text, fix),
        };
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.is_empty() {
        let fix = "write the whole URI as it stands in the certificate";
        return flaw(
            "is no URI: empty, or with spaces or characters beyond ASCII",
            fix,
        );
    }
    if text.contains('*') {
        return flaw("has a wildcard", "list every whole URI");
    }
    if text.len() > LONGEST_URI {
        return flaw("is longer than 2048 bytes", "use a shorter URI");
    }
    let is_absolute = text.split_once(':').is_some_and(|(scheme, rest)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(plain)
            && !rest.trim_start_matches('/').is_empty()
    });
    if !is_absolute {
        let fix = format!("write the whole URI, such as \"spiffe://{text}\"; a host name is `dns`");
        return flaw("is no absolute URI", fix);
    }
    Ok(text.to_owned())
}

pub(super) fn dns(text: &str) -> Result<String, Flaw> {
    if let Some((_, rest)) = text.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        return flaw(
            "is a URL",
            format!("write the name alone, \"{host}\", or use `uri`"),
        );
    }
    if text.contains('*') {
        return flaw("has a wildcard", "list every whole name");
    }
    if text.parse::<IpAddr>().is_ok() {
        return flaw("is an IP address", "write it in `ip`");
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let lower = text.to_ascii_lowercase();
        return flaw("has upper case", format!("write \"{lower}\""));
    }
    if let Some(name) = text.strip_suffix('.') {
        return flaw("ends with a dot", format!("write \"{name}\""));
    }
    if let Some((name, port)) = text.split_once(':')
        && port.parse::<u16>().is_ok()
    {
        return flaw("has a port", format!("write \"{name}\""));
    }
    let label = |label: &str| {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        !label.is_empty()
            && label.len() <= LONGEST_LABEL
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > LONGEST_DNS || !text.split('.').all(label) {
        let fix = "write the whole name as it stands in the certificate, such as \"edge.internal\"";
        return flaw("is no DNS name", fix);
    }
    Ok(text.to_owned())
}

pub(super) fn ip(text: &str) -> Result<IpAddr, Flaw> {
    match text.parse() {
        Ok(address) => Ok(address),
        Err(_) if text.contains('/') => flaw("is a network", "list every whole address"),
        Err(_) => flaw(
            "is no IP address",
            "write one such as \"10.1.2.3\"; a name is `dns`",
        ),
    }
}

pub(super) fn cn(text: &str) -> Result<String, Flaw> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return flaw("is no common name", "write the CN of the subject alone");
    }
    if let Some(name) = text.strip_prefix("CN=") {
        return flaw("has the attribute's name", format!("write {name:?}"));
    }
    Ok(text.to_owned())
}

pub(super) fn sha256(text: &str) -> Result<[u8; 32], Flaw> {
    let fix = "print it with `openssl x509 -in peer.crt -outform DER | sha256sum`";
    fingerprint::parse(text).map_err(|flaw| (flaw, fix.to_owned()))
}

pub(super) fn spki(text: &str) -> Result<[u8; 32], Flaw> {
    let fix = "print it with `openssl x509 -in peer.crt -noout -pubkey | \
               openssl pkey -pubin -outform DER | sha256sum`";
    fingerprint::parse(text).map_err(|flaw| (flaw, fix.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_pass() {
        for text in ["urn:edge:1", "https://edge.internal/id", "spiffe://d/w"] {
            assert_eq!(uri(text).as_deref(), Ok(text));
        }
        for text in ["edge", "edge.internal", "a-b.c_d.xn--p1ai", "1.edge"] {
            assert_eq!(dns(text).as_deref(), Ok(text));
        }
        assert!(ip("10.1.2.3").is_ok() && ip("fd00::1").is_ok());
        assert_eq!(cn("Edge Proxy 1").as_deref(), Ok("Edge Proxy 1"));
    }

    #[test]
    fn a_uri_that_no_certificate_could_carry_is_refused() {
        for (text, said) in [
            ("", "no URI"),
            ("edge.internal", "no absolute URI"),
            ("//edge.internal", "no absolute URI"),
            ("1a:b", "no absolute URI"),
            ("https://", "no absolute URI"),
            ("urn:a b", "no URI"),
            ("urn:*", "wildcard"),
            ("SPIFFE://d/w", "no SPIFFE ID"),
        ] {
            let (flaw, fix) = uri(text).unwrap_err();
            assert!(flaw.contains(said) && !fix.is_empty(), "{text}: {flaw}");
        }
    }

    #[test]
    fn a_dns_name_that_no_certificate_could_carry_is_refused() {
        let long = "a".repeat(64);
        for (text, said) in [
            ("", "no DNS name"),
            ("*.internal", "wildcard"),
            ("edge.internal.", "ends with a dot"),
            ("Edge", "upper case"),
            ("edge:8443", "has a port"),
            ("https://edge:8443/x", "is a URL"),
            ("10.1.2.3", "IP address"),
            ("a..b", "no DNS name"),
            ("-a", "no DNS name"),
            ("caf\u{e9}", "no DNS name"),
            (&long, "no DNS name"),
        ] {
            let (flaw, fix) = dns(text).unwrap_err();
            assert!(flaw.contains(said) && !fix.is_empty(), "{text}: {flaw}");
        }
    }
}
