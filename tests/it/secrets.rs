//! What never leaves: tokens, keys and what nobody has verified, at any log level, on any page.

use sidegate::lab::{Echo, Http, World};

use crate::harness::process::Gate;
use crate::harness::{ANY, bearer, eventually, eventually_so, get};

#[tokio::test]
async fn no_token_and_no_unverified_claim_is_logged_at_any_level() {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let more = "[log]\nlevel = \"trace\"\nformat = \"json\"\n";
    let gate = Gate::start(&echo.address.to_string(), more).await;
    let tokens = tokens(&gate.world);
    for http in [Http::One, Http::Two] {
        for token in &tokens {
            let fields = [
                ("authorization", &*bearer(token)),
                ("cookie", "session=cookie-secret"),
                ("x-auth-subject", "spoofed-subject"),
                ("x-request-id", "the-request-id"),
            ];
            let call = get("/path?access_token=query-secret", &fields);
            gate.front(http)
                .call(crate::harness::local(gate.port), call)
                .await
                .unwrap();
        }
    }
    eventually("all decisions are written", || {
        gate.log().matches("the-request-id").count() >= 8
    })
    .await;
    let log = gate.log();
    let pages = async {
        let mut text = String::new();
        for path in ["/metrics", "/status", "/readyz", "/"] {
            text.push_str(&String::from_utf8_lossy(&gate.ask(path).await.body));
        }
        text
    };
    let told = log.clone() + &pages.await;
    let mut secrets: Vec<&str> = tokens.iter().flat_map(|token| token.split('.')).collect();
    secrets.extend([
        "forged-subject",
        "forged-claim",
        "forged-kid",
        "stranger-subject",
        "spoofed-subject",
        "cookie-secret",
        "query-secret",
        "PRIVATE KEY",
    ]);
    for secret in secrets {
        assert!(!told.contains(secret), "{secret} was told");
    }
    // What was verified is told, or the log would be of no use.
    for word in [
        "\"subject\":\"ada\"",
        "\"kid\":\"current\"",
        "\"peer\":\"front\"",
        "token_expired",
    ] {
        assert!(log.contains(word), "{word} is missing");
    }
}

/// One good token, and three that are refused: signed by somebody else under an unknown and under a
/// foreign key's name, and expired. The bad ones are full of words that must not be repeated.
fn tokens(world: &World) -> [String; 4] {
    let good = world.token().sign(&world.key).unwrap();
    let forged = world
        .token()
        .claim("sub", "forged-subject")
        .claim("kid", "forged-claim");
    let header = r#"{"alg":"ES256","kid":"forged-kid"}"#;
    let forged = world
        .partner_key
        .sign(header, forged.payload().as_bytes())
        .unwrap();
    let foreign = world
        .token()
        .claim("sub", "stranger-subject")
        .sign(&world.partner_key)
        .unwrap();
    let expired = world.token().claim("exp", 1).sign(&world.key).unwrap();
    [good, forged, foreign, expired]
}

#[tokio::test]
async fn every_decision_is_one_line_of_json_with_its_reason() {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let more = "[log]\nlevel = \"info\"\nformat = \"json\"\n";
    let gate = Gate::start(&echo.address.to_string(), more).await;
    let address = crate::harness::local(gate.port);
    let token = gate.pass();
    for fields in [&[("authorization", &*token)][..], &[]] {
        gate.front(Http::One)
            .call(address, get("/some/path", fields))
            .await
            .unwrap();
    }
    let lines = || -> Vec<serde_json::Value> {
        let log = gate.log();
        let parsed = log.lines().map(|line| serde_json::from_str(line).unwrap());
        parsed
            .filter(|line: &serde_json::Value| line["path"].is_string())
            .collect()
    };
    eventually("both lines", || lines().len() == 2).await;
    let lines = lines();
    let (allowed, refused) = (&lines[0], &lines[1]);
    assert_eq!(
        (&allowed["decision"], &allowed["status"]),
        (&"allowed".into(), &200.into())
    );
    assert_eq!(allowed["issuer"], "main");
    assert_eq!(refused["reason"], "token_missing");
    assert_eq!(
        (&refused["stage"], &refused["status"]),
        (&"token".into(), &401.into())
    );
    for line in [allowed, refused] {
        assert_eq!(
            (&line["peer"], &line["path"]),
            (&"front".into(), &"/some/path".into())
        );
        assert!(
            line["request_id"].is_string() && line["duration_us"].is_u64(),
            "{line}"
        );
    }
}

/// A path that leads to no file is perhaps the secret itself.
#[tokio::test]
async fn a_secret_in_the_place_of_its_path_is_never_told() {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let more = "[log]\nlevel = \"trace\"\nformat = \"json\"\n";
    let gate = Gate::start(&echo.address.to_string(), more).await;
    let config = gate.world.folder.join("sidegate.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text
        .replacen("{ file = \"jwks.json\" }", "{ secret = \"hunter2\" }", 1)
        .replacen("[\"ES256\", \"RS256\"]", "[\"HS256\"]", 1);
    gate.world.write("sidegate.toml", &text).unwrap();
    let named = "the file that keys.secret names";
    eventually_so("the reload says so", async || {
        let page = gate.ask("/status").await.body;
        String::from_utf8_lossy(&page).contains(named)
    })
    .await;
    let pages = [gate.ask("/status").await, gate.ask("/metrics").await];
    let pages = pages.map(|page| String::from_utf8(page.body.to_vec()).unwrap());
    assert!(!pages.concat().contains("hunter2"), "{pages:?}");
    assert!(gate.log().contains(named), "{}", gate.log());
    assert!(!gate.log().contains("hunter2"), "{}", gate.log());
    for command in ["check", "run"] {
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_sidegate"));
        let process = process.args([command, "--config"]).arg(&config);
        let output = process.env_clear().output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(told.contains(named), "{command}: {told}");
        assert!(!told.contains("hunter2"), "{command}: {told}");
    }
}
