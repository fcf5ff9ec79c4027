//! The decision alone: from a request's head to a permit or a reason, without sockets; its time, and
//! how often it asks for memory.
//!
//! Run it with `make bench-decision`. The counts of allocations are held against a table in any case:
//! `make decision-allocations` checks them alone. It runs no gate: what a whole request takes is the
//! business of `bench/instructions`.

use std::cell::Cell;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use allocation_counter::AllocationInfo;
use criterion::Criterion;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request};
use sidegate::accept::{ConnectionId, Peer};
use sidegate::check::Principal;
use sidegate::gate::Policy;
use sidegate::lab::{TokenSpec, World};
use sidegate::model::{Denial, Timestamp};
use sidegate::observe::Known;
use sidegate::pem;
use sidegate::reload::Edition;
use sidegate::settings::{Overrides, Settings};
use sidegate::startup::Judges;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// More tokens than the judge is told to remember, so that each is new when its turn comes.
const TOKENS: usize = 2_048;
const REMEMBERED: usize = 8;
/// As many routes as somebody's largest configuration has.
const ROUTES: usize = 10_000;

/// How often each asks for memory, at most. Lower it when you can; nobody raises it by accident.
const ALLOCATIONS: [(&str, u64); 8] = [
    ("repeated RS256", 2),
    ("fresh ES256", 41),
    ("fresh RS256", 41),
    ("refused: no token", 2),
    ("refused: another audience", 40),
    ("route of one", 1),
    ("route of ten thousand", 1),
    ("identity headers", 14),
];

/// A judge with what it needs.
struct Court {
    judges: Judges,
    policy: Arc<Edition<Policy>>,
    peer: Peer,
    now: Timestamp,
}

