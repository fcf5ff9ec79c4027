//! The deny list on live connections: what it names is out within a second, whatever was found good
//! before; what it does not name never notices.

use http::Response;
use sidegate::lab::{Echo, Http, SigningKey, World};
use sidegate::model::Algorithm;
use sidegate::settings::{Overrides, Settings};
use sidegate::startup;

use crate::harness::process::Gate;
use crate::harness::ticking::{Ticking, events};
use crate::harness::{ANY, Town, bearer, eventually, eventually_so, get, new_world, status_page};

const BOTH: [Http; 2] = [Http::One, Http::Two];

/// A list that denies nothing.
const NOBODY: &str = "# nobody\n";

/// A gate with this deny list.
async fn town(list: &str) -> Town {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let upstream = echo.address.to_string();
    Town::prepared(echo, &upstream, |world, config| {
        world.write("deny.list", list).unwrap();
        format!("{config}\n[deny]\nfile = \"deny.list\"\n")
    })
    .await
}

/// Replaces the list by renaming another one over it.
fn deny(world: &World, list: &str) {
    world.write("next.list", list).unwrap();
    std::fs::rename(
        world.folder.join("next.list"),
        world.folder.join("deny.list"),
    )
    .unwrap();
}

async fn status(town: &Town, token: &str) -> u16 {
    let call = get("/", &[("authorization", &bearer(token))]);
    let answer = town.front(Http::One).call(town.gate.address, call).await;
    answer.map_or(0, |answer: Response<_>| answer.status().as_u16())
}

/// The entry that names the certificate of `front` by its number.
fn by_serial(town: &Town) -> String {
    let serial: Vec<String> = town
        .world
        .front
        .serial
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let serial = serial.join(":");
    let ca = "CN=sidegate development CA, O=sidegate development only";
    format!("certificate serial={serial} issuer=\"{ca}\"\n")
}

fn by_fingerprint(town: &Town) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &town.world.front.der);
    let hex: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("certificate sha256={hex}\n")
}

#[tokio::test]
async fn a_denied_token_is_refused_though_it_is_cached() {
    let town = town(NOBODY).await;
    let good = town.token();
    let claims = town.world.token().claim("jti", "one").claim("sid", "s-1");
    let token = claims.sign(&town.world.key).unwrap();
    let by_next = town.world.token().sign(&town.world.next_key).unwrap();
    for list in [
        "jti issuer=main jti=one\n",
        "sid issuer=main sid=\"s-1\" # the browser that was left open\n",
        "kid issuer=main kid=current\n",
        "sub issuer=main sub=ada\n",
        "issued-before issuer=main time=2999-01-01T00:00:00Z\n",
    ] {
        deny(&town.world, NOBODY);
        eventually_so("nothing is denied", async || {
            status(&town, &token).await == 200
        })
        .await;
        assert_eq!(status(&town, &token).await, 200, "from the cache");
        let cached = town.sample("sidegate_tokens_verified_total{source=\"cache\"}");
        assert!(cached > 0);

        deny(&town.world, list);
        eventually_so(list, async || status(&town, &token).await == 401).await;
        let about_one = list.starts_with("jti") || list.starts_with("sid");
        assert_eq!(
            status(&town, &good).await,
            if about_one { 200 } else { 401 },
            "{list}"
        );
        let other_key = if list.starts_with("sub") || list.starts_with("issued") {
            401
        } else {
            200
        };
        assert_eq!(status(&town, &by_next).await, other_key, "{list}");
    }
    assert!(town.refused("token_denied") >= 5);
}

#[tokio::test]
async fn a_key_that_verified_a_token_without_kid_is_denied_by_its_own_name() {
    let town = town(NOBODY).await;
    let alone = SigningKey::jwks(&[&town.world.key]).unwrap();
    town.world.write("jwks.json", &alone).unwrap();
    let payload = town.world.token().payload();
    let token = town
        .world
        .key
        .sign("{\"alg\":\"ES256\"}", payload.as_bytes())
        .unwrap();
    eventually_so("the key is alone", async || {
        status(&town, &token).await == 200
    })
    .await;
    deny(&town.world, "kid issuer=main kid=current\n");
    eventually_so("it is denied", async || status(&town, &token).await == 401).await;
}

