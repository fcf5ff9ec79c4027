//! Keys by URL, and all that a server of keys can do wrong: the gate goes on with what it last had,
//! says why, and never opens.

mod bad_servers;
mod forms;
mod unknown_keys;
mod while_it_waits;

use std::time::Duration;

use sidegate::lab::{Http, SigningKey};
use sidegate::model::Algorithm;

use crate::harness::key_server::{Act, KeyServer, Plan, ok, say};
use crate::harness::{Town, bearer, eventually, eventually_so, get, plain, status_page};

/// As often as possible.
const OFTEN: Duration = Duration::from_millis(20);

/// What a request with this token gets on a connection of its own.
async fn status(town: &Town, token: &str) -> u16 {
    let call = get("/", &[("authorization", &bearer(token))]);
    let answer = town.front(Http::One).call(town.gate.address, call).await;
    answer.unwrap().status().as_u16()
}

async fn is_ready(town: &Town) -> bool {
    let request = http::Request::get("/readyz").body(http_body_util::Full::default());
    let port = town.gate.admin.unwrap().port();
    plain::call(port, request.unwrap()).await.head.status() == 200
}

fn fetches(town: &Town, result: &str) -> u64 {
    town.sample(&format!(
        "sidegate_jwks_fetch_total{{issuer=\"main\",result=\"{result}\"}}"
    ))
}

fn asked(town: &Town, outcome: &str) -> u64 {
    town.sample(&format!(
        "sidegate_jwks_unknown_kid_total{{issuer=\"main\",outcome=\"{outcome}\"}}"
    ))
}

fn generation(town: &Town) -> u64 {
    town.sample("sidegate_generation{object=\"keys/main\"}")
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(Algorithm::Es256, Some(kid)).unwrap()
}

/// Waits until the gate has keys.
async fn ready(town: &Town) {
    eventually_so("the gate is ready", async || is_ready(town).await).await;
}

#[tokio::test]
async fn the_gate_starts_without_its_keys_and_is_ready_once_they_came() {
    let mut server = KeyServer::start().await;
    server.go_down().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let town = plan.start(&server.jwks()).await;
    eventually("it tries again", || fetches(&town, "failed") > 2).await;
    assert!(!is_ready(&town).await);
    let call = get("/", &[("authorization", &bearer(&town.token()))]);
    let answer = town
        .front(Http::One)
        .call(town.gate.address, call)
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(town.refused("keys_unavailable"), 1);

    server.come_back().await;
    ready(&town).await;
    assert_eq!(status(&town, &town.token()).await, 200);
    let last = "sidegate_jwks_last_success_timestamp_seconds{issuer=\"main\"}";
    assert!(town.sample(last) > 1_700_000_000);
    assert_eq!(town.sample("sidegate_jwks_keys{issuer=\"main\"}"), 1);
    // Once ready, it stays so.
    server.go_down().await;
    assert!(is_ready(&town).await);
}

#[tokio::test]
async fn keys_that_were_not_confirmed_for_too_long_are_not_used() {
    let mut server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let town = plan
        .tuned(&server.jwks(), |pace| {
            pace.max_stale = Duration::from_secs(2)
        })
        .await;
    ready(&town).await;
    let token = town.token();
    assert_eq!(status(&town, &token).await, 200);
    server.go_down().await;
    eventually_so("the keys end", async || status(&town, &token).await == 503).await;
    eventually("that they were taken back is an edition", || {
        generation(&town) == 3 && town.sample("sidegate_jwks_keys{issuer=\"main\"}") == 0
    })
    .await;
    let page = status_page(&town).await;
    let object = &page["objects"]["keys/main"];
    assert_eq!(object["generation"], 3, "{page}");
    assert!(object["stale"]["why"].is_string(), "{page}");
    server.come_back().await;
    eventually_so("the keys are back", async || {
        status(&town, &token).await == 200
    })
    .await;
}

