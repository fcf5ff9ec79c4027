//! `issuer.issuer`, `trust_domain`, `audience`, `form`, `signer`, `typ` and `sender_constrained`:
//! what a token must say.
//!
//! Nothing here has a default that means "anything": a maker and an audience are always written, by
//! the operator or by the preset.

use super::value;
use crate::model::TrustDomain;
use crate::settings::place::{At, Place};
use crate::settings::presets::Preset;
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::token::ABSENT;
use crate::settings::{AudienceRule, KeySource, Maker, SenderRule, TokenForm, TypeRule, defaults};

/// Who must have made the tokens.
pub(super) fn maker(
    raw: &RawIssuer,
    table: &str,
    place: &Place,
    report: &mut Report<'_>,
) -> Option<Maker> {
    let domain = match &raw.trust_domain {
        None => None,
        Some(at) => Some(trust_domain(at, table, report)?),
    };
    if let (None, Some(preset)) = (&domain, &raw.preset)
        && preset.text() == Preset::JwtSvid.name()
    {
        let fix = "write trust_domain = \"prod.example\": whose workloads these are";
        report.missing(table, place, "trust_domain", fix);
        return None;
    }
    let Some(at) = &raw.issuer else {
        if let Some(domain) = domain {
            return Some(Maker::TrustDomain(domain, None));
        }
        let fix = "write issuer = \"...\", the whole iss claim of its tokens";
        report.missing(table, place, "issuer", fix);
        return None;
    };
    if at.text().trim().is_empty() {
        let fix = "write the whole iss claim of its tokens";
        report.refuse(&at.place, &join(table, "issuer"), "is empty", fix);
        return None;
    }
    let issuer = at.value.clone();
    Some(match domain {
        Some(domain) => Maker::TrustDomain(domain, Some(issuer)),
        None => Maker::Issuer(issuer),
    })
}

fn trust_domain(at: &At<String>, table: &str, report: &mut Report<'_>) -> Option<TrustDomain> {
    let domain = TrustDomain::parse(at.text());
    if let Err((text, fix)) = domain {
        let said = format!("{:?} {text}", at.text());
        report.refuse(&at.place, &join(table, "trust_domain"), said, fix);
    }
    domain.ok()
}

/// For whom the tokens must be.
pub(super) fn audience(
    raw: &RawIssuer,
    (table, place): (&str, &Place),
    keys: Option<&KeySource>,
    report: &mut Report<'_>,
) -> Option<AudienceRule> {
    const FIX: &str = "write what aud holds in tokens for this service";
    let key = join(table, "audience");
    let Some(at) = &raw.audience else {
        let fix = "write audience = [\"...\"], what aud holds in tokens for this service: \
                   without it a token for any other service would do";
        report.missing(table, place, "audience", fix);
        return None;
    };
    let items: Vec<At<String>> = at.items().collect();
    let empty = items.iter().find(|item| item.text().trim().is_empty());
    if items.is_empty() || empty.is_some() {
        let place = empty.map_or(&at.place, |item| &item.place);
        report.refuse(place, &key, "is empty", FIX);
        return None;
    }
    if let Some(any) = items.iter().find(|item| item.text() == "*") {
        let text = "\"*\" is compared like any other text: nothing stands for every audience";
        report.refuse(&any.place, &key, text, FIX);
        return None;
    }
    let Some(absent) = items.iter().find(|item| item.text() == ABSENT) else {
        let names = items.into_iter().map(|item| item.value).collect();
        return Some(AudienceRule::OneOf(names));
    };
    // Public keys verify tokens for everybody; only a secret says for whom they are by itself.
    match keys {
        Some(KeySource::SecretFile(_)) if items.len() == 1 => Some(AudienceRule::Absent),
        Some(KeySource::SecretFile(_)) => {
            let text = "\"absent\" stands beside others";
            report.refuse(&absent.place, &key, text, "write it alone, or leave it out");
            None
        }
        Some(_) => {
            let text = "tokens without aud are for anybody, where public keys verify them";
            report.refuse(&absent.place, &key, text, FIX);
            None
        }
        None => None,
    }
}

