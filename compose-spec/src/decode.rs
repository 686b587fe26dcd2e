//! From a settled tree to the typed project, by way of serde. Errors keep the place of the value.
//!
//! Texts are moved, not copied: what stays of the tree are its keys and places, which later findings need.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::node::{Node, Value};
use crate::source::Span;

/// Why a tree is not what the type asks for.
#[derive(Debug)]
pub(crate) struct DecodeError {
    /// What is wrong.
    pub(crate) message: String,
    /// The innermost value that is wrong.
    pub(crate) span: Option<Span>,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None }
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(match found {
            de::Unexpected::Signed(number) => format!("{number} is out of range"),
            de::Unexpected::Unsigned(number) => format!("{number} is out of range"),
            other => format!("{other} where {expected} is expected"),
        })
    }
}

/// Reads a value of some type from a tree and takes its texts out of it.
pub(crate) fn decode<T: de::DeserializeOwned>(node: &mut Node) -> Result<T, DecodeError> {
    let span = node.span;
    T::deserialize(node).map_err(|error| at(error, span))
}

fn at(mut error: DecodeError, span: Span) -> DecodeError {
    error.span.get_or_insert(span);
    error
}

impl<'de> Deserializer<'de> for &'de mut Node {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let span = self.span;
        match &mut self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Large(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_string(std::mem::take(text)),
            Value::Seq(items) => visitor.visit_seq(Items(items.iter_mut())),
            Value::Map(map) => {
                visitor.visit_map(Entries { entries: map.as_mut_slice().iter_mut(), value: None })
            }
        }
        .map_err(|error| at(error, span))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let word = self.as_str().unwrap_or_default();
        visitor.visit_enum(word.into_deserializer()).map_err(|error| at(error, self.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de>(std::slice::IterMut<'de, Node>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(node) = self.0.next() else { return Ok(None) };
        let span = node.span;
        seed.deserialize(node).map(Some).map_err(|error| at(error, span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'de> {
    entries: std::slice::IterMut<'de, (crate::node::Key, crate::node::Entry)>,
    value: Option<&'de mut Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let Some((key, entry)) = self.entries.next() else { return Ok(None) };
        self.value = Some(&mut entry.node);
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let node = self.value.take().ok_or_else(|| de::Error::custom("a value was read before its key"))?;
        let span = node.span;
        seed.deserialize(node).map_err(|error| at(error, span))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}
