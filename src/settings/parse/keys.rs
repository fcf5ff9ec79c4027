//! `issuer.algorithms`, which must fit `issuer.keys`.
//!
//! Whoever can verify with a symmetric key can forge, and a public key used as a shared
//! secret is known to everybody. So an HS algorithm stands alone and only with `keys.secret`.

use crate::model::Algorithm;
use crate::settings::place::{At, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::suggest::instead;
use crate::settings::{KeySource, defaults};

/// The algorithms, which `keys` must be able to verify.
pub(super) fn algorithms(
    raw: &RawIssuer,
    (table, place): (&str, &Place),
    keys: Option<&KeySource>,
    report: &mut Report<'_>,
) -> Option<Vec<Algorithm>> {
    let key = join(table, "algorithms");
    let has_secret = matches!(keys, Some(KeySource::SecretFile(_)));
    let Some(at) = &raw.algorithms else {
        if has_secret && !report.has_gap(table) {
            let fix = "write algorithms = [\"HS256\"]: a shared secret is never used by default";
            report.refuse(place, &key, "missing", fix);
        }
        return (!has_secret).then(|| defaults::ALGORITHMS.to_vec());
    };
    let items: Vec<At<String>> = at.items().collect();
    if items.is_empty() {
        let fix = "write at least one, such as \"ES256\"";
        report.refuse(&at.place, &key, "is empty", fix);
        return None;
    }
    let mut algorithms = Vec::new();
    for item in &items {
        let algorithm = algorithm(item, &key, report)?;
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    let symmetric = algorithms.iter().filter(|one| one.is_symmetric()).count();
    let flaw = match symmetric {
        0 if has_secret => Some((
            "only HS algorithms use keys.secret",
            "write algorithms = [\"HS256\"], or keys = { file = \"...\" }",
        )),
        0 => None,
        _ if symmetric < algorithms.len() => Some((
            "HS algorithms never stand beside others: a public key could be taken for the secret",
            "keep one kind; the other is another [[issuer]]",
        )),
        _ if keys.is_some() && !has_secret => Some((
            "HS algorithms need keys.secret",
            "write keys = { secret = \"...\" }, the path of the secret's file",
        )),
        _ => None,
    };
    if let Some((text, fix)) = flaw {
        report.refuse(&at.place, &key, text, fix);
        return None;
    }
    if symmetric > 0 {
        let text = "whoever verifies with a shared secret can forge with it";
        report.warn(
            &at.place,
            &key,
            text,
            "use ES256 and a public key where the issuer can",
        );
    }
    Some(algorithms)
}

fn algorithm(item: &At<String>, key: &str, report: &mut Report<'_>) -> Option<Algorithm> {
    let text = item.text();
    let found = Algorithm::from_name(text);
    if found.is_none() {
        let (said, fix) = if text.eq_ignore_ascii_case("none") {
            let fix = "write what the issuer signs with, such as \"ES256\"".to_owned();
            (
                "a token without a signature is never accepted".to_owned(),
                fix,
            )
        } else {
            let names = Algorithm::ALL.map(Algorithm::name);
            let fix = instead(text, &names, "the algorithms are");
            (format!("{text:?} is no algorithm"), fix)
        };
        report.refuse(&item.place, key, said, fix);
    }
    found
}
