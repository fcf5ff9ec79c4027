//! The attack table against a live gate, over real TLS: none of it reaches the upstream, each row
//! gets the reason that it must, and the caller learns only the status.

use std::fmt::Write as _;

use sidegate::deny::Answer;
use sidegate::lab::Http;
use sidegate::model::Timestamp;
use sidegate::settings::{AudienceRule, IssuerSettings, KeySource, SubjectRule, TokenPlace};

use crate::attacks::{World, rows};
use crate::harness::counters::Refusals;
use crate::harness::{Town, get, seen_header};

/// The attack table's issuers in place of the town's own.
pub(crate) fn config(base: &str, world: &World) -> String {
    let issuers = world.issuers();
    let names: Vec<&str> = World::peer_issuers()
        .iter()
        .map(|index| &*issuers[usize::from(index.0)].name)
        .collect();
    let (before, rest) = base.split_once("[[peer]]").unwrap();
    let (_, after) = rest.split_once("[upstream]").unwrap();
    let mut text = format!(
        "{before}[[peer]]\nname = \"front\"\nuri = [\"{}\"]\nissuers = {names:?}\n",
        sidegate::lab::world::FRONT
    );
    for issuer in &issuers {
        text.push_str(&issuer_table(issuer));
    }
    format!("{text}[upstream]{after}")
}

fn issuer_table(issuer: &IssuerSettings) -> String {
    let algorithms: Vec<&str> = issuer.algorithms.iter().map(|it| it.name()).collect();
    let (kind, path) = match &issuer.keys {
        KeySource::JwksFile(path) => ("file", path),
        KeySource::PemFile(path) => ("pem", path),
        KeySource::SecretFile(path) => ("secret", path),
        KeySource::PemMapFile(_) | KeySource::Directory(_) | KeySource::Remote(_) => {
            panic!("no attack needs such keys")
        }
    };
    let AudienceRule::OneOf(audience) = &issuer.audience else {
        panic!("{issuer:?}")
    };
    let mut text = format!(
        "[[issuer]]\nname = {:?}\nissuer = {:?}\naudience = {:?}\nalgorithms = {algorithms:?}\n\
         keys = {{ {kind} = {path:?} }}\nleeway = \"{}s\"\nmax_lifetime = \"{}s\"\n\
         allow_empty_subject = {}\n",
        &*issuer.name,
        issuer.maker.issuer().unwrap(),
        audience,
        issuer.leeway.as_secs(),
        issuer.max_lifetime.as_secs(),
        issuer.subject == SubjectRule::MayBeEmpty,
    );
    for place in &issuer.places {
        match place {
            TokenPlace::Header(name) => writeln!(text, "header = \"{name}\"").unwrap(),
            TokenPlace::Bearer(name) => {
                writeln!(text, "header = \"{name}\"\nscheme = \"Bearer\"").unwrap();
            }
            TokenPlace::Cookie(name) => writeln!(text, "cookie = \"{name}\"").unwrap(),
        }
    }
    text
}

async fn no_row_gets_through(http: Http) {
    let world = World::new(Timestamp::now());
    let town = Town::with(|base| config(&base, &world)).await;
    let front = town.front(http);
    let mut line = front.open(town.gate.address).await.unwrap();
    let mut wrong = String::new();
    let mut refusals = Refusals::watch(&town.gate.metrics);
    for row in rows(&world) {
        let fields: Vec<(&str, &str)> = row
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let answer = line.send(get("/", &fields)).await.unwrap();
        let expected = Answer::to(row.denial);
        let told = String::from_utf8_lossy(answer.body()).into_owned();
        let refused = refusals.new_ones(&town.gate.metrics) == [row.denial.code()];
        let silent = !told.contains(row.denial.code());
        let marked = answer.headers().contains_key("proxy-status");
        if answer.status() != expected.status || !refused || !silent || !marked {
            let (name, code) = (&row.name, row.denial.code());
            writeln!(wrong, "{name}: not {code} but {}: {told}", answer.status()).unwrap();
        }
    }
    assert_eq!(wrong, "");
    assert_eq!(
        town.echo.served(),
        0,
        "a refused request reached the upstream"
    );
    for (name, fields) in world.good_requests() {
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let answer = line.send(get("/", &fields)).await.unwrap();
        assert_eq!(answer.status(), 200, "{name}");
        // `pinned` may speak for nobody.
        assert!(seen_header(&answer, "x-auth-subject").len() <= 1, "{name}");
    }
}

#[tokio::test]
async fn no_attack_of_the_table_passes_a_live_gate_over_http_1() {
    no_row_gets_through(Http::One).await;
}

#[tokio::test]
async fn no_attack_of_the_table_passes_a_live_gate_over_http_2() {
    no_row_gets_through(Http::Two).await;
}
