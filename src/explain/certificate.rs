//! What a client certificate says, and what it was compared with.

use super::evidence::{Evidence, said};
use super::facts::Facts;
use super::words::{date, list, quoted, when};
use crate::accept::certificate::Certificate;
use crate::settings::PeerSettings;

pub(super) fn shown(facts: &Facts<'_>) -> Evidence {
    let leaf = facts.leaf();
    said(
        leaf.map_or_else(|| "none that can be read".to_owned(), ToString::to_string),
        "one",
    )
}

pub(super) fn chain(facts: &Facts<'_>) -> Evidence {
    let mut found = facts.leaf().map_or_else(String::new, |leaf| {
        format!(
            "issued by {}, serial {}, {}",
            quoted(&leaf.issuer),
            leaf.serial,
            validity(leaf, facts)
        )
    });
    if let Some(cause) = &facts.cause {
        found = format!("{found}; {cause}");
    }
    let names = facts.client_ca.iter().map(|ca| &ca.own_name);
    said(found, format!("tls.client_ca: {}", list(names)))
}

pub(super) fn peer(facts: &Facts<'_>) -> Evidence {
    let peers = facts.settings.peers.iter().map(listed);
    let expected = match facts.peer_settings() {
        Some(peer) => listed(peer),
        None => peers.collect::<Vec<_>>().join("; "),
    };
    said(facts.leaf().map_or_else(String::new, marks), expected)
}

fn validity(leaf: &Certificate, facts: &Facts<'_>) -> String {
    let day = |moment| date(moment).unwrap_or_default();
    let from = leaf.not_before.map(day).unwrap_or_default();
    match leaf.not_after {
        Some(end) => format!("good from {from} until {}", when(end, facts.now)),
        None => format!("good from {from}"),
    }
}

/// The marks by which a peer may be listed.
pub(super) fn marks(certificate: &Certificate) -> String {
    let ip: Vec<String> = certificate.ip.iter().map(ToString::to_string).collect();
    let all = [
        ("uri", &certificate.uri),
        ("dns", &certificate.dns),
        ("ip", &ip),
        ("cn", &certificate.cn),
    ];
    let mut shown: Vec<String> = all
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(mark, names)| format!("{mark} {}", list(*names)))
        .collect();
    shown.push(format!("sha256 {}", certificate.fingerprint()));
    shown.join(", ")
}

fn listed(peer: &PeerSettings) -> String {
    let ip: Vec<String> = peer.ip.iter().map(ToString::to_string).collect();
    let all = [
        ("uri", &peer.uri),
        ("dns", &peer.dns),
        ("ip", &ip),
        ("cn", &peer.cn),
    ];
    let mut shown: Vec<String> = all
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(mark, names)| format!("{mark} {}", list(*names)))
        .collect();
    for (mark, count) in [("sha256", peer.sha256.len()), ("spki", peer.spki.len())] {
        if count > 0 {
            shown.push(format!("{count} of {mark}"));
        }
    }
    format!("peer {}: {}", quoted(&peer.name), shown.join(", "))
}
