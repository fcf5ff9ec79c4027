//! A server that is down, slow, silent, endless, lying or somebody else: nothing changes but the words
//! on the status page.

use sidegate::lab::{Leaf, Validity};

use super::*;

/// What the server does, and a piece of what the operator is told.
fn faults(good: &str) -> Vec<(Act, &'static str)> {
    let redirect = ["location: https://elsewhere.example:9/secret-path?token=hush"];
    let private = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0LW1hdGVyaWFs\"}]}";
    let long = format!("{{\"keys\":[],\"x\":\"{}\"}}", "k".repeat(1 << 20));
    vec![
        (Act::Hang, "no whole answer within 0.5 s"),
        (Act::Drip(ok(good)), "no whole answer within 0.5 s"),
        (Act::Endless, "more than 1 MiB"),
        (Act::Say(ok(&long)), "more than 1 MiB"),
        (Act::Close, "broke off"),
        (
            Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{".to_owned()),
            "broke off",
        ),
        (
            Act::Say("SSH-2.0-OpenSSH_9.6\r\n".to_owned()),
            "is not HTTP/1.1",
        ),
        (
            Act::Say(say("302 Found", &redirect, "")),
            "answered 302 to https://elsewhere.example:9/...; redirects are not followed",
        ),
        (
            Act::Say(say("301 Moved", &["location: ../x"], "")),
            "answered 301 to another place",
        ),
        (Act::Say(say("304 Not Modified", &[], "")), "answered 304"),
        (Act::Say(say("204 No Content", &[], "")), "answered 204"),
        (Act::Say(say("404 Not Found", &[], "")), "answered 404"),
        (Act::Say(say("500 Oops", &[], "c2VjcmV0")), "answered 500"),
        (
            Act::Say(say("200 OK", &["content-encoding: gzip"], good)),
            "a Content-Encoding that was not asked for",
        ),
        (Act::Say(ok("")), "not one JSON object"),
        (Act::Say(ok("<html>c2VjcmV0</html>")), "not one JSON object"),
        (Act::Say(ok(&good[..good.len() / 2])), "not one JSON object"),
        (Act::Say(ok("{\"keys\":null}")), "no array \"keys\""),
        (
            Act::Say(ok("{\"keys\":[]}")),
            "none of its 0 keys can be used",
        ),
        (Act::Say(ok(private)), "private or shared key material"),
    ]
}

#[tokio::test]
async fn a_bad_server_changes_nothing_and_is_told_until_it_is_good_again() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let good = SigningKey::jwks(&[&plan.world.key]).unwrap();
    let document = Act::Say(say("200 OK", &["cache-control: no-store"], &good));
    server.act(document.clone());
    let town = plan.tuned(&server.jwks(), |pace| pace.floor = OFTEN).await;
    ready(&town).await;
    let why = async || {
        let page = status_page(&town).await;
        assert!(!page.to_string().contains("c2VjcmV0"), "{page}");
        assert!(!page.to_string().contains("hush"), "{page}");
        page["objects"]["keys/main"]["stale"]["why"]
            .as_str()
            .map(str::to_owned)
    };
    for (act, words) in faults(&good) {
        let shown = format!("{act:?}");
        server.act(act);
        let mut last = None;
        eventually_so(words, async || {
            last = why().await;
            last.as_deref().is_some_and(|why| why.contains(words))
        })
        .await;
        assert!(last.unwrap().contains("/jwks.json"), "{shown}");
        assert_eq!(status(&town, &town.token()).await, 200, "{shown}");
        server.act(document.clone());
        eventually_so("it is good again", async || why().await.is_none()).await;
    }
    assert_eq!(fetches(&town, "changed"), 1);
    // Only what the sockets hold went out of a gigabyte.
    assert!(server.sent() < 64 << 20, "{}", server.sent());
}

