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

/// The right document after these edits, each a text that stands once and what comes in its place. In place of no text,
/// fields come into the spec.
pub fn with(edits: &[(&str, &str)]) -> String {
    edits.iter().fold(RIGHT.to_owned(), |text, (old, new)| {
        if old.is_empty() {
            return text.replace("\n  sinks:", &format!("\n{new}\n  sinks:"));
        }
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

/// An outcome, and documents that lead to it, each by its edits of the right one.
pub type Case<'a> = (&'a str, &'a [&'a [(&'a str, &'a str)]]);

/// The snapshot of a topic: each outcome, the edits of its documents as a diff, and everything that is said of them.
pub fn told(cases: &[Case<'_>]) -> String {
    let mut text = String::new();
    for (outcome, documents) in cases {
        text += &format!("# {outcome}\n\n");
        for edits in *documents {
            for (old, new) in *edits {
                text.extend(old.lines().map(|line| format!("- {line}\n")));
                text.extend(new.lines().map(|line| format!("+ {line}\n")));
            }
            let said = findings(&with(edits));
            text += &if said.is_empty() { "nothing\n\n".to_owned() } else { said.join("\n") + "\n\n" };
        }
    }
    text
}

#[test]
fn the_right_document_is_right() {
    said(&[], &[]);
}
