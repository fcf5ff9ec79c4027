//! Finding and removing tokens: what rows of the attack table cannot say.

use std::time::Duration;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::model::Algorithm;
use crate::settings::{
    AudienceRule, Enforcement, KeySource, Maker, SenderRule, SubjectRule, TokenToUpstream, TypeRule,
};

fn issuer(places: Vec<TokenPlace>) -> IssuerSettings {
    IssuerSettings {
        name: "any".into(),
        preset: None,
        maker: Maker::Issuer("any".to_owned()),
        audience: AudienceRule::OneOf(vec!["any".to_owned()]),
        form: TokenForm::Jwt,
        types: TypeRule::default(),
        sender: SenderRule::IfBound,
        algorithms: vec![Algorithm::Es256],
        keys: KeySource::JwksFile("none".into()),
        places,
        token_to_upstream: TokenToUpstream::Remove,
        leeway: Duration::ZERO,
        stream_grace: Duration::ZERO,
        single_use: None,
        max_lifetime: Duration::ZERO,
        subject: SubjectRule::Required,
        enforcement: Enforcement::Refuse,
        companions: Vec::new(),
    }
}

fn bare(name: &'static str) -> TokenPlace {
    TokenPlace::Header(HeaderName::from_static(name))
}

fn bearer(name: &'static str) -> TokenPlace {
    TokenPlace::Bearer(HeaderName::from_static(name))
}

fn cookie(name: &str) -> TokenPlace {
    TokenPlace::Cookie(name.to_owned())
}

/// Issuer 0 in a header of its own, 1 as Bearer and in a cookie, 2 as Bearer.
fn places() -> Places {
    let issuers = [
        issuer(vec![bare("x-assertion")]),
        issuer(vec![bearer("authorization"), cookie("session")]),
        issuer(vec![bearer("authorization")]),
    ];
    Places::build(&issuers, 100)
}

type Field = (&'static str, &'static [u8]);

fn map(fields: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn found<'a>(places: &'a Places, headers: &'a HeaderMap) -> Result<(&'a str, Vec<u16>), Denial> {
    let token = places.find(headers)?;
    let issuers = token.issuers().iter().map(|index| index.0).collect();
    Ok((token.text(), issuers))
}

// === find ===

#[test]
fn a_token_is_found_with_the_issuers_of_its_place() {
    let places = places();
    let cases: [(&[Field], &[u16]); 5] = [
        (&[("x-assertion", b"a.b.c")], &[0]),
        (&[("authorization", b"Bearer a.b.c")], &[1, 2]),
        (&[("authorization", b"bEARER   a.b.c")], &[1, 2]),
        (&[("cookie", b"a=b; session=a.b.c;c=d")], &[1]),
        (&[("cookie", b"a=b"), ("cookie", b"session=a.b.c")], &[1]),
    ];
    for (fields, issuers) in cases {
        let headers = map(fields);
        assert_eq!(
            found(&places, &headers),
            Ok(("a.b.c", issuers.to_vec())),
            "{fields:?}"
        );
    }
}

