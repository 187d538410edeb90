//! The sentence about each former place, and the translated values.

use weir_crds::former::{Translated, translate};

use super::yaml;

/// `old` becomes `new`, with exactly these findings.
#[track_caller]
fn check(old: &str, new: &str, right: &[&str]) {
    let Translated { document, findings } = translate(&yaml(old));
    let said: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(said, right, "{old}");
    // The order of the keys counts too, for texts that are printed.
    assert_eq!(format!("{document:?}"), format!("{:?}", yaml(new)), "{old}");
    assert_eq!(translate(&document).document, document, "{old} is not translated at once");
}

/// `old` has exactly these findings and stays unchanged.
#[track_caller]
fn only_said(old: &str, right: &str) {
    check(old, old, &[right]);
}

#[test]
fn columns_of_json_stand_beside_the_format() {
    check(
        "spec: {sources: [{name: a, format: {json: {columns: [{name: x}]}}, eventTime: {expr: ts}}]}",
        "spec: {sources: [{name: a, format: {json: {}}, columns: [{name: x}], eventTime: {expr: ts}}]}",
        &["spec.sources[0].format.json.columns: columns stand beside format now: write them as \
           spec.sources[0].columns"],
    );
    check(
        "spec: {sources: [{name: a}, {format: {json: {columns: [], timestampNumbers: EpochMillis}}}]}",
        "spec: {sources: [{name: a}, {format: {json: {timestampNumbers: EpochMillis}}, columns: []}]}",
        &["spec.sources[1].format.json.columns: columns stand beside format now: write them as \
           spec.sources[1].columns"],
    );
    only_said(
        "spec: {sources: [{format: {json: {columns: [{name: x}]}}, columns: [{name: y}]}]}",
        "spec.sources[0].format.json.columns: spec.sources[0].columns takes its place now and is there too: leave the \
         old one out",
    );
}

#[test]
fn the_consumer_group_is_a_field_of_kafka() {
    check(
        "spec: {sources: [{name: a, groupId: g, kafka: {topics: [x]}}]}",
        "spec: {sources: [{name: a, kafka: {topics: [x], groupId: g}}]}",
        &["spec.sources[0].groupId: the consumer group is a field of kafka now: write it as \
           spec.sources[0].kafka.groupId"],
    );
    // An override that removes the group.
    check(
        "spec: {sources: [{name: a, groupId: null}]}",
        "spec: {sources: [{name: a, kafka: {groupId: null}}]}",
        &["spec.sources[0].groupId: the consumer group is a field of kafka now: write it as \
           spec.sources[0].kafka.groupId"],
    );
    only_said(
        "spec: {sources: [{groupId: g, kafka: {groupId: h}}]}",
        "spec.sources[0].groupId: spec.sources[0].kafka.groupId takes its place now and is there too: leave the old \
         one out",
    );
    only_said(
        "spec: {sources: [{groupId: g, kafka: 1}]}",
        "spec.sources[0].groupId: the consumer group is a field of kafka now: write it as \
         spec.sources[0].kafka.groupId",
    );
}

#[test]
fn the_output_is_named_with_the_node() {
    for output in ["Late", "Rejected"] {
        check(
            &format!("spec: {{sinks: [{{from: revenue, output: {output}, delta: {{}}}}]}}"),
            &format!("spec: {{sinks: [{{from: revenue.{output}, delta: {{}}}}]}}"),
            &[&format!("spec.sinks[0].output: write `from: revenue.{output}` and leave output out")],
        );
    }
    let main = "spec.sinks[0].output: a node's name in `from` alone is its main output now: leave output out";
    check("spec: {sinks: [{from: a, output: Main}]}", "spec: {sinks: [{from: a}]}", &[main]);
    check("spec: {sinks: [{output: null, from: a}]}", "spec: {sinks: [{from: a}]}", &[main]);
    only_said(
        "spec: {sinks: [{from: a.Late, output: Rejected}]}",
        "spec.sinks[0].output: `from` names the output now, and `a.Late` does already: leave output out",
    );
    for unknown in ["late", "{}", "[Late]", "1"] {
        only_said(
            &format!("spec: {{sinks: [{{from: a, output: {unknown}}}]}}"),
            "spec.sinks[0].output: `from` names the output now: write `node.Late` or `node.Rejected` there, and leave \
             output out",
        );
    }
    for other in ["", "from: [a],", "from: 1,", "from: null,"] {
        only_said(
            &format!("spec: {{sinks: [{{{other} output: Late}}]}}"),
            "spec.sinks[0].output: write `from: node.Late`, with the node's name for node, and leave output out",
        );
    }
}

#[test]
fn group_columns_are_objects() {
    check(
        r#"spec: {steps: [{aggregate: {groupBy: [city, {name: x}, "win start", "on", "a, \"b\"", 7]}}]}"#,
        r#"spec: {steps: [{aggregate: {groupBy: [{name: city}, {name: x}, {name: "win start"}, {name: "on"},
           {name: "a, \"b\""}, 7]}}]}"#,
        &[
            "spec.steps[0].aggregate.groupBy[0]: a group column is an object now: write `{name: city}`",
            "spec.steps[0].aggregate.groupBy[2]: a group column is an object now: write `{name: win start}`",
            r#"spec.steps[0].aggregate.groupBy[3]: a group column is an object now: write `{name: "on"}`"#,
            r#"spec.steps[0].aggregate.groupBy[4]: a group column is an object now: write `{name: "a, \"b\""}`"#,
        ],
    );
}

