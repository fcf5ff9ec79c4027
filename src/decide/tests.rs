//! The decision as later stages use it: the order of its reasons, and judging again what is open.

use http::header::AUTHORIZATION;
use tempfile::TempDir;

use super::*;
use crate::accept::ConnectionId;
use crate::check::{self, Checker, Refusal};
use crate::jwks;
use crate::lab::World;
use crate::model::Timestamp;
use crate::reload::{Reader, live};
use crate::revocation::DenyList;
use crate::settings::Overrides;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

struct Bench {
    world: World,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::create(folder.path(), NOW).unwrap();
        Self {
            world,
            _folder: folder,
        }
    }

    fn settings(&self, routes: &str) -> Settings {
        let config = self
            .world
            .config("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:1");
        let name = self.world.folder.join("sidegate.toml");
        let text = format!("{config}\n{routes}");
        let name = name.to_str().unwrap();
        Settings::from_text(&text, name, &Overrides::default())
            .unwrap()
            .0
    }

    fn policy(&self, routes: &str) -> Policy {
        Policy::build(&self.settings(routes))
    }

    /// The principal of a good token in these groups.
    fn principal(&self, groups: &[&str]) -> Principal {
        self.with_good_token(groups, |unspent, last| last.spend(unspent).unwrap())
    }

    /// Allows a request for this target with a good token in these groups, or does not.
    fn permit(&self, policy: &Policy, target: &str, groups: &[&str]) -> Result<Permit, Denial> {
        match choose(policy, target)? {
            Way::Token(way) => self.with_good_token(groups, |unspent, last| {
                way.permit(peer(), unspent, last)
                    .map_err(|refusal| refusal.denial)
            }),
            Way::Peer(way) => way.permit(peer()),
        }
    }

    fn with_good_token<T>(
        &self,
        groups: &[&str],
        go_on: impl FnOnce(Unspent, Spending<'_>) -> T,
    ) -> T {
        let settings = self.settings("");
        let rings: Vec<Reader<_>> = settings
            .issuers
            .iter()
            .map(|issuer| {
                live(Some(
                    jwks::load(&issuer.keys, &issuer.algorithms).unwrap().0,
                ))
                .1
            })
            .collect();
        let denied = live(DenyList::default()).1;
        let policy = live(check::Policy::build(&settings, rings, denied))
            .1
            .current();
        let claims = self.world.token().claim("groups", groups.to_vec());
        let token = format!("Bearer {}", claims.sign(&self.world.key).unwrap());
        let request = Request::get("/").header(AUTHORIZATION, token);
        let request = request.body(()).unwrap();
        let token = policy.value.places().find(request.headers()).unwrap();
        let checker = Checker::new(&settings.limits);
        let unspent = checker
            .check(&policy.value, policy.generation, &token, &peer(), NOW)
            .unwrap();
        let last = Spending {
            checker: &checker,
            policy: &policy.value,
            on: ConnectionId::for_test(0),
            now: NOW,
            room: true,
        };
        go_on(unspent, last)
    }
}

fn peer() -> Peer {
    Peer::for_test("front", &["main"])
}

fn route(path: &str, more: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\n{more}\n")
}

fn choose(policy: &Policy, target: &str) -> Result<Way, Denial> {
    policy.choose(&Request::get(target).body(()).unwrap())
}

#[test]
fn a_second_reading_is_told_before_a_missing_route_and_that_before_any_token() {
    let bench = Bench::new();
    let policy = bench.policy(&route("/a", ""));
    let denial = |target| choose(&policy, target).unwrap_err();
    assert_eq!(denial("/a/../b"), Denial::PathAmbiguous);
    assert_eq!(denial("/b"), Denial::RouteUnmatched);
    assert!(matches!(choose(&policy, "/a"), Ok(Way::Token(_))));
}

#[test]
fn only_a_route_that_says_so_needs_no_token() {
    let bench = Bench::new();
    let is_open =
        |routes: &str, target| matches!(choose(&bench.policy(routes), target), Ok(Way::Peer(_)));
    assert!(!is_open("", "/healthz"));
    let health = route("/healthz", "require = \"peer\"") + &route("/**", "");
    assert!(is_open(&health, "/healthz"));
    assert!(!is_open(&health, "/healthz/"));
    assert!(!is_open(&health, "/"));
}

