//! The forms in which issuers publish keys: discovery, a map of PEM, a document for each key, and a
//! directory.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;
use sidegate::lab::world;

use super::*;

const METADATA: &str = "/.well-known/openid-configuration";

/// A gate whose first issuer is the provider at `server`, with this metadata.
async fn discovered(server: &KeyServer, metadata: impl Fn(&str, &str) -> String) -> Town {
    let plan = Plan::new();
    let issuer = server.url("");
    let jwks = SigningKey::jwks(&[&plan.world.key]).unwrap();
    let uri = server.url("/keys");
    server.act(Act::ByPath(vec![
        (METADATA.to_owned(), ok(&metadata(&issuer, &uri))),
        ("/keys".to_owned(), ok(&jwks)),
    ]));
    let keys = format!("{{ discovery = {issuer:?}, ca = {} }}", server.ca());
    let settings = format!("issuer = {issuer:?}");
    plan.written(&keys, |config| {
        config.replacen(&format!("issuer = {:?}", world::ISSUER), &settings, 1)
    })
    .await
}

#[tokio::test]
async fn discovery_leads_to_the_keys_of_the_provider() {
    let server = KeyServer::start().await;
    let metadata = |issuer: &str, uri: &str| json!({ "issuer": issuer, "jwks_uri": uri });
    let town = discovered(&server, |issuer, uri| metadata(issuer, uri).to_string()).await;
    ready(&town).await;
    let claims = town.world.token().claim("iss", server.url(""));
    let token = claims.sign(&town.world.key).unwrap();
    assert_eq!(status(&town, &token).await, 200);
    let paths: Vec<String> = server
        .heads()
        .iter()
        .map(|head| head.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(paths, [METADATA, "/keys"]);
}

#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let server = KeyServer::start().await;
    type Metadata = fn(&str, &str) -> String;
    let rows: [(Metadata, &str); 7] = [
        (
            |_, uri| json!({ "issuer": "https://evil.example", "jwks_uri": uri }).to_string(),
            "another issuer",
        ),
        (
            |issuer, uri| json!({ "issuer": format!("{issuer}/"), "jwks_uri": uri }).to_string(),
            "another issuer",
        ),
        (
            |_, uri| json!({ "jwks_uri": uri }).to_string(),
            "another issuer",
        ),
        (
            |issuer, _| json!({ "issuer": issuer }).to_string(),
            "has no \"jwks_uri\"",
        ),
        (
            |issuer, _| json!({ "issuer": issuer, "jwks_uri": "http://keys.example/" }).to_string(),
            "plain http leaves this machine",
        ),
        (
            |issuer, _| json!({ "issuer": issuer, "jwks_uri": "file:///etc/passwd" }).to_string(),
            "jwks_uri",
        ),
        (
            |issuer, uri| {
                format!("{{\"issuer\":{issuer:?},\"issuer\":\"x\",\"jwks_uri\":{uri:?}}}")
            },
            "not one JSON object",
        ),
    ];
    for (metadata, words) in rows {
        let town = discovered(&server, metadata).await;
        eventually("it fails", || fetches(&town, "failed") > 0).await;
        let page = status_page(&town).await;
        let why = page["objects"]["keys/main"]["stale"]["why"]
            .as_str()
            .unwrap();
        assert!(why.contains(words) && why.contains(METADATA), "{why}");
        assert!(!server.heads().iter().any(|head| head.contains("/keys")));
        town.gate.stop_now().await;
    }
}

#[tokio::test]
async fn a_map_of_pem_is_read_from_a_url_and_from_a_file() {
    let server = KeyServer::start().await;
    let map = |keys: &[(&str, &SigningKey)]| {
        let entries = keys.iter().map(|(kid, key)| {
            let pem = key.public_pem().unwrap();
            ((*kid).to_owned(), pem.into())
        });
        serde_json::Value::Object(entries.collect()).to_string()
    };
    for in_file in [false, true] {
        let plan = Plan::new();
        let text = map(&[
            ("current", &plan.world.key),
            ("other", &plan.world.next_key),
        ]);
        plan.world.write("map.json", &text).unwrap();
        server.act(Act::Say(ok(&text)));
        let (url, ca) = (server.url("/public_key"), server.ca());
        let keys = if in_file {
            "{ file = \"map.json\", format = \"pem-map\" }".to_owned()
        } else {
            format!("{{ url = {url:?}, ca = {ca}, format = \"pem-map\" }}")
        };
        let town = plan.start(&keys).await;
        ready(&town).await;
        assert_eq!(status(&town, &town.token()).await, 200);
        let unnamed = town.world.token().sign(&key("another")).unwrap();
        assert_eq!(status(&town, &unnamed).await, 401);
    }
}

