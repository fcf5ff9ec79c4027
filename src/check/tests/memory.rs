//! What is remembered, under what, and for how long.

use super::*;
use sidegate::lab::TokenSpec;

use crate::settings::{TokenForm, TypeRule};

// === Keys and time ===

#[test]
fn without_keys_the_answer_is_that_keys_are_missing() {
    let mut bench = Bench::new(100);
    bench.rings[0].publish(None);
    let refused = denial(bench.assert_pomerium(&WORLD.good(), NOW));
    assert_eq!(refused, Some(Denial::KeysUnavailable));
}

#[test]
fn a_cached_token_is_verified_again_under_new_keys() {
    let mut bench = Bench::new(100);
    let good = WORLD.good();
    assert!(bench.assert_pomerium(&good, NOW).is_ok());
    bench.rings[0].publish(Some(ring(&bench.issuers[0])));
    let again = bench.assert_pomerium(&good, NOW).unwrap();
    assert_eq!(again.verification(), Verification::Fresh);
    let partner = ring(&bench.issuers[2]);
    bench.rings[0].publish(Some(partner));
    assert_eq!(
        denial(bench.assert_pomerium(&good, NOW)),
        Some(Denial::KeyUnknown)
    );
    assert_eq!(bench.checker.cached_tokens(), 0, "a stale verdict must go");
}

#[test]
fn a_cached_token_is_verified_again_under_a_new_policy() {
    let mut bench = Bench::new(100);
    let good = WORLD.good();
    assert!(bench.assert_pomerium(&good, NOW).is_ok());
    bench.issuers[0].algorithms = vec![Algorithm::Rs256];
    let policy = Policy::of_issuers(&bench.issuers, TOKEN_BYTES, bench.readers.clone());
    bench.policy.publish(policy);
    assert_eq!(
        denial(bench.assert_pomerium(&good, NOW)),
        Some(Denial::AlgorithmRefused)
    );
}

/// One text may be one issuer's token in one header and nobody's in another.
#[test]
fn a_cached_token_is_found_only_where_its_issuers_tokens_stand() {
    let bench = Bench::new(100);
    let good = WORLD.good();
    assert!(bench.assert_pomerium(&good, NOW).is_ok());
    let policy = bench.policy();
    let pomerium = IssuerIndex(0);
    let recalled = |issuers: &[IssuerIndex]| {
        let token = RawToken::for_test(&good, issuers);
        let found = bench
            .checker
            .recall(&policy.value, policy.generation, &token, NOW);
        found.is_some()
    };
    assert!(recalled(&[pomerium]));
    assert!(recalled(&[pomerium, IssuerIndex(2)]));
    assert!(!recalled(&[IssuerIndex(1), IssuerIndex(2)]));
    assert!(!recalled(&[]));
    assert!(recalled(&[pomerium]), "elsewhere it stays good");
}

#[test]
fn what_runs_is_refused_once_tokens_of_its_kind_are_not_wanted() {
    let mut bench = Bench::new(100);
    let good = WORLD.good();
    let principal = bench.assert_pomerium(&good, NOW).unwrap();
    let cached = bench.assert_pomerium(&good, NOW).unwrap();
    let before = bench.issuers[0].clone();
    let types = |words: &[&str]| TypeRule::new(words.iter().map(|word| (*word).to_owned()));
    let signers = TokenForm::AwsAlb(vec!["ours".to_owned()]);
    let other = |change: &dyn Fn(&mut IssuerSettings)| {
        let mut issuer = before.clone();
        change(&mut issuer);
        issuer
    };
    for (issuer, refused) in [
        (before.clone(), None),
        (other(&|it| it.types = types(&["JWT", "at+jwt"])), None),
        (
            other(&|it| it.types = types(&["at+jwt"])),
            Some(Denial::TokenTypeRefused),
        ),
        (
            other(&|it| it.form = signers.clone()),
            Some(Denial::SignerRefused),
        ),
    ] {
        bench.issuers[0] = issuer;
        let policy = Policy::of_issuers(&bench.issuers, TOKEN_BYTES, bench.readers.clone());
        for principal in [&principal, &cached] {
            let again = policy.judge_again(principal, &bench.peer, &bench.peer, NOW);
            assert_eq!(again.err().map(|refusal| refusal.denial), refused);
        }
    }
}

