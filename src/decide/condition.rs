//! Claims against what a route asks of them.
//!
//! Whatever a test cannot read (a claim that is missing, null, or of another kind) fails it: only
//! `present = false` holds of what is not there.

use std::cmp::Ordering;

use serde_json::Value;

use crate::check::Claims;
use crate::model::ClaimPath;
use crate::settings::{ClaimCondition, ClaimTest, Scalar};

/// Whether all conditions hold.
pub(super) fn hold(conditions: &[ClaimCondition], claims: &Claims) -> bool {
    conditions.iter().all(|condition| {
        let claim = claims.at(&condition.path).filter(|claim| !claim.is_null());
        condition.tests.iter().all(|test| holds(test, claim))
    })
}

fn holds(test: &ClaimTest, claim: Option<&Value>) -> bool {
    let (wanted, claim) = match (test, claim) {
        (ClaimTest::Present(wanted), claim) => return *wanted == claim.is_some(),
        (_, None) => return false,
        (test, Some(claim)) => (test, claim),
    };
    let Some(values) = values(claim) else {
        return false;
    };
    let has = |one: &Scalar| values.iter().any(|value| one.is(value));
    let bounded = |bound: &Scalar, beyond| {
        let order = bound.compare(claim);
        order.is_some_and(|order| order != beyond)
    };
    match wanted {
        ClaimTest::Equals(one) => one.is(claim),
        ClaimTest::Any(some) => some.iter().any(has),
        ClaimTest::All(all) => all.iter().all(has),
        // What cannot be compared might be one of them in another form.
        ClaimTest::None(none) => values.iter().all(is_scalar) && !none.iter().any(has),
        ClaimTest::Min(bound) => bounded(bound, Ordering::Less),
        ClaimTest::Max(bound) => bounded(bound, Ordering::Greater),
        ClaimTest::Pattern(globs) => values
            .iter()
            .filter_map(Value::as_str)
            .any(|text| globs.iter().any(|glob| glob.matches(text))),
        ClaimTest::Present(_) => true,
    }
}

/// The values of a claim: the elements of a list, or the one value. An object is neither.
fn values(claim: &Value) -> Option<&[Value]> {
    match claim {
        Value::Array(elements) => Some(elements),
        Value::Object(_) | Value::Null => None,
        Value::String(_) | Value::Bool(_) | Value::Number(_) => Some(std::slice::from_ref(claim)),
    }
}

fn is_scalar(value: &Value) -> bool {
    value.is_string() || value.is_boolean() || value.is_number()
}

/// The two claims that hold scopes: RFC 8693 4.2 and RFC 9068 2.2.3 say `scope`; others say `scp`.
#[derive(Clone, Debug)]
pub(super) struct ScopeClaims([ClaimPath; 2]);

impl ScopeClaims {
    pub(super) fn new() -> Self {
        Self(["scope", "scp"].map(ClaimPath::top))
    }

    /// Whether the token has all of `needed`, each compared whole.
    pub(super) fn grant(&self, needed: &[String], claims: &Claims) -> bool {
        if needed.is_empty() {
            return true;
        }
        let granted: Vec<&str> = self
            .0
            .iter()
            .filter_map(|path| claims.at(path))
            .flat_map(scopes)
            .collect();
        needed.iter().all(|scope| granted.contains(&scope.as_str()))
    }
}

