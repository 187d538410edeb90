//! The metadata columns of a batch: where Kafka has each record, and what Kafka knows about it beside its value; and
//! the origins by which keyed steps order rows.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, ListBuilder, StringBuilder, StructBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use weir_plan::ids::TopicPartition;
use weir_plan::metadata::{MetadataColumn, MetadataField};

use super::bad_records::Reason;
use crate::failure::{Failure, Result};
use crate::source::kafka::{Headers, Record, TimeSetBy};

const ORIGIN: &str = "_origin";

/// The metadata columns of the rows in the decoder, in the decoder's order.
pub struct Metadata {
    fields: Vec<FieldRef>,
    columns: Vec<Builder>,
    reads_headers: bool,
}

enum Builder {
    Key(BinaryBuilder),
    Value(BinaryBuilder),
    Topic(StringBuilder),
    Partition(Int32Builder),
    Offset(Int64Builder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampType(Int32Builder),
    Headers(Box<ListBuilder<StructBuilder>>),
    Origin(Origin),
}

/// Origins as bytes, whose order is that of source, topic, partition and offset. Names have no zero byte, so the one
/// that ends them keeps their order.
struct Origin {
    source: String,
    bytes: BinaryBuilder,
}

impl Metadata {
    #[must_use]
    pub fn new(columns: &[MetadataColumn]) -> Self {
        let fields: Vec<_> = columns.iter().map(|c| c.column().to_field()).collect();
        Self {
            columns: columns.iter().zip(&fields).map(|(column, field)| Builder::new(column.field, field)).collect(),
            fields,
            reads_headers: columns.iter().any(|c| c.field == MetadataField::Headers),
        }
    }

    /// Adds the origin of each row in this source as the last column.
    #[must_use]
    pub fn with_origins(mut self, source: &str) -> Self {
        self.fields.push(Arc::new(Field::new(ORIGIN, ArrowType::Binary, false)));
        self.columns.push(Builder::Origin(Origin { source: source.to_owned(), bytes: BinaryBuilder::new() }));
        self
    }

    /// Checks that `push` will find all metadata of a record. The lane calls this before it decodes the value, since a
    /// row is in all columns or in none.
    ///
    /// # Errors
    /// The reason why the record is bad.
    pub fn check(&self, record: &Record<'_>) -> std::result::Result<(), Reason> {
        if !self.reads_headers {
            return Ok(());
        }
        record.headers.each(|_, _| {}).map_err(|text| Reason { path: None, text })
    }

    pub fn push(&mut self, from: &TopicPartition, record: &Record<'_>) {
        self.columns.iter_mut().for_each(|column| column.push(from, record));
    }

    /// Returns the batch with these columns after its own. Afterwards these columns are empty.
    ///
    /// # Errors
    /// `Bug`, if there are not as many rows as were pushed.
    pub fn join(&mut self, decoded: RecordBatch) -> Result<RecordBatch> {
        if self.columns.is_empty() {
            return Ok(decoded);
        }
        let schema = Schema::new(decoded.schema().fields().iter().chain(&self.fields).cloned().collect::<Vec<_>>());
        let arrays = decoded.columns().iter().cloned().chain(self.columns.iter_mut().map(Builder::finish)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(decoded.num_rows()));
        RecordBatch::try_new_with_options(SchemaRef::new(schema), arrays, &options)
            .map_err(|e| Failure::bug(format!("metadata columns: {e}")))
    }
}

impl Builder {
    fn new(field: MetadataField, column: &FieldRef) -> Self {
        match field {
            MetadataField::Key => Self::Key(BinaryBuilder::new()),
            MetadataField::Value => Self::Value(BinaryBuilder::new()),
            MetadataField::Topic => Self::Topic(StringBuilder::new()),
            MetadataField::Partition => Self::Partition(Int32Builder::new()),
            MetadataField::Offset => Self::Offset(Int64Builder::new()),
            MetadataField::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(column.data_type().clone()))
            }
            MetadataField::TimestampType => Self::TimestampType(Int32Builder::new()),
            MetadataField::Headers => Self::Headers(Box::new(headers_builder(column))),
        }
    }

    fn push(&mut self, from: &TopicPartition, record: &Record<'_>) {
        match self {
            Self::Key(b) => b.append_option(record.key),
            Self::Value(b) => b.append_option(record.value),
            Self::Topic(b) => b.append_value(&from.topic),
            Self::Partition(b) => b.append_value(from.partition),
            Self::Offset(b) => b.append_value(record.offset),
            Self::Timestamp(b) => b.append_option(record.timestamp.map(|t| t.at_ms.saturating_mul(1000))),
            // These are the numbers of org.apache.kafka.common.record.TimestampType.
            Self::TimestampType(b) => b.append_value(match record.timestamp.map(|t| t.set_by) {
                None => -1,
                Some(TimeSetBy::Producer) => 0,
                Some(TimeSetBy::Broker) => 1,
            }),
            Self::Headers(b) => push_headers(b, record.headers),
            Self::Origin(b) => b.push(from, record.offset),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Key(b) | Self::Value(b) => Arc::new(b.finish()),
            Self::Topic(b) => Arc::new(b.finish()),
            Self::Partition(b) | Self::TimestampType(b) => Arc::new(b.finish()),
            Self::Offset(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
            Self::Headers(b) => Arc::new(b.finish()),
            Self::Origin(b) => Arc::new(b.bytes.finish()),
        }
    }
}