#[tokio::test]
async fn each_key_is_fetched_when_a_token_names_it() {
    let mut server = KeyServer::start().await;
    let plan = Plan::new();
    let answer = |key: &SigningKey| {
        let path = format!("/eu/{}", key.kid().unwrap());
        (path, ok(&key.public_pem().unwrap()))
    };
    let first = answer(&plan.world.key);
    server.act(Act::ByPath(vec![first.clone()]));
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/eu/{kid}"),
        server.ca()
    );
    let town = plan
        .tuned(&keys, |pace| {
            pace.cooldown = Duration::from_millis(50);
            pace.unknown_kept = Duration::from_millis(50);
            pace.patience = Duration::from_secs(20);
        })
        .await;
    assert!(is_ready(&town).await, "there is nothing to wait for");
    assert_eq!(server.asked(), 0);
    for _ in 0..3 {
        assert_eq!(status(&town, &town.token()).await, 200);
    }
    assert_eq!(server.asked(), 1);

    // A key that is not there is unknown; one that the server cannot be asked for is another matter.
    let later = key("later");
    let token = town.world.token().sign(&later).unwrap();
    assert_eq!(status(&town, &token).await, 401);
    assert_eq!(fetches(&town, "absent"), 1);
    server.go_down().await;
    eventually_so("nobody can say", async || {
        status(&town, &token).await == 503
    })
    .await;
    assert_eq!(
        status(&town, &town.token()).await,
        200,
        "the kept key serves"
    );
    server.come_back().await;
    server.act(Act::ByPath(vec![first, answer(&later)]));
    eventually_so("the new key", async || status(&town, &token).await == 200).await;
}

#[tokio::test]
async fn a_made_up_kid_does_not_close_the_question_of_another() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let down = say("500 Internal Server Error", &[], "");
    server.act(Act::ByPath(vec![("/eu/current".to_owned(), down)]));
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/eu/{kid}"),
        server.ca()
    );
    // A few names may be asked for at once, and then none for long.
    let town = plan
        .tuned(&keys, |pace| {
            pace.cooldown = Duration::from_secs(3_600);
            pace.patience = Duration::from_secs(20);
        })
        .await;
    assert_eq!(status(&town, &town.token()).await, 503, "nobody can say");
    for number in 0..6 {
        let stranger = town.world.token().sign(&key(&format!("made-up-{number}")));
        assert_eq!(status(&town, &stranger.unwrap()).await, 401);
    }
    assert!(asked(&town, "cooldown") > 0);
    assert_eq!(status(&town, &town.token()).await, 503, "nor can they now");
}

#[tokio::test]
async fn a_name_that_no_url_may_hold_is_not_asked_for() {
    let server = KeyServer::start().await;
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/eu/{kid}"),
        server.ca()
    );
    let town = Plan::new().start(&keys).await;
    let long = "k".repeat(250);
    for hostile in [
        "../jwks",
        "a/b",
        "%2e%2e%2fjwks",
        "a?b=c",
        "a#b",
        "..",
        "a b",
        &long,
    ] {
        let token = town.world.token().sign(&key(hostile)).unwrap();
        assert_eq!(status(&town, &token).await, 401, "{hostile}");
    }
    assert_eq!((server.asked(), asked(&town, "unfit")), (0, 8));
    let huge = town
        .world
        .token()
        .sign(&key(&"k".repeat(5 * 1024)))
        .unwrap();
    assert_ne!(status(&town, &huge).await, 200);
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_by_its_server_is_forgotten() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let pem = plan.world.key.public_pem().unwrap();
    let path = "/eu/current".to_owned();
    let fresh = say("200 OK", &["cache-control: no-cache"], &pem);
    server.act(Act::ByPath(vec![(path.clone(), fresh)]));
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/eu/{kid}"),
        server.ca()
    );
    let town = plan
        .tuned(&keys, |pace| {
            pace.floor = OFTEN;
            pace.patience = Duration::from_secs(20);
        })
        .await;
    assert_eq!(status(&town, &town.token()).await, 200);
    // A 403 may be about the gate, so it takes nothing away.
    server.act(Act::ByPath(vec![(path, say("403 Forbidden", &[], ""))]));
    eventually("it is asked for again", || fetches(&town, "absent") > 2).await;
    assert_eq!(status(&town, &town.token()).await, 200);
    server.act(Act::ByPath(Vec::new()));
    eventually_so("it is gone", async || {
        status(&town, &town.token()).await == 401
    })
    .await;
    eventually("that it was withdrawn is an edition", || {
        generation(&town) == 3
    })
    .await;
    assert_eq!(fetches(&town, "changed"), 1, "nothing else came");
    assert_eq!(town.sample("sidegate_jwks_keys{issuer=\"main\"}"), 0);
}

#[tokio::test]
async fn a_kept_key_ends_when_it_was_not_confirmed_for_too_long() {
    let mut server = KeyServer::start().await;
    let plan = Plan::new();
    let pem = plan.world.key.public_pem().unwrap();
    server.act(Act::ByPath(vec![("/eu/current".to_owned(), ok(&pem))]));
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/eu/{kid}"),
        server.ca()
    );
    let town = plan
        .tuned(&keys, |pace| {
            pace.max_stale = Duration::from_secs(2);
            pace.cooldown = Duration::from_millis(50);
            pace.patience = Duration::from_secs(20);
        })
        .await;
    assert_eq!(status(&town, &town.token()).await, 200);
    server.go_down().await;
    eventually_so("it ends", async || {
        status(&town, &town.token()).await == 503
    })
    .await;
    // Which is no success.
    eventually("the end is an edition", || generation(&town) == 3).await;
    assert_eq!(fetches(&town, "changed"), 1, "nothing came");
    assert_eq!(town.sample("sidegate_jwks_keys{issuer=\"main\"}"), 0);
    let page = status_page(&town).await;
    let stale = &page["objects"]["keys/main"]["stale"];
    assert!(stale["why"].is_string(), "{page}");
    server.come_back().await;
    eventually_so("it is back", async || {
        status(&town, &town.token()).await == 200
    })
    .await;
}

