//! Holds the text against the schema: unknown keys, wrong types, numbers that are none.
//!
//! What does not fit is reported and taken out, so that the rest can still be read and every
//! mistake is shown at once. What a value means is not looked at.

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::Place;
use super::problem::{Report, join};
use super::suggest::instead;
use super::units::{DURATION_OR_OFF_PATTERN, DURATION_PATTERN};

/// Takes out of `table` what `schema` does not know.
pub(super) fn check(table: &mut DeTable<'_>, schema: &Value, path: &str, report: &mut Report<'_>) {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    let free = schema.get("additionalProperties").filter(|s| s.is_object());
    for (key, mut value) in std::mem::take(table) {
        let name = key.get_ref().as_ref();
        let kept = match properties.get(name).or(free) {
            Some(schema) => fits(&mut value, schema, &join(path, name), report),
            None => {
                let allowed: Vec<&str> = properties.keys().map(String::as_str).collect();
                let list = if path.is_empty() {
                    "the sections are".to_owned()
                } else {
                    format!("`{path}` may hold")
                };
                report.refuse(
                    &Place::Text(key.span().start),
                    &join(path, name),
                    "unknown key",
                    instead(name, &allowed, &list),
                );
                false
            }
        };
        if kept {
            table.insert(key, value);
        } else {
            report.gap(path);
        }
    }
}

fn fits(
    value: &mut Spanned<DeValue<'_>>,
    schema: &Value,
    path: &str,
    report: &mut Report<'_>,
) -> bool {
    let place = Place::Text(value.span().start);
    let found = kind(value.get_ref());
    if !allowed(schema).contains(&found) {
        let text = format!("{} is needed here, not {}", wanted(schema), article(found));
        report.refuse(&place, path, text, example(value.get_ref(), schema, path));
        return false;
    }
    match value.get_mut() {
        DeValue::Table(table) => {
            check(table, schema, path, report);
            true
        }
        DeValue::Array(elements) => {
            let Some(schema) = schema.get("items") else {
                return true;
            };
            let mut all = true;
            for (index, element) in elements.iter_mut().enumerate() {
                all &= fits(element, schema, &format!("{path}[{index}]"), report);
            }
            all
        }
        DeValue::Integer(number) => {
            let fits = i64::from_str_radix(number.as_str(), number.radix()).is_ok();
            if !fits {
                report.refuse(
                    &place,
                    path,
                    "the number is too large",
                    "write a smaller one",
                );
            }
            fits
        }
        DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => true,
    }
}

/// The JSON Schema name of a TOML type.
const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn allowed(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a fraction",
        "boolean" => "true or false",
        "date" => "a date or time",
        "array" => "an array",
        _ => "a table",
    }
}

fn wanted(schema: &Value) -> String {
    let kinds: Vec<&str> = allowed(schema).into_iter().map(article).collect();
    kinds.join(" or ")
}

/// What to write instead: the value itself where its meaning is plain, else an example.
fn example(found: &DeValue<'_>, schema: &Value, path: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let is_duration = pattern == Some(DURATION_PATTERN) || pattern == Some(DURATION_OR_OFF_PATTERN);
    let is_section = !path.contains('.');
    let wants = allowed(schema);
    let plain = match found {
        DeValue::Integer(number) if is_duration => Some(format!(
            "write the unit too: {key} = \"{}s\"",
            number.as_str()
        )),
        DeValue::Float(number) if schema.get("enum").is_some() => {
            Some(format!("write {key} = \"{}\"", number.as_str()))
        }
        DeValue::Boolean(false) if schema.get("default").is_some_and(|off| off == "off") => {
            Some(format!("write {key} = \"off\""))
        }
        DeValue::String(text) if wants == ["boolean"] && ["true", "false"].contains(&&**text) => {
            Some(format!("write {key} = {text}, without quotes"))
        }
        DeValue::Array(_) if wants == ["object"] && is_section => {
            Some(format!("write [{key}] once, with single brackets"))
        }
        DeValue::Table(_) if wants == ["array"] && is_section => {
            Some(format!("write [[{key}]], with two brackets"))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    };
    plain.unwrap_or_else(|| match shown(schema) {
        _ if is_section => format!("write a section: [{key}]"),
        Some(value) => format!("write for example {key} = {}", toml_text(&value)),
        None => String::new(),
    })
}

/// A value that would fit: an example, the default, one of the words, or a table with its first key.
fn shown(schema: &Value) -> Option<Value> {
    let first = |list: &str| schema.get(list)?.as_array()?.first().cloned();
    first("examples")
        .or_else(|| schema.get("default").cloned())
        .or_else(|| first("enum"))
        .or_else(|| {
            let (key, schema) = schema.get("properties")?.as_object()?.iter().next()?;
            Some(Value::Object(Map::from_iter([(
                key.clone(),
                shown(schema)?,
            )])))
        })
}

/// Strings, numbers, truth values and arrays of them look the same in JSON and in TOML.
fn toml_text(value: &Value) -> String {
    let Value::Object(members) = value else {
        return value.to_string();
    };
    let members: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{} = {}", join("", key), toml_text(value)))
        .collect();
    format!("{{ {} }}", members.join(", "))
}
