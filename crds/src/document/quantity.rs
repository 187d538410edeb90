//! Sizes and amounts in Kubernetes' format.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::schema::Bytes;

/// A size as a Kubernetes quantity such as `128Mi`, or a plain number, as text that is not parsed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity(pub String);

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Bytes::json_schema(generator)
    }
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 128Mi")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Quantity, E> {
                Ok(Quantity(bytes.to_string()))
            }

            /// Refuses a number with a fraction, as an API server does.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Err(E::custom(format!(
                    "found the number {number}; write a size such as 128Mi, or a fraction as text: \"{number}\""
                )))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Quantity, E> {
                Ok(Quantity(bytes.to_string()))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}
