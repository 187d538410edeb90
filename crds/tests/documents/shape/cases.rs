//! A case for each field of the final shape, and for each value of each enum: the effect of setting it.

use Outcome::{Changes, ForTheOperator, Refused, SaysTheDefault};

pub const BASE: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides}
spec:
  checkpoint: {uri: file:///tmp/c}
  storage:
  - {uriPrefix: s3://lake/, s3: {}}
  connections:
  - {name: events, kafka: {bootstrapServers: "kafka:9092"}}
  - {name: spare, kafka: {bootstrapServers: "spare:9092"}}
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format: {json: {}}
    columns: [{name: city, type: string}, {name: price, type: double}, {name: ts, type: timestamp}]
    eventTime: {expr: ts, watermarkDelay: 10m}
  steps:
  - {name: cleaned, map: {from: rides}}
  - name: revenue
    aggregate: {from: cleaned, window: {tumbling: {size: 5m}}, columns: [{name: revenue, expr: sum(price)}]}
  sinks:
  - {name: silver, from: revenue, delta: {uri: file:///tmp/silver}}
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Changes,
    /// The feature is not built yet.
    Refused,
    SaysTheDefault,
    /// The field is read from the document, and does not change what is computed.
    ForTheOperator,
}

/// The field (or block, or `field=Value` for enums), an override that sets it, and the effect.
pub const CASES: &[(&str, &str, Outcome)] = &[
    ("metadata.namespace", "metadata: {namespace: data}", Changes),
    ("spec.trigger.type=AsSoonAsPossible", "spec: {trigger: {type: AsSoonAsPossible}}", SaysTheDefault),
    ("spec.trigger.type=Interval", "spec: {trigger: {type: Interval, interval: 1s}}", Changes),
    ("spec.trigger.type=AvailableNow", "spec: {trigger: {type: AvailableNow}}", Changes),
    ("spec.trigger.type=Continuous", "spec: {trigger: {type: Continuous}}", Refused),
    ("spec.trigger.interval", "spec: {trigger: {type: Interval, interval: 1s}}", Changes),
    ("spec.trigger.onEnd=KeepOpen", "spec: {trigger: {type: AvailableNow, onEnd: KeepOpen}}", Changes),
    ("spec.trigger.onEnd=EmitAll", "spec: {trigger: {type: AvailableNow, onEnd: EmitAll}}", Changes),
    ("spec.trigger.schedule", "spec: {trigger: {type: AvailableNow, schedule: 0 * * * *}}", Changes),
    ("spec.trigger.runToken", "spec: {trigger: {type: AvailableNow, runToken: a}}", Changes),
    ("spec.checkpoint.uri", "spec: {checkpoint: {uri: file:///tmp/d}}", Changes),
    ("spec.checkpoint.keep", "spec: {checkpoint: {keep: 3}}", Changes),
    ("spec.checkpoint.snapshotEvery", "spec: {checkpoint: {snapshotEvery: 3}}", Changes),
    ("spec.checkpoint.minPause", "spec: {checkpoint: {minPause: 1s}}", Refused),
    ("spec.checkpoint.timeout", "spec: {checkpoint: {timeout: 1s}}", Refused),
    ("spec.storage[].uriPrefix", "spec: {storage: [{uriPrefix: s3://sea/, s3: {}}]}", Changes),
    ("spec.storage[].s3.endpoint", "spec: {storage: [{uriPrefix: s3://lake/, s3: {endpoint: http://s3}}]}", Changes),
    ("spec.storage[].s3.region", "spec: {storage: [{uriPrefix: s3://lake/, s3: {region: eu-west-3}}]}", Changes),
    (
        "spec.storage[].s3.forcePathStyle",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {forcePathStyle: true}}]}",
        Changes,
    ),
    (
        "spec.storage[].s3.credentialsSecretRef.name",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {credentialsSecretRef: {name: a}}}]}",
        Changes,
    ),
    (
        "spec.storage[].s3.caSecretRef.name",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {caSecretRef: {name: a, key: b}}}]}",
        Changes,
    ),
    (
        "spec.storage[].s3.caSecretRef.key",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {caSecretRef: {name: a, key: b}}}]}",
        Changes,
    ),
    (
        "spec.storage[].s3.encryption.type=SSES3",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {encryption: {type: SSES3}}}]}",
        Changes,
    ),
    (
        "spec.storage[].s3.encryption.type=SSEKMS",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {encryption: {type: SSEKMS}}}]}",
        Changes,
    ),
    (
        "spec.storage[].s3.encryption.keyId",
        "spec: {storage: [{uriPrefix: s3://lake/, s3: {encryption: {type: SSEKMS, keyId: a}}}]}",
        Changes,
    ),
    ("spec.connections[].name", "spec: {sources: [{name: rides, kafka: {connection: spare}}]}", Changes),
    (
        "spec.connections[].kafka.bootstrapServers",
        "spec: {connections: [{name: events, kafka: {bootstrapServers: 'b:1,c:2'}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.mechanism=PLAIN",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: PLAIN, username: {value: \
         a}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.mechanism=SCRAM-SHA-256",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: SCRAM-SHA-256, username: \
         {value: a}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.mechanism=SCRAM-SHA-512",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: SCRAM-SHA-512, username: \
         {value: a}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.mechanism=OAUTHBEARER",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
         {tokenEndpoint: 'https://a/b', clientId: c, clientSecretRef: {name: a, key: b}, scope: d}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.mechanism=AWS_MSK_IAM",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: AWS_MSK_IAM}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.username.value",
        "spec: {connections: [{name: events, kafka: {sasl: {mechanism: SCRAM-SHA-512, username: {value: \
         a}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.username.secretRef.name",
        "spec: {connections: [{name: events, kafka: {sasl: {mechanism: SCRAM-SHA-512, username: \
         {secretRef: {name: a, key: c}}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.username.secretRef.key",
        "spec: {connections: [{name: events, kafka: {sasl: {mechanism: SCRAM-SHA-512, username: \
         {secretRef: {name: a, key: c}}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.passwordSecretRef.name",
        "spec: {connections: [{name: events, kafka: {sasl: {mechanism: SCRAM-SHA-512, username: \
         {secretRef: {name: a, key: c}}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.passwordSecretRef.key",
        "spec: {connections: [{name: events, kafka: {sasl: {mechanism: SCRAM-SHA-512, username: \
         {secretRef: {name: a, key: c}}, passwordSecretRef: {name: a, key: b}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.oauth.tokenEndpoint",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
         {tokenEndpoint: 'https://a/b', clientId: c, clientSecretRef: {name: a, key: b}, scope: d}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.oauth.clientId",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
         {tokenEndpoint: 'https://a/b', clientId: c, clientSecretRef: {name: a, key: b}, scope: d}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.oauth.clientSecretRef.name",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
         {tokenEndpoint: 'https://a/b', clientId: c, clientSecretRef: {name: a, key: b}, scope: d}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.oauth.clientSecretRef.key",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
         {tokenEndpoint: 'https://a/b', clientId: c, clientSecretRef: {name: a, key: b}, scope: d}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.sasl.oauth.scope",
        "spec: {connections: [{name: events, kafka: {tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
         {tokenEndpoint: 'https://a/b', clientId: c, clientSecretRef: {name: a, key: b}, scope: d}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].schemaRegistry",
        "spec: {connections: [{name: schemas, schemaRegistry: {url: 'http://registry:8081'}}]}",
        Refused,
    ),
    (
        "spec.tables",
        "spec: {tables: [{name: t, delta: {uri: 's3://lake/t'}, columns: [{name: id, type: int}]}]}",
        Refused,
    ),
    ("spec.autoscale", "spec: {autoscale: {}}", Refused),
    (
        "spec.http.tls.secretRef.name",
        "spec: {http: {tls: {secretRef: {name: a}}, tokenSecretRef: {name: b, key: c}}}",
        Changes,
    ),
    (
        "spec.http.tokenSecretRef.name",
        "spec: {http: {tls: {secretRef: {name: a}}, tokenSecretRef: {name: b, key: c}}}",
        Changes,
    ),
    (
        "spec.http.tokenSecretRef.key",
        "spec: {http: {tls: {secretRef: {name: a}}, tokenSecretRef: {name: b, key: c}}}",
        Changes,
    ),
    ("spec.scratch", "spec: {scratch: {}}", Refused),
    (
        "spec.connections[].kafka.controlTopic",
        "spec: {connections: [{name: events, kafka: {controlTopic: c}}]}",
        Refused,
    ),
    (
        "spec.connections[].kafka.tls.caSecretRef.name",
        "spec: {connections: [{name: events, kafka: {tls: {caSecretRef: {name: a, key: b}, \
         clientSecretRef: {name: c}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.tls.caSecretRef.key",
        "spec: {connections: [{name: events, kafka: {tls: {caSecretRef: {name: a, key: b}, \
         clientSecretRef: {name: c}}}}]}",
        Changes,
    ),
    (
        "spec.connections[].kafka.tls.clientSecretRef.name",
        "spec: {connections: [{name: events, kafka: {tls: {caSecretRef: {name: a, key: b}, \
         clientSecretRef: {name: c}}}}]}",
        Changes,
    ),
    ("spec.sources[].kafka.groupId", "spec: {sources: [{name: rides, kafka: {groupId: mine}}]}", Changes),
    ("spec.sources[].maxRecordsPerEpoch", "spec: {sources: [{name: rides, maxRecordsPerEpoch: 5}]}", Refused),
    (
        "spec.sources[].badRecords.policy=Fail",
        "spec: {sources: [{name: rides, badRecords: {policy: Fail}}]}",
        SaysTheDefault,
    ),
    ("spec.sources[].badRecords.policy=Drop", "spec: {sources: [{name: rides, badRecords: {policy: Drop}}]}", Changes),
    (
        "spec.sources[].badRecords.policy=Output",
        "spec: {sources: [{name: rides, badRecords: {policy: Output}}], \
         sinks: [{name: bad, from: rides.Rejected, delta: {uri: 's3://lake/bad'}}]}",
        Changes,
    ),
    ("spec.sources[].tombstones=Skip", "spec: {sources: [{name: rides, tombstones: Skip}]}", Changes),
    ("spec.sources[].tombstones=Bad", "spec: {sources: [{name: rides, tombstones: Bad}]}", SaysTheDefault),
    (
        "spec.sources[].badRecords.maxPerMillion",
        "spec: {sources: [{name: rides, badRecords: {policy: Drop, maxPerMillion: 5}}]}",
        Changes,
    ),
    ("spec.sources[].kafka.connection", "spec: {sources: [{name: rides, kafka: {connection: spare}}]}", Changes),
    ("spec.sources[].kafka.topics[]", "spec: {sources: [{name: rides, kafka: {topics: [a, b]}}]}", Changes),
    ("spec.sources[].kafka.topicPattern", "spec: {sources: [{name: rides, kafka: {topicPattern: a.*}}]}", Changes),
    (
        "spec.sources[].kafka.assign[].topic",
        "spec: {sources: [{name: rides, kafka: {assign: [{topic: a, partitions: [0]}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.assign[].partitions[]",
        "spec: {sources: [{name: rides, kafka: {assign: [{topic: a, partitions: [0]}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.startFrom.position=Earliest",
        "spec: {sources: [{name: rides, kafka: {startFrom: {position: Earliest}}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.startFrom.position=Latest",
        "spec: {sources: [{name: rides, kafka: {startFrom: {position: Latest}}}]}",
        SaysTheDefault,
    ),
    (
        "spec.sources[].kafka.startFrom.timestamp",
        "spec: {sources: [{name: rides, kafka: {startFrom: {timestamp: '2026-01-01T00:00:00Z'}}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.startFrom.offsets[].topic",
        "spec: {sources: [{name: rides, kafka: {startFrom: {offsets: [{topic: rides, partition: 0, offset: 7}]}}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.startFrom.offsets[].partition",
        "spec: {sources: [{name: rides, kafka: {startFrom: {offsets: [{topic: rides, partition: 0, offset: 7}]}}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.startFrom.offsets[].offset",
        "spec: {sources: [{name: rides, kafka: {startFrom: {offsets: [{topic: rides, partition: 0, offset: 7}]}}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.onLostOffsets=Fail",
        "spec: {sources: [{name: rides, kafka: {onLostOffsets: Fail}}]}",
        SaysTheDefault,
    ),
    (
        "spec.sources[].kafka.onLostOffsets=Earliest",
        "spec: {sources: [{name: rides, kafka: {onLostOffsets: Earliest}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.onLostOffsets=Latest",
        "spec: {sources: [{name: rides, kafka: {onLostOffsets: Latest}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].name",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Offset}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Key",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Key}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Value",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Value}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Topic",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Topic}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Partition",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Partition}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Offset",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Offset}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Timestamp",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Timestamp}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=TimestampType",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: TimestampType}]}}]}",
        Changes,
    ),
    (
        "spec.sources[].kafka.metadataColumns[].field=Headers",
        "spec: {sources: [{name: rides, kafka: {metadataColumns: [{name: at, field: Headers}]}}]}",
        Changes,
    ),
    ("spec.sources[].columns[].name", "spec: {sources: [{name: rides, columns: [{name: x, type: int}]}]}", Changes),
    ("spec.sources[].columns[].type", "spec: {sources: [{name: rides, columns: [{name: city, type: date}]}]}", Changes),
    (
        "spec.sources[].columns[].required",
        "spec: {sources: [{name: rides, columns: [{name: city, required: true}]}]}",
        Changes,
    ),
    (
        "spec.sources[].format.json.timestampNumbers=Refuse",
        "spec: {sources: [{name: rides, format: {json: {timestampNumbers: Refuse}}}]}",
        SaysTheDefault,
    ),
    (
        "spec.sources[].format.json.timestampNumbers=EpochMillis",
        "spec: {sources: [{name: rides, format: {json: {timestampNumbers: EpochMillis}}}]}",
        Changes,
    ),
    ("spec.sources[].format.raw", "spec: {sources: [{name: rides, format: {raw: {as: Text}}}]}", Refused),
    ("spec.sources[].format.csv", "spec: {sources: [{name: rides, format: {csv: {}}}]}", Refused),
    (
        "spec.sources[].format.avro",
        "spec: {sources: [{name: rides, format: {avro: {registry: {connection: x}}}}]}",
        Refused,
    ),
    ("spec.sources[].format.protobuf", "spec: {sources: [{name: rides, format: {protobuf: {schema: x}}}]}", Refused),
    ("spec.sources[].envelope=Plain", "spec: {sources: [{name: rides, envelope: Plain}]}", SaysTheDefault),
    ("spec.sources[].envelope=Debezium", "spec: {sources: [{name: rides, envelope: Debezium}]}", Refused),
    ("spec.sources[].envelope=Upsert", "spec: {sources: [{name: rides, envelope: Upsert}]}", Refused),
    ("spec.sources[].keyFormat", "spec: {sources: [{name: rides, keyFormat: {json: {}}}]}", Refused),
    ("spec.sources[].key", "spec: {sources: [{name: rides, key: [city]}]}", Refused),
    (
        "spec.sources[].eventTime.expr",
        "spec: {sources: [{name: rides, eventTime: {expr: to_timestamp(city)}}]}",
        Changes,
    ),
    (
        "spec.sources[].eventTime.watermarkDelay",
        "spec: {sources: [{name: rides, eventTime: {watermarkDelay: 0s}}]}",
        Changes,
    ),
    (
        "spec.sources[].eventTime.kafkaTimestamp",
        "spec: {sources: [{name: rides, eventTime: {expr: null, kafkaTimestamp: {}}}]}",
        Changes,
    ),
    (
        "spec.sources[].eventTime.processingTime",
        "spec: {sources: [{name: rides, eventTime: {expr: null, watermarkDelay: null, processingTime: {}}}]}",
        Changes,
    ),
    ("spec.sources[].eventTime.maxFuture", "spec: {sources: [{name: rides, eventTime: {maxFuture: 2h}}]}", Changes),
    ("spec.sources[].eventTime.idleAfter", "spec: {sources: [{name: rides, eventTime: {idleAfter: 1h}}]}", Changes),
    ("spec.sources[].eventTime.maxSkew", "spec: {sources: [{name: rides, eventTime: {maxSkew: 1h}}]}", Changes),
    (
        "spec.sources[].eventTime.closeIdleWindowsAfter",
        "spec: {sources: [{name: rides, eventTime: {closeIdleWindowsAfter: 1h}}]}",
        Changes,
    ),
    (
        "spec.steps[].name",
        "spec: {steps: [{name: extra, map: {from: revenue}}], sinks: [{name: silver, from: extra}]}",
        Changes,
    ),
    (
        "spec.steps[].map.from",
        "spec: {steps: [{name: extra, map: {from: revenue}}], sinks: [{name: silver, from: extra}]}",
        Changes,
    ),
    ("spec.steps[].map.where", "spec: {steps: [{name: cleaned, map: {where: price > 1}}]}", Changes),
    ("spec.steps[].map.columns[].name", "spec: {steps: [{name: cleaned, map: {columns: [{name: price}]}}]}", Changes),
    (
        "spec.steps[].map.columns[].expr",
        "spec: {steps: [{name: cleaned, map: {columns: [{name: price, expr: price + 1}]}}]}",
        Changes,
    ),
    (
        "spec.steps[].map.addColumns[].name",
        "spec: {steps: [{name: cleaned, map: {addColumns: [{name: more, expr: price + 1}]}}]}",
        Changes,
    ),
    (
        "spec.steps[].map.addColumns[].expr",
        "spec: {steps: [{name: cleaned, map: {addColumns: [{name: price, expr: price + 1}]}}]}",
        Changes,
    ),
    ("spec.steps[].map.dropColumns[]", "spec: {steps: [{name: cleaned, map: {dropColumns: [city]}}]}", Changes),
    (
        "spec.steps[].aggregate.from",
        "spec: {steps: [{name: revenue, aggregate: {from: rides}}], sinks: [{name: b, from: cleaned, delta: {uri: \
         file:///tmp/b}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.tumbling.size",
        "spec: {steps: [{name: revenue, aggregate: {window: {tumbling: {size: 1m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.sliding.size",
        "spec: {steps: [{name: revenue, aggregate: {window: {sliding: {size: 2m, slide: 1m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.sliding.slide",
        "spec: {steps: [{name: revenue, aggregate: {window: {sliding: {size: 3m, slide: 1m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.sliding.offset",
        "spec: {steps: [{name: revenue, aggregate: {window: {sliding: {size: 2m, slide: 1m, offset: 1s}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.session.gap",
        "spec: {steps: [{name: revenue, aggregate: {window: {session: {gap: 1m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.cumulate.size",
        "spec: {steps: [{name: revenue, aggregate: {window: {cumulate: {size: 1h, step: 1m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.cumulate.step",
        "spec: {steps: [{name: revenue, aggregate: {window: {cumulate: {size: 1h, step: 2m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.cumulate.offset",
        "spec: {steps: [{name: revenue, aggregate: {window: {cumulate: {size: 1h, step: 1m, offset: 30m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.calendar.unit=Day",
        "spec: {steps: [{name: revenue, aggregate: {window: {calendar: {unit: Day}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.calendar.unit=Week",
        "spec: {steps: [{name: revenue, aggregate: {window: {calendar: {unit: Week}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.calendar.unit=Month",
        "spec: {steps: [{name: revenue, aggregate: {window: {calendar: {unit: Month}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.calendar.timeZone",
        "spec: {steps: [{name: revenue, aggregate: {window: {calendar: {unit: Day, timeZone: Europe/Paris}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.calendar.offset",
        "spec: {steps: [{name: revenue, aggregate: {window: {calendar: {unit: Day, offset: 6h}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.tumbling.offset",
        "spec: {steps: [{name: revenue, aggregate: {window: {tumbling: {offset: 1m}}}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.window.ofInput",
        "spec: {steps: [{name: best, aggregate: {from: revenue, window: {ofInput: {}}, columns: [{name: most, expr: \
         max(revenue)}]}}], sinks: [{name: b, from: best, delta: {uri: file:///tmp/b}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.expireAfter",
        "spec: {steps: [{name: totals, aggregate: {from: cleaned, groupBy: [{name: city}], columns: [{name: cnt, expr: count(*)}], expireAfter: 1h}}], sinks: [{name: seen, from: totals, mode: Update, key: [city], console: {}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.groupBy[].name",
        "spec: {steps: [{name: revenue, aggregate: {groupBy: [{name: city}]}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.groupBy[].expr",
        "spec: {steps: [{name: revenue, aggregate: {groupBy: [{name: town, expr: upper(city)}]}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.columns[].name",
        "spec: {steps: [{name: revenue, aggregate: {columns: [{name: cnt, expr: count(*)}]}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.columns[].expr",
        "spec: {steps: [{name: revenue, aggregate: {columns: [{name: revenue, expr: max(price)}]}}]}",
        Changes,
    ),
    (
        "spec.steps[].aggregate.columns[].filter",
        "spec: {steps: [{name: revenue, aggregate: {columns: [{name: revenue, filter: price > 1}]}}]}",
        Changes,
    ),
    ("spec.steps[].badRecords", "spec: {steps: [{name: cleaned, badRecords: {policy: Drop}}]}", Refused),
    (
        "spec.steps[].union.inputs[]",
        "spec: {steps: [{name: more, map: {from: cleaned}}, {name: both, union: {inputs: [cleaned, more]}}, {name: \
         revenue, aggregate: {from: both}}]}",
        Changes,
    ),
    (
        "spec.steps[].unnest.from",
        "spec: {steps: [{name: letters, unnest: {from: cleaned, expr: array(city), as: letter}}, {name: revenue, \
         aggregate: {from: letters}}]}",
        Changes,
    ),
    (
        "spec.steps[].unnest.expr",
        "spec: {steps: [{name: letters, unnest: {from: cleaned, expr: array(upper(city)), as: letter}}, {name: \
         revenue, aggregate: {from: letters}}]}",
        Changes,
    ),
    (
        "spec.steps[].unnest.as",
        "spec: {steps: [{name: letters, unnest: {from: cleaned, expr: array(city), as: char}}, {name: revenue, \
         aggregate: {from: letters}}]}",
        Changes,
    ),
    (
        "spec.steps[].unnest.position",
        "spec: {steps: [{name: letters, unnest: {from: cleaned, expr: array(city), as: letter, position: i}}, {name: \
         revenue, aggregate: {from: letters}}]}",
        Changes,
    ),
    (
        "spec.steps[].unnest.empty=Keep",
        "spec: {steps: [{name: letters, unnest: {from: cleaned, expr: array(city), as: letter, empty: Keep}}, {name: \
         revenue, aggregate: {from: letters}}]}",
        Changes,
    ),
    (
        "spec.steps[].deduplicate.from",
        "spec: {steps: [{name: once, deduplicate: {from: cleaned, key: [city], within: 1h}}, {name: revenue, \
         aggregate: {from: once}}]}",
        Changes,
    ),
    (
        "spec.steps[].deduplicate.key[]",
        "spec: {steps: [{name: once, deduplicate: {from: cleaned, key: [price], within: 1h}}, {name: revenue, \
         aggregate: {from: once}}]}",
        Changes,
    ),
    (
        "spec.steps[].deduplicate.within",
        "spec: {steps: [{name: once, deduplicate: {from: cleaned, key: [city], within: 2h}}, {name: revenue, \
         aggregate: {from: once}}]}",
        Changes,
    ),
    (
        "spec.steps[].deduplicate.order=EventTime",
        "spec: {steps: [{name: once, deduplicate: {from: cleaned, key: [city], within: 1h, order: EventTime}}, \
         {name: revenue, aggregate: {from: once}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.from",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_start], orderBy: [{expr: revenue}], limit: \
         3}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.key[]",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue}], limit: 3}}], \
         sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.orderBy[].expr",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_start], orderBy: [{expr: window_end}], limit: 3}}], \
         sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.orderBy[].direction=Desc",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue, direction: Desc}], \
         limit: 3}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.orderBy[].nulls=Last",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue, nulls: Last}], \
         limit: 3}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.limit",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue}], limit: 4}}], \
         sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.ties=Keep",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue}], limit: 3, ties: \
         Keep}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.tumbling.size",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {tumbling: {size: 1h}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].unnest.empty=Drop",
        "spec: {steps: [{name: letters, unnest: {from: cleaned, expr: array(city), as: letter, empty: Drop}}, {name: \
         revenue, aggregate: {from: letters}}]}",
        Changes,
    ),
    (
        "spec.steps[].deduplicate.order=Arrival",
        "spec: {steps: [{name: once, deduplicate: {from: cleaned, key: [city], within: 1h, order: Arrival}}, {name: \
         revenue, aggregate: {from: once}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.orderBy[].direction=Asc",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue, direction: Asc}], \
         limit: 3}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.orderBy[].nulls=First",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue, nulls: First}], \
         limit: 3}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.ties=Drop",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue}], limit: 3, ties: \
         Drop}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.tumbling.offset",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {tumbling: {size: 1h, offset: 1m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.sliding.size",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {sliding: {size: 2h, slide: 1h}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.sliding.slide",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {sliding: {size: 2h, slide: 30m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.sliding.offset",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {sliding: {size: 2h, slide: 30m, offset: 1m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.session.gap",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {session: {gap: 30m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.cumulate.size",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {cumulate: {size: 1h, step: 1m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.cumulate.step",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {cumulate: {size: 1h, step: 2m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.cumulate.offset",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {cumulate: {size: 1h, step: 1m, offset: 30m}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.calendar.unit=Day",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {calendar: {unit: Day}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.calendar.unit=Week",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {calendar: {unit: Week}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.calendar.unit=Month",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {calendar: {unit: Month}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.calendar.timeZone",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {calendar: {unit: Day, timeZone: Europe/Paris}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.calendar.offset",
        "spec: {steps: [{name: best, top: {from: cleaned, key: [city], orderBy: [{expr: price}], limit: 3, window: \
         {calendar: {unit: Day, offset: 6h}}}}, {name: revenue, aggregate: {from: best}}]}",
        Changes,
    ),
    (
        "spec.steps[].top.window.ofInput",
        "spec: {steps: [{name: best, top: {from: revenue, key: [window_end], orderBy: [{expr: revenue}], limit: 3, window: \
         {ofInput: {}}}}], sinks: [{name: silver, from: best}]}",
        Changes,
    ),
    (
        "spec.steps[].over.from",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], range: {preceding: 5m}, addColumns: \
         [{name: a, expr: avg(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.key[]",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [price], range: {preceding: 5m}, addColumns: \
         [{name: a, expr: avg(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.range.preceding",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], range: {preceding: 6m}, addColumns: \
         [{name: a, expr: avg(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.rows.preceding",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], rows: {preceding: 5}, expireAfter: 1h, \
         addColumns: [{name: a, expr: avg(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.expireAfter",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], rows: {preceding: 5}, expireAfter: 2h, \
         addColumns: [{name: a, expr: avg(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.addColumns[].name",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], range: {preceding: 5m}, addColumns: \
         [{name: b, expr: avg(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.addColumns[].expr",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], range: {preceding: 5m}, addColumns: \
         [{name: a, expr: max(price)}]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].over.dropColumns[]",
        "spec: {steps: [{name: moving, over: {from: cleaned, key: [city], range: {preceding: 5m}, addColumns: \
         [{name: a, expr: avg(price)}], dropColumns: [ts]}}, {name: revenue, aggregate: {from: moving}}]}",
        Changes,
    ),
    (
        "spec.steps[].join",
        "spec: {steps: [{name: cleaned, join: {left: rides, right: rides, keys: [{left: city, right: city}], between: \
         {before: 1s, after: 1m}, columns: [{name: city, expr: left.city}]}}]}",
        Refused,
    ),
    (
        "spec.steps[].lookup",
        "spec: {steps: [{name: cleaned, lookup: {from: rides, table: t, keys: [{from: city, table: id}], addColumns: \
         [{name: a, expr: table.a}]}}]}",
        Refused,
    ),
    (
        "spec.steps[].process",
        "spec: {steps: [{name: cleaned, process: {from: rides, key: [city], rules: {onRow: [{emit: [{name: \
         city}]}]}}}]}",
        Refused,
    ),
    (
        "spec.steps[].pattern",
        "spec: {steps: [{name: cleaned, pattern: {from: rides, key: [city], within: 1m, sequence: [{name: a}], \
         columns: \
         [{name: city}]}}]}",
        Refused,
    ),
    (
        "spec.steps[].sql.inputs[]",
        "spec: {steps: [{name: cleaned, sql: {inputs: [rides], query: select * from rides}}]}",
        SaysTheDefault,
    ),
    (
        "spec.steps[].sql.query",
        "spec: {steps: [{name: cleaned, sql: {inputs: [rides], query: select * from rides where price > 1}}]}",
        Changes,
    ),
    ("spec.sinks[].name", "spec: {sinks: [{name: b, from: cleaned, delta: {uri: file:///tmp/b}}]}", Changes),
    ("spec.sinks[].from", "spec: {sinks: [{name: late, from: revenue.Late, delta: {uri: 's3://lake/late'}}]}", Changes),
    (
        "spec.sinks[].from",
        "spec: {sources: [{name: rides, badRecords: {policy: Output}}], \
         sinks: [{name: bad, from: rides.Rejected, delta: {uri: 's3://lake/bad'}}]}",
        Changes,
    ),
    ("spec.sinks[].from", "spec: {sinks: [{name: silver, from: revenue.Main}]}", SaysTheDefault),
    ("spec.sinks[].from", "spec: {sinks: [{name: b, from: cleaned, delta: {uri: file:///tmp/b}}]}", Changes),
    ("spec.sinks[].mode=Append", "spec: {sinks: [{name: silver, mode: Append}]}", SaysTheDefault),
    (
        "spec.sinks[].mode=Update",
        "spec: {steps: [{name: totals, aggregate: {from: cleaned, groupBy: [{name: city}], columns: [{name: cnt, expr: count(*)}]}}], sinks: [{name: seen, from: totals, mode: Update, key: [city], console: {}}]}",
        Changes,
    ),
    (
        "spec.sinks[].mode=Complete",
        "spec: {steps: [{name: totals, aggregate: {from: cleaned, groupBy: [{name: city}], columns: [{name: cnt, expr: count(*)}]}}], sinks: [{name: seen, from: totals, mode: Complete, console: {}}]}",
        Changes,
    ),
    (
        "spec.sinks[].key[]",
        "spec: {steps: [{name: totals, aggregate: {from: cleaned, groupBy: [{name: city}], columns: [{name: cnt, expr: count(*)}]}}], sinks: [{name: seen, from: totals, mode: Update, key: [city, cnt], console: {}}]}",
        Changes,
    ),
    ("spec.sinks[].orderBy", "spec: {sinks: [{name: silver, orderBy: city}]}", Refused),
    ("spec.sinks[].deleteWhen", "spec: {sinks: [{name: silver, deleteWhen: revenue > 1}]}", Refused),
    ("spec.sinks[].dropColumns[]", "spec: {sinks: [{name: silver, dropColumns: [revenue]}]}", Changes),
    ("spec.sinks[].guarantee=ExactlyOnce", "spec: {sinks: [{name: silver, guarantee: ExactlyOnce}]}", SaysTheDefault),
    ("spec.sinks[].guarantee=AtLeastOnce", "spec: {sinks: [{name: silver, guarantee: AtLeastOnce}]}", Refused),
    ("spec.sinks[].delta.uri", "spec: {sinks: [{name: silver, delta: {uri: file:///tmp/b}}]}", Changes),
    (
        "spec.sinks[].delta.partitionBy[]",
        "spec: {sinks: [{name: silver, delta: {partitionBy: [window_start]}}]}",
        Changes,
    ),
    ("spec.sinks[].delta.targetFileSize", "spec: {sinks: [{name: silver, delta: {targetFileSize: 1Mi}}]}", Changes),
    (
        "spec.sinks[].delta.schemaEvolution=Refuse",
        "spec: {sinks: [{name: silver, delta: {schemaEvolution: Refuse}}]}",
        SaysTheDefault,
    ),
    (
        "spec.sinks[].delta.schemaEvolution=AddColumns",
        "spec: {sinks: [{name: silver, delta: {schemaEvolution: AddColumns}}]}",
        Refused,
    ),
    ("spec.sinks[].delta.maintenance", "spec: {sinks: [{name: silver, delta: {maintenance: {}}}]}", SaysTheDefault),
    (
        "spec.sinks[].delta.maintenance.checkpointEvery",
        "spec: {sinks: [{name: silver, delta: {maintenance: {checkpointEvery: 7}}}]}",
        Changes,
    ),
    (
        "spec.sinks[].delta.maintenance.compactEvery",
        "spec: {sinks: [{name: silver, delta: {maintenance: {compactEvery: 1h}}}]}",
        Changes,
    ),
    (
        "spec.sinks[].delta.maintenance.vacuumAfter",
        "spec: {sinks: [{name: silver, delta: {maintenance: {vacuumAfter: 168h}}}]}",
        Changes,
    ),
    (
        "spec.sinks[].kafka",
        "spec: {sinks: [{name: silver, kafka: {connection: events, topic: a, value: {json: {}}}}]}",
        Refused,
    ),
    ("spec.sinks[].parquet", "spec: {sinks: [{name: silver, parquet: {uri: s3://lake/p}}]}", Refused),
    ("spec.sinks[].console.rows", "spec: {sinks: [{name: seen, from: cleaned, console: {rows: 5}}]}", Changes),
    ("spec.sinks[].console.truncate", "spec: {sinks: [{name: seen, from: cleaned, console: {truncate: 5}}]}", Changes),
    ("spec.limits.recordsPerEpoch", "spec: {limits: {recordsPerEpoch: 5}}", Changes),
    ("spec.limits.bytesPerEpoch", "spec: {limits: {bytesPerEpoch: 1Mi}}", Changes),
    ("spec.timeZone", "spec: {timeZone: Europe/Paris}", Refused),
    ("spec.timeZone", "spec: {timeZone: UTC}", SaysTheDefault),
    ("spec.suspend", "spec: {suspend: true}", ForTheOperator),
    ("spec.suspend", "spec: {suspend: false}", SaysTheDefault),
    ("spec.replicas", "spec: {replicas: 2}", Refused),
    ("spec.replicas", "spec: {replicas: 1}", SaysTheDefault),
    ("spec.replicas", "spec: {replicas: 0}", ForTheOperator),
    ("spec.resources.requests", "spec: {resources: {requests: {cpu: 500m, memory: 1Gi}}}", ForTheOperator),
    ("spec.resources.limits", "spec: {resources: {limits: {cpu: 2, example.com/disk: 10G}}}", ForTheOperator),
    ("spec.image", "spec: {image: 'registry.example.com/weir:0.1.0'}", ForTheOperator),
    ("spec.runtimeVersion", "spec: {runtimeVersion: v1}", ForTheOperator),
    ("spec.podTemplate.labels", "spec: {podTemplate: {labels: {team: rides}}}", ForTheOperator),
    ("spec.podTemplate.annotations", "spec: {podTemplate: {annotations: {example.com/note: 'a b'}}}", ForTheOperator),
    (
        "spec.podTemplate.nodeSelector",
        "spec: {podTemplate: {nodeSelector: {kubernetes.io/arch: arm64}}}",
        ForTheOperator,
    ),
    (
        "spec.podTemplate.tolerations[]",
        "spec: {podTemplate: {tolerations: [{key: spot, operator: Exists, tolerationSeconds: 30}]}}",
        ForTheOperator,
    ),
    (
        "spec.podTemplate.affinity",
        "spec: {podTemplate: {affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: \
         [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}}}",
        ForTheOperator,
    ),
    (
        "spec.podTemplate.topologySpreadConstraints[]",
        "spec: {podTemplate: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: \
         DoNotSchedule}]}}",
        ForTheOperator,
    ),
    ("spec.podTemplate.priorityClassName", "spec: {podTemplate: {priorityClassName: high}}", ForTheOperator),
    ("spec.podTemplate.serviceAccountName", "spec: {podTemplate: {serviceAccountName: rides}}", ForTheOperator),
    (
        "spec.podTemplate.imagePullSecrets[].name",
        "spec: {podTemplate: {imagePullSecrets: [{name: registry}]}}",
        ForTheOperator,
    ),
    ("spec.podTemplate.env[].name", "spec: {podTemplate: {env: [{name: RUST_LOG, value: info}]}}", ForTheOperator),
    ("spec.podTemplate.env[].value", "spec: {podTemplate: {env: [{name: RUST_LOG, value: debug}]}}", ForTheOperator),
    ("spec.networkPolicy.mode=Managed", "spec: {networkPolicy: {mode: Managed}}", SaysTheDefault),
    ("spec.networkPolicy.mode=Unmanaged", "spec: {networkPolicy: {mode: Unmanaged}}", ForTheOperator),
    (
        "spec.networkPolicy.ingressFrom[]",
        "spec: {networkPolicy: {ingressFrom: [{namespaceSelector: {matchLabels: {team: data}}}]}}",
        ForTheOperator,
    ),
    ("spec.deletionPolicy=Retain", "spec: {deletionPolicy: Retain}", SaysTheDefault),
    ("spec.deletionPolicy=DeleteCheckpoint", "spec: {deletionPolicy: DeleteCheckpoint}", ForTheOperator),
    ("spec.stateAction.token", "spec: {stateAction: {token: a, discard: {}}}", Changes),
    ("spec.stateAction.discard.offsets=Keep", "spec: {stateAction: {token: a, discard: {offsets: Keep}}}", Changes),
    (
        "spec.stateAction.discard.offsets=StartFrom",
        "spec: {stateAction: {token: a, discard: {offsets: StartFrom}}}",
        Changes,
    ),
    ("spec.stateAction.restore.epoch", "spec: {stateAction: {token: a, restore: {epoch: 7}}}", Changes),
];

/// Fields of every Kubernetes object, the document's identity, and names that an override can't change.
pub const OUTSIDE: &[&str] =
    &["apiVersion", "kind", "metadata.name", "metadata.labels", "metadata.annotations", "spec.sources[].name"];

/// Whether a field, or a block that contains it, is refused whatever its value is.
pub fn is_refused(path: &str) -> bool {
    let lies_within = |block: &str| path.strip_prefix(block).is_some_and(|rest| rest.starts_with(['.', '[']));
    let own: Vec<_> = CASES.iter().filter(|(case, ..)| case.split('=').next() == Some(path)).collect();
    let by_block =
        CASES.iter().any(|(block, _, outcome)| *outcome == Outcome::Refused && lies_within(block) && *block != WINDOW);
    by_block || !own.is_empty() && own.iter().all(|(.., outcome)| *outcome == Outcome::Refused)
}

/// A block that is refused if it is absent, not if it is set.
const WINDOW: &str = "spec.steps[].aggregate.window";
