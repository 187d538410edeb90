//! Delta tables: the columns that they can have, their layout and their maintenance.

use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields, SchemaRef};
use weir_plan::plan;
use weir_plan::quote::quoted;

use crate::defaults;
use crate::document::{DeltaMaintenance, DeltaSink, Duration, SchemaEvolution};
use crate::finding::{Findings, Path};
use crate::lower::check::suggestion;
use crate::lower::source::type_name;
use crate::lower::{name, uri};

const PARTITION_COLUMNS_MAX: usize = 16;

/// Lowers a Delta sink. `at` is the sink's path, `schema` the schema of its rows, if it is known.
pub(super) fn lower(
    delta: &DeltaSink,
    schema: Option<&SchemaRef>,
    at: &Path,
    out: &mut Findings,
) -> Option<plan::DeltaSink> {
    if let Some(schema) = schema {
        check_columns(schema.fields(), &at.field("from"), out);
    }
    let at = &at.field("delta");
    match delta.schema_evolution.unwrap_or(defaults::SCHEMA_EVOLUTION) {
        SchemaEvolution::Refuse => {}
        evolution @ SchemaEvolution::AddColumns => {
            out.not_yet_value(&at.field("schemaEvolution"), evolution, &["Refuse"])
        }
    }
    let uri = out.checked(&at.field("uri"), uri::parse(&delta.uri));
    let partition_by = delta.partition_by.clone().unwrap_or_default();
    check_partitions(&partition_by, schema, &at.field("partitionBy"), out);
    let size = out.bytes(
        &at.field("targetFileSize"),
        delta.target_file_size.as_ref(),
        defaults::TARGET_FILE_SIZE,
        "1Ki",
        "16Gi",
    );
    let maintenance = maintenance(delta.maintenance.as_ref(), &at.field("maintenance"), out);
    Some(plan::DeltaSink { uri: uri?, partition_by, target_file_size_bytes: size?, maintenance: maintenance? })
}

/// Refuses names that differ only in case: Delta treats them as the same name.
fn check_columns(fields: &Fields, at: &Path, out: &mut Findings) {
    for (i, field) in fields.iter().enumerate() {
        out.checked(at, name::check_delta_column(field.name()));
        let lower = field.name().to_lowercase();
        if let Some(same) = fields[..i].iter().find(|f| f.name().to_lowercase() == lower) {
            let message = format!(
                "Delta can't tell the columns {} and {} apart; rename one in a map step",
                quoted(same.name()),
                quoted(field.name())
            );
            out.add(at, message);
        }
        check_nested(field, at, out);
    }
}

fn check_nested(field: &FieldRef, at: &Path, out: &mut Findings) {
    match field.data_type() {
        ArrowType::Struct(fields) => check_columns(fields, at, out),
        ArrowType::List(item) | ArrowType::Map(item, _) => check_nested(item, at, out),
        _ => {}
    }
}

fn maintenance(wanted: Option<&DeltaMaintenance>, at: &Path, out: &mut Findings) -> Option<plan::Maintenance> {
    let every = wanted.and_then(|m| m.checkpoint_every).unwrap_or(defaults::LOG_CHECKPOINT_EVERY);
    let every = out.integer(&at.field("checkpointEvery"), every, 1..=10_000);
    let mut duration = |field, found: Option<&Duration>, least| match found {
        None => Some(None),
        Some(found) => out.duration(&at.field(field), found, least, "99999h").map(Some),
    };
    let compact_every = duration("compactEvery", wanted.and_then(|m| m.compact_every.as_ref()), "1m");
    let vacuum_after = duration("vacuumAfter", wanted.and_then(|m| m.vacuum_after.as_ref()), "1h");
    Some(plan::Maintenance {
        checkpoint_every: u32::try_from(every?).ok()?,
        compact_every: compact_every?,
        vacuum_after: vacuum_after?,
    })
}

fn check_partitions(partition_by: &[String], schema: Option<&SchemaRef>, at: &Path, out: &mut Findings) {
    out.length(at, partition_by.len(), 0..=PARTITION_COLUMNS_MAX);
    out.distinct(partition_by.iter().enumerate().map(|(i, c)| (at.index(i), &**c)), "partition columns");
    let Some(schema) = schema else { return };
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    for (i, column) in partition_by.iter().enumerate() {
        let at = at.index(i);
        match schema.fields().iter().find(|f| f.name() == column) {
            None => {
                let right = match added(column, schema) {
                    Some(added) => {
                        format!("partitions are columns: add it in a map before the sink, {}", quoted(added))
                    }
                    None => suggestion(column, &names),
                };
                out.add(&at, format!("the sink writes no column {}; {right}", quoted(column)));
            }
            Some(field) if !is_partition_type(field.data_type()) => {
                let message = format!(
                    "the column {} is a {}; a table is partitioned by dates, timestamps, texts, whole numbers, \
                     decimals or booleans",
                    quoted(column),
                    type_name(field)
                );
                out.add(&at, message);
            }
            Some(_) => {}
        }
    }
    if !names.is_empty() && names.iter().all(|n| partition_by.iter().any(|p| p == n)) {
        out.add(at, "every column is a partition column, so that files would be empty; leave at least one out");
    }
}

/// The field that adds a column to a map, for a partition that is an expression (`date(ts)`) or the name of a part of a
/// time (`date`).
fn added(partition: &str, schema: &SchemaRef) -> Option<String> {
    let (function, argument) = match partition.split_once('(') {
        Some((function, argument)) => (function.trim(), Some(argument.strip_suffix(')')?.trim())),
        None => (partition, None),
    };
    let is_plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let times = schema.fields().iter().filter(|field| matches!(field.data_type(), ArrowType::Timestamp(..)));
    let mut times = times.map(|field| field.name().as_str()).filter(|name| is_plain(name));
    let time = match argument {
        Some(argument) => times.find(|name| *name == argument)?,
        None => times.next()?,
    };
    let function = function.to_lowercase();
    let (name, expr) = match function.as_str() {
        "date" | "to_date" => ("date", format!("cast({time} as date)")),
        day @ ("day" | "days") => (day, format!("cast({time} as date)")),
        hour @ ("hour" | "hours") => (hour, format!("date_trunc('hour', {time})")),
        month @ ("month" | "months") => (month, format!("cast(date_trunc('month', {time}) as date)")),
        year @ ("year" | "years") => (year, format!("cast(date_trunc('year', {time}) as date)")),
        _ => return None,
    };
    Some(match expr.contains(',') {
        true => format!("addColumns: [{{name: {name}, expr: \"{expr}\"}}]"),
        false => format!("addColumns: [{{name: {name}, expr: {expr}}}]"),
    })
}

/// Whether a column of this type can partition a table. Partition values are written as text into paths and the log:
/// floats have several texts, and the other refused types have none.
fn is_partition_type(data_type: &ArrowType) -> bool {
    matches!(
        data_type,
        ArrowType::Boolean
            | ArrowType::Int32
            | ArrowType::Int64
            | ArrowType::Utf8
            | ArrowType::Date32
            | ArrowType::Timestamp(..)
            | ArrowType::Decimal128(..)
    )
}
