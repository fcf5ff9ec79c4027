//! What flags and the environment say above the file.
//!
//! A flag beats the environment, the environment beats the file. The environment is an argument:
//! nothing here reads the process's own.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::place::{At, Place};
use super::problem::{Problem, SettingsError};
use super::raw::RawSettings;
use super::suggest::instead;

/// A value that does not come from the file, and the name of what brought it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Override {
    /// What was said.
    pub value: String,
    /// `SIDEGATE_LISTEN` or `--listen`: what error texts point at.
    pub origin: Arc<str>,
}

/// Everything that can be said outside of the file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overrides {
    /// The configuration file itself.
    pub config: Option<Override>,
    /// `listen.address`
    pub listen: Option<Override>,
    /// `upstream.address`
    pub upstream: Option<Override>,
    /// `admin.address`
    pub admin: Option<Override>,
    /// `log.level`
    pub log_level: Option<Override>,
    /// `log.format`
    pub log_format: Option<Override>,
}

/// The environment variables that are read, in the order of the fields of [`Overrides`].
pub const VARIABLES: [&str; 6] = [
    "SIDEGATE_CONFIG",
    "SIDEGATE_LISTEN",
    "SIDEGATE_UPSTREAM",
    "SIDEGATE_ADMIN",
    "SIDEGATE_LOG_LEVEL",
    "SIDEGATE_LOG_FORMAT",
];

const PREFIX: &str = "SIDEGATE_";

// === impl Override ===

impl Override {
    /// `value`, brought by `origin`.
    #[must_use]
    pub fn new(value: impl Into<String>, origin: &str) -> Self {
        Self {
            value: value.into(),
            origin: origin.into(),
        }
    }
}

// === impl Overrides ===

impl Overrides {
    /// Picks the `SIDEGATE_*` variables out of an environment.
    ///
    /// # Errors
    ///
    /// A `SIDEGATE_*` variable that is unknown, or whose value is no text: whoever wrote it wanted
    /// something that would not happen.
    pub fn from_environment(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut overrides = Self::default();
        let mut problems: Vec<Problem> = Vec::new();
        for (name, value) in environment {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            let Some(field) = overrides.field(name) else {
                if !is_service_link(name, &value) {
                    let fix = instead(name, &VARIABLES, "the variables are");
                    let error = SettingsError::outside(name, "unknown variable", fix);
                    problems.extend(error.problems);
                }
                continue;
            };
            if let Some(value) = value.to_str() {
                *field = Some(Override::new(value, name));
            } else {
                let fix = "write plain text";
                let error = SettingsError::outside(name, "the value is not UTF-8", fix);
                problems.extend(error.problems);
            }
        }
        if problems.is_empty() {
            Ok(overrides)
        } else {
            problems.sort_by(|a, b| a.file.cmp(&b.file));
            Err(SettingsError { problems })
        }
    }

    /// These, and `lower` wherever these say nothing: `flags.over(environment)`.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        Self {
            config: self.config.or(lower.config),
            listen: self.listen.or(lower.listen),
            upstream: self.upstream.or(lower.upstream),
            admin: self.admin.or(lower.admin),
            log_level: self.log_level.or(lower.log_level),
            log_format: self.log_format.or(lower.log_format),
        }
    }

    /// Puts these in place of what the file says.
    pub(super) fn apply(&self, raw: &mut RawSettings) {
        let set = |target: &mut Option<At<String>>, value: &Option<Override>| {
            if let Some(value) = value {
                *target = Some(At {
                    value: value.value.clone(),
                    place: Place::Origin(Arc::clone(&value.origin)),
                });
            }
        };
        set(
            &mut raw.listen.get_or_insert_default().value.address,
            &self.listen,
        );
        set(
            &mut raw.upstream.get_or_insert_default().value.address,
            &self.upstream,
        );
        set(
            &mut raw.admin.get_or_insert_default().value.address,
            &self.admin,
        );
        set(
            &mut raw.log.get_or_insert_default().value.level,
            &self.log_level,
        );
        set(
            &mut raw.log.get_or_insert_default().value.format,
            &self.log_format,
        );
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<Override>> {
        let [config, listen, upstream, admin, level, format] = VARIABLES;
        Some(match name {
            _ if name == config => &mut self.config,
            _ if name == listen => &mut self.listen,
            _ if name == upstream => &mut self.upstream,
            _ if name == admin => &mut self.admin,
            _ if name == level => &mut self.log_level,
            _ if name == format => &mut self.log_format,
            _ => return None,
        })
    }
}

