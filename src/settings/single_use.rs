//! `issuer.single_use`: `true`, or a table that says how.
//!
//! As in `raw`, the doc comments of the fields speak to operators, and nothing means anything yet.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::json;

use super::annotate::{count, duration};
use super::defaults;
use super::place::At;

type Maybe<T> = Option<At<T>>;

/// A key that is true or false, or a table that says how.
#[derive(Debug)]
pub(super) enum Switch<T> {
    /// `true` or `false`
    Plain(bool),
    /// `{ ... }`
    With(T),
}

/// `issuer.single_use`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSingleUse {
    /// How many used tokens are remembered.
    #[schemars(transform = count(&defaults::REMEMBER))]
    pub(super) remember: Maybe<i64>,
    /// What becomes of one for which there is no room: `refuse` answers 503, `forget-oldest` lets one
    /// that was used pass again.
    #[schemars(extend("default" = defaults::WHEN_FULL, "enum" = ["refuse", "forget-oldest"]))]
    pub(super) when_full: Maybe<String>,
    /// For how long the same token passes again on the same connection; whole seconds.
    #[schemars(transform = duration(&defaults::RETRY_GRACE))]
    pub(super) retry_grace: Maybe<String>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Switch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TrueOrTable<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for TrueOrTable<T> {
            type Value = Switch<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a table")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Switch<T>, E> {
                Ok(Switch::Plain(on))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Switch<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Switch::With)
            }
        }

        deserializer.deserialize_any(TrueOrTable(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Switch<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.insert("type".to_owned(), json!(["boolean", "object"]));
        schema
    }
}
