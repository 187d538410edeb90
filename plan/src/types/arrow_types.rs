//! Conversions between our types and Arrow's.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType as ArrowType, Field, FieldRef, Fields, TimeUnit};

use super::{Column, DataType};

const UTC: &str = "UTC";
/// The name that Delta Lake and Spark give to an array's items.
const ELEMENT: &str = "element";
/// The names that Parquet's specification and Delta Lake give to a map's entries.
const ENTRIES: &str = "key_value";
const KEY: &str = "key";
const VALUE: &str = "value";

/// Arrow's type for `timestamp`: microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn timestamp_type() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

impl DataType {
    #[must_use]
    pub fn to_arrow(&self) -> ArrowType {
        match self {
            Self::Boolean => ArrowType::Boolean,
            Self::Int => ArrowType::Int32,
            Self::Bigint => ArrowType::Int64,
            Self::Float => ArrowType::Float32,
            Self::Double => ArrowType::Float64,
            Self::Decimal { precision, scale } => ArrowType::Decimal128(*precision, *scale),
            Self::String => ArrowType::Utf8,
            Self::Binary => ArrowType::Binary,
            Self::Date => ArrowType::Date32,
            Self::Timestamp => timestamp_type(),
            Self::Array(element) => list_of(element.to_arrow()),
            Self::Struct(fields) => ArrowType::Struct(fields.iter().map(Column::to_field).collect()),
            Self::Map(key, value) => map_of(key.to_arrow(), value.to_arrow()),
        }
    }

    /// The type for which [`Self::to_arrow`] gives exactly `arrow`.
    #[must_use]
    pub fn from_arrow(arrow: &ArrowType) -> Option<Self> {
        let found = match arrow {
            ArrowType::Boolean => Self::Boolean,
            ArrowType::Int32 => Self::Int,
            ArrowType::Int64 => Self::Bigint,
            ArrowType::Float32 => Self::Float,
            ArrowType::Float64 => Self::Double,
            ArrowType::Decimal128(precision, scale) if u8::try_from(*scale).is_ok_and(|s| s <= *precision) => {
                Self::Decimal { precision: *precision, scale: *scale }
            }
            ArrowType::Utf8 => Self::String,
            ArrowType::Binary => Self::Binary,
            ArrowType::Date32 => Self::Date,
            ArrowType::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == UTC => Self::Timestamp,
            ArrowType::List(item) if item.name() == ELEMENT && item.is_nullable() => {
                Self::Array(Box::new(Self::from_arrow(item.data_type())?))
            }
            ArrowType::Struct(fields) => {
                Self::Struct(fields.iter().map(|f| Column::from_field(f)).collect::<Option<_>>()?)
            }
            ArrowType::Map(entries, _) => {
                let (key, value) = key_and_value(entries)?;
                let ours = map_of(key.data_type().clone(), value.data_type().clone());
                if *arrow != ours {
                    return None;
                }
                Self::Map(Box::new(Self::from_arrow(key.data_type())?), Box::new(Self::from_arrow(value.data_type())?))
            }
            _ => return None,
        };
        Some(found)
    }
}

impl Column {
    #[must_use]
    pub fn to_field(&self) -> FieldRef {
        Arc::new(Field::new(&self.name, self.data_type.to_arrow(), self.nullable))
    }

    fn from_field(field: &Field) -> Option<Self> {
        Some(Self {
            name: field.name().clone(),
            data_type: DataType::from_arrow(field.data_type())?,
            nullable: field.is_nullable(),
        })
    }
}

/// The type that an expression's result is cast to for storing; the same type if it is already one of ours. `None` for
/// types that no column can hold: intervals, times, durations, nulls, unions.
///
/// No value changes its meaning: the cast fails for an unsigned integer that does not fit and for an instant outside
/// the range of microseconds.
#[must_use]
pub fn normalized(natural: &ArrowType) -> Option<ArrowType> {
    let stored = match natural {
        ArrowType::Boolean
        | ArrowType::Int32
        | ArrowType::Int64
        | ArrowType::Float32
        | ArrowType::Float64
        | ArrowType::Utf8
        | ArrowType::Binary
        | ArrowType::Date32 => natural.clone(),
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::UInt8 | ArrowType::UInt16 => ArrowType::Int32,
        ArrowType::UInt32 | ArrowType::UInt64 => ArrowType::Int64,
        ArrowType::Float16 => ArrowType::Float32,
        ArrowType::Utf8View | ArrowType::LargeUtf8 => ArrowType::Utf8,
        ArrowType::BinaryView | ArrowType::LargeBinary | ArrowType::FixedSizeBinary(_) => ArrowType::Binary,
        ArrowType::Date64 => ArrowType::Date32,
        ArrowType::Timestamp(_, _) => timestamp_type(),
        ArrowType::Decimal32(precision, scale)
        | ArrowType::Decimal64(precision, scale)
        | ArrowType::Decimal128(precision, scale)
        | ArrowType::Decimal256(precision, scale) => decimal(*precision, *scale)?,
        ArrowType::List(item)
        | ArrowType::LargeList(item)
        | ArrowType::ListView(item)
        | ArrowType::LargeListView(item)
        | ArrowType::FixedSizeList(item, _) => list_of(normalized(item.data_type())?),
        ArrowType::Struct(fields) => ArrowType::Struct(normalized_fields(fields)?),
        ArrowType::Map(entries, _) => {
            let (key, value) = key_and_value(entries)?;
            map_of(normalized(key.data_type())?, normalized(value.data_type())?)
        }
        ArrowType::Dictionary(_, value) => normalized(value)?,
        ArrowType::RunEndEncoded(_, values) => normalized(values.data_type())?,
        ArrowType::Null
        | ArrowType::Time32(_)
        | ArrowType::Time64(_)
        | ArrowType::Duration(_)
        | ArrowType::Interval(_)
        | ArrowType::Union(_, _) => return None,
    };
    Some(stored)
}

fn normalized_fields(fields: &Fields) -> Option<Fields> {
    fields.iter().map(|f| Some(Field::new(f.name(), normalized(f.data_type())?, f.is_nullable()))).collect()
}

/// The decimal type for `precision` and `scale`. A negative scale, as in `round(x, -2)`, becomes whole digits.
fn decimal(precision: u8, scale: i8) -> Option<ArrowType> {
    let digits = i16::from(precision) - i16::from(scale.min(0));
    let precision = u8::try_from(digits).ok().filter(|p| *p <= DECIMAL128_MAX_PRECISION)?;
    Some(ArrowType::Decimal128(precision, scale.max(0)))
}

/// The type of an array of these.
pub(crate) fn list_of(element: ArrowType) -> ArrowType {
    ArrowType::List(Arc::new(Field::new(ELEMENT, element, true)))
}

/// The type of a map from keys to values of these types.
pub(crate) fn map_of(key: ArrowType, value: ArrowType) -> ArrowType {
    let entries = Fields::from(vec![Field::new(KEY, key, false), Field::new(VALUE, value, true)]);
    ArrowType::Map(Arc::new(Field::new(ENTRIES, ArrowType::Struct(entries), false)), false)
}

/// The fields of a map's entries.
fn key_and_value(entries: &Field) -> Option<(&FieldRef, &FieldRef)> {
    match entries.data_type() {
        ArrowType::Struct(fields) => match &fields[..] {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether values of this type are maps or have maps in them. Such values have no order and are not equal to others.
pub(crate) fn has_map(of: &ArrowType) -> bool {
    match of {
        ArrowType::Map(..) => true,
        ArrowType::List(item) | ArrowType::LargeList(item) => has_map(item.data_type()),
        ArrowType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}
