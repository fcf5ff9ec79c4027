//! Tokens that are bound to a certificate (RFC 8705): worth something to its holder alone.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sidegate::lab::{Caller, Http, Issued, Leaf};

use crate::harness::{Town, bearer, get};

fn thumbprint(certificate: &Issued) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificate.der))
}

fn bound_to(town: &Town, cnf: Value) -> String {
    let claims = town.world.token().claim("cnf", cnf);
    bearer(&claims.sign(&town.world.key).unwrap())
}

async fn call(town: &Town, caller: &Caller, fields: &[(&str, &str)]) -> u16 {
    let answer = caller.call(town.gate.address, get("/", fields)).await;
    let answer = answer.unwrap();
    if answer.status() == 401 {
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
        assert_eq!(challenge, "Bearer error=\"invalid_token\"");
    }
    answer.status().as_u16()
}

/// Both peers may bring tokens of `main`.
fn shared(config: String) -> String {
    config.replacen(
        "issuers = [\"partner\"]",
        "issuers = [\"partner\", \"main\"]",
        1,
    )
}

#[tokio::test]
async fn a_stolen_bound_token_is_worth_nothing_to_another_peer() {
    let town = Town::with(shared).await;
    let (front, partner) = (&town.world.front, &town.world.partner);
    let token = bound_to(&town, json!({ "x5t#S256": thumbprint(front) }));
    let fields = [("authorization", &*token)];
    for http in [Http::One, Http::Two] {
        // Twice each: a verdict that is remembered is nobody's licence.
        for _ in 0..2 {
            assert_eq!(call(&town, &town.front(http), &fields).await, 200);
            let thief = town.caller(Some(partner), http);
            assert_eq!(call(&town, &thief, &fields).await, 401);
        }
    }
    assert_eq!(town.refused("sender_mismatch"), 4);
    // An unbound one is for both.
    let free = bearer(&town.token());
    let thief = town.caller(Some(partner), Http::Two);
    assert_eq!(call(&town, &thief, &[("authorization", &free)]).await, 200);
}

#[tokio::test]
async fn a_binding_that_cannot_be_checked_is_refused() {
    let town = Town::start().await;
    let good = thumbprint(&town.world.front);
    let in_hex = digest(&SHA256, &town.world.front.der);
    let in_hex: String = in_hex.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let padded = format!("{good}=");
    for (cnf, reason) in [
        (
            json!({ "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" }),
            "sender_unsupported",
        ),
        (
            json!({ "x5t#S256": good, "jkt": "0ZcOCORZNYy" }),
            "sender_unsupported",
        ),
        (json!({ "x5t": good }), "sender_unsupported"),
        (json!({}), "sender_unsupported"),
        (json!({ "X5T#S256": good }), "sender_unsupported"),
        (json!({ "x5t#S256": padded }), "sender_mismatch"),
        (json!({ "x5t#S256": in_hex }), "sender_mismatch"),
        (json!({ "x5t#S256": good[..42] }), "sender_mismatch"),
        (json!({ "x5t#S256": "" }), "sender_mismatch"),
        (json!({ "x5t#S256": 7 }), "claims_malformed"),
        (json!({ "x5t#S256": [good] }), "claims_malformed"),
        (json!(null), "claims_malformed"),
        (json!(good), "claims_malformed"),
    ] {
        let before = town.refused(reason);
        let token = bound_to(&town, cnf.clone());
        let fields = [("authorization", &*token)];
        assert_eq!(
            call(&town, &town.front(Http::One), &fields).await,
            401,
            "{cnf}"
        );
        assert_eq!(town.refused(reason), before + 1, "{cnf}");
    }
    assert_eq!(town.echo.served(), 0);
}

#[tokio::test]
async fn where_binding_is_required_a_free_token_is_refused() {
    let town = Town::with(|config| {
        let name = "name = \"main\"\n";
        config.replacen(
            name,
            &format!("{name}sender_constrained = \"required\"\n"),
            1,
        )
    })
    .await;
    let free = bearer(&town.token());
    let front = town.front(Http::Two);
    assert_eq!(call(&town, &front, &[("authorization", &free)]).await, 401);
    assert_eq!(town.refused("sender_missing"), 1);
    let bound = bound_to(&town, json!({ "x5t#S256": thumbprint(&town.world.front) }));
    assert_eq!(call(&town, &front, &[("authorization", &bound)]).await, 200);
}

// === A certificate that the peer hands over ===

/// The peer `front` hands over its client's certificate.
async fn handing_over(how: &str) -> (Town, Issued) {
    let town = Town::with(|config| {
        let issuers = "issuers = [\"main\"]\n";
        shared(config.replacen(issuers, &format!("{issuers}{how}\n"), 1))
    })
    .await;
    let client = Leaf::client("spiffe://test.example/browser");
    let client = town.world.ca.issue(&client).unwrap();
    (town, client)
}

fn client_cert(certificate: &Issued) -> String {
    format!(":{}:", STANDARD.encode(&certificate.der))
}

fn xfcc(certificate: &Issued) -> String {
    let hash = digest(&SHA256, &certificate.der);
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    format!("By=spiffe://test.example/front;Hash={hash};Subject=\"CN=a, b\";URI=spiffe://a/b")
}

