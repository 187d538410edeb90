//! Documents that are refused before the program touches anything.

use serde_json::{Value as Json, json};
use weir_tests::engine::{self, CONFIG};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::Site;
use weir_tests::rig::RUN_LIMIT;

/// The rides document, with the steps `before`, `windows` and `after`.
fn rides() -> Json {
    Pipeline::rides().document(&Site {
        bootstrap: "127.0.0.1:1".into(),
        topic: "rides".into(),
        checkpoint_uri: "file:///nowhere/checkpoint".into(),
        table_uri: "file:///nowhere/table".into(),
        s3_endpoint: None,
        trigger: json!({"type": "AvailableNow"}),
        records_per_epoch: 1000,
        keep: 1000,
    })
}

fn validate(document: &Json) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, document.to_string()).unwrap();
    let out = engine::call(&["validate", "-f", &file.to_string_lossy()]);
    (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

/// Checks that `weir validate` says every part after `break_it`.
fn refused(break_it: impl FnOnce(&mut Json), parts: &[&str]) {
    let mut document = rides();
    break_it(&mut document["spec"]);
    let (code, said) = validate(&document);
    assert_eq!(code, Some(CONFIG), "{said}");
    for part in parts {
        assert!(said.contains(part), "`{part}` should be in:\n{said}");
    }
}

#[test]
fn a_runtime_names_the_field_that_it_does_not_know_in_its_termination_message() {
    let folder = tempfile::tempdir().unwrap();
    let (file, message) = (folder.path().join("pipeline.yaml"), folder.path().join("message"));
    let mut document = rides();
    document["spec"]["limits"] = json!({"recordsPerCentury": 7});
    std::fs::write(&file, document.to_string()).unwrap();
    let out =
        engine::call(&["run", "-f", &file.to_string_lossy(), "--termination-message", &message.to_string_lossy()]);
    assert_eq!(out.status.code(), Some(CONFIG), "{out:?}");
    let said = std::fs::read_to_string(&message).unwrap();
    assert!(said.starts_with("spec.limits.recordsPerCentury: "), "{said}");
}

#[test]
fn the_rides_document_is_accepted() {
    let (code, said) = validate(&rides());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn an_unknown_field() {
    refused(|s| s["sources"][0]["kafka"]["topix"] = json!(["a"]), &["spec.sources[0].kafka", "topix", "topics"]);
}

#[test]
fn an_unknown_column() {
    refused(
        |s| s["steps"][0]["map"]["columns"][1] = json!({"name": "price", "expr": "prise * 2"}),
        &["spec.steps[0].map.columns[1]", "prise"],
    );
}

#[test]
fn an_expression_that_does_not_parse() {
    refused(
        |s| s["steps"][0]["map"]["where"] = json!("price >= "),
        &["spec.steps[0].map.where: the expression does not parse"],
    );
}

#[test]
fn an_expression_that_does_not_type() {
    let sum_of_city = "spec.steps[1].aggregate.columns[0].expr: `sum` takes numbers, and `city` is a string";
    refused(|s| s["steps"][1]["aggregate"]["columns"][0]["expr"] = json!("sum(city)"), &[sum_of_city]);
    refused(
        |s| s["steps"][0]["map"]["where"] = json!("price + 1"),
        &["spec.steps[0].map.where: a condition must be a boolean"],
    );
}

#[test]
fn a_window_without_event_time() {
    refused(
        |s| drop(s["sources"][0].as_object_mut().unwrap().remove("eventTime")),
        &["spec.steps[1].aggregate", "eventTime"],
    );
}

#[test]
fn two_steps_with_one_name() {
    refused(|s| s["steps"][2]["name"] = json!("before"), &["spec.steps[2].name", "before"]);
}

#[test]
fn a_cycle() {
    refused(
        |s| s["steps"][0]["map"]["from"] = json!("after"),
        &["spec.steps[0].map.from: the steps go round in a circle"],
    );
}

#[test]
fn a_sink_from_nowhere() {
    refused(|s| s["sinks"][0]["from"] = json!("nowhere"), &["spec.sinks[0].from", "nowhere"]);
}

#[test]
fn a_feature_that_is_not_built_yet() {
    refused(
        |s| s["steps"][1] = json!({"name": "revenue", "pattern": {"from": "cleaned"}}),
        &["spec.steps[1].pattern", "not supported yet"],
    );
}

#[test]
fn what_may_not_be_meant_is_a_warning_of_a_valid_document() {
    let mut document = rides();
    let more = json!({"name": "old", "kafka": {"bootstrapServers": "old:9092"}});
    document["spec"]["connections"].as_array_mut().unwrap().push(more);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    std::fs::write(&file, document.to_string()).unwrap();
    let out = engine::call(&["validate", "-f", &file.to_string_lossy()]);
    let warning = "spec.connections[1]: nothing in the document refers to `old`";
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.starts_with(&format!("warning: {warning}")), "{out:?}");
    assert_eq!(said.lines().count(), 1, "{said}");
    // Nobody listens at the address of the broker.
    let out = engine::call(&["run", "-f", &file.to_string_lossy(), "--give-up-after", "1ms"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("WARN") && said.contains(warning), "{said}");
}

#[test]
fn secrets_in_a_document_are_not_printed() {
    let mut document = rides();
    document["spec"]["connections"][0]["kafka"]["sasl"] = json!({"mechanism": "PLAIN", "passwordSecretRef": "hunter2"});
    document["spec"]["storage"] = json!([{"uriPrefix": "s3://lake/", "s3": {"endpoint": "https://me:hunter2@host", "secretAccessKey": "hunter2"}}]);
    let (code, said) = validate(&document);
    assert_eq!(code, Some(CONFIG), "{said}");
    assert!(!said.contains("hunter2") && said.matches("(hidden)").count() == 2, "{said}");
}

#[test]
fn all_errors_come_at_once() {
    refused(
        |s| {
            s["steps"][0]["map"]["where"] = json!("prise > 0");
            s["sinks"][0]["from"] = json!("nowhere");
        },
        &["spec.steps[0].map.where", "spec.sinks[0].from"],
    );
}

#[test]
fn the_answer_to_a_document_has_its_columns_if_it_is_valid_and_counts_its_errors_if_not() {
    let (_, said) = validate(&rides());
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].ends_with("valid: 1 source(s), 3 step(s), 1 sink(s)"), "{said}");
    let nodes: Vec<_> = lines[1..].iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(nodes, ["source input", "step before", "step windows", "step after", "sink table to file"], "{said}");
    let mut wrong = rides();
    wrong["spec"]["steps"][0]["map"]["where"] = json!("prise > 0");
    wrong["spec"]["sinks"][0]["from"] = json!("nowhere");
    let (_, said) = validate(&wrong);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(
        lines[..2].iter().all(|l| l.starts_with("error: spec.")) && lines[2].ends_with("pipeline.yaml: 2 errors"),
        "{said}"
    );
}

