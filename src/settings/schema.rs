//! The JSON Schema of the configuration file (draft 2020-12), generated from `raw` and committed.
//!
//! Editors read it, the reference in the README is made of it, and `shape` checks every file
//! against it: so none of the three can drift from what the program understands.
//!
//! Why is it generated before the program is built? What generates it is a fifth of a megabyte, and
//! would run at every start and every reload to say the same again. A test holds the two together.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

use super::raw::RawSettings;

/// The schema, as pretty JSON with a newline at its end.
pub const JSON_SCHEMA: &str = include_str!("../../deploy/sidegate.schema.json");

/// The schema as a value. Were it none, it would be `null`, which allows no key at all.
pub(super) fn read() -> Value {
    serde_json::from_str(JSON_SCHEMA).unwrap_or_default()
}

/// What [`JSON_SCHEMA`] has to be, from the settings' own types; every part stands where it is used,
/// without references. For `make docs` and its test: nothing that is shipped may call it.
#[must_use]
pub fn generate_schema() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms.push(Box::new(Plain));
    });
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<RawSettings>();
    schema.insert("title".to_owned(), "sidegate.toml".into());
    format!("{:#}\n", schema.to_value())
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
