//! The checker as a whole: the attack table, the cache, the pair, and what a refusal may say.

use std::sync::LazyLock;

use super::*;
use crate::accept::ConnectionId;
use crate::jwks::{self, KeyRing};
use crate::model::{Algorithm, ClaimPath};
use crate::reload::{Edition, Publisher, Reader, live};
use crate::settings::IssuerSettings;

use attacks::world::{P256_ORDER, parts, resigned, signature_of};
use attacks::{TOKEN_BYTES, World, header_map};

// The table lives with the integration tests, where a live gate runs it too.
#[path = "../../../tests/it/attacks/mod.rs"]
mod attacks;
mod memory;
mod properties;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// `World::peer_issuers`, by their names.
const PEER_ISSUERS: [&str; 5] = ["pomerium", "oidc", "partner", "spike", "pinned"];

static WORLD: LazyLock<World> = LazyLock::new(|| World::new(NOW));

/// A checker over all issuers of the world, with every handle that a test may turn.
struct Bench {
    checker: Checker,
    policy: Publisher<Policy>,
    policies: Reader<Policy>,
    rings: Vec<Publisher<Option<KeyRing>>>,
    readers: Vec<Reader<Option<KeyRing>>>,
    issuers: Vec<IssuerSettings>,
    peer: Peer,
}

impl Bench {
    fn new(cached_tokens: usize) -> Self {
        let issuers = WORLD.issuers();
        let (rings, readers): (Vec<_>, Vec<_>) = issuers
            .iter()
            .map(|issuer| live(Some(ring(issuer))))
            .unzip();
        let first = Policy::of_issuers(&issuers, TOKEN_BYTES, readers.clone());
        let (policy, policies) = live(first);
        let checker = Checker {
            used: UsedTokens::default(),
            cache: TokenCache::new(cached_tokens),
        };
        let peer = Peer::for_test("front", &PEER_ISSUERS);
        Self {
            checker,
            policy,
            policies,
            rings,
            readers,
            issuers,
            peer,
        }
    }

    /// The policy in force.
    fn policy(&self) -> Arc<Edition<Policy>> {
        self.policies.current()
    }

    fn check(
        &self,
        policy: &Edition<Policy>,
        token: &RawToken<'_>,
        now: Timestamp,
    ) -> Result<Principal, Refusal> {
        self.checker
            .check(&policy.value, policy.generation, token, &self.peer, now)
            .and_then(|unspent| {
                let on = ConnectionId::for_test(0);
                let checker = &self.checker;
                let policy = &policy.value;
                Spending {
                    checker,
                    policy,
                    on,
                    now,
                    room: true,
                }
                .spend(unspent)
            })
    }

    fn send(&self, headers: &[(String, String)], now: Timestamp) -> Result<Principal, Refusal> {
        let headers = header_map(headers);
        let policy = self.policy();
        let token = policy
            .value
            .places()
            .find(&headers)
            .map_err(|denial| Refusal::of(None, denial))?;
        self.check(&policy, &token, now)
    }

    /// Sends a token where Pomerium puts its own.
    fn assert_pomerium(&self, token: &str, now: Timestamp) -> Result<Principal, Refusal> {
        self.send(
            &[(attacks::world::ASSERTION.to_owned(), token.to_owned())],
            now,
        )
    }
}

fn ring(issuer: &IssuerSettings) -> KeyRing {
    jwks::load(&issuer.keys, &issuer.algorithms).unwrap().0
}

fn denial(result: Result<Principal, Refusal>) -> Option<Denial> {
    result.err().map(|refusal| refusal.denial)
}

// === The table ===

#[test]
fn every_good_request_of_the_table_passes() {
    let bench = Bench::new(100);
    for (name, headers) in WORLD.good_requests() {
        for expected in [Verification::Fresh, Verification::Cached] {
            let principal = bench.send(&headers, NOW);
            let principal = principal.unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
            assert_eq!(principal.verification(), expected, "{name}");
        }
        bench.checker.cache.clear();
    }
}

