//! Trust that changes while the gate runs: files are replaced, and it acts on what is new and on what
//! is already inside; what is broken changes nothing and is told.

use std::path::Path;

use sidegate::lab::{Http, SigningKey, Validity, world};
use sidegate::model::Algorithm;
use sidegate::settings::{Overrides, Settings};
use sidegate::startup::{self, ConfigFile};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{ANY, Town, bearer, eventually, eventually_so, get, status_page};

const BOTH: [Http; 2] = [Http::One, Http::Two];

/// Replaces a file of the world by renaming another one over it.
pub(crate) fn replace(town: &Town, name: &str, text: &str) {
    town.world.write("next", text).unwrap();
    let folder = &town.world.folder;
    std::fs::rename(folder.join("next"), folder.join(name)).unwrap();
}

/// Whether a new connection with a fresh token gets through.
async fn gets_in(town: &Town, token: &str) -> u16 {
    let call = get("/", &[("authorization", &bearer(token))]);
    let answer = town.front(Http::One).call(town.gate.address, call).await;
    answer.map_or(0, |answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_new_key_is_known_and_a_removed_one_forgotten_also_for_tokens_seen_before() {
    let town = Town::start().await;
    let old = town.token();
    assert_eq!(gets_in(&town, &old).await, 200);
    assert_eq!(gets_in(&town, &old).await, 200, "from the cache");
    let new_key = SigningKey::generate(Algorithm::Es256, Some("newest")).unwrap();
    let new = town.world.token().sign(&new_key).unwrap();
    assert_eq!(gets_in(&town, &new).await, 401);
    replace(&town, "jwks.json", &SigningKey::jwks(&[&new_key]).unwrap());
    eventually_so("the new key is known", async || {
        gets_in(&town, &new).await == 200
    })
    .await;
    assert_eq!(gets_in(&town, &old).await, 401, "the removed key's token");
    assert!(town.refused("key_unknown") >= 2);
}

#[tokio::test]
async fn a_key_that_keeps_its_name_and_changes_is_a_change() {
    let town = Town::start().await;
    let old = town.token();
    assert_eq!(gets_in(&town, &old).await, 200);
    let other = SigningKey::generate(Algorithm::Es256, Some("current")).unwrap();
    town.world
        .write("jwks.json", &SigningKey::jwks(&[&other]).unwrap())
        .unwrap();
    eventually_so("the old key is gone", async || {
        gets_in(&town, &old).await == 401
    })
    .await;
    assert!(town.refused("signature_invalid") > 0);
}

#[tokio::test]
async fn a_broken_key_file_changes_nothing_and_is_told_until_it_is_mended() {
    let town = Town::start().await;
    let good = std::fs::read_to_string(town.world.folder.join("jwks.json")).unwrap();
    let secret = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0LW1hdGVyaWFs\"}]}";
    let half = &good[..good.len() / 2];
    // Each is told by a reason that is not the one before it: what failed is tried again untold, so how
    // often it failed says nothing.
    for (broken, why) in [
        ("", "not one JSON object"),
        ("{\"keys\":null}", "has no array"),
        ("{", "not one JSON object"),
        ("{\"keys\":[]}", "none of its 0 keys"),
        (half, "not one JSON object"),
        (secret, "private or shared key material"),
        ("[]", "not one JSON object"),
    ] {
        replace(&town, "jwks.json", broken);
        is_told(&town, why).await;
        assert_eq!(gets_in(&town, &town.token()).await, 200, "{broken}");
        let page = status_page(&town).await;
        let stale = &page["objects"]["keys/main"]["stale"];
        assert!(stale["since"].as_u64().unwrap() > 0, "{page}");
        assert!(!page.to_string().contains("c2VjcmV0"), "{page}");
    }
    std::fs::remove_file(town.world.folder.join("jwks.json")).unwrap();
    is_told(&town, "cannot read").await;
    assert_eq!(gets_in(&town, &town.token()).await, 200);
    town.world.write("jwks.json", &good).unwrap();
    let stale = "sidegate_reload_stale_since_timestamp_seconds{object=\"keys/main\"}";
    eventually("mended", || town.sample(stale) == 0).await;
}

/// Waits until the keys are stale for this reason.
async fn is_told(town: &Town, words: &str) {
    eventually_so(words, async || {
        let page = status_page(town).await;
        let why = page["objects"]["keys/main"]["stale"]["why"].as_str();
        why.is_some_and(|why| why.contains(words))
    })
    .await;
}

#[tokio::test]
async fn a_change_of_trust_reaches_connections_that_are_open() {
    for http in BOTH {
        let town = Town::start().await;
        let token = bearer(&town.token());
        let partner = town
            .world
            .partner_token()
            .sign(&town.world.partner_key)
            .unwrap();
        let mut line = town.front(http).open(town.gate.address).await.unwrap();
        let caller = town.caller(Some(&town.world.partner), http);
        let mut bystander = caller.open(town.gate.address).await.unwrap();
        let fields = [("authorization", &*token)];
        assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);
        let others = [("x-partner-assertion", &*partner)];
        assert_eq!(
            bystander.send(get("/", &others)).await.unwrap().status(),
            200
        );

        let crl = town
            .world
            .ca
            .revoke(&[&town.world.front.serial], Validity::Now)
            .unwrap();
        replace(&town, "ca.crl", &(crl + &town.world.intermediate_crl));
        eventually_so("the revoked peer is out", async || {
            let refused = line.send(get("/", &fields)).await;
            refused.map_or(true, |answer| answer.status() == 403)
        })
        .await;
        eventually(
            &format!("its {http:?} connection is closed for this cause"),
            || town.sample("sidegate_connections_closed_total{cause=\"trust\"}") == 1,
        )
        .await;
        let again = town
            .front(http)
            .call(town.gate.address, get("/", &fields))
            .await;
        assert!(again.is_err(), "nor does it get in anew: {again:?}");
        let answer = bystander.send(get("/", &others)).await.unwrap();
        assert_eq!(
            answer.status(),
            200,
            "the bystander's connection is untouched"
        );
    }
}

#[tokio::test]
async fn a_new_client_ca_lets_its_own_in_and_those_of_the_old_one_out() {
    let town = Town::start().await;
    assert_eq!(gets_in(&town, &town.token()).await, 200);
    replace(&town, "ca.crt", town.world.foreign_ca.pem());
    let foreign_crl = town.world.foreign_ca.revoke(&[], Validity::Now).unwrap();
    replace(&town, "ca.crl", &foreign_crl);
    let token = bearer(&town.token());
    eventually_so("the other CA's client gets in", async || {
        let call = get("/", &[("authorization", &token)]);
        let caller = town.caller(Some(&town.world.foreign), Http::One);
        caller
            .call(town.gate.address, call)
            .await
            .is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    assert_eq!(gets_in(&town, &town.token()).await, 0);
}

#[tokio::test]
async fn a_new_certificate_is_shown_once_its_key_has_come_too_and_open_connections_stay() {
    let town = Town::start().await;
    let token = bearer(&town.token());
    let mut line = town.front(Http::Two).open(town.gate.address).await.unwrap();
    let fields = [("authorization", &*token)];
    assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);
    let renewed = town
        .world
        .ca
        .issue(&sidegate::lab::Leaf::server(world::SERVER_NAME))
        .unwrap();
    let shown = async || {
        let caller = town.front(Http::One);
        let tls = caller.connect(town.gate.address).await.unwrap();
        tls.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    assert_eq!(shown().await, town.world.server.der);
    replace(&town, "server.crt", &renewed.chain_pem);
    eventually("a pair that does not fit is told", || {
        town.sample("sidegate_reload_total{object=\"identity\",result=\"failed\"}") >= 1
    })
    .await;
    assert_eq!(shown().await, town.world.server.der, "the old pair stays");
    replace(&town, "server.key", &renewed.key_pem);
    eventually_so("the new pair", async || shown().await == renewed.der).await;
    assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_websocket_like_stream_of_a_peer_that_is_revoked_ends() {
    let town = Town::start().await;
    let mut tls = town
        .front(Http::One)
        .connect(town.gate.address)
        .await
        .unwrap();
    // A request whose body never ends stands for every long stream.
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n",
        bearer(&town.token())
    );
    tls.write_all(head.as_bytes()).await.unwrap();
    eventually("it has arrived", || town.echo.served() == 1).await;
    let crl = town
        .world
        .ca
        .revoke(&[&town.world.front.serial], Validity::Now)
        .unwrap();
    replace(&town, "ca.crl", &(crl + &town.world.intermediate_crl));
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(
        std::time::Duration::from_secs(20),
        tls.read_to_end(&mut rest),
    );
    drop(ended.await.expect("the stream went on"));
    eventually("for this cause", || {
        town.sample("sidegate_connections_closed_total{cause=\"trust\"}") == 1
    })
    .await;
}

#[tokio::test]
async fn a_new_configuration_takes_effect_whole_and_a_broken_one_not_at_all() {
    let town = Town::start().await;
    let upstream = town.echo.address.to_string();
    let text = town.world.config(ANY, ANY, &upstream);
    town.world.write("sidegate.toml", &text).unwrap();
    let path = town.world.folder.join("sidegate.toml");
    let gate = from_file(&path).await;
    let token = bearer(&town.token());
    let mut line = town.front(Http::One).open(gate.address).await.unwrap();
    let fields = [("authorization", &*token)];
    assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);

    let sample = |name: &str| crate::harness::sample(&gate.metrics, name);
    replace(
        &town,
        "sidegate.toml",
        &text.replacen("client_ca", "client_cert", 1),
    );
    eventually("the mistake is told", || {
        sample("sidegate_reload_total{object=\"config\",result=\"failed\"}") == 1
    })
    .await;
    assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);

    // The peer `front` may bring nothing of the issuer `main` any more.
    let narrowed = text.replacen("issuers = [\"main\"]", "issuers = [\"partner\"]", 1);
    replace(&town, "sidegate.toml", &narrowed);
    eventually_so("the pair is refused on the open connection", async || {
        line.send(get("/", &fields))
            .await
            .is_ok_and(|answer| answer.status() == 403)
    })
    .await;
    // And then it is not listed at all.
    let renamed = text.replacen(world::FRONT, "spiffe://test.example/elsewhere", 1);
    replace(&town, "sidegate.toml", &renamed);
    eventually_so("the connection ends", async || {
        line.send(get("/", &fields)).await.is_err()
    })
    .await;
    gate.stop_now().await;
}

#[tokio::test]
async fn kubernetes_swaps_the_data_link_and_the_new_keys_are_known() {
    let town = Town::start().await;
    let mount = town.world.folder.join("mounted");
    let put = |version: &str, keys: &SigningKey| {
        let folder = mount.join(version);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("jwks.json"), SigningKey::jwks(&[keys]).unwrap()).unwrap();
        std::os::unix::fs::symlink(version, mount.join("..data_tmp")).unwrap();
        std::fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    put("..1", &town.world.key);
    std::os::unix::fs::symlink("..data/jwks.json", mount.join("jwks.json")).unwrap();
    let upstream = town.echo.address.to_string();
    let text = town.world.config(ANY, ANY, &upstream);
    let text = text.replacen("\"jwks.json\"", "\"mounted/jwks.json\"", 1);
    let gate = crate::harness::run(&town.world, text).await;
    let call = async |token: &str| {
        let call = get("/", &[("authorization", &bearer(token))]);
        town.front(Http::One)
            .call(gate.address, call)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(call(&town.token()).await, 200);
    let next = SigningKey::generate(Algorithm::Es256, Some("swapped")).unwrap();
    put("..2", &next);
    std::fs::remove_dir_all(mount.join("..1")).unwrap();
    let token = town.world.token().sign(&next).unwrap();
    eventually_so("the swapped key is known", async || {
        call(&token).await == 200
    })
    .await;
    assert_eq!(call(&town.token()).await, 401);
}

pub(crate) async fn from_file(path: &Path) -> startup::Running {
    let (settings, _) = Settings::load(path, &Overrides::default()).unwrap();
    let config = ConfigFile {
        path: path.to_owned(),
        overrides: Overrides::default(),
    };
    startup::start_from(config, settings).await.unwrap()
}
