//! Faults while a pipeline runs: in records, topics and disks.

use serde_json::{Value as Json, json};
use weir_tests::disk::Disk;
use weir_tests::engine::{CONFIG, DATA, OK, RETRY_EXHAUSTED, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Record};
use weir_tests::{deadline, or_skip, table};

use super::assert_says;

#[test]
fn a_bad_record_stops_the_pipeline_with_its_coordinates() {
    let kafka = or_skip!(kafka::shared());
    let mut records = Rides { partitions: 1, ..Rides::new(300) }.records();
    records[123].value = br#"{"rideId":"one"}"#.to_vec();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records);
    assert_says(&rig.start().run(RUN_LIMIT), DATA, &[&rig.site.topic, "123", "rideId"]);
}

/// The lane drops its sinks before the driver learns why. Whichever of them reports first, the reason must be the
/// record.
#[test]
fn a_record_without_a_value_for_a_map_stops_the_pipeline_with_its_coordinates_every_time() {
    let kafka = or_skip!(kafka::shared());
    let mut records = Rides { partitions: 1, ..Rides::new(1_000) }.records();
    let text = String::from_utf8(records[437].value.clone()).unwrap();
    let at = text.find(r#""userId":"#).unwrap() + r#""userId":"#.len();
    let end = at + text[at..].find([',', '}']).unwrap();
    let without = format!("{}0{}", &text[..at], &text[end..]);
    for (value, says) in [(without.into_bytes(), "division by zero"), (b"{".to_vec(), "want")] {
        records[437].value = value;
        let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records);
        let mut document = without_windows(&rig);
        document["spec"]["steps"][0]["map"]["columns"]
            .as_array_mut()
            .unwrap()
            .push(json!({"name": "q", "expr": "1 / userId"}));
        for _ in 0..5 {
            let exit = Start { document: document.clone().into(), ..rig.start() }.run(RUN_LIMIT);
            assert_says(&exit, DATA, &[&rig.site.topic, "offset 437", says]);
        }
    }
}

/// One bad record in a thousand costs only itself, and the dead letter is that record.
#[test]
fn bytes_that_are_not_text_cost_one_record_of_a_thousand() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut records = Rides { partitions: 1, ..Rides::new(1_000) }.records();
    for (i, record) in records.iter_mut().enumerate() {
        let base64 = if i == 437 { "/w==" } else { "w6k=" };
        record.value = String::from_utf8(record.value.clone())
            .unwrap()
            .replacen('{', &format!(r#"{{"code":"{base64}","#), 1)
            .into_bytes();
    }
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::Local, 1, &records);
    let mut document = rig.pipeline.document(&rig.site);
    let columns = &mut document["spec"]["sources"][0]["columns"];
    columns.as_array_mut().unwrap().push(json!({"name": "code", "type": "binary"}));
    document["spec"]["steps"][0]["map"]["columns"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "code", "expr": "cast(code as string)"}));
    let exit = Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT);
    exit.expect(OK);
    assert_eq!((exit.figure("records_dead_letter"), exit.figure("records_decoded")), (1, 999));
    let found = table::read_log(&rig.side_folder("rejected"));
    assert_eq!(found.iter().map(|row| row["offset"].clone()).collect::<Vec<_>>(), [json!(437)]);
    let reason = found[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("step `before`, column `code`: `cast(code as string)`: the bytes are not UTF-8"),
        "{reason}"
    );
}

#[test]
fn a_record_of_10_mb_is_read_like_any_other() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut records = Rides { partitions: 2, ..Rides::new(1_500) }.records();
    let long = "x".repeat(10_000_000);
    records[10].value =
        json!({"rideId": 1, "userId": 2, "city": long, "distanceKm": 1.0, "price": 2.0, "ts": "2026-01-01T00:00:10Z"})
            .to_string()
            .into_bytes();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &[]);
    // A topic must be configured for records of this size; the tests' broker accepts 16 MiB.
    topic::produce(&rig.site.bootstrap, &rig.site.topic, &records);
    rig.finish();
    rig.assert_right();
}

