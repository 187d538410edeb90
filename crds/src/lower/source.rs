//! Sources: how records are decoded, and the event time of their rows. The module `kafka` has what is read from Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use weir_plan::expr::{self, ScalarExpr};
use weir_plan::metadata::{MetadataColumn, MetadataField};
use weir_plan::plan::{self, Clock, TimestampNumbers};
use weir_plan::quote::quoted;
use weir_plan::types::{Column, DataType, EVENT_TIME, timestamp_type};

use super::{duration, kafka, name, planning};
use crate::defaults;
use crate::document::{
    self, BadRecords, BadRecordsPolicy, COLUMNS_ARE_REQUIRED, Duration, Envelope, EventTime, Format, Source,
    SourceColumn, StreamPipeline, unions,
};
use crate::finding::{Findings, Path};

pub(super) const COLUMNS_MAX: usize = 256;
const METADATA_COLUMNS_MAX: usize = 8;

/// The field for the event time, the last field of rows that have one.
pub(super) fn event_time_field() -> FieldRef {
    Column { name: EVENT_TIME.to_owned(), data_type: DataType::Timestamp, nullable: false }.to_field()
}

/// The sources by their position in the document.
pub(super) struct Sources {
    plans: Vec<Option<plan::Source>>,
    /// Each source's schema. It is known if the columns are right, even if something else in the source is wrong.
    pub(super) schemas: Vec<Option<SchemaRef>>,
    /// Whether each source's rows take their time from the clock.
    pub(super) are_timed_by_clock: Vec<bool>,
}

impl Sources {
    /// The sources for the plan; `None` if one of them is wrong.
    pub(super) fn into_plan(self) -> Option<Vec<plan::Source>> {
        self.plans.into_iter().collect()
    }
}

pub(super) fn lower(
    document: &StreamPipeline,
    connections: &[Option<plan::KafkaConnection>],
    spec_at: &Path,
    out: &mut Findings,
) -> Sources {
    let at = spec_at.field("sources");
    let sources = document.spec.sources.iter().enumerate();
    let (plans, schemas): (Vec<_>, _) =
        sources.map(|(i, source)| one(document, connections, source, &at.index(i), out)).unzip();
    kafka::refuse_shared_groups(&plans, &at, out);
    let by_clock = |source: &Source| source.event_time.as_ref().is_some_and(|of| of.processing_time.is_some());
    Sources { plans, schemas, are_timed_by_clock: document.spec.sources.iter().map(by_clock).collect() }
}

fn one(
    document: &StreamPipeline,
    connections: &[Option<plan::KafkaConnection>],
    source: &Source,
    at: &Path,
    out: &mut Findings,
) -> (Option<plan::Source>, Option<SchemaRef>) {
    out.exactly_one(at, unions::SOURCE_KINDS, &[source.kafka.is_some()]);
    let kafka = source.kafka.as_ref();
    let kafka = kafka.and_then(|kafka| kafka::lower(document, connections, kafka, &at.field("kafka"), out));
    envelope(source, at, out);
    let bad_records = bad_records(source.bad_records.as_ref(), &at.field("badRecords"), out);
    let format = format(&source.format, &at.field("format"), out);
    let columns = columns(source, at, out);
    let metadata_columns = metadata_columns(source, at, out);
    let decoded = columns.as_ref().zip(metadata_columns.as_ref()).map(|(columns, metadata)| {
        let metadata = metadata.iter().map(|m| m.column().to_field());
        Arc::new(Schema::new(columns.iter().map(Column::to_field).chain(metadata).collect::<Vec<_>>()))
    });
    let event_time =
        source.event_time.as_ref().map(|block| event_time(block, decoded.as_ref(), &at.field("eventTime"), out));
    let schema = decoded.map(|decoded| {
        let has_event_time = event_time.is_some() || !out.is_sound(&at.field("eventTime"));
        let event_time = has_event_time.then(event_time_field);
        Arc::new(Schema::new(decoded.fields().iter().cloned().chain(event_time).collect::<Vec<_>>()))
    });
    let tombstones = match source.tombstones.unwrap_or(defaults::TOMBSTONES) {
        document::Tombstones::Skip => plan::Tombstones::Skip,
        document::Tombstones::Bad => plan::Tombstones::Bad,
    };
    let parts = (kafka, columns.zip(format), metadata_columns, bad_records, lift(event_time), schema.clone());
    let (
        Some(kafka),
        Some((columns, format)),
        Some(metadata_columns),
        Some(bad_records),
        Some(event_time),
        Some(known),
    ) = parts
    else {
        return (None, schema);
    };
    let name = source.name.clone();
    (
        Some(plan::Source {
            name,
            kafka,
            columns,
            format,
            metadata_columns,
            bad_records,
            tombstones,
            event_time,
            schema: known,
        }),
        schema,
    )
}

