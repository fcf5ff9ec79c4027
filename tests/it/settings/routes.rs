//! `[[route]]` and `[paths]` from outside: what is refused, what is warned of, and what they become.

use sidegate::settings::{PathSettings, Requirement, Settings};

use super::broken_routes::ROWS;
use super::{BASE, edited, read, said, starts};

/// [`BASE`] with more at its end.
fn with(more: &str) -> String {
    format!("{BASE}\n{more}\n")
}

fn routes(more: &str) -> Settings {
    starts(&with(more)).0
}

#[test]
fn every_broken_route_is_refused_in_these_words() {
    assert!(ROWS.len() >= 40);
    for (more, expected) in ROWS {
        let Err(error) = read(&edited("", more)) else {
            panic!("this starts: {more:?}");
        };
        assert_eq!(said(&error), *expected, "{more:?}");
        for problem in &error.problems {
            assert!(
                problem.line.is_some() && !problem.fix.is_empty(),
                "{problem}"
            );
        }
    }
}

#[test]
fn a_route_asks_for_a_token_and_is_named_by_its_place_unless_it_says_otherwise() {
    let settings = routes(
        "[[route]]\npath = \"/a\"\n[[route]]\nname = \"b\"\npath = \"/b\"\nrequire = \"peer\"",
    );
    let [first, second] = &settings.routes[..] else {
        panic!("{:?}", settings.routes);
    };
    assert_eq!(
        (&*first.name, first.require),
        ("route[0]", Requirement::Token)
    );
    assert_eq!((&*second.name, second.require), ("b", Requirement::Peer));
}

#[test]
fn paths_are_left_alone_only_where_nothing_is_decided_by_them() {
    let route = "[[route]]\npath = \"/a\"\n";
    for (more, paths) in [
        ("", PathSettings::Untouched),
        ("[paths]\n", PathSettings::Untouched),
        (route, PathSettings::Refuse),
        ("[paths]\nambiguous = \"refuse\"", PathSettings::Refuse),
        (
            "[paths]\nambiguous = \"normalise\"",
            PathSettings::Normalise,
        ),
        (
            &format!("{route}[paths]\nambiguous = \"normalise\""),
            PathSettings::Normalise,
        ),
    ] {
        assert_eq!(routes(more).paths, paths, "{more}");
    }
}

#[test]
fn a_route_that_is_never_reached_is_named_with_the_one_that_takes_it_all() {
    for (earlier, later, is_shadowed) in [
        ("path = \"/**\"", "path = \"/a\"", true),
        (
            "path = \"/a/**\"",
            "path = [\"/a\", \"/a/\", \"/a/*/c\"]",
            true,
        ),
        ("path = \"/*\"", "path = \"/a\"", true),
        ("path = \"/*\"", "path = \"/\"", false),
        ("path = \"/a/**\"", "path = [\"/a\", \"/b\"]", false),
        ("path = \"/a\"", "path = \"/a/\"", false),
        ("path = \"/a\"", "path = \"/*\"", false),
        (
            "path = \"/a\"\nmethod = \"GET\"",
            "path = \"/a\"\nmethod = \"GET\"",
            true,
        ),
        ("path = \"/a\"\nmethod = \"GET\"", "path = \"/a\"", false),
        (
            "path = \"/a\"\nhost = \"*.example.com\"",
            "path = \"/a\"\nhost = [\"x.example.com\", \"*.example.com\"]",
            true,
        ),
        (
            "path = \"/a\"\nhost = \"*.example.com\"",
            "path = \"/a\"\nhost = \"example.com\"",
            false,
        ),
    ] {
        let more = format!("[[route]]\n{earlier}\n[[route]]\n{later}");
        let (_, warnings) = starts(&with(&more));
        let told: Vec<String> = warnings
            .iter()
            .map(|warning| warning.text.clone())
            .collect();
        let text = "is never reached: \"route[0]\" takes every request of it";
        let expected: &[&str] = if is_shadowed { &[text] } else { &[] };
        assert_eq!(told, expected, "{more}");
    }
}

#[test]
fn ten_thousand_routes_start_and_the_one_that_is_hidden_among_them_is_found() {
    let mut more: String = (0..10_000)
        .map(|number| format!("[[route]]\npath = \"/api/v{number}/items/**\"\n"))
        .collect();
    more.push_str("[[route]]\npath = [\"/api/v7/items/x\", \"/api/v9999/items\"]\n");
    let (settings, warnings) = starts(&with(&more));
    assert_eq!(settings.routes.len(), 10_001);
    let told: Vec<&str> = warnings.iter().map(|warning| &*warning.text).collect();
    assert_eq!(
        told,
        ["is never reached: \"route[7]\" takes every request of it"]
    );
}

#[test]
fn a_route_for_tokens_that_none_of_its_peers_may_bring_is_a_warning() {
    let partner = "[[issuer]]\nname = \"partner\"\nissuer = \"p\"\naudience = \"api\"\n\
                   header = \"X-P\"\nkeys = { file = \"p.json\" }\n";
    let route = "[[route]]\npath = \"/a\"\nissuers = ";
    for (issuers, keys) in [
        ("[\"partner\"]", &["route[0].issuers"][..]),
        ("[\"partner\", \"idp\"]", &[]),
    ] {
        let (_, warnings) = starts(&with(&format!("{partner}{route}{issuers}")));
        let told: Vec<&str> = warnings.iter().map(|warning| &*warning.key).collect();
        assert_eq!(told, keys, "{issuers}");
    }
}

#[test]
fn a_route_that_asks_nothing_of_anybody_is_a_warning() {
    let open = "[[route]]\npath = \"/**\"\nrequire = \"peer\"";
    let (_, warnings) = starts(&with(open));
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}");
    };
    assert_eq!(warning.key, "route[0].require");
    let (_, warnings) = starts(&with("[[route]]\npath = \"/healthz\"\nrequire = \"peer\""));
    assert_eq!(warnings, []);
}
