//! "Did you mean": the nearest of the words that would have been right.
//!
//! Words that other programs use for the same thing are known too.

/// What people write, and what it is called here.
const ALIASES: [(&str, &str); 30] = [
    ("addr", "address"),
    ("alg", "algorithms"),
    ("algs", "algorithms"),
    ("allowed_issuers", "issuers"),
    ("aud", "audience"),
    ("audiences", "audience"),
    ("bind", "address"),
    ("ca", "client_ca"),
    ("cert", "certificate"),
    ("claims", "headers"),
    ("client_cert", "client_ca"),
    ("common_name", "cn"),
    ("crl", "client_crl"),
    ("crt", "certificate"),
    ("fingerprint", "sha256"),
    ("host", "address"),
    ("iss", "issuer"),
    ("jwks", "keys"),
    ("jwt", "issuer"),
    ("key", "private_key"),
    ("logging", "log"),
    ("max_age", "max_lifetime"),
    ("metrics", "admin"),
    ("san", "uri"),
    ("server", "listen"),
    ("skew", "leeway"),
    ("spiffe", "uri"),
    ("target", "upstream"),
    ("url", "address"),
    ("workers", "threads"),
];

/// The likeliest of `allowed` for `word`, or `None` where nothing is near.
pub(super) fn nearest<'a>(
    word: &str,
    allowed: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase().replace('-', "_");
    let alias = ALIASES
        .iter()
        .find(|(said, _)| *said == lower)
        .map(|(_, meant)| *meant);
    let mut best: Option<(usize, &str)> = None;
    for candidate in allowed {
        let plain = candidate.to_ascii_lowercase().replace('-', "_");
        if alias == Some(candidate) || plain == lower {
            return Some(candidate);
        }
        let distance = strsim::damerau_levenshtein(&lower, &plain);
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    // One slip in a short word, three in a long one; more is another word.
    let slips = (word.chars().count() / 3).clamp(1, 3);
    best.filter(|(distance, _)| *distance <= slips)
        .map(|(_, candidate)| candidate)
}

/// `did you mean ...?`, or the list of what is allowed.
pub(crate) fn instead(word: &str, allowed: &[&str], list: &str) -> String {
    nearest(word, allowed.iter().copied()).map_or_else(
        || format!("{list}: {}", quoted(allowed)),
        |meant| format!("did you mean `{meant}`?"),
    )
}

/// `` `a`, `b` ``
pub(super) fn quoted(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found() {
        let tls = ["certificate", "private_key", "client_ca", "client_crl"];
        for (word, meant) in [
            ("client_cert", Some("client_ca")),
            ("clientca", Some("client_ca")),
            ("Client-CA", Some("client_ca")),
            ("certifcate", Some("certificate")),
            ("private_kye", Some("private_key")),
            ("ciphers", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, tls), meant, "{word}");
        }
    }
}
