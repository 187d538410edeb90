//! What Kafka knows of a record beside its value, as columns: coordinates, times, key and headers. Types are those of
//! Spark's Kafka source, so that a query carries over.

use crate::types::{Column, DataType};

/// A column of a source that tells something about the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataColumn {
    pub name: String,
    pub field: MetadataField,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataField {
    Key,
    Value,
    Topic,
    Partition,
    Offset,
    Timestamp,
    /// 0: the producer's time, 1: the broker's, -1: there is none.
    TimestampType,
    Headers,
}

impl MetadataColumn {
    #[must_use]
    pub fn column(&self) -> Column {
        let (data_type, nullable) = match self.field {
            MetadataField::Key | MetadataField::Value => (DataType::Binary, true),
            MetadataField::Topic => (DataType::String, false),
            MetadataField::Partition | MetadataField::TimestampType => (DataType::Int, false),
            MetadataField::Offset => (DataType::Bigint, false),
            MetadataField::Timestamp => (DataType::Timestamp, true),
            MetadataField::Headers => (DataType::Array(Box::new(DataType::Struct(header()))), false),
        };
        Column { name: self.name.clone(), data_type, nullable }
    }
}

/// A header: the same key may come several times, and a value may be null.
fn header() -> Vec<Column> {
    let column = |name: &str, data_type| Column { name: name.to_owned(), data_type, nullable: true };
    vec![column("key", DataType::String), column("value", DataType::Binary)]
}
