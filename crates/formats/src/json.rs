//! A guarded JSON reader: one pass, own tree, bounded depth and size, no duplicate keys.
//!
//! Ordinary JSON libraries keep the last of two equal keys and read as much as there is. A payload that
//! two programs read differently is an attack surface, so it is refused here instead
//! (hostile-inputs.md W8, W9). Strings without escapes are borrowed from the body.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::Limits;
use crate::text;

/// The parser underneath stops at 128 levels; ours has to stop before, to name the reason.
const DEPTH_CEILING: usize = 120;
/// Up to here, comparing each new key with the earlier ones is cheaper than sorting them at the end.
const KEYS_COMPARED_ONE_BY_ONE: usize = 16;
/// How much of an offending key an error repeats, in bytes.
const KEY_SHOWN_BYTES: usize = 64;

/// Reads one JSON document.
///
/// # Errors
///
/// [`JsonError`] when the bytes are not one valid UTF-8 JSON document (lone surrogates included), or are
/// beyond `limits.body_bytes`, `limits.depth` or `limits.elements`, or an object repeats a key.
pub fn parse<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, JsonError> {
    if bytes.len() > limits.body_bytes {
        return Err(JsonError::TooLarge {
            bytes: bytes.len(),
            limit: limits.body_bytes,
        });
    }
    let guard = Guard {
        depth_limit: limits.depth.min(DEPTH_CEILING),
        element_limit: limits.elements,
        elements: Cell::new(0),
        refusal: RefCell::new(None),
    };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let outcome = Node {
        guard: &guard,
        depth: 0,
    }
    .deserialize(&mut deserializer)
    .and_then(|value| deserializer.end().map(|()| value));
    outcome.map_err(|error| {
        guard
            .refusal
            .take()
            .unwrap_or_else(|| JsonError::malformed(&error))
    })
}

/// A JSON value that borrows from the body where it can.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Value<'a>>),
    /// An object: its members in the order of the document, keys distinct.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The member `key` of an object. A member that is `null` counts as absent, as all senders mean it.
    pub fn field(&self, key: &str) -> Option<&Value<'a>> {
        let Self::Object(members) = self else { return None };
        let (_, value) = members.iter().find(|(name, _)| name == key)?;
        (*value != Self::Null).then_some(value)
    }

    /// The text of a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The entries of an array.
    pub fn as_list(&self) -> Option<&[Value<'a>]> {
        match self {
            Self::List(entries) => Some(entries),
            _ => None,
        }
    }
}

/// Why a body is not an acceptable JSON document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// The body is longer than allowed; nothing of it was parsed.
    #[error("body of {bytes} bytes is over the limit of {limit}; send less or raise the limit")]
    TooLarge {
        /// Length of the body.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Arrays and objects are nested too deep.
    #[error("json is nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The document has too many values and keys.
    #[error("json has more than {limit} values and keys")]
    TooManyElements {
        /// The limit.
        limit: usize,
    },
    /// An object names a key twice.
    #[error("json object has the key \"{key}\" twice; each key may appear once")]
    DuplicateKey {
        /// The key, made inert and cut.
        key: String,
    },
    /// Not JSON, not UTF-8, or with a lone surrogate.
    #[error("body is not valid json: {reason}")]
    Malformed {
        /// What is wrong, with line and column.
        reason: String,
    },
}

impl JsonError {
    fn malformed(error: &serde_json::Error) -> Self {
        Self::Malformed {
            reason: error.to_string(),
        }
    }
}

struct Guard {
    depth_limit: usize,
    element_limit: usize,
    elements: Cell<usize>,
    // The parser's error type carries text only, so the typed reason travels beside it.
    refusal: RefCell<Option<JsonError>>,
}

impl Guard {
    fn refuse<E: serde::de::Error>(&self, reason: JsonError) -> E {
        self.refusal.replace(Some(reason));
        E::custom("refused")
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let elements = self.elements.get() + 1;
        if elements > self.element_limit {
            return Err(self.refuse(JsonError::TooManyElements {
                limit: self.element_limit,
            }));
        }
        self.elements.set(elements);
        Ok(())
    }

    fn duplicate<E: serde::de::Error>(&self, key: &str) -> E {
        self.refuse(JsonError::DuplicateKey {
            key: text::line(key, KEY_SHOWN_BYTES),
        })
    }
}

#[derive(Clone, Copy)]
struct Node<'g> {
    guard: &'g Guard,
    depth: usize,
}

impl<'g> Node<'g> {
    fn child<E: serde::de::Error>(self) -> Result<Node<'g>, E> {
        if self.depth == self.guard.depth_limit {
            return Err(self.guard.refuse(JsonError::TooDeep {
                limit: self.guard.depth_limit,
            }));
        }
        Ok(Node {
            guard: self.guard,
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.guard.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a json value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Value::Integer(number))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "no sender has such numbers in a field that is read"
    )]
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Value::Number(number as f64), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let child = self.child()?;
        let mut entries = Vec::new();
        while let Some(entry) = sequence.next_element_seed(child)? {
            entries.push(entry);
        }
        Ok(Value::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let child = self.child()?;
        let mut members: Vec<(Cow<'de, str>, Value<'de>)> = Vec::new();
        while let Some(key) = map.next_key_seed(Key { guard: self.guard })? {
            if members.len() < KEYS_COMPARED_ONE_BY_ONE && members.iter().any(|(name, _)| *name == key) {
                return Err(self.guard.duplicate(&key));
            }
            let value = map.next_value_seed(child)?;
            members.push((key, value));
        }
        if members.len() > KEYS_COMPARED_ONE_BY_ONE {
            let mut keys: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
            keys.sort_unstable();
            if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(self.guard.duplicate(pair[0]));
            }
        }
        Ok(Value::Object(members))
    }
}

struct Key<'g> {
    guard: &'g Guard,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.guard.count()?;
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