/// A request, or many that take turns.
struct Docket {
    requests: Vec<Request<()>>,
    next: Cell<usize>,
    verdict: Result<(), Denial>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("decision: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let world = World::create(folder.path(), Timestamp::now())?;
    let court = Court::open(&world, "")?;
    let routed = Court::open(&world, &routes())?;
    let last = head(&format!("/service-{}/page", ROUTES - 1), None)?;
    let first = head("/service-0/page", None)?;
    let dockets = dockets(&world)?;
    let principal = court.principal(dockets.first().ok_or("no docket")?.1.next())?;

    let mut criterion = Criterion::default().configure_from_args();
    let mut wrong = Vec::new();
    let mut bench = |name: &str, work: &dyn Fn()| {
        wrong.extend(count(name, work));
        criterion.bench_function(name, |bencher| bencher.iter(work));
    };
    for (name, docket) in &dockets {
        court.judge(docket.next(), docket.verdict)?;
        bench(name, &|| {
            black_box(court.judge(docket.next(), docket.verdict)).unwrap_or_default();
        });
    }
    for (name, request) in [("route of one", &first), ("route of ten thousand", &last)] {
        bench(name, &|| {
            drop(black_box(routed.policy.value.routes.choose(request)))
        });
    }
    let headers = &court.policy.value.headers;
    bench("identity headers", &|| {
        drop(black_box(headers.identity(Some(&principal))))
    });
    criterion.final_summary();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

/// Counts the allocations of a turn; what is wrong with them.
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn count(name: &str, work: &dyn Fn()) -> Option<String> {
    // What is made once, such as a thread's own values, is made now.
    (0..TOKENS).for_each(|_| work());
    let AllocationInfo {
        count_total,
        bytes_total,
        ..
    } = allocation_counter::measure(|| (0..TOKENS).for_each(|_| work()));
    // To the nearest whole: one or the other of the tokens may still be remembered.
    let turns = TOKENS as u64;
    let [count, bytes] = [count_total, bytes_total].map(|all| (all + turns / 2) / turns);
    println!("{name:<28} {count:>4} allocations, {bytes:>6} bytes");
    let most = ALLOCATIONS.iter().find(|(known, _)| *known == name);
    let most = most.map_or(0, |(_, most)| *most);
    (count > most)
        .then(|| format!("{name}: {count} allocations, and {most} are expected: see ALLOCATIONS in bench/decision.rs"))
}

/// What is judged, and with what outcome.
fn dockets(world: &World) -> Result<Vec<(&'static str, Docket)>, Failure> {
    let token = |spec: TokenSpec, key| -> Result<Request<()>, Failure> {
        head("/bench?page=2", Some(&spec.sign(key)?))
    };
    let numbered = |number: usize| world.token().claim("jti", format!("{number:06}"));
    let fresh = |key| -> Result<Vec<_>, Failure> {
        (0..TOKENS)
            .map(|number| token(numbered(number), key))
            .collect()
    };
    let elsewhere = |number| numbered(number).claim("aud", "elsewhere.test");
    let docket = |requests, verdict| Docket {
        requests,
        next: Cell::new(0),
        verdict,
    };
    let (es256, rs256) = (&world.key, &world.next_key);
    let refused = (0..TOKENS).map(|number| token(elsewhere(number), es256));
    let refused = refused.collect::<Result<Vec<_>, _>>()?;
    Ok(vec![
        (
            "repeated RS256",
            docket(vec![token(world.token(), rs256)?], Ok(())),
        ),
        ("fresh ES256", docket(fresh(es256)?, Ok(()))),
        ("fresh RS256", docket(fresh(rs256)?, Ok(()))),
        (
            "refused: no token",
            docket(vec![head("/bench", None)?], Err(Denial::TokenMissing)),
        ),
        (
            "refused: another audience",
            docket(refused, Err(Denial::AudienceMismatch)),
        ),
    ])
}

/// What a front proxy sends.
fn head(path: &str, token: Option<&str>) -> Result<Request<()>, Failure> {
    let mut request = Request::get(path).body(())?;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("legacy.test"));
    headers.insert(USER_AGENT, HeaderValue::from_static("a front proxy"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.7"));
    if let Some(token) = token {
        let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
        headers.insert(AUTHORIZATION, value);
    }
    *request.headers_mut() = headers;
    Ok(request)
}

fn routes() -> String {
    let route = |number| format!("\n[[route]]\npath = \"/service-{number}/**\"\n");
    (0..ROUTES).map(route).collect()
}

// === impl Docket ===

impl Docket {
    fn next(&self) -> &Request<()> {
        let at = self.next.get();
        self.next.set(at + 1);
        #[expect(
            clippy::indexing_slicing,
            reason = "below the length, and no docket is empty"
        )]
        &self.requests[at % self.requests.len()]
    }
}

// === impl Court ===

impl Court {
    fn open(world: &World, more: &str) -> Result<Self, Failure> {
        let config = world.config("127.0.0.1:0", "off", "127.0.0.1:1");
        let config = format!("{config}\n[limits]\ncached_tokens = {REMEMBERED}\n{more}");
        let name = world.folder.join("sidegate.toml");
        let name = name.to_str().ok_or("a folder that is no text")?;
        let (settings, _) = Settings::from_text(&config, name, &Overrides::default())?;
        let judges = Judges::load(&settings, |_| None)?;
        let chain = pem::certificates(&world.folder.join("front.crt"))?;
        let now = world.now;
        let peer = judges.identity.judge(&chain, now);
        let peer = peer.map_err(|rejected| rejected.denial.code())?;
        Ok(Self {
            policy: judges.policy.current(),
            judges,
            peer,
            now,
        })
    }

    fn judge(&self, request: &Request<()>, expected: Result<(), Denial>) -> Result<(), String> {
        let mut known = Known::default();
        let who = (self.peer.clone(), ConnectionId::NONE);
        let judge = &self.judges.judge;
        let judged = judge.judge(request, &self.policy, who, (self.now, true), &mut known);
        let verdict = judged.verdict.as_ref().map(drop).map_err(|denial| *denial);
        if verdict == expected {
            return Ok(());
        }
        Err(format!("expected {expected:?}, judged {verdict:?}"))
    }

    fn principal(&self, request: &Request<()>) -> Result<Principal, Failure> {
        let who = (self.peer.clone(), ConnectionId::NONE);
        let judge = &self.judges.judge;
        let judged = judge.judge(
            request,
            &self.policy,
            who,
            (self.now, true),
            &mut Known::default(),
        );
        let permit = judged.verdict.map_err(Denial::code)?;
        Ok(permit.principal().ok_or("no token was needed")?.clone())
    }
}
