//! One spelling for one path: what a path means, and whether it can be read in two ways.
//!
//! Servers disagree about escapes, dots, slashes and parameters. A path that two of them could read
//! as two paths is refused here, or brought into the one form that all of them read alike; nothing
//! that is let through may mean another path to whoever decodes, merges and resolves once more.

use std::borrow::Cow;

/// A path has a second reading: which, in words for an operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ambiguous(pub &'static str);

const NO_SLASH: Ambiguous = Ambiguous("does not begin with /");
const ESCAPE: Ambiguous = Ambiguous("has a % without two hexadecimal digits");
const HIDDEN: Ambiguous = Ambiguous("escapes a character that ends or splits a path");
const NEEDLESS: Ambiguous = Ambiguous("escapes a letter, a digit or one of - . _ ~");
const FORBIDDEN: Ambiguous = Ambiguous("has a character that servers read in two ways");
const NOT_TEXT: Ambiguous = Ambiguous("has escapes that are no UTF-8 text");
const DOTS: Ambiguous = Ambiguous("has a segment of dots or spaces alone");
const EMPTY: Ambiguous = Ambiguous("has an empty segment");
const ABOVE: Ambiguous = Ambiguous("leads above the root");

/// Takes a path (without its query) as it is, or not at all.
///
/// # Errors
///
/// [`Ambiguous`] for everything that has a second reading, however harmless the first.
pub fn check(path: &str) -> Result<(), Ambiguous> {
    let rest = path.strip_prefix('/').ok_or(NO_SLASH)?;
    let mut has_wide = false;
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        let meant = plain(byte, &mut bytes)?;
        if byte == b'%' && is_unreserved(meant) {
            return Err(NEEDLESS);
        }
        has_wide |= !meant.is_ascii();
    }
    if has_wide {
        text(rest)?;
    }
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        if segment.is_empty() && !is_last {
            return Err(EMPTY);
        }
        if !segment.is_empty() && is_dots(segment) {
            return Err(DOTS);
        }
    }
    Ok(())
}

/// Brings a path (without its query) into its normal form (RFC 3986 6.2.2): needless escapes undone,
/// hexadecimal digits in upper case, slashes merged, then dot segments resolved.
///
/// # Errors
///
/// [`Ambiguous`] for what no form would be safe for: a hidden slash or NUL, path parameters, an
/// escape of an escape, text that is no UTF-8, and a way above the root.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    // Nearly every path: then there is nothing to build.
    if !path.contains('%') && check(path).is_ok() {
        return Ok(Cow::Borrowed(path));
    }
    let rest = path.strip_prefix('/').ok_or(NO_SLASH)?;
    let mut clean = String::with_capacity(rest.len());
    let mut bytes = rest.bytes();
    while let Some(byte) = bytes.next() {
        let meant = plain(byte, &mut bytes)?;
        if byte != b'%' || is_unreserved(meant) {
            clean.push(char::from(meant));
        } else {
            clean.push('%');
            clean.extend([meant >> 4, meant & 0xf].map(upper_hex));
        }
    }
    text(&clean)?;
    let normal = resolve(&clean)?;
    Ok(if normal == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(normal)
    })
}

/// The segments of a path, each without its escapes. What [`check`] let through has no empty one
/// but the last, which stands for a slash at the end.
pub fn segments(path: &str) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    rest.split('/').map(unescape)
}

/// A segment without its escapes.
#[must_use]
pub fn unescape(segment: &str) -> Cow<'_, [u8]> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment.as_bytes());
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let mut after = bytes.clone();
        match (byte, escaped(&mut after)) {
            (b'%', Some(meant)) => {
                out.push(meant);
                bytes = after;
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(out)
}

/// What one character of a path means, if it means one thing; an escape's digits are taken from
/// `rest`.
fn plain(byte: u8, rest: &mut std::str::Bytes<'_>) -> Result<u8, Ambiguous> {
    if byte != b'%' {
        let splits = matches!(byte, b'\\' | b';' | b'#' | b'?');
        return if byte.is_ascii_graphic() && !splits {
            Ok(byte)
        } else {
            Err(FORBIDDEN)
        };
    }
    let meant = escaped(rest).ok_or(ESCAPE)?;
    let hides = matches!(meant, b'/' | b'\\' | b'%' | b';' | b'#' | b'?');
    if hides || meant.is_ascii_control() {
        return Err(HIDDEN);
    }
    Ok(meant)
}

fn escaped(rest: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(rest.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high << 4 | low).ok()
}

/// Characters that some systems take for a slash when they fold Unicode (NFKC, Windows' best fit).
const LIKE_SLASHES: [char; 6] = [
    '\u{2044}', '\u{2215}', '\u{2216}', '\u{fe68}', '\u{ff0f}', '\u{ff3c}',
];

/// The same for a dot, or two or three of them.
const LIKE_DOTS: [char; 5] = ['\u{2024}', '\u{2025}', '\u{2026}', '\u{fe52}', '\u{ff0e}'];

/// Whether the escapes are UTF-8, in its shortest form, without control characters.
fn text(path: &str) -> Result<(), Ambiguous> {
    let decoded = unescape(path);
    let text = std::str::from_utf8(&decoded).map_err(|_| NOT_TEXT)?;
    let hides = |c: char| c.is_control() || LIKE_SLASHES.contains(&c);
    if text.chars().any(hides) {
        return Err(HIDDEN);
    }
    Ok(())
}

/// Merges slashes and resolves dot segments, of the path without its first slash.
fn resolve(clean: &str) -> Result<String, Ambiguous> {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = clean.split('/').peekable();
    let mut ends_in_slash = false;
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        ends_in_slash = is_last && matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                // Some servers refuse this and some stay at the root.
                kept.pop().ok_or(ABOVE)?;
            }
            _ if is_dots(segment) => return Err(DOTS),
            _ => kept.push(segment),
        }
    }
    let mut normal = format!("/{}", kept.join("/"));
    if ends_in_slash && !kept.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

