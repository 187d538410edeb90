//! Sinks: which table, which columns, how they are laid out. And that no table and no checkpoint lie in one another.

use std::cmp::Ordering;
use weir_plan::quote::quoted;

use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields, SchemaRef};
use weir_plan::plan;

use super::check::suggestion;
use super::graph::Graph;
use super::output::{self, Nodes};
use super::source::type_name;
use super::step::Steps;
use super::{name, uri};
use crate::defaults;
use crate::document::{DeltaMaintenance, DeltaSink, Duration, Mode, SchemaEvolution, Sink, Spec, unions};
use crate::finding::{Findings, Path};

const PARTITION_COLUMNS_MAX: usize = 16;

pub(super) fn lower(
    spec: &Spec,
    graph: &Graph,
    sources: &[Option<SchemaRef>],
    steps: &Steps,
    spec_at: &Path,
    out: &mut Findings,
) -> Option<Vec<plan::Sink>> {
    let at = spec_at.field("sinks");
    let nodes = Nodes { spec, graph, sources, steps };
    let lowered: Vec<_> = spec
        .sinks
        .iter()
        .enumerate()
        .map(|(i, sink)| {
            let at = at.index(i);
            refuse_unsupported(sink, &at, out);
            let input = graph.sink_inputs[i];
            let (output, schema) = nodes.output(sink, input, &at, out);
            if let Some(schema) = &schema {
                check_columns(schema.fields(), &at.field("from"), out);
            }
            let delta = delta(sink.delta.as_ref()?, schema.as_ref(), &at.field("delta"), out);
            Some(plan::Sink {
                name: sink.name.clone(),
                input: steps.in_plan(input?)?,
                output,
                kind: plan::SinkKind::Delta(delta?),
                schema: schema?,
            })
        })
        .collect();
    output::require_rejected_sinks(spec, spec_at, out);
    lowered.into_iter().collect()
}

fn refuse_unsupported(sink: &Sink, at: &Path, out: &mut Findings) {
    let kinds = [sink.delta.is_some(), sink.kafka.is_some(), sink.parquet.is_some(), sink.console.is_some()];
    out.exactly_one(at, unions::SINK_KINDS, &kinds);
    out.not_yet(at, "kafka", sink.kafka.as_ref());
    out.not_yet(at, "parquet", sink.parquet.as_ref());
    out.not_yet(at, "console", sink.console.as_ref());
    out.not_yet(at, "key", sink.key.as_ref());
    match sink.mode.unwrap_or(defaults::MODE) {
        Mode::Append => {}
        mode @ (Mode::Update | Mode::Complete) => out.not_yet_value(&at.field("mode"), mode, &["Append"]),
    }
}

/// Delta takes names that differ in case only for the same one.
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
        ArrowType::List(item) => check_nested(item, at, out),
        _ => {}
    }
}

fn delta(delta: &DeltaSink, schema: Option<&SchemaRef>, at: &Path, out: &mut Findings) -> Option<plan::DeltaSink> {
    match delta.schema_evolution.unwrap_or(defaults::SCHEMA_EVOLUTION) {
        SchemaEvolution::Refuse => {}
        evolution @ SchemaEvolution::AddColumns => out.not_yet_value(&at.field("schemaEvolution"), evolution, &["Refuse"]),
    }
    let uri = out.checked(&at.field("uri"), uri::parse(&delta.uri));
    let partition_by = delta.partition_by.clone().unwrap_or_default();
    check_partitions(&partition_by, schema, &at.field("partitionBy"), out);
    let size = out.bytes(&at.field("targetFileSize"), delta.target_file_size.as_ref(), defaults::TARGET_FILE_SIZE, "1Ki", "16Gi");
    let maintenance = maintenance(delta.maintenance.as_ref(), &at.field("maintenance"), out);
    Some(plan::DeltaSink { uri: uri?, partition_by, target_file_size_bytes: size?, maintenance: maintenance? })
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
    Some(plan::Maintenance { checkpoint_every: u32::try_from(every?).ok()?, compact_every: compact_every?, vacuum_after: vacuum_after? })
}

fn check_partitions(partition_by: &[String], schema: Option<&SchemaRef>, at: &Path, out: &mut Findings) {
    out.length(at, partition_by.len(), 0..=PARTITION_COLUMNS_MAX);
    out.distinct(partition_by.iter().enumerate().map(|(i, c)| (at.index(i), &**c)), "partition columns");
    let Some(schema) = schema else { return };
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    for (i, column) in partition_by.iter().enumerate() {
        let at = at.index(i);
        match schema.fields().iter().find(|f| f.name() == column) {
            None => out.add(&at, format!("the sink writes no column {}; {}", quoted(column), suggestion(column, &names))),
            Some(field) if !is_partition_type(field.data_type()) => {
                let message = format!(
                    "the column {} is a {}; a table is partitioned by dates, timestamps, texts, whole numbers, decimals or booleans",
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

/// Partition values are written as text into paths and the log: floats have several texts, the others have none.
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

/// A vacuum of the outer one would delete the inner one's files, and two writers of one table would take each other's epochs for their own.
pub(super) fn check_places(spec: &Spec, spec_at: &Path, out: &mut Findings) {
    let checkpoint = (spec_at.field("checkpoint").field("uri"), spec.checkpoint.uri.as_str());
    let tables = spec
        .sinks
        .iter()
        .enumerate()
        .filter_map(|(i, sink)| Some((spec_at.field("sinks").index(i).field("delta").field("uri"), sink.delta.as_ref()?.uri.as_str())));
    let mut seen: Vec<(Path, String)> = Vec::new();
    for (path, text) in std::iter::once(checkpoint).chain(tables) {
        let Ok(place) = uri::parse(text) else { continue };
        if let Some((other, there)) = seen.iter().find(|(_, there)| uri::overlap(&place, there)) {
            let how = match place.len().cmp(&there.len()) {
                Ordering::Equal => "is the place of",
                Ordering::Greater => "lies in the place of",
                Ordering::Less => "holds the place of",
            };
            out.add(&path, format!("{} {how} {other}, {}; each needs a place of its own", quoted(&place), quoted(there)));
        }
        seen.push((path, place));
    }
}
