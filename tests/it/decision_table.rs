//! The decision table: every peer with every token on every request, through a live gate, against an
//! oracle that is written here a second time and as simply as it goes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};
use sidegate::deny::Answer;
use sidegate::lab::{Http, Line, TokenSpec, World, world};
use sidegate::model::Denial;

use crate::harness::counters::Refusals;
use crate::harness::{Town, bearer, request, seen_header};

/// A route as the oracle knows it, and its claims once more as the configuration says them.
struct Rule {
    path: &'static [&'static str],
    method: &'static [&'static str],
    host: &'static [&'static str],
    needs_token: bool,
    peers: &'static [&'static str],
    issuers: &'static [&'static str],
    scope: &'static [&'static str],
    claims: &'static str,
    holds: fn(&Value) -> bool,
}

const ANY: Rule = Rule {
    path: &["/"],
    method: &[],
    host: &[],
    needs_token: true,
    peers: &[],
    issuers: &[],
    scope: &[],
    claims: "",
    holds: |_| true,
};

fn has(claim: &Value, text: &str) -> bool {
    claim == text
        || claim
            .as_array()
            .is_some_and(|all| all.contains(&json!(text)))
}

fn rules() -> Vec<Rule> {
    vec![
        Rule {
            path: &["/healthz"],
            method: &["GET", "HEAD"],
            needs_token: false,
            ..ANY
        },
        Rule {
            path: &["/partnerz"],
            needs_token: false,
            peers: &["partner"],
            ..ANY
        },
        Rule {
            path: &["/admin/**"],
            claims: r#"groups = { any = ["admins", "root"], none = ["banned"] }"#,
            holds: |claims| {
                let groups = &claims["groups"];
                (has(groups, "admins") || has(groups, "root")) && !has(groups, "banned")
            },
            ..ANY
        },
        Rule {
            path: &["/items", "/items/*"],
            method: &["POST", "PUT"],
            scope: &["read", "write"],
            ..ANY
        },
        Rule {
            path: &["/items/**"],
            method: &["GET"],
            scope: &["read"],
            ..ANY
        },
        Rule {
            path: &["/level"],
            claims: "level = { min = 3, max = 9 }",
            holds: |claims| {
                claims["level"]
                    .as_f64()
                    .is_some_and(|n| (3.0..=9.0).contains(&n))
            },
            ..ANY
        },
        Rule {
            path: &["/deal/**"],
            peers: &["partner", "third"],
            issuers: &["partner"],
            ..ANY
        },
        Rule {
            path: &["/mail"],
            claims: r#"email = { pattern = "*@example.com" }"#,
            holds: |claims| {
                claims["email"]
                    .as_str()
                    .is_some_and(|mail| mail.ends_with("@example.com"))
            },
            ..ANY
        },
        Rule {
            path: &["/me"],
            host: &["app.example.com"],
            claims: "email_verified = { equals = true }",
            holds: |claims| claims["email_verified"] == true,
            ..ANY
        },
        Rule {
            path: &["/me"],
            host: &["*.example.com"],
            issuers: &["main", "other"],
            ..ANY
        },
        Rule {
            path: &["/roles/*/x"],
            claims: r#""/realm_access/roles" = { all = ["a", "b"] }"#,
            holds: |claims| {
                let roles = &claims["realm_access"]["roles"];
                has(roles, "a") && has(roles, "b")
            },
            ..ANY
        },
        Rule {
            path: &["/org"],
            claims: "org = { present = false }",
            holds: |claims| claims["org"].is_null(),
            ..ANY
        },
        Rule {
            path: &["/public/**", "/"],
            ..ANY
        },
    ]
}

/// Whose tokens each peer may bring.
const PEERS: [(&str, &[&str]); 3] = [
    ("front", &["main", "other"]),
    ("partner", &["partner"]),
    ("third", &["main", "partner", "other"]),
];

