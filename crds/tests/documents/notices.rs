//! The notices about valid documents.

use weir_crds::{load_whole, notices, notices_of_text};

use crate::right::with;

const TRIGGER: &str = "trigger: {type: Interval, interval: 5s}";
const READS: &str = "kafka: {connection: events, topics: [rides]}";

fn told(edits: &[(&str, &str)]) -> Vec<String> {
    notices(&load_whole(&with(edits), None).unwrap())
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
fn an_entry_of_storage_for_no_uri_of_the_document_is_told() {
    let told = |prefixes: &[&str]| {
        let entries: String =
            prefixes.iter().map(|prefix| format!("\n  - {{uriPrefix: {prefix}, s3: {{}}}}")).collect();
        told(&[("\n  - {uriPrefix: s3://lake/, s3: {endpoint: http://s3:9000}}", &entries)])
    };
    let said = |i: usize, prefix: &str, right: &str| {
        format!(
            "spec.storage[{i}].uriPrefix: no URI of the document lies in `{prefix}`, so the entry is used for nothing, \
             and other settings are for the document's URIs: {right}"
        )
    };
    assert_eq!(told(&["s3://lakes/"]), [said(0, "s3://lakes/", "did you mean `s3://lake/`?")]);
    assert_eq!(told(&["s3://lake/silve/"]), [said(0, "s3://lake/silve/", "did you mean `s3://lake/silver/`?")]);
    assert_eq!(told(&["s3://warehouse"]), [said(0, "s3://warehouse/", "write `s3://lake/`, or leave the entry out")]);
    // What is advised is no other entry's prefix.
    assert_eq!(told(&["s3://lake/", "s3://warehouse"]), [said(1, "s3://warehouse/", "leave the entry out")]);
    assert_eq!(
        told(&["s3://lake", "s3://lake/silvre"]),
        [said(1, "s3://lake/silvre/", "did you mean `s3://lake/silver/`?")]
    );
    assert_eq!(
        told(&["s3://lake", "s3://lake/silver", "s3://lake/checkpoints", "s3://lake/silverr"]),
        [
            "spec.storage[0].uriPrefix: every URI of the document in `s3://lake/` lies in `s3://lake/silver/` or \
             `s3://lake/checkpoints/` too, a longer prefix, so the entry is used for nothing: leave it out"
                .to_owned(),
            said(3, "s3://lake/silverr/", "leave the entry out")
        ]
    );
    assert_eq!(told(&["s3://lake", "s3://lake/silver"]), Vec::<String>::new());
    for used in ["s3://lake", "s3://lake/", "s3://lake/silver", "s3://lake/checkpoints/"] {
        assert_eq!(told(&[used]), Vec::<String>::new(), "{used}");
    }
    let folders = [
        ("checkpoint: {uri: s3://lake/checkpoints/rides}", "checkpoint: {uri: file:///tmp/checkpoint}"),
        ("delta: {uri: s3://lake/silver,", "delta: {uri: file:///tmp/silver,"),
    ];
    assert_eq!(self::told(&folders), Vec::<String>::new(), "an override for a laptop");
    assert_eq!(self::told(&folders[..1]), Vec::<String>::new(), "the table is on the store");
}

#[test]
fn a_connection_that_nothing_refers_to_is_told() {
    const BROKERS: &str = "{name: events, kafka: {bootstrapServers: kafka:9092}}";
    assert_eq!(
        told(&[(BROKERS, &format!("{BROKERS}\n  - {{name: old, kafka: {{bootstrapServers: old:9092}}}}"))]),
        ["spec.connections[1]: nothing in the document refers to `old`: leave it out, or write its name as the \
          `connection` of a source"]
    );
}

#[test]
fn a_scram_user_without_tls_is_told() {
    let said = |mechanism: &str, tls: &str| {
        let sasl = format!(
            "kafka:9092, {tls}sasl: {{mechanism: {mechanism}, username: {{value: a}}, passwordSecretRef: {{name: a, key: b}}}}"
        );
        told(&[("kafka:9092", &sasl)])
    };
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        assert_eq!(
            said(mechanism, ""),
            [format!(
                "spec.connections[0].kafka: the mechanism `{mechanism}` does not send the password, but without TLS \
                 everybody on the way can read and change everything else: write `tls: {{}}` beside `sasl`, with \
                 `caSecretRef` in it if the brokers' certificates are from an authority of your own"
            )]
        );
        assert_eq!(said(mechanism, "tls: {}, "), Vec::<String>::new());
    }
    assert_eq!(said("PLAIN", "tls: {}, "), Vec::<String>::new());
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