/// Nothing but dots and spaces: some file systems trim both.
fn is_dots(segment: &str) -> bool {
    let decoded = unescape(segment);
    let is_dot = |c: char| matches!(c, '.' | ' ') || LIKE_DOTS.contains(&c);
    std::str::from_utf8(&decoded).is_ok_and(|text| text.chars().all(is_dot))
}

/// RFC 3986 2.3
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn upper_hex(digit: u8) -> char {
    let digit = char::from_digit(u32::from(digit), 16).unwrap_or('0');
    digit.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of which hostile paths are made, and the plain ones between them.
    fn paths() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "/", "/", "/", "a", "admin", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b",
            "%25", "%252e", "%00", "%", "%4", "%zz", "%61", "%C3%A9", "%c3%a9", "%C0%AE", "%20",
            "!", "%21", "%40", "@", "*", "~", "%7e", "?", "#", "é", "%ff", "%C2%85", "^", "{",
        ]);
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    /// What a careless server does: decode once, merge slashes, resolve dots, stay at the root.
    fn careless(path: &str) -> Vec<Vec<u8>> {
        let decoded = unescape(path).into_owned();
        let decoded: Vec<u8> = decoded
            .iter()
            .map(|byte| if *byte == b'\\' { b'/' } else { *byte })
            .collect();
        let mut kept: Vec<Vec<u8>> = Vec::new();
        let last = decoded.rsplit(|byte| *byte == b'/').next().unwrap();
        let ends_in_slash = matches!(last, b"" | b"." | b"..");
        for segment in decoded.split(|byte| *byte == b'/') {
            match segment {
                b"" | b"." => {}
                b".." => drop(kept.pop()),
                _ => kept.push(segment.to_vec()),
            }
        }
        if ends_in_slash {
            kept.push(Vec::new());
        }
        kept
    }

    fn read(path: &str) -> Vec<Vec<u8>> {
        segments(path).map(Cow::into_owned).collect()
    }

    proptest! {
        #[test]
        fn a_careless_server_reads_what_was_judged(path in paths()) {
            if check(&path).is_ok() {
                prop_assert_eq!(careless(&path), read(&path));
            }
            if let Ok(normal) = normalise(&path) {
                prop_assert_eq!(careless(&normal), read(&normal));
                prop_assert_eq!(careless(&path), read(&normal));
            }
        }

        #[test]
        fn the_normal_form_is_one_form_and_is_let_through(path in paths()) {
            if let Ok(normal) = normalise(&path) {
                prop_assert_eq!(check(&normal), Ok(()));
                prop_assert_eq!(normalise(&normal), Ok(normal.clone()));
            }
            if check(&path).is_ok() {
                let normal = normalise(&path).unwrap();
                prop_assert_eq!(read(&path), read(&normal));
            }
        }

        #[test]
        fn no_text_breaks_the_reading(path in "\\PC{0,40}") {
            let _ = (check(&path), normalise(&path), read(&path));
        }
    }

    #[test]
    fn what_has_one_reading_is_taken_as_it_is() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a/b.c/d-e_f~g",
            "/users/ada%40example.com",
            "/a%20b/%C3%A9%c3%a9",
            "/a:b@c!$&'()*+,=",
            "/.well-known/x",
            "/a..b/..c/d..",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn what_has_a_second_reading_is_refused_or_normalised() {
        for (path, normal) in [
            ("/a/../b", Ok("/b")),
            ("/a/%2e%2E/b", Ok("/b")),
            ("/./a/.", Ok("/a/")),
            ("/a/b/..", Ok("/a/")),
            ("/a/..", Ok("/")),
            ("//a///b//", Ok("/a/b/")),
            ("/%61dmin", Ok("/admin")),
            ("/..", Err(ABOVE)),
            ("/a/../../b", Err(ABOVE)),
            ("/a%2fb", Err(HIDDEN)),
            ("/a%5Cb", Err(HIDDEN)),
            ("/a%00", Err(HIDDEN)),
            ("/a%252e", Err(HIDDEN)),
            ("/a%3Bb", Err(HIDDEN)),
            ("/a%3fb", Err(HIDDEN)),
            ("/a%23", Err(HIDDEN)),
            ("/a%C2%85", Err(HIDDEN)),
            ("/a;b", Err(FORBIDDEN)),
            ("/a\\b", Err(FORBIDDEN)),
            ("/a#b", Err(FORBIDDEN)),
            ("/é", Err(FORBIDDEN)),
            ("/a%", Err(ESCAPE)),
            ("/a%4", Err(ESCAPE)),
            ("/a%u0041", Err(ESCAPE)),
            ("/%C0%AE", Err(NOT_TEXT)),
            ("/%ED%A0%80", Err(NOT_TEXT)),
            ("/%ff", Err(NOT_TEXT)),
            ("/...", Err(DOTS)),
            ("/..%20/a", Err(DOTS)),
            ("/%EF%BC%8E%EF%BC%8E/a", Err(DOTS)),
            ("/a%EF%BC%8Fb", Err(HIDDEN)),
            ("*", Err(NO_SLASH)),
            ("", Err(NO_SLASH)),
        ] {
            assert!(check(path).is_err(), "{path}");
            assert_eq!(
                normalise(path).as_deref(),
                normal.as_ref().copied(),
                "{path}"
            );
        }
        assert_eq!(normalise("/%c3%a9").as_deref(), Ok("/%C3%A9"));
    }
}
