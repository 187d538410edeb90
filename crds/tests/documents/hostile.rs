//! Documents that no author writes: too deep, too long, too many. Each is refused with one sentence, at once.

use serde_json::json;
use weir_crds::{load, load_value};

use crate::right::{RIGHT, findings, with};

const LONG: usize = 10_000_000;
const DEEP: usize = 100_000;

#[track_caller]
fn assert_refused(text: &str, because: &str) {
    for found in [findings(text), override_findings(text)] {
        assert!(found.iter().any(|found| found.contains(because)), "{:.1000}", found.join("\n"));
        assert!(found.iter().all(|found| found.len() < 2_000), "{:.4000}", found.join("\n"));
    }
}

fn override_findings(text: &str) -> Vec<String> {
    load(RIGHT, Some(text)).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_text_that_nests_too_deep_is_told_by_its_line() {
    // As deep as a text of the greatest length can be, and as short as one that is too deep.
    for depth in [DEEP, 40] {
        for text in [
            format!("spec:\n  steps: {}{}", "[".repeat(depth), "]".repeat(depth)),
            format!("spec:\n  steps: {}", "[".repeat(depth)),
            format!("spec:\n  steps: {}1{}", "{a: ".repeat(depth), "}".repeat(depth)),
            format!("spec:\n  {}x", "- ".repeat(depth)),
            format!("spec:\n  {}x", "? ".repeat(depth)),
        ] {
            assert_refused(&text, "nested more than 32 deep at line 2");
        }
    }
}

#[test]
fn a_text_of_ten_megabytes_is_refused_by_its_length() {
    let long = "x".repeat(LONG);
    for text in [
        long.clone(),
        with(&[("topics: [rides]", &format!("topics: [{long}]"))]),
        with(&[("where: price >= 0", &format!("where: city = '{long}'"))]),
        with(&[("metadata: {", &format!("metadata: {{{long}: 1, "))]),
        with(&[("name: rides-revenue", &format!("name: {}", "9".repeat(LONG)))]),
        format!("a: {}{}", "[".repeat(LONG), "]".repeat(LONG)),
    ] {
        assert_refused(&text, "at most 1048576 are read");
    }
}

/// Each alias stands for ten of the one before it.
#[test]
fn aliases_that_stand_for_a_billion_values_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let ten = vec![format!("*a{}", i - 1); 10].join(", ");
        text += &format!("a{i}: &a{i} [{ten}]\n");
    }
    assert_refused(&text, "for an anchor");
}

#[test]
fn numbers_that_no_type_holds_are_refused_where_they_stand() {
    for number in ["1e999999", "-1e999999", &"9".repeat(100_000), &format!("0.{}1", "0".repeat(100_000))] {
        for (old, new) in [
            ("interval: 5s", format!("interval: {number}")),
            ("size: 5m", format!("size: {number}")),
            ("where: price >= 0", format!("where: {number}")),
            ("required: true}\n    - {name: ts", format!("required: {number}}}\n    - {{name: ts")),
        ] {
            let found = findings(&with(&[(old, &new)]));
            assert!(!found.is_empty(), "{new:.100}");
            assert!(found.iter().all(|found| found.len() < 4_000), "{:.5000}", found.join("\n"));
        }
    }
}

/// The time for a suggestion would grow with the product of the two names.
#[test]
fn two_long_names_that_nearly_match_are_refused_at_once() {
    let long = "x".repeat(400_000);
    let found = findings(&with(&[
        ("{name: price,", &format!("{{name: {long}, type: int}}\n    - {{name: price,")),
        ("where: price >= 0", &format!("where: {}y >= 0", &long[..10_000])),
    ]));
    assert!(!found.is_empty() && found.iter().all(|found| found.len() < 4_000), "{:.5000}", found.join("\n"));
}

/// What the operator gets is a value and not a text: only the API server limits it, to what etcd takes (1.5 MB).
#[test]
fn a_value_from_an_api_server_is_judged_however_large_it_is() {
    let right: serde_json::Value = serde_json::from_str(
        &serde_json::to_string(&serde_yaml::from_str::<serde_yaml::Value>(RIGHT).unwrap()).unwrap(),
    )
    .unwrap();
    let long = "x".repeat(1_500_000);
    let deep = (0..500).fold(json!(1), |inner, _| json!([inner]));
    for (place, with) in [
        ("/spec/sources/0/kafka/topics/0", json!(long)),
        ("/spec/steps/0/map/where", json!(format!("city = '{long}'"))),
        ("/spec/steps/0/map/where", json!("(".repeat(DEEP))),
        ("/spec/steps/0/map/columns", deep.clone()),
        ("/spec/steps/0", json!({long.clone(): deep})),
        ("/spec/sources/0/columns", json!(vec![json!({"name": "a", "type": "int"}); 50_000])),
    ] {
        let mut document = right.clone();
        *document.pointer_mut(place).unwrap() = with;
        let refused = load_value(&document).unwrap_err();
        assert!(!refused.is_empty(), "{place}");
    }
}
