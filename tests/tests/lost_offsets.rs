//! Records that Kafka deletes before they are read, under each policy: the gap is reported, the manifest declares it
//! exactly, and nothing else is missing or doubled, whatever is killed.

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::replay::Outcome;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::ports;
use weir_tests::topic::{self, Contents, Record};
use weir_tests::{deadline, openmetrics, or_skip, table, web};

/// A topic of two partitions from which Kafka sometimes deletes records. All records that ever existed are kept for the
/// oracle.
struct Cut {
    rig: Rig,
    seen: Contents,
}

impl Cut {
    /// A topic with 600 rides in each partition, which a run has read.
    fn new(kafka: &Kafka) -> Self {
        let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &both(600, 0));
        assert_eq!(rig.finish().figure("records_read"), 1_200);
        Self { rig, seen: Contents::new() }
    }

    fn start(&self, trigger: &str, policy: &str) -> Start {
        self.rig.start_reading(trigger, &json!({"onLostOffsets": policy}))
    }

    fn produce(&self, records: &[Record]) {
        self.rig.produce(records);
    }

    fn delete_before(&mut self, partition: i32, offset: i64) {
        self.remember();
        topic::delete_records_before(&self.rig.site.bootstrap, &self.rig.site.topic, &[(partition, offset)]);
    }

    fn remember(&mut self) {
        for (partition, records) in topic::read(&self.rig.site.bootstrap, &self.rig.site.topic) {
            self.seen.entry(partition).or_default().extend(records);
        }
    }

    /// Every range that the manifests declare as lost, as (partition, start, end).
    fn lost(&self) -> Vec<(i32, i64, i64)> {
        let manifests = self.rig.manifests();
        let all = manifests
            .iter()
            .flat_map(|m| &m.partitions)
            .flat_map(|p| p.lost.iter().map(|(from, to)| (p.partition, *from, *to)));
        all.collect()
    }

    /// The oracle's verdict, and a check that every record was either read or declared as lost.
    fn assert_right(&mut self) -> Outcome {
        self.remember();
        let outcome = self.rig.assert_right_of(&self.seen);
        let produced: usize = self.seen.values().map(|records| records.len()).sum();
        assert_eq!(outcome.read + outcome.lost, produced as u64, "{outcome:?}");
        outcome
    }
}

/// The `nth` batch of rides, with `count` rides for each of two partitions.
fn both(count: usize, nth: usize) -> Vec<Record> {
    let rides = Rides { seed: nth as u64, ..Rides::ordered(2 * count) };
    let after = i64::try_from(nth * 2 * count).unwrap() * rides.step_us;
    (0..).zip(rides.starting(after).records()).map(|(i, record)| Record { partition: i % 2, ..record }).collect()
}

#[test]
fn offsets_that_are_gone_stop_the_pipeline_or_are_skipped_and_declared_as_the_document_says() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    for (policy, lost, read) in [("Earliest", (0, 600, 900), 900), ("Latest", (0, 600, 1_200), 600)] {
        let mut cut = Cut::new(kafka);
        cut.rig.lost_may_be_there = policy == "Latest";
        cut.produce(&both(600, 1));
        cut.delete_before(0, 900);
        let refused = cut.start("AvailableNow", "Fail").run(RUN_LIMIT);
        let said = "-0: offset 600 comes next, but Kafka has [900, 1200) and `onLostOffsets` is Fail";
        assert!(refused.expect(CONFIG).stderr.contains(said), "{}", refused.stderr);
        assert_eq!(cut.lost(), [], "what stops the pipeline is not decided");

        let exit = cut.start("AvailableNow", policy).run(RUN_LIMIT);
        let count = u64::try_from(lost.2 - lost.1).unwrap();
        assert_eq!((exit.expect(OK).figure("records_lost"), exit.figure("records_read")), (count, read), "{policy}");
        assert!(exit.stderr.contains("offsets lost: Kafka no longer had what comes next"), "{}", exit.stderr);
        assert_eq!(cut.lost(), [lost]);
        let told: u64 = exit.progress.iter().map(|p| p["sources"][0]["recordsLost"].as_u64().unwrap()).sum();
        assert_eq!((told, &exit.progress.last().unwrap()["totals"]["recordsLost"]), (count, &json!(count)));

        cut.produce(&both(300, 4));
        assert_eq!(cut.start("AvailableNow", policy).run(RUN_LIMIT).expect(OK).figure("records_read"), 600);
        let outcome = cut.assert_right();
        assert_eq!(outcome.lost, count);
    }
}