#[tokio::test]
async fn a_bound_token_passes_with_the_certificate_that_a_named_peer_hands_over() {
    for (how, name) in [
        ("hands_over = \"client-cert\"", "client-cert"),
        ("hands_over = \"xfcc\"", "x-forwarded-client-cert"),
    ] {
        let (town, client) = handing_over(how).await;
        let write = |certificate: &Issued| match name {
            "client-cert" => client_cert(certificate),
            _ => xfcc(certificate),
        };
        let token = bound_to(&town, json!({ "x5t#S256": thumbprint(&client) }));
        let token = ("authorization", &*token);
        let front = town.front(Http::Two);
        let right = write(&client);
        assert_eq!(
            call(&town, &front, &[token, (name, &right)]).await,
            200,
            "{how}"
        );
        let wrong = write(&town.world.partner);
        assert_eq!(
            call(&town, &front, &[token, (name, &wrong)]).await,
            401,
            "{how}"
        );
        assert_eq!(town.refused("sender_mismatch"), 1);
        // Nothing was handed over: then there is no sender.
        assert_eq!(call(&town, &front, &[token]).await, 401, "{how}");
        let twin = name.replace('-', "_");
        assert_eq!(
            call(&town, &front, &[token, (&twin, &right)]).await,
            401,
            "{how}"
        );
        assert_eq!(town.refused("sender_missing"), 2);
        // The proxy's own certificate is not its client's.
        let own = bound_to(&town, json!({ "x5t#S256": thumbprint(&town.world.front) }));
        assert_eq!(call(&town, &front, &[("authorization", &own)]).await, 401);
        assert_eq!(town.refused("sender_missing"), 3);
        // A token that is bound to nobody needs none.
        let free = bearer(&town.token());
        assert_eq!(call(&town, &front, &[("authorization", &free)]).await, 200);
        // From a peer that is not named for it, the field says nothing.
        let other = town.caller(Some(&town.world.partner), Http::Two);
        assert_eq!(
            call(&town, &other, &[token, (name, &right)]).await,
            401,
            "{how}"
        );
        assert_eq!(town.refused("sender_mismatch"), 2);
    }
}

#[tokio::test]
async fn what_is_handed_over_never_reaches_the_service() {
    for how in ["hands_over = \"client-cert\"", "hands_over = \"xfcc\""] {
        let (town, client) = handing_over(how).await;
        let token = bearer(&town.token());
        let (one, other) = (client_cert(&client), xfcc(&client));
        let fields = [
            ("authorization", &*token),
            ("client-cert", &*one),
            ("x-forwarded-client-cert", &*other),
        ];
        let front = town.front(Http::One);
        let answer = front.call(town.gate.address, get("/", &fields)).await;
        let text = crate::harness::seen(&answer.unwrap())["headers"].to_string();
        assert!(!text.contains("client-cert"), "{text}");
    }
}

#[tokio::test]
async fn a_handed_over_certificate_that_has_two_readings_is_refused() {
    let (town, client) = handing_over("hands_over = \"client-cert\"").await;
    let token = bound_to(&town, json!({ "x5t#S256": thumbprint(&client) }));
    let free = bearer(&town.token());
    let good = client_cert(&client);
    let own = STANDARD.encode(&client.der);
    for http in [Http::One, Http::Two] {
        let front = town.front(http);
        for fields in [
            vec![good.as_str(), good.as_str()],
            vec![&format!("{good}, {good}")],
            vec![&format!("{good};a=1")],
            vec![&own],
            vec![":AAAA:"],
            vec![""],
        ] {
            for token in [&token, &free] {
                let mut all = vec![("authorization", token.as_str())];
                all.extend(fields.iter().map(|field| ("client-cert", *field)));
                assert_eq!(call(&town, &front, &all).await, 400, "{fields:?}");
            }
        }
    }
    assert_eq!(town.refused("client_cert_malformed"), 24);
    assert_eq!(town.echo.served(), 0);
}

#[tokio::test]
async fn which_of_several_hops_counts_is_said() {
    let hops = |certificates: [&Issued; 2]| certificates.map(xfcc).join(",");
    for (how, statuses) in [
        ("hands_over = \"xfcc\"", [400, 400]),
        (
            "hands_over = \"xfcc\"\nxfcc_element = \"first\"",
            [200, 401],
        ),
        ("hands_over = \"xfcc\"\nxfcc_element = \"last\"", [401, 200]),
    ] {
        let (town, client) = handing_over(how).await;
        let token = bound_to(&town, json!({ "x5t#S256": thumbprint(&client) }));
        let other = &town.world.partner;
        let front = town.front(Http::Two);
        for (certificates, status) in [[&client, other], [other, &client]]
            .into_iter()
            .zip(statuses)
        {
            let value = hops(certificates);
            let fields = [
                ("authorization", &*token),
                ("x-forwarded-client-cert", &*value),
            ];
            assert_eq!(call(&town, &front, &fields).await, status, "{how}");
        }
        // A name that looks like another hop, inside of a quoted value.
        let inside = xfcc(&client).replace("CN=a, b", "CN=a,Hash=00\\\"");
        let fields = [
            ("authorization", &*token),
            ("x-forwarded-client-cert", &*inside),
        ];
        assert_eq!(call(&town, &front, &fields).await, 200, "{how}");
    }
}
