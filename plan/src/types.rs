//! Column types as users write them: Spark's DDL names, and how Arrow holds them.
//!
//! [`DataType::to_arrow`] is one to one: each type has exactly one Arrow type, which decoders produce and sinks write.
//! DataFusion's expressions may give other Arrow types; [`normalized`] says which of our types such a result is cast
//! to.

mod arrow_types;
mod ddl;
#[cfg(test)]
mod tests;

use std::fmt;

use arrow::datatypes::SchemaRef;

pub(crate) use arrow_types::{has_map, list_of, map_of};
pub use arrow_types::{normalized, timestamp_type};
pub(crate) use ddl::DEPTH_MAX;

/// The column that carries each row's event time. It is always the last column of a schema, and sinks write it only if
/// it is selected under another name.
pub const EVENT_TIME: &str = "_event_time";

/// Whether rows of this schema carry an event time.
#[must_use]
pub fn has_event_time(schema: &SchemaRef) -> bool {
    schema.fields().last().is_some_and(|f| f.name() == EVENT_TIME)
}

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    Boolean,
    Int,
    Bigint,
    Float,
    Double,
    Decimal {
        precision: u8,
        scale: i8,
    },
    String,
    Binary,
    Date,
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    Array(Box<DataType>),
    Struct(Vec<Column>),
    /// Keys, which are never null, with their values, which may be. A key occurs once.
    Map(Box<DataType>, Box<DataType>),
}

/// A named column, or a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
}

impl DataType {
    /// Parses a DDL type name such as `bigint` or `array<struct<a: int, b: string not null>>`. Case and spaces do not
    /// matter.
    ///
    /// # Errors
    /// One sentence that says what was found and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        ddl::parse(text)
    }

    /// The type of the keys of a map in this type that are no strings. JSON has no other keys.
    #[must_use]
    pub fn other_key(&self) -> Option<&Self> {
        match self {
            Self::Map(key, _) if **key != Self::String => Some(key),
            Self::Map(_, value) => value.other_key(),
            Self::Array(element) => element.other_key(),
            Self::Struct(fields) => fields.iter().find_map(|field| field.data_type.other_key()),
            _ => None,
        }
    }

    fn has_map(&self) -> bool {
        match self {
            Self::Map(..) => true,
            Self::Array(element) => element.has_map(),
            Self::Struct(fields) => fields.iter().any(|field| field.data_type.has_map()),
            _ => false,
        }
    }
}

/// Writes the DDL name, which [`DataType::parse`] can read.
impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("boolean"),
            Self::Int => f.write_str("int"),
            Self::Bigint => f.write_str("bigint"),
            Self::Float => f.write_str("float"),
            Self::Double => f.write_str("double"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::String => f.write_str("string"),
            Self::Binary => f.write_str("binary"),
            Self::Date => f.write_str("date"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Array(element) => write!(f, "array<{element}>"),
            Self::Map(key, value) => write!(f, "map<{key}, {value}>"),
            Self::Struct(fields) => {
                f.write_str("struct<")?;
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write_field_name(f, &field.name)?;
                    write!(f, ": {}", field.data_type)?;
                    if !field.nullable {
                        f.write_str(" not null")?;
                    }
                }
                f.write_str(">")
            }
        }
    }
}

fn write_field_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if !name.is_empty() && name.chars().all(ddl::is_name_char) {
        f.write_str(name)
    } else {
        write!(f, "`{}`", name.replace('`', "``"))
    }
}
