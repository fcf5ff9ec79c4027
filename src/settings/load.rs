//! From a file, flags and environment to [`Settings`], or to every reason why not.
//!
//! `main` calls it once at start, and the reload whenever the file changes. Reading the files that
//! the settings name is not done here.

use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;

use super::node::Node;
use super::overrides::Overrides;
use super::place::Place;
use super::problem::{Report, SettingsError, Warning};
use super::raw::RawSettings;
use super::{Settings, parse, schema, shape, syntax};
use crate::file;

/// Far more than any configuration; a device or a log given by mistake is not read to its end.
const LARGEST_FILE: u64 = 1 << 20;

impl Settings {
    /// Reads the file at `path`, with `overrides` above it. Relative paths in the file start at
    /// the file's folder.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the lines.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<(Self, Vec<Warning>), SettingsError> {
        let name = path.display().to_string();
        let fix = "name the configuration with --config or SIDEGATE_CONFIG";
        let unreadable = |error: std::io::Error| {
            SettingsError::outside(&name, format!("cannot be read: {error}"), fix)
        };
        let bytes = file::read(path, LARGEST_FILE).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let text = format!("line {line} is not UTF-8");
            SettingsError::outside(&name, text, "save the file as UTF-8")
        })?;
        read(&text, &name, path.parent(), overrides)
    }

    /// Reads `text`, which error texts call `name`. Relative paths in it start at the folder of
    /// `name`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, in the order of the lines.
    pub fn from_text(
        text: &str,
        name: &str,
        overrides: &Overrides,
    ) -> Result<(Self, Vec<Warning>), SettingsError> {
        read(text, name, Path::new(name).parent(), overrides)
    }
}

fn read(
    text: &str,
    name: &str,
    folder: Option<&Path>,
    overrides: &Overrides,
) -> Result<(Settings, Vec<Warning>), SettingsError> {
    // Nothing that is not whole may be used; where it is said, a problem was forgotten above.
    let incomplete = SettingsError::outside(name, "is incomplete", "");
    let mut report = Report::new(name, text);
    let (mut table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What follows a syntax error is guesswork: it is not looked at.
        syntax::report(&errors, &mut report);
        return Err(report.finish().err().unwrap_or(incomplete));
    }
    shape::check(table.get_mut(), &schema::read(), "", &mut report);
    let mut raw = match RawSettings::deserialize(Node::root(table)) {
        Ok(raw) => raw,
        Err(error) => {
            // The shape was checked, so this is not met; if it were, nothing may start from it.
            report.refuse(&Place::Nowhere, "", error.to_string(), "");
            RawSettings::default()
        }
    };
    overrides.apply(&mut raw);
    let settings = parse::settings(raw, folder.unwrap_or_else(|| Path::new("")), &mut report);
    let warnings = report.finish()?;
    Ok((settings.ok_or(incomplete)?, warnings))
}
