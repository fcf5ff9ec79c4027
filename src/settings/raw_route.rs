//! What `[[route]]` and `[paths]` may say: the part of `raw` about who may do what, and the values that
//! only it has. No meaning yet.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::json;

use super::place::{At, List, Place};
use super::raw::Maybe;
use super::route::Scalar;

/// `[[route]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRoute {
    /// What logs call this route; unique. By default its place: `route[0]` is the first.
    #[schemars(extend("examples" = ["admin"]))]
    pub(super) name: Maybe<String>,
    /// Whole paths, compared segment by segment with upper and lower case apart. `*` is any one
    /// segment, `**` at the end any rest and none: `/admin/**` is `/admin`, `/admin/` and all below.
    #[schemars(required, extend("examples" = [["/admin/**"], ["/users/*/avatar"], ["/"]]))]
    pub(super) path: Maybe<List>,
    /// Methods; without this key all. A WebSocket is a `GET`.
    #[schemars(extend("examples" = [["GET", "HEAD"]]))]
    pub(super) method: Maybe<List>,
    /// Whole hosts, without a port; without this key all. `*.example.com` is any one label there.
    #[schemars(extend("examples" = [["app.example.com"]]))]
    pub(super) host: Maybe<List>,
    /// `token` is a listed peer with a good token; `peer` is a listed peer alone, for health checks:
    /// then nobody knows for whom it asks, and no identity header is set.
    #[schemars(extend("default" = super::defaults::REQUIRE, "enum" = ["token", "peer"]))]
    pub(super) require: Maybe<String>,
    /// Names of the `[[peer]]`s that may use it; without this key all.
    #[schemars(extend("examples" = [["pomerium"]]))]
    pub(super) peers: Maybe<List>,
    /// Names of the `[[issuer]]`s whose tokens are good here; without this key all.
    #[schemars(extend("examples" = [["pomerium"]]))]
    pub(super) issuers: Maybe<List>,
    /// Scopes that the token must all have, in `scope` or `scp`: one text with spaces, or a list.
    #[schemars(extend("examples" = [["read", "write"]]))]
    pub(super) scope: Maybe<List>,
    /// Claim to what it must be; all must hold. A claim that starts with `/` is a JSON Pointer
    /// (RFC 6901); any other is the whole name of a top-level claim.
    #[schemars(extend("examples" = [{ "groups": { "any": ["admins"] }, "/realm/roles": { "all": ["a", "b"] } }]))]
    pub(super) claims: Maybe<Named<RawCondition>>,
    /// What a refusal for the token, the pair or this route does: `refuse` it, or `report` it, which
    /// logs and counts what would be refused (`would_refuse`) and lets it through, without an identity
    /// unless it was verified. mTLS and sound paths are needed in any case.
    #[schemars(extend("default" = super::defaults::ENFORCE, "enum" = ["refuse", "report"]))]
    pub(super) enforce: Maybe<String>,
}

/// `route.claims.NAME`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    /// The claim is exactly this, and no list.
    #[schemars(extend("examples" = [json!(true)]))]
    pub(super) equals: Maybe<Scalar>,
    /// The claim is one of these, or a list with one of these.
    #[schemars(extend("examples" = [["admins", "operators"]]))]
    pub(super) any: Maybe<Scalars>,
    /// The claim is a list with all of these.
    #[schemars(extend("examples" = [["read", "write"]]))]
    pub(super) all: Maybe<Scalars>,
    /// The claim is there, and neither is nor has one of these.
    #[schemars(extend("examples" = [["guests"]]))]
    pub(super) none: Maybe<Scalars>,
    /// Whether the claim is there at all, and not null.
    #[schemars(extend("examples" = [json!(true)]))]
    pub(super) present: Maybe<bool>,
    /// The claim is a number, and no smaller one.
    #[schemars(extend("examples" = [json!(3)]))]
    pub(super) min: Maybe<Scalar>,
    /// The claim is a number, and no larger one.
    #[schemars(extend("examples" = [json!(9)]))]
    pub(super) max: Maybe<Scalar>,
    /// The claim is a text of this form from its first letter to its last, or a list with one; `*`
    /// is any run of characters. Upper and lower case are apart.
    #[schemars(extend("examples" = [["*@example.com"]]))]
    pub(super) pattern: Maybe<List>,
}

/// `[paths]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPaths {
    /// What becomes of a path with two readings (`..`, `//`, `%2e`, `%2f`, `;`): `refuse` answers
    /// 400; `normalise` judges and forwards its normal form, and refuses what has none. By default
    /// `refuse` once there is a `[[route]]`; without one, paths go through as they came.
    #[schemars(extend("enum" = ["refuse", "normalise"]))]
    pub(super) ambiguous: Maybe<String>,
}

/// A list of values of which a claim can be one; one bare value may stand for it.
#[derive(Debug, Default)]
pub(super) struct Scalars(Vec<At<Scalar>>);

/// A table whose keys the operator chooses, with tables as values.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(At<String>, At<T>)>);

// === impl Scalar ===

impl Default for Scalar {
    fn default() -> Self {
        Self::Bool(false)
    }
}

struct OneScalar;

impl Visitor<'_> for OneScalar {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, true or false")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneScalar)
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "number", "boolean"] })
    }
}

// === impl Scalars ===

impl At<Scalars> {
    /// The elements, each with a place of its own.
    pub(super) fn values(&self) -> impl Iterator<Item = At<Scalar>> + '_ {
        self.value.0.iter().map(|item| match item.place {
            Place::Nowhere => At {
                value: item.value.clone(),
                place: self.place.clone(),
            },
            Place::Text(_) | Place::Origin(_) => item.clone(),
        })
    }
}

impl<'de> Deserialize<'de> for Scalars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        fn one(value: Scalar) -> Scalars {
            Scalars(vec![At {
                value,
                place: Place::Nowhere,
            }])
        }

        impl<'de> Visitor<'de> for Elements {
            type Value = Scalars;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings, numbers, or true and false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalars, E> {
                Ok(one(Scalar::Bool(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalars, E> {
                Ok(one(Scalar::Integer(value)))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalars, E> {
                Ok(one(Scalar::Float(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalars, E> {
                Ok(one(Scalar::Text(value.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalars, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Scalars(list))
            }
        }

        deserializer.deserialize_any(Elements)
    }
}

impl JsonSchema for Scalars {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalars".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = ["string", "integer", "number", "boolean"];
        json_schema!({
            "type": ["array", "string", "integer", "number", "boolean"],
            "items": { "type": one, "examples": ["admins"] }
        })
    }
}

// === impl Named ===

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of tables")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Named(members))
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
