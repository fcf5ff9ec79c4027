//! Attacks, and accidents, in what is rightly signed: every claim missing, empty, of another type,
//! or of a value that is not ours.

use serde_json::{Value, json};
use sidegate::model::Denial::{
    self, AudienceMismatch, ClaimsMalformed, ExpiryMissing, IssuerMismatch, IssuerNotForPeer,
    IssuerUnknown, LifetimeTooLong, SubjectMissing, TokenExpired, TokenIssuedInFuture,
    TokenNotYetValid,
};

use super::Table;
use super::world::HOST;

pub(super) fn add(table: &mut Table<'_>) {
    parties(table);
    times(table);
    subjects(table);
    documents(table);
    pairs(table);
}

/// A rightly signed Pomerium token with one claim set to `value`.
fn claim(table: &mut Table<'_>, denial: Denial, claim: &str, what: &str, value: Value) {
    let claims = table.world.pomerium_claims().claim(claim, value);
    let token = claims.sign(&table.world.pomerium).unwrap();
    table.token(denial, format!("{claim} is {what}"), &token);
}

fn missing(table: &mut Table<'_>, denial: Denial, claim: &str) {
    let claims = table.world.pomerium_claims().without(claim);
    let token = claims.sign(&table.world.pomerium).unwrap();
    table.token(denial, format!("{claim} is missing"), &token);
}