#[test]
fn a_request_is_judged_by_the_policy_that_it_took() {
    let mut bench = Bench::new(100);
    let good = WORLD.good();
    let headers = header_map(&[(attacks::world::ASSERTION.to_owned(), good)]);
    let held = bench.policy();
    let token = held.value.places().find(&headers).unwrap();
    bench
        .policy
        .publish(Policy::of_issuers(&[], TOKEN_BYTES, Vec::new()));
    assert!(bench.check(&held, &token, NOW).is_ok());
}

#[test]
fn a_cached_token_ends_when_it_expires_and_not_a_second_earlier() {
    let bench = Bench::new(100);
    let good = WORLD.good();
    assert!(bench.assert_pomerium(&good, NOW).is_ok());
    // Five minutes of life and thirty seconds of leeway.
    let last = bench
        .assert_pomerium(&good, Timestamp::from_unix(NOW.unix() + 329))
        .unwrap();
    assert_eq!(last.verification(), Verification::Cached);
    let after = bench.assert_pomerium(&good, Timestamp::from_unix(NOW.unix() + 330));
    assert_eq!(denial(after), Some(Denial::TokenExpired));
    // A clock set back.
    let before = bench.assert_pomerium(&good, Timestamp::from_unix(NOW.unix() - 31));
    assert_eq!(denial(before), Some(Denial::TokenIssuedInFuture));
}

#[test]
fn leeway_counts_to_the_second_on_every_side() {
    let bench = Bench::new(0);
    let at = |spec: TokenSpec, now: u64| {
        let token = spec.sign(&WORLD.pomerium).unwrap();
        denial(bench.assert_pomerium(&token, Timestamp::from_unix(now)))
    };
    let now = NOW.unix();
    let spec = || WORLD.pomerium_claims();
    assert_eq!(at(spec().claim("nbf", now + 30), now), None);
    assert_eq!(
        at(spec().claim("nbf", now + 31), now),
        Some(Denial::TokenNotYetValid)
    );
    assert_eq!(at(spec().claim("iat", now + 30), now), None);
    assert_eq!(
        at(spec().claim("iat", now + 31), now),
        Some(Denial::TokenIssuedInFuture)
    );
    assert_eq!(at(spec().claim("exp", now + 3600), now), None);
    assert_eq!(
        at(spec().claim("exp", now + 3601), now),
        Some(Denial::LifetimeTooLong)
    );
    let undated = || spec().without("iat");
    assert_eq!(at(undated().claim("exp", now + 3630), now), None);
    assert_eq!(
        at(undated().claim("exp", now + 3631), now),
        Some(Denial::LifetimeTooLong)
    );
    assert_eq!(at(spec(), u64::MAX), Some(Denial::TokenExpired));
    assert_eq!(at(spec(), 0), Some(Denial::TokenIssuedInFuture));
}

// === The cache ===

#[test]
fn the_cache_is_bounded_in_entries_and_in_bytes() {
    let bench = Bench::new(16);
    for number in 0..100 {
        let spec = WORLD.spike_claims().claim("jti", number.to_string());
        let token = spec.sign(&WORLD.spike).unwrap();
        bench
            .send(&[("x-spike-token".to_owned(), token)], NOW)
            .unwrap();
    }
    let small = bench.checker.cached_tokens();
    assert!((1..=16).contains(&small), "{small}");
    bench.checker.cache.clear();
    for number in 0..100 {
        let spec = WORLD.spike_claims().claim("jti", number.to_string());
        let token = spec
            .claim("x", "y".repeat(4000))
            .sign(&WORLD.spike)
            .unwrap();
        bench
            .send(&[("x-spike-token".to_owned(), token)], NOW)
            .unwrap();
    }
    let large = bench.checker.cached_tokens();
    assert!(large < small, "{large} large tokens, {small} small ones");
}

#[test]
fn a_cache_of_no_entries_remembers_nothing() {
    let bench = Bench::new(0);
    for _ in 0..2 {
        let principal = bench.assert_pomerium(&WORLD.good(), NOW).unwrap();
        assert_eq!(principal.verification(), Verification::Fresh);
        assert_eq!(bench.checker.cached_tokens(), 0);
    }
}
