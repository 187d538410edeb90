//! Texts that kubectl and Helm read differently than `weir` does.

use crate::right::{findings, told, with};

#[test]
fn what_others_would_read_otherwise() {
    let topic = told(&[
        (
            "a word that YAML 1.1 takes for a truth value is refused where it stands",
            &[&[("  checkpoint: {", "  suspend: no\n  checkpoint: {"), ("topics: [rides]", "topics: [on, rides]")]],
        ),
        (
            "text that YAML 1.1 takes for a number is refused where it stands",
            &[&[("topics: [rides]", "topics: [0777]")]],
        ),
        (
            "a key is read alike everywhere too",
            &[&[("metadata: {name: rides-revenue}", "metadata: {name: rides-revenue, labels: {y: a, \"n\": b}}")]],
        ),
        (
            "a key of a reference, or a label with a secret's name, that stands twice is named",
            &[
                &[("kafka:9092", "k:9092, tls: {caSecretRef: {name: a, key: b, name: c}}")],
                &[("", "  podTemplate: {labels: {token: a, token: b}}")],
                &[("kafka:9092", "k:9092, tls: {clientSecretRef: {name: a}, clientSecretRef: {name: yes}}")],
            ],
        ),
        (
            "a number of more than 64 bits is refused where it stands",
            &[&[("topics: [rides]", "topics: [18446744073709551616]")]],
        ),
        (
            "what is read in two ways hides nothing else",
            &[&[
                ("metadata: {name: rides-revenue}", "metadata: {name: rides-revenue, labels: {team: no}}"),
                ("bootstrapServers: kafka:9092", "bootstrapServers: kafka"),
                ("where: price >= 0", "where: prise >= 0"),
                (
                    "  trigger: {type: Interval, interval: 5s}",
                    "  trigger: {type: Interval, interval: 5s, interval: 0777}",
                ),
            ]],
        ),
    ]);
    insta::assert_snapshot!(topic);
}

/// The findings for a document with this consumer group.
fn group_id(yaml: &str) -> Vec<String> {
    findings(&with(&[(
        "    kafka: {connection: events, topics: [rides]}\n",
        &format!("    kafka:\n      connection: events\n      topics: [rides]\n      groupId: {yaml}\n"),
    )]))
}

#[test]
fn what_is_in_quotes_is_text_to_all() {
    for quoted in
        ["\"on\"", "'on'", "'0777'", "\"1_000\"", "# é\n        'on'", "|-\n        on", "\"\\x6fn\"", "!!str 'on'"]
    {
        assert_eq!(group_id(quoted), Vec::<String>::new(), "{quoted}");
    }
}

/// The expected reading is go.yaml.in/yaml/v2 v2.4.4's.
#[test]
fn every_spelling_that_is_read_in_two_ways_is_refused_and_no_other() {
    for two_ways in [
        "# é\n        no",
        "y",
        "Y",
        "yes",
        "Yes",
        "YES",
        "on",
        "On",
        "ON",
        "n",
        "N",
        "no",
        "No",
        "NO",
        "off",
        "Off",
        "OFF",
        "0777",
        "-0777",
        "+0777",
        "00",
        "08",
        "0_7",
        "1_000",
        "1_0.5",
        "1_",
        "1_e3",
        "0x_1F",
        "0X1F",
        "0B11",
        "0O17",
        "-0X1F",
        "0b1_1",
        "&a no",
        "007",
        ".8_7",
    ] {
        let said = group_id(two_ways);
        assert!(said.len() == 1 && said[0].contains("to kubectl and Helm"), "{two_ways}: {said:?}");
    }
    for text in [
        "yEs",
        "oN",
        "nO",
        "1-0",
        "a_1",
        "_1",
        "2026-01-01",
        "0x",
        "0xg",
        "0b12",
        "0o8",
        "1e",
        "1.2.3",
        "v1_0",
        "on.off",
        "1-000",
        "yes-1",
        "0x1.8",
        "1:30",
    ] {
        assert_eq!(group_id(text), Vec::<String>::new(), "{text}");
    }
    for (number, found) in [("0o17", "15"), ("0x1F", "31"), ("1e3", "1000.0"), ("1.10", "1.1")] {
        assert_eq!(
            group_id(number),
            [format!("spec.sources[0].kafka.groupId: found the number {found}: write text in quotes")]
        );
    }
}
