//! `weir produce rides`: the same flags give the same records in the same partitions; wrong flags are reported, and
//! nothing is sent.

use weir_tests::engine::{self, CONFIG};
use weir_tests::or_skip;
use weir_tests::oracle::Pipeline;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{self, Contents};

const PARTITIONS: i32 = 4;
const RIDES: &str = "--count 3000 --span 1h --start 2026-01-01T00:00:00Z --disorder 2m --late 0.01";

/// The contents of a new topic after a run with these flags.
fn produced(rig: &Rig, topic: &str, flags: &str) -> Contents {
    let topic = format!("{}-{topic}", rig.site.topic);
    topic::create(&rig.site.bootstrap, &topic, PARTITIONS);
    let mut args = vec!["produce", "rides", "--bootstrap", &rig.site.bootstrap, "--topic", &topic];
    args.extend(RIDES.split(' ').chain(flags.split(' ')));
    let out = engine::call(&args);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert!(said.trim_end().ends_with("0 not acknowledged yet"), "{said}");
    let mut contents = topic::read(&rig.site.bootstrap, &topic);
    // Only the time at which a record was sent does not follow from the seed.
    contents.values_mut().flat_map(|p| p.values_mut()).for_each(|record| record.timestamp_ms = None);
    contents
}

#[test]
fn the_same_seed_makes_the_same_topic_at_any_speed_and_another_seed_another() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    let [fast, slow, other] =
        [("fast", "--rate max --seed 5"), ("slow", "--rate 2500 --seed 5"), ("other", "--rate max --seed 6")]
            .map(|(t, f)| produced(&rig, t, f));
    assert_eq!(fast.values().map(std::collections::BTreeMap::len).sum::<usize>(), 3_000);
    assert!(fast.values().all(|p| p.len() > 500), "the keys should spread over the partitions");
    assert!(fast == slow, "the same seed made other records, or put them elsewhere");
    assert!(fast != other, "another seed made the same records");
    let decoded = fast
        .values()
        .flat_map(|p| p.values())
        .filter(|record| Pipeline::rides().decode(record, i64::MAX).is_some())
        .count();
    assert_eq!(decoded, 3_000, "every record fits the rides pipeline");
}

#[test]
fn wrong_flags_are_said_in_one_sentence_each() {
    for (flags, parts) in [
        ("--rate fast", &["'fast'", "--rate", "whole number of at least 1, or `max`"][..]),
        ("--disorder 2", &["'2'", "--disorder", "such as 500ms, 90s, 2m or 1h30m"]),
        ("--late 1.5", &["'1.5'", "--late", "a share from 0 to 1"]),
        ("--start yesterday", &["'yesterday'", "--start", "such as 2024-01-01T00:00:00Z"]),
        ("--span 1h", &["--count"]),
        ("--colour red", &["--colour"]),
    ] {
        let mut args = vec!["produce", "rides", "--bootstrap", "127.0.0.1:1", "--topic", "rides"];
        args.extend(flags.split(' '));
        let out = engine::call(&args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(CONFIG), "{flags}: {said}");
        // The error is one paragraph; clap's usage follows it.
        let sentence = said.split("\n\n").next().unwrap();
        assert!(parts.iter().all(|part| sentence.contains(part)), "{flags}: {said}");
    }
}

#[test]
fn wrong_use_of_the_program_says_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rides.yaml");
    std::fs::write(&file, "a: 1").unwrap();
    let file = file.to_string_lossy();
    for (args, says) in [
        (vec!["validate", &file], format!("write `-f {file}`")),
        (
            vec!["run", "-f", &file, "--http", "9464"],
            "write an IP address and a port, such as 127.0.0.1:9464".to_owned(),
        ),
        (
            vec!["run", "-f", &file, "--give-up-after", "5 s"],
            "write a duration such as 90s or 5m, or whole seconds such as 300".to_owned(),
        ),
        (vec!["run", "-f", &file, "--lanes", "0"], "0 is not in 1..=256".to_owned()),
        (vec!["run", "-f", &file, "--workers", "129"], "129 is not in 1..=128".to_owned()),
    ] {
        let out = engine::call(&args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(CONFIG) && said.contains(&says), "{args:?}: {said}");
    }
}

#[test]
fn a_topic_that_is_not_there_is_said() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    let out = engine::call(&[
        "produce",
        "rides",
        "--bootstrap",
        &rig.site.bootstrap,
        "--topic",
        "no-such-topic",
        "--count",
        "1",
    ]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(CONFIG), "{said}");
    assert!(said.contains("no-such-topic") && said.lines().count() == 1, "{said}");
}
