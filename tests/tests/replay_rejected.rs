//! `weir replay-rejected`: dead letters go back to their topic unchanged, and a corrected document takes them in.

use std::fs;
use std::process::Output;

use rustix::process::Signal;
use serde_json::json;
use weir_tests::engine::{self, CONFIG, OK, RETRY_EXHAUSTED};
use weir_tests::oracle::replay::replay_uncut;
use weir_tests::oracle::{Pipeline, assert_same_rows};
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::Kafka;
use weir_tests::services::{kafka, s3};
use weir_tests::topic::{self, Record, Stored};
use weir_tests::{deadline, or_skip, table};

const HOUR_US: i64 = 3_600_000_000;

/// A pipeline that requires a known user in every ride.
fn strict() -> Pipeline {
    Pipeline { delay_us: 6 * HOUR_US, ..Pipeline::rides_with_side_outputs() }
}

/// A pipeline that accepts guests too.
fn corrected() -> Pipeline {
    let mut pipeline = strict();
    pipeline.columns.iter_mut().filter(|c| c.name == "userId").for_each(|c| c.required = false);
    pipeline
}

/// Turns every `every`th ride into a guest's.
fn with_guests(mut records: Vec<Record>, every: usize) -> Vec<Record> {
    for record in records.iter_mut().skip(every / 2).step_by(every) {
        let mut ride: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        ride["userId"] = json!(null);
        record.value = ride.to_string().into_bytes();
    }
    records
}

fn command(rig: &Rig, args: &[&str]) -> Vec<String> {
    let file = rig.folder().join("replayed.yaml");
    fs::write(&file, rig.pipeline.document(&rig.site).to_string()).unwrap();
    let (file, secrets) = (file.display().to_string(), rig.folder().join("secrets").display().to_string());
    let fixed = ["replay-rejected", "-f", &file, "--secrets", &secrets];
    fixed.iter().chain(args).map(|&arg| arg.to_owned()).collect()
}

fn call(rig: &Rig, args: &[&str]) -> Output {
    let command = command(rig, args);
    engine::call(&command.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Replays, and returns what the command printed, and the flags after `next:`.
fn replay(rig: &Rig, args: &[&str]) -> (String, Vec<String>) {
    let out = call(rig, args);
    assert_eq!(out.status.code(), Some(OK), "{}", String::from_utf8_lossy(&out.stderr));
    let said = String::from_utf8(out.stdout).unwrap();
    let next = said.lines().find_map(|line| line.strip_prefix("next: ")).unwrap_or_default();
    let next = next.split(' ').map(str::to_owned).collect();
    (said, next)
}

/// The one sentence of a replay that is refused.
fn refused(rig: &Rig, args: &[&str]) -> String {
    let out = call(rig, args);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(CONFIG), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stdout));
    said
}

/// All records of the topic, by partition and in their order.
fn contents(rig: &Rig) -> Vec<Vec<Stored>> {
    topic::read(&rig.site.bootstrap, &rig.site.topic)
        .into_values()
        .map(|partition| partition.into_values().collect())
        .collect()
}

fn count(rig: &Rig) -> usize {
    contents(rig).iter().map(Vec::len).sum()
}

fn strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The whole procedure. In the end the table is what it would be if the document had been right from the first record
/// on.
fn dead_letters_are_taken_in_by_a_corrected_document(kafka: &Kafka, store: Store<'_>) {
    let rides = Rides { partitions: 3, late_per_million: 0, ..Rides::new(3_000) };
    let mut rig = Rig::new(strict(), kafka, store, 3, &with_guests(rides.records(), 100));
    rig.finish();
    assert_eq!(rig.assert_right().rejected.len(), 30);

    rig.pipeline = corrected();
    let mut as_if = topic::read(&rig.site.bootstrap, &rig.site.topic);
    let (said, next) = replay(&rig, &[]);
    assert!(said.contains(&format!("30 dead letters replayed to {}", rig.site.topic)), "{said}");
    assert_eq!(count(&rig), 3_030);
    let (said, again) = replay(&rig, &strs(&next));
    assert!(said.contains("0 dead letters replayed to no topic"), "{said}");
    assert_eq!((again, count(&rig)), (next, 3_030), "nothing goes back twice");

    // These rides are hours later, so that the windows of the earlier ones close.
    let closing = Rides { partitions: 3, late_per_million: 0, ..Rides::new(60) }.starting(12 * HOUR_US).records();
    rig.produce(&closing);
    for (partition, records) in topic::read(&rig.site.bootstrap, &rig.site.topic) {
        let count = closing.iter().filter(|r| r.partition == partition).count();
        as_if.entry(partition).or_default().extend(records.into_iter().rev().take(count));
    }
    let as_if = replay_uncut(&rig.pipeline, &as_if);
    rig.finish();
    assert_eq!((as_if.rejected.len(), as_if.late), (0, 0));
    assert!(as_if.rows.len() > 40, "windows should have closed: {}", as_if.rows.len());
    assert_same_rows(&as_if.rows, &table::read_log(&rig.table_folder()));
    assert_eq!(table::read_log(&rig.side_folder("rejected")).len(), 30, "no letter came back");
}

