//! gRPC through nginx, HAProxy and Envoy over HTTP/2, and cleartext HTTP/2 to the service. The Python
//! client checks unary calls, streams, a conversation, metadata, trailers and a failing status.

use serde_json::Value;

use crate::harness::bearer;
use crate::harness::peer::{self, Front};
use crate::harness::street::Street;

const FRONTS: [Front; 3] = [Front::Nginx, Front::HaproxyH2, Front::EnvoyH2];

#[tokio::test]
async fn every_kind_of_call_works_and_the_service_learns_who_calls() {
    for front in FRONTS {
        let Some(street) = street(front).await else {
            continue;
        };
        let authorization = format!("authorization={}", street.pass());
        let fields = [
            &*authorization,
            "x-auth-subject=root",
            "x_auth_subject=root",
        ];
        let Some(said) = call(&street, &fields).await else {
            return;
        };
        assert_eq!(said["ok"], true, "{front:?}: {said:#}");
        let subjects = metadata(&said, "x-auth-subject");
        assert_eq!(subjects, ["ada"], "{front:?}");
        for gone in ["authorization", "x_auth_subject"] {
            assert!(metadata(&said, gone).is_empty(), "{front:?}: {gone}");
        }
        let left = said["seen"]["seconds_left"].as_f64();
        assert!(
            left.is_some_and(|left| left < 21.0),
            "{front:?}: the deadline must go on"
        );
    }
}

#[tokio::test]
async fn a_call_without_a_good_token_is_unauthenticated() {
    for front in FRONTS {
        let Some(street) = street(front).await else {
            continue;
        };
        let key = &street.town.world.partner_key;
        let forged = bearer(&street.town.world.token().sign(key).unwrap());
        for fields in [vec![], vec![format!("authorization={forged}")]] {
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let Some(said) = call(&street, &fields).await else {
                return;
            };
            assert_eq!(
                (&said["ok"], &said["error"]),
                (&false.into(), &"UNAUTHENTICATED".into()),
                "{front:?}: {said:#}"
            );
        }
    }
}

async fn street(front: Front) -> Option<Street> {
    let service = peer::grpc_service().await?;
    let h2c = |config: String| config.replace("[upstream]", "[upstream]\nprotocol = \"h2c\"");
    Street::with(front, service, h2c).await
}

/// What the Python client reports.
async fn call(street: &Street, fields: &[&str]) -> Option<Value> {
    let mut client = peer::python("grpc_client.py", Some("grpc"))?;
    client.arg(format!("127.0.0.1:{}", street.front.grpc));
    let output = peer::finished(client, fields).await;
    Some(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}")))
}

/// The values of one name in the metadata that reached the service.
fn metadata(said: &Value, name: &str) -> Vec<String> {
    let pairs = said["seen"]["metadata"].as_array().unwrap();
    let named = pairs.iter().filter(|pair| pair[0] == name);
    named
        .map(|pair| pair[1].as_str().unwrap().to_owned())
        .collect()
}
