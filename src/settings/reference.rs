//! The configuration reference in Markdown, generated from the schema for the README.
//!
//! One table for each section, in the order in which the file is written.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::schema;
use super::units::{DURATION_OR_OFF_PATTERN, DURATION_PATTERN};

/// The reference: what stands in the README between the markers `<!-- config-reference:start -->`
/// and `<!-- config-reference:end -->`.
#[must_use]
pub fn config_reference() -> String {
    let mut text = String::new();
    for (name, section) in properties(&schema::read()) {
        let (heading, table) = match section.get("items") {
            Some(items) => (format!("[[{name}]]"), items),
            None => (format!("[{name}]"), section),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "#### `{heading}`\n\n{}\n\n| key | type | default | meaning |\n|---|---|---|---|\n",
            description(section)
        );
        rows(&mut text, "", table);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn rows(text: &mut String, prefix: &str, table: &Value) {
    let required = table.get("required").and_then(Value::as_array);
    for (name, key) in properties(table) {
        let is_required = required.is_some_and(|names| names.iter().any(|one| one == name));
        let default = match key.get("default") {
            Some(default) => format!("`{default}`"),
            None if is_required => "required".to_owned(),
            None => String::new(),
        };
        let cells = [
            format!("`{prefix}{name}`"),
            kind(key),
            default,
            description(key).to_owned(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        rows(text, &format!("{prefix}{name}."), key);
        if let Some(table) = key.get("additionalProperties") {
            rows(text, &format!("{prefix}{name}.NAME."), table);
        }
    }
}

/// The type in words, with the choices where there are few.
fn kind(key: &Value) -> String {
    let pattern = key.get("pattern").and_then(Value::as_str);
    if pattern == Some(DURATION_PATTERN) || pattern == Some(DURATION_OR_OFF_PATTERN) {
        return "duration".to_owned();
    }
    if let Some(Value::Array(words)) = key.get("enum") {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    match key.get("type") {
        Some(Value::String(one)) => match one.as_str() {
            "integer" => "whole number",
            "boolean" => "`true`, `false`",
            "object" => "table",
            _ => "string",
        },
        Some(Value::Array(several)) if several.iter().any(|one| one == "object") => {
            "`true`, `false`, or a table"
        }
        Some(Value::Array(several)) if several.iter().any(|one| one == "array") => {
            if several.len() > 2 {
                "array of values, or one"
            } else {
                "array of strings, or one"
            }
        }
        Some(Value::Array(several)) if several.iter().any(|one| one == "boolean") => "value",
        _ => "number or string",
    }
    .to_owned()
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let members = schema.get("properties").and_then(Value::as_object);
    members.into_iter().flat_map(Map::iter)
}

fn description(schema: &Value) -> &str {
    let text = schema.get("description").and_then(Value::as_str);
    text.unwrap_or_default()
}