#[test]
fn dead_letters_on_local_disk_are_taken_in_by_a_corrected_document() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    dead_letters_are_taken_in_by_a_corrected_document(kafka, Store::Local);
}

#[test]
fn dead_letters_on_s3_are_taken_in_by_a_corrected_document() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    dead_letters_are_taken_in_by_a_corrected_document(kafka, Store::S3(s3, None));
}

/// The replayed records equal the first half of each partition, since all of it is bad. They are still bad, so they
/// become dead letters again.
#[test]
fn records_come_back_byte_for_byte_with_where_they_are_from() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // The records have the timestamps that their producer chose.
    let create = |topic: &str| topic::create(&kafka.bootstrap(), topic, 2);
    let rig = Rig::with_topic(strict(), kafka.bootstrap(), Store::Local, create, &[]);
    let record = |partition, key: Option<&str>, value: &[u8]| Record {
        partition,
        key: key.map(str::to_owned),
        value: value.to_vec(),
    };
    let large = [b"{".as_slice(), &[0xff; 3_000_000]].concat();
    rig.produce(&[
        record(0, None, b"\x00\xff\xfe{"),
        record(1, Some(""), b""),
        record(1, Some("k\u{e9}\u{0}"), b"[]"),
        record(0, Some("large"), &large),
    ]);
    topic::produce_tombstone(&rig.site.bootstrap, &rig.site.topic, 1, "gone");
    rig.finish();
    let before = contents(&rig);
    replay(&rig, &[]);
    let after = contents(&rig);
    for (partition, (before, after)) in before.iter().zip(&after).enumerate() {
        let (first, second) = after.split_at(before.len());
        assert_eq!(first, before);
        let stripped = |records: &[Stored]| -> Vec<_> {
            records.iter().map(|r| Stored { headers: Vec::new(), acknowledged_us: None, ..r.clone() }).collect()
        };
        assert_eq!(stripped(second), stripped(before), "keys, values and times");
        for (offset, record) in second.iter().enumerate() {
            let from = format!("{}/{partition}/{offset}", rig.site.topic);
            assert_eq!(record.headers[0], ("weir-replayed-from".to_owned(), Some(from.into_bytes())));
            assert_eq!(record.headers[1].0, "weir-replayed-reason");
            assert!(record.headers[1].1.as_ref().is_some_and(|reason| !reason.is_empty()));
        }
    }
    rig.finish();
    assert_eq!(rig.assert_right().rejected.len(), 10);
}

#[test]
fn another_topic_gets_them_by_their_keys() {
    let kafka = or_skip!(kafka::shared());
    let record = |key: &str| Record { partition: 0, key: Some(key.to_owned()), value: b"{".to_vec() };
    let rig =
        Rig::new(strict(), kafka, Store::Local, 1, &(0..50).map(|i| record(&(i % 10).to_string())).collect::<Vec<_>>());
    rig.finish();
    let other = format!("{}-repair", rig.site.topic);
    assert!(refused(&rig, &["--topic", &other]).contains(&format!("topic {other} does not exist")));
    topic::create(&rig.site.bootstrap, &other, 4);
    replay(&rig, &["--topic", &other]);
    let found = topic::read(&rig.site.bootstrap, &other);
    let keys = |p: i32| found[&p].values().map(|r| r.key.clone()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(found.values().map(std::collections::BTreeMap::len).sum::<usize>(), 50);
    assert_eq!((0..4).map(|p| keys(p).len()).sum::<usize>(), 10, "one partition for a key");
    assert!((0..4).filter(|&p| !keys(p).is_empty()).count() > 1, "keys spread over the partitions");
    assert_eq!(count(&rig), 50);
}

#[test]
fn a_dry_run_counts_by_reason_and_a_replay_may_be_of_one_reason_and_of_so_many() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut records = with_guests(Rides { partitions: 1, ..Rides::ordered(200) }.records(), 20);
    records.push(Record { partition: 0, key: None, value: b"{".to_vec() });
    let rig = Rig::new(strict(), kafka, Store::Local, 1, &records);
    rig.finish();
    let (said, _) = replay(&rig, &["--dry-run"]);
    assert!(said.contains("        10  $.userId  found null, and the column is required\n         1  "), "{said}");
    assert!(said.ends_with("11 dead letters; nothing was produced\n"), "{said}");
    let (said, _) = replay(&rig, &["--dry-run", "--reason", "required", "--limit", "4"]);
    assert!(said.ends_with(": 4 dead letters; nothing was produced\n"), "{said}");
    assert_eq!(count(&rig), 201);

    let (said, next) = replay(&rig, &["--reason", "required", "--limit", "4"]);
    assert!(said.contains("4 dead letters replayed") && next.contains(&"--skip".to_owned()), "{said}");
    replay(&rig, &[&["--reason", "required"], strs(&next).as_slice()].concat());
    let partition = contents(&rig).remove(0);
    let replayed: Vec<_> = partition[201..].iter().map(|r| r.value.clone()).collect();
    let guests: Vec<_> = with_guests(Rides { partitions: 1, ..Rides::ordered(200) }.records(), 20);
    let guests: Vec<_> = guests.iter().skip(10).step_by(20).map(|r| Some(r.value.clone())).collect();
    assert_eq!(replayed, guests, "each once, in their order");
}