/// Whether Kubernetes (or `docker --link`) may have set this: for every Service of a namespace its
/// pods get `NAME_SERVICE_HOST`, `NAME_PORT` and so on, and a Service named `sidegate` is likely.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    let is_url = value.to_str().is_some_and(|value| value.contains("://"));
    let parts: Vec<&str> = name.split('_').collect();
    let number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let protocol = |part: &&str| matches!(*part, "TCP" | "UDP" | "SCTP");
    (1..parts.len()).any(|start| match parts.get(start..) {
        Some(["SERVICE", "HOST"] | ["SERVICE", "PORT", ..]) => true,
        // A bare number was not set by Kubernetes, but by somebody who wanted another port.
        Some(["PORT"]) => is_url,
        Some(["PORT", port, transport]) => number(port) && protocol(transport),
        Some(["PORT", port, transport, "PORT" | "PROTO" | "ADDR"]) => {
            number(port) && protocol(transport)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Overrides, SettingsError> {
        Overrides::from_environment(
            pairs
                .iter()
                .map(|(name, value)| (OsString::from(name), OsString::from(value))),
        )
    }

    #[test]
    fn every_variable_reaches_its_field() {
        let pairs = VARIABLES.map(|name| (name, name));
        let overrides = read(&pairs).unwrap();
        let fields = [
            overrides.config,
            overrides.listen,
            overrides.upstream,
            overrides.admin,
            overrides.log_level,
            overrides.log_format,
        ];
        for (field, name) in fields.into_iter().zip(VARIABLES) {
            assert_eq!(field, Some(Override::new(name, name)));
        }
    }

    #[test]
    fn an_unknown_variable_is_refused_and_foreign_ones_are_not() {
        let error = read(&[
            ("SIDEGATE_LISTN", "x"),
            ("PATH", "/bin"),
            ("SIDEGATE_X", ""),
        ])
        .unwrap_err()
        .to_string();
        assert_eq!(
            error,
            "SIDEGATE_LISTN: unknown variable; did you mean `SIDEGATE_LISTEN`?\n\
             SIDEGATE_X: unknown variable; the variables are: `SIDEGATE_CONFIG`, \
             `SIDEGATE_LISTEN`, `SIDEGATE_UPSTREAM`, `SIDEGATE_ADMIN`, `SIDEGATE_LOG_LEVEL`, \
             `SIDEGATE_LOG_FORMAT`"
        );
    }

    #[test]
    fn a_kubernetes_service_named_sidegate_does_not_stop_the_gate() {
        let url = "tcp://10.0.0.1:8443";
        for name in [
            "SIDEGATE_SERVICE_HOST",
            "SIDEGATE_SERVICE_PORT",
            "SIDEGATE_SERVICE_PORT_MTLS",
            "SIDEGATE_PORT",
            "SIDEGATE_PORT_8443_TCP",
            "SIDEGATE_PORT_8443_TCP_ADDR",
            "SIDEGATE_ADMIN_SERVICE_HOST",
        ] {
            assert!(read(&[(name, url)]).is_ok(), "{name}");
        }
        assert!(read(&[("SIDEGATE_PORT_LISTEN", url)]).is_err());
        assert!(read(&[("SIDEGATE_PORT", "8443")]).is_err());
    }

    #[test]
    fn a_flag_beats_the_environment() {
        let flags = Overrides {
            listen: Some(Override::new("a", "--listen")),
            ..Overrides::default()
        };
        let environment = read(&[("SIDEGATE_LISTEN", "b"), ("SIDEGATE_ADMIN", "c")]).unwrap();
        let both = flags.over(environment);
        assert_eq!(both.listen, Some(Override::new("a", "--listen")));
        assert_eq!(both.admin, Some(Override::new("c", "SIDEGATE_ADMIN")));
    }
}
