//! What to change about a client certificate.

use crate::accept::Revocation;
use crate::explain::certificate::marks;
use crate::explain::facts::Facts;
use crate::explain::words::{Difference, array, list, quoted, when};
use crate::model::Denial;

pub(super) fn missing(facts: &Facts<'_>) -> String {
    format!(
        "give the front proxy a client certificate of a CA in {} (nginx proxy_ssl_certificate, \
         HAProxy crt, Envoy tls_certificates, Pomerium tls_client_cert_file)",
        facts.settings.tls.client_ca.display()
    )
}

pub(super) fn early(facts: &Facts<'_>) -> String {
    let start = facts.leaf().and_then(|leaf| leaf.not_before);
    let start = start.map_or_else(String::new, |start| when(start, facts.now));
    format!("it is good from {start}: compare the clocks of the CA and of this host")
}

pub(super) fn ambiguous(facts: &Facts<'_>) -> String {
    format!(
        "leave only one [[peer]] that lists it: it has {}",
        facts.leaf().map(marks).unwrap_or_default()
    )
}

pub(super) fn untrusted(facts: &Facts<'_>) -> String {
    let file = facts.settings.tls.client_ca.display();
    let Some(leaf) = facts.leaf() else {
        return Denial::CertificateUntrusted.meaning().to_owned();
    };
    let last = facts.chain.last().unwrap_or(leaf);
    let issuer = quoted(&last.issuer);
    let same_name = facts.client_ca.iter().any(|ca| ca.own_name == last.issuer);
    if same_name {
        return format!(
            "{file} holds a CA of the name {issuer} with another key: it was made anew, or this is \
             somebody else's. Put the certificate of the CA that signed this one into {file}"
        );
    }
    let alone = facts.chain.len() == 1;
    let intermediate = if alone {
        "; if that is an intermediate, let the client send it after its own certificate"
    } else {
        ""
    };
    format!("add the certificate of {issuer} to {file}{intermediate}")
}

pub(super) fn expired(facts: &Facts<'_>) -> String {
    let past = facts
        .chain
        .iter()
        .find(|one| one.not_after.is_some_and(|end| end < facts.now));
    match past.and_then(|one| Some((one, one.not_after?))) {
        Some((one, end)) => format!(
            "{} ended {}: renew it, and see that the client loads the new one",
            quoted(&one.best_name()),
            when(end, facts.now)
        ),
        None => "a CA of the chain has expired: renew it in tls.client_ca".to_owned(),
    }
}

pub(super) fn revoked(facts: &Facts<'_>) -> String {
    let file = facts.settings.tls.client_crl.as_deref();
    let file = file.map_or_else(String::new, |file| file.display().to_string());
    let serial = facts.leaf().map_or("?", |leaf| &leaf.serial);
    match facts.revocation {
        Some(Revocation::Uncovered) => {
            format!("{file} has no list of every CA of the chain: put one of each into it")
        }
        Some(Revocation::Ended) => {
            format!("a list in {file} has ended: fetch the CA's newest")
        }
        Some(Revocation::Listed) | None => {
            format!("serial {serial} is on a list in {file}: issue the client a new certificate")
        }
    }
}

pub(super) fn invalid(facts: &Facts<'_>) -> String {
    let spiffe = |name: &String| name.starts_with("spiffe://");
    let cause = facts.cause.as_deref().unwrap_or_default();
    let is_svid = facts.leaf().is_some_and(|leaf| leaf.uri.iter().any(spiffe));
    if cause.contains("key usage") {
        "it is not for clients: issue one with the extended key usage clientAuth".to_owned()
    } else if is_svid && cause.is_empty() {
        "an X509-SVID has exactly one URI SAN, is no CA, and has the key usage digitalSignature and \
         neither keyCertSign nor cRLSign"
            .to_owned()
    } else {
        format!("issue a new one: {cause}")
    }
}

pub(super) fn not_listed(facts: &Facts<'_>) -> String {
    let Some(leaf) = facts.leaf() else {
        return Denial::PeerNotListed.meaning().to_owned();
    };
    let peers = &facts.settings.peers;
    let known: Vec<&String> = peers
        .iter()
        .flat_map(|peer| peer.uri.iter().chain(&peer.dns))
        .collect();
    let near = leaf.uri.iter().chain(&leaf.dns).find_map(|name| {
        let alike = |other: &&&String| Difference::between(name, other) != Difference::Other;
        Some((name, *known.iter().find(alike)?))
    });
    if let Some((name, other)) = near {
        return format!(
            "the certificate says {} and a [[peer]] says {}: names are compared whole, write it as \
             the certificate has it",
            quoted(name),
            quoted(other)
        );
    }
    let listed_cn = peers.iter().flat_map(|peer| &peer.cn);
    let names: Vec<&String> = leaf.dns.iter().chain(&leaf.uri).collect();
    if let Some(cn) = listed_cn.into_iter().find(|cn| names.contains(cn)) {
        return format!(
            "{} is a SAN of the certificate and not its CN: write it as dns or uri in the [[peer]]",
            quoted(cn)
        );
    }
    let (key, values) = match (leaf.uri.as_slice(), leaf.dns.as_slice()) {
        ([], []) if leaf.cn.len() == 1 => ("cn", leaf.cn.clone()),
        ([], []) => ("sha256", vec![leaf.fingerprint()]),
        ([], dns) => ("dns", dns.to_vec()),
        (uri, _) => ("uri", uri.to_vec()),
    };
    format!(
        "if this is a proxy that may connect, write {key} = {} in its [[peer]]; known are {}",
        array(&values),
        list(peers.iter().map(|peer| &*peer.name))
    )
}
