#![allow(clippy::unwrap_used)]
use super::*;
use crate::checkpoint::manifest::UntilPartition;
use crate::decode::schemas::SchemaId;
use crate::source::kafka::{End, OffsetBounds};

const READ: i64 = 1_000;
const IDLE_AFTER: Duration = Duration::from_secs(3600);

fn id(partition: i32) -> TopicPartition {
    TopicPartition { topic: "rides".into(), partition }
}

/// Two partitions at offset 10.
fn reading(bounds: [Option<i64>; 2]) -> Reading {
    let partitions = [0, 1].map(|i| {
        let bound = bounds[usize::try_from(i).unwrap()];
        Partition::at(id(i), 10, bound, None, Instant::now())
    });
    Reading {
        name: "rides".into(),
        bad_share: BadShare::default(),
        max_bad_per_million: None,
        idle_after: IDLE_AFTER,
        is_timed_by_clock: false,
        partitions: partitions.into(),
        watermark: SourceWatermark::new(0, None, vec![None, None]),
        quiet_for: None,
        run_ends: bounds[0].is_some(),
        gone: Vec::new(),
    }
}

/// With `at_end`, the partition has been at its end long enough to be idle.
fn report(partition: usize, next: i64, max_event_time_us: Option<i64>, at_end: bool) -> PartitionReport {
    PartitionReport {
        partition,
        next,
        lost: Vec::new(),
        unreadable: Vec::new(),
        max_event_time_us,
        at_end_since: at_end.then(|| Instant::now() - IDLE_AFTER),
        waits: false,
        awaits: None,
        is_gone: false,
        leader_epoch: None,
    }
}

/// Closes an epoch. The leaders of all partitions were asked, and `ends` has their answers.
fn close_on(reading: &mut Reading, reports: Vec<PartitionReport>, ends: &[(i32, i64)]) -> SourceProgress {
    let ends = ends.iter().map(|&(partition, offset)| (id(partition), End { offset, leader_epoch: Some(3) })).collect();
    let at = Instant::now();
    reading.take_in(reports, at);
    reading.judge(at, &ends);
    reading.close(SourceCounts::default(), &BTreeMap::new(), None).unwrap()
}

/// Closes an epoch without asking any leader.
fn close(reading: &mut Reading, reports: Vec<PartitionReport>) -> SourceProgress {
    close_on(reading, reports, &[])
}

#[test]
fn an_epoch_goes_from_where_the_last_one_ended_to_what_the_lanes_report() {
    let mut reading = reading([None, None]);
    let first = close(&mut reading, vec![report(0, 15, Some(READ), false)]);
    assert_eq!(first.partitions.iter().map(|p| (p.start, p.end)).collect::<Vec<_>>(), [(10, 15), (10, 10)]);
    let second = close(&mut reading, vec![report(1, 12, Some(READ), false), report(0, 15, None, false)]);
    assert_eq!(second.partitions.iter().map(|p| (p.start, p.end)).collect::<Vec<_>>(), [(15, 15), (10, 12)]);
    assert_eq!(reading.next_offsets(), [(id(0), 15), (id(1), 12)]);
    assert_eq!(
        (first.watermark_after_us, second.watermark_before_us, second.watermark_after_us),
        (None, None, Some(READ))
    );
}

#[test]
fn a_gap_is_told_with_its_epoch_and_once() {
    let mut reading = reading([None, None]);
    let gap = OffsetRange { start: 10, end: 14 };
    let first = close(&mut reading, vec![PartitionReport { lost: vec![gap], ..report(1, 15, None, false) }]);
    assert_eq!(
        first.partitions.iter().map(|p| (p.start, p.end, p.lost_count())).collect::<Vec<_>>(),
        [(10, 10, 0), (10, 15, 4)]
    );
    let second = close(&mut reading, vec![report(1, 16, None, false)]);
    assert_eq!(second.partitions[1].lost, []);
}

#[test]
fn a_quiet_partition_is_idle_if_its_leader_says_that_its_log_ends_there_and_if_nobody_says_so_it_is_not() {
    for (said, idle, because) in [
        (Some(10), true, None),
        (Some(11), false, Some(Because::OpenTransaction)),
        (Some(9), false, None),
        (None, false, Some(Because::LeaderSilent)),
    ] {
        let mut reading = reading([None, None]);
        let ends: Vec<_> = said.map(|offset| (1, offset)).into_iter().collect();
        let closed = close_on(&mut reading, vec![report(0, 10, Some(READ), false), report(1, 10, None, true)], &ends);
        assert_eq!((closed.partitions[1].idle, closed.watermark_after_us), (idle, idle.then_some(READ)), "{said:?}");
        assert_eq!(closed.partitions[1].leader_epoch, idle.then_some(3));
        let (partition, because) =
            if idle { (0, Because::Slowest) } else { (1, because.unwrap_or(Because::NotReadYet)) };
        assert_eq!(reading.held_by(&closed), Some(Hold { topic: "rides".into(), partition, because }), "{said:?}");
    }
}

