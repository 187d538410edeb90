//! A valid document, which tests make invalid by replacing some of its text; they then compare all findings, paths and
//! sentences, in order.

use weir_crds::load;

pub const RIGHT: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides-revenue}
spec:
  trigger: {type: Interval, interval: 5s}
  checkpoint: {uri: s3://lake/checkpoints/rides}
  storage:
  - {uriPrefix: s3://lake/, s3: {endpoint: http://s3:9000}}
  connections:
  - {name: events, kafka: {bootstrapServers: kafka:9092}}
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format: {json: {}}
    columns:
    - {name: city, type: string, required: true}
    - {name: price, type: double, required: true}
    - {name: ts, type: timestamp, required: true}
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - name: cleaned
    map:
      from: rides
      where: price >= 0
      columns: [{name: city, expr: upper(city)}, {name: price}]
  - name: revenue
    aggregate:
      from: cleaned
      window: {tumbling: {size: 5m}}
      groupBy: [{name: city}]
      columns: [{name: revenue, expr: sum(price)}]
  sinks:
  - {name: silver, from: revenue, delta: {uri: s3://lake/silver, partitionBy: [city]}}
"#;

pub fn with(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(RIGHT.to_owned(), |text, (old, new)| {
        assert_eq!(text.matches(old).count(), 1, "{old:?} should stand once in the document");
        text.replace(old, new)
    })
}

pub fn findings(text: &str) -> Vec<String> {
    load(text, None).err().into_iter().flatten().map(|f| f.to_string()).collect()
}

#[track_caller]
pub fn said(edits: &[(&str, &str)], right: &[&str]) {
    assert_eq!(findings(&with(edits)), right);
}

#[test]
fn the_right_document_is_right() {
    said(&[], &[]);
}