#[tokio::test]
async fn a_denied_certificate_is_out_on_open_connections_too() {
    for http in BOTH {
        for entry in [by_serial, by_fingerprint, |_: &Town| {
            "certificate uri=spiffe://test.example/front\n".to_owned()
        }] {
            let town = town(NOBODY).await;
            let token = bearer(&town.token());
            let partner = town.world.partner_token();
            let partner = partner.sign(&town.world.partner_key).unwrap();
            let mut line = town.front(http).open(town.gate.address).await.unwrap();
            let caller = town.caller(Some(&town.world.partner), http);
            let mut bystander = caller.open(town.gate.address).await.unwrap();
            let fields = [("authorization", &*token)];
            let others = [("x-partner-assertion", &*partner)];
            assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);
            let answer = bystander.send(get("/", &others)).await.unwrap();
            assert_eq!(answer.status(), 200);

            deny(&town.world, &entry(&town));
            eventually_so("it is out", async || {
                let refused = line.send(get("/", &fields)).await;
                refused.map_or(true, |answer| answer.status() == 403)
            })
            .await;
            let closed = "sidegate_connections_closed_total{cause=\"trust\"}";
            eventually("its connection is closed", || town.sample(closed) == 1).await;
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
}

#[tokio::test]
async fn a_denied_certificate_gets_an_alert_and_a_line_that_names_the_entry() {
    let town = town("# line 1\n\ncertificate uri=spiffe://test.example/front\n").await;
    let call = get("/", &[("authorization", &bearer(&town.token()))]);
    let error = town.front(Http::One).call(town.gate.address, call).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("CertificateRevoked"), "{error}");
    eventually("it is counted", || town.refused("certificate_denied") == 1).await;
}

#[tokio::test]
async fn an_entry_that_has_ended_denies_nothing() {
    let town = town("sub issuer=main sub=ada until=2020-01-01\n").await;
    assert_eq!(status(&town, &town.token()).await, 200);
    deny(&town.world, "sub issuer=main sub=ada until=2999-01-01\n");
    eventually_so("it is denied", async || {
        status(&town, &town.token()).await == 401
    })
    .await;
}

#[tokio::test]
async fn a_broken_list_keeps_the_last_good_one_and_is_told() {
    let town = town("sub issuer=main sub=ada\n").await;
    assert_eq!(status(&town, &town.token()).await, 401);
    assert_eq!(town.sample("sidegate_deny_entries"), 1);
    let broken = "sub issuer=main sub=other\nsub issuer=mian sub=ada@secret.example\n";
    deny(&town.world, broken);
    let failed = "sidegate_reload_total{object=\"deny\",result=\"failed\"}";
    eventually("it is told", || town.sample(failed) >= 1).await;
    assert_eq!(status(&town, &town.token()).await, 401);
    let page = status_page(&town).await;
    let why = page["objects"]["deny"]["stale"]["why"].as_str().unwrap();
    assert!(
        why.contains("line 2") && why.contains("did you mean `main`?"),
        "{why}"
    );
    assert!(!page.to_string().contains("secret.example"), "{page}");

    std::fs::remove_file(town.world.folder.join("deny.list")).unwrap();
    is_told(&town, "cannot read").await;
    assert_eq!(
        status(&town, &town.token()).await,
        401,
        "no list is not one that denies nothing"
    );
    deny(&town.world, NOBODY);
    eventually_so("one that denies nothing is", async || {
        status(&town, &town.token()).await == 200
    })
    .await;
}

/// Waits until this is why the list cannot be used. How often is no measure: what failed is tried
/// again untold.
async fn is_told(town: &Town, words: &str) {
    eventually_so(words, async || {
        let page = status_page(town).await;
        let why = page["objects"]["deny"]["stale"]["why"].as_str();
        why.is_some_and(|why| why.contains(words))
    })
    .await;
}

/// `curl > deny.list` empties the file first, and fills it as it goes.
#[tokio::test]
async fn a_list_that_is_being_written_opens_the_gate_for_nobody() {
    let town = town("sub issuer=main sub=ada\n").await;
    for (half, words) in [
        ("", "the file is empty"),
        (
            "# of today\nsub issuer=main sub=ad",
            "line 2: it has no line end",
        ),
    ] {
        town.world.write("deny.list", half).unwrap();
        is_told(&town, words).await;
        assert_eq!(status(&town, &town.token()).await, 401, "{half:?}");
    }
    town.world
        .write("deny.list", "# of today\nsub issuer=main sub=adam\n")
        .unwrap();
    eventually_so("it is whole", async || {
        status(&town, &town.token()).await == 200
    })
    .await;
}

