//! Consumer groups of several sources.

use crate::right::said;

/// Adds a second source that reads `topics`, and a sink for its rows.
fn beside(kafka: &str, expected: &[&str]) {
    let source = format!(
        "  - name: fares\n    kafka: {{connection: events, {kafka}}}\n    format: {{json: {{}}}}\n    columns: \
         [{{name: \
         fare, type: double}}]\n  steps:\n"
    );
    said(
        &[
            ("  steps:\n", &source),
            ("  sinks:\n", "  sinks:\n  - {name: fares-table, from: fares, delta: {uri: s3://lake/fares}}\n"),
        ],
        expected,
    );
}

#[test]
fn two_sources_of_one_topic_have_groups_of_their_own() {
    let shared = "spec.sources[1].kafka.groupId: source `rides` reads `rides` too, and both would publish their \
                  offsets for \
                  the consumer group `weir-rides-revenue`: write a group of its own, as `weir-rides-revenue-fares`";
    for topics in ["topics: [fares, rides]", "topicPattern: r.*", "assign: [{topic: rides, partitions: [0]}]"] {
        beside(topics, &[shared]);
        beside(&format!("{topics}, groupId: fares"), &[]);
    }
    for topics in ["topics: [fares]", "topicPattern: f.*", "assign: [{topic: fares, partitions: [0]}]"] {
        beside(topics, &[]);
    }
}

/// Consumer groups and topics belong to their brokers.
#[test]
fn topics_of_other_brokers_are_other_topics() {
    said(
        &[
            ("  sources:\n", "  - {name: elsewhere, kafka: {bootstrapServers: kafka2:9092}}\n  sources:\n"),
            (
                "  steps:\n",
                "  - name: fares\n    kafka: {connection: elsewhere, topics: [rides]}\n    format: {json: {}}\n    \
                 columns: \
                 [{name: fare, type: double}]\n  steps:\n",
            ),
            ("  sinks:\n", "  sinks:\n  - {name: fares-table, from: fares, delta: {uri: s3://lake/fares}}\n"),
        ],
        &[],
    );
}
