//! Who may connect: only a listed peer with a certificate that holds today.

use sidegate::lab::{Http, Leaf, Role, Validity, world};

use crate::harness::{Town, bearer, eventually, get, seen, seen_header};

const BOTH: [Http; 2] = [Http::One, Http::Two];

#[tokio::test]
async fn a_listed_peer_with_a_good_token_gets_through() {
    let town = Town::start().await;
    for http in BOTH {
        let request = get("/path?q=1", &[("authorization", &bearer(&town.token()))]);
        let answer = town
            .front(http)
            .call(town.gate.address, request)
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        let seen = seen(&answer);
        assert_eq!(
            (&seen["method"], &seen["target"]),
            (&"GET".into(), &"/path?q=1".into())
        );
        assert_eq!(seen_header(&answer, "host"), ["legacy.test"]);
        assert_eq!(seen_header(&answer, "x-auth-subject"), ["ada"]);
        assert_eq!(seen_header(&answer, "x-auth-groups"), ["engineers,readers"]);
        assert!(
            seen_header(&answer, "authorization").is_empty(),
            "the token must not go on"
        );
    }
}
