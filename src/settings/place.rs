//! Where a value of the configuration was written, carried beside the value.
//!
//! The raw settings are made of these; the parsers hand the [`Place`] on to whatever they refuse.
//! Nothing here knows what a value means.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::node::PLACED;

/// Where a value stands.
#[derive(Clone, Debug, Default)]
pub(super) enum Place {
    /// In the file, from this byte on.
    Text(usize),
    /// Outside of the file: the name of a flag or of an environment variable.
    Origin(Arc<str>),
    /// Not written anywhere.
    #[default]
    Nowhere,
}

/// A value and its place.
#[derive(Clone, Debug, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A list of strings, for which one bare string may stand.
#[derive(Debug, Default)]
pub(super) struct List(Vec<At<String>>);

/// A whole number, or a word or size that stands for one.
#[derive(Clone, Debug)]
pub(super) enum Number {
    /// `1024`
    Integer(i64),
    /// `"64KiB"`, `"off"`, `"auto"`
    Text(String),
}

/// A table whose keys the operator chooses.
#[derive(Debug, Default)]
pub(super) struct Pairs(pub(super) Vec<(At<String>, At<String>)>);

// === impl At ===

impl At<String> {
    pub(super) fn text(&self) -> &str {
        &self.value
    }
}

impl At<List> {
    /// The elements, each with a place of its own.
    pub(super) fn items(&self) -> impl Iterator<Item = At<String>> + '_ {
        self.value.0.iter().map(|item| match item.place {
            Place::Nowhere => At {
                value: item.value.clone(),
                place: self.place.clone(),
            },
            Place::Text(_) | Place::Origin(_) => item.clone(),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlaceAndValue<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for PlaceAndValue<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a place and a value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<At<T>, A::Error> {
                let missing = |index| A::Error::invalid_length(index, &"a place and a value");
                let start = pair.next_element()?.ok_or_else(|| missing(0))?;
                let value = pair.next_element()?.ok_or_else(|| missing(1))?;
                Ok(At {
                    value,
                    place: Place::Text(start),
                })
            }
        }

        deserializer.deserialize_tuple_struct(PLACED, 2, PlaceAndValue(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

// === impl List ===

impl List {
    /// These elements, all written at `place`.
    pub(super) fn of(values: &[&str], place: &Place) -> Self {
        let element = |value: &&str| At {
            value: (*value).to_owned(),
            place: place.clone(),
        };
        Self(values.iter().map(element).collect())
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<List, E> {
                Ok(List(vec![At {
                    value: text.to_owned(),
                    place: Place::Nowhere,
                }]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_any(Elements)
    }
}

impl JsonSchema for List {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "List".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["array", "string"], "items": { "type": "string" } })
    }
}

// === impl Number ===

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntegerOrText;

        impl Visitor<'_> for IntegerOrText {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a string")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number::Integer(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                Ok(Number::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(IntegerOrText)
    }
}

impl JsonSchema for Number {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }
}

// === impl Pairs ===

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl JsonSchema for Pairs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Pairs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": { "type": "string" } })
    }
}