#[test]
fn every_attack_of_the_table_is_refused_for_its_reason() {
    let bench = Bench::new(100);
    let mut wrong = Vec::new();
    for row in attacks::rows(&WORLD) {
        // Twice: a refusal must not be remembered as anything else.
        for _ in 0..2 {
            let got = denial(bench.send(&row.headers, NOW));
            if got != Some(row.denial) {
                wrong.push(format!("{}: {got:?} instead of {:?}", row.name, row.denial));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn attacks_leave_nothing_in_the_cache_but_the_good_token_of_a_wrong_peer() {
    let bench = Bench::new(10_000);
    for row in attacks::rows(&WORLD) {
        assert!(bench.send(&row.headers, NOW).is_err());
    }
    assert_eq!(bench.checker.cached_tokens(), 1);
}

/// ECDSA signatures come in pairs: where (r, s) fits, (r, n - s) does too, and nothing in RFC 7518
/// forbids it. So the bytes of a token are no identity: what must be known again (a deny list, a
/// replay set) is known by its claims.
#[test]
fn the_malleable_twin_of_an_ecdsa_signature_is_a_valid_signature() {
    let bench = Bench::new(100);
    let good = WORLD.good();
    let other = resigned(&good, &twin(&signature_of(&good)));
    assert_ne!(good, other);
    let first = bench.assert_pomerium(&good, NOW).unwrap();
    let second = bench.assert_pomerium(&other, NOW).unwrap();
    assert_eq!(
        second.verification(),
        Verification::Fresh,
        "the cache must compare whole tokens"
    );
    assert_eq!(first.claims().id(), second.claims().id());
}

/// The other signature (r, n - s) that fits where an ES256 signature (r, s) does.
fn twin(signature: &[u8]) -> Vec<u8> {
    let mut out = signature.to_vec();
    let mut borrow = 0;
    for place in (0..32).rev() {
        let difference = i16::from(P256_ORDER[place]) - i16::from(signature[32 + place]) - borrow;
        borrow = i16::from(difference < 0);
        out[32 + place] = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    out
}

// === The principal and the refusal ===

#[test]
fn a_principal_says_who_by_whom_and_with_which_key() {
    let principal = Bench::new(0).assert_pomerium(&WORLD.good(), NOW).unwrap();
    assert_eq!(principal.issuer(), IssuerIndex(0));
    assert_eq!(&**principal.issuer_name(), "pomerium");
    assert_eq!(principal.kid().map(|kid| &**kid), Some("pomerium-1"));
    assert_eq!(principal.claims().subject(), Some("user-7"));
    let email = ClaimPath::parse("email").unwrap();
    let group = ClaimPath::parse("/groups/0").unwrap();
    let claims = principal.claims();
    assert_eq!(
        claims.at(&email).and_then(|it| it.as_str()),
        Some("ann@example.com")
    );
    assert_eq!(claims.at(&group).and_then(|it| it.as_str()), Some("admins"));
    for path in [
        "/groups/00",
        "/groups/1",
        "/groups/-",
        "/email/0",
        "/nothing/x",
    ] {
        assert_eq!(claims.at(&ClaimPath::parse(path).unwrap()), None, "{path}");
    }
}

#[test]
fn a_refusal_names_key_and_subject_only_once_the_signature_held() {
    let bench = Bench::new(100);
    let expired = WORLD.pomerium_claims().claim("exp", NOW.unix() - 60);
    let expired = expired.sign(&WORLD.pomerium).unwrap();
    let refusal = bench.assert_pomerium(&expired, NOW).unwrap_err();
    assert_eq!(refusal.kid.as_deref(), Some("pomerium-1"));
    assert_eq!(refusal.subject.as_deref(), Some("user-7"));
    assert_eq!(refusal.issuer.as_deref(), Some("pomerium"));

    let forged = WORLD.pomerium_claims().sign(&WORLD.stranger).unwrap();
    let refusal = bench.assert_pomerium(&forged, NOW).unwrap_err();
    assert_eq!(
        (refusal.denial, refusal.subject),
        (Denial::SignatureInvalid, None)
    );
    assert_eq!(refusal.kid.as_deref(), Some("pomerium-1"));

    let unknown = WORLD.with_header(r#"{"alg":"ES256","kid":"chosen by a stranger"}"#);
    let refusal = bench.assert_pomerium(&unknown, NOW).unwrap_err();
    assert_eq!((refusal.denial, refusal.kid), (Denial::KeyUnknown, None));
}

#[test]
fn a_long_subject_is_cut_in_a_refusal_at_a_whole_letter() {
    let spec = WORLD.pomerium_claims().claim("sub", "é".repeat(200) + "x");
    let spec = spec.claim("exp", NOW.unix() - 60);
    let token = spec.sign(&WORLD.pomerium).unwrap();
    let refusal = Bench::new(0).assert_pomerium(&token, NOW).unwrap_err();
    assert_eq!(refusal.subject.as_deref(), Some("é".repeat(128).as_str()));
}

#[test]
fn nothing_that_is_debugged_shows_a_token_or_a_claim() {
    let bench = Bench::new(100);
    let good = WORLD.good();
    let headers = header_map(&[(attacks::world::ASSERTION.to_owned(), good.clone())]);
    let policy = bench.policy();
    let token = policy.value.places().find(&headers).unwrap();
    let principal = bench.check(&policy, &token, NOW).unwrap();
    let shown = format!("{token:?} {principal:?} {:?} {policy:?}", bench.checker);
    for secret in parts(&good)
        .into_iter()
        .chain(["ann@example.com", "user-7"])
    {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn the_pair_is_judged_for_each_peer_also_on_a_cached_token() {
    let mut bench = Bench::new(100);
    assert!(bench.assert_pomerium(&WORLD.good(), NOW).is_ok());
    bench.peer = Peer::for_test("other", &["oidc"]);
    let refused = denial(bench.assert_pomerium(&WORLD.good(), NOW));
    assert_eq!(refused, Some(Denial::IssuerNotForPeer));
}

#[test]
fn any_text_at_all_is_judged_without_a_panic() {
    let bench = Bench::new(10);
    let policy = bench.policy();
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "AAAA.AAAA.AAAA",
        "é.é.é",
        "e30.e30.e30",
    ] {
        for issuers in [
            &[][..],
            &[IssuerIndex(0)],
            &[IssuerIndex(1), IssuerIndex(2)],
            &[IssuerIndex(99)],
        ] {
            let token = RawToken::for_test(text, issuers);
            assert!(bench.check(&policy, &token, NOW).is_err());
        }
    }
}
