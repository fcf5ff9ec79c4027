//! What the deny list promises, entry by entry, and what its parser may never do.

use proptest::prelude::*;

use super::*;

const DAY: u64 = 24 * 3600;

fn names() -> Vec<Arc<str>> {
    vec!["main".into(), "partner".into()]
}

/// Reads these lines; the end of the last one may be left out.
fn parse(text: &str) -> Result<DenyList, DenyListError> {
    DenyList::parse(format!("{text}\n").as_bytes(), &names())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(seconds)
}

/// A token of `main` that says nothing of itself but when it was made.
fn token() -> TokenFacts<'static> {
    TokenFacts {
        issuer: "main",
        kid: None,
        id: None,
        subject: None,
        session: None,
        issued: Some(at(1_000)),
    }
}

fn certificate<'a>(uri: &'a [String]) -> CertificateFacts<'a> {
    CertificateFacts {
        sha256: &[0xab; 32],
        serial: "00f1e2",
        issuer: "CN=Edge CA, O=Example",
        uri,
    }
}

fn line(found: Option<Line>) -> Option<u32> {
    found.map(Line::number)
}

#[test]
fn each_kind_of_entry_denies_what_it_names_and_nothing_else() {
    let text = r#"
# stolen laptop
kid issuer=main kid=old            # rotated away
jti issuer=main jti="with space"
sub issuer=main sub=ada@example.com
sid issuer=main sid="say \"hi\" \u00e9 #1"
"#;
    let list = parse(text).unwrap();
    assert_eq!(list.len(), 4);
    let denied = |token| line(list.denies_token(token, at(0)));
    let kid = TokenFacts {
        kid: Some("old"),
        ..token()
    };
    let id = TokenFacts {
        id: Some("with space"),
        ..token()
    };
    let subject = TokenFacts {
        subject: Some("ada@example.com"),
        ..token()
    };
    let session = TokenFacts {
        session: Some("say \"hi\" é #1"),
        ..token()
    };
    assert_eq!(
        [kid, id, subject, session].map(denied),
        [3, 4, 5, 6].map(Some)
    );
    assert_eq!(denied(token()), None);
    for other in [
        TokenFacts {
            issuer: "partner",
            ..kid
        },
        TokenFacts {
            kid: Some("old2"),
            ..token()
        },
        TokenFacts {
            kid: Some("ol"),
            ..token()
        },
        TokenFacts {
            subject: Some("old"),
            ..token()
        },
        TokenFacts {
            subject: Some("ada@example.com.evil.test"),
            ..token()
        },
        TokenFacts {
            id: Some("With space"),
            ..token()
        },
    ] {
        assert_eq!(denied(other), None, "{other:?}");
    }
}

