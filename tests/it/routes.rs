//! Routes of a running gate: they change with the configuration, and the log names them.

use sidegate::lab::{Echo, Http};
use sidegate::settings::{Overrides, Settings};
use sidegate::startup::{self, ConfigFile};

use crate::harness::process::Gate;
use crate::harness::{ANY, Town, bearer, eventually, eventually_so, get};

#[tokio::test]
async fn a_changed_route_decides_the_next_request_of_an_open_connection() {
    let mut town = Town::start().await;
    let path = town.world.folder.join("sidegate.toml");
    let base = town.world.config(ANY, ANY, &town.echo.address.to_string());
    std::fs::write(&path, format!("{base}\n[[route]]\npath = \"/**\"\n")).unwrap();
    let (settings, _) = Settings::load(&path, &Overrides::default()).unwrap();
    let config = ConfigFile {
        path: path.clone(),
        overrides: Overrides::default(),
    };
    town.gate = startup::start_from(config, settings).await.unwrap();

    let pass = bearer(&town.token());
    let fields = [("authorization", &*pass)];
    for http in [Http::One, Http::Two] {
        std::fs::write(&path, format!("{base}\n[[route]]\npath = \"/**\"\n")).unwrap();
        let mut line = town.front(http).open(town.gate.address).await.unwrap();
        eventually_so("the route is open", async || {
            line.send(get("/a", &fields)).await.unwrap().status() == 200
        })
        .await;
        let closed = "[[route]]\npath = \"/b\"\n";
        std::fs::write(&path, format!("{base}\n{closed}")).unwrap();
        eventually_so("the route is gone", async || {
            line.send(get("/a", &fields)).await.unwrap().status() == 403
        })
        .await;
        assert_eq!(line.send(get("/b", &fields)).await.unwrap().status(), 200);
    }
    assert!(town.refused("route_unmatched") >= 2);
}

#[tokio::test]
async fn the_decision_line_names_the_route() {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    let routes = "[[route]]\nname = \"feeds\"\npath = \"/feeds/*\"\n\
                  [[route]]\npath = \"/healthz\"\nrequire = \"peer\"\n\
                  [log]\nlevel = \"info\"\nformat = \"json\"\n";
    let gate = Gate::start(&echo.address.to_string(), routes).await;
    let mut line = gate
        .front(Http::One)
        .open(crate::harness::local(gate.port))
        .await
        .unwrap();
    let pass = gate.pass();
    let fields = [("authorization", &*pass)];
    for (path, status) in [("/feeds/1", 200), ("/healthz", 200), ("/feeds", 403)] {
        let answer = line.send(get(path, &fields)).await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    let decisions = || -> Vec<serde_json::Value> {
        let log = gate.log();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &serde_json::Value| line["path"].is_string())
            .collect()
    };
    eventually("all are told", || decisions().len() == 3).await;
    let decisions = decisions();
    let told: Vec<[&str; 2]> = decisions
        .iter()
        .map(|line| ["path", "route"].map(|key| line[key].as_str().unwrap_or("none")))
        .collect();
    let expected = [
        ["/feeds/1", "feeds"],
        ["/healthz", "route[1]"],
        ["/feeds", "none"],
    ];
    assert_eq!(told, expected);
    assert_eq!(decisions[1]["subject"], serde_json::Value::Null);
}
