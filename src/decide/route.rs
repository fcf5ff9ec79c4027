//! Routes: which one is a request's, and whether the pair of peer and token has what it asks for.

use std::sync::Arc;

use http::Method;

use super::condition::{self, ScopeClaims};
use super::index::Index;
use super::target::Asked;
use crate::accept::Peer;
use crate::check::Principal;
use crate::model::Denial;
use crate::settings::{
    ClaimCondition, Enforcement, HostPattern, Requirement, RouteSettings, Settings,
};

/// All routes, in their order.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Arc<Route>>,
    index: Index,
    /// Whether any route looks at the host.
    use_hosts: bool,
}

/// One route, as requests meet it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) name: Arc<str>,
    pub(super) require: Requirement,
    methods: Vec<Method>,
    hosts: Vec<HostPattern>,
    peers: Vec<Arc<str>>,
    /// By name: a place in the list of issuers would be another issuer in the next edition.
    issuers: Vec<Arc<str>>,
    scopes: Vec<String>,
    claims: Vec<ClaimCondition>,
    scope_claims: ScopeClaims,
    pub(super) enforcement: Enforcement,
}

impl Routes {
    /// `None` where there are none: then every path needs a good token and no more.
    pub(super) fn build(settings: &Settings) -> Option<Self> {
        if settings.routes.is_empty() {
            return None;
        }
        let patterns = settings.routes.iter().map(|route| &*route.paths);
        let route = |route| Arc::new(Route::build(route, settings));
        Some(Self {
            index: Index::build(patterns),
            use_hosts: settings.routes.iter().any(|route| !route.hosts.is_empty()),
            routes: settings.routes.iter().map(route).collect(),
        })
    }

    /// The first route for a request to this path, which is in the form that is forwarded.
    pub(super) fn find(&self, path: &str, asked: &Asked) -> Result<&Arc<Route>, Denial> {
        let method = asked.method();
        let host = if self.use_hosts {
            asked.host()?
        } else {
            String::new()
        };
        let accepts = |place: usize| {
            let route = self.routes.get(place);
            route.is_some_and(|route| route.is_for(&method, &host))
        };
        let found = self.index.find(path, accepts).route;
        found
            .and_then(|place| self.routes.get(place))
            .ok_or(Denial::RouteUnmatched)
    }
}

impl Route {
    fn build(route: &RouteSettings, settings: &Settings) -> Self {
        let names = route.issuers.iter();
        Self {
            name: Arc::clone(&route.name),
            require: route.require,
            methods: route.methods.clone(),
            hosts: route.hosts.clone(),
            peers: route.peers.clone(),
            // The settings hold no place without an issuer; if one did, its route must not become
            // one for all issuers.
            issuers: names
                .map(|index| settings.issuer_name(*index).unwrap_or_default())
                .collect(),
            scopes: route.scopes.clone(),
            claims: route.claims.clone(),
            scope_claims: ScopeClaims::new(),
            enforcement: route.enforcement,
        }
    }

    fn is_for(&self, method: &Method, host: &str) -> bool {
        (self.methods.is_empty() || self.methods.contains(method))
            && (self.hosts.is_empty() || self.hosts.iter().any(|pattern| pattern.matches(host)))
    }

    /// Whether the route is for this peer.
    pub(super) fn admit(&self, peer: &Peer) -> Result<(), Denial> {
        if self.peers.is_empty() || self.peers.contains(peer.name()) {
            Ok(())
        } else {
            Err(Denial::RoutePeerRefused)
        }
    }

    /// Whether it asks of a token more than to be good.
    pub(super) fn asks_more(&self) -> bool {
        !self.issuers.is_empty() || !self.scopes.is_empty() || !self.claims.is_empty()
    }

    /// Whether the token has what the route asks for.
    pub(super) fn satisfied_by(&self, principal: &Principal) -> Result<(), Denial> {
        if !self.issuers.is_empty() && !self.issuers.contains(principal.issuer_name()) {
            return Err(Denial::RouteIssuerRefused);
        }
        if !self.scope_claims.grant(&self.scopes, principal.claims()) {
            return Err(Denial::ScopeMissing);
        }
        if !condition::hold(&self.claims, principal.claims()) {
            return Err(Denial::ClaimUnmet);
        }
        Ok(())
    }
}
