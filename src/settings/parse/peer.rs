//! `[[peer]]`: who may connect, recognized by what, with whose tokens.
//!
//! No two peers may share a mark: a certificate must name one of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::issuer::Issuers;
use super::{marks, value};
use crate::settings::place::{At, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawPeer;
use crate::settings::suggest::instead;
use crate::settings::{HandsOver, IssuerIndex, PeerSettings, XfccElement, defaults};

/// Which peer carries a mark: by kind and canonical text.
type Owners = HashMap<(&'static str, String), (usize, String)>;

pub(super) fn peers(
    raw: Vec<At<RawPeer>>,
    issuers: &Issuers,
    report: &mut Report<'_>,
) -> Option<Vec<PeerSettings>> {
    if raw.is_empty() {
        let fix = "write a section [[peer]] with a name, a mark such as uri, and issuers: \
                   without one nobody could connect";
        report.missing("", &Place::Nowhere, "peer", fix);
        return None;
    }
    let mut names = HashMap::new();
    let mut owners = Owners::new();
    let parsed: Vec<Option<PeerSettings>> = raw
        .iter()
        .enumerate()
        .map(|(index, at)| {
            let table = format!("peer[{index}]");
            let name = value::name(
                at.value.name.as_ref(),
                (&table, &at.place),
                &mut names,
                report,
            );
            peer(at, &table, name, issuers, (index, &mut owners), report)
        })
        .collect();
    parsed.into_iter().collect()
}

fn peer(
    at: &At<RawPeer>,
    table: &str,
    name: Option<Arc<str>>,
    issuers: &Issuers,
    (index, owners): (usize, &mut Owners),
    report: &mut Report<'_>,
) -> Option<PeerSettings> {
    let raw = &at.value;
    let key = |name: &str| join(table, name);
    let shown = name.as_deref().unwrap_or(table).to_owned();
    let mut own = Own {
        index,
        shown,
        owners,
        any: false,
    };

    let uri = marks::list(raw.uri.as_ref(), &key("uri"), marks::uri, report);
    let uri = own.claim("uri", uri, &key("uri"), String::clone, report);
    let dns = marks::list(raw.dns.as_ref(), &key("dns"), marks::dns, report);
    let dns = own.claim("dns", dns, &key("dns"), String::clone, report);
    let ip = marks::list(raw.ip.as_ref(), &key("ip"), marks::ip, report);
    let ip = own.claim("ip", ip, &key("ip"), ToString::to_string, report);
    let cn = marks::list(raw.cn.as_ref(), &key("cn"), marks::cn, report);
    let cn = own.claim("cn", cn, &key("cn"), String::clone, report);
    let hex = |hash: &[u8; 32]| format!("{hash:02x?}");
    let sha256 = marks::list(raw.sha256.as_ref(), &key("sha256"), marks::sha256, report);
    let sha256 = own.claim("sha256", sha256, &key("sha256"), hex, report);
    let spki = marks::list(raw.spki.as_ref(), &key("spki"), marks::spki, report);
    let spki = own.claim("spki", spki, &key("spki"), hex, report);

    let lists = [&raw.uri, &raw.dns, &raw.ip, &raw.cn, &raw.sha256, &raw.spki];
    if lists.iter().all(|list| list.is_none()) && !report.has_gap(table) {
        let fix = "write at least one of uri, dns, ip, cn, sha256 and spki: \
                   without one no certificate is this peer's";
        report.refuse(&at.place, table, "nothing to recognize this peer by", fix);
    }
    let unmarked = !own.any;
    if let Some(at) = &raw.cn {
        let text = "common names are legacy: a CA checks them less strictly than SANs";
        report.warn(
            &at.place,
            &key("cn"),
            text,
            "use uri or dns where the certificate has a SAN",
        );
    }
    let hands_over = hands_over(raw, table, report);
    let issuers = bring(raw, table, &at.place, issuers, report)?;
    if unmarked {
        return None;
    }
    Some(PeerSettings {
        name: name?,
        uri,
        dns,
        ip,
        cn,
        sha256,
        spki,
        issuers,
        hands_over: hands_over?,
    })
}

/// How the peer hands over its client's certificate: `Some(None)` where it does not.
fn hands_over(raw: &RawPeer, table: &str, report: &mut Report<'_>) -> Option<Option<HandsOver>> {
    let elements = [
        ("only", XfccElement::Only),
        ("last", XfccElement::Last),
        ("first", XfccElement::First),
    ];
    let key = join(table, "xfcc_element");
    let written = raw.xfcc_element.as_ref();
    let element = value::word(written, &key, &elements, defaults::XFCC_ELEMENT, report)?;
    let forms = [
        ("client-cert", HandsOver::ClientCert),
        ("xfcc", HandsOver::Xfcc(element)),
    ];
    let how = match &raw.hands_over {
        None => None,
        Some(at) => {
            let key = join(table, "hands_over");
            let default = defaults::XFCC_ELEMENT;
            Some(value::word(Some(at), &key, &forms, default, report)?)
        }
    };
    // The default may be written anywhere; another word would be an order that nobody follows.
    if let (Some(at), None | Some(HandsOver::ClientCert)) = (written, how)
        && at.text() != defaults::XFCC_ELEMENT
    {
        let text = "no X-Forwarded-Client-Cert of this peer is looked at";
        report.refuse(&at.place, &key, text, "write hands_over = \"xfcc\" too");
        return None;
    }
    Some(how)
}

/// Whose tokens the peer may bring.
fn bring(
    raw: &RawPeer,
    table: &str,
    place: &Place,
    issuers: &Issuers,
    report: &mut Report<'_>,
) -> Option<Vec<IssuerIndex>> {
    let names = issuers.names();
    let Some(at) = &raw.issuers else {
        let example = names.first().copied().unwrap_or("NAME");
        let fix = format!("write issuers = [\"{example}\"]: whose tokens this peer may bring");
        report.missing(table, place, "issuers", &fix);
        return None;
    };
    let key = join(table, "issuers");
    let mut indices = Vec::new();
    let mut flawed = false;
    for item in at.items() {
        match issuers.find(item.text()) {
            Some(index) if indices.contains(&index) => {}
            Some(index) => indices.push(index),
            None => {
                flawed = true;
                // Where the issuers themselves are in disorder, which of them exist is not known.
                if issuers.are_known() {
                    let text = format!("no [[issuer]] is named {:?}", item.text());
                    let fix = instead(item.text(), &names, "the issuers are");
                    report.refuse(&item.place, &key, text, fix);
                }
            }
        }
    }
    if indices.is_empty() && !flawed {
        let fix = "name at least one [[issuer]]: whose tokens this peer may bring";
        report.refuse(&at.place, &key, "is empty", fix);
    }
    (!indices.is_empty() && !flawed).then_some(indices)
}

/// The marks of one peer, on their way into those of all.
struct Own<'a> {
    index: usize,
    shown: String,
    owners: &'a mut Owners,
    any: bool,
}

impl Own<'_> {
    /// Takes marks for this peer; one that another peer has already is refused.
    fn claim<T>(
        &mut self,
        kind: &'static str,
        marks: Vec<(T, At<String>)>,
        key: &str,
        canonical: impl Fn(&T) -> String,
        report: &mut Report<'_>,
    ) -> Vec<T> {
        let mut taken = Vec::new();
        for (mark, at) in marks {
            self.any = true;
            let entry = self.owners.entry((kind, canonical(&mark)));
            let owner = entry.or_insert_with(|| (self.index, self.shown.clone()));
            if owner.0 == self.index {
                taken.push(mark);
                continue;
            }
            let text = format!("{:?} is a mark of peer {:?} already", at.text(), owner.1);
            let fix = "a certificate must name one peer: keep it in one of the two";
            report.refuse(&at.place, key, text, fix);
        }
        taken
    }
}