#[tokio::test]
async fn without_its_deny_list_the_gate_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let config = world.config(ANY, ANY, "127.0.0.1:1");
    let config = format!("{config}\n[deny]\nfile = \"deny.list\"\n");
    let name = folder.path().join("sidegate.toml");
    let (settings, _) =
        Settings::from_text(&config, name.to_str().unwrap(), &Overrides::default()).unwrap();
    let error = startup::start(settings.clone())
        .await
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("deny.list"), "{error}");
    world.write("deny.list", "sub issuer=main\n").unwrap();
    let error = startup::start(settings).await.map(drop).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("line 1: sub needs sub"), "{cause}");
}

/// Far more than a key file may have.
#[tokio::test]
async fn a_list_of_many_megabytes_is_watched_and_read_too() {
    let town = town(NOBODY).await;
    let mut list = String::new();
    // Bytes are what counts; entries are what takes a debug build its time.
    let why = "x".repeat(300);
    for number in 0..20_000 {
        list.push_str(&format!(
            "jti issuer=main jti=5b7b4a52-6fcb-4ba3-9a3f-{number:012x} until=2999-01-01 # {why}\n"
        ));
    }
    assert!(list.len() > 6 << 20);
    let claims = town
        .world
        .token()
        .claim("jti", "5b7b4a52-6fcb-4ba3-9a3f-000000004e1f");
    let token = claims.sign(&town.world.key).unwrap();
    assert_eq!(status(&town, &token).await, 200);
    deny(&town.world, &list);
    eventually_so("it is read", async || status(&town, &token).await == 401).await;
    deny(&town.world, &list.replace("000000004e1f", "000000004e1e"));
    eventually_so("and read again", async || {
        status(&town, &token).await == 200
    })
    .await;
}

/// A name in the list means an issuer of the configuration: both change together or not at all.
#[tokio::test]
async fn a_configuration_that_the_list_does_not_fit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = new_world(folder.path());
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let config = world.config(ANY, ANY, &echo.address.to_string());
    let config = format!("{config}\n[deny]\nfile = \"deny.list\"\n");
    world
        .write("deny.list", "sub issuer=main sub=ada\n")
        .unwrap();
    world.write("sidegate.toml", &config).unwrap();
    let path = folder.path().join("sidegate.toml");
    let (settings, _) = Settings::load(&path, &Overrides::default()).unwrap();
    let from = startup::ConfigFile {
        path,
        overrides: Overrides::default(),
    };
    let gate = startup::start_from(from, settings).await.unwrap();
    let sample = |name: &str| crate::harness::sample(&gate.metrics, name);
    let caller = sidegate::lab::Caller::new(
        world.ca.pem(),
        sidegate::lab::world::SERVER_NAME,
        Some(&world.front),
        Http::One,
    );
    let caller = caller.unwrap();
    let token = bearer(&world.token().sign(&world.key).unwrap());
    let status = async || {
        let call = get("/", &[("authorization", &token)]);
        caller
            .call(gate.address, call)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(status().await, 401);
    let renamed = config.replace("\"main\"", "\"first\"");
    world.write("sidegate.toml", &renamed).unwrap();
    eventually("it is told", || {
        sample("sidegate_reload_total{object=\"config\",result=\"failed\"}") >= 1
    })
    .await;
    assert_eq!(status().await, 401);
    let generation = "sidegate_generation{object=\"config\"}";
    assert_eq!(sample(generation), 1);
    world
        .write("deny.list", "sub issuer=first sub=ada\n")
        .unwrap();
    eventually("both fit", || sample(generation) == 2).await;
    assert_eq!(status().await, 401);
}

#[tokio::test]
async fn a_stranger_to_the_list_is_never_asked_for_more() {
    let town = town("sub issuer=partner sub=ada\nkid issuer=partner kid=current\n").await;
    assert_eq!(
        status(&town, &town.token()).await,
        200,
        "the same words of another issuer"
    );
    let other = SigningKey::generate(Algorithm::Es256, Some("elsewhere")).unwrap();
    assert_eq!(
        status(&town, &town.world.token().sign(&other).unwrap()).await,
        401
    );
    assert_eq!(town.refused("token_denied"), 0);
}

