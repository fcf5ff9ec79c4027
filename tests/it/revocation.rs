//! Whatever is taken away is gone everywhere within a second: on open connections, running streams,
//! cached tokens and new connections alike; and only there.
//!
//! One row for each thing that can be taken away, one column for each thing that may be open then.

use std::time::Duration;

use sidegate::lab::{Caller, Http, Line, SigningKey, Validity, World, world};
use sidegate::startup;
use tempfile::TempDir;
use tokio::time::{Instant, interval};

use crate::harness::ticking::{Running, Ticking, events, upload, websocket};
use crate::harness::{ANY, bearer, eventually, get, new_world};
use crate::reload::from_file;

/// The promise.
const WITHIN: Duration = Duration::from_secs(1);
/// The control: a bystander's round trip takes a few milliseconds. Where one took so long meanwhile,
/// the machine was busy with other tests, and the row is tried once more.
const HELD_UP: Duration = Duration::from_millis(250);
/// How often it is asked whether it is over.
const PACE: Duration = Duration::from_millis(20);
/// What is not over by then never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is taken away.
#[derive(Clone, Copy, Debug)]
enum Taken {
    Key,
    Ca,
    Revoked,
    Peer,
    Pair,
    Issuer,
    /// An entry of the deny list.
    Denied(fn(&World) -> String),
}

/// A gate before a service that never ends an answer.
struct Place {
    world: World,
    gate: startup::Running,
    config: String,
    _folder: TempDir,
}

impl Place {
    async fn build(taken: Taken) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = new_world(folder.path());
        let service = Ticking::start().await;
        let mut config = world.config(ANY, ANY, &service.upstream);
        config.push_str("\n[deny]\nfile = \"deny.list\"\n");
        if let Taken::Ca = taken {
            // Two CAs of one name: a list of one would be taken for the other's.
            config = config.replace("client_crl = \"ca.crl\"\n", "");
            let both = [world.ca.pem(), world.foreign_ca.pem()].concat();
            world.write("ca.crt", &both).unwrap();
        }
        world.write("deny.list", "# nothing yet\n").unwrap();
        world.write("sidegate.toml", &config).unwrap();
        let gate = from_file(&folder.path().join("sidegate.toml")).await;
        Self {
            world,
            gate,
            config,
            _folder: folder,
        }
    }

    fn caller(&self, taken: Taken, http: Http) -> Caller {
        let certificate = match taken {
            Taken::Ca => &self.world.foreign,
            Taken::Key
            | Taken::Revoked
            | Taken::Peer
            | Taken::Pair
            | Taken::Issuer
            | Taken::Denied(_) => &self.world.front,
        };
        let ca = self.world.ca.pem();
        Caller::new(ca, world::SERVER_NAME, Some(certificate), http).unwrap()
    }

    fn bystander(&self, http: Http) -> Caller {
        let partner = Some(&self.world.partner);
        Caller::new(self.world.ca.pem(), world::SERVER_NAME, partner, http).unwrap()
    }

    fn token(&self) -> String {
        let claims = self.world.token().claim("jti", "it").claim("sid", "s");
        bearer(&claims.sign(&self.world.key).unwrap())
    }

    /// Takes it away by one rename, and says when.
    fn take(&self, taken: Taken) -> Instant {
        let world = &self.world;
        let (name, text) = match taken {
            Taken::Key => ("jwks.json", SigningKey::jwks(&[&world.next_key]).unwrap()),
            Taken::Ca => ("ca.crt", world.ca.pem().to_owned()),
            Taken::Revoked => {
                let list = world.ca.revoke(&[&world.front.serial], Validity::Now);
                ("ca.crl", list.unwrap() + &world.intermediate_crl)
            }
            Taken::Peer => {
                let other = format!("{}-gone", world::FRONT);
                ("sidegate.toml", self.config.replace(world::FRONT, &other))
            }
            Taken::Pair => {
                let text = self.config.replacen("[\"main\"]", "[\"partner\"]", 1);
                ("sidegate.toml", text)
            }
            Taken::Issuer => {
                let text = self.config.replacen("[\"main\"]", "[\"partner\"]", 1);
                let first = text.find("[[issuer]]").unwrap();
                let second = text.rfind("[[issuer]]").unwrap();
                ("sidegate.toml", [&text[..first], &text[second..]].concat())
            }
            Taken::Denied(entry) => ("deny.list", format!("# now\n{}\n", entry(world))),
        };
        world.write("next", &text).unwrap();
        let began = Instant::now();
        std::fs::rename(world.folder.join("next"), world.folder.join(name)).unwrap();
        began
    }
}