/// One text with spaces between (RFC 6749 3.3), or a list. Elements of a list are whole: one with a
/// space in it is no scope.
fn scopes(claim: &Value) -> Vec<&str> {
    match claim {
        Value::String(text) => text.split(' ').filter(|scope| !scope.is_empty()).collect(),
        Value::Array(elements) => elements.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Glob;

    fn text(text: &str) -> Scalar {
        Scalar::Text(text.to_owned())
    }

    fn texts(all: &[&str]) -> Vec<Scalar> {
        all.iter().map(|one| text(one)).collect()
    }

    #[test]
    fn equals_is_about_one_value_and_no_list() {
        let test = ClaimTest::Equals(text("a"));
        assert!(holds(&test, Some(&json!("a"))));
        for claim in [
            json!(["a"]),
            json!("A"),
            json!("a "),
            json!({"a": 1}),
            json!(1),
        ] {
            assert!(!holds(&test, Some(&claim)), "{claim}");
        }
        assert!(holds(
            &ClaimTest::Equals(Scalar::Bool(true)),
            Some(&json!(true))
        ));
        assert!(!holds(
            &ClaimTest::Equals(Scalar::Bool(true)),
            Some(&json!("true"))
        ));
    }

    #[test]
    fn lists_are_read_element_by_element_and_whole() {
        let any = ClaimTest::Any(texts(&["a", "b"]));
        let all = ClaimTest::All(texts(&["a", "b"]));
        for (claim, has_any, has_all) in [
            (json!(["a"]), true, false),
            (json!(["b", "a", "c"]), true, true),
            (json!("a"), true, false),
            (json!("a,b"), false, false),
            (json!("a b"), false, false),
            (json!(["ab"]), false, false),
            (json!([["a", "b"]]), false, false),
            (json!([]), false, false),
            (json!({"a": "b"}), false, false),
        ] {
            assert_eq!(holds(&any, Some(&claim)), has_any, "{claim}");
            assert_eq!(holds(&all, Some(&claim)), has_all, "{claim}");
        }
    }

    #[test]
    fn none_needs_a_claim_that_can_be_read() {
        let none = ClaimTest::None(texts(&["banned"]));
        assert!(holds(&none, Some(&json!(["a"]))));
        assert!(holds(&none, Some(&json!([]))));
        assert!(holds(&none, Some(&json!("a"))));
        for claim in [
            json!(["a", "banned"]),
            json!("banned"),
            json!(["a", ["banned"]]),
            json!([null]),
            json!({"banned": true}),
        ] {
            assert!(!holds(&none, Some(&claim)), "{claim}");
        }
        assert!(!holds(&none, None));
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_nothing_else_is_one() {
        let between = [
            ClaimTest::Min(Scalar::Integer(3)),
            ClaimTest::Max(Scalar::Float(4.5)),
        ];
        let inside = |claim| between.iter().all(|test| holds(test, Some(&claim)));
        for claim in [json!(3), json!(4), json!(4.5), json!(3.0)] {
            assert!(inside(claim.clone()), "{claim}");
        }
        for claim in [
            json!(2),
            json!(2.99),
            json!(5),
            json!("4"),
            json!([4]),
            json!(true),
        ] {
            assert!(!inside(claim.clone()), "{claim}");
        }
    }

    #[test]
    fn presence_is_all_that_holds_of_nothing() {
        for test in [
            ClaimTest::Present(true),
            ClaimTest::Equals(text("a")),
            ClaimTest::Any(texts(&["a"])),
            ClaimTest::All(Vec::new()),
            ClaimTest::None(texts(&["a"])),
            ClaimTest::Min(Scalar::Integer(0)),
            ClaimTest::Max(Scalar::Integer(0)),
            ClaimTest::Pattern(vec![Glob::parse("*").unwrap()]),
        ] {
            assert!(!holds(&test, None), "{test:?}");
        }
        assert!(holds(&ClaimTest::Present(false), None));
        assert!(holds(&ClaimTest::Present(true), Some(&json!(false))));
        assert!(holds(&ClaimTest::Present(true), Some(&json!({}))));
    }

    #[test]
    fn a_pattern_is_about_texts() {
        let test = ClaimTest::Pattern(vec![Glob::parse("team-*").unwrap()]);
        assert!(holds(&test, Some(&json!("team-a"))));
        assert!(holds(&test, Some(&json!(["x", "team-a"]))));
        for claim in [
            json!("a-team-a"),
            json!(["x"]),
            json!(1),
            json!({"team-a": 1}),
        ] {
            assert!(!holds(&test, Some(&claim)), "{claim}");
        }
    }

    #[test]
    fn scopes_are_one_text_or_a_list() {
        assert_eq!(scopes(&json!("read  write")), ["read", "write"]);
        assert_eq!(scopes(&json!(["read", "write all"])), ["read", "write all"]);
        assert_eq!(scopes(&json!("read\twrite")), ["read\twrite"]);
        assert!(scopes(&json!({"read": true})).is_empty());
    }
}
