//! `[[route]]` and `[paths]`, typed: which requests a route is for, and what it asks of them.

use std::cmp::Ordering;
use std::sync::Arc;

use http::Method;
use serde_json::Value;

use super::{Enforcement, IssuerIndex};
use crate::model::ClaimPath;

/// What is done with a path that can be read in two ways.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathSettings {
    /// It goes through as it came: nothing is decided by paths.
    Untouched,
    /// `ambiguous = "refuse"`; the default once there is a route.
    Refuse,
    /// `ambiguous = "normalise"`: it is judged and forwarded in its normal form, if it has one.
    Normalise,
}

/// One rule: for which requests, and what they need.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSettings {
    /// `name`, or `route[3]` by its place: what logs call it.
    pub name: Arc<str>,
    /// `path`: any one of these; at least one.
    pub paths: Vec<PathPattern>,
    /// `method`: any one of these; empty for all.
    pub methods: Vec<Method>,
    /// `host`: any one of these; empty for all.
    pub hosts: Vec<HostPattern>,
    /// `require`
    pub require: Requirement,
    /// `peers`: the names of those that may use it; empty for all.
    pub peers: Vec<Arc<str>>,
    /// `issuers`: whose tokens are good for it; empty for all.
    pub issuers: Vec<IssuerIndex>,
    /// `scope`: all of these are needed.
    pub scopes: Vec<String>,
    /// `claims`: all of these must hold.
    pub claims: Vec<ClaimCondition>,
    /// `enforce`
    pub enforcement: Enforcement,
}

/// What a route needs at the least.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Requirement {
    /// A listed peer and a good token that it may bring.
    Token,
    /// A listed peer alone.
    Peer,
}

/// A path, by its segments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathPattern {
    /// The segments, outermost first; an empty literal at the end is a slash at the end.
    pub segments: Vec<Segment>,
    /// Whether `**` follows: any rest, and none.
    pub rest: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Segment {
    /// Exactly these bytes, escapes undone.
    Literal(Box<[u8]>),
    /// `*`: any one segment that is not empty.
    Any,
}

/// A host, in lower case and without a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostPattern {
    /// `app.example.com`
    Whole(String),
    /// `*.example.com`, kept as `.example.com`: exactly one label before it.
    Below(String),
}

/// What one claim must be.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimCondition {
    /// Which claim.
    pub path: ClaimPath,
    /// All of these must hold.
    pub tests: Vec<ClaimTest>,
}

/// One test of a claim. A claim that is missing or of a kind that the test cannot read fails it.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimTest {
    /// `equals`: the claim is this one value, not a list.
    Equals(Scalar),
    /// `any`: the claim is one of these, or a list with one of these.
    Any(Vec<Scalar>),
    /// `all`: the claim is a list with all of these (or is the only one).
    All(Vec<Scalar>),
    /// `none`: the claim is there, and neither is nor has one of these.
    None(Vec<Scalar>),
    /// `present`: whether the claim is there at all and not null.
    Present(bool),
    /// `min`
    Min(Scalar),
    /// `max`
    Max(Scalar),
    /// `pattern`: the claim is a text of one of these forms, or a list with one.
    Pattern(Vec<Glob>),
}

/// A value that a claim is compared with. Values of two types are never equal.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Compared byte by byte.
    Text(String),
    /// Compared as numbers.
    Integer(i64),
    /// Compared as numbers.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
}

/// A text of which `*` stands for any run of characters. Always the whole text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob {
    first: String,
    middle: Vec<String>,
    last: String,
}

// === impl PathPattern ===

impl PathPattern {
    /// Whether every path of `other` is one of this pattern's too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let fits = |(own, other): (&Segment, &Segment)| match (own, other) {
            (Segment::Any, Segment::Any) => true,
            (Segment::Any, Segment::Literal(bytes)) => !bytes.is_empty(),
            (Segment::Literal(own), Segment::Literal(bytes)) => own == bytes,
            (Segment::Literal(_), Segment::Any) => false,
        };
        let long_enough = match (self.rest, other.rest) {
            (false, false) => self.segments.len() == other.segments.len(),
            (true, _) => self.segments.len() <= other.segments.len(),
            (false, true) => false,
        };
        long_enough && self.segments.iter().zip(&other.segments).all(fits)
    }
}

// === impl HostPattern ===