/// Distinguishes a value that was left out, which is fine (`Some(None)`), from a wrong one (`None`).
pub(super) fn lift<T>(lowered: Option<Option<T>>) -> Option<Option<T>> {
    match lowered {
        None => Some(None),
        Some(inner) => inner.map(Some),
    }
}

fn bad_records(bad_records: Option<&BadRecords>, at: &Path, out: &mut Findings) -> Option<plan::BadRecords> {
    let policy = match bad_records.map_or(defaults::BAD_RECORDS, |b| b.policy) {
        BadRecordsPolicy::Fail => plan::BadRecordsPolicy::Fail,
        BadRecordsPolicy::Drop => plan::BadRecordsPolicy::Drop,
        BadRecordsPolicy::Output => plan::BadRecordsPolicy::Output,
    };
    let Some(found) = bad_records.and_then(|b| b.max_per_million) else {
        return Some(plan::BadRecords { policy, max_per_million: None });
    };
    let at = at.field("maxPerMillion");
    if policy == plan::BadRecordsPolicy::Fail {
        out.add(
            &at,
            "the policy `Fail` stops at the first bad record; leave it out, or take the policy `Output` or `Drop`",
        );
    }
    let max_per_million = out.integer(&at, found, 0..=1_000_000)?;
    Some(plan::BadRecords { policy, max_per_million: u64::try_from(max_per_million).ok() })
}

/// Refuses an envelope that is not supported yet.
fn envelope(source: &Source, at: &Path, out: &mut Findings) {
    match source.envelope.unwrap_or(defaults::ENVELOPE) {
        Envelope::Plain => {}
        found @ (Envelope::Debezium | Envelope::Upsert) => {
            out.not_yet_value(&at.field("envelope"), found, &["Plain"]);
        }
    }
}

/// Lowers the format of the records.
fn format(format: &Format, at: &Path, out: &mut Findings) -> Option<plan::Format> {
    let is_there = [
        format.json.is_some(),
        format.raw.is_some(),
        format.csv.is_some(),
        format.avro.is_some(),
        format.protobuf.is_some(),
    ];
    out.exactly_one(at, unions::FORMATS, &is_there);
    let json = format.json.as_ref()?;
    let timestamp_numbers = match json.timestamp_numbers.unwrap_or(defaults::TIMESTAMP_NUMBERS) {
        document::TimestampNumbers::Refuse => TimestampNumbers::Refuse,
        document::TimestampNumbers::EpochMillis => TimestampNumbers::EpochMillis,
    };
    Some(plan::Format::Json(plan::JsonFormat { timestamp_numbers }))
}

/// Lowers the reader's schema.
fn columns(source: &Source, at: &Path, out: &mut Findings) -> Option<Vec<Column>> {
    let Some(columns) = &source.columns else {
        out.add(at, COLUMNS_ARE_REQUIRED);
        return None;
    };
    let at = &at.field("columns");
    out.length(at, columns.len(), 1..=COLUMNS_MAX);
    out.distinct(columns.iter().enumerate().map(|(i, c)| (at.index(i).field("name"), &*c.name)), "columns");
    let columns: Vec<_> = columns.iter().enumerate().map(|(i, c)| column(c, &at.index(i), out)).collect();
    // If one column is wrong, expressions over the columns can't be checked, so none are returned.
    columns.into_iter().collect::<Option<_>>().filter(|_| out.is_sound(at))
}

