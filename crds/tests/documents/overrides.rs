//! Merging with `--override`.

use crate::right::RIGHT;

fn said(over: &str, right: &[&str]) {
    let found: Vec<_> = weir_crds::load(RIGHT, Some(over)).err().into_iter().flatten().map(|f| f.to_string()).collect();
    assert_eq!(found, right);
}

#[test]
fn what_is_wrong_in_it_is_said_of_the_merged_document() {
    said("spec: {trigger: {type: AvailableNow}}", &[]);
    said(
        "spec: {sinks: [{name: silver, delta: {uri: /tmp/x}}]}",
        &["spec.sinks[0].delta.uri: found `/tmp/x`: write s3://bucket/path or file:///absolute/path; did \
             you mean `file:///tmp/x`?"],
    );
}

#[test]
fn it_is_refused_if_it_is_for_another_pipeline_or_can_not_be_read() {
    said(
        "metadata: {name: orders}",
        &["metadata.name: in the override: found `orders`, and the document has `rides-revenue`; leave it out or \
             make it the same"],
    );
    said(
        "a: {a: 1, a: 2}",
        &[
            "a.a: in the override: this key stands twice in its mapping; keep one",
            "a: there is no field `a`: write apiVersion, kind, metadata or spec",
        ],
    );
}
