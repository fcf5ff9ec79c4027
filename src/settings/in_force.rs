//! What holds for one issuer, and for each preset, in words: for `sidegate check` and the README.
//!
//! Says what was parsed, not what was written, so that it shows what the gate goes by.

use std::fmt::Write as _;

use super::presets::Preset;
use super::units::duration_text;
use super::{
    AudienceRule, HeaderPattern, IssuerSettings, Maker, SenderRule, SubjectRule, TokenForm,
    TokenPlace,
};

/// One value, and where it comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InForce {
    /// The key in the configuration.
    pub key: &'static str,
    /// What holds.
    pub value: String,
    /// The preset that wrote it.
    pub preset: Option<Preset>,
}

/// Everything that a token of this issuer is held to, but its keys.
#[must_use]
pub fn in_force(issuer: &IssuerSettings) -> Vec<InForce> {
    let list = |words: &[String]| words.join(", ");
    let algorithms: Vec<&str> = issuer.algorithms.iter().map(|one| one.name()).collect();
    let places: Vec<String> = issuer.places.iter().map(place).collect();
    let companions: Vec<String> = issuer.companions.iter().map(pattern).collect();
    let (form, signer) = match &issuer.form {
        TokenForm::Jwt => ("jwt", None),
        TokenForm::AwsAlb(arns) => ("aws-alb", Some(list(arns))),
    };
    let (issuer_text, domain) = match &issuer.maker {
        Maker::Issuer(issuer) => (Some(issuer.clone()), None),
        Maker::TrustDomain(domain, issuer) => (issuer.clone(), Some(domain.to_string())),
    };
    let audience = match &issuer.audience {
        AudienceRule::OneOf(names) => list(names),
        AudienceRule::Absent => "absent".to_owned(),
    };
    let subject = issuer.subject == SubjectRule::MayBeEmpty;
    let sender = match issuer.sender {
        SenderRule::IfBound => "if-bound",
        SenderRule::Required => "required",
    };
    let said = [
        ("issuer", issuer_text),
        ("trust_domain", domain),
        ("audience", Some(audience)),
        ("header", Some(places.join(", "))),
        ("algorithms", Some(algorithms.join(", "))),
        ("typ", Some(issuer.types.to_string())),
        ("form", Some(form.to_owned())),
        ("signer", signer),
        ("leeway", Some(duration_text(issuer.leeway))),
        ("max_lifetime", Some(duration_text(issuer.max_lifetime))),
        ("allow_empty_subject", Some(subject.to_string())),
        ("sender_constrained", Some(sender.to_owned())),
        (
            "strip_headers",
            Some(companions.join(", ")).filter(|all| !all.is_empty()),
        ),
    ];
    let of = |key: &str| {
        let (preset, keys) = issuer.preset.as_ref()?;
        keys.contains(&key).then_some(*preset)
    };
    said.into_iter()
        .filter_map(|(key, value)| {
            let preset = of(key);
            value.map(|value| InForce { key, value, preset })
        })
        .collect()
}

fn place(place: &TokenPlace) -> String {
    match place {
        TokenPlace::Header(name) => name.to_string(),
        TokenPlace::Bearer(name) => format!("{name}: Bearer"),
        TokenPlace::Cookie(name) => format!("the cookie {name}"),
    }
}

fn pattern(pattern: &HeaderPattern) -> String {
    match pattern {
        HeaderPattern::Name(name) => name.clone(),
        HeaderPattern::Prefix(start) => format!("{start}*"),
    }
}

/// What each preset writes, in Markdown: between `<!-- presets-reference:start -->` and its end.
#[must_use]
pub fn preset_reference() -> String {
    let mut text =
        "| preset | `header` | `algorithms` | `typ` | `max_lifetime` | `strip_headers` | and |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    let code = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(" ")
    };
    for preset in Preset::ALL {
        let values = preset.values();
        let mut more = Vec::new();
        for (key, value) in [("issuer", values.issuer), ("audience", values.audience)] {
            more.extend(value.map(|value| format!("`{key}` is `{value}`")));
        }
        if values.form != "jwt" {
            more.push(format!("`form` is `{}`", values.form));
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{preset}` | `{}` | {} | {} | {} | {} | {} |",
            values.header,
            code(values.algorithms),
            code(values.typ),
            values.max_lifetime,
            code(values.strip_headers),
            more.join(", ")
        );
    }
    text
}
