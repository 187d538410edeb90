//! Errors in places and connections.

use crate::right::said;

#[test]
fn no_table_and_no_checkpoint_lie_in_one_another() {
    said(
        &[("s3://lake/checkpoints/rides", "s3://lake/silver/_checkpoint")],
        &["spec.sinks[0].delta.uri: `s3://lake/silver` holds the place of spec.checkpoint.uri, \
             `s3://lake/silver/_checkpoint`; each needs a place of its own"],
    );
    said(
        &[(
            "  - {name: silver",
            "  - {name: again, from: revenue, delta: {uri: s3://lake/silver/}}\n  - {name: silver",
        )],
        &["spec.sinks[1].delta.uri: `s3://lake/silver` is the place of spec.sinks[0].delta.uri, `s3://lake/silver`; \
             each needs a place of its own"],
    );
}

#[test]
fn a_relative_path_is_refused() {
    said(
        &[("s3://lake/checkpoints/rides", "./checkpoint")],
        &["spec.checkpoint.uri: found `./checkpoint`: write s3://bucket/path or file:///absolute/path; a \
             relative path is refused, since it would name another place in each folder that the program is started \
             from"],
    );
}

#[test]
fn storage_is_reached_by_one_prefix_each_and_a_url() {
    said(
        &[
            ("endpoint: http://s3:9000", "endpoint: \"s3:9000\""),
            ("  connections:", "  - {uriPrefix: s3://lake/}\n  connections:"),
        ],
        &[
            "spec.storage[1].uriPrefix: `s3://lake/` is the name of spec.storage[0].uriPrefix too; entries of storage \
             have different names",
            "spec.storage[0].s3.endpoint: found `s3:9000`: write http:// or https://, a host and maybe a port, as in \
             https://s3.data:9000",
            "spec.storage[1]: s3 is missing",
        ],
    );
}

#[test]
fn an_endpoint_has_a_host_and_a_port_that_is_one() {
    for right in ["https://s3.data", "http://10.0.0.1:9000/", "http://[::1]", "http://[::1]:9000"] {
        said(&[("endpoint: http://s3:9000", &format!("endpoint: \"{right}\""))], &[]);
    }
    for wrong in
        ["http://:9000", "http://s3:", "http://s3:port", "http://s3:+9000", "http://s3:99999", "http://s3:0", "http://"]
    {
        said(
            &[("endpoint: http://s3:9000", &format!("endpoint: \"{wrong}\""))],
            &[&format!(
                "spec.storage[0].s3.endpoint: found `{wrong}`: write http:// or https://, a host and maybe a port, as \
                 in https://s3.data:9000"
            )],
        );
    }
}

#[test]
fn connections_are_used_and_name_hosts_with_ports() {
    said(
        &[("bootstrapServers: kafka:9092", "bootstrapServers: \"kafka\"")],
        &["spec.connections[0].kafka.bootstrapServers: found `kafka`: write host:port, several with commas \
             between them"],
    );
    said(
        &[("bootstrapServers: kafka:9092", "bootstrapServers: \"a:1, b:+2,\"")],
        &[
            "spec.connections[0].kafka.bootstrapServers: found `b:+2`: write host:port, several with commas \
             between them",
            "spec.connections[0].kafka.bootstrapServers: found ``: write host:port, several with commas \
             between them",
        ],
    );
    said(
        &[("connection: events", "connection: event")],
        &["spec.sources[0].kafka.connection: there is no connection `event`; did you mean `events`?"],
    );
}

#[test]
fn topics_have_names_that_kafka_takes() {
    said(
        &[("topics: [rides]", "topics: [rides, rides, \"a b\"]")],
        &[
            "spec.sources[0].kafka.topics[1]: `rides` is the name of spec.sources[0].kafka.topics[0] too; topics have \
             different names",
            "spec.sources[0].kafka.topics[2]: found `a b`; a topic's name has 1 to 249 ASCII letters, digits, dots, \
             underscores and hyphens",
        ],
    );
    said(&[("topics: [rides]", "topics: []")], &["spec.sources[0].kafka.topics: found 0 elements: write 1 to 64"]);
    said(
        &[(", topics: [rides]", "")],
        &["spec.sources[0].kafka: found none of topics, topicPattern or assign; exactly one should be there"],
    );
}

