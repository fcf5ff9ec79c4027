//! Routes that start, and that their author should look at again.
//!
//! Warnings only: what is unsafe is refused elsewhere.

use std::collections::HashMap;

use crate::settings::place::At;
use crate::settings::problem::{Report, join};
use crate::settings::raw_route::RawRoute;
use crate::settings::{PathPattern, PeerSettings, Requirement, RouteSettings, Segment};

/// A route that asks for no token and is for every path.
pub(super) fn open(route: &RouteSettings, at: &At<RawRoute>, table: &str, report: &mut Report<'_>) {
    let everything = |path: &PathPattern| path.rest && path.segments.is_empty();
    let Some(require) = &at.value.require else {
        return;
    };
    if route.require == Requirement::Peer && route.paths.iter().any(everything) {
        let text = "no token is needed for any path that comes this far";
        let fix = "name the paths that need none, such as \"/healthz\"";
        report.warn(&require.place, &join(table, "require"), text, fix);
    }
}

/// A route whose peers may bring the tokens of none of its issuers.
pub(super) fn unmet(
    route: &RouteSettings,
    peers: &[PeerSettings],
    at: &At<RawRoute>,
    table: &str,
    report: &mut Report<'_>,
) {
    let Some(issuers) = &at.value.issuers else {
        return;
    };
    let mut admitted = peers
        .iter()
        .filter(|peer| route.peers.is_empty() || route.peers.contains(&peer.name));
    let brings = |peer: &PeerSettings| route.issuers.iter().any(|one| peer.issuers.contains(one));
    if !admitted.any(brings) {
        let text = "no peer of this route may bring a token of these issuers";
        let fix = "add the issuer to peer.issuers, or another one here";
        report.warn(&issuers.place, &join(table, "issuers"), text, fix);
    }
}

/// Routes that an earlier one takes everything from.
pub(super) fn shadowed(routes: &[RouteSettings], raw: &[At<RawRoute>], report: &mut Report<'_>) {
    let mut earlier = Earlier::default();
    for (index, (route, at)) in routes.iter().zip(raw).enumerate() {
        let by: Option<Vec<usize>> = route
            .paths
            .iter()
            .map(|path| earlier.covering(routes, route, path))
            .collect();
        if let Some(by) = by.as_deref().and_then(<[usize]>::first)
            && let Some(first) = routes.get(*by)
        {
            let text = format!(
                "is never reached: {:?} takes every request of it",
                &*first.name
            );
            let fix = "write it before that one, or take it out: the first match wins";
            let place = at.value.path.as_ref().map_or(&at.place, |path| &path.place);
            report.warn(place, &format!("route[{index}]"), text, fix);
        }
        earlier.add(index, route);
    }
}

/// The patterns so far, so that thousands of routes are compared with few others.
#[derive(Default)]
struct Earlier<'r> {
    /// Those without a `*`, by their segments and whether `**` follows.
    plain: HashMap<(&'r [Segment], bool), Vec<usize>>,
    starred: Vec<(usize, &'r PathPattern)>,
}

impl<'r> Earlier<'r> {
    fn add(&mut self, index: usize, route: &'r RouteSettings) {
        for path in &route.paths {
            if path.segments.contains(&Segment::Any) {
                self.starred.push((index, path));
            } else {
                let key = (&*path.segments, path.rest);
                self.plain.entry(key).or_default().push(index);
            }
        }
    }

    /// The first earlier route that takes all of `path` from `route`.
    fn covering(
        &self,
        routes: &[RouteSettings],
        route: &RouteSettings,
        path: &PathPattern,
    ) -> Option<usize> {
        // Without a `*`, a pattern covers itself, and what begins with it if `**` follows.
        let starts = (0..=path.segments.len()).filter_map(|end| path.segments.get(..end));
        let keys = starts
            .map(|start| (start, true))
            .chain([(&*path.segments, path.rest)]);
        let plain = keys.filter_map(|key| self.plain.get(&key)).flatten();
        let covers = |(_, pattern): &&(usize, &PathPattern)| pattern.covers(path);
        let starred = self.starred.iter().filter(covers).map(|(index, _)| index);
        let takes = |index: &&usize| {
            let earlier = routes.get(**index);
            earlier.is_some_and(|earlier| takes_all(earlier, route))
        };
        plain.chain(starred).filter(takes).min().copied()
    }
}

/// Whether `earlier` takes every method and host of `later`.
fn takes_all(earlier: &RouteSettings, later: &RouteSettings) -> bool {
    let methods = earlier.methods.is_empty()
        || !later.methods.is_empty()
            && later
                .methods
                .iter()
                .all(|method| earlier.methods.contains(method));
    let hosts = earlier.hosts.is_empty()
        || !later.hosts.is_empty()
            && later
                .hosts
                .iter()
                .all(|host| earlier.hosts.iter().any(|own| own.covers(host)));
    methods && hosts
}
