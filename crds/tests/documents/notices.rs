//! The notices about valid documents.

use weir_crds::{load, notices, notices_of_text};

use crate::right::with;

const TRIGGER: &str = "trigger: {type: Interval, interval: 5s}";
const READS: &str = "kafka: {connection: events, topics: [rides]}";

fn told(edits: &[(&str, &str)]) -> Vec<String> {
    notices(&load(&with(edits), None).unwrap())
}

#[test]
fn an_available_now_run_that_begins_at_the_end_is_told() {
    assert_eq!(
        told(&[(TRIGGER, "trigger: {type: AvailableNow}")]),
        ["spec.sources[0].kafka.startFrom: the first run of `rides-revenue` begins at the end of the topics of \
             `rides`, reads nothing and ends, since the trigger is AvailableNow: write `startFrom: {position: \
             Earliest}` to read what is there"]
    );
}

#[test]
fn a_run_that_reads_what_is_there_or_goes_on_is_not() {
    let available_now = (TRIGGER, "trigger: {type: AvailableNow}");
    for start_from in ["{position: Earliest}", "{timestamp: \"2024-01-01T00:00:00Z\"}"] {
        let reads = format!("kafka: {{connection: events, topics: [rides], startFrom: {start_from}}}");
        assert_eq!(told(&[available_now, (READS, &reads)]), Vec::<String>::new(), "{start_from}");
    }
    assert_eq!(told(&[]), Vec::<String>::new());
}

#[test]
fn a_pattern_that_matches_one_name_is_told() {
    for (pattern, instead) in [("rides-", "`rides-.*`"), ("^rides-", "`rides-.*`"), ("rides", "`rides.*`")] {
        let said = told(&[("topics: [rides]", &format!("topicPattern: {pattern}"))]);
        assert_eq!(said.len(), 1, "{pattern}: {said:?}");
        let begins = format!("spec.sources[0].kafka.topicPattern: `{pattern}` must match the whole name of a topic");
        assert!(said[0].starts_with(&begins) && said[0].contains(instead), "{said:?}");
    }
    assert_eq!(told(&[("topics: [rides]", "topicPattern: rides-.*")]), Vec::<String>::new());
}

#[test]
fn a_comment_that_may_be_the_rest_of_an_expression_is_told() {
    let said = |line: &str| notices_of_text(&with(&[("where: price >= 0", line)]));
    assert_eq!(
        said("where: price >= 0 #and true"),
        [
            "line 25: YAML takes ` #` for the beginning of a comment, which leaves `where: price >= 0`: write the value in \
          quotes, `where: \"price >= 0 #and true\"`, if the rest belongs to it"
        ]
    );
    for line in [
        "where: price >= 0 # what was paid",
        "where: price >= 0   ##",
        "where: price >= 0 #",
        "where: \"price >= 0 #x\"",
        "where: city != 'a#b'",
        "#where: price >= 0 #x",
        "where: price >= 0\n      #x",
    ] {
        assert_eq!(said(line), Vec::<String>::new(), "{line}");
    }
}
