//! Thousands of reloads leave nothing behind: no memory, no descriptor, no thread, no watch.
//!
//! `RELOAD_ROUNDS` sets another number of rounds than 56, which are 2,800 reloads: 196 for ten thousand.

use std::fmt::Write as _;
use std::fs;

use sidegate::lab::{Http, Leaf, SigningKey, World, world};
use sidegate::model::Algorithm;

use crate::harness::process::{Gate, fresh_world};
use crate::harness::service::Fast;
use crate::harness::{eventually_so, get, local};

const ISSUERS: usize = 50;
/// Every so often the configuration changes, too, which brings everything anew.
const PER_CONFIG: usize = 14;
/// After so many rounds everything has been allocated that ever will be.
const WARM: usize = 28;

/// What a process holds.
#[derive(Debug)]
struct Holds {
    resident: u64,
    descriptors: usize,
    threads: usize,
    watches: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_reloads_leave_nothing_behind() {
    let service = Fast::start().await;
    let issuers = |world: &World, config: String| {
        let mut text = format!("{config}\n[log]\nlevel = \"error\"\n");
        for number in 0..ISSUERS {
            write(world, number, 0);
            write!(
                text,
                "[[issuer]]\nname = \"i{number}\"\nissuer = \"i{number}\"\naudience = [\"a\"]\n\
                 header = \"x-token-{number}\"\nkeys = {{ file = \"keys-{number}.json\" }}\n"
            )
            .unwrap();
        }
        text
    };
    let gate = Gate::within(fresh_world(), "exec \"$@\"", &service.upstream, issuers).await;
    let config = fs::read_to_string(gate.world.folder.join("sidegate.toml")).unwrap();
    let mut line = gate.front(Http::Two).open(local(gate.port)).await.unwrap();
    let mut expected = reloads(&gate).await;
    let mut warm = None;
    let rounds = rounds();
    for round in 1..=rounds {
        let renews_all = round % PER_CONFIG == 0;
        for number in 0..ISSUERS {
            write(&gate.world, number, round);
        }
        let pair = gate
            .world
            .ca
            .issue(&Leaf::server(world::SERVER_NAME))
            .unwrap();
        gate.world.write("server.crt", &pair.chain_pem).unwrap();
        gate.world.write("server.key", &pair.key_pem).unwrap();
        if renews_all {
            let text = format!("{config}# round {round}\n");
            gate.world.write("sidegate.toml", &text).unwrap();
        }
        // The configuration brings all issuers (two of them the world's), itself and the identity.
        expected += ISSUERS as u64 + 1 + if renews_all { 3 } else { 0 };
        eventually_so(&format!("round {round}"), async || {
            reloads(&gate).await >= expected
        })
        .await;
        // A look between two of the writes makes two reloads of one.
        expected = reloads(&gate).await;
        let answer = line
            .send(get("/", &[("authorization", &gate.pass())]))
            .await;
        assert_eq!(answer.unwrap().status(), 200, "round {round}");
        if round == WARM {
            warm = Some(holds(&gate));
        }
    }
    assert!(expected >= (rounds * ISSUERS) as u64, "{expected}");
    nothing_is_left(&gate, &warm.unwrap(), expected).await;
}

fn rounds() -> usize {
    let named = std::env::var("RELOAD_ROUNDS").ok();
    named.map_or(56, |count| count.parse().unwrap())
}

/// What the gate holds now is what it held when it was warm.
async fn nothing_is_left(gate: &Gate, warm: &Holds, reloads: u64) {
    // The connection that asked for the metrics may be on its way out.
    eventually_so("no descriptor is left", async || {
        holds(gate).descriptors <= warm.descriptors
    })
    .await;
    let end = holds(gate);
    println!("{reloads} reloads: {warm:?} after {WARM} rounds, {end:?} at the end");
    assert_eq!(end.threads, warm.threads);
    assert_eq!(end.watches, warm.watches);
    let growth = end.resident.saturating_sub(warm.resident);
    assert!(growth < 1 << 20, "{warm:?} {end:?}");
}

fn write(world: &World, number: usize, round: usize) {
    let kid = format!("key-{round}");
    let key = SigningKey::generate(Algorithm::Es256, Some(&kid)).unwrap();
    let text = SigningKey::jwks(&[&key]).unwrap();
    world.write(&format!("keys-{number}.json"), &text).unwrap();
}

/// How many there have been that could be used; no other kind happens here.
async fn reloads(gate: &Gate) -> u64 {
    let text = gate.ask("/metrics").await.body;
    let text = String::from_utf8(text.to_vec()).unwrap();
    let samples = text
        .lines()
        .filter(|line| line.starts_with("sidegate_reload_total{"));
    let done = samples.filter(|line| line.contains("result=\"loaded\""));
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    done.map(value).sum()
}

fn holds(gate: &Gate) -> Holds {
    let folder = format!("/proc/{}", gate.pid());
    let count = |name: &str| fs::read_dir(format!("{folder}/{name}")).unwrap().count();
    let infos = fs::read_dir(format!("{folder}/fdinfo")).unwrap();
    let infos = infos.map(|info| fs::read_to_string(info.unwrap().path()).unwrap_or_default());
    let watches = infos.map(|info| info.matches("inotify wd:").count());
    Holds {
        resident: gate.resident_bytes(),
        descriptors: count("fd"),
        threads: count("task"),
        watches: watches.sum(),
    }
}
