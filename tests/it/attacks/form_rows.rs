//! Attacks on the form: parts, alphabet, padding, other serializations.

use sidegate::model::Denial::{SignatureInvalid, TokenHeaderRefused, TokenMalformed, TokenTooLong};

use super::Table;
use super::world::{b64, parts, signature_of};

#[expect(
    clippy::too_many_lines,
    reason = "a table: split up it would only be harder to read"
)]
pub(super) fn add(table: &mut Table<'_>) {
    let good = table.world.good();
    let [header, payload, signature] = parts(&good);
    let m = TokenMalformed;

    for (name, token) in [
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("no signature, dot kept", format!("{header}.{payload}.")),
        ("no payload", format!("{header}..{signature}")),
        ("no header", format!(".{payload}.{signature}")),
        ("only dots", "..".to_owned()),
        ("a single dot", ".".to_owned()),
        ("four parts", format!("{good}.{signature}")),
        ("a dot at the end", format!("{good}.")),
        ("a dot at the start", format!(".{good}")),
        ("a thousand dots", ".".repeat(1000)),
        (
            "an encrypted token of five parts",
            format!("{header}.{payload}.AAAA.{payload}.AAAA"),
        ),
    ] {
        table.token(m, format!("form: {name}"), &token);
    }

    let flattened =
        format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#);
    // JSON has commas, which no token has.
    table.token(
        sidegate::model::Denial::TokenRepeated,
        "form: the flattened JSON serialization",
        &flattened,
    );
    table.token(m, "form: JSON in base64url", &b64(flattened));

    for (name, token) in [
        (
            "padding on the header",
            format!("{header}=.{payload}.{signature}"),
        ),
        (
            "padding on the payload",
            format!("{header}.{payload}=.{signature}"),
        ),
        ("padding on the signature", format!("{good}=")),
        ("double padding on the signature", format!("{good}==")),
        ("a blank inside", good.replacen('.', ". ", 1)),
        ("a tab inside", good.replacen('.', ".\t", 1)),
        ("a percent-encoded dot", good.replacen('.', "%2e", 1)),
        ("a percent-encoded line feed", format!("{good}%0a")),
        (
            "a plus sign",
            format!("{header}.{payload}.+{}", &signature[1..]),
        ),
        (
            "a slash",
            format!("{header}.{payload}./{}", &signature[1..]),
        ),
        (
            "a letter outside ASCII",
            format!("{header}.{payload}.é{}", &signature[1..]),
        ),
        ("a full-width dot", good.replacen('.', "\u{ff0e}", 1)),
        ("a semicolon behind it", format!("{good};")),
        ("quotes around it", format!("\"{good}\"")),
        ("a colon instead of a dot", good.replacen('.', ":", 1)),
        (
            "a length that no bytes have",
            format!("{header}.{payload}.{signature}AAA"),
        ),
    ] {
        table.token(m, format!("alphabet: {name}"), &token);
    }

    // The last digit of a 64-byte signature carries four bits that mean nothing, and must be zero.
    let last = signature.chars().last().unwrap();
    let sloppy = char::from(last as u8 + 1);
    let cut = &good[..good.len() - 1];
    table.token(
        m,
        "alphabet: trailing bits in the signature",
        &format!("{cut}{sloppy}"),
    );
    table.token(TokenTooLong, "size: 12,000 digits", &"A".repeat(12_000));
    let dots = format!("{header}.{}.{signature}", "A".repeat(12_000));
    table.token(TokenTooLong, "size: a payload beyond the limit", &dots);

    let empty = format!("{}.{payload}.{signature}", b64("{}"));
    table.token(
        sidegate::model::Denial::AlgorithmRefused,
        "form: an empty object as header",
        &empty,
    );
    for (name, text) in [
        ("no JSON", "alg"),
        ("an array", r#"["alg","ES256"]"#),
        ("a string", r#""ES256""#),
        ("null", "null"),
        ("a number", "1"),
        ("two objects", r#"{"alg":"ES256"}{}"#),
        ("cut short", r#"{"alg":"ES256""#),
        ("a trailing comma", r#"{"alg":"ES256",}"#),
        ("single quotes", "{'alg':'ES256'}"),
        ("a comment", r#"{"alg":"ES256"/**/}"#),
        ("a byte order mark", "\u{feff}{\"alg\":\"ES256\"}"),
        ("a half surrogate", r#"{"alg":"ES256","kid":"\ud800"}"#),
        ("a control character", "{\"alg\":\"ES256\",\"kid\":\"\n\"}"),
    ] {
        table.header(m, format!("header is {name}"), text);
    }
    let bad_utf8 = b"{\"alg\":\"ES256\",\"kid\":\"\xff\"}";
    let bad_utf8 = format!("{}.{payload}.{signature}", b64(bad_utf8));
    table.token(m, "header is not UTF-8", &bad_utf8);
    let deep = format!(
        r#"{{"alg":"ES256","x":{}{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    table.header(m, "header is nested 64 deep", &deep);
    let many: String = (0..40).map(|n| format!(r#","x{n}":1"#)).collect();
    table.header(
        m,
        "header has 42 members",
        &format!(r#"{{"alg":"ES256"{many}}}"#),
    );
    table.header(TokenHeaderRefused, "header has alg null", r#"{"alg":null}"#);

    let mut bytes = signature_of(&good);
    bytes.push(0);
    let longer = format!("{header}.{payload}.{}", b64(&bytes));
    table.token(SignatureInvalid, "signature is one byte longer", &longer);
}