#[test]
fn a_gap_that_was_not_decided_is_found_anew_and_counted_once_although_it_has_grown() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut cut = Cut::new(kafka);
    cut.produce(&both(600, 1));
    cut.delete_before(0, 700);
    assert!(cut.start("AvailableNow", "Earliest").fail_at("manifest.create.before", 1).run(RUN_LIMIT).aborted());
    assert_eq!(cut.lost(), []);
    cut.delete_before(0, 850);
    assert!(cut.start("AvailableNow", "Earliest").fail_at("manifest.create.after", 1).run(RUN_LIMIT).aborted());
    assert_eq!(cut.lost(), [(0, 600, 850)]);
    // The rest of the run loses more records, in the other partition.
    let _ = cut.start("AvailableNow", "Earliest").run(RUN_LIMIT).expect(OK);
    cut.produce(&both(300, 4));
    cut.delete_before(1, 1_250);
    let _ = cut.start("AvailableNow", "Earliest").run(RUN_LIMIT).expect(OK);
    assert_eq!(cut.lost(), [(0, 600, 850), (1, 1_200, 1_250)]);
    assert_eq!(cut.assert_right().lost, 300);
}

#[test]
fn retention_that_overtakes_a_pipeline_while_it_runs_is_told_at_once_whenever_the_trigger_is() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut cut = Cut::new(kafka);
    // Neither the trigger nor a limit closes an epoch here.
    cut.rig.site.records_per_epoch = 1_000_000;
    let address = format!("127.0.0.1:{}", ports::free());
    let mut start = cut.start("AsSoonAsPossible", "Earliest").arg("--http").arg(&address);
    let weir_tests::engine::Document::Json(document) = &mut start.document else { panic!("a document") };
    document["spec"]["trigger"] = json!({"type": "Interval", "interval": "1h"});
    let mut run = start.spawn();
    deadline::until("it reads", RUN_LIMIT, || web::get(&address, "/readyz").ok().filter(|a| a.status == 200));
    // The process is stopped while the log goes on and is cut. A fetch may be under way; it may get some of the first
    // batch, but nothing of the second.
    run.stop();
    run.wait_until_stopped(RUN_LIMIT);
    cut.produce(&both(600, 1));
    cut.produce(&both(300, 4));
    cut.delete_before(1, 1_300);
    run.cont();
    let progress = deadline::until("the gap is told", RUN_LIMIT, || {
        let answer = web::get(&address, "/progress").ok().filter(|a| a.status == 200)?;
        serde_json::from_str::<Json>(&answer.body).ok().filter(|told| told["kind"] == "Data")
    });
    let lost = cut.lost();
    let [(1, from @ 600..=1_200, 1_300)] = lost[..] else { panic!("{lost:?}") };
    assert_eq!(progress["sources"][0]["recordsLost"], 1_300 - from);
    let families = openmetrics::parse(&web::get(&address, "/metrics").unwrap().body).unwrap();
    let metric = families.iter().find(|f| f.asked_for() == "weir_records_lost_total").unwrap();
    let told: f64 = metric.samples.iter().map(|s| s.value).sum();
    assert_eq!(told.to_string(), (1_300 - from).to_string());
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let _ = cut.start("AvailableNow", "Earliest").run(RUN_LIMIT).expect(OK);
    assert_eq!(cut.lost(), lost);
    cut.assert_right();
}

#[test]
fn a_listed_offset_that_is_gone_goes_by_the_policy() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &both(500, 0));
    let mut cut = Cut { rig, seen: Contents::new() };
    cut.delete_before(0, 300);
    let offsets = |topic: &str| json!([{"topic": topic, "partition": 0, "offset": 100}, {"topic": topic, "partition": 1, "offset": 0}]);
    let start = |cut: &Cut, policy: &str| {
        let kafka = json!({"startFrom": {"offsets": offsets(&cut.rig.site.topic)}, "onLostOffsets": policy});
        cut.rig.start_reading("AvailableNow", &kafka)
    };
    let refused = start(&cut, "Fail").run(RUN_LIMIT);
    assert!(
        refused
            .expect(CONFIG)
            .stderr
            .contains("-0` begins at 100, but Kafka has [300, 500) and `onLostOffsets` is Fail")
    );
    assert!(cut.rig.manifests().is_empty());
    assert_eq!(start(&cut, "Earliest").run(RUN_LIMIT).expect(OK).figure("records_lost"), 200);
    assert_eq!(cut.lost(), [(0, 100, 300)]);
    let outcome = cut.rig.assert_right_of(&topic::read(&cut.rig.site.bootstrap, &cut.rig.site.topic));
    assert_eq!((outcome.read, outcome.lost), (700, 200));
}