#[test]
fn a_certificate_is_denied_by_fingerprint_number_or_uri() {
    let uri = ["spiffe://a/b".to_owned()];
    let ab = vec!["AB"; 32].join(":");
    for (text, denies) in [
        (format!("certificate sha256={}", "ab".repeat(32)), true),
        (format!("certificate sha256={ab}"), true),
        (format!("certificate sha256={}", "ac".repeat(32)), false),
        (
            "certificate serial=F1:E2 issuer=\"CN=Edge CA, O=Example\"".to_owned(),
            true,
        ),
        (
            "certificate serial=00F1E2 issuer=\"CN=Edge CA, O=Example\"".to_owned(),
            true,
        ),
        (
            "certificate serial=f1e2 issuer=\"CN = Edge CA, O = Example\"".to_owned(),
            true,
        ),
        (
            "certificate serial=f1e2 issuer=\"CN=Edge CA\"".to_owned(),
            false,
        ),
        (
            "certificate serial=f1 issuer=\"CN=Edge CA, O=Example\"".to_owned(),
            false,
        ),
        ("certificate uri=spiffe://a/b".to_owned(), true),
        ("certificate uri=spiffe://a".to_owned(), false),
        ("certificate uri=spiffe://a/b/c".to_owned(), false),
    ] {
        let list = parse(&text).unwrap();
        let found = list.denies_certificate(certificate(&uri), at(0));
        assert_eq!(line(found), denies.then_some(1), "{text}");
    }
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_was_issued_before() {
    let list = parse("issued-before issuer=main time=1970-01-01T00:16:40Z").unwrap();
    let denied = |issued| {
        list.denies_token(TokenFacts { issued, ..token() }, at(0))
            .is_some()
    };
    assert!(denied(None));
    assert!(denied(Some(at(999))));
    assert!(!denied(Some(at(1_000))), "issued at that very second");
    let other = TokenFacts {
        issuer: "partner",
        issued: None,
        ..token()
    };
    assert_eq!(list.denies_token(other, at(0)), None);
}

#[test]
fn the_strictest_of_several_times_counts_for_as_long_as_it_lasts() {
    let list = parse(
        "issued-before issuer=main time=1970-01-01T00:00:10Z\n\
         issued-before issuer=main time=1970-01-01T00:00:30Z until=1970-01-02\n\
         issued-before issuer=main time=1970-01-01T00:00:05Z until=1970-01-01\n",
    )
    .unwrap();
    let denied = |issued, now| {
        let token = TokenFacts {
            issued: Some(at(issued)),
            ..token()
        };
        line(list.denies_token(token, at(now)))
    };
    assert_eq!(denied(29, 0), Some(2));
    assert_eq!(denied(29, 2 * DAY), None);
    assert_eq!(denied(9, 2 * DAY), Some(1));
}

#[test]
fn an_entry_ends_with_the_day_or_the_moment_that_it_names() {
    let subject = TokenFacts {
        subject: Some("x"),
        ..token()
    };
    for (until, last) in [
        ("1970-01-02", 2 * DAY - 1),
        ("1970-01-02T00:00:00Z", DAY - 1),
        ("1970-01-02T02:00:00+02:00", DAY - 1),
        ("1970-01-01T23:59:59.5Z", DAY - 1),
    ] {
        let list = parse(&format!("sub issuer=main sub=x until={until}")).unwrap();
        assert!(list.denies_token(subject, at(last)).is_some(), "{until}");
        assert_eq!(list.denies_token(subject, at(last + 1)), None, "{until}");
        assert_eq!((list.expired(at(last)), list.expired(at(last + 1))), (0, 1));
    }
}

#[test]
fn of_two_entries_about_the_same_the_longer_one_counts() {
    let subject = TokenFacts {
        subject: Some("x"),
        ..token()
    };
    for text in [
        "sub issuer=main sub=x until=1970-01-01\nsub issuer=main sub=\"x\"\n",
        "sub issuer=main sub=x\nsub issuer=main sub=x until=1970-01-01\n",
    ] {
        let list = parse(text).unwrap();
        assert!(list.denies_token(subject, at(9 * DAY)).is_some(), "{text}");
    }
}

/// A line, and words of the error: it is all that the operator gets.
const BROKEN: &[(&str, &str)] = &[
    (
        "banana x=1",
        "it begins with no kind of entry; write one of: certificate",
    ),
    ("jtis issuer=main jti=a", "did you mean `jti`?"),
    (
        "jti issuer=mian jti=a",
        "no [[issuer]] is named \"mian\"; did you mean `main`?",
    ),
    (
        "jti issuer=main",
        "jti needs jti; write jti issuer=NAME jti=...",
    ),
    ("jti jti=a", "jti needs issuer"),
    (
        "jti issuer=main jti=",
        "jti is empty; write a value after \"jti=\"",
    ),
    ("jti issuer=main jti=\"\"", "jti is empty"),
    ("jti issuer=main jti=a jti=b", "jti is written twice"),
    (
        "jti issuer=main sub=a",
        "jti has no \"sub\"; write jti issuer=NAME jti=...",
    ),
    ("jti issuer=main jti = a", "a word in it is no key=value"),
    ("jti issuer=main jti=a b", "a word in it is no key=value"),
    ("jti issuer=main jti=a#b", "put the value in quotes"),
    ("jti issuer=main jti=a\"b\"", "put the value in quotes"),
    ("jti issuer=main jti=a\\b", "put the value in quotes"),
    ("jti issuer=main jti=a\u{a0}b", "put the value in quotes"),
    (
        "jti issuer=main jti=\"a",
        "hold no string as JSON writes it",
    ),
    (
        "jti issuer=main jti=\"\\ud800\"",
        "hold no string as JSON writes it",
    ),
    ("jti issuer=main jti=\"a\"b", "put a space after the quote"),
    ("jti issuer=main jti=\"a\"#b", "put a space after the quote"),
    (
        "\u{feff}jti issuer=main jti=a",
        "a character that nobody can see",
    ),
    (
        "jti issuer=main jti=a\u{7}",
        "a character that nobody can see",
    ),
    (
        "jti issuer=main jti=a until=tomorrow",
        "until is no moment; write until=2026-01-31T12:00:00Z or 2026-01-31",
    ),
    (
        "jti issuer=main jti=a until=2026-02-30",
        "until is no moment",
    ),
    (
        "issued-before issuer=main time=2026-01-31",
        "time is no moment; write time=2026-01-31T12:00:00Z",
    ),
    (
        "issued-before issuer=main time=1969-12-31T00:00:00Z",
        "time is no moment",
    ),
    ("issued-before issuer=main", "issued-before needs time"),
    ("certificate", "certificate needs serial"),
    ("certificate sha256=abc", "sha256 has not 64 digits"),
    ("certificate sha256=xyz", "sha256 is no hex"),
    ("certificate serial=1f", "certificate needs issuer"),
    (
        "certificate serial=0x1f issuer=\"CN=a\"",
        "serial is no hex",
    ),
    ("certificate issuer=\"CN=a\"", "certificate needs serial"),
    (
        "certificate uri=a:b serial=1f issuer=x",
        "does not go with the other keys",
    ),
    (
        r#"certificate serial=1f issuer="O = \"Example, Inc.\", CN = Edge""#,
        "name the certificate by sha256=...",
    ),
    (
        r#"certificate serial=1f issuer="O = Caf\\C3\\A9""#,
        "name the certificate by sha256=...",
    ),
    ("certificate kid=a", "certificate has no \"kid\""),
    ("kid", "kid needs issuer"),
    ("Kid issuer=main kid=a", "did you mean `kid`?"),
];

#[test]
fn a_broken_rule_is_named_with_its_line_and_the_fix() {
    for (text, expected) in BROKEN {
        let text = format!("# first\n{text}\n");
        let error = parse(&text).map(drop).expect_err(&text);
        assert_eq!(error.line, 2, "{error}");
        let expected = expected.replace('`', "");
        assert!(
            error.to_string().replace('`', "").contains(&expected),
            "{error}"
        );
    }
    let latin = b"sub issuer=main sub=andr\xe9\n";
    let error = DenyList::parse(latin, &names()).unwrap_err();
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn an_error_does_not_repeat_what_the_list_says_of_people() {
    for text in [
        "hunter2-secret",
        "jti-secret=1",
        "-----BEGIN secret",
        "sub issuer=main sub=ada@secret.example until=x",
        "sub issuer=main sub=\"ada@secret.example",
        "sub issuer=main sub=ada@secret.example#",
        "jti issuer=main jti=ada@secret.example sub=ada@secret.example",
        "sub issuer=main sub=a ada@secret.example",
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn comments_blank_lines_tabs_and_crlf_are_no_entries() {
    let list = parse("\n \t\n#x\n  # y\r\n\tsub\tissuer=main\tsub=a\t#z\r\n\r\n").unwrap();
    assert_eq!(list.len(), 1);
    assert!(parse("# nobody").unwrap().is_empty());
}

#[test]
fn a_list_that_may_be_half_written_is_refused() {
    for (text, line, words) in [
        ("", 1, "the file is empty"),
        ("sub issuer=main sub=ada", 1, "it has no line end"),
        ("# nobody\nsub issuer=main sub=ada", 2, "it has no line end"),
        ("sub issuer=main sub=ada\n# nob", 2, "it has no line end"),
    ] {
        let error = DenyList::parse(text.as_bytes(), &names()).unwrap_err();
        assert_eq!(error.line, line, "{text:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.fix.contains("# nobody"), "{error}");
    }
    for text in ["\n", "# nobody\n", "# nobody\r\n"] {
        assert!(
            DenyList::parse(text.as_bytes(), &names())
                .unwrap()
                .is_empty()
        );
    }
}

#[test]
fn a_million_entries_are_read_in_seconds_and_found_at_once() {
    let mut text = String::new();
    for number in 0..1_000_000 {
        text.push_str(&format!(
            "jti issuer=main jti=5b7b4a52-6fcb-4ba3-9a3f-{number:012x}\n"
        ));
    }
    let began = std::time::Instant::now();
    let list = parse(&text).unwrap();
    println!("{} bytes in {:?}", text.len(), began.elapsed());
    assert_eq!(list.len(), 1_000_000);
    let last = format!("5b7b4a52-6fcb-4ba3-9a3f-{:012x}", 999_999);
    let token = TokenFacts {
        id: Some(&last),
        ..token()
    };
    assert_eq!(line(list.denies_token(token, at(0))), Some(1_000_000));
}

// === Properties ===

/// An entry as a test knows it.
#[derive(Clone, Debug)]
struct Written {
    kind: &'static str,
    value: String,
    until: Option<u64>,
}

impl Written {
    /// As the list writes it, everything in quotes.
    fn line(&self) -> String {
        let Self { kind, value, until } = self;
        let value = serde_json::to_string(value)
            .unwrap()
            .replace('\u{7f}', "\\u007f");
        let value: String = value
            .chars()
            .map(|c| {
                if c.is_control() || c == '\u{feff}' {
                    format!("\\u{:04x}", u32::from(c))
                } else {
                    c.to_string()
                }
            })
            .collect();
        let until = until.map_or_else(String::new, |until| {
            let time = time::OffsetDateTime::from_unix_timestamp(i64::try_from(until).unwrap());
            let format = &time::format_description::well_known::Rfc3339;
            format!(" until={}", time.unwrap().format(format).unwrap())
        });
        if *kind == "uri" {
            return format!("certificate uri={value}{until}");
        }
        format!("{kind} issuer=main {kind}={value}{until} # said so")
    }

    fn is_denied_by(&self, list: &DenyList, now: u64) -> bool {
        let text = Some(self.value.as_str());
        let token = match self.kind {
            "kid" => TokenFacts {
                kid: text,
                ..token()
            },
            "jti" => TokenFacts {
                id: text,
                ..token()
            },
            "sub" => TokenFacts {
                subject: text,
                ..token()
            },
            "sid" => TokenFacts {
                session: text,
                ..token()
            },
            _ => {
                let uri = [self.value.clone()];
                return list
                    .denies_certificate(certificate(&uri), at(now))
                    .is_some();
            }
        };
        list.denies_token(token, at(now)).is_some()
    }
}

fn written() -> impl Strategy<Value = Written> {
    let kind = prop::sample::select(vec!["kid", "jti", "sub", "sid", "uri"]);
    let until = prop::option::of(1_u64..100_000);
    (kind, "\\PC{1,12}|[a-z \"\\\\#=\t\n]{1,8}", until).prop_map(|(kind, value, until)| Written {
        kind,
        value,
        until,
    })
}

proptest! {
    /// What was written is denied until then, and nothing else that was not written.
    #[test]
    fn what_is_written_is_what_is_denied(
        entries in prop::collection::vec(written(), 1..20),
        other in written(),
        now in 0_u64..120_000,
    ) {
        let text: Vec<String> = entries.iter().map(Written::line).collect();
        let list = parse(&text.join("\n")).unwrap();
        prop_assert_eq!(list.len(), entries.len());
        for entry in entries.iter().chain([&other]) {
            let twin = |one: &&Written| (one.kind, &one.value) == (entry.kind, &entry.value);
            let expected = entries.iter().filter(twin).any(|one| one.until.is_none_or(|until| now < until));
            prop_assert_eq!(entry.is_denied_by(&list, now), expected, "{:?}", entry);
        }
    }

    #[test]
    fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(DenyList::parse(&text, &names()));
    }

    #[test]
    fn no_words_panic(text in "((certificate|jti|sub|until|time|issuer|main|=|\"|\\\\|#|[ \t\n]|\\PC){0,12})") {
        drop(parse(&text));
    }

    /// Half a list would be a list with holes.
    #[test]
    fn one_broken_line_refuses_the_whole_list(
        entries in prop::collection::vec(written(), 1..20),
        broken in prop::sample::select(vec!["x", "jti", "jti issuer=main jti=", "jti issuer=nobody jti=a", "sub issuer=main sub=a until=never", "\""]),
        place in any::<prop::sample::Index>(),
    ) {
        let mut text: Vec<String> = entries.iter().map(Written::line).collect();
        let place = place.index(text.len() + 1);
        text.insert(place, broken.to_owned());
        let error = parse(&text.join("\n")).map(drop).unwrap_err();
        prop_assert_eq!(error.line, place + 1);
    }
}