fn column(column: &SourceColumn, at: &Path, out: &mut Findings) -> Option<Column> {
    out.checked(&at.field("name"), name::check_column(&column.name));
    let data_type = out.checked(&at.field("type"), DataType::parse(&column.data_type))?;
    if let Some(key) = data_type.other_key() {
        let found = quoted(&column.data_type);
        out.add(
            &at.field("type"),
            format!(
                "found {found}, whose keys are {key}, and the names in a JSON object are strings: write `map<string, …>`"
            ),
        );
        return None;
    }
    Some(Column { name: column.name.clone(), data_type, nullable: !column.required.unwrap_or(defaults::REQUIRED) })
}

fn metadata_columns(source: &Source, at: &Path, out: &mut Findings) -> Option<Vec<MetadataColumn>> {
    let Some(columns) = source.kafka.as_ref().and_then(|kafka| kafka.metadata_columns.as_ref()) else {
        return Some(Vec::new());
    };
    let columns_at = at.field("columns");
    let at = at.field("kafka").field("metadataColumns");
    out.length(&at, columns.len(), 1..=METADATA_COLUMNS_MAX);
    let of_value = source.columns.iter().flatten().enumerate();
    let of_value = of_value.map(|(i, c)| (&*c.name, columns_at.index(i).field("name")));
    // Repeated names among these have been reported above.
    let of_value: BTreeMap<&str, Path> = of_value.collect();
    for (i, column) in columns.iter().enumerate() {
        out.checked(&at.index(i).field("name"), name::check_column(&column.name));
    }
    let own = columns.iter().enumerate().map(|(i, c)| (at.index(i).field("name"), &*c.name));
    out.distinct(of_value.into_iter().map(|(name, path)| (path, name)).chain(own), "columns");
    let columns =
        columns.iter().map(|c| MetadataColumn { name: c.name.clone(), field: metadata_field(c.field) }).collect();
    Some(columns).filter(|_| out.is_sound(&at))
}

fn metadata_field(field: document::MetadataField) -> MetadataField {
    match field {
        document::MetadataField::Key => MetadataField::Key,
        document::MetadataField::Value => MetadataField::Value,
        document::MetadataField::Topic => MetadataField::Topic,
        document::MetadataField::Partition => MetadataField::Partition,
        document::MetadataField::Offset => MetadataField::Offset,
        document::MetadataField::Timestamp => MetadataField::Timestamp,
        document::MetadataField::TimestampType => MetadataField::TimestampType,
        document::MetadataField::Headers => MetadataField::Headers,
    }
}

