//! The documents that the tests apply.

use serde_json::Value;

/// The smallest valid document with this name.
pub fn least(name: &str) -> Value {
    yaml(&LEAST.replace("NAME", name))
}

const LEAST: &str = "
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: NAME}
spec:
  checkpoint: {uri: s3://lake/checkpoints/rides}
  connections: [{name: events, kafka: {bootstrapServers: 'kafka:9092'}}]
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format: {json: {}}
    columns: [{name: city, type: string}, {name: ts, type: timestamp}]
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - {name: counted, aggregate: {from: rides, window: {tumbling: {size: 5m}}, columns: [{name: cnt, expr: count(*)}]}}
  sinks: [{name: silver, from: counted, delta: {uri: s3://lake/silver}}]
";

/// The documents that together have every field of the schema.
pub fn every_field() -> [Value; 2] {
    [yaml(include_str!("documents/every-field.yaml")), yaml(include_str!("documents/every-field-on-demand.yaml"))]
}

pub fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// `document` with another one merged over it, as `weir run --override` does.
pub fn with(document: &Value, over: &str) -> Value {
    let base = serde_yaml::to_value(document).unwrap();
    serde_json::to_value(weir_crds::merge(base, serde_yaml::from_str(over).unwrap())).unwrap()
}
