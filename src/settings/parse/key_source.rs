//! `issuer.keys`: the one source of an issuer's keys, and nothing beside it that another would need.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::ServerName;

use super::value;
use crate::model::SecureUrl;
use crate::model::url::UrlFault;
use crate::settings::place::{At, Place};
use crate::settings::problem::{Report, join};
use crate::settings::raw::RawIssuer;
use crate::settings::raw_keys::RawKeys;
use crate::settings::{
    Access, DocumentPlace, KeyForm, KeySource, Pace, RemoteKeys, RemotePlace, defaults,
};

const FIX: &str = "write keys = { url = \"https://...\" } or { file = \"...\" } for a JWKS, \
                   { pem = \"...\" } for public keys, or { secret = \"...\" } for the file with an \
                   HS secret";
const SOURCES: [&str; 7] = [
    "url",
    "discovery",
    "pem_url",
    "file",
    "pem",
    "directory",
    "secret",
];
/// The variable part of `pem_url`.
const KID: &str = "{kid}";

/// The one source of keys.
pub(super) fn source(
    raw: &RawIssuer,
    (table, place): (&str, &Place),
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<KeySource> {
    let Some(at) = &raw.keys else {
        report.missing(table, place, "keys", FIX);
        return None;
    };
    let keys = join(table, "keys");
    let mut written = SOURCES
        .into_iter()
        .filter_map(|name| Some((name, named(&at.value, name)?)));
    let (name, source) = match (written.next(), written.next()) {
        (Some(one), None) => one,
        (None, _) => {
            if !report.has_gap(&keys) {
                report.refuse(&at.place, &keys, "names no source", FIX);
            }
            return None;
        }
        (Some(_), Some(_)) => {
            let fix = "keep one of url, discovery, pem_url, file, pem, directory and secret; \
                       another source is another [[issuer]]";
            report.refuse(&at.place, &keys, "names more than one source", fix);
            return None;
        }
    };
    let mut context = Context {
        raw: &at.value,
        issuer: raw.issuer.as_ref(),
        keys: &keys,
        name,
        folder,
        report,
    };
    let suits = context.options_suit();
    let source = context.build(source)?;
    suits.then_some(source)
}

fn named<'r>(raw: &'r RawKeys, name: &str) -> Option<&'r At<String>> {
    match name {
        "url" => raw.url.as_ref(),
        "discovery" => raw.discovery.as_ref(),
        "pem_url" => raw.pem_url.as_ref(),
        "file" => raw.file.as_ref(),
        "pem" => raw.pem.as_ref(),
        "directory" => raw.directory.as_ref(),
        "secret" => raw.secret.as_ref(),
        _ => None,
    }
}

/// What all the parts of one table share.
struct Context<'a, 'r, 't> {
    raw: &'a RawKeys,
    issuer: Option<&'a At<String>>,
    keys: &'a str,
    /// Which source it is.
    name: &'static str,
    folder: &'a Path,
    report: &'r mut Report<'t>,
}