#[test]
fn only_leaders_of_partitions_that_have_been_quiet_for_long_are_asked() {
    let mut reading = reading([None, None]);
    let now = Instant::now();
    let since = |at_end_since| PartitionReport { at_end_since: Some(at_end_since), ..report(1, 10, None, true) };
    // The other partition has been read a moment later.
    let read_at = now + Duration::from_millis(1);
    reading.take_in(vec![report(0, 11, Some(READ), false), since(now)], read_at);
    assert_eq!(reading.quiet(now), []);
    assert_eq!(reading.quiet(now + IDLE_AFTER), [id(1)]);
    reading.take_in(vec![PartitionReport { is_gone: true, ..since(now) }], read_at);
    assert_eq!(reading.quiet(now + IDLE_AFTER), [], "a topic that is gone has no leader");
    reading.judge(now + IDLE_AFTER, &Ends::new());
    assert_eq!(reading.idle(), [false, true]);
}

#[test]
fn a_leader_that_fell_silent_before_all_was_read_is_named_too() {
    let mut reading = reading([None, None]);
    let end = (id(1), End { offset: 12, leader_epoch: None });
    // Nothing came from either partition in the epoch before, and neither was at its end.
    let silent_since = Instant::now();
    reading.take_in(vec![report(0, 15, Some(READ), false), report(1, 12, Some(READ), false)], silent_since);
    let at = silent_since + IDLE_AFTER * 2;
    assert_eq!(reading.quiet(at), [id(0), id(1)]);
    reading.judge(at, &[end.clone()].into());
    let because: Vec<_> = reading.partitions.iter().map(|p| (p.idle, p.not_idle.clone())).collect();
    assert_eq!(
        because,
        [(false, Some(Because::LeaderSilent)), (false, None)],
        "who was not seen at the end is not idle"
    );
    reading
        .take_in(vec![PartitionReport { waits: true, ..report(0, 15, None, false) }, report(1, 13, None, false)], at);
    assert_eq!(reading.quiet(at), [], "one waits for the others, and one moves");
}

#[test]
fn all_are_quiet_for_as_long_as_the_one_that_fell_silent_last_and_by_evidence() {
    let mut reading = reading([None, None]);
    let now = Instant::now();
    let since = |partition, at_end_since| PartitionReport {
        at_end_since: Some(at_end_since),
        ..report(partition, 10, None, true)
    };
    reading.take_in(vec![since(0, now), since(1, now + Duration::from_secs(2))], now);
    let at = now + IDLE_AFTER + Duration::from_secs(5);
    let end = End { offset: 10, leader_epoch: None };
    reading.judge(at, &[(id(0), end), (id(1), end)].into());
    assert_eq!(reading.quiet_for(), Some(IDLE_AFTER + Duration::from_secs(3)));
    reading.judge(at, &[(id(0), end)].into());
    assert_eq!(reading.quiet_for(), None);
}

#[test]
fn a_watermark_that_is_held_moves_when_it_is_let_go() {
    let mut reading = reading([None, None]);
    reading.take_in(vec![report(0, 15, Some(READ), false), report(1, 15, Some(READ), false)], Instant::now());
    assert!(reading.would_move());
    let held = reading.close(SourceCounts::default(), &BTreeMap::new(), Some(HeldBy::Discovery)).unwrap();
    assert_eq!((held.watermark_after_us, held.held_by), (None, Some(HeldBy::Discovery)));
    let moved = close(&mut reading, vec![]);
    assert_eq!((moved.watermark_after_us, moved.held_by), (Some(READ), None));
    assert!(!reading.would_move());
}

#[test]
fn a_partition_that_was_found_begins_at_its_earliest_and_holds_the_watermark_until_it_is_read_or_idle() {
    let mut reading = reading([None, None]);
    close(&mut reading, vec![report(0, 15, Some(READ), false), report(1, 12, Some(READ), true)]);
    let bounds = OffsetBounds { low: 7, end: 9 };
    reading.change(&[(id(2), bounds)], &[], Instant::now());
    assert_eq!(reading.next_offsets(), [(id(0), 15), (id(1), 12), (id(2), 7)]);
    assert!(reading.assignment(1).at_end_since.is_some(), "who was at the end still is");
    let further = Some(READ + 5);
    let held = close(
        &mut reading,
        vec![report(0, 16, further, false), report(1, 13, further, false), report(2, 7, None, false)],
    );
    assert_eq!((held.watermark_after_us, held.partitions[2].start), (Some(READ), 7));
    let read = close(&mut reading, vec![report(2, 8, Some(READ + 3), false)]);
    assert_eq!((read.watermark_after_us, read.topics_gone), (Some(READ + 3), vec![]));
}