#[test]
fn the_offset_stands_inside_its_window() {
    for kind in ["tumbling", "sliding", "cumulate", "calendar"] {
        check(
            &format!("spec: {{steps: [{{aggregate: {{window: {{offset: 15m, {kind}: {{size: 1h}}}}}}}}]}}"),
            &format!("spec: {{steps: [{{aggregate: {{window: {{{kind}: {{size: 1h, offset: 15m}}}}}}}}]}}"),
            &[&format!(
                "spec.steps[0].aggregate.window.offset: the offset is a field of {kind} now: write it as \
                 spec.steps[0].aggregate.window.{kind}.offset"
            )],
        );
    }
    only_said(
        "spec: {steps: [{aggregate: {window: {offset: 15m, tumbling: {size: 1h, offset: 0s}}}}]}",
        "spec.steps[0].aggregate.window.offset: spec.steps[0].aggregate.window.tumbling.offset takes its place now \
         and is there too: leave the old one out",
    );
    only_said(
        "spec: {steps: [{aggregate: {window: {offset: 15m, tumbling: 1h}}}]}",
        "spec.steps[0].aggregate.window.offset: the offset is a field of tumbling now: write it as \
         spec.steps[0].aggregate.window.tumbling.offset",
    );
    for other in ["", "session: {gap: 1h},", "tumbling: {}, sliding: {},"] {
        only_said(
            &format!("spec: {{steps: [{{aggregate: {{window: {{{other} offset: 15m}}}}}}]}}"),
            "spec.steps[0].aggregate.window.offset: an offset stands inside the window that it belongs to now \
             (tumbling, sliding, cumulate or calendar): write it there, or leave it out",
        );
    }
}

#[test]
fn abbreviations_are_in_capitals() {
    for (old, new) in [("SseS3", "SSES3"), ("SseKms", "SSEKMS")] {
        check(
            &format!("spec: {{storage: [{{s3: {{encryption: {{type: {old}, keyId: k}}}}}}]}}"),
            &format!("spec: {{storage: [{{s3: {{encryption: {{type: {new}, keyId: k}}}}}}]}}"),
            &[&format!("spec.storage[0].s3.encryption.type: abbreviations are in capitals now: write `{new}`")],
        );
    }
}

#[test]
fn everything_old_is_said_at_once_in_the_order_of_the_sections() {
    let old = "spec:
  sinks: [{from: revenue, output: Late}]
  steps: [{aggregate: {groupBy: [city], window: {tumbling: {}, offset: 1m}}}]
  sources: [{groupId: g, kafka: {}, format: {json: {columns: []}}}]
  storage: [{s3: {encryption: {type: SseS3}}}]";
    let paths: Vec<_> = translate(&yaml(old)).findings.into_iter().map(|found| found.path).collect();
    assert_eq!(
        paths,
        [
            "spec.storage[0].s3.encryption.type",
            "spec.sources[0].format.json.columns",
            "spec.sources[0].groupId",
            "spec.steps[0].aggregate.window.offset",
            "spec.steps[0].aggregate.groupBy[0]",
            "spec.sinks[0].output",
        ]
    );
}

#[test]
fn no_more_is_said_than_anybody_reads_and_everything_is_translated() {
    let columns = vec!["x"; 3_000].join(", ");
    let found = translate(&yaml(&format!("spec: {{steps: [{{aggregate: {{groupBy: [{columns}]}}}}]}}")));
    assert_eq!(found.findings.len(), 100);
    assert_eq!(translate(&found.document).findings, []);
}

#[test]
fn what_is_of_no_earlier_shape_is_passed_over() {
    for other in [
        "null",
        "[]",
        "text",
        "{spec: null}",
        "{spec: [1, 2]}",
        "{spec: {sources: {format: {json: {columns: []}}}, steps: 1, sinks: text, storage: null}}",
        "{spec: {sources: [1, null, [], text, {format: null}, {format: {json: null}}, {format: {json: [columns]}}]}}",
        "{spec: {sources: [{format: {raw: {columns: []}}}, {format: json, columns: []}, {kafka: {groupId: g}}]}}",
        "{spec: {steps: [null, {aggregate: 1}, {aggregate: {window: offset, groupBy: city}}, {map: {groupBy: [x]}}]}}",
        "{spec: {steps: [{aggregate: {window: {tumbling: {size: 1h, offset: 1m}}, groupBy: [{name: x}, 1, null]}}]}}",
        "{spec: {sinks: [Late, {from: a.Late}, {delta: {output: Late}}]}}",
        "{spec: {storage: [{s3: {encryption: SseS3}}, {s3: {encryption: {type: SSES3}}}]}}",
        "{spec: {storage: [{s3: {encryption: {type: 1}}}, {s3: {encryption: null}}]}}",
        "{sources: [{groupId: g}]}",
    ] {
        check(other, other, &[]);
    }
}

/// Replaces each value of a document that has every former place by a value of another kind.
#[test]
fn whatever_stands_in_a_place_nothing_falls_over() {
    let old = "spec: {storage: [{s3: {encryption: {type: SseKms}}}], sources: [{groupId: g, kafka: {}, format: {json: \
               {columns: []}}}], steps: [{aggregate: {groupBy: [city], window: {tumbling: {}, offset: 1m}}}], sinks: \
               [{from: revenue, output: Late}]}";
    let right = yaml(old);
    let mut tried = 0;
    for place in crate::mutations::places(&right) {
        for with in ["null", "-1", "[[]]", "{x: 1}", "\"\"", "!thing x", "{columns: {}, groupId: [], output: Main}"] {
            let document = crate::mutations::replaced(&right, &place, &yaml(with));
            let found = translate(&document);
            assert!(found.findings.iter().all(|f| f.path.starts_with("spec.") && !f.message.is_empty()), "{found:?}");
            let again = translate(&found.document);
            assert_eq!(again.document, found.document, "{place:?} replaced by {with}");
            tried += 1;
        }
    }
    assert!(tried >= 7 * 25, "{tried}");
}