fn event_time(
    event_time: &EventTime,
    decoded: Option<&SchemaRef>,
    at: &Path,
    out: &mut Findings,
) -> Option<plan::EventTime> {
    let clocks =
        [event_time.expr.is_some(), event_time.kafka_timestamp.is_some(), event_time.processing_time.is_some()];
    out.exactly_one(at, unions::CLOCKS, &clocks);
    if clocks == [false, false, true] {
        return by_clock(event_time, at, out);
    }
    let delay = match &event_time.watermark_delay {
        Some(delay) => out.duration(&at.field("watermarkDelay"), delay, "0s", "99999h"),
        None if event_time.expr.is_some() => {
            let message = "is required: how long to wait for rows that come late, as 10m where rows are \
                           up to ten minutes late";
            out.add(&at.field("watermarkDelay"), message);
            None
        }
        None => out.duration(&at.field("watermarkDelay"), defaults::WATERMARK_DELAY, "0s", "99999h"),
    };
    let idle_after = event_time.idle_after.as_deref().unwrap_or(defaults::IDLE_AFTER);
    let idle_after = out.duration(&at.field("idleAfter"), idle_after, "1s", "99999h");
    let max_future = event_time.max_future.as_deref().unwrap_or(defaults::MAX_FUTURE);
    let max_future = out.duration(&at.field("maxFuture"), max_future, "0s", "99999h");
    let mut optional = |field: &str, found: Option<&Duration>| {
        lift(found.map(|text| out.duration(&at.field(field), text, "1s", "99999h")))
    };
    let max_skew = optional("maxSkew", event_time.max_skew.as_ref());
    let close_idle = optional("closeIdleWindowsAfter", event_time.close_idle_windows_after.as_ref());
    let clock = match (&event_time.expr, &event_time.kafka_timestamp) {
        (Some(sql), _) => by_expr(sql, decoded, &at.field("expr"), out).map(Clock::Expr),
        (None, Some(_)) => Some(Clock::KafkaTimestamp),
        (None, None) => None,
    };
    Some(plan::EventTime {
        clock: clock?,
        watermark_delay_us: duration::as_us(delay?),
        idle_after_us: duration::as_us(idle_after?),
        max_future_us: duration::as_us(max_future?),
        max_skew_us: max_skew?.map(duration::as_us),
        close_idle_windows_after_us: close_idle?.map(duration::as_us),
    })
}

/// The time of rows that take it from the clock. No record is waited for, so nothing says for how long.
fn by_clock(event_time: &EventTime, at: &Path, out: &mut Findings) -> Option<plan::EventTime> {
    let EventTime { watermark_delay, max_future, idle_after, max_skew, close_idle_windows_after, .. } = event_time;
    for (field, found, why) in [
        ("watermarkDelay", watermark_delay, "no row is late"),
        ("maxFuture", max_future, "no row is ahead of the clock"),
        ("idleAfter", idle_after, "no partition holds the watermark"),
        ("maxSkew", max_skew, "no partition is ahead of another one"),
        ("closeIdleWindowsAfter", close_idle_windows_after, "the clock closes all windows"),
    ] {
        if found.is_some() {
            out.add(&at.field(field), format!("with `processingTime`, {why}; leave it out"));
        }
    }
    Some(plan::EventTime {
        clock: Clock::ProcessingTime,
        watermark_delay_us: 0,
        idle_after_us: 0,
        max_future_us: 0,
        max_skew_us: None,
        close_idle_windows_after_us: None,
    })
}

/// The expression for the event time over the decoded columns, if they are known.
fn by_expr(sql: &str, decoded: Option<&SchemaRef>, at: &Path, out: &mut Findings) -> Option<ScalarExpr> {
    let instead = "have the producer write the time as a column";
    if !planning::is_within_bounds(std::iter::once(sql), at, instead, out) {
        return None;
    }
    let expr = out.checked(at, expr::compile(sql, decoded?, EVENT_TIME).map_err(|e| e.to_string()))?;
    if *expr.field.data_type() != timestamp_type() {
        let found = type_name(&expr.field);
        let instead = if expr.field.data_type().is_numeric() {
            // A short expression is usually a column name and is repeated in the suggestion; a long one would only
            // obscure it.
            let of = if sql.chars().count() <= 40 { sql } else { "…" };
            format!(
                "to_timestamp_seconds({of}), to_timestamp_millis({of}) or to_timestamp_micros({of}), by the unit that \
                 it counts"
            )
        } else {
            "cast(… as timestamp) or to_timestamp(…)".to_owned()
        };
        out.add(at, format!("{} is a {found}, and an event time is a timestamp: write {instead}", quoted(sql)));
        return None;
    }
    Some(expr)
}

/// Spark's name for the type of a column.
pub(super) fn type_name(field: &FieldRef) -> String {
    DataType::from_arrow(field.data_type()).map_or_else(|| field.data_type().to_string(), |t| t.to_string())
}