/// Deletes the topic of a pipeline that waits for records. Its lanes have sinks, which end with the lanes and must not
/// be reported as the reason.
fn with_topic_gone(back: bool) {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(
        Pipeline::rides_with_side_outputs(),
        kafka,
        Store::Local,
        1,
        &Rides { partitions: 1, ..Rides::new(1_500) }.records(),
    );
    let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).spawn();
    engine.wait_for_epochs(1, RUN_LIMIT);
    topic::delete(&rig.site.bootstrap, &rig.site.topic);
    if back {
        // The broker refuses the name until the old topic is completely deleted.
        let bootstrap = rig.site.bootstrap.clone();
        let name = rig.site.topic.clone();
        deadline::until("the topic is there again", RUN_LIMIT, || {
            std::panic::catch_unwind(|| topic::create(&bootstrap, &name, 1)).is_ok().then_some(())
        });
        let record = Record { partition: 0, key: None, value: Rides::ordered(1).records()[0].value.clone() };
        rig.produce(&[record]);
    }
    assert_says(&engine.wait(RUN_LIMIT), CONFIG, &[&rig.site.topic]);
}

#[test]
fn a_topic_deleted_while_running() {
    // Repeated, because it is a matter of chance whether the driver hears first of a lane or of its sinks.
    (0..3).for_each(|_| with_topic_gone(false));
}

#[test]
fn a_topic_recreated_while_running() {
    with_topic_gone(true);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    with_full_disk(300, 200 << 10, Rig::start, &["the disk is full"], |rig| drop(rig.assert_right()));
}

#[test]
fn a_full_disk_under_rows_that_lanes_write_is_said_and_loses_nothing() {
    let start = |rig: &Rig| Start { document: without_windows(rig).into(), ..rig.start() };
    // There is one epoch, and its data files are the first thing that does not fit.
    let says = ["sink `table`", ".parquet", "the disk is full"];
    with_full_disk(3_000, 224 << 10, start, &says, |rig| assert_eq!(table::read_log(&rig.table_folder()).len(), 3_000));
}

/// The record costs only itself. A table can't hold its row, since it reads an empty string back as null in a partition
/// column.
#[test]
fn a_record_whose_row_the_table_cannot_take_is_a_bad_record() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut records = Rides { partitions: 1, ..Rides::new(300) }.records();
    records[123].value = String::from_utf8(records[123].value.clone())
        .unwrap()
        .replacen(r#""city":"#, r#""city":"","was":"#, 1)
        .into_bytes();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records);
    let mut document = without_windows(&rig);
    // A column that is taken over unchanged is as non-nullable as in the source.
    document["spec"]["steps"][0]["map"]["columns"][0]["expr"] = json!("city");
    document["spec"]["sinks"][0]["delta"]["partitionBy"] = json!(["city"]);
    let exit = Start { document: document.clone().into(), ..rig.start() }.run(RUN_LIMIT);
    let offset = format!("{}-0 offset 123", rig.site.topic);
    assert_says(&exit, DATA, &[&offset, "column `city` of sink `table`", "an empty string"]);
    document["spec"]["sources"][0]["badRecords"] = json!({"policy": "Drop"});
    let exit = Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT);
    exit.expect(OK);
    assert_eq!(exit.figure("records_dropped"), 1);
    let good = table::read_log(&rig.table_folder());
    assert!(good.iter().all(|row| row["city"] != "") && good.len() > 250, "{}", good.len());
}

/// The rides document with its sink behind the first step, which lanes evaluate.
fn without_windows(rig: &Rig) -> Json {
    let mut document = rig.pipeline.document(&rig.site);
    document["spec"]["steps"].as_array_mut().unwrap().truncate(1);
    document["spec"]["sinks"][0]["from"] = json!("before");
    document["spec"]["sinks"][0]["delta"].as_object_mut().unwrap().remove("partitionBy");
    document
}

/// Runs until the disk is full (256 KiB, most of it occupied), makes room, and runs to the end.
fn with_full_disk(
    records_per_epoch: u64,
    taken_bytes: usize,
    start: impl Fn(&Rig) -> Start,
    says: &[&str],
    assert_right: impl Fn(&Rig),
) {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::new(3_000) }.records());
    let lake = rig.folder().join("lake");
    let disk = or_skip!(Disk::mount(&lake, 256));
    rig.site.records_per_epoch = records_per_epoch;
    std::fs::write(lake.join("ballast"), vec![0; taken_bytes]).unwrap();
    let exit = start(&rig).give_up_after(GIVES_UP_AFTER).run(RUN_LIMIT);
    assert_says(&exit, RETRY_EXHAUSTED, says);
    std::fs::remove_file(lake.join("ballast")).unwrap();
    disk.resize(64 << 10);
    start(&rig).run(RUN_LIMIT).expect(OK);
    assert_right(&rig);
}
