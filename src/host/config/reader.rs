//! Reads the values of a TOML file into a program's own type, and says by kind what is wrong. The deserializer of the `toml` crate
//! tells its faults in English only, and nothing may be decided by the words of another crate.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected, Visitor};
use std::fmt::{self, Display};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

pub(super) struct Value<'a>(pub Spanned<DeValue<'a>>);

#[derive(Debug)]
pub(super) struct Misread {
    pub wrong: Wrong,
    /// The bytes of the key or value.
    pub span: Option<Range<usize>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The type has no such key, but these.
    UnknownKey(String, Vec<&'static str>),
    /// No such word, but these.
    UnknownWord(String, &'static [&'static str]),
    /// A key that must be there.
    Missing(&'static str),
    Not(ValueKind),
    /// The type's own words.
    Other(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Number,
    Bool,
    Text,
    List,
    Table,
}

impl Wrong {
    const fn nowhere(self) -> Misread {
        Misread { wrong: self, span: None }
    }
}

impl Misread {
    /// The innermost place stands.
    fn or_at(mut self, span: Range<usize>) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl Display for Misread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.wrong)
    }
}

impl std::error::Error for Misread {}

impl Error for Misread {
    fn custom<T: Display>(why: T) -> Self {
        Wrong::Other(why.to_string()).nowhere()
    }

    /// A value that the type itself does not take. Mostly it is a number that does not fit.
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => Wrong::Not(ValueKind::Number).nowhere(),
            _ => Self::custom(format_args!("must be {expected}")),
        }
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Wrong::UnknownKey(field.into(), known.to_vec()).nowhere()
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Wrong::UnknownWord(variant.into(), known).nowhere()
    }

    fn missing_field(field: &'static str) -> Self {
        Wrong::Missing(field).nowhere()
    }
}

impl<'de> Value<'de> {
    fn read<T>(self, wanted: ValueKind, take: impl FnOnce(DeValue<'de>) -> Option<Result<T, Misread>>) -> Result<T, Misread> {
        let span = self.0.span();
        take(self.0.into_inner()).unwrap_or_else(|| Err(Wrong::Not(wanted).nowhere())).map_err(|misread| misread.or_at(span))
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        self.read(ValueKind::Number, |value| match value {
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Some(visitor.visit_i64(number)),
                Err(_) => u64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| visitor.visit_u64(number)),
            },
            DeValue::Float(number) => number.as_str().parse().ok().map(|number| visitor.visit_f64(number)),
            _ => None,
        })
    }

    fn whole<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        if matches!(self.0.get_ref(), DeValue::Float(_)) {
            return Err(Wrong::Not(ValueKind::Number).nowhere().or_at(self.0.span()));
        }
        self.number(visitor)
    }

    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        self.read(ValueKind::Text, |value| match value {
            DeValue::String(text) => Some(visitor.visit_str(&text)),
            _ => None,
        })
    }

    fn list<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        self.read(ValueKind::List, |value| match value {
            DeValue::Array(values) => Some(visitor.visit_seq(Values(values.into_iter()))),
            _ => None,
        })
    }

    fn table<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        self.read(ValueKind::Table, |value| match value {
            DeValue::Table(entries) => Some(visitor.visit_map(Entries { entries: entries.into_iter(), value: None })),
            _ => None,
        })
    }
}

/// Each of these asks for the same kind of value.
macro_rules! ask {
    ($($ask:ident: $($method:ident)*;)*) => {
        $($(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
            self.$ask(visitor)
        })*)*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Misread;

    ask! {
        whole: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128;
        whole: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128;
        number: deserialize_f32 deserialize_f64;
        text: deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_identifier;
        list: deserialize_seq;
        table: deserialize_map;
        deserialize_any: deserialize_unit deserialize_ignored_any;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        match self.0.get_ref() {
            DeValue::String(_) => self.text(visitor),
            DeValue::Integer(_) | DeValue::Float(_) => self.number(visitor),
            DeValue::Boolean(_) => self.deserialize_bool(visitor),
            // No value of ours is one: as text it is told like any other text that is wrong.
            DeValue::Datetime(time) => visitor.visit_string(time.to_string()),
            DeValue::Array(_) => self.list(visitor),
            DeValue::Table(_) => self.table(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        self.read(ValueKind::Bool, |value| match value {
            DeValue::Boolean(is) => Some(visitor.visit_bool(is)),
            _ => None,
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misread> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misread> {
        let span = self.0.span();
        visitor.visit_newtype_struct(self).map_err(|misread: Misread| misread.or_at(span))
    }

    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misread> {
        self.table(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Misread> {
        self.read(ValueKind::Text, |value| match value {
            DeValue::String(text) => Some(visitor.visit_enum(StrDeserializer::new(&text))),
            _ => None,
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Misread> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misread> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Result<V::Value, Misread> {
        self.list(visitor)
    }
}

struct Values<'de>(<DeArray<'de> as IntoIterator>::IntoIter);

impl<'de> SeqAccess<'de> for Values<'de> {
    type Error = Misread;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misread> {
        let Some(value) = self.0.next() else { return Ok(None) };
        let span = value.span();
        seed.deserialize(Value(value)).map(Some).map_err(|misread| misread.or_at(span))
    }
}

struct Entries<'de> {
    entries: <DeTable<'de> as IntoIterator>::IntoIter,
    value: Option<Spanned<DeValue<'de>>>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Misread;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misread> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        let span = key.span();
        let key: DeString<'de> = key.into_inner();
        seed.deserialize(key.into_deserializer()).map(Some).map_err(|misread: Misread| misread.or_at(span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misread> {
        let value = self.value.take().ok_or_else(|| Misread::custom("a value without a key"))?;
        let span = value.span();
        seed.deserialize(Value(value)).map_err(|misread| misread.or_at(span))
    }
}
