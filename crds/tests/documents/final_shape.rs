//! Nothing is accepted and ignored: each field of the final shape, and each value of each enum, changes the plan, is
//! refused with its path, is used by the operator, or states what holds anyway. The test fails for a field without a
//! case here.

use crate::shape::cases::Outcome::{self, Changes, ForTheOperator, Refused, SaysTheDefault};
use crate::shape::cases::{BASE, CASES, OUTSIDE, is_refused};
use weir_crds::{Finding, load};

fn outcome(field: &str, over: &str) -> Result<Outcome, Vec<Finding>> {
    let before = format!("{:?}", load(BASE, None)?);
    match load(BASE, Some(over)) {
        Ok(plan) if format!("{plan:?}") == before => Ok(SaysTheDefault),
        Ok(_) => Ok(Changes),
        Err(found) => {
            let path = field.split('=').next().unwrap_or_default();
            // `[]` stands for any element.
            let is_it = |f: &&Finding| strip_indices(&f.path) == path && f.message.contains("not supported yet");
            if found.iter().any(|f| is_it(&f)) { Ok(Refused) } else { Err(found) }
        }
    }
}

fn strip_indices(path: &str) -> String {
    let mut stripped = String::new();
    for part in path.split_inclusive('[') {
        stripped.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    stripped
}

#[test]
fn each_field_changes_the_plan_or_is_refused_or_says_the_default() {
    for (field, over, right) in CASES {
        let found = outcome(field, over);
        let right = if *right == ForTheOperator { &SaysTheDefault } else { right };
        assert!(found.as_ref().is_ok_and(|f| f == right), "{field}, by {over}: should be {right:?} but is {found:?}");
    }
}

#[test]
fn each_field_of_the_final_shape_has_a_case() {
    let mut missing = Vec::new();
    for leaf in
        crate::shape::leaves().iter().filter(|leaf| !OUTSIDE.contains(&leaf.path.as_str()) && !is_refused(&leaf.path))
    {
        let labels: Vec<_> = match leaf.variants {
            [] => vec![leaf.path.clone()],
            variants => variants.iter().map(|v| format!("{}={v}", leaf.path)).collect(),
        };
        missing.extend(labels.into_iter().filter(|label| !CASES.iter().any(|(case, ..)| case == label)));
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_source_is_known_by_its_name() {
    let renamed = BASE.replace("name: rides\n", "name: trips\n").replace("from: rides", "from: trips");
    assert_eq!(load(&renamed, None).unwrap().sources[0].name, "trips");
}

#[test]
fn what_the_operator_acts_on_reaches_it_as_it_was_written() {
    for (field, over, _) in CASES.iter().filter(|(.., outcome)| *outcome == ForTheOperator) {
        let yaml = |text: &str| serde_yaml::from_str::<serde_yaml::Value>(text).unwrap();
        let merged = serde_json::to_value(weir_crds::merge(yaml(BASE), yaml(over))).unwrap();
        let document = weir_crds::parse_value(&merged).unwrap_or_else(|found| panic!("{field}: {found:?}"));
        let given = serde_json::to_value(document).unwrap();
        let field = field.split(['=', '[']).next().unwrap().replace('.', "/");
        let written = merged.pointer(&format!("/{field}")).unwrap();
        // Quantities hold numbers as text.
        let as_text = |value: &serde_json::Value| value.to_string().replace('"', "").replace("null", "");
        let has_all = |given: &serde_json::Value| {
            as_text(written).split([',', '{', '}', '[', ']']).all(|part| as_text(given).contains(part))
        };
        assert!(given.pointer(&format!("/{field}")).is_some_and(has_all), "{field}: {written} is given as {given}");
    }
}
