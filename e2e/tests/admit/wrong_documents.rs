//! Wrong documents are refused with a sentence that says where the error is and what to write instead.

use serde_json::json;
use weir_e2e::namespace::{Namespace, refusal};
use weir_tests::or_skip;

use crate::documents::{least, with};

/// What is merged over a valid document, and the API server's message then.
const WRONG: &[(&str, &str)] = &[
    // Unions.
    ("{spec: {sources: [{name: rides, kafka: null}]}}", "spec.sources[0]: Invalid value: kafka is missing"),
    (
        "{spec: {sources: [{name: rides, kafka: {topics: null}}]}}",
        "spec.sources[0].kafka: Invalid value: found none of topics, topicPattern or assign; exactly one should be \
         there",
    ),
    (
        "{spec: {sources: [{name: rides, kafka: {startFrom: {}}}]}}",
        "spec.sources[0].kafka.startFrom: Invalid value: found none of position, timestamp or offsets; exactly one \
         should be there",
    ),
    (
        "{spec: {sources: [{name: rides, format: {json: null}}]}}",
        "spec.sources[0].format: Invalid value: json is missing",
    ),
    (
        "{spec: {sources: [{name: rides, eventTime: {expr: null}}]}}",
        "spec.sources[0].eventTime: Invalid value: found none of expr, kafkaTimestamp or processingTime; exactly \
         one should be there",
    ),
    (
        "{spec: {steps: [{name: empty}]}}",
        "spec.steps[1]: Invalid value: found none of map, aggregate, union, unnest, deduplicate, \
         top, over or sql; exactly one should be there",
    ),
    (
        "{spec: {steps: [{name: counted, aggregate: {window: {tumbling: null}}}]}}",
        "spec.steps[0].aggregate.window: Invalid value: found none of tumbling, sliding, session, cumulate, calendar or \
         ofInput; exactly one should be there",
    ),
    (
        "{spec: {sinks: [{name: silver, delta: null}]}}",
        "spec.sinks[0]: Invalid value: found none of delta or console; exactly one should be there",
    ),
    ("{spec: {connections: [{name: events, kafka: null}]}}", "spec.connections[0]: Invalid value: kafka is missing"),
    ("{spec: {storage: [{uriPrefix: s3://lake}]}}", "spec.storage[0]: Invalid value: s3 is missing"),
    (
        "{spec: {connections: [{name: events, kafka: {sasl: {mechanism: PLAIN, username: {}, passwordSecretRef: \
         {name: a, key: b}}}}]}}",
        "spec.connections[0].kafka.sasl.username: Invalid value: exactly one of value or secretRef should be there",
    ),
    (
        "{spec: {stateAction: {token: a}}}",
        "spec.stateAction: Invalid value: found none of discard or restore; exactly one should be there",
    ),
    // Fields of the former shape.
    (
        "{spec: {sources: [{name: rides, groupId: mine}]}}",
        "spec.sources[0].groupId: Invalid value: groupId stands in kafka now: write kafka: {groupId: …}",
    ),
    (
        "{spec: {sources: [{name: rides, format: {json: {columns: [{name: city, type: string}]}}}]}}",
        "spec.sources[0].format.json.columns: Invalid value: columns stand beside format now: write them as columns of \
         the source",
    ),
    (
        "{spec: {steps: [{name: counted, aggregate: {window: {offset: 1m}}}]}}",
        "spec.steps[0].aggregate.window.offset: Invalid value: offset stands in the window now: write tumbling: {size: \
         …, offset: …}",
    ),
    (
        "{spec: {sinks: [{name: silver, output: Late}]}}",
        "spec.sinks[0].output: Invalid value: outputs are named in from now: write from: <node>.Late or from: \
         <node>.Rejected, and leave output out",
    ),
    // Folders.
    (
        "{spec: {checkpoint: {uri: file:///tmp/a}}}",
        "spec.checkpoint.uri: Invalid value: \"file:///tmp/a\": found `file:///tmp/a`: a folder of a pod is lost with \
         the pod",
    ),
    (
        "{spec: {sinks: [{name: silver, delta: {uri: file:///tmp/a}}]}}",
        "spec.sinks[0].delta.uri: Invalid value: \"file:///tmp/a\": found `file:///tmp/a`: a folder of a pod is lost \
         with the pod",
    ),
    // Fields that belong together.
    (
        "{spec: {trigger: {type: Interval}}}",
        "spec.trigger: Invalid value: interval is required for the type `Interval`: write a duration such as 5s",
    ),
    (
        "{spec: {trigger: {type: AvailableNow, interval: 5s}}}",
        "spec.trigger.interval: Invalid value: belongs to the type `Interval`, and the type is `AvailableNow`; leave \
         it out",
    ),
    (
        "{spec: {trigger: {type: AsSoonAsPossible, schedule: 0 2 * * *}}}",
        "spec.trigger.schedule: Invalid value: belongs to the type `AvailableNow`, and the type is \
         `AsSoonAsPossible`; leave it out",
    ),
    (
        "{spec: {trigger: {type: AsSoonAsPossible, runToken: a}}}",
        "spec.trigger.runToken: Invalid value: belongs to the type `AvailableNow`, and the type is \
         `AsSoonAsPossible`; leave it out",
    ),
    (
        "{spec: {trigger: {type: AsSoonAsPossible, onEnd: KeepOpen}}}",
        "spec.trigger.onEnd: Invalid value: belongs to the type `AvailableNow`, and the type is `AsSoonAsPossible`; \
         leave it out",
    ),
    (
        "{spec: {sinks: [{name: silver, key: [cnt]}]}}",
        "spec.sinks[0].key: Invalid value: belongs to the mode `Update`, and the mode is `Append`; leave it out",
    ),
    (
        "{spec: {sinks: [{name: silver, mode: Update}]}}",
        "spec.sinks[0]: Invalid value: key is required for the mode `Update`",
    ),
    (
        "{spec: {sources: [{name: rides, eventTime: {watermarkDelay: null}}]}}",
        "spec.sources[0].eventTime: Invalid value: watermarkDelay is required: how long to wait for rows that come \
         late",
    ),
    (
        "{spec: {storage: [{uriPrefix: s3://lake/, s3: {encryption: {type: SSES3, keyId: a}}}]}}",
        "spec.storage[0].s3.encryption.keyId: Invalid value: belongs to the type `SSEKMS`, and the type is `SSES3`; \
         leave it out",
    ),
    // Names and references.
    (
        "{metadata: {name: rides.2}}",
        "metadata.name: found `rides.2`: write at most 50 lower-case letters, digits and hyphens",
    ),
    ("{metadata: {name: 2-rides}}", "metadata.name: found `2-rides`: write at most 50 lower-case letters"),
    (
        "{spec: {steps: [{name: By_city, map: {from: rides}}]}}",
        "spec.steps[1].name in body should match '^[a-z]([-a-z0-9]*[a-z0-9])?$'",
    ),
    (
        "{spec: {steps: [{name: rides, map: {from: rides}}]}}",
        "spec.steps: Invalid value: a name stands in sources and in steps; sources, steps and sinks have different \
         names",
    ),
    (
        "{spec: {sinks: [{name: rides, from: rides, console: {}}]}}",
        "spec.sinks: Invalid value: a name stands in sources and in sinks",
    ),
    (
        "{spec: {sinks: [{name: counted, from: rides, console: {}}]}}",
        "spec.sinks: Invalid value: a name stands in steps and in sinks",
    ),
    (
        "{spec: {sources: [{name: rides, kafka: {connection: event}}]}}",
        "spec.sources: Invalid value: one of them reads through a connection that is not there: write a name in \
         spec.connections",
    ),
    (
        "{spec: {sinks: [{name: silver, from: count}]}}",
        "spec.sinks: Invalid value: one of them reads what is not there: write the name of a source or a step",
    ),
    (
        "{spec: {steps: [{name: counted, aggregate: {from: ride}}]}}",
        "spec.steps: Invalid value: one of them reads what is not there",
    ),
    (
        "{spec: {steps: [{name: more, map: {from: ride}}]}}",
        "spec.steps: Invalid value: one of them reads what is not there",
    ),
    // Texts and numbers.
    (
        "{spec: {trigger: {type: Sometimes}}}",
        "supported values: \"AsSoonAsPossible\", \"Interval\", \"AvailableNow\", \"Continuous\"",
    ),
    (
        "{spec: {trigger: {type: Interval, interval: 5 minutes}}}",
        "spec.trigger.interval in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'",
    ),
    (
        "{spec: {trigger: {type: Interval, interval: 48h}}}",
        "spec.trigger.interval: Invalid value: \"48h\": found `48h`: write 1ms to 24h",
    ),
    (
        "{spec: {sources: [{name: rides, eventTime: {idleAfter: 10ms}}]}}",
        "spec.sources[0].eventTime.idleAfter: Invalid value: \"10ms\": found `10ms`: write 1s to 99999h",
    ),
    ("{spec: {checkpoint: {uri: /tmp/x}}}", "spec.checkpoint.uri in body should match"),
    ("{spec: {checkpoint: {uri: s3a://lake/x}}}", "spec.checkpoint.uri in body should match"),
    ("{spec: {checkpoint: {keep: 1}}}", "spec.checkpoint.keep in body should be greater than or equal to 2"),
    ("{spec: {limits: {bytesPerEpoch: 64MB}}}", "spec.limits.bytesPerEpoch in body should match"),
    ("{spec: {resources: {requests: {memory: lots}}}}", "spec.resources.requests.memory in body should match"),
    ("{spec: {replicas: 2}}", "spec.replicas in body should be less than or equal to 1"),
    ("{spec: {trigger: {type: AvailableNow, schedule: '@daily'}}}", "spec.trigger.schedule in body should"),
    ("{spec: {sinks: []}}", "spec.sinks in body should have at least 1 items"),
    ("{spec: {checkpoint: null}}", "spec.checkpoint: Required value"),
    ("{spec: {podTemplate: {env: [{name: 1A, value: a}]}}}", "spec.podTemplate.env[0].name in body should match"),
];