const ISSUERS: [&str; 3] = ["main", "partner", "other"];

const REQUESTS: [(&str, &str, &str); 30] = [
    ("GET", "app.example.com", "/"),
    ("GET", "app.example.com", "/healthz"),
    ("HEAD", "app.example.com", "/healthz"),
    ("POST", "app.example.com", "/healthz"),
    ("GET", "app.example.com", "/healthz/"),
    ("GET", "app.example.com", "/partnerz"),
    ("GET", "app.example.com", "/admin"),
    ("GET", "app.example.com", "/admin/"),
    ("DELETE", "app.example.com", "/admin/users/7"),
    ("GET", "app.example.com", "/admin2"),
    ("GET", "app.example.com", "/Admin"),
    ("POST", "app.example.com", "/items"),
    ("PUT", "app.example.com", "/items/7"),
    ("PUT", "app.example.com", "/items/7/parts"),
    ("GET", "app.example.com", "/items/7/parts"),
    ("GET", "app.example.com", "/items?x=/admin"),
    ("GET", "app.example.com", "/level"),
    ("GET", "app.example.com", "/deal/1"),
    ("GET", "app.example.com", "/mail"),
    ("GET", "app.example.com", "/me"),
    ("GET", "APP.example.com:8443", "/me"),
    ("GET", "other.example.com", "/me"),
    ("GET", "a.b.example.com", "/me"),
    ("GET", "example.com", "/me"),
    ("GET", "app.example.com", "/roles/q/x"),
    ("GET", "app.example.com", "/roles/q/y"),
    ("GET", "app.example.com", "/roles/q/r/x"),
    ("GET", "app.example.com", "/org"),
    ("GET", "app.example.com", "/public/deep/down"),
    ("PATCH", "legacy.test", "/public"),
];

fn claim_sets() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "groups": ["users", "admins"], "scope": "read write", "level": 5, "org": "x" }),
        json!({ "groups": ["users"], "scp": ["read"], "level": 2, "email_verified": true,
                "realm_access": { "roles": ["b", "c", "a"] } }),
        json!({ "groups": "admins", "scope": ["write", "read"], "email": "x@example.com", "level": 9 }),
        json!({ "groups": ["admins", "banned"], "scp": "read", "level": 9.5,
                "email": "x@example.com.evil", "realm_access": { "roles": ["a"] } }),
        json!({ "groups": "users,admins", "scope": "read,write", "level": "5", "org": null,
                "email_verified": "true", "email": ["x"], "realm_access": ["a", "b"] }),
        json!({ "groups": { "admins": true }, "scope": { "read": 1 }, "email": "x@EXAMPLE.com",
                "groups2": ["root"] }),
    ]
}

// === The oracle ===

fn path_fits(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        (["**"], _) | ([], []) => true,
        (["*", pattern @ ..], [segment, path @ ..]) => {
            !segment.is_empty() && path_fits(pattern, path)
        }
        ([wanted, pattern @ ..], [segment, path @ ..]) => {
            wanted == segment && path_fits(pattern, path)
        }
        _ => false,
    }
}

fn host_fits(pattern: &str, host: &str) -> bool {
    let host = host.to_lowercase();
    let host = host.split(':').next().unwrap();
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => pattern == host,
    }
}