/// How the tokens are written down.
pub(super) fn form(
    raw: &RawIssuer,
    (table, place): (&str, &Place),
    report: &mut Report<'_>,
) -> Option<TokenForm> {
    let words = [("jwt", false), ("aws-alb", true)];
    let key = join(table, "form");
    let is_alb = value::word(raw.form.as_ref(), &key, &words, defaults::FORM, report)?;
    match (is_alb, &raw.signer) {
        (false, None) => Some(TokenForm::Jwt),
        (false, Some(at)) => {
            let fix = "write form = \"aws-alb\" (preset = \"aws-alb\" does), or take the line out";
            let text = "no other form of token has a signer";
            report.refuse(&at.place, &join(table, "signer"), text, fix);
            None
        }
        (true, None) => {
            let fix = "write signer = [\"arn:...\"], the ARN of your load balancer: AWS signs for \
                       every customer with the same keys";
            report.missing(table, place, "signer", fix);
            None
        }
        (true, Some(at)) => {
            let key = join(table, "signer");
            let items: Vec<At<String>> = at.items().collect();
            if items.is_empty() {
                report.refuse(
                    &at.place,
                    &key,
                    "is empty",
                    "write the ARN of your load balancer",
                );
                return None;
            }
            let mut arns = Vec::new();
            for item in items {
                if !is_load_balancer(item.text()) {
                    let text = format!("{:?} is no ARN of a load balancer", item.text());
                    let fix = "write the whole ARN: arn:aws:elasticloadbalancing:REGION:ACCOUNT:\
                               loadbalancer/app/NAME/ID";
                    report.refuse(&item.place, &key, text, fix);
                    return None;
                }
                arns.push(item.value);
            }
            Some(TokenForm::AwsAlb(arns))
        }
    }
}

/// `arn:PARTITION:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID`; whole names are
/// compared later, so a pattern would never fit anything.
fn is_load_balancer(arn: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/' | b':');
    let parts: Vec<&str> = arn.split(':').collect();
    let [start, partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    *start == "arn"
        && partition.starts_with("aws")
        && *service == "elasticloadbalancing"
        && !region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.starts_with("loadbalancer/app/")
        && arn.bytes().all(plain)
}

/// Which kinds of token are meant.
pub(super) fn types(raw: &RawIssuer, table: &str, report: &mut Report<'_>) -> Option<TypeRule> {
    let Some(at) = &raw.typ else {
        return Some(TypeRule::default());
    };
    let key = join(table, "typ");
    let items: Vec<At<String>> = at.items().collect();
    if items.is_empty() {
        let fix = "write the kinds of token that are meant, such as \"at+jwt\" or \"JWT\"";
        report.refuse(&at.place, &key, "is empty", fix);
        return None;
    }
    // RFC 6838 4.2, and the slash between type and subtype.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&byte);
    for item in &items {
        if item.text().is_empty() || !item.text().bytes().all(plain) {
            let text = format!("{:?} is no media type", item.text());
            let fix = "write one such as \"at+jwt\" or \"JWT\", or \"absent\" for none";
            report.refuse(&item.place, &key, text, fix);
            return None;
        }
    }
    Some(TypeRule::new(items.into_iter().map(|item| item.value)))
}

/// Whether the tokens must be bound to their sender.
pub(super) fn sender(raw: &RawIssuer, table: &str, report: &mut Report<'_>) -> Option<SenderRule> {
    let words = [
        ("if-bound", SenderRule::IfBound),
        ("required", SenderRule::Required),
    ];
    let key = join(table, "sender_constrained");
    let written = raw.sender_constrained.as_ref();
    value::word(written, &key, &words, defaults::SENDER, report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_arn_of_an_application_load_balancer_is_one() {
        let good = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc";
        assert!(is_load_balancer(good));
        assert!(is_load_balancer(&good.replace("aws:", "aws-us-gov:")));
        for bad in [
            "",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012",
            "arn:aws:iam:eu-west-1:123456789012:loadbalancer/app/edge/50dc",
            "arn:aws:elasticloadbalancing:eu-west-1:12345678901:loadbalancer/app/edge/50dc",
            "arn:aws:elasticloadbalancing::123456789012:loadbalancer/app/edge/50dc",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/edge/50dc",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/*",
        ] {
            assert!(!is_load_balancer(bad), "{bad}");
        }
    }
}
