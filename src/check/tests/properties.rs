//! Properties of the pipeline that no list of examples can show.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::attacks::world::ASSERTION;
use super::*;

/// One good token of each algorithm, with the header it stands in and what stands before it.
fn good_tokens() -> Vec<(&'static str, &'static str, String)> {
    let oidc = WORLD.oidc.iter().map(|key| {
        let token = WORLD.oidc_claims().sign(key).unwrap();
        ("authorization", "Bearer ", token)
    });
    let spike = WORLD.spike_claims().sign(&WORLD.spike).unwrap();
    oidc.chain([("x-spike-token", "", spike), (ASSERTION, "", WORLD.good())])
        .collect()
}

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::new(1000));
static GOOD: LazyLock<Vec<(&str, &str, String)>> = LazyLock::new(good_tokens);

fn send(name: &'static str, value: &[u8]) -> Option<Result<Principal, Refusal>> {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_bytes(value).ok()?);
    let policy = BENCH.policy();
    let token = policy.value.places().find(&headers);
    Some(
        token
            .map_err(|denial| Refusal::of(None, denial))
            .and_then(|token| BENCH.check(&policy, &token, NOW)),
    )
}

/// Every bit of the decoded parts, for every algorithm: some ten thousand tokens.
#[test]
fn any_one_bit_change_of_what_is_signed_or_signs_is_refused() {
    for (name, before, good) in GOOD.iter() {
        let decoded = parts(good).map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        for part in 0..3 {
            for bit in 0..decoded[part].len() * 8 {
                // Of long payloads and signatures every seventh bit, of short ones all.
                if decoded[part].len() > 100 && bit % 7 != 0 {
                    continue;
                }
                let mut changed = decoded.clone();
                changed[part][bit / 8] ^= 1 << (bit % 8);
                let token = changed.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
                let got = send(name, format!("{before}{token}").as_bytes());
                assert!(
                    matches!(got, Some(Err(_))),
                    "part {part}, bit {bit} of {good}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_one_bit_change_of_a_token_s_text_is_refused(
        which in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0..8_u32,
    ) {
        let (name, before, good) = &GOOD[which.index(GOOD.len())];
        let mut changed = good.clone().into_bytes();
        changed[place.index(good.len())] ^= 1 << bit;
        let value = [before.as_bytes(), &changed].concat();
        // Some changed bytes cannot stand in a header at all.
        prop_assert!(!matches!(send(name, &value), Some(Ok(_))));
    }

    #[test]
    fn a_piece_cut_out_doubled_or_put_in_is_refused(
        which in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 1..40_usize,
        put in "[A-Za-z0-9_.=+/ ,-]{0,20}",
    ) {
        let (name, before, good) = &GOOD[which.index(GOOD.len())];
        let from = from.index(good.len());
        let to = good.len().min(from + length);
        let changed = format!("{}{put}{}", &good[..from], &good[to..]);
        prop_assume!(changed != *good);
        let value = format!("{before}{changed}");
        prop_assert!(!matches!(send(name, value.as_bytes()), Some(Ok(_))));
    }

    #[test]
    fn no_value_of_a_header_makes_the_checker_panic_or_pass(
        name in prop::sample::select(vec!["authorization", "cookie", ASSERTION, "x-spike-token"]),
        value in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(!matches!(send(name, &value), Some(Ok(_))));
    }

    #[test]
    fn no_rightly_signed_payload_makes_the_checker_panic(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            r#"\{("(iss|aud|exp|nbf|iat|sub)":(-?[0-9]{1,30}(\.[0-9]{1,3})?(e[0-9]{1,3})?|"[a-z]{0,3}"|null|\[\]),?){0,4}\}"#
                .prop_map(String::into_bytes),
        ],
    ) {
        let token = WORLD.spike.sign(&WORLD.spike.header(), &payload).unwrap();
        prop_assert!(matches!(send("x-spike-token", token.as_bytes()), Some(Err(_))));
    }

    #[test]
    fn no_signed_header_makes_the_checker_panic(
        header in prop_oneof![
            "\\PC{0,60}",
            r#"\{("(alg|kid|typ|crit|x)":("HS256"|"[a-z]{0,3}"|[0-9]{1,3}|null|\[\]|\{\}),?){0,4}\}"#,
        ],
    ) {
        let payload = WORLD.spike_claims().payload();
        let token = WORLD.spike.sign(&header, payload.as_bytes()).unwrap();
        // May pass: a header can be good by chance.
        let _ = send("x-spike-token", token.as_bytes());
    }
}
