//! Texts that do not have the shape of a document.

use crate::right::{findings, said, with};

#[test]
fn an_unknown_field_names_the_one_that_was_meant() {
    said(&[("where:", "wher:")], &["spec.steps[0].map.wher: there is no field `wher`; did you mean `where`?"]);
    said(
        &[("checkpoint: {", "checkpoint: {interval: 5s, ")],
        &["spec.checkpoint.interval: there is no field `interval`: write uri, keep, snapshotEvery, minPause or \
           timeout"],
    );
}

#[test]
fn a_value_of_another_type_says_what_was_found_and_what_would_be_right() {
    said(
        &[("from: rides", "from: 7"), ("uri: s3://lake/silver", "uri: [x]"), ("topics: [rides]", "topics: rides")],
        &[
            "spec.sources[0].kafka.topics: found the text `rides`: write a list",
            "spec.steps[0].map.from: found the number 7: write text in quotes",
            "spec.sinks[0].delta.uri: found a list: write text",
        ],
    );
}

#[test]
fn a_size_of_another_type_is_said_in_our_words() {
    for (found, said_of_it) in [
        ("1.5", "found the number 1.5; write a size such as 128Mi, or a fraction as text: \"1.5\""),
        ("true", "found the truth value true: write a size such as 128Mi"),
        ("[1]", "found a list: write a size such as 128Mi"),
        ("{a: b}", "found a mapping: write a size such as 128Mi"),
    ] {
        said(
            &[("  sources:", &format!("  limits: {{bytesPerEpoch: {found}}}\n  sources:"))],
            &[&format!("spec.limits.bytesPerEpoch: {said_of_it}")],
        );
    }
}

#[test]
fn a_required_field_that_is_missing_is_named() {
    said(
        &[
            ("metadata: {name: rides-revenue}", "metadata: {}"),
            ("- name: cleaned", "-"),
            ("expr: sum(price)", "filter: price > 1"),
        ],
        &[
            "metadata.name: is required",
            "spec.steps[0].name: is required",
            "spec.steps[1].aggregate.columns[0].expr: is required",
        ],
    );
}

#[test]
fn an_enum_value_names_the_ones_there_are() {
    said(
        &[("type: Interval,", "type: interval,"), ("topics: [rides]", "topics: [rides], onLostOffsets: Ignore")],
        &[
            "spec.trigger.type: found `interval`; did you mean `Interval`? Write AsSoonAsPossible, Interval, \
             AvailableNow \
             or Continuous",
            "spec.sources[0].kafka.onLostOffsets: found the text `Ignore`: write Fail, Earliest or Latest",
        ],
    );
}

#[test]
fn another_kind_of_document_is_refused() {
    said(
        &[("weir.dev/v1alpha1", "weir.dev/v1"), ("kind: StreamPipeline", "kind: Deployment")],
        &[
            "apiVersion: found `weir.dev/v1`; this version reads `weir.dev/v1alpha1`",
            "kind: found `Deployment`; this version reads `StreamPipeline`",
        ],
    );
    assert_eq!(findings("[1, 2]"), ["found a list: write a mapping with the fields apiVersion, kind, metadata, spec"]);
    assert_eq!(findings(""), ["the document is empty; a StreamPipeline should be here"]);
}

#[test]
fn what_is_wrong_with_shape_and_meaning_is_said_at_once() {
    said(
        &[
            ("where: price >= 0", "wher: price >= 0"),
            ("size: 5m", "size: 5 minutes"),
            ("s3://lake/checkpoints/rides", "/tmp/x"),
        ],
        &[
            "spec.steps[0].map.wher: there is no field `wher`; did you mean `where`?",
            "spec.checkpoint.uri: found `/tmp/x`: write s3://bucket/path or file:///absolute/path; did you \
             mean `file:///tmp/x`?",
            "spec.steps[1].aggregate.window.tumbling.size: found `5 minutes`: write a duration such as 5s, 10m or \
             1h30m (one to four whole numbers, each with h, m, s or ms)",
        ],
    );
}

#[test]
fn a_document_that_is_wrong_everywhere_gets_a_hundred_findings_and_no_more() {
    let columns: Vec<_> = (0..200).map(|i| format!("{{name: 1, x{i}: 2}}")).collect();
    let text = with(&[("[{name: city, expr: upper(city)}, {name: price}]", &format!("[{}]", columns.join(", ")))]);
    assert_eq!(findings(&text).len(), 100);
}
