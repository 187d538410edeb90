//! Texts that do not have the shape of a document.

use crate::right::{findings, said, told, with};

#[test]
fn what_is_not_the_shape_of_a_document() {
    let topic = told(&[
        (
            "an unknown field names the one that was meant",
            &[&[("where:", "wher:")], &[("checkpoint: {", "checkpoint: {interval: 5s, ")]],
        ),
        (
            "a value of another type says what was found and what to write instead",
            &[&[
                ("from: rides", "from: 7"),
                ("uri: s3://lake/silver", "uri: [x]"),
                ("topics: [rides]", "topics: rides"),
            ]],
        ),
        (
            "a required field that is missing is named",
            &[&[
                ("metadata: {name: rides-revenue}", "metadata: {}"),
                ("- name: cleaned", "-"),
                ("expr: sum(price)", "filter: price > 1"),
            ]],
        ),
        (
            "an enum value names the ones there are",
            &[&[("type: Interval,", "type: interval,"), ("topics: [rides]", "topics: [rides], onLostOffsets: Ignore")]],
        ),
        (
            "what is wrong with shape and meaning is said at once",
            &[&[
                ("where: price >= 0", "wher: price >= 0"),
                ("size: 5m", "size: 5 minutes"),
                ("s3://lake/checkpoints/rides", "/tmp/x"),
            ]],
        ),
    ]);
    insta::assert_snapshot!(topic);
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
fn a_document_that_is_wrong_everywhere_gets_a_hundred_findings_and_no_more() {
    let columns: Vec<_> = (0..200).map(|i| format!("{{name: 1, x{i}: 2}}")).collect();
    let text = with(&[("[{name: city, expr: upper(city)}, {name: price}]", &format!("[{}]", columns.join(", ")))]);
    assert_eq!(findings(&text).len(), 100);
}