#[test]
fn a_permit_says_what_was_judged() {
    let bench = Bench::new();
    let normalise = "[paths]\nambiguous = \"normalise\"\n";
    let policy = bench.policy(&(route("/a/**", "name = \"a\"") + normalise));
    let permit = bench.permit(&policy, "/x/../a//b?q", &[]).unwrap();
    assert_eq!(permit.target(), "/a/b?q");
    assert_eq!(permit.route().map(|name| &**name), Some("a"));
    assert_eq!(&**permit.peer().name(), "front");
    assert!(permit.principal().is_some());
}

#[test]
fn what_was_allowed_is_judged_again_under_the_routes_of_now() {
    let bench = Bench::new();
    let (user, admin) = (bench.principal(&["users"]), bench.principal(&["admins"]));
    let before = bench.policy(&route("/**", ""));
    let permit = bench.permit(&before, "/feed", &["users"]).unwrap();
    let admins = "claims = { groups = { any = [\"admins\"] } }";
    for (routes, principal, expected) in [
        (route("/**", ""), Some(&user), Ok(())),
        (String::new(), Some(&user), Ok(())),
        (route("/**", ""), None, Err(Denial::TokenMissing)),
        (route("/feed", "require = \"peer\""), None, Ok(())),
        (route("/feed", admins), Some(&user), Err(Denial::ClaimUnmet)),
        (route("/feed", admins), Some(&admin), Ok(())),
        (
            route("/feed", "peers = [\"partner\"]"),
            Some(&user),
            Err(Denial::RoutePeerRefused),
        ),
        (
            route("/feed", "issuers = [\"partner\"]"),
            Some(&user),
            Err(Denial::RouteIssuerRefused),
        ),
        (
            route("/feed", "scope = [\"read\"]"),
            Some(&user),
            Err(Denial::ScopeMissing),
        ),
        (
            route("/other", ""),
            Some(&user),
            Err(Denial::RouteUnmatched),
        ),
    ] {
        let judged = bench
            .policy(&routes)
            .judge_again(&permit, &peer(), principal, None);
        assert_eq!(judged, expected, "{routes}");
    }
}

#[test]
fn what_passed_in_report_mode_is_refused_once_that_ends() {
    let bench = Bench::new();
    let watched = bench.policy(&route("/**", "enforce = \"report\""));
    let Ok(Way::Token(way)) = choose(&watched, "/feed") else {
        panic!("the route needs a token");
    };
    let refusal = Refusal::of(None, Denial::TokenExpired);
    let permit = way.report(peer(), refusal, None).unwrap();
    assert_eq!(permit.reported(), Some(Denial::TokenExpired));
    assert!(permit.principal().is_none());
    let again = |routes: &str| {
        bench
            .policy(routes)
            .judge_again(&permit, &peer(), None, None)
    };
    assert_eq!(again(&route("/**", "enforce = \"report\"")), Ok(()));
    assert_eq!(again(&route("/**", "")), Err(Denial::TokenExpired));
    assert_eq!(again(""), Err(Denial::TokenExpired));
}

#[test]
fn what_lost_its_token_goes_on_where_none_is_needed_for_peers_that_are_let_in_there() {
    let bench = Bench::new();
    let before = bench.policy(&route("/**", ""));
    let permit = bench.permit(&before, "/feed", &["users"]).unwrap();
    let refusal = Refusal::of(permit.principal(), Denial::TokenExpired);
    for (more, goes_on) in [
        ("", false),
        ("require = \"peer\"", true),
        ("require = \"peer\"\npeers = [\"front\"]", true),
        ("require = \"peer\"\npeers = [\"partner\"]", false),
        (
            "require = \"peer\"\npeers = [\"partner\"]\nenforce = \"report\"",
            true,
        ),
    ] {
        let policy = bench.policy(&route("/feed", more));
        let again = policy.report_again(&permit, &peer(), &refusal, None);
        assert_eq!(again, goes_on, "{more}");
    }
}

#[test]
fn no_refusal_becomes_a_permit_without_a_word_about_it() {
    let bench = Bench::new();
    for denial in Denial::ALL {
        for (routes, watched) in [
            (String::new(), false),
            (route("/**", ""), false),
            (route("/**", "enforce = \"refuse\""), false),
            (
                route("/**", "enforce = \"report\""),
                denial.can_be_reported(),
            ),
        ] {
            let policy = bench.policy(&routes);
            let Ok(Way::Token(way)) = choose(&policy, "/feed") else {
                panic!("every path needs a token");
            };
            let permit = way.report(peer(), Refusal::of(None, *denial), None);
            assert_eq!(permit.is_ok(), watched, "{denial:?} {routes}");
        }
    }
}
