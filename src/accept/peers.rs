//! The list of `[[peer]]` becomes a table in which a verified certificate finds its one peer.
//!
//! Every mark is compared whole. A certificate that fits no peer, or more than one, is refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::certificate::Certificate;
use super::peer::Peer;
use super::shown::Shown;
use crate::model::Denial;
use crate::settings::{HandsOver, PeerSettings, Settings};

/// SPIFFE-ID 2.3: an ID is at most this long.
const MAX_SPIFFE_ID: usize = 2048;

/// All peers by all their marks. Looking one up costs the same for one peer and for a thousand.
#[derive(Debug)]
pub struct PeerTable {
    peers: Vec<Listed>,
    uri: HashMap<String, usize>,
    dns: HashMap<String, usize>,
    ip: HashMap<IpAddr, usize>,
    cn: HashMap<String, usize>,
    sha256: HashMap<[u8; 32], usize>,
    spki: HashMap<[u8; 32], usize>,
}

#[derive(Debug)]
struct Listed {
    name: Arc<str>,
    issuers: Arc<[Arc<str>]>,
    connections: Arc<Semaphore>,
    hands_over: Option<HandsOver>,
}

impl PeerTable {
    /// Builds the table; that no two peers share a mark was checked with the settings. A peer that
    /// `previous` lists too keeps its count of connections: those of before are still open.
    #[must_use]
    pub fn build(settings: &Settings, previous: Option<&Self>) -> Self {
        let peers = settings.peers.as_slice();
        fn index<K: Clone + Eq + std::hash::Hash>(
            peers: &[PeerSettings],
            marks: fn(&PeerSettings) -> &Vec<K>,
        ) -> HashMap<K, usize> {
            let each = |(at, peer)| marks(peer).iter().map(move |mark| (mark.clone(), at));
            peers.iter().enumerate().flat_map(each).collect()
        }
        let known = |name: &Arc<str>| {
            let before = previous.iter().flat_map(|table| &table.peers);
            let same = before.into_iter().find(|listed| listed.name == *name);
            same.map(|listed| Arc::clone(&listed.connections))
        };
        let listed = |peer: &PeerSettings| Listed {
            name: Arc::clone(&peer.name),
            issuers: issuers(peer, settings),
            connections: known(&peer.name)
                .unwrap_or_else(|| Arc::new(Semaphore::new(settings.limits.connections_per_peer))),
            hands_over: peer.hands_over,
        };
        Self {
            peers: peers.iter().map(listed).collect(),
            uri: index(peers, |peer| &peer.uri),
            dns: index(peers, |peer| &peer.dns),
            ip: index(peers, |peer| &peer.ip),
            cn: index(peers, |peer| &peer.cn),
            sha256: index(peers, |peer| &peer.sha256),
            spki: index(peers, |peer| &peer.spki),
        }
    }

    /// Finds the one peer that lists a certificate whose chain was verified.
    ///
    /// # Errors
    ///
    /// [`Denial::PeerNotListed`], [`Denial::PeerAmbiguous`], or [`Denial::CertificateInvalid`] when
    /// a SPIFFE mark fits a certificate that is no proper X509-SVID.
    pub(super) fn find(&self, shown: &Arc<Shown>) -> Result<Peer, Denial> {
        let at = self.position(&shown.leaf)?;
        let listed = self.peers.get(at).ok_or(Denial::PeerNotListed)?;
        let peer = Peer::new(
            Arc::clone(&listed.name),
            Arc::clone(&listed.issuers),
            Arc::clone(shown),
            Arc::clone(&listed.connections),
        );
        Ok(peer.handing_over(listed.hands_over))
    }

    fn position(&self, certificate: &Certificate) -> Result<usize, Denial> {
        let by_uri = certificate.uri.iter().filter_map(|uri| self.uri.get(uri));
        let by_dns = certificate.dns.iter().filter_map(|dns| self.dns.get(dns));
        let by_ip = certificate.ip.iter().filter_map(|ip| self.ip.get(ip));
        // With several common names nobody can say which one counts, so none does.
        let only_cn = match certificate.cn.as_slice() {
            [cn] => Some(cn),
            _ => None,
        };
        let mut all = by_uri
            .chain(by_dns)
            .chain(by_ip)
            .chain(only_cn.and_then(|cn| self.cn.get(cn)))
            .chain(self.sha256.get(&certificate.sha256))
            .chain(self.spki.get(&certificate.spki));
        let first = *all.next().ok_or(Denial::PeerNotListed)?;
        if all.any(|other| *other != first) {
            return Err(Denial::PeerAmbiguous);
        }
        let mut listed_uris = certificate
            .uri
            .iter()
            .filter(|uri| self.uri.contains_key(*uri));
        if listed_uris.any(|uri| uri.starts_with("spiffe://")) && !is_svid(certificate) {
            return Err(Denial::CertificateInvalid);
        }
        Ok(first)
    }
}

/// The names of the issuers whose tokens the peer may bring, in alphabetical order.
fn issuers(peer: &PeerSettings, settings: &Settings) -> Arc<[Arc<str>]> {
    let names = peer.issuers.iter();
    let mut names: Vec<Arc<str>> = names
        .filter_map(|index| settings.issuer_name(*index))
        .collect();
    names.sort_unstable();
    names.into()
}

/// The leaf rules of X509-SVID 2, 4 and 5. That the ID itself is well formed follows from its being
/// equal to one in the settings, where it was parsed.
fn is_svid(certificate: &Certificate) -> bool {
    let one_short_uri = matches!(certificate.uri.as_slice(), [id] if id.len() <= MAX_SPIFFE_ID);
    let usage = certificate.usage;
    one_short_uri && !usage.ca && usage.digital_signature && !usage.key_cert_sign && !usage.crl_sign
}