#[tokio::test]
async fn keys_end_in_time_also_while_their_server_takes_its_time() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let jwks = SigningKey::jwks(&[&plan.world.key]).unwrap();
    let say = |body: &str| say("200 OK", &["etag: \"1\"", "cache-control: no-cache"], body);
    server.act(Act::Tagged("\"1\"", say(&jwks)));
    let town = plan
        .tuned(&server.jwks(), |pace| {
            pace.floor = OFTEN;
            pace.max_stale = Duration::from_secs(2);
            pace.whole = Duration::from_secs(300);
        })
        .await;
    ready(&town).await;
    assert_eq!(status(&town, &town.token()).await, 200);
    let unchanged = "HTTP/1.1 304 Not Modified\r\n\r\n";
    server.act(Act::After(6_000, unchanged.to_owned()));
    let asked = server.asked();
    eventually("it is asked again", || server.asked() > asked).await;
    eventually_so("the keys end", async || {
        status(&town, &town.token()).await == 503
    })
    .await;
    // What is unchanged then is nothing that the gate still has.
    server.act(Act::Tagged("\"1\"", say(&jwks)));
    eventually_so("they are back", async || {
        status(&town, &town.token()).await == 200
    })
    .await;
}

#[tokio::test]
async fn the_same_keys_make_no_new_generation_and_other_ones_do() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let jwks = |keys: &[&SigningKey]| SigningKey::jwks(keys).unwrap();
    let first = jwks(&[&plan.world.key]);
    let tagged = |body: &str| {
        say(
            "200 OK",
            &["etag: \"one\"", "cache-control: no-cache"],
            body,
        )
    };
    server.act(Act::Tagged("\"one\"", tagged(&first)));
    let town = plan.tuned(&server.jwks(), |pace| pace.floor = OFTEN).await;
    eventually("it asks with the tag and is told", || {
        fetches(&town, "unchanged") > 3
    })
    .await;
    let heads = server.heads();
    assert!(
        !heads[0].to_lowercase().contains("if-none-match"),
        "{heads:?}"
    );
    assert!(
        heads[1].to_lowercase().contains("if-none-match: \"one\""),
        "{heads:?}"
    );
    // Sent again whole, and spelled otherwise.
    let spelled = first.replacen("{\"keys\":", "{ \"more\": 1, \"keys\": ", 1);
    server.act(Act::Say(say(
        "200 OK",
        &["cache-control: max-age=0"],
        &spelled,
    )));
    let before = fetches(&town, "unchanged");
    eventually("it is fetched again", || {
        fetches(&town, "unchanged") > before + 3
    })
    .await;
    assert_eq!((generation(&town), fetches(&town, "changed")), (1 + 1, 1));

    // The name stays, the key does not.
    let other = key("current");
    server.act(Act::Say(say(
        "200 OK",
        &["cache-control: max-age=0"],
        &jwks(&[&other]),
    )));
    eventually("a new generation", || fetches(&town, "changed") == 2).await;
    assert_eq!(generation(&town), 3);
    assert_eq!(status(&town, &town.token()).await, 401);
    let token = town.world.token().sign(&other).unwrap();
    assert_eq!(status(&town, &token).await, 200);
}

#[tokio::test]
async fn a_fresh_document_is_not_asked_for_again() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let jwks = SigningKey::jwks(&[&plan.world.key]).unwrap();
    let say_for = |age: &str| Act::Say(say("200 OK", &[age], &jwks));
    server.act(say_for("cache-control: max-age=1"));
    let town = plan.tuned(&server.jwks(), |pace| pace.floor = OFTEN).await;
    // Within a second it is asked again, and then told to wait.
    eventually("after its time", || server.asked() == 1).await;
    server.act(say_for("cache-control: max-age=3600"));
    eventually("after its time", || server.asked() == 2).await;
    for _ in 0..50 {
        assert_eq!(status(&town, &town.token()).await, 200);
    }
    assert_eq!(server.asked(), 2);
}

