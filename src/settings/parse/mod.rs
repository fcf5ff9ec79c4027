//! From what was written to what it means: every section becomes its typed form, or a problem.
//!
//! Only `load` calls this. It reads no file and knows nothing of TOML; whatever it lets through is
//! used as it is, so it must never let a doubtful value through for lack of a better idea.

mod address;
mod claim_condition;
mod fingerprint;
mod header;
mod identity;
mod issuer;
mod key_source;
mod keys;
mod limits;
mod marks;
mod path_pattern;
mod peer;
mod preset;
mod route;
mod route_lint;
mod sections;
mod single_use;
mod token;
mod token_place;
mod upstream;
mod value;

use std::path::Path;

use super::Settings;
use super::problem::Report;
use super::raw::RawSettings;

/// The typed settings. `None` only after a problem was reported.
pub(super) fn settings(
    raw: RawSettings,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<Settings> {
    let listen_at = raw.listen.unwrap_or_default();
    let listen = sections::listen(&listen_at.value, report);
    let tls = sections::tls(raw.tls, folder, report);
    let issuers = issuer::issuers(raw.issuer.unwrap_or_default(), folder, report);
    let peers = peer::peers(raw.peer.unwrap_or_default(), &issuers, report);
    let deny = sections::deny(&raw.deny.unwrap_or_default(), folder, report);
    let paths = route::paths(raw.paths.as_ref(), raw.route.is_some(), report);
    let routes = raw.route.unwrap_or_default();
    let routes = route::routes(&routes, peers.as_deref(), &issuers, report);
    let upstream_at = raw.upstream.unwrap_or_default();
    let upstream = upstream::upstream(&upstream_at, report);
    let identity = identity::identity(raw.identity.unwrap_or_default(), &issuers, report);
    let admin_at = raw.admin.unwrap_or_default();
    let admin = sections::admin(&admin_at.value, report);
    let limits = limits::limits(&raw.limits.unwrap_or_default().value, report);
    let timeouts = limits::timeouts(&raw.timeouts.unwrap_or_default().value, report);
    let shutdown = limits::shutdown(&raw.shutdown.unwrap_or_default().value, report);
    let log = sections::log(&raw.log.unwrap_or_default().value, report);
    let runtime = sections::runtime(&raw.runtime.unwrap_or_default().value, report);
    address::keep_apart(
        (listen.as_ref(), &listen_at.value.address),
        (admin.as_ref(), &admin_at.value.address),
        (upstream.as_ref(), &upstream_at.value.address),
        report,
    );
    Some(Settings {
        listen: listen?,
        tls: tls?,
        peers: peers?,
        issuers: issuers.complete()?,
        deny: deny?,
        routes: routes?,
        paths: paths?,
        upstream: upstream?,
        identity: identity?,
        admin: admin?,
        limits,
        timeouts,
        shutdown,
        log,
        runtime,
    })
}