#[test]
fn two_tokens_are_refused_wherever_they_stand() {
    let places = places();
    let good: [(&'static str, &[u8]); 3] = [
        ("x-assertion", b"a.b.c"),
        ("authorization", b"Bearer a.b.c"),
        ("cookie", b"session=a.b.c"),
    ];
    for first in good {
        for second in good {
            let headers = map(&[first, second]);
            assert_eq!(
                found(&places, &headers),
                Err(Denial::TokenRepeated),
                "{first:?} {second:?}"
            );
        }
    }
}

/// HTTP/1.1 parsers cut white space off around a value; over HTTP/2 it can arrive.
#[test]
fn white_space_around_a_token_is_malformed_and_nothing_but_white_space_is_empty() {
    let places = places();
    let cases: [(&'static str, &[u8], Denial); 7] = [
        ("x-assertion", b" a.b.c", Denial::TokenMalformed),
        ("x-assertion", b"a.b.c\t", Denial::TokenMalformed),
        ("x-assertion", b" \t ", Denial::TokenEmpty),
        ("authorization", b" Bearer a.b.c", Denial::TokenMalformed),
        ("authorization", b"Bearer a.b.c ", Denial::TokenMalformed),
        ("authorization", b"Bearer ", Denial::TokenEmpty),
        ("authorization", b"Bearer    ", Denial::TokenEmpty),
    ];
    for (name, value, denial) in cases {
        let headers = map(&[(name, value)]);
        assert_eq!(found(&places, &headers), Err(denial), "{value:?}");
    }
}

#[test]
fn the_limit_on_length_counts_to_the_byte() {
    let places = places();
    for (length, denial) in [(100, None), (101, Some(Denial::TokenTooLong))] {
        let headers = map(&[("x-assertion", "a".repeat(length).as_bytes())]);
        assert_eq!(found(&places, &headers).err(), denial);
    }
}

#[test]
fn bytes_outside_ascii_are_malformed() {
    let places = places();
    for value in [&b"a.b.\xff"[..], "a.b.é".as_bytes(), b"a.b.\x80"] {
        let headers = map(&[("x-assertion", value)]);
        assert_eq!(found(&places, &headers), Err(Denial::TokenMalformed));
    }
}

#[test]
fn a_header_known_bare_and_as_bearer_tells_the_forms_apart() {
    let issuers = [
        issuer(vec![bare("x-token")]),
        issuer(vec![bearer("x-token")]),
    ];
    let places = Places::build(&issuers, 100);
    let headers = map(&[("x-token", b"a.b.c")]);
    assert_eq!(found(&places, &headers), Ok(("a.b.c", vec![0])));
    let headers = map(&[("x-token", b"Bearer a.b.c")]);
    assert_eq!(found(&places, &headers), Ok(("a.b.c", vec![1])));
}

#[test]
fn a_raw_token_does_not_show_itself() {
    let places = places();
    let headers = map(&[("x-assertion", b"secret.secret.secret")]);
    let shown = format!("{:?}", places.find(&headers).unwrap());
    assert!(!shown.contains("secret"), "{shown}");
}

// === remove ===

/// What is left of `fields` once the tokens are out.
fn left(fields: &[(&'static str, &[u8])], keep: Option<u16>) -> Vec<(String, String)> {
    let mut headers = map(fields);
    places().remove(&mut headers, keep.map(IssuerIndex));
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn own(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn every_place_is_emptied_and_the_rest_is_left_alone() {
    let all: [(&'static str, &[u8]); 4] = [
        ("x-assertion", b"a.b.c"),
        ("authorization", b"Bearer a.b.c"),
        ("cookie", b"a=1; session=a.b.c; b=2"),
        ("accept", b"*/*"),
    ];
    let expected = own(&[("cookie", "a=1; b=2"), ("accept", "*/*")]);
    let mut rest = left(&all, None);
    rest.sort();
    let mut sorted = expected;
    sorted.sort();
    assert_eq!(rest, sorted);
}

#[test]
fn only_the_place_of_the_issuer_that_forwards_is_kept() {
    let one = |name: &'static str, value: &'static [u8], keep| left(&[(name, value)], Some(keep));
    assert_eq!(one("x-assertion", b"a.b.c", 0).len(), 1);
    assert_eq!(one("x-assertion", b"a.b.c", 1).len(), 0);
    assert_eq!(one("authorization", b"Bearer a.b.c", 0).len(), 0);
    assert_eq!(one("authorization", b"Bearer a.b.c", 1).len(), 1);
    assert_eq!(one("authorization", b"Bearer a.b.c", 2).len(), 1);
    assert_eq!(one("cookie", b"session=a.b.c", 2).len(), 0);
    assert_eq!(one("cookie", b"session=a.b.c", 1).len(), 1);
}

#[test]
fn credentials_of_another_scheme_stay_with_the_application() {
    for value in [
        "Basic YTpi",
        "Digest username=\"a\"",
        "Bearer-MAC x",
        "Negotiate x",
    ] {
        let fields = own(&[("authorization", value)]);
        assert_eq!(left(&[("authorization", value.as_bytes())], None), fields);
    }
    for value in [
        "Bearer",
        "bearer x",
        "BEARER\tx",
        " Bearer x",
        "Bearer,x",
        "Bearer: x",
    ] {
        assert_eq!(
            left(&[("authorization", value.as_bytes())], None),
            Vec::new(),
            "{value:?}"
        );
    }
}

#[test]
fn twins_of_a_token_header_go_also_when_the_token_is_kept() {
    let fields: [(&'static str, &[u8]); 2] =
        [("x-assertion", b"a.b.c"), ("x_assertion", b"forged")];
    assert_eq!(left(&fields, None), Vec::new());
    assert_eq!(left(&fields, Some(0)), own(&[("x-assertion", "a.b.c")]));
}

#[test]
fn other_cookies_are_kept_byte_for_byte() {
    for (before, after) in [
        ("session=a.b.c", None),
        ("session=a.b.c; a=1", Some("a=1")),
        ("a=1; session=a.b.c", Some("a=1")),
        ("a=1;session=x;b= 2 ;c", Some("a=1;b= 2 ;c")),
        (
            "a=session; session=x; xsession=y; session_=z",
            Some("a=session; xsession=y; session_=z"),
        ),
        ("session=x; session=y", None),
        ("session; a=\"q;\"", Some("a=\"q;\"")),
        (" a=1 ;; b=2", Some(" a=1 ;; b=2")),
        ("Session=x", Some("Session=x")),
    ] {
        let rest = left(&[("cookie", before.as_bytes())], None);
        let expected: Vec<_> = after
            .into_iter()
            .flat_map(|it| own(&[("cookie", it)]))
            .collect();
        assert_eq!(rest, expected, "{before:?}");
    }
    let split: [(&'static str, &[u8]); 3] = [
        ("cookie", b"a=1"),
        ("cookie", b"session=x"),
        ("cookie", b"b=2"),
    ];
    assert_eq!(
        left(&split, None),
        own(&[("cookie", "a=1"), ("cookie", "b=2")])
    );
}

// === many ===

/// Issuer `n` in the header `x-token-n` and in the cookie `token-n`.
fn many() -> Places {
    let settings = |number: usize| {
        let name = HeaderName::try_from(format!("x-token-{number}")).unwrap();
        issuer(vec![
            TokenPlace::Header(name),
            cookie(&format!("token-{number}")),
        ])
    };
    Places::build(&(0..MANY).map(settings).collect::<Vec<_>>(), 100)
}

const MANY: usize = 300;

fn named(fields: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::try_from(name).unwrap();
        headers.append(name, HeaderValue::try_from(value).unwrap());
    }
    headers
}

#[test]
fn among_many_places_each_is_known_by_its_own_issuer_and_two_are_refused() {
    let places = many();
    let at = |number: usize| {
        [
            (format!("x-token-{number}"), "a.b.c".to_owned()),
            ("cookie".to_owned(), format!("a=1; token-{number}=a.b.c")),
        ]
    };
    for (number, issuer) in [(0, 0), (150, 150), (MANY - 1, 299)] {
        for field in at(number) {
            let headers = named(std::slice::from_ref(&field));
            assert_eq!(found(&places, &headers), Ok(("a.b.c", vec![issuer])));
            for other in at(0).into_iter().chain(at(7)) {
                let headers = named(&[field.clone(), other.clone()]);
                let refused = Err(Denial::TokenRepeated);
                assert_eq!(found(&places, &headers), refused, "{field:?} {other:?}");
            }
        }
    }
}

#[test]
fn of_many_places_every_one_is_emptied_and_every_twin_goes() {
    let places = many();
    let mut fields = vec![("accept".to_owned(), "*/*".to_owned())];
    for number in 0..MANY {
        for name in ["x-token-", "x_token-", "x.token_"] {
            fields.push((format!("{name}{number}"), "a.b.c".to_owned()));
        }
        fields.push(("cookie".to_owned(), format!("token-{number}=a.b.c")));
    }
    for keep in [None, Some(0), Some(299)] {
        let mut headers = named(&fields);
        places.remove(&mut headers, keep.map(IssuerIndex));
        let mut expected = vec![fields[0].clone()];
        if let Some(number) = keep {
            expected.push((format!("x-token-{number}"), "a.b.c".to_owned()));
            expected.push(("cookie".to_owned(), format!("token-{number}=a.b.c")));
        }
        assert_eq!(headers, named(&expected), "{keep:?}");
    }
}

/// No server behind could tell them apart, so neither is left there, whoever may keep his token.
#[test]
fn of_two_places_that_are_twins_both_are_emptied() {
    let issuers = [issuer(vec![bare("x-token")]), issuer(vec![bare("x_token")])];
    let places = Places::build(&issuers, 100);
    for (number, name) in [(0, "x-token"), (1, "x_token")] {
        let headers = map(&[(name, b"a.b.c")]);
        assert_eq!(found(&places, &headers), Ok(("a.b.c", vec![number])));
    }
    let both: [Field; 2] = [("x-token", b"a.b.c"), ("x_token", b"a.b.c")];
    assert_eq!(found(&places, &map(&both)), Err(Denial::TokenRepeated));
    for keep in [None, Some(0), Some(1)] {
        let mut headers = map(&both);
        places.remove(&mut headers, keep.map(IssuerIndex));
        assert_eq!(headers, HeaderMap::new(), "{keep:?}");
    }
}

proptest! {
    #[test]
    fn no_headers_make_finding_or_removing_panic_and_removing_leaves_no_token(
        fields in prop::collection::vec(
            (
                prop::sample::select(vec!["authorization", "cookie", "x-assertion", "x_assertion"]),
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40),
                    "(Bearer|bearer|Basic|session|a)?[ =;,\t]{0,2}[a-z.]{0,6}([;,] ?session=[a-z]{0,3})?"
                        .prop_map(String::into_bytes),
                ],
            ),
            0..5,
        ),
        keep in prop::option::of(0..3_u16),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(name, value);
            }
        }
        let places = places();
        let _ = places.find(&headers);
        places.remove(&mut headers, None);
        prop_assert_eq!(found(&places, &headers), Err(Denial::TokenMissing));
        let once = headers.clone();
        places.remove(&mut headers, keep.map(IssuerIndex));
        prop_assert_eq!(once, headers);
    }
}