#[test]
fn wrong_use_is_said_in_one_sentence() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rig =
        Rig::new(strict(), kafka, Store::Local, 1, &[Record { partition: 0, key: None, value: b"{".to_vec() }]);
    assert!(refused(&rig, &[]).contains("there is no table at file://"));
    rig.finish();
    let newest = table::history(&rig.side_folder("rejected")).len() - 1;
    let says = refused(&rig, &["--to-version", "99"]);
    assert!(says.contains(&format!("is at version {newest}; there is no version 99 yet")), "{says}");
    assert!(
        refused(&rig, &["--sink", "table"])
            .contains("--sink `table`: the sink does not read the output `Rejected` of a source")
    );

    assert!(refused(&rig, &["--from-version", "99"]).contains("there is no version 99 yet to begin with"));
    assert_eq!(count(&rig), 1, "nothing was produced");

    rig.site.table_uri = format!("file://{}/elsewhere", rig.folder().display());
    let elsewhere = rig.folder().join("elsewhere-rejected");
    fs::create_dir_all(elsewhere.join("_delta_log")).unwrap();
    fs::copy(
        rig.table_folder().join("_delta_log").join(format!("{:020}.json", 0)),
        elsewhere.join("_delta_log/00000000000000000000.json"),
    )
    .unwrap();
    let says = refused(&rig, &[]);
    assert!(says.contains("is no table of dead letters: there is no column `topic` (string), "), "{says}");

    rig.pipeline = Pipeline::rides();
    assert!(refused(&rig, &[]).contains("spec.sinks: none reads a source's output `Rejected`"));
}

/// A replay is at least once, and its line of progress says from where on nothing is missing.
#[test]
fn a_replay_that_was_killed_goes_on_as_its_progress_said() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let bad = |from: usize| {
        (from..from + 20).map(|i| Record { partition: 0, key: None, value: format!("[{i}").into_bytes() })
    };
    let mut rig = Rig::new(strict(), kafka, Store::S3(s3, None), 1, &bad(0).collect::<Vec<_>>());
    rig.finish();
    rig.produce(&bad(20).collect::<Vec<_>>());
    rig.finish();
    let history = table::history(&rig.side_folder("rejected"));
    assert_eq!(history.iter().map(|v| v.rows).collect::<Vec<_>>(), [0, 20, 20]);

    // The second file of dead letters never arrives.
    let proxy = Proxy::start(&s3.address());
    rig.site.s3_endpoint = Some(proxy.endpoint());
    let second = fs::read_to_string(rig.side_folder("rejected").join(format!("_delta_log/{:020}.json", 2))).unwrap();
    let add = second
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
        .find(|a| a["add"].is_object())
        .unwrap();
    let file = add["add"]["path"].as_str().unwrap().to_owned();
    let hidden = file.clone();
    proxy.inject(
        Rule::when(Fault::BlackHole, move |r| r.method == "GET" && r.path().ends_with(&hidden)).times(u32::MAX),
    );
    let stderr = rig.folder().join("replay.stderr");
    let args = command(&rig, &[]);
    let mut process = engine::start(&strs(&args), &stderr);
    let said = || fs::read_to_string(&stderr).unwrap_or_default();
    deadline::until("the replay hangs behind its first letters", RUN_LIMIT, || {
        assert!(process.ended().is_none(), "{}", said());
        (proxy.struck() > 0 && said().contains("next: ")).then_some(())
    });
    process.signal(Signal::KILL);
    assert!(process.wait(RUN_LIMIT).is_some());
    let line = said().lines().find_map(|l| l.split_once("next: ").map(|(_, next)| next.to_owned())).unwrap();
    assert_eq!((line.as_str(), count(&rig)), ("--from-version 1 --skip 20", 60));

    // A replay that can't go on says the same. Its `--give-up-after` applies to the store and to Kafka, which is there,
    // though it may be slow.
    proxy.heal();
    proxy.inject(
        Rule::when(Fault::Answer(503), move |r| r.method == "GET" && r.path().ends_with(&file)).times(u32::MAX),
    );
    let out =
        call(&rig, &["--from-version", "1", "--skip", "19", "--give-up-after", &GIVES_UP_AFTER.as_secs().to_string()]);
    assert_eq!(out.status.code(), Some(RETRY_EXHAUSTED), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(String::from_utf8(out.stdout).unwrap(), "next: --from-version 1 --skip 20\n");

    proxy.heal();
    let (_, next) = replay(&rig, &line.split(' ').collect::<Vec<_>>());
    assert_eq!(next, ["--from-version", "3"]);
    let values = |records: &[Stored]| records.iter().map(|r| r.value.clone().unwrap()).collect::<Vec<_>>();
    let all = contents(&rig).remove(0);
    let expected = [&all[..20], &all[19..40]].concat();
    assert_eq!(values(&all[40..]), values(&expected), "each once, but for the one that was asked for again");
}