#[test]
fn a_pattern_is_a_regular_expression_and_assigned_partitions_are_numbers_that_stand_once() {
    said(
        &[("topics: [rides]", "topicPattern: \"rides-(\"")],
        &["spec.sources[0].kafka.topicPattern: found `rides-(`: unclosed group: write a regular expression, as in \
           rides-.*"],
    );
    said(
        &[(
            "topics: [rides]",
            "assign: [{topic: rides, partitions: [0, 1, 0]}, {topic: rides, partitions: [-1]}, {topic: \"a b\", \
             partitions: []}]",
        )],
        &[
            "spec.sources[0].kafka.assign[1].topic: `rides` is the name of spec.sources[0].kafka.assign[0].topic too; \
             topics have different names",
            "spec.sources[0].kafka.assign[0].partitions[2]: 0 is there twice; leave one out",
            "spec.sources[0].kafka.assign[1].partitions[0]: found -1: write 0 to 2147483647",
            "spec.sources[0].kafka.assign[2].topic: found `a b`; a topic's name has 1 to 249 ASCII letters, digits, \
             dots, underscores and hyphens",
            "spec.sources[0].kafka.assign[2].partitions: found 0 elements: write 1 to 256",
        ],
    );
    said(
        &[("topics: [rides]", "topics: [rides], topicPattern: rides")],
        &["spec.sources[0].kafka: found topics and topicPattern; exactly one of topics, topicPattern or assign \
             should be there"],
    );
}

#[test]
fn offsets_to_start_from_are_those_of_the_topics_or_partitions_that_are_read() {
    said(
        &[(
            "topics: [rides]",
            "topicPattern: \"rides-.*\", startFrom: {offsets: [{topic: fares, partition: 0, offset: 0}]}",
        )],
        &["spec.sources[0].kafka.startFrom.offsets[0].topic: `fares` is not a topic of this source; write one that \
             matches `rides-.*`"],
    );
    said(
        &[(
            "topics: [rides]",
            "assign: [{topic: rides, partitions: [0, 1]}], startFrom: {offsets: [{topic: rides, partition: 0, offset: \
             0}, {topic: rides, partition: 2, offset: 0}]}",
        )],
        &[
            "spec.sources[0].kafka.startFrom.offsets[1].partition: `rides-2` is not assigned to this source; leave it \
             out",
            "spec.sources[0].kafka.startFrom.offsets: `rides-1` is not there; each partition that is read needs an \
             offset",
        ],
    );
}

#[test]
fn the_start_is_a_time_or_an_offset_for_each_topic() {
    let from = |start: &'static str| [("topics: [rides]}", start)];
    said(
        &from("topics: [rides], startFrom: {timestamp: \"2026-01-01\"}}"),
        &["spec.sources[0].kafka.startFrom.timestamp: found `2026-01-01`; write a time in RFC 3339, as in \
             2026-01-01T00:00:00Z"],
    );
    said(
        &from("topics: [rides], startFrom: {timestamp: \"1969-12-31T23:59:59Z\"}}"),
        &["spec.sources[0].kafka.startFrom.timestamp: found `1969-12-31T23:59:59Z`: write a time from 1970 on"],
    );
    said(
        &from(
            "topics: [rides, fares], startFrom: {offsets: [{topic: rides, partition: 0, offset: -1}, {topic: ride, \
             partition: 1, offset: 0}, \
             {topic: rides, partition: 0, offset: 7}, {topic: rides, partition: -2, offset: 7}]}}",
        ),
        &[
            "spec.sources[0].kafka.startFrom.offsets[0].offset: found -1: write 0 to 9223372036854775807",
            "spec.sources[0].kafka.startFrom.offsets[1].topic: `ride` is not a topic of this source; did you mean \
             `rides`?",
            "spec.sources[0].kafka.startFrom.offsets[2]: `rides-0` is at [0] too: write one offset per partition",
            "spec.sources[0].kafka.startFrom.offsets[3].partition: found -2: write 0 to 2147483647",
            "spec.sources[0].kafka.startFrom.offsets: no partition of `fares` is there; each partition that is read \
             needs an offset",
        ],
    );
}

#[test]
fn sizes_and_counts_have_bounds() {
    said(
        &[(
            "  checkpoint: {uri: s3://lake/checkpoints/rides}",
            "  limits: {recordsPerEpoch: 0, bytesPerEpoch: 128MB}\n  checkpoint: {uri: s3://lake/checkpoints/rides, \
             keep: 1}",
        )],
        &[
            "spec.checkpoint.keep: found 1: write 2 to 10000",
            "spec.limits.recordsPerEpoch: found 0: write 1 to 1000000000",
            "spec.limits.bytesPerEpoch: found `128MB`: write a whole number of bytes as a \
             Kubernetes quantity, such as 128Mi, 1G or 134217728",
        ],
    );
}