/// What is open when it is taken away.
struct Open {
    streams: Vec<(&'static str, Running)>,
    lines: Vec<(&'static str, Line)>,
}

async fn open(place: &Place, taken: Taken) -> Open {
    let token = place.token();
    let fields = [("authorization", &*token)];
    let address = place.gate.address;
    let (one, two) = (
        place.caller(taken, Http::One),
        place.caller(taken, Http::Two),
    );
    let streams = vec![
        ("events/1", events(&one, address, Http::One, &fields).await),
        ("events/2", events(&two, address, Http::Two, &fields).await),
        (
            "socket/1",
            websocket(&one, address, Http::One, &fields).await,
        ),
        (
            "socket/2",
            websocket(&two, address, Http::Two, &fields).await,
        ),
        ("upload/1", upload(&one, address, &fields).await),
    ];
    let mut lines = vec![
        ("line/1", one.open(address).await.unwrap()),
        ("line/2", two.open(address).await.unwrap()),
    ];
    for (_, line) in &mut lines {
        // The second time from the cache.
        for _ in 0..2 {
            assert_eq!(line.send(get("/", &fields)).await.unwrap().status(), 200);
        }
    }
    Open { streams, lines }
}

/// What each of them took to be over.
async fn watch(
    place: &Place,
    taken: Taken,
    open: Open,
    began: Instant,
) -> Vec<(&'static str, Duration)> {
    let token = place.token();
    let mut waits = tokio::task::JoinSet::new();
    for (name, stream) in open.streams {
        waits.spawn(async move { (name, stream.ended().await.0) });
    }
    for (name, mut line) in open.lines {
        let token = token.clone();
        waits.spawn(async move {
            let mut pace = interval(PACE);
            loop {
                let at = pace.tick().await;
                let call = get("/", &[("authorization", &token)]);
                let answer = line.send(call).await;
                if answer.map_or(true, |answer| answer.status() != 200) {
                    return (name, at);
                }
            }
        });
    }
    // The same clients again, with whatever they keep of a session, and a token seen before.
    for (name, http) in [("again/1", Http::One), ("again/2", Http::Two)] {
        let (caller, token) = (place.caller(taken, http), token.clone());
        let address = place.gate.address;
        waits.spawn(async move {
            let mut pace = interval(PACE);
            loop {
                let at = pace.tick().await;
                let call = get("/", &[("authorization", &token)]);
                let answer = caller.call(address, call).await;
                if answer.map_or(true, |answer| answer.status() != 200) {
                    return (name, at);
                }
            }
        });
    }
    // Every one of them ends, or there is no row to show.
    let all = tokio::time::timeout(PATIENCE, waits.join_all()).await;
    let all = all.unwrap_or_else(|_| panic!("{taken:?}: something goes on"));
    let mut took: Vec<_> = all
        .into_iter()
        .map(|(name, at)| (name, at.duration_since(began)))
        .collect();
    took.sort_unstable();
    took
}

/// A bystander that asks for ever; everything must be answered with 200.
async fn keep_asking(line: &mut Line, fields: &[(&str, &str)], slowest: &mut Duration) {
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        let began = Instant::now();
        let answer = line.send(get("/", fields)).await.unwrap();
        assert_eq!(
            answer.status(),
            200,
            "the bystander's connection is untouched"
        );
        *slowest = (*slowest).max(began.elapsed());
    }
}

async fn row(name: &str, taken: Taken) {
    for last in [false, true] {
        let place = Place::build(taken).await;
        let partner = place.world.partner_token().sign(&place.world.partner_key);
        let partner = partner.unwrap();
        let fields = [("x-partner-assertion", &*partner)];
        let address = place.gate.address;
        let others = [
            events(&place.bystander(Http::Two), address, Http::Two, &fields).await,
            websocket(&place.bystander(Http::One), address, Http::One, &fields).await,
        ];
        let mut bystander = place.bystander(Http::One).open(address).await.unwrap();
        assert_eq!(
            bystander.send(get("/", &fields)).await.unwrap().status(),
            200
        );

        let open = open(&place, taken).await;
        let mut control = place.bystander(Http::Two).open(address).await.unwrap();
        let mut slowest = Duration::ZERO;
        let began = place.take(taken);
        let took = tokio::select! {
            took = watch(&place, taken, open, began) => took,
            () = keep_asking(&mut control, &fields, &mut slowest) => unreachable!(),
        };

        for other in &others {
            let before = other.ticks();
            eventually("a bystander's stream goes on", || {
                other.ticks() > before + 3
            })
            .await;
            assert!(!other.is_over());
        }
        let answer = bystander.send(get("/", &fields)).await.unwrap();
        assert_eq!(
            answer.status(),
            200,
            "the bystander's connection is untouched"
        );

        let shown: Vec<String> = took
            .iter()
            .map(|(name, took)| format!("{name} {}", took.as_millis()))
            .collect();
        println!("{name}, in ms: {}", shown.join(", "));
        let late = took.iter().any(|(_, took)| *took > WITHIN);
        if !late {
            return;
        }
        assert!(
            slowest > HELD_UP && !last,
            "later than {WITHIN:?}, while a bystander's slowest call took {slowest:?}: {shown:?}"
        );
    }
}

macro_rules! rows {
    ($($name:ident: $taken:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            row(stringify!($name), $taken).await;
        })*
    };
}