/// What finds the entry is its line; whose it is stays in the list.
#[tokio::test]
async fn the_log_names_the_line_of_the_entry_and_never_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("deny.list");
    std::fs::write(&list, NOBODY).unwrap();
    let service = Ticking::start().await;
    let more = format!("[deny]\nfile = {:?}", list.to_str().unwrap());
    let gate = Gate::start(&service.upstream, &more).await;
    let address = crate::harness::local(gate.port);
    let claims = gate.world.token().claim("jti", "jti-of-somebody");
    let token = bearer(&claims.sign(&gate.world.key).unwrap());
    let fields = [("authorization", &*token), ("x-request-id", "find-me-1")];
    let caller = gate.front(Http::Two);
    let stream = events(&caller, address, Http::Two, &fields).await;

    let next = folder.path().join("next");
    std::fs::write(&next, "#\n\njti issuer=main jti=jti-of-somebody\n").unwrap();
    std::fs::rename(&next, &list).unwrap();
    stream.ended().await;
    let call = get("/", &fields);
    assert_eq!(caller.call(address, call).await.unwrap().status(), 401);
    let with_certificate = "certificate uri=spiffe://test.example/front # 1\n";
    std::fs::write(&next, with_certificate).unwrap();
    std::fs::rename(&next, &list).unwrap();
    eventually_so("the certificate is denied", async || {
        caller.connect(address).await.is_err()
            || caller.call(address, get("/", &fields)).await.is_err()
    })
    .await;

    eventually("all three are told", || {
        let log = gate.log();
        let line = |words: &[&str]| {
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
        };
        let id = "\"request_id\":\"find-me-1\"";
        line(&[
            "\"decision\":\"ended\"",
            "\"token_denied\"",
            "\"deny_line\":3",
            id,
        ]) && line(&[
            "\"decision\":\"refused\"",
            "\"token_denied\"",
            "\"deny_line\":3",
            id,
        ]) && line(&["\"certificate_denied\"", "\"deny_line\":1,"])
    })
    .await;
    assert!(!gate.log().contains("jti-of-somebody"), "{}", gate.log());
}

/// Runs `openssl` and returns what it printed.
fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut command = std::process::Command::new("openssl");
    let piped = std::process::Stdio::piped;
    let mut child = command
        .args(arguments)
        .stdin(piped())
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Whoever looks at a certificate does so with openssl, and copies from there.
#[test]
fn a_name_as_openssl_prints_it_names_the_certificate_or_is_refused() {
    for (subject, is_plain) in [
        ("/C=DE/ST=BY/L=Ulm/O=Example/OU=Edge/CN=Edge CA 1", true),
        ("/CN=Edge CA/emailAddress=pki@example.com", true),
        ("/DC=example/DC=net/UID=u1/CN=Edge", true),
        ("/GN=Ada/SN=Lovelace/serialNumber=7/title=t/CN=Edge", true),
        ("/street=s/postalCode=1/businessCategory=b/CN=Edge", true),
        ("/organizationIdentifier=NTRDE-1/pseudonym=p/CN=Edge", true),
        (
            "/jurisdictionC=DE/jurisdictionST=BY/jurisdictionL=Ulm/CN=E",
            true,
        ),
        (
            "/dnQualifier=q/generationQualifier=G/initials=i/name=n",
            true,
        ),
        ("/O=Example+OU=Edge/CN=Edge", true),
        ("/O=Example, Inc./CN=Edge", false),
        ("/O=Caf\u{e9}/CN=Edge", false),
    ] {
        let key = ["req", "-x509", "-newkey", "ec", "-pkeyopt"];
        let rest = ["ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"];
        let name = [
            "-utf8",
            "-multivalue-rdn",
            "-outform",
            "DER",
            "-subj",
            subject,
        ];
        let der = openssl(&[&key[..], &rest, &name].concat(), b"");
        let print = ["x509", "-inform", "DER", "-noout", "-serial", "-issuer"];
        let text = String::from_utf8(openssl(&print, &der)).unwrap();
        let (serial, issuer) = text.trim().split_once("\nissuer=").unwrap();
        let issuer = serde_json::to_string(issuer).unwrap();
        let list = format!("certificate {serial} issuer={issuer}\n");
        let read = sidegate::revocation::DenyList::parse(list.as_bytes(), &[]);
        if !is_plain {
            let error = read.map(drop).expect_err(&list).to_string();
            assert!(error.contains("by sha256="), "{error}");
            continue;
        }
        let certificate = sidegate::accept::certificate::Certificate::parse(&der).unwrap();
        let now = sidegate::model::Timestamp::now();
        let denied = read.unwrap().denies_certificate(certificate.facts(), now);
        assert!(denied.is_some(), "{list}{}", certificate.issuer);
    }
}
