//! Brokers, buckets, tables and checkpoints that do not exist, or belong to others.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};
use weir_tests::engine::{self, CONFIG, RETRY_EXHAUSTED, write_secret};
use weir_tests::oracle::pipeline::{S3_SECRET, Site};
use weir_tests::oracle::{Pipeline, Window};
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::s3;
use weir_tests::{or_skip, table};

use super::assert_says;

fn rig(kafka: &Kafka, store: Store<'_>) -> Rig {
    Rig::new(Pipeline::rides(), kafka, store, 1, &Rides { partitions: 1, ..Rides::new(1_500) }.records())
}

#[test]
fn a_topic_that_is_not_there() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka, Store::Local);
    rig.site.topic = "no-such-topic".into();
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["no-such-topic"]);
}

#[test]
fn a_broker_that_cannot_be_reached() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka, Store::Local);
    rig.site.bootstrap = "127.0.0.1:1".into();
    let exit = rig.start().give_up_after(Duration::from_secs(5)).run(RUN_LIMIT);
    assert_says(&exit, RETRY_EXHAUSTED, &["127.0.0.1:1"]);
}

#[test]
fn a_bucket_that_is_not_there() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    let mut rig = rig(kafka, Store::S3(s3, None));
    rig.site.checkpoint_uri = "s3://no-such-bucket/checkpoint".into();
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["no-such-bucket"]);
}

#[test]
fn a_file_where_a_folder_should_be() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka, Store::Local);
    let file = rig.folder().join("file");
    std::fs::write(&file, "").unwrap();
    let (uri, good) = (format!("file://{}", file.display()), rig.site.clone());
    for site in [
        Site { checkpoint_uri: uri.clone(), ..good.clone() },
        Site { checkpoint_uri: format!("{uri}/checkpoint"), ..good.clone() },
        Site { table_uri: uri.clone(), ..good.clone() },
    ] {
        rig.site = site;
        assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &[&uri, "is a file where a folder should be"]);
    }
}

/// The run finds this out at its start, and not when everything is done.
#[test]
fn a_summary_or_a_progress_file_that_can_not_be_written() {
    let kafka = or_skip!(kafka::shared());
    let rig = rig(kafka, Store::Local);
    let pipe = rig.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let document = rig.folder().join("pipeline.yaml");
    std::fs::write(&document, rig.pipeline.document(&rig.site).to_string()).unwrap();
    for (flag, path, says) in [
        ("--summary", rig.folder().to_owned(), "name a file that can be written"),
        ("--summary", rig.folder().join("nowhere/summary.json"), "name a file that can be written"),
        ("--summary", pipe.clone(), "it is a pipe that nobody reads"),
        ("--progress", rig.folder().to_owned(), "the progress file"),
        ("--progress", pipe, "it is a pipe that nobody reads"),
    ] {
        let path = path.to_string_lossy();
        let out = engine::call(&["run", "-f", &document.to_string_lossy(), flag, &path]);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.code() == Some(CONFIG) && said.contains(says) && said.contains(&*path),
            "{flag} {path}: {said}"
        );
        assert!(rig.manifests().is_empty(), "{flag} {path}: nothing was begun");
    }
}

#[test]
fn wrong_keys() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    let rig = rig(kafka, Store::S3(s3, None));
    write_secret(rig.folder(), S3_SECRET, &[("secretAccessKey", "wrong")]);
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &[&rig.site.topic]);
}

#[test]
fn a_secret_that_is_not_mounted() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    let rig = rig(kafka, Store::S3(s3, None));
    std::fs::remove_dir_all(rig.folder().join("secrets").join(S3_SECRET)).unwrap();
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &[S3_SECRET, "accessKeyId"]);
}

#[test]
fn a_store_without_conditional_puts() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    let proxy = Proxy::start(&s3.address());
    proxy.inject(Rule::when(Fault::Unconditional, |r| r.method == "PUT").times(u32::MAX));
    let endpoint = proxy.endpoint();
    let mut rig = rig(kafka, Store::S3(s3, Some(&endpoint)));
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &[&rig.site.checkpoint_uri, "If-None-Match"]);
    // The start tries the table's store too, when the checkpoint lies elsewhere.
    rig.site.checkpoint_uri = format!("file://{}/checkpoint", rig.folder().display());
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &[&rig.site.table_uri, "If-None-Match"]);
    assert!(
        !rig.table_folder().join("_delta_log").exists(),
        "such a store is refused before anything is written to the table"
    );
}

#[test]
fn a_checkpoint_of_another_pipeline() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka, Store::Local);
    rig.finish();
    rig.pipeline.name = "another".into();
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["another", "rides-revenue"]);
}

#[test]
fn a_document_whose_state_does_not_fit_any_more() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka, Store::Local);
    rig.finish();
    rig.pipeline.window = Window::tumbling(2 * rig.pipeline.window.size_us());
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["windows"]);
}

#[test]
fn a_table_with_another_schema() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = rig(kafka, Store::Local);
    rig.finish();
    // Another pipeline writes to the same table, and its `cnt` is a double.
    let after = rig.pipeline.after.as_mut().unwrap();
    let cnt = after.columns.iter_mut().find(|(name, _)| name == "cnt").unwrap();
    cnt.1 = *weir_tests::oracle::expr::column("revenue");
    rig.site.checkpoint_uri.push_str("-2");
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["cnt"]);
}

#[test]
fn a_new_column_is_refused_and_a_missing_nullable_one_is_null() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig = rig(kafka, Store::Local);
    rig.finish();
    let full = rig.pipeline.clone();
    let after = rig.pipeline.after.as_mut().unwrap();
    after.columns.push(("extra".into(), *weir_tests::oracle::expr::column("cnt")));
    rig.site.checkpoint_uri.push_str("-2");
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["extra"]);

    rig.pipeline = full;
    rig.pipeline.after.as_mut().unwrap().columns.retain(|(name, _)| name != "avg_distance");
    // The pipeline gets another name, because a new checkpoint of the same pipeline over its table would be refused.
    rig.pipeline.name = "another".into();
    rig.site.checkpoint_uri.push_str("-3");
    rig.finish();
    let rows = table::read_log(&rig.table_folder());
    assert!(rows.iter().any(|r| r["avg_distance"].is_null()) && rows.iter().any(|r| r["avg_distance"].is_f64()));
}

#[test]
fn a_table_with_a_writer_feature_that_we_do_not_know() {
    let kafka = or_skip!(kafka::shared());
    let rig = rig(kafka, Store::Local);
    let log = rig.table_folder().join("_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    let protocol = json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [], "writerFeatures": ["rowTracking", "domainMetadata"]}});
    std::fs::write(log.join("00000000000000000000.json"), format!("{protocol}\n{}\n", metadata())).unwrap();
    assert_says(&rig.start().run(RUN_LIMIT), CONFIG, &["rowTracking"]);
}

/// The `metaData` action of the rides table.
fn metadata() -> Json {
    let field = |name: &str, r#type: &str| json!({"name": name, "type": r#type, "nullable": true, "metadata": {}});
    let fields = [
        field("date", "date"),
        field("city", "string"),
        field("win_start", "string"),
        field("win_end", "string"),
        field("revenue", "double"),
        field("avg_distance", "double"),
        field("cnt", "long"),
    ];
    let schema = json!({"type": "struct", "fields": fields}).to_string();
    json!({"metaData": {"id": "4f9bd0a8-0b1c-4c1e-8f0a-0d2b6f1d9c11", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
           "partitionColumns": ["date"], "configuration": {}, "createdTime": 1_767_225_600_000_i64}})
}