#[tokio::test]
async fn a_new_configuration_keeps_the_keys_of_an_unchanged_issuer() {
    use sidegate::settings::{Overrides, Settings};
    use sidegate::startup::{ConfigFile, start_from};

    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let echo = sidegate::lab::Echo::start("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let text = plan.config(&server.jwks(), &echo.address.to_string());
    plan.world.write("sidegate.toml", &text).unwrap();
    let path = plan.world.folder.join("sidegate.toml");
    let (settings, _) = Settings::load(&path, &Overrides::default()).unwrap();
    let config = ConfigFile {
        path: path.clone(),
        overrides: Overrides::default(),
    };
    let gate = start_from(config, settings).await.unwrap();
    let sample = |name: &str| crate::harness::sample(&gate.metrics, name);
    eventually("ready", || sample("sidegate_ready") == 1).await;
    // From here on the server is of no help.
    server.act(Act::Hang);
    let front = Plan::front(&plan.world);
    let token = plan.world.token().sign(&plan.world.key).unwrap();
    let call = async || {
        let call = get("/", &[("authorization", &bearer(&token))]);
        front
            .call(gate.address, call)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(call().await, 200);
    let renamed = text.replacen("X-Auth-Email", "X-Auth-Mail", 1);
    plan.world.write("sidegate.toml", &renamed).unwrap();
    eventually("reloaded", || {
        sample("sidegate_generation{object=\"config\"}") == 2
    })
    .await;
    assert_eq!(call().await, 200);
    assert_eq!(server.asked(), 1);

    // Fetched otherwise from the same place: its keys serve until they came anew.
    let other = renamed.replacen("/jwks.json\",", "/jwks.json\", refresh = \"5m\",", 1);
    plan.world.write("sidegate.toml", &other).unwrap();
    eventually("reloaded", || {
        sample("sidegate_generation{object=\"config\"}") == 3
    })
    .await;
    eventually("fetched", || server.asked() == 2).await;
    assert_eq!(call().await, 200);

    // Another place is another matter: it has no keys yet.
    let other = renamed.replacen("/jwks.json", "/other.json", 1);
    plan.world.write("sidegate.toml", &other).unwrap();
    eventually("reloaded", || {
        sample("sidegate_generation{object=\"config\"}") == 4
    })
    .await;
    eventually("fetched", || server.asked() == 3).await;
    assert_eq!(call().await, 503);
    gate.stop_now().await;
}

#[tokio::test]
async fn keys_that_came_under_trust_that_is_withdrawn_are_not_used() {
    for change in [
        ", ca = \"other-ca.crt\" }",
        ", ca = CA, server_name = \"other.test\" }",
    ] {
        let server = KeyServer::start().await;
        let plan = Plan::new();
        server.publish(&[&plan.world.key]);
        let service = sidegate::lab::Echo::start("127.0.0.1:0".parse().unwrap());
        let upstream = service.await.unwrap().address.to_string();
        let text = plan.config(&server.jwks(), &upstream);
        plan.world.write("sidegate.toml", &text).unwrap();
        let other_ca = server.authority.pem();
        plan.world.write("other-ca.crt", other_ca).unwrap();
        let path = plan.world.folder.join("sidegate.toml");
        let gate = crate::reload::from_file(&path).await;
        let sample = |name: &str| crate::harness::sample(&gate.metrics, name);
        eventually("ready", || sample("sidegate_ready") == 1).await;
        server.act(Act::Hang);
        let token = plan.world.token().sign(&plan.world.key).unwrap();
        let call = async || {
            let call = get("/", &[("authorization", &bearer(&token))]);
            let answer = Plan::front(&plan.world).call(gate.address, call).await;
            answer.unwrap().status().as_u16()
        };
        let ca = server.ca();
        let keys = format!(", ca = {ca} }}");
        assert!(text.contains(&keys), "{text}");
        let other = text.replacen(&keys, &change.replace("CA", &ca), 1);
        plan.world.write("sidegate.toml", &other).unwrap();
        eventually("reloaded", || {
            sample("sidegate_generation{object=\"config\"}") == 2
        })
        .await;
        assert_eq!(call().await, 503, "{change}");
        gate.stop_now().await;
    }
}

#[tokio::test]
async fn check_fetches_once_and_says_what_it_found() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let text = plan.config(&server.jwks(), "127.0.0.1:9");
    plan.world.write("sidegate.toml", &text).unwrap();
    let check = async |flags: &'static [&str]| {
        let path = plan.world.folder.join("sidegate.toml");
        let run = move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidegate"));
            command.args(["check", "--config"]).arg(path).args(flags);
            command.env_clear().output()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    };
    let (code, text) = check(&[]).await;
    assert!(text.contains("issuer \"main\": 1 usable keys"), "{text}");
    assert_eq!((code, server.asked()), (0, 1), "{text}");
    server.act(Act::Say(ok("<html>")));
    let (code, text) = check(&[]).await;
    assert!(
        text.contains("/jwks.json: this is not the JSON document"),
        "{text}"
    );
    assert_eq!((code, server.asked()), (1, 2), "{text}");
    let (code, text) = check(&["--offline"]).await;
    assert!(
        text.contains("its keys are fetched, which was not tried"),
        "{text}"
    );
    assert_eq!((code, server.asked()), (0, 2), "{text}");
}