#[test]
fn a_topic_that_is_gone_is_told_once_and_holds_nothing_back() {
    let mut reading = reading([None, None]);
    reading.partitions[0].id.topic = "old".into();
    close(&mut reading, vec![report(0, 15, Some(READ), false), report(1, 12, Some(READ + 9), false)]);
    reading.change(&[], &["old".into()], Instant::now());
    let closed = close(&mut reading, vec![report(0, 13, None, false)]);
    assert_eq!((closed.topics_gone, closed.watermark_after_us), (vec!["old".to_owned()], Some(READ + 9)));
    assert_eq!(
        closed.partitions.iter().map(|p| (p.topic.as_str(), p.start, p.end)).collect::<Vec<_>>(),
        [("rides", 12, 13)]
    );
    assert_eq!(close(&mut reading, vec![]).topics_gone, Vec::<String>::new());
}

#[test]
fn a_partition_without_records_does_not_hold_a_run_unless_some_have_come_for_the_next_one() {
    for (said, idle) in [(10, true), (500, false)] {
        let mut reading = reading([Some(20), Some(10)]);
        reading.idle_after = Duration::from_secs(3600);
        let reports = vec![report(0, 20, Some(READ), true), report(1, 10, None, true)];
        let closed = close_on(&mut reading, reports, &[(1, said)]);
        assert_eq!((closed.partitions[1].idle, closed.watermark_after_us), (idle, idle.then_some(READ)));
    }
}

#[test]
fn where_the_clock_gives_the_time_no_partition_is_idle_or_holds_the_watermark_and_the_clock_moves_it() {
    let mut reading = Reading { is_timed_by_clock: true, ..reading([Some(10), Some(20)]) };
    let reports = || vec![report(0, 10, None, true), report(1, 15, None, true)];
    reading.take_in(reports(), Instant::now());
    assert_eq!(reading.quiet(Instant::now()), [], "no leader is asked");
    let mut closed = close_on(&mut reading, reports(), &[(0, 10), (1, 15)]);
    assert_eq!(closed.partitions.iter().map(|p| (p.idle, p.watermark_us)).collect::<Vec<_>>(), [(false, None); 2]);
    assert_eq!((closed.watermark_after_us, reading.held_by(&closed)), (None, None));
    for (clock_us, expected_us) in [(READ, READ), (READ - 1, READ), (READ + 1, READ + 1)] {
        reading.follow_clock(&mut closed, clock_us);
        assert_eq!((closed.watermark_after_us, closed.moved_by), (Some(expected_us), None));
        assert_eq!(reading.watermark_us(), Some(expected_us));
    }
}

#[test]
fn a_run_ends_at_its_offsets_and_takes_nothing_of_partitions_found_later() {
    let until = Until {
        run: None,
        ends: vec![UntilPartition { source: "rides".into(), topic: "rides".into(), partition: 0, end: 7 }],
        reached: false,
    };
    assert_eq!(bound_of(&until, "rides", &id(0)), 7);
    assert_eq!(bound_of(&until, "rides", &id(1)), i64::MIN);
}

/// Whoever asks the leader of such a partition gets an answer about the log, and not about the schema.
#[test]
fn a_partition_that_waits_for_a_schema_says_so_since_it_first_did_and_its_leader_is_not_asked() {
    let mut reading = reading([None, None]);
    let waits = |offset, id, since_us| PartitionReport {
        awaits: Some(AwaitedSchema { offset, id: SchemaId(id), since_us }),
        ..report(1, offset, None, false)
    };
    let awaited = |reading: &Reading| {
        reading.awaited().map(|(id, a)| (id.partition, a.offset, a.id.0, a.since_us)).collect::<Vec<_>>()
    };
    let closed = close(&mut reading, vec![report(0, 11, Some(READ), false), waits(10, 7, 500)]);
    let held = Hold { topic: "rides".into(), partition: 1, because: Because::WaitsForSchema };
    assert_eq!(reading.held_by(&closed), Some(held));
    assert_eq!(reading.quiet(Instant::now() + IDLE_AFTER), [id(0)]);
    // Other lanes have met the record again.
    close(&mut reading, vec![waits(10, 7, 900)]);
    assert_eq!(awaited(&reading), [(1, 10, 7, 500)]);
    close(&mut reading, vec![waits(10, 8, 900)]);
    assert_eq!(awaited(&reading), [(1, 10, 8, 900)], "the record needs another schema, too");
    close(&mut reading, vec![report(1, 12, Some(READ), false)]);
    assert_eq!(awaited(&reading), []);
}