impl HostPattern {
    /// Whether `host`, in lower case and without a port, is one of these.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Whole(whole) => whole == host,
            Self::Below(parent) => host
                .strip_suffix(parent.as_str())
                .is_some_and(|label| !label.is_empty() && !label.contains('.')),
        }
    }

    /// Whether every host of `other` is one of this pattern's too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || matches!(other, Self::Whole(host) if self.matches(host))
    }
}

// === impl Scalar ===

impl Scalar {
    /// Whether a claim is this very value.
    #[must_use]
    pub fn is(&self, claim: &Value) -> bool {
        match (self, claim) {
            (Self::Text(text), Value::String(claim)) => text == claim,
            (Self::Bool(own), Value::Bool(claim)) => own == claim,
            (Self::Integer(_) | Self::Float(_), Value::Number(_)) => {
                self.compare(claim) == Some(Ordering::Equal)
            }
            _ => false,
        }
    }

    /// How a claim stands to this number; `None` unless both are numbers.
    #[must_use]
    pub fn compare(&self, claim: &Value) -> Option<Ordering> {
        let Value::Number(claim) = claim else {
            return None;
        };
        // Whole numbers are compared as such: beyond 2^53 two of them can be one as fractions.
        let whole = claim
            .as_i64()
            .map(i128::from)
            .or_else(|| claim.as_u64().map(i128::from));
        match (self, whole) {
            (Self::Integer(own), Some(claim)) => Some(claim.cmp(&i128::from(*own))),
            #[expect(clippy::cast_precision_loss, reason = "the other one is a fraction")]
            (Self::Integer(own), None) => claim.as_f64()?.partial_cmp(&(*own as f64)),
            (Self::Float(own), _) => claim.as_f64()?.partial_cmp(own),
            (Self::Text(_) | Self::Bool(_), _) => None,
        }
    }
}

// === impl Glob ===

impl Glob {
    /// Reads a text with at least one `*`; `None` where there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, rest) = text.split_once('*')?;
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let pieces = middle.split('*').filter(|piece| !piece.is_empty());
        Some(Self {
            first: first.to_owned(),
            middle: pieces.map(str::to_owned).collect(),
            last: last.to_owned(),
        })
    }

    /// Whether the whole of `text` has this form.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let inner = text
            .strip_prefix(self.first.as_str())
            .and_then(|rest| rest.strip_suffix(self.last.as_str()));
        let Some(mut rest) = inner else {
            return false;
        };
        // The leftmost place of each piece leaves the most for the next.
        for piece in &self.middle {
            match rest.split_once(piece.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// The plain recursive definition.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            ([a, pattern @ ..], [b, text @ ..]) => a == b && naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_glob_is_its_definition(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let [wanted, given] = [&pattern, &text].map(|text| text.chars().collect::<Vec<_>>());
            match Glob::parse(&pattern) {
                Some(glob) => prop_assert_eq!(glob.matches(&text), naive(&wanted, &given)),
                None => prop_assert!(!pattern.contains('*')),
            }
        }
    }

    #[test]
    fn a_glob_is_about_the_whole_text() {
        let glob = Glob::parse("*@example.com").unwrap();
        assert!(glob.matches("ada@example.com"));
        for other in [
            "ada@example.com.evil",
            "ada@example.comx",
            "ada@EXAMPLE.com",
            "",
        ] {
            assert!(!glob.matches(other), "{other}");
        }
        assert!(!Glob::parse("aa*aa").unwrap().matches("aaa"));
    }

    #[test]
    fn values_of_two_types_are_never_equal_and_large_numbers_stay_apart() {
        assert!(Scalar::Text("1".into()).is(&json!("1")));
        assert!(!Scalar::Text("1".into()).is(&json!(1)));
        assert!(!Scalar::Integer(1).is(&json!(true)));
        assert!(!Scalar::Bool(true).is(&json!("true")));
        assert!(Scalar::Integer(1).is(&json!(1.0)));
        assert!(Scalar::Float(0.5).is(&json!(0.5)));
        assert!(!Scalar::Integer(i64::MAX).is(&json!(i64::MAX - 1)));
        assert!(!Scalar::Integer(i64::MAX).is(&json!(u64::MAX)));
    }

    #[test]
    fn one_label_stands_for_the_star_of_a_host() {
        let below = HostPattern::Below(".example.com".into());
        assert!(below.matches("a.example.com"));
        for other in [
            "example.com",
            ".example.com",
            "a.b.example.com",
            "aexample.com",
        ] {
            assert!(!below.matches(other), "{other}");
        }
    }
}