fn scopes(claims: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["scope", "scp"] {
        match &claims[name] {
            Value::String(text) => all.extend(text.split(' ').map(str::to_owned)),
            Value::Array(list) => {
                all.extend(list.iter().map(|one| one.as_str().unwrap().to_owned()))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        }
    }
    all
}

/// What a gate with these rules has to say.
fn oracle(
    rules: &[Rule],
    (peer, brings): (&str, &[&str]),
    token: Option<(&str, &Value)>,
    (method, host, path): (&str, &str, &str),
) -> Option<Denial> {
    let path: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
    let rule = rules.iter().find(|rule| {
        let fits = |pattern: &&str| path_fits(&pattern.split('/').collect::<Vec<_>>(), &path);
        rule.path.iter().any(fits)
            && (rule.method.is_empty() || rule.method.contains(&method))
            && (rule.host.is_empty() || rule.host.iter().any(|one| host_fits(one, host)))
    });
    let Some(rule) = rule else {
        return Some(Denial::RouteUnmatched);
    };
    let peer_fits = rule.peers.is_empty() || rule.peers.contains(&peer);
    if !rule.needs_token {
        return (!peer_fits).then_some(Denial::RoutePeerRefused);
    }
    let Some((issuer, claims)) = token else {
        return Some(Denial::TokenMissing);
    };
    if !brings.contains(&issuer) {
        return Some(Denial::IssuerNotForPeer);
    }
    if !peer_fits {
        return Some(Denial::RoutePeerRefused);
    }
    if !rule.issuers.is_empty() && !rule.issuers.contains(&issuer) {
        return Some(Denial::RouteIssuerRefused);
    }
    let granted = scopes(claims);
    if !rule
        .scope
        .iter()
        .all(|scope| granted.iter().any(|one| one == scope))
    {
        return Some(Denial::ScopeMissing);
    }
    (!(rule.holds)(claims)).then_some(Denial::ClaimUnmet)
}

// === The gate ===

fn config(base: &str) -> String {
    let (before, rest) = base.split_once("[[peer]]").unwrap();
    let (_, after) = rest.split_once("[upstream]").unwrap();
    let mut text = before.to_owned();
    let uris = [
        world::FRONT,
        world::PARTNER,
        "spiffe://test.example/stranger",
    ];
    for ((name, issuers), uri) in PEERS.iter().zip(uris) {
        writeln!(
            text,
            "[[peer]]\nname = {name:?}\nuri = {uri:?}\nissuers = {issuers:?}"
        )
        .unwrap();
    }
    for (name, algorithm, keys) in [
        ("main", "ES256", "jwks.json"),
        ("partner", "EdDSA", "partner-jwks.json"),
        ("other", "RS256", "jwks.json"),
    ] {
        writeln!(
            text,
            "[[issuer]]\nname = {name:?}\nissuer = \"https://{name}.test\"\naudience = \"table\"\n\
             algorithms = {algorithm:?}\nkeys = {{ file = {keys:?} }}\nheader = \"X-{name}-Token\""
        )
        .unwrap();
    }
    for rule in rules() {
        writeln!(text, "[[route]]\npath = {:?}", rule.path).unwrap();
        for (key, list) in [
            ("method", rule.method),
            ("host", rule.host),
            ("peers", rule.peers),
            ("issuers", rule.issuers),
            ("scope", rule.scope),
        ] {
            if !list.is_empty() {
                writeln!(text, "{key} = {list:?}").unwrap();
            }
        }
        if !rule.needs_token {
            text.push_str("require = \"peer\"\n");
        }
        if !rule.claims.is_empty() {
            writeln!(text, "claims = {{ {} }}", rule.claims).unwrap();
        }
    }
    format!("{text}[upstream]{after}")
}

fn token(world: &World, issuer: &str, claims: &Value) -> String {
    let key = match issuer {
        "main" => &world.key,
        "partner" => &world.partner_key,
        _ => &world.next_key,
    };
    let mut spec = TokenSpec::new(&format!("https://{issuer}.test"), "table", "ada", world.now);
    for (name, value) in claims.as_object().unwrap() {
        spec = spec.claim(name, value.clone());
    }
    spec.sign(key).unwrap()
}

/// No token, and every token of every issuer.
fn tokens(world: &World) -> Vec<Option<Token>> {
    let mut tokens = vec![None];
    for issuer in ISSUERS {
        for claims in claim_sets() {
            let text = token(world, issuer, &claims);
            tokens.push(Some((issuer, claims, text)));
        }
    }
    tokens
}

/// A token as it is sent: its issuer, what it claims beyond the usual, and its text.
type Token = (&'static str, Value, String);

/// Sends one row, and says whether the gate answered and counted as `expected`.
async fn is_answered_so(
    (town, refusals): (&Town, &mut Refusals),
    line: &mut Line,
    token: Option<&Token>,
    (method, host, path): (&str, &str, &str),
    expected: Option<Denial>,
) -> bool {
    let mut fields = vec![("host", host)];
    let header = token.map(|(issuer, ..)| format!("x-{issuer}-token"));
    if let (Some(name), Some((.., text))) = (&header, token) {
        fields.push((name, text));
    }
    let served = town.echo.served();
    let answer = line.send(request(method, path, &fields, "")).await.unwrap();
    let served = town.echo.served() - served;
    let counted = refusals.new_ones(&town.gate.metrics);
    let challenge = answer.headers().get("www-authenticate");
    let challenge = challenge.map(|value| value.to_str().unwrap());
    match expected {
        None => answer.status() == 200 && served == 1 && counted.is_empty(),
        Some(denial) => {
            let told = Answer::to(denial);
            (answer.status(), challenge) == (told.status, told.challenge)
                && served == 0
                && counted == [denial.code()]
        }
    }
}

#[tokio::test]
async fn the_decision_is_the_oracles_in_every_row() {
    let town = Town::with(|base| config(&base)).await;
    let rules = rules();
    let tokens = tokens(&town.world);
    let certificates = [&town.world.front, &town.world.partner, &town.world.stranger];
    let mut wrong = String::new();
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refusals = Refusals::watch(&town.gate.metrics);
    for (peer, certificate) in PEERS.into_iter().zip(certificates) {
        let caller = town.caller(Some(certificate), Http::One);
        let mut line = caller.open(town.gate.address).await.unwrap();
        for token in &tokens {
            let claimed = token.as_ref().map(|(issuer, claims, _)| (*issuer, claims));
            for asked in REQUESTS {
                let expected = oracle(&rules, peer, claimed, asked);
                let code = expected.map_or("allowed", Denial::code);
                *rows.entry(code).or_default() += 1;
                let at = (&town, &mut refusals);
                if !is_answered_so(at, &mut line, token.as_ref(), asked, expected).await {
                    writeln!(wrong, "{} {claimed:?} {asked:?}: not {code}", peer.0).unwrap();
                }
            }
        }
    }
    println!("rows: {rows:?}");
    assert_eq!(wrong, "");
    // A table in which one answer never comes would not show that answer.
    for denial in [
        Denial::RouteUnmatched,
        Denial::TokenMissing,
        Denial::IssuerNotForPeer,
        Denial::RoutePeerRefused,
        Denial::RouteIssuerRefused,
        Denial::ScopeMissing,
        Denial::ClaimUnmet,
    ] {
        assert!(rows[denial.code()] >= 10, "{denial:?}: {rows:?}");
    }
    assert!(rows["allowed"] >= 100, "{rows:?}");
    assert!(rows.values().sum::<usize>() >= 300, "{rows:?}");
}

#[tokio::test]
async fn a_route_without_a_token_tells_the_service_nothing_of_anybody() {
    let routes = "\n[[route]]\npath = \"/healthz\"\nrequire = \"peer\"\n";
    let town = Town::with(|base| base + routes).await;
    let pass = bearer(&town.token());
    let fields = [("authorization", &*pass), ("x-auth-subject", "root")];
    for http in [Http::One, Http::Two] {
        let front = town.front(http);
        let call = front.call(town.gate.address, request("GET", "/healthz", &fields, ""));
        let answer = call.await.unwrap();
        assert_eq!(answer.status(), 200);
        for name in [
            "x-auth-subject",
            "x-auth-email",
            "x-auth-groups",
            "authorization",
        ] {
            assert!(seen_header(&answer, name).is_empty(), "{name}");
        }
    }
}