#[test]
fn the_examples_are_accepted() {
    for args in [&["rides.yaml"][..], &["medallion.yaml"], &["rides.yaml", "rides-local.yaml"]] {
        let files: Vec<String> =
            args.iter().map(|a| engine::repository_file("examples").join(a).to_string_lossy().into_owned()).collect();
        let mut call = vec!["validate", "-f", &files[0]];
        call.extend(files[1..].iter().flat_map(|file| ["--override", file]));
        let out = engine::call(&call);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn a_file_that_is_not_there_and_one_that_is_no_document() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pipeline.yaml");
    let validate = || {
        let out = engine::call(&["validate", "-f", &file.to_string_lossy()]);
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let (code, said) = validate();
    assert!(code == Some(CONFIG) && said.contains("pipeline.yaml: No such file"), "{said}");
    for text in ["", "{", "just text", "kind: Deployment"] {
        std::fs::write(&file, text).unwrap();
        let (code, said) = validate();
        assert!(code == Some(CONFIG) && said.starts_with("error: "), "{text}: {code:?} {said}");
    }
}

#[test]
fn a_run_of_a_wrong_document_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut document = rides();
    document["spec"]["checkpoint"]["uri"] = json!(format!("file://{}/lake/checkpoint", folder.path().display()));
    document["spec"]["sinks"][0]["delta"]["uri"] = json!(format!("file://{}/lake/table", folder.path().display()));
    document["spec"]["sinks"][0]["from"] = json!("nowhere");
    let start =
        engine::Start { folder: folder.path().to_owned(), document: document.into(), env: vec![], args: vec![] };
    // The broker does not exist either: an engine that looked for it before it checked the document would wait.
    let exit = start.run(RUN_LIMIT);
    super::assert_says(&exit, CONFIG, &["spec.sinks[0].from"]);
    assert!(exit.summary.is_none() && exit.phase.is_empty(), "{exit:?}");
    assert!(!folder.path().join("lake").exists());
}
