//! Errors in places and connections.

use crate::right::{said, told};

#[test]
fn wrong_places_and_connections() {
    let topic = told(&[
        (
            "no table and no checkpoint lie in one another",
            &[
                &[("s3://lake/checkpoints/rides", "s3://lake/silver/_checkpoint")],
                &[(
                    "  - {name: silver",
                    "  - {name: again, from: revenue, delta: {uri: s3://lake/silver/}}\n  - {name: silver",
                )],
            ],
        ),
        ("a relative path is refused", &[&[("s3://lake/checkpoints/rides", "./checkpoint")]]),
        (
            "storage is reached by one prefix each and a URL",
            &[&[
                ("endpoint: http://s3:9000", "endpoint: \"s3:9000\""),
                ("  connections:", "  - {uriPrefix: s3://lake/}\n  connections:"),
            ]],
        ),
        (
            "a prefix has one entry, however it is spelled",
            &[
                &[("  connections:", "  - {uriPrefix: s3://lake, s3: {}}\n  connections:")],
                &[("  connections:", "  - {uriPrefix: s3://lake//, s3: {}}\n  connections:")],
            ],
        ),
        (
            "a CA is the key of a Secret and for a server with TLS",
            &[
                &[("endpoint: http://s3:9000", "endpoint: http://s3:9000, caSecretRef: {name: lake, key: ca.crt}")],
                &[("endpoint: http://s3:9000", "endpoint: https://s3:9000, caSecretRef: {name: Lake, key: ../ca.crt}")],
                &[("endpoint: http://s3:9000", "region: eu-west-3, caSecretRef: {name: lake, key: ca.crt}")],
            ],
        ),
        (
            "a key belongs to encryption by the key management service",
            &[
                &[("endpoint: http://s3:9000", "endpoint: http://s3:9000, encryption: {type: SSES3, keyId: lake-key}")],
                &[(
                    "endpoint: http://s3:9000",
                    "endpoint: http://s3:9000, encryption: {type: SSEKMS, keyId: lake key}",
                )],
            ],
        ),
        (
            "connections are used and name hosts with ports",
            &[
                &[("bootstrapServers: kafka:9092", "bootstrapServers: \"kafka\"")],
                &[("bootstrapServers: kafka:9092", "bootstrapServers: \"a:1, b:+2,\"")],
                &[("connection: events", "connection: event")],
            ],
        ),
        (
            "topics have names that Kafka takes",
            &[
                &[("topics: [rides]", "topics: [rides, rides, \"a b\"]")],
                &[("topics: [rides]", "topics: []")],
                &[(", topics: [rides]", "")],
            ],
        ),
        (
            "a pattern is a regular expression and assigned partitions are numbers that stand once",
            &[
                &[("topics: [rides]", "topicPattern: \"rides-(\"")],
                &[(
                    "topics: [rides]",
                    "assign: [{topic: rides, partitions: [0, 1, 0]}, {topic: rides, partitions: [-1]}, {topic: \"a b\", \
             partitions: []}]",
                )],
                &[("topics: [rides]", "topics: [rides], topicPattern: rides")],
            ],
        ),
        (
            "offsets to start from are those of the topics or partitions that are read",
            &[
                &[(
                    "topics: [rides]",
                    "topicPattern: \"rides-.*\", startFrom: {offsets: [{topic: fares, partition: 0, offset: 0}]}",
                )],
                &[(
                    "topics: [rides]",
                    "assign: [{topic: rides, partitions: [0, 1]}], startFrom: {offsets: [{topic: rides, partition: 0, offset: \
             0}, {topic: rides, partition: 2, offset: 0}]}",
                )],
            ],
        ),
        (
            "the start is a time or an offset for each topic",
            &[
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: \"2026-01-01\"}}")],
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: 1767225600000}}")],
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: \"1767225600250\"}}")],
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: 1767225600}}")],
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: -1}}")],
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: 9223372036854775807}}")],
                &[("topics: [rides]}", "topics: [rides], startFrom: \"1767225600000\"}")],
                &[("topics: [rides]", "topicPattern: \"rides-%\"")],
                &[("topics: [rides]", "topicPattern: \"rides, orders\"")],
                &[("topics: [rides]}", "topics: [rides], startFrom: {timestamp: \"1969-12-31T23:59:59Z\"}}")],
                &[(
                    "topics: [rides]}",
                    "topics: [rides, fares], startFrom: {offsets: [{topic: rides, partition: 0, offset: -1}, {topic: ride, \
             partition: 1, offset: 0}, \
             {topic: rides, partition: 0, offset: 7}, {topic: rides, partition: -2, offset: 7}]}}",
                )],
            ],
        ),
        (
            "sizes and counts have bounds",
            &[&[(
                "  checkpoint: {uri: s3://lake/checkpoints/rides}",
                "  limits: {recordsPerEpoch: 0, bytesPerEpoch: 128MB}\n  checkpoint: {uri: s3://lake/checkpoints/rides, \
             keep: 1}",
            )]],
        ),
    ]);
    insta::assert_snapshot!(topic);
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