#[tokio::test]
async fn a_document_that_is_no_key_is_told_without_its_name() {
    let server = KeyServer::start().await;
    let text = ok("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    server.act(Act::ByPath(vec![("/eu/made-up".to_owned(), text)]));
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/eu/{kid}"),
        server.ca()
    );
    let town = Plan::new().start(&keys).await;
    let token = town.world.token().sign(&key("made-up")).unwrap();
    assert_eq!(status(&town, &token).await, 503);
    let page = status_page(&town).await.to_string();
    assert!(page.contains("none of its 1 keys can be used"), "{page}");
    assert!(!page.contains("made-up"), "{page}");
}

/// What kubelet does to a mounted Secret.
fn swap(volume: &Path, edition: &str, files: &[(&str, String)]) {
    let folder = volume.join(edition);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    let old = fs::read_link(volume.join("..data"));
    symlink(edition, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for (name, _) in files {
        drop(symlink(Path::new("..data").join(name), volume.join(name)));
    }
    for entry in fs::read_dir(volume).unwrap() {
        let link = entry.unwrap().path();
        // A link that leads nowhere any more.
        if !link.exists() {
            fs::remove_file(link).unwrap();
        }
    }
    if let Ok(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}

#[tokio::test]
async fn a_directory_of_keys_follows_what_is_put_in_and_taken_out() {
    let plan = Plan::new();
    let folder = plan.world.folder.join("keys");
    fs::create_dir(&folder).unwrap();
    let pem = |key: &SigningKey| key.public_pem().unwrap();
    fs::write(folder.join("current.pem"), pem(&plan.world.key)).unwrap();
    fs::write(folder.join("readme.txt"), "not a key").unwrap();
    fs::write(folder.join(".hidden.pem"), "not a key").unwrap();
    let town = plan.start("{ directory = \"keys\" }").await;
    let loads = |result: &str| {
        town.sample(&format!(
            "sidegate_reload_total{{object=\"keys/main\",result=\"{result}\"}}"
        ))
    };
    assert_eq!(status(&town, &town.token()).await, 200);
    let added = key("added");
    let token = town.world.token().sign(&added).unwrap();
    assert_eq!(status(&town, &token).await, 401);
    fs::write(folder.join("added.pub"), pem(&added)).unwrap();
    eventually_so("a file is added", async || {
        status(&town, &token).await == 200
    })
    .await;
    // A broken one costs nobody else their key.
    let before = loads("loaded");
    fs::write(folder.join("broken.crt"), "-----BEGIN").unwrap();
    eventually("it was seen", || loads("loaded") > before).await;
    assert_eq!(status(&town, &token).await, 200);
    // The content changes under the same name.
    let other = key("added");
    fs::write(folder.join("added.pub"), pem(&other)).unwrap();
    eventually_so("it changes", async || status(&town, &token).await == 401).await;
    fs::remove_file(folder.join("current.pem")).unwrap();
    eventually_so("one is removed", async || {
        status(&town, &town.token()).await == 401
    })
    .await;
    // Without a usable key, and with a private one, the last good ones stay.
    let token = town.world.token().sign(&other).unwrap();
    fs::remove_file(folder.join("added.pub")).unwrap();
    eventually("none is left", || loads("failed") > 0).await;
    assert_eq!(status(&town, &token).await, 200);
    fs::write(folder.join("leaked.pem"), other.private_pem().unwrap()).unwrap();
    eventually_so("a private key is told", async || {
        let page = status_page(&town).await.to_string();
        page.contains("leaked.pem") && page.contains("holds a private key")
    })
    .await;
    assert_eq!(status(&town, &token).await, 200);
}

#[tokio::test]
async fn a_mounted_secret_with_a_key_in_each_file_is_swapped_whole() {
    let plan = Plan::new();
    let volume = plan.world.folder.join("keys");
    let pem = |key: &SigningKey| key.public_pem().unwrap();
    let second = key("second");
    fs::create_dir(&volume).unwrap();
    swap(&volume, "..1", &[("current.pem", pem(&plan.world.key))]);
    let town = plan.start("{ directory = \"keys\" }").await;
    assert_eq!(status(&town, &town.token()).await, 200);
    swap(&volume, "..2", &[("second.pem", pem(&second))]);
    let token = town.world.token().sign(&second).unwrap();
    eventually_so("the new key", async || status(&town, &token).await == 200).await;
    eventually_so("the old key", async || {
        status(&town, &town.token()).await == 401
    })
    .await;
}
