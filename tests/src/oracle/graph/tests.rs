//! Cases small enough to be computed by hand. Times are in milliseconds; watermarks are 5 ms behind.

mod clock;
mod deduplicate;
mod over;
mod rows;
mod running;
mod top;
mod watermarks;
mod windows;

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::manifest::Manifest;
use super::step::Operation;
use super::{EventTime, Graph, Mode, Outcome, Records, Sink, Source, Step};
use crate::oracle::manifest::{self, Partition};
use crate::oracle::pipeline::{BadRecords, Column};
use crate::oracle::time;
use crate::oracle::value::Type;
use crate::topic::{Contents, Stored};

fn source(name: &str) -> Source {
    let of = |name: &str, r#type, required| Column { name: name.into(), r#type, required };
    Source {
        name: name.into(),
        topic: name.into(),
        columns: vec![
            of("k", Type::String, false),
            of("n", Type::Bigint, false),
            of("ts", Type::Timestamp, true),
            of("list", Type::List(&Type::Bigint), false),
        ],
        event_time: Some(EventTime::of_column("ts", 5_000)),
        bad_records: BadRecords::Drop,
    }
}

/// A graph with these sources and steps, and a sink `out` that reads the last step.
fn graph(sources: &[&str], steps: Vec<(&str, Operation)>) -> Graph {
    let last = steps.last().map_or(sources[0], |(name, _)| name).to_owned();
    Graph {
        name: "tiny".into(),
        sources: sources.iter().map(|name| source(name)).collect(),
        steps: steps.into_iter().map(|(name, operation)| Step { name: name.into(), operation }).collect(),
        sinks: vec![Sink::append("out", &last)],
    }
}

/// A record `(k, n, time)`; an empty `k` is null.
type Short<'a> = (&'a str, i64, i64);

fn record((k, n, ms): &Short<'_>) -> Json {
    json!({"k": (!k.is_empty()).then_some(k), "n": n, "ts": time::format_iso(ms * 1_000)})
}

fn stored(records: Vec<Json>) -> BTreeMap<i64, Stored> {
    (0..).zip(records.into_iter().map(|record| Stored::from(record.to_string().into_bytes()))).collect()
}

/// One topic per source, which has one partition for each of these lists.
fn topics(all: &[(&str, &[&[Short<'_>]])]) -> Records {
    let contents = |partitions: &[&[Short<'_>]]| -> Contents {
        (0..).zip(partitions.iter().map(|records| stored(records.iter().map(record).collect()))).collect()
    };
    all.iter().map(|(name, partitions)| ((*name).to_owned(), contents(partitions))).collect()
}

/// What an epoch reads of a source: `(partition, start, end, idle)`.
type Range = (i32, i64, i64, bool);

/// An epoch that reads these ranges. Its own counts stay empty, since these tests look only at what is derived.
fn epoch(number: u64, reads: &[(&str, &[Range])]) -> Manifest {
    let partition = |topic: &str, &(partition, start, end, idle): &Range| Partition {
        topic: topic.to_owned(),
        partition,
        start,
        end,
        lost: vec![],
        unreadable: vec![],
        watermark_us: None,
        idle,
    };
    let nodes = ["a", "b", "c", "out", "late", "s1", "s2", "s3", "s4"];
    let of = nodes.map(|node| {
        let ranges = reads.iter().find(|(source, _)| *source == node).map_or(&[][..], |(_, ranges)| ranges);
        let partitions = ranges.iter().map(|range| partition(node, range)).collect();
        (node.to_owned(), manifest::Manifest { partitions, ..manifest::Manifest::empty(number) })
    });
    Manifest { whole: manifest::Manifest::empty(number), of: of.into() }
}

/// Epochs that read one partition of the source `a`, up to each of these offsets in turn.
fn cuts(ends: &[i64]) -> Vec<Manifest> {
    let begins = std::iter::once(0).chain(ends.iter().copied());
    (1..)
        .zip(begins.zip(ends))
        .map(|(number, (start, end))| epoch(number, &[("a", &[(0, start, *end, false)])]))
        .collect()
}

/// The outcome for one source `a` with one partition, cut into epochs at these offsets.
fn replay(graph: &Graph, records: &[Short<'_>], ends: &[i64]) -> Outcome {
    graph.replay(&topics(&[("a", &[records])]), &cuts(ends))
}

/// A table's rows in text order: their values in the order of the columns, but for `list`.
fn rows(graph: &Graph, outcome: &Outcome, sink: &str) -> Vec<String> {
    let from = graph.sinks.iter().find(|s| s.name == sink).unwrap().from.clone();
    let columns = match from.strip_suffix(".Late") {
        Some(step) => {
            let input = graph.columns(graph.step(step).operation.inputs()[0]);
            input.into_iter().chain(["late_by_ms".to_owned()]).collect()
        }
        None => graph.columns(&from),
    };
    texts(&outcome.tables[sink], &columns)
}

fn texts(rows: &[Json], columns: &[String]) -> Vec<String> {
    let value = |value: &Json| match value.as_str() {
        Some(time) if time.ends_with('Z') => (time::parse_timestamp(time).unwrap() / 1_000).to_string(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let row = |row: &Json| {
        let shown = columns.iter().filter(|name| *name != "list");
        shown.map(|name| value(&row[name])).collect::<Vec<_>>().join(" ")
    };
    let mut all: Vec<String> = rows.iter().map(row).collect();
    all.sort();
    all
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
