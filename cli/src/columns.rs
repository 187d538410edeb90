//! The output of `weir validate` for a valid document: the columns that each node gives and each sink writes.

use std::fmt::{self, Write};

use arrow::datatypes::Schema;
use weir_plan::expr::type_name;
use weir_plan::outputs::Output;
use weir_plan::plan::{Input, Plan, Sink};

/// A line for each source, step and sink, with Spark's names for types. A step comes after the nodes that it reads.
pub fn described(plan: &Plan) -> String {
    let mut text = String::new();
    let sources = (0..plan.sources.len()).map(|i| ("source", Input::Source(i)));
    let steps = (0..plan.steps.len()).map(|i| ("step", Input::Step(i)));
    for (kind, node) in sources.chain(steps) {
        line(&mut text, format_args!("{kind} {}", plan.name_of(node)), plan.schema_of(node));
        let mut said = Vec::new();
        for sink in plan.sinks.iter().filter(|sink| sink.input == node && sink.output != Output::Main) {
            if !said.contains(&sink.output) {
                said.push(sink.output);
                line(&mut text, format_args!("{kind} {}.{}", plan.name_of(node), sink.output), &sink.given);
            }
        }
    }
    for sink in &plan.sinks {
        line(&mut text, format_args!("sink {} to {}", sink.name, target(sink)), &sink.schema);
    }
    text
}

fn line(text: &mut String, node: fmt::Arguments<'_>, schema: &Schema) {
    let columns = schema.fields().iter().map(|field| {
        let not_null = if field.is_nullable() { "" } else { " not null" };
        format!("{} {}{not_null}", name(field.name()), type_name(field.data_type()))
    });
    let columns: Vec<_> = columns.collect();
    // Writing to a string can't fail.
    let _ = writeln!(text, "{node}: {}", columns.join(", "));
}

/// The column's name as expressions accept it.
fn name(column: &str) -> String {
    let is_plain = column.chars().all(|c| c.is_alphanumeric() || c == '_');
    if is_plain { column.to_owned() } else { format!("\"{}\"", column.escape_debug()) }
}

fn target(sink: &Sink) -> String {
    match sink.kind.partition_by() {
        [] => sink.place().to_owned(),
        columns => format!("{}, partitioned by {}", sink.place(), columns.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_node_and_every_sink_has_its_columns_and_types() {
        let document = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides}
spec:
  checkpoint: {uri: s3://lake/checkpoints/rides}
  connections: [{name: events, kafka: {bootstrapServers: "kafka:9092"}}]
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    badRecords: {policy: Output}
    format: {json: {}}
    columns:
    - {name: city, type: string, required: true}
    - {name: price, type: "decimal(10,2)"}
    - {name: ts, type: timestamp}
    - {name: "the-trip", type: "struct<km: double, stops: array<string>>"}
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - name: seats
    map: {from: rides, columns: [{name: city}, {name: cents, expr: price * 100}, {name: size, expr: length(city)}]}
  - name: totals
    aggregate:
      from: seats
      window: {tumbling: {size: 5m}}
      groupBy: [{name: city}]
      columns: [{name: total, expr: sum(cents)}, {name: share, expr: avg(size)}]
  sinks:
  - {name: silver, from: totals, delta: {uri: s3://lake/silver, partitionBy: [city]}}
  - {name: late, from: totals.Late, delta: {uri: s3://lake/late}}
  - {name: bronze, from: rides, delta: {uri: s3://lake/bronze}}
  - {name: rejected, from: rides.Rejected, delta: {uri: s3://lake/rejected}}
"#;
        let plan = weir_crds::load(document, None).unwrap_or_else(|e| panic!("{e:?}"));
        insta::assert_snapshot!(described(&plan));
    }
}