fn parties(table: &mut Table<'_>) {
    missing(table, IssuerMismatch, "iss");
    for (what, value) in [
        ("empty", json!("")),
        ("a slash too long", json!(format!("{HOST}/"))),
        ("a scheme too long", json!(format!("https://{HOST}"))),
        ("a letter too short", json!("app.example.co")),
        ("in capitals", json!("APP.EXAMPLE.COM")),
        ("with a dot at the end", json!(format!("{HOST}."))),
        ("with a blank", json!(format!(" {HOST}"))),
        ("with a NUL byte", json!(format!("{HOST}\u{0}"))),
        ("another issuer of ours", json!("https://id.example.com/")),
        ("a domain that ends alike", json!(format!("evil-{HOST}"))),
        ("a pattern", json!("*")),
    ] {
        claim(table, IssuerMismatch, "iss", what, value);
    }
    for (what, value) in [
        ("null", Value::Null),
        ("a number", json!(1)),
        ("an array", json!([HOST])),
        ("an object", json!({ "iss": HOST })),
    ] {
        claim(table, ClaimsMalformed, "iss", what, value);
    }

    missing(table, AudienceMismatch, "aud");
    for (what, value) in [
        ("empty", json!("")),
        ("an empty array", json!([])),
        ("an array of one empty name", json!([""])),
        ("another service", json!("other.example.com")),
        (
            "several other services",
            json!(["a.example.com", "b.example.com"]),
        ),
        ("a prefix", json!("app.example")),
        ("in capitals", json!("APP.EXAMPLE.COM")),
        ("a slash too long", json!(format!("{HOST}/"))),
        ("all names in one text", json!(format!("{HOST},other"))),
        ("two names with a blank", json!(format!("other {HOST}"))),
        ("a pattern", json!("*")),
    ] {
        claim(table, AudienceMismatch, "aud", what, value);
    }
    for (what, value) in [
        ("null", Value::Null),
        ("a number", json!(0)),
        ("true", json!(true)),
        ("an object", json!({ HOST: true })),
        ("an array with a number", json!([HOST, 1])),
        ("an array with null", json!([null, HOST])),
        ("an array in an array", json!([[HOST]])),
    ] {
        claim(table, ClaimsMalformed, "aud", what, value);
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a table: split up it would only be harder to read"
)]
fn times(table: &mut Table<'_>) {
    let now = table.world.now.unix();
    missing(table, ExpiryMissing, "exp");
    // `iat` goes along, so that the lifetime is not what is wrong.
    let past = |seconds: u64| json!(now - seconds);
    for (what, value) in [
        ("past, on the second behind the leeway", past(30)),
        ("an hour past", past(3600)),
        ("zero", json!(0)),
        ("a fraction above zero", json!(0.5)),
        ("negative zero", json!(-0.0)),
        ("in milliseconds of 1970", json!(1000)),
    ] {
        claim(table, TokenExpired, "exp", what, value);
    }
    for (what, value) in [
        ("a text", json!(format!("{}", now + 60))),
        ("null", Value::Null),
        ("true", json!(true)),
        ("an array", json!([now + 60])),
        ("an object", json!({})),
        ("negative", json!(-1)),
        ("below zero by a fraction", json!(-0.5)),
        ("1e30", json!(1e30)),
        ("the largest double", json!(f64::MAX)),
        ("2^64", json!(18_446_744_073_709_551_616.0)),
        ("2^64 - 1", json!(u64::MAX)),
        ("2^63 - 1", json!(i64::MAX)),
        ("-2^63", json!(i64::MIN)),
        ("the year 10000", json!(253_402_300_800_u64)),
        ("in milliseconds", json!(now * 1000)),
    ] {
        claim(table, ClaimsMalformed, "exp", what, value.clone());
        if what != "in milliseconds" {
            claim(table, ClaimsMalformed, "nbf", what, value.clone());
            claim(table, ClaimsMalformed, "iat", what, value);
        }
    }
    for text in [
        "1e999",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x7fffffff",
        "01",
        "1.",
        "+1",
        "1_000",
    ] {
        let payload = format!(r#"{{"iss":"{HOST}","aud":"{HOST}","sub":"u","exp":{text}}}"#);
        table.payload(ClaimsMalformed, format!("exp is spelled {text}"), payload);
    }
    for (what, ahead) in [("an hour ahead", 3600), ("two minutes ahead", 120)] {
        claim(table, TokenNotYetValid, "nbf", what, json!(now + ahead));
        claim(table, TokenIssuedInFuture, "iat", what, json!(now + ahead));
    }
    claim(
        table,
        TokenNotYetValid,
        "nbf",
        "the last second there is",
        json!(253_402_300_799_u64),
    );
    claim(
        table,
        LifetimeTooLong,
        "exp",
        "an hour and a second behind iat",
        json!(now + 3601),
    );
    claim(
        table,
        LifetimeTooLong,
        "exp",
        "in the year 9999",
        json!(253_402_300_799_u64),
    );
    claim(
        table,
        LifetimeTooLong,
        "iat",
        "two hours old, exp near",
        json!(now - 7200),
    );
    claim(table, LifetimeTooLong, "iat", "zero", json!(0));
    let undated = table
        .world
        .pomerium_claims()
        .without("iat")
        .claim("exp", now + 7200);
    let undated = undated.sign(&table.world.pomerium).unwrap();
    table.token(LifetimeTooLong, "exp is far and iat is missing", &undated);

    // An issuer without leeway.
    let pinned = |claims: sidegate::lab::TokenSpec| claims.sign(&table.world.pinned).unwrap();
    let claims = || table.world.pinned_claims();
    let rows = [
        (
            TokenExpired,
            "exp is now, without leeway",
            pinned(claims().claim("exp", now)),
        ),
        (
            TokenExpired,
            "exp is a second past, without leeway",
            pinned(claims().claim("exp", now - 1)),
        ),
        (
            TokenNotYetValid,
            "nbf is a minute ahead, without leeway",
            pinned(claims().claim("nbf", now + 60)),
        ),
        (
            LifetimeTooLong,
            "exp is 601 seconds behind iat",
            pinned(claims().claim("exp", now + 601)),
        ),
        (
            ClaimsMalformed,
            "sub is a number, where it may be empty",
            pinned(claims().claim("sub", 7)),
        ),
        (
            ClaimsMalformed,
            "sub is null, where it may be empty",
            pinned(claims().claim("sub", Value::Null)),
        ),
    ];
    for (denial, name, token) in rows {
        table.request(denial, name, &[("x-pinned-assertion", &token)]);
    }
}

fn subjects(table: &mut Table<'_>) {
    missing(table, SubjectMissing, "sub");
    // Pomerium signs this for whoever has no session.
    claim(table, SubjectMissing, "sub", "empty", json!(""));
    for (what, value) in [
        ("null", Value::Null),
        ("a number", json!(7)),
        ("false", json!(false)),
        ("an array", json!(["user-7"])),
        ("an object", json!({ "id": "user-7" })),
    ] {
        claim(table, ClaimsMalformed, "sub", what, value);
    }
    claim(table, ClaimsMalformed, "jti", "a number", json!(1));
    claim(table, ClaimsMalformed, "jti", "null", Value::Null);
    // A deny list names a session by its text.
    claim(table, ClaimsMalformed, "sid", "a number", json!(4711));
    claim(table, ClaimsMalformed, "sid", "a list", json!(["4711"]));
}

fn documents(table: &mut Table<'_>) {
    let good = table.world.pomerium_claims().payload();
    let open = &good[..good.len() - 1];
    let nested = format!(r#"{open},"x":{{"a":1,"a":1}}}}"#);
    let in_array = format!(r#"{open},"x":[{{"a":1,"a":1}}]}}"#);
    for (name, payload) in [
        ("no JSON", "hello".to_owned()),
        ("another token", table.world.good()),
        ("an array", format!("[{good}]")),
        ("a text", r#""user-7""#.to_owned()),
        ("null", "null".to_owned()),
        ("two objects", format!("{good}{good}")),
        ("cut short", open.to_owned()),
        ("followed by a NUL byte", format!("{good}\0")),
        ("behind a byte order mark", format!("\u{feff}{good}")),
        ("with exp twice", format!(r#"{open},"exp":9999999999}}"#)),
        ("with sub twice", format!(r#"{open},"sub":"admin"}}"#)),
        ("with iss twice", format!(r#"{open},"iss":"{HOST}"}}"#)),
        ("with aud twice", format!(r#"{open},"aud":"{HOST}"}}"#)),
        (
            "with sub twice, once escaped",
            format!(r#"{open},"s\u0075b":"admin"}}"#),
        ),
        (
            "with an unknown claim twice",
            format!(r#"{open},"x":1,"x":2}}"#),
        ),
        ("with a nested member twice", nested),
        ("with a member twice inside an array", in_array),
        (
            "nested 64 deep",
            format!(r#"{open},"x":{}{}}}"#, "[".repeat(64), "]".repeat(64)),
        ),
        (
            "nested 1500 deep",
            format!(r#"{open},"x":{}{}}}"#, "[".repeat(1500), "]".repeat(1500)),
        ),
        ("with half a surrogate", format!(r#"{open},"x":"\udfff"}}"#)),
        (
            "with a bare line feed in a text",
            format!("{open},\"x\":\"\n\"}}"),
        ),
        (
            "with a number beyond all numbers",
            format!(r#"{open},"x":1e400}}"#),
        ),
    ] {
        table.payload(ClaimsMalformed, format!("payload {name}"), payload);
    }
    let bad = [open.as_bytes(), b",\"x\":\"\xff\"}"].concat();
    table.payload(
        ClaimsMalformed,
        "payload with a byte that is not UTF-8",
        bad,
    );
    let bad = [open.as_bytes(), b",\"x\":\"\xc0\xaf\"}"].concat();
    table.payload(ClaimsMalformed, "payload with an overlong slash", bad);
    table.payload(IssuerMismatch, "payload {}", "{}");
}

/// Several issuers at one place, and a peer that may not bring a token.
#[expect(
    clippy::too_many_lines,
    reason = "a table: split up it would only be harder to read"
)]
fn pairs(table: &mut Table<'_>) {
    let world = table.world;
    let sign = |iss: Value| {
        let claims = world.partner_claims().claim("iss", iss);
        format!("Bearer {}", claims.sign(&world.partner).unwrap())
    };
    for (name, iss) in [
        ("nobody's", json!("https://attacker.example")),
        ("a slash too long", json!("https://partner.example.com/")),
        ("in capitals", json!("https://PARTNER.example.com")),
        ("that of an issuer at another place", json!(HOST)),
        ("empty", json!("")),
        ("a number", json!(2)),
        ("an array", json!(["https://partner.example.com"])),
    ] {
        let value = sign(iss);
        let name = format!("iss at a shared place is {name}");
        table.request(IssuerUnknown, name, &[("authorization", &value)]);
    }
    let without = world
        .partner_claims()
        .without("iss")
        .sign(&world.partner)
        .unwrap();
    let value = format!("Bearer {without}");
    table.request(
        IssuerUnknown,
        "iss at a shared place is missing",
        &[("authorization", &value)],
    );
    let payload = world.partner_claims().payload();
    let twice = format!(
        r#"{},"iss":"https://id.example.com/"}}"#,
        &payload[..payload.len() - 1]
    );
    let twice = world
        .partner
        .sign(&world.partner.header(), twice.as_bytes())
        .unwrap();
    let value = format!("Bearer {twice}");
    table.request(
        IssuerUnknown,
        "iss at a shared place stands twice",
        &[("authorization", &value)],
    );

    let good = world.foreign_claims().sign(&world.foreign).unwrap();
    let headers = [("x-foreign-assertion", good.as_str())];
    table.request(
        IssuerNotForPeer,
        "a good token that this peer may not bring",
        &headers,
    );
    let elsewhere = world.foreign_claims().sign(&world.foreign).unwrap();
    table.token(
        Denial::KeyUnknown,
        "a good token at another issuer's place",
        &elsewhere,
    );
    let expired = world.foreign_claims().claim("exp", world.now.unix() - 60);
    let expired = expired.sign(&world.foreign).unwrap();
    let headers = [("x-foreign-assertion", expired.as_str())];
    table.request(
        TokenExpired,
        "an expired token that this peer may not bring",
        &headers,
    );
}
