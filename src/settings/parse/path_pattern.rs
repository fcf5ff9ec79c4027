//! A path pattern: what is written becomes segments that are compared whole.
//!
//! A pattern that no path could ever match, because such paths are refused before, is refused here.

use super::marks::Flaw;
use crate::model::path;
use crate::settings::{PathPattern, Segment};

/// More than any service has; the index of all patterns is as deep as the deepest.
const MOST_SEGMENTS: usize = 64;

pub(super) fn parse(text: &str) -> Result<PathPattern, Flaw> {
    let flaw = |text: &str, fix: &str| Err((text.to_owned(), fix.to_owned()));
    let Some(inner) = text.strip_prefix('/') else {
        let fix = format!("write {:?}", format!("/{text}"));
        return flaw("does not begin with /", &fix);
    };
    if text.contains('?') {
        return flaw(
            "has a query",
            "write the path alone: queries are not judged",
        );
    }
    let mut written: Vec<&str> = inner.split('/').collect();
    let rest = written.last() == Some(&"**");
    if rest {
        written.pop();
    }
    if written.len() > MOST_SEGMENTS {
        return flaw("has more than 64 segments", "end it with /**");
    }
    let mut segments = Vec::new();
    for segment in &written {
        segments.push(match *segment {
            "*" => Segment::Any,
            "**" => {
                return flaw(
                    "has a ** before its end",
                    "write ** as the last segment only",
                );
            }
            _ if segment.contains('*') => {
                let fix = "write * for a whole segment, ** for any rest, or %2A for the character";
                return flaw("has a * that is no whole segment", fix);
            }
            _ => Segment::Literal(path::unescape(segment).into()),
        });
    }
    // Letters outside of ASCII may be written as they are: a path has them escaped.
    let shape: Vec<String> = written.iter().map(|segment| escaped(segment)).collect();
    let shape = format!("/{}", shape.join("/"));
    match path::normalise(&shape) {
        Err(path::Ambiguous(reason)) => {
            flaw(reason, "write a path that can be read in one way only")
        }
        Ok(normal) if path::check(&shape).is_err() => {
            let more = if rest { "/**" } else { "" };
            let fix = format!(
                "write {:?}",
                format!("{}{more}", normal.trim_end_matches('/'))
            );
            flaw("is no path in its normal form", &fix)
        }
        Ok(_) if rest && written.last() == Some(&"") => {
            flaw("has an empty segment", "write one / before the **")
        }
        Ok(_) => Ok(PathPattern { segments, rest }),
    }
}

fn escaped(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii() && byte != b' ' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_is_its_segments() {
        let literal = |text: &str| Segment::Literal(text.as_bytes().into());
        for (text, segments, rest) in [
            ("/", vec![literal("")], false),
            ("/**", vec![], true),
            ("/admin", vec![literal("admin")], false),
            ("/admin/", vec![literal("admin"), literal("")], false),
            ("/admin/**", vec![literal("admin")], true),
            (
                "/a/*/c",
                vec![literal("a"), Segment::Any, literal("c")],
                false,
            ),
            ("/café/a b", vec![literal("café"), literal("a b")], false),
            ("/caf%c3%a9/%2A", vec![literal("café"), literal("*")], false),
        ] {
            assert_eq!(parse(text), Ok(PathPattern { segments, rest }), "{text}");
        }
    }

    #[test]
    fn a_pattern_that_nothing_could_match_is_refused() {
        for text in [
            "", "admin", "/a//b", "/a/../b", "/a/./b", "/a/**/b", "/a*", "/***", "/a;b", "/a%2fb",
            "/a%25", "/a\\b", "/a?b", "/a#b", "/%61", "/a//**", "//**", "//", "/a%", "/\u{0}",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(&"/a".repeat(65)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "[/a*%.é2eE;]{0,12}") {
            let _ = parse(&text);
        }
    }
}
