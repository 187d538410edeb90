//! Loading reports places of the former shape first, then all other errors of the document.

use weir_crds::{load, load_value, parse, parse_value};

use super::files::file;

const COLUMNS: &str = "spec.sources[0].format.json.columns: columns stand beside format now: write them as \
                       spec.sources[0].columns";
const CITY: &str = "spec.steps[0].aggregate.groupBy[0]: a group column is an object now: write `{name: city}`";
const LATE: &str = "spec.sinks[1].output: write `from: revenue.Late` and leave output out";
const REJECTED: &str = "spec.sinks[2].output: write `from: rides.Rejected` and leave output out";

fn said<T>(read: Result<T, Vec<weir_crds::Finding>>) -> Vec<String> {
    read.err().into_iter().flatten().map(|found| found.to_string()).collect()
}

#[test]
fn an_old_document_is_refused_with_a_sentence_for_each_place() {
    let text = file("old/nothing-lost.yaml");
    let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
    let right = [COLUMNS, CITY, LATE, REJECTED];
    assert_eq!(said(load(&text, None)), right);
    assert_eq!(said(load_value(&value)), right);
    assert_eq!(said(parse(&text)), right);
    assert_eq!(said(parse_value(&value)), right);
}

#[test]
fn what_is_wrong_otherwise_is_said_with_it_and_no_place_twice() {
    let text = file("old/nothing-lost.yaml")
        .replace("expr: sum(price)", "expr: sum(prise)")
        .replace("output: Late", "output: late");
    let said = said(load(&text, None));
    assert_eq!(said.len(), 5, "{said:#?}");
    assert!(said[2].starts_with("spec.sinks[1].output: `from` names the output now"), "{said:#?}");
    assert!(said[4].starts_with("spec.steps[0].aggregate.columns[0].expr: "), "{said:#?}");
}

#[test]
fn an_old_override_is_translated_before_it_is_laid_over() {
    let over = "spec: {sources: [{name: rides, groupId: other}]}";
    assert_eq!(
        said(load(&file("new/nothing-lost.yaml"), Some(over))),
        ["spec.sources[0].groupId: in the override: the consumer group is a field of kafka now: write it as \
          spec.sources[0].kafka.groupId"]
    );
    let both = said(load(&file("old/nothing-lost.yaml"), Some(over)));
    assert_eq!((both.len(), both[4].contains("in the override: ")), (5, true), "{both:#?}");
}

/// The output is part of `from` now, so an override that names another node has to name the output too.
#[test]
fn an_override_that_names_another_node_is_told_the_output_of_the_old_document() {
    let over = "spec: {sinks: [{name: late, from: other}, {name: rejected, from: other.Rejected}]}";
    let said = said(load(&file("old/nothing-lost.yaml"), Some(over)));
    assert!(
        said.contains(
            &"spec.sinks[0].from: in the override: the document's sink has `output: Late`, which is part of `from` now: \
              write `from: other.Late`"
                .to_owned()
        ),
        "{said:#?}"
    );
    assert!(!said.iter().any(|said| said.starts_with("spec.sinks[1].from: in the override")), "{said:#?}");
}