#[tokio::test]
async fn each_wrong_document_is_refused_with_its_sentence() {
    let namespace = or_skip!(Namespace::new().await);
    let mut taken = Vec::new();
    for (over, right) in WRONG {
        let document = with(&least("rides"), over);
        let said = match namespace.apply("a person", &document).await {
            Err(kube::Error::Api(status)) => status.message,
            other => format!("{other:?}"),
        };
        if !said.contains(right) {
            taken.push(format!("{over}\n  should be refused with: {right}\n  but: {said}"));
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[tokio::test]
async fn an_element_that_stands_twice_in_a_named_list_is_refused() {
    let namespace = or_skip!(Namespace::new().await);
    for list in ["connections", "sources", "steps", "sinks"] {
        let mut document = least("rides");
        let twice = document["spec"][list][0].clone();
        document["spec"][list].as_array_mut().unwrap().push(twice);
        let said = refusal(namespace.apply("a person", &document).await);
        assert!(said.contains("duplicate entries for key [name="), "{list}: {said}");
    }
}

#[tokio::test]
async fn a_field_that_does_not_exist_is_refused_where_fields_are_checked_and_dropped_elsewhere() {
    let namespace = or_skip!(Namespace::new().await);
    let mut document = least("rides");
    document["spec"]["checkpoint"]["url"] = json!("s3://lake/x");

    let said = refusal(namespace.apply("a person", &document).await);
    assert!(said.contains(".spec.checkpoint.url: field not declared in schema"), "{said}");

    let (refused, _) = namespace.create(&document, "Strict").await;
    let said = refused["message"].as_str().unwrap();
    assert!(said.contains("strict decoding error: unknown field \"spec.checkpoint.url\""), "{said}");

    let (taken, warnings) = namespace.create(&document, "Warn").await;
    assert_eq!(taken["spec"], least("rides")["spec"]);
    assert!(warnings.iter().any(|w| w.contains("unknown field") && w.contains("spec.checkpoint.url")), "{warnings:?}");
}

#[tokio::test]
async fn a_name_of_253_characters_is_refused_with_the_rule_for_names() {
    let namespace = or_skip!(Namespace::new().await);
    let said = refusal(namespace.apply("a person", &least(&"a".repeat(253))).await);
    assert!(said.contains("write at most 50 lower-case letters, digits and hyphens"), "{said}");
    let (longest, longer) = (least(&"a".repeat(50)), least(&"a".repeat(51)));
    namespace.apply("a person", &longest).await.unwrap();
    assert!(refusal(namespace.apply("a person", &longer).await).contains("at most 50"));
}

#[tokio::test]
async fn a_document_without_a_spec_is_refused() {
    let namespace = or_skip!(Namespace::new().await);
    let mut document = least("rides");
    document.as_object_mut().unwrap().remove("spec");
    let said = refusal(namespace.apply("a person", &document).await);
    assert!(said.contains("spec: Required value"), "{said}");
}