rows! {
    a_key_that_is_removed_is_gone_everywhere: Taken::Key;
    a_ca_that_is_removed_is_gone_everywhere: Taken::Ca;
    a_certificate_on_the_crl_is_gone_everywhere: Taken::Revoked;
    a_peer_that_is_removed_is_gone_everywhere: Taken::Peer;
    a_pair_that_is_parted_is_gone_everywhere: Taken::Pair;
    an_issuer_that_is_removed_is_gone_everywhere: Taken::Issuer;
    a_denied_fingerprint_is_gone_everywhere: Taken::Denied(by_fingerprint);
    a_denied_serial_number_is_gone_everywhere: Taken::Denied(by_serial);
    a_denied_uri_is_gone_everywhere: Taken::Denied(|_| format!("certificate uri={}", world::FRONT));
    a_denied_kid_is_gone_everywhere: Taken::Denied(|_| "kid issuer=main kid=current".to_owned());
    a_denied_jti_is_gone_everywhere: Taken::Denied(|_| "jti issuer=main jti=it".to_owned());
    a_denied_subject_is_gone_everywhere: Taken::Denied(|_| "sub issuer=main sub=ada".to_owned());
    a_denied_session_is_gone_everywhere: Taken::Denied(|_| "sid issuer=main sid=s".to_owned());
    all_that_was_issued_before_is_gone_everywhere: Taken::Denied(|_| {
        "issued-before issuer=main time=2999-01-01T00:00:00Z".to_owned()
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn by_fingerprint(world: &World) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &world.front.der);
    format!("certificate sha256={}", hex(digest.as_ref()))
}

fn by_serial(world: &World) -> String {
    let serial = hex(&world.front.serial);
    format!(
        "certificate serial={serial} issuer=\"CN=sidegate development CA, O=sidegate development only\""
    )
}