/// Also where each key is a document of its own: the one that the token names is fetched.
#[tokio::test]
async fn explain_fetches_the_keys_that_a_token_needs_where_it_is_told_to() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    let pem = ok(&plan.world.key.public_pem().unwrap());
    server.act(Act::ByPath(vec![("/pem/current".to_owned(), pem)]));
    let keys = format!(
        "{{ pem_url = {:?}, ca = {} }}",
        server.url("/pem/{kid}"),
        server.ca()
    );
    let text = plan.config(&keys, "127.0.0.1:9");
    plan.world.write("sidegate.toml", &text).unwrap();
    let ask = async |flags: &'static [&str]| {
        let folder = plan.world.folder.clone();
        let run = move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidegate"));
            command.args([
                "explain",
                "--config",
                "sidegate.toml",
                "--certificate",
                "front.crt",
            ]);
            command.args(["--token-file", "token"]).args(flags);
            command.current_dir(folder).env_clear().output()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap(),
        )
    };
    let (code, text) = ask(&[]).await;
    assert!(
        text.contains("keys_unavailable") && text.contains("--fetch"),
        "{text}"
    );
    assert_eq!((code, server.asked()), (1, 0), "{text}");
    let (code, text) = ask(&["--fetch"]).await;
    assert_eq!((code, server.asked()), (0, 1), "{text}");
}

#[tokio::test]
async fn without_a_ca_those_of_the_system_are_believed_and_no_other() {
    let server = KeyServer::start().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let keys = format!("{{ url = {:?} }}", server.url("/jwks.json"));
    let text = plan.config(&keys, "127.0.0.1:9");
    plan.world.write("sidegate.toml", &text).unwrap();
    plan.world
        .write("keys-ca.crt", server.authority.pem())
        .unwrap();
    for (bundle, words) in [
        ("keys-ca.crt", "1 usable keys"),
        ("ca.crt", "write its CA as keys.ca"),
    ] {
        let folder = plan.world.folder.clone();
        let run = move || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sidegate"));
            command
                .args(["check", "--config"])
                .arg(folder.join("sidegate.toml"));
            command
                .env_clear()
                .env("SSL_CERT_FILE", folder.join(bundle));
            command.output()
        };
        let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn plain_http_is_fetched_on_this_machine() {
    let server = KeyServer::plain().await;
    let plan = Plan::new();
    server.publish(&[&plan.world.key]);
    let keys = format!("{{ url = {:?} }}", server.url("/jwks.json"));
    let town = plan.start(&keys).await;
    ready(&town).await;
    assert_eq!(status(&town, &town.token()).await, 200);
    let page = status_page(&town).await;
    assert!(page["objects"]["keys/main"]["stale"].is_null(), "{page}");
}
