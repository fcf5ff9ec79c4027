//! `issuer.preset`: the preset writes what is missing, and says where something written does not
//! look like what its system sends.
//!
//! Looks are worth a warning, never a refusal: the shape of another's claims may change, and a wrong
//! one lets nobody in.

use crate::settings::Preset;
use crate::settings::place::{At, List};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::suggest::instead;

/// A preset, and the keys that it wrote.
pub(super) struct Filled {
    pub(super) preset: Preset,
    pub(super) keys: Vec<&'static str>,
}

/// A text, and what to write instead.
type Doubt = (String, &'static str);

/// Fills in what is missing.
pub(super) fn fill(raw: &mut RawIssuer, table: &str, report: &mut Report<'_>) -> Option<Filled> {
    let at = raw.preset.clone()?;
    let found = Preset::ALL.into_iter().find(|one| one.name() == at.text());
    let Some(preset) = found else {
        let names = Preset::ALL.map(Preset::name);
        let fix = instead(at.text(), &names, "the presets are");
        let text = format!("{:?} is no preset", at.text());
        report.refuse(&at.place, &join(table, "preset"), text, fix);
        return None;
    };
    doubts(preset, raw, table, report);
    let keys = preset.fill(raw, &at.place);
    Some(Filled { preset, keys })
}

fn doubts(preset: Preset, raw: &RawIssuer, table: &str, report: &mut Report<'_>) {
    if let Some(at) = &raw.issuer
        && let Some((text, fix)) = issuer_doubt(preset, at.text())
    {
        report.warn(&at.place, &join(table, "issuer"), text, fix);
    }
    for at in raw.audience.iter().flat_map(At::<List>::items) {
        if let Some((text, fix)) = audience_doubt(preset, at.text()) {
            report.warn(&at.place, &join(table, "audience"), text, fix);
        }
    }
    if let Some(at) = &raw.strip_headers {
        let written: Vec<String> = at
            .items()
            .map(|item| item.text().to_ascii_lowercase())
            .collect();
        let known = preset.values().strip_headers;
        let lost = known
            .iter()
            .find(|name| !written.contains(&name.to_ascii_lowercase()));
        if let Some(name) = lost {
            let text = format!("{preset} sends {name} unsigned, and this list does not remove it");
            let fix = "add it, or take the line out: the preset has them all";
            report.warn(&at.place, &join(table, "strip_headers"), text, fix);
        }
    }
    if let Some(at) = &raw.keys {
        let keys = &at.value;
        let written = [
            ("url", &keys.url),
            ("discovery", &keys.discovery),
            ("pem_url", &keys.pem_url),
            ("file", &keys.file),
            ("pem", &keys.pem),
            ("directory", &keys.directory),
            ("secret", &keys.secret),
        ];
        let fits = preset.values().keys;
        let odd = written
            .iter()
            .find(|(name, value)| value.is_some() && !fits.contains(name));
        if let Some((name, _)) = odd {
            let text = format!("{preset} does not publish its keys as `{name}`");
            let fix = match preset {
                Preset::AwsAlb => "name each key by its kid: the load balancer changes them",
                Preset::Spike => "write keys = { secret = \"...\" }",
                Preset::Pomerium
                | Preset::CloudflareAccess
                | Preset::GoogleIap
                | Preset::Oauth2Proxy
                | Preset::Oidc
                | Preset::JwtSvid => {
                    "write keys = { file = \"...\" }, a JWKS: keys change, and are told by kid"
                }
            };
            report.warn(&at.place, &join(table, "keys"), text, fix);
        }
    }
}

/// What is odd about an `iss` for this system.
fn issuer_doubt(preset: Preset, issuer: &str) -> Option<Doubt> {
    let said = |text: &str| format!("{issuer:?} {text}");
    let is_url = issuer.starts_with("https://");
    match preset {
        Preset::Pomerium => {
            let host = issuer.strip_prefix("https://");
            let host = match host {
                Some(rest) => rest.strip_suffix('/'),
                None => Some(issuer),
            };
            if host.is_some_and(is_host) {
                return None;
            }
            let fix = "write the route's host alone, or with jwt_issuer_format: uri \
                       \"https://HOST/\" with the slash at its end";
            Some((said("is in neither form that Pomerium writes"), fix))
        }
        Preset::CloudflareAccess => {
            let team = issuer
                .strip_prefix("https://")
                .and_then(|rest| rest.strip_suffix(".cloudflareaccess.com"));
            let fix = "write \"https://TEAM.cloudflareaccess.com\", without a slash at its end";
            (!team.is_some_and(is_host)).then(|| (said("is no team domain"), fix))
        }
        Preset::GoogleIap => {
            let fix = "take the line out: the preset has \"https://cloud.google.com/iap\"";
            let known = preset.values().issuer;
            (known != Some(issuer)).then(|| (said("is not what Google writes"), fix))
        }
        Preset::AwsAlb | Preset::Oauth2Proxy | Preset::Oidc => {
            let fix = "write the identity provider's URL as its discovery document has it";
            (!is_url).then(|| (said("is no https URL"), fix))
        }
        Preset::JwtSvid | Preset::Spike => None,
    }
}

/// What is odd about an `aud` for this system.
fn audience_doubt(preset: Preset, audience: &str) -> Option<Doubt> {
    let said = |text: &str| format!("{audience:?} {text}");
    match preset {
        Preset::Pomerium => {
            let fix = "write the route's host alone, also with jwt_issuer_format: uri";
            (!is_host(audience)).then(|| (said("is no host"), fix))
        }
        Preset::CloudflareAccess => {
            let tag = audience.len() == 64 && audience.bytes().all(|b| b.is_ascii_hexdigit());
            let fix = "write the application's Audience (AUD) Tag, 64 hex digits";
            (!tag).then(|| (said("is no AUD tag"), fix))
        }
        Preset::GoogleIap => {
            let fix = "write \"/projects/NUMBER/global/backendServices/ID\" or \
                       \"/projects/NUMBER/apps/ID\"";
            let path = audience.starts_with("/projects/");
            (!path).then(|| (said("is not in the form that Google writes"), fix))
        }
        Preset::AwsAlb => {
            let fix = "write the client id that the load balancer has at the identity provider";
            let url = audience.starts_with("arn:") || audience.contains("://");
            url.then(|| (said("is no client id"), fix))
        }
        Preset::Oauth2Proxy | Preset::Oidc | Preset::JwtSvid | Preset::Spike => None,
    }
}

/// A host, perhaps with a port: neither scheme nor path.
fn is_host(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '?', '#', '@', ' '])
}
