//! A street of real programs: a front proxy, the gate, and a service behind it.

use sidegate::lab::Echo;

use super::peer::{Front, FrontProxy, Service};
use super::{ANY, Town, bearer};

/// All of it, running.
pub(crate) struct Street {
    pub(crate) front: FrontProxy,
    pub(crate) town: Town,
    pub(crate) service: Service,
}

impl Street {
    /// The front proxy is the listed peer, and `service` stands behind the gate.
    pub(crate) async fn build(front: Front, service: Service) -> Option<Self> {
        Self::with(front, service, |config| config).await
    }

    /// The same with the gate's configuration changed.
    pub(crate) async fn with(
        front: Front,
        service: Service,
        change: impl FnOnce(String) -> String,
    ) -> Option<Self> {
        let town = behind(&service, change).await;
        let gate = town.gate.address.port();
        let front = front.start(&town.world, &town.world.front, gate).await?;
        Some(Self {
            front,
            town,
            service,
        })
    }

    /// `Authorization` with a good token.
    pub(crate) fn pass(&self) -> String {
        bearer(&self.town.token())
    }
}

/// A gate in front of `service`.
pub(crate) async fn behind(service: &Service, change: impl FnOnce(String) -> String) -> Town {
    let echo = Echo::start(ANY.parse().unwrap()).await.unwrap();
    Town::before(echo, &service.upstream, change).await
}

/// Makes every test that is named, in a module for each front proxy: a test is an
/// `async fn(Front)` beside the call.
macro_rules! through_every_front {
    (@ $module:ident $front:ident [$($test:ident)*]) => {
        mod $module {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::harness::peer::Front::$front).await;
            })*
        }
    };
    ($($tests:tt)*) => {
        through_every_front!(@ nginx Nginx [$($tests)*]);
        through_every_front!(@ haproxy_h1 HaproxyH1 [$($tests)*]);
        through_every_front!(@ haproxy_h2 HaproxyH2 [$($tests)*]);
        through_every_front!(@ envoy_h1 EnvoyH1 [$($tests)*]);
        through_every_front!(@ envoy_h2 EnvoyH2 [$($tests)*]);
    };
}
pub(crate) use through_every_front;