#[tokio::test]
async fn a_flapping_server_is_never_noticed_by_callers() {
    let mut server = KeyServer::start().await;
    let plan = Plan::new();
    let good = SigningKey::jwks(&[&plan.world.key]).unwrap();
    server.act(Act::Say(say("200 OK", &["cache-control: no-cache"], &good)));
    let town = plan.tuned(&server.jwks(), |pace| pace.floor = OFTEN).await;
    ready(&town).await;
    for _ in 0..10 {
        server.go_down().await;
        let before = fetches(&town, "failed");
        eventually("it fails", || fetches(&town, "failed") > before).await;
        assert_eq!(status(&town, &town.token()).await, 200);
        server.come_back().await;
        let before = fetches(&town, "unchanged");
        eventually("it works", || fetches(&town, "unchanged") > before).await;
        assert_eq!(status(&town, &town.token()).await, 200);
    }
    assert_eq!(fetches(&town, "changed"), 1);
}

#[tokio::test]
async fn a_server_that_cannot_prove_its_name_gives_no_keys() {
    let elsewhere = || Leaf {
        ip: Vec::new(),
        dns: vec!["elsewhere.example".to_owned()],
        ..Leaf::server("elsewhere.example")
    };
    let expired = Leaf::server("keys.internal").valid(Validity::Expired);
    let stranger = KeyServer::start().await;
    for (leaf, ca, more, words) in [
        (
            elsewhere(),
            None,
            "",
            "write the name that its certificate holds as keys.server_name",
        ),
        (expired, None, "", "expired"),
        (
            Leaf::server("keys.internal"),
            Some(stranger.ca()),
            "",
            "write its CA as keys.ca",
        ),
        (
            Leaf::server("keys.internal"),
            None,
            ", server_name = \"other.internal\"",
            "keys.server_name",
        ),
    ] {
        let server = KeyServer::with(leaf, None).await;
        let plan = Plan::new();
        server.publish(&[&plan.world.key]);
        let ca = ca.unwrap_or_else(|| server.ca());
        let keys = format!(
            "{{ url = {:?}, ca = {ca}{more} }}",
            server.url("/jwks.json")
        );
        let town = plan.start(&keys).await;
        eventually("it fails", || fetches(&town, "failed") > 1).await;
        let page = status_page(&town).await.to_string();
        assert!(page.contains(words), "{page}");
        assert_eq!(status(&town, &town.token()).await, 503);
        assert_eq!(server.asked(), 0, "the request must not even be sent");
    }
    // And with the name that it does have, it is believed.
    let server = KeyServer::with(elsewhere(), None).await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let url = server.url("/jwks.json");
    let name = "server_name = \"elsewhere.example\"";
    let town = plan
        .start(&format!(
            "{{ url = {url:?}, ca = {}, {name} }}",
            server.ca()
        ))
        .await;
    ready(&town).await;
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_current_one() {
    let plan = Plan::new();
    let server = KeyServer::with(Leaf::server("keys.internal"), Some(plan.world.ca.pem())).await;
    let no_cache = ["cache-control: no-cache"];
    let jwks = SigningKey::jwks(&[&plan.world.key]).unwrap();
    server.act(Act::Say(say("200 OK", &no_cache, &jwks)));
    let mine = "certificate = \"mine.crt\", private_key = \"mine.key\"";
    let keys = format!(
        "{{ url = {:?}, ca = {}, {mine} }}",
        server.url("/jwks.json"),
        server.ca()
    );
    let show = |world: &sidegate::lab::World, issued: &sidegate::lab::Issued| {
        world.write("mine.crt", &issued.chain_pem).unwrap();
        world.write("mine.key", &issued.key_pem).unwrap();
    };
    show(&plan.world, &plan.world.foreign);
    let town = plan.tuned(&keys, |pace| pace.floor = OFTEN).await;
    eventually("the wrong one is refused", || fetches(&town, "failed") > 1).await;
    show(&town.world, &town.world.front);
    ready(&town).await;
    assert_eq!(status(&town, &town.token()).await, 200);
    // A key without its certificate, as while both are renewed, is told and changes nothing.
    town.world
        .write("mine.key", &town.world.foreign.key_pem)
        .unwrap();
    eventually_so("the mismatch is told", async || {
        let page = status_page(&town).await.to_string();
        page.contains("keys.certificate")
    })
    .await;
    assert_eq!(status(&town, &town.token()).await, 200);
}
