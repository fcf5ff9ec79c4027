//! WebSocket through every front proxy: as an `Upgrade` over HTTP/1.1, as an extended `CONNECT` where
//! the front proxy speaks HTTP/2 to the gate. The Python client checks messages, pings and closing.

use serde_json::Value;

use crate::harness::peer::{self, Front};
use crate::harness::plain::received;
use crate::harness::street::{Street, through_every_front};

through_every_front! {
    a_websocket_with_a_good_token_works_and_the_service_learns_who_calls
    a_websocket_without_a_good_token_is_refused_with_401
}

async fn a_websocket_with_a_good_token_works_and_the_service_learns_who_calls(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    let authorization = format!("Authorization={}", street.pass());
    let fields = [
        &*authorization,
        "X-Auth-Subject=root",
        "X_Auth_Subject=root",
    ];
    let Some(said) = talk(&street, &fields).await else {
        return;
    };
    assert_eq!(said["ok"], true, "{said:#}");
    let seen = &said["seen"];
    assert_eq!(seen["path"], "/room?q=1");
    assert_eq!(received(seen, "x-auth-subject"), ["ada"]);
    assert_eq!(
        received(seen, "host"),
        [format!("127.0.0.1:{}", street.front.http)]
    );
    for gone in ["authorization", "x_auth_subject"] {
        assert!(received(seen, gone).is_empty(), "{seen:#}");
    }
}

async fn a_websocket_without_a_good_token_is_refused_with_401(front: Front) {
    let Some(street) = street(front).await else {
        return;
    };
    for fields in [&[][..], &["Authorization=Bearer e30.e30.e30"]] {
        let Some(said) = talk(&street, fields).await else {
            return;
        };
        assert_eq!(
            (&said["ok"], &said["status"]),
            (&false.into(), &401.into()),
            "{said:#}"
        );
        let said_by = received(&said, "proxy-status");
        assert_eq!(said_by, ["sidegate; error=http_request_denied"]);
    }
}

async fn street(front: Front) -> Option<Street> {
    Street::build(front, peer::websocket_service().await?).await
}

/// What the Python client reports.
async fn talk(street: &Street, fields: &[&str]) -> Option<Value> {
    let mut client = peer::python("ws_client.py", Some("websockets"))?;
    client.arg(format!("ws://127.0.0.1:{}/room?q=1", street.front.http));
    let output = peer::finished(client, fields).await;
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")))
}
