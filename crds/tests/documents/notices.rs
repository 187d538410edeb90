//! The notices about valid documents.

use weir_crds::{load, notices};

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
