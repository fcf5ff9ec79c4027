//! What the derive cannot say of the keys in `raw`: their bounds, their defaults and their words.

use schemars::Schema;
use serde_json::json;

use super::defaults::{self, Bounded, Written};
use super::presets::Preset;
use super::units::DURATION_PATTERN;
use crate::model::Algorithm;

fn bounded<T: Written>(schema: &mut Schema, bounds: &Bounded<T>) {
    schema.insert("default".to_owned(), bounds.default.written());
    range(schema, bounds);
}

fn range<T: Written>(schema: &mut Schema, bounds: &Bounded<T>) {
    let said = schema.get("description").and_then(|text| text.as_str());
    let plain = |value: serde_json::Value| value.to_string().replace('"', "");
    let text = format!(
        "{} From {} to {}.",
        said.unwrap_or_default(),
        plain(bounds.least.written()),
        plain(bounds.most.written())
    );
    schema.insert("description".to_owned(), text.into());
}

pub(super) fn duration(bounds: &'static Bounded<std::time::Duration>) -> impl FnMut(&mut Schema) {
    |schema| {
        schema.insert("pattern".to_owned(), DURATION_PATTERN.into());
        bounded(schema, bounds);
    }
}

pub(super) fn size(bounds: &'static Bounded<defaults::Bytes>) -> impl FnMut(&mut Schema) {
    |schema| bounded(schema, bounds)
}

pub(super) fn count(bounds: &'static Bounded<u32>) -> impl FnMut(&mut Schema) {
    |schema| {
        schema.remove("format");
        schema.insert("minimum".to_owned(), bounds.least.into());
        schema.insert("maximum".to_owned(), bounds.most.into());
        bounded(schema, bounds);
    }
}

/// The default depends on the header: it is in the words.
pub(super) fn lifetime(schema: &mut Schema) {
    schema.insert("pattern".to_owned(), DURATION_PATTERN.into());
    schema.insert("examples".to_owned(), json!(["1h", "10m"]));
    range(schema, &defaults::MAX_LIFETIME);
}

pub(super) fn presets(schema: &mut Schema) {
    let names = Preset::ALL.map(Preset::name);
    schema.insert("enum".to_owned(), json!(names));
}

pub(super) fn algorithms(schema: &mut Schema) {
    let names = |list: &[Algorithm]| list.iter().map(|one| one.name()).collect::<Vec<_>>();
    let every = json!({ "type": "string", "enum": names(&Algorithm::ALL) });
    schema.insert("items".to_owned(), every);
    schema.insert("default".to_owned(), json!(names(&defaults::ALGORITHMS)));
}

pub(super) fn client_cert(schema: &mut Schema) {
    let words = json!({ "type": "string", "enum": ["client-cert", "xfcc"] });
    schema.insert("items".to_owned(), words);
}
