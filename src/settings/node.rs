//! A parsed value becomes what serde reads, with the place where it stands.
//!
//! Why not the parser's own deserializer? What is derived for each table would be compiled for every form
//! in which that one may hand over a table, a date's and a marked value's among them: a quarter of a megabyte.
//! The shape has been checked before; what does not fit all the same is an error, and never a default.

use serde::de::value::{Error, UsizeDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Under this name a value is asked for together with its place: a pair of the byte where it starts and
/// the value itself.
pub(super) const PLACED: &str = "sidegate::settings::place::At";

/// A value in the file.
pub(super) struct Node<'a>(Spanned<DeValue<'a>>);

impl<'a> Node<'a> {
    /// The whole file.
    pub(super) fn root(table: Spanned<DeTable<'a>>) -> Self {
        let span = table.span();
        Self(Spanned::new(span, DeValue::Table(table.into_inner())))
    }
}

fn misfit() -> Error {
    Error::custom("is of another kind than the schema says")
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.into_inner() {
            DeValue::String(text) => visitor.visit_str(&text),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => visitor.visit_i64(number),
                    Err(_) => Err(misfit()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => Err(misfit()),
            },
            DeValue::Boolean(value) => visitor.visit_bool(value),
            DeValue::Datetime(_) => Err(misfit()),
            DeValue::Array(elements) => visitor.visit_seq(Elements(elements.into_iter())),
            DeValue::Table(members) => visitor.visit_map(Members::new(members)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.into_inner().as_bool() {
            Some(value) => visitor.visit_bool(value),
            None => Err(misfit()),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.into_inner().as_str() {
            Some(text) => visitor.visit_str(text),
            None => Err(misfit()),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let DeValue::Array(elements) = self.0.into_inner() else {
            return Err(misfit());
        };
        visitor.visit_seq(Elements(elements.into_iter()))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let DeValue::Table(members) = self.0.into_inner() else {
            return Err(misfit());
        };
        visitor.visit_map(Members::new(members))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name != PLACED {
            return Err(misfit());
        }
        let start = Some(self.0.span().start);
        visitor.visit_seq(Placed {
            start,
            value: Some(self),
        })
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct tuple enum ignored_any
    }
}

/// A value's place, then the value.
struct Placed<'a> {
    start: Option<usize>,
    value: Option<Node<'a>>,
}

impl<'de> SeqAccess<'de> for Placed<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if let Some(start) = self.start.take() {
            let start: UsizeDeserializer<Error> = start.into_deserializer();
            return seed.deserialize(start).map(Some);
        }
        match self.value.take() {
            Some(value) => seed.deserialize(value).map(Some),
            None => Ok(None),
        }
    }
}

struct Elements<'a>(<DeArray<'a> as IntoIterator>::IntoIter);

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        match self.0.next() {
            Some(element) => seed.deserialize(Node(element)).map(Some),
            None => Ok(None),
        }
    }
}

struct Members<'a> {
    rest: <DeTable<'a> as IntoIterator>::IntoIter,
    value: Option<Node<'a>>,
}

impl<'a> Members<'a> {
    fn new(members: DeTable<'a>) -> Self {
        Self {
            rest: members.into_iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(Node(value));
        let key = Spanned::new(key.span(), DeValue::String(key.into_inner()));
        seed.deserialize(Node(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(misfit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::place::{At, List, Number, Pairs, Place};
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Everything {
        text: Option<At<String>>,
        number: Option<At<i64>>,
        switch: Option<At<bool>>,
        either: Option<At<Number>>,
        list: Option<At<List>>,
        pairs: Option<At<Pairs>>,
        inner: Option<At<Box<Self>>>,
        several: Option<Vec<At<Self>>>,
    }

    fn read(text: &str) -> Result<Everything, Error> {
        Everything::deserialize(Node::root(DeTable::parse(text).unwrap()))
    }

    fn start<T>(at: Option<At<T>>) -> usize {
        match at.unwrap().place {
            Place::Text(start) => start,
            Place::Origin(_) | Place::Nowhere => unreachable!("it stands in the text"),
        }
    }

    #[test]
    fn every_kind_of_value_is_read_with_its_place() {
        let text = "text = 'x'\nnumber = 0x1F\nswitch = true\neither = '1KiB'\nlist = ['a', 'b']\n\
                    pairs = { k = 'v' }\n[inner]\neither = -7\n[[several]]\n[[several]]\nnumber = 2\n";
        let all = read(text).unwrap();
        assert_eq!(all.text.as_ref().unwrap().value, "x");
        assert_eq!(all.number.as_ref().unwrap().value, 31);
        assert!(all.switch.as_ref().unwrap().value);
        assert!(matches!(&all.either.as_ref().unwrap().value, Number::Text(t) if t == "1KiB"));
        let inner = all.inner.unwrap().value;
        assert!(matches!(inner.either.unwrap().value, Number::Integer(-7)));
        let several = all.several.unwrap();
        assert_eq!(several[1].value.number.as_ref().unwrap().value, 2);
        assert_eq!(several.len(), 2);
        assert_eq!(start(all.text), text.find("'x'").unwrap());
        assert_eq!(start(all.number), text.find("0x1F").unwrap());
        let list: Vec<_> = all.list.as_ref().unwrap().items().collect();
        assert_eq!(start(list.get(1).cloned()), text.find("'b'").unwrap());
        let (key, value) = all.pairs.unwrap().value.0.remove(0);
        assert_eq!((&*key.value, &*value.value), ("k", "v"));
        assert_eq!(start(Some(key)), text.find("k = 'v'").unwrap());
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_never_a_default() {
        for text in [
            "unknown = 1",
            "text = 1",
            "text = 1979-05-27",
            "text = ['x']",
            "number = '1'",
            "number = 1.0",
            "number = 9223372036854775808",
            "switch = 'true'",
            "either = true",
            "either = 1.5",
            "list = 1",
            "list = [1]",
            "list = [['a']]",
            "pairs = ['a']",
            "pairs = { k = 1 }",
            "inner = []",
            "inner = 'x'",
            "several = { text = 'x' }",
            "several = ['x']",
            "[inner]\nunknown = 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
