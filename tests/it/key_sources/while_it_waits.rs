//! A request that waits for a key may wait for seconds, and everything else goes on meanwhile: it is
//! judged by what is in force when the wait is over.

use sidegate::lab::Echo;
use sidegate::startup::Running;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::harness::{ANY, sample};

/// A gate whose first issuer's keys are fetched, with a request that waits for one of them.
struct Waiting {
    gate: Running,
    plan: Plan,
    text: String,
    answer: JoinHandle<u16>,
    told: watch::Sender<bool>,
    _echo: Echo,
    _server: KeyServer,
}

impl Waiting {
    /// The fetch that the request waits for brings `brought`, or else the keys of before.
    async fn begin(routes: &str, brought: bool) -> Self {
        let server = KeyServer::start().await;
        let plan = Plan::new();
        server.publish(&[&plan.world.key]);
        let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
        let text = plan.config(&server.jwks(), &echo.address.to_string());
        let path = plan.world.folder.join("sidegate.toml");
        std::fs::write(&path, format!("{text}{routes}")).unwrap();
        let gate = crate::reload::from_file(&path).await;
        eventually("ready", || sample(&gate.metrics, "sidegate_ready") == 1).await;
        let new = key("brand-new");
        let keys = if brought { &new } else { &plan.world.key };
        let (told, telling) = watch::channel(false);
        let fetched = ok(&SigningKey::jwks(&[keys]).unwrap());
        server.act(Act::When(telling, fetched));
        let front = Plan::front(&plan.world);
        let token = bearer(&plan.world.token().sign(&new).unwrap());
        let address = gate.address;
        let answer = tokio::spawn(async move {
            let call = get("/", &[("authorization", &token)]);
            front.call(address, call).await.unwrap().status().as_u16()
        });
        eventually("the key is asked for", || server.asked() == 2).await;
        Self {
            gate,
            plan,
            text,
            answer,
            told,
            _echo: echo,
            _server: server,
        }
    }

    /// What the request gets once these are the routes.
    async fn ended_under(self, routes: &str) -> (u16, Running) {
        let text = format!("{}{routes}", self.text);
        self.plan.world.write("sidegate.toml", &text).unwrap();
        eventually("the new routes are in force", || {
            sample(&self.gate.metrics, "sidegate_generation{object=\"config\"}") == 2
        })
        .await;
        self.told.send(true).unwrap();
        (self.answer.await.unwrap(), self.gate)
    }
}

fn refused(gate: &Running, stage: &str, reason: &str) -> u64 {
    let name = format!("sidegate_refused_total{{reason=\"{reason}\",stage=\"{stage}\"}}");
    sample(&gate.metrics, &name)
}

#[tokio::test]
async fn a_request_that_waited_for_its_key_is_judged_by_the_routes_of_then() {
    let waiting = Waiting::begin("", true).await;
    let routes = "[[route]]\npath = \"/**\"\nclaims = { groups = { any = [\"admins\"] } }\n";
    let (status, gate) = waiting.ended_under(routes).await;
    assert_eq!((status, refused(&gate, "route", "claim_unmet")), (403, 1));
}

#[tokio::test]
async fn a_request_that_waited_in_report_mode_is_refused_once_that_is_over() {
    let routes = |enforce| format!("[[route]]\npath = \"/**\"\nenforce = \"{enforce}\"\n");
    let waiting = Waiting::begin(&routes("report"), false).await;
    let (status, gate) = waiting.ended_under(&routes("refuse")).await;
    assert_eq!((status, refused(&gate, "token", "key_unknown")), (401, 1));
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_decision_is_counted_as_gone_and_not_as_allowed() {
    let waiting = Waiting::begin("", true).await;
    waiting.answer.abort();
    let over = |decision| {
        let labels = format!("decision=\"{decision}\",status=\"4xx\"");
        sample(
            &waiting.gate.metrics,
            &format!("sidegate_requests_total{{{labels}}}"),
        )
    };
    eventually("it is counted", || over("abandoned") == 1).await;
    assert_eq!(over("allowed"), 0);
}
