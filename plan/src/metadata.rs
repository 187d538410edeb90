//! What Kafka knows of a record besides its value, as columns: coordinates, times, key and headers. The types are those
//! of Spark's Kafka source, so that queries can be moved here unchanged.

use crate::types::{Column, DataType};

/// A source's column with metadata of the record.
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
    /// Where the record's time comes from: 0 the producer, 1 the broker, -1 the record has no time.
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

/// The columns of a header. A record may have several headers with the same key, and a header's value may be null.
fn header() -> Vec<Column> {
    let column = |name: &str, data_type| Column { name: name.to_owned(), data_type, nullable: true };
    vec![column("key", DataType::String), column("value", DataType::Binary)]
}
