//! The JSON Schema of the configuration file (draft 2020-12), generated from `raw`.
//!
//! Editors read it, the reference in the README is made of it, and `shape` checks every file
//! against it: so none of the three can drift from what the program understands.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

use super::raw::RawSettings;

/// The schema, as pretty JSON with a newline at its end: `deploy/sidegate.schema.json`.
#[must_use]
pub fn json_schema() -> String {
    format!("{:#}\n", generate())
}

/// The schema as a value; every part stands where it is used, without references.
pub(super) fn generate() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms.push(Box::new(Plain));
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<RawSettings>();
    schema.insert("title".to_owned(), "sidegate.toml".into());
    schema.to_value()
}

/// Takes out what the derive says and TOML does not: TOML has no null, and the line breaks of a
/// doc comment mean nothing.
#[derive(Clone, Debug)]
struct Plain;

impl Transform for Plain {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|name| name != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
        if let Some(Value::Array(words)) = schema.get_mut("enum") {
            words.retain(|word| !word.is_null());
        }
        schema.remove("format");
        // The names of the Rust types say nothing to an operator.
        schema.remove("title");
        transform_subschemas(self, schema);
    }
}