impl Context<'_, '_, '_> {
    fn build(&mut self, at: &At<String>) -> Option<KeySource> {
        match self.name {
            "file" => {
                let form = self.form();
                let path = self.path(at, "file");
                match form? {
                    KeyForm::Jwks => path.map(KeySource::JwksFile),
                    KeyForm::PemMap => path.map(KeySource::PemMapFile),
                }
            }
            "pem" => self.path(at, "pem").map(KeySource::PemFile),
            "directory" => self.path(at, "directory").map(KeySource::Directory),
            "secret" => self.path(at, "secret").map(KeySource::SecretFile),
            _ => self.remote(at),
        }
    }

    fn remote(&mut self, at: &At<String>) -> Option<KeySource> {
        let place = match self.name {
            "url" => {
                let form = self.form();
                self.url(at, at.text()).and_then(|url| {
                    let place = DocumentPlace::Url { url, form: form? };
                    Some(RemotePlace::Document(place))
                })
            }
            "discovery" => self.discovery(at),
            _ => self.pem_by_kid(at),
        };
        let access = self.access();
        let pace = self.pace();
        Some(KeySource::Remote(Box::new(RemoteKeys {
            place: place?,
            access: access?,
            pace,
        })))
    }

    fn url(&mut self, at: &At<String>, text: &str) -> Option<SecureUrl> {
        let fault = match SecureUrl::parse(text) {
            Ok(url) => return Some(url),
            Err(fault) => fault,
        };
        let fix = match fault {
            UrlFault::Plain | UrlFault::Scheme => {
                "write https://; plain http only to 127.0.0.1, [::1] or localhost"
            }
            UrlFault::User => "write it without; a server that asks who fetches gets certificate",
            UrlFault::Fragment => "write it without",
            UrlFault::Form | UrlFault::Host | UrlFault::Port => {
                "write one such as \"https://idp.example/jwks.json\""
            }
        };
        self.refuse(at, self.name, fault.to_string(), fix);
        None
    }

    /// OIDC Discovery 4.1: the path is appended after a terminating `/` was removed.
    fn discovery(&mut self, at: &At<String>) -> Option<RemotePlace> {
        let text = at.text();
        if let Some(issuer) = self.issuer
            && issuer.text() != text
        {
            let fix = "write the same text in both: the provider's issuer, as its tokens have it";
            self.refuse(at, "discovery", "is not the issuer of this section", fix);
            return None;
        }
        if text.contains('?') {
            let fix = "write the provider's issuer, which has none (OIDC Discovery 2)";
            self.refuse(at, "discovery", "holds a query", fix);
            return None;
        }
        // As it stands, before anything is appended that would hide what is wrong with it.
        self.url(at, text)?;
        let base = text.strip_suffix('/').unwrap_or(text);
        let url = self.url(at, &format!("{base}/.well-known/openid-configuration"))?;
        Some(RemotePlace::Document(DocumentPlace::Discovery { url }))
    }

    fn pem_by_kid(&mut self, at: &At<String>) -> Option<RemotePlace> {
        const FIX: &str = "write {kid} once, as the whole last segment of the path: \
                           \"https://keys.example/{kid}\"";
        let folder = at.text().strip_suffix(KID);
        let fits =
            |folder: &&str| folder.ends_with('/') && !folder.contains(KID) && !folder.contains('?');
        let Some(folder) = folder.filter(fits) else {
            self.refuse(at, "pem_url", "does not end with /{kid}", FIX);
            return None;
        };
        self.url(at, folder)
            .map(|folder| RemotePlace::ByKid { folder })
    }

    fn form(&mut self) -> Option<KeyForm> {
        let words = [("jwks", KeyForm::Jwks), ("pem-map", KeyForm::PemMap)];
        let key = join(self.keys, "format");
        let written = self.raw.format.as_ref();
        value::word(written, &key, &words, defaults::KEYS_FORMAT, self.report)
    }

    fn access(&mut self) -> Option<Access> {
        let raw = self.raw;
        let ca = self.optional_path(raw.ca.as_ref(), "ca");
        let certificate = self.optional_path(raw.certificate.as_ref(), "certificate");
        let private_key = self.optional_path(raw.private_key.as_ref(), "private_key");
        let identity = match (certificate?, private_key?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                let at = raw.certificate.as_ref()?;
                let fix = "write private_key = \"...\" beside it";
                self.refuse(at, "certificate", "stands without its private key", fix);
                return None;
            }
            (None, Some(_)) => {
                let at = raw.private_key.as_ref()?;
                let fix = "write certificate = \"...\" beside it";
                self.refuse(at, "private_key", "stands without its certificate", fix);
                return None;
            }
        };
        let server_name = match &raw.server_name {
            None => None,
            Some(at) => Some(self.server_name(at)?),
        };
        Some(Access {
            ca: ca?,
            identity,
            server_name,
        })
    }

    fn server_name(&mut self, at: &At<String>) -> Option<ServerName<'static>> {
        let name = ServerName::try_from(at.text().to_owned()).ok();
        if name.is_none() {
            let fix = "write a DNS name or an IP address that the server's certificate holds";
            let text = format!("{:?} is no name of a server", at.text());
            self.refuse(at, "server_name", text, fix);
        }
        name
    }

    fn pace(&mut self) -> Pace {
        let mut duration = |written: &Option<At<String>>, name, bounds| -> Duration {
            value::duration(
                written.as_ref(),
                &join(self.keys, name),
                bounds,
                self.report,
            )
        };
        let refresh = duration(&self.raw.refresh, "refresh", &defaults::KEYS_REFRESH);
        let max_stale = duration(&self.raw.max_stale, "max_stale", &defaults::KEYS_MAX_STALE);
        if let Some(at) = self.raw.max_stale.as_ref().or(self.raw.refresh.as_ref())
            && max_stale < refresh
        {
            let fix = "write a longer max_stale: keys would end between two fetches";
            self.refuse(at, "max_stale", "is shorter than refresh", fix);
        }
        Pace {
            refresh,
            max_stale,
            ..Pace::default()
        }
    }

    /// Refuses what was written for another kind of source: it would have no effect.
    fn options_suit(&mut self) -> bool {
        let raw = self.raw;
        let remote: &[&str] = &["url", "discovery", "pem_url"];
        let options = [
            ("format", &raw.format, &["url", "file"][..]),
            ("ca", &raw.ca, remote),
            ("certificate", &raw.certificate, remote),
            ("private_key", &raw.private_key, remote),
            // The JWKS that a provider names may be on another host, with another name.
            ("server_name", &raw.server_name, &["url", "pem_url"]),
            ("refresh", &raw.refresh, remote),
            ("max_stale", &raw.max_stale, remote),
        ];
        let mut suits = true;
        for (option, written, sources) in options {
            let Some(at) = written else { continue };
            if !sources.contains(&self.name) {
                let text = format!("has no meaning beside {}", self.name);
                let fix = format!("remove it; it goes with {}", sources.join(" and "));
                self.refuse(at, option, text, &fix);
                suits = false;
            }
        }
        suits
    }

    fn path(&mut self, at: &At<String>, name: &str) -> Option<PathBuf> {
        value::path(at, &join(self.keys, name), self.folder, self.report)
    }

    /// `None` only after a problem was reported.
    #[expect(clippy::option_option, reason = "absent and refused are two things")]
    fn optional_path(&mut self, at: Option<&At<String>>, name: &str) -> Option<Option<PathBuf>> {
        match at {
            None => Some(None),
            Some(at) => self.path(at, name).map(Some),
        }
    }

    fn refuse(&mut self, at: &At<String>, name: &str, text: impl Into<String>, fix: &str) {
        let key = join(self.keys, name);
        self.report.refuse(&at.place, &key, text, fix);
    }
}