impl Origin {
    fn push(&mut self, from: &TopicPartition, offset: i64) {
        let (partition, offset) = (from.partition.cast_unsigned(), offset.cast_unsigned());
        // Writing bytes into a builder can't fail.
        let parts = [self.source.as_bytes(), &[0], from.topic.as_bytes(), &[0]];
        let numbers: [&[u8]; 2] = [&partition.to_be_bytes(), &offset.to_be_bytes()];
        parts.iter().chain(&numbers).for_each(|part| drop(self.bytes.write_all(part)));
        self.bytes.append_value([]);
    }
}

fn headers_builder(column: &FieldRef) -> ListBuilder<StructBuilder> {
    let element = match column.data_type() {
        ArrowType::List(element) => Arc::clone(element),
        _ => Arc::clone(column),
    };
    let fields = match element.data_type() {
        ArrowType::Struct(fields) => fields.clone(),
        _ => arrow::datatypes::Fields::empty(),
    };
    let builders: Vec<Box<dyn ArrayBuilder>> = vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())];
    ListBuilder::new(StructBuilder::new(fields, builders)).with_field(element)
}

fn push_headers(list: &mut ListBuilder<StructBuilder>, headers: Headers<'_>) {
    // This cannot fail, since it did not fail when the record was checked.
    let _ = headers.each(|name, value| {
        let header = list.values();
        if let Some(names) = header.field_builder::<StringBuilder>(0) {
            names.append_value(name.to_string_lossy());
        }
        if let Some(values) = header.field_builder::<BinaryBuilder>(1) {
            values.append_option(value);
        }
        header.append(true);
    });
    list.append(true);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};

    use super::*;
    use crate::source::kafka::Timestamp;

    const ALL: [MetadataField; 8] = [
        MetadataField::Key,
        MetadataField::Value,
        MetadataField::Topic,
        MetadataField::Partition,
        MetadataField::Offset,
        MetadataField::Timestamp,
        MetadataField::TimestampType,
        MetadataField::Headers,
    ];

    fn none(rows: usize) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).unwrap()
    }

    #[test]
    fn each_column_has_the_type_of_the_plan_and_what_the_record_has() {
        let columns = ALL.map(|field| MetadataColumn { name: format!("{field:?}"), field });
        let mut metadata = Metadata::new(&columns);
        let from = TopicPartition { topic: "rides".into(), partition: 3 };
        let stamped = |set_by| Some(Timestamp { at_ms: 5, set_by });
        let full = Record {
            offset: 7,
            timestamp: stamped(TimeSetBy::Producer),
            key: Some(b"k"),
            value: Some(b"{}"),
            ..Record::default()
        };
        for record in
            [full, Record { offset: 8, ..Record::default() }, Record { timestamp: stamped(TimeSetBy::Broker), ..full }]
        {
            metadata.check(&record).unwrap();
            metadata.push(&from, &record);
        }
        let rows = metadata.join(none(3)).unwrap();
        let expected: Vec<_> = columns.iter().map(|c| c.column().to_field()).collect();
        assert_eq!(rows.schema().fields().iter().cloned().collect::<Vec<_>>(), expected);
        assert_eq!(
            rows.column(0).as_binary::<i32>().iter().collect::<Vec<_>>(),
            [Some(b"k".as_slice()), None, Some(b"k")]
        );
        assert_eq!(rows.column(1).as_binary::<i32>().value(0), b"{}");
        assert_eq!(rows.column(2).as_string::<i32>().value(1), "rides");
        assert_eq!(rows.column(3).as_primitive::<Int32Type>().values(), &[3, 3, 3]);
        assert_eq!(rows.column(4).as_primitive::<Int64Type>().values(), &[7, 8, 7]);
        assert_eq!(
            rows.column(5).as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>(),
            [Some(5000), None, Some(5000)]
        );
        assert_eq!(rows.column(6).as_primitive::<Int32Type>().values(), &[0, -1, 1]);
        assert_eq!((rows.column(7).null_count(), rows.column(7).as_list::<i32>().value(0).len()), (0, 0));
        assert_eq!(metadata.join(none(0)).unwrap().num_rows(), 0);
    }

    #[test]
    fn origins_are_ordered_by_topic_partition_and_offset() {
        let mut metadata = Metadata::new(&[]).with_origins("rides");
        let places = [("a", 2, 5), ("a", 2, 300), ("a", 10, 0), ("a-b", 0, 7), ("b", 1, i64::MAX)];
        for (topic, partition, offset) in places {
            let from = TopicPartition { topic: topic.into(), partition };
            metadata.push(&from, &Record { offset, ..Record::default() });
        }
        let rows = metadata.join(none(places.len())).unwrap();
        let origins: Vec<_> = rows.column(0).as_binary::<i32>().iter().flatten().collect();
        assert_eq!((origins.len(), origins.is_sorted()), (5, true));
        assert_eq!(origins[0], b"rides\0a\0\0\0\0\x02\0\0\0\0\0\0\0\x05");
    }

    #[test]
    fn without_such_columns_a_batch_stays_as_it_is() {
        assert_eq!(Metadata::new(&[]).join(none(5)).unwrap(), none(5));
    }
}
