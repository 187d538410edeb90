//! Column types as users write them: Spark's DDL names.

/// The column that carries each row's event time. Always last in a schema, never written by a sink unless selected under another name.
pub const EVENT_TIME: &str = "_event_time";

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    Boolean,
    Int,
    Bigint,
    Float,
    Double,
    Decimal { precision: u8, scale: i8 },
    String,
    Binary,
    Date,
    /// Microseconds since the epoch, UTC.
    Timestamp,
    Array(Box<DataType>),
    Struct(Vec<Column>),
}

/// A named column, or a field of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
}
