//! Cases small enough to be computed by hand, with windows of 10 ms and a delay of 5 ms. Times are in milliseconds.

use serde_json::json;

use super::super::expr::column;
use super::super::pipeline::{Aggregate, BadRecords, Column, Map};
use super::super::value::Type;
use super::super::window::Window;
use super::*;

fn pipeline() -> Pipeline {
    let of = |name: &str, r#type, required| Column { name: name.into(), r#type, required };
    Pipeline {
        name: "tiny".into(),
        columns: vec![of("k", Type::String, false), of("n", Type::Bigint, false), of("ts", Type::Timestamp, true)],
        event_time: "ts".into(),
        delay_us: 5_000,
        bad_records: BadRecords::Drop,
        before: None,
        window: Window::tumbling(10_000),
        group_by: vec!["k".into()],
        aggregates: vec![("cnt".into(), Aggregate::CountAll), ("total".into(), Aggregate::Sum(*column("n")))],
        after: None,
        partition_by: vec![],
        ..Pipeline::rides()
    }
}

/// One partition's records, each `(k, n, time in ms)`, with offsets from 0.
fn records(all: &[(&str, i64, i64)]) -> BTreeMap<i64, Stored> {
    let text = |(k, n, ms): &(&str, i64, i64)| {
        json!({"k": k, "n": n, "ts": super::super::time::format_iso(ms * 1000)}).to_string().into_bytes()
    };
    (0..).zip(all.iter().map(text).map(Stored::from)).collect()
}

/// An epoch that reads these ranges: `(partition, start, end, idle)`. The epoch's own counts stay empty, since these
/// tests look only at the outcome.
fn epoch(number: u64, ranges: &[(i32, i64, i64, bool)]) -> Manifest {
    let partitions = ranges
        .iter()
        .map(|&(partition, start, end, idle)| Partition {
            topic: "t".into(),
            partition,
            start,
            end,
            lost: vec![],
            unreadable: vec![],
            watermark_us: None,
            idle,
        })
        .collect();
    Manifest { partitions, ..Manifest::empty(number) }
}

#[test]
fn what_was_destroyed_must_be_declared_exactly_and_nothing_else_may_be() {
    let all = Contents::from([(0, records(&[("a", 1, 1), ("a", 2, 2), ("a", 3, 3), ("a", 4, 4)]))]);
    let destroyed = Destroyed::from([(0, vec![(1, 3)])]);
    let contradicts = |declared: Vec<(i64, i64)>| {
        let mut manifest = epoch(1, &[(0, 0, 4, false)]);
        manifest.partitions[0].unreadable = declared;
        let outcome = replay_damaged(&pipeline(), Records::OfOne(&all), &destroyed, &[manifest]);
        assert_eq!((outcome.read, outcome.unreadable), (2, 2));
        outcome.contradictions.iter().any(|c| c.contains("unreadable ranges"))
    };
    assert!(!contradicts(vec![(1, 3)]));
    for wrong in [vec![], vec![(1, 4)], vec![(0, 3)], vec![(1, 2)], vec![(1, 2), (2, 3)]] {
        assert!(contradicts(wrong.clone()), "{wrong:?}");
    }
}

/// Rows as `k start cnt total`, in text order.
fn summary(outcome: &Outcome) -> Vec<String> {
    let mut all: Vec<String> = outcome
        .rows
        .iter()
        .map(|r| {
            format!("{} {} {} {}", r["k"], &r["window_start"].as_str().unwrap()[20..23], r["cnt"], r["total"])
                .replace('"', "")
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_window_closes_when_the_watermark_is_its_end_and_not_before() {
    let topic = Contents::from([(0, records(&[("a", 1, 3), ("a", 2, 14), ("a", 4, 15)]))]);
    let one = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 2, false)])]);
    assert_eq!((one.watermark_us, summary(&one)), (Some(9_000), vec![]));
    let two = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 2, false)]), epoch(2, &[(0, 2, 3, false)])]);
    assert_eq!((two.watermark_us, summary(&two)), (Some(10_000), vec!["a 000 1 1".to_owned()]));
    assert_eq!(two.groups_open, 1);
}

#[test]
fn a_partition_with_an_unread_record_that_was_there_before_the_clock_was_read_is_not_idle() {
    const THERE_US: i64 = 1_000_000;
    let mut all = records(&[("a", 1, 3), ("a", 2, 14)]);
    all.values_mut().for_each(|record| record.acknowledged_us = Some(THERE_US));
    let topic = Contents::from([(0, all)]);
    for (read_to, clock_us, contradicts) in [(1, THERE_US, true), (1, THERE_US - 1, false), (2, THERE_US + 1, false)] {
        let at = Manifest { clock_us, ..epoch(1, &[(0, 0, read_to, true)]) };
        let found = replay(&pipeline(), &topic, &[at]).contradictions;
        let says = "epoch 1: unread record of the idle partition 0: derived Some(1), the manifest says None".to_owned();
        assert_eq!(found.contains(&says), contradicts, "{found:?}");
    }
}

#[test]
fn a_watermark_that_is_held_until_new_partitions_are_looked_for_stays_where_it_was() {
    let topic = Contents::from([(0, records(&[("a", 1, 3), ("a", 2, 15)]))]);
    let held = Manifest { held_by: Some("Discovery".into()), ..epoch(1, &[(0, 0, 2, false)]) };
    let one = replay(&pipeline(), &topic, std::slice::from_ref(&held));
    assert_eq!((one.watermark_us, summary(&one)), (None, vec![]));
    let two = replay(&pipeline(), &topic, &[held, epoch(2, &[(0, 2, 2, false)])]);
    assert_eq!((two.watermark_us, summary(&two)), (Some(10_000), vec!["a 000 1 1".to_owned()]));
}

#[test]
fn a_row_on_a_boundary_belongs_to_the_window_that_starts_there() {
    let topic = Contents::from([(0, records(&[("a", 1, 9), ("a", 2, 10), ("a", 4, 35)]))]);
    let out = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 3, false)])]);
    assert_eq!(summary(&out), ["a 000 1 1", "a 010 1 2"]);
}

#[test]
fn disorder_within_an_epoch_makes_nothing_late_but_across_epochs_it_does() {
    let topic = Contents::from([(0, records(&[("a", 1, 30), ("a", 2, 3)]))]);
    let together = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 2, false)])]);
    assert_eq!((together.late, summary(&together)), (0, vec!["a 000 1 2".to_owned()]));
    let apart = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, false)]), epoch(2, &[(0, 1, 2, false)])]);
    assert_eq!((apart.late, summary(&apart)), (1, vec![]));
}

#[test]
fn the_watermark_never_goes_back() {
    let topic = Contents::from([(0, records(&[("a", 1, 30), ("a", 2, 22)])), (1, records(&[("b", 1, 1)]))]);
    let out = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, false)]), epoch(2, &[(0, 1, 2, false)])]);
    assert_eq!(out.watermark_us, Some(25_000));
    // An idle partition wakes with older rows: the source's watermark stays, and the rows are late.
    let idle = epoch(1, &[(0, 0, 1, false), (1, 0, 0, true)]);
    let awake = epoch(2, &[(0, 1, 2, false), (1, 0, 1, false)]);
    let out = replay(&pipeline(), &topic, &[idle, awake]);
    assert_eq!((out.watermark_us, out.late), (Some(25_000), 1));
}

#[test]
fn a_partition_that_was_never_read_holds_the_watermark_until_it_is_idle() {
    let topic = Contents::from([(0, records(&[("a", 1, 30)])), (1, BTreeMap::new())]);
    let held = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, false), (1, 0, 0, false)])]);
    assert_eq!(held.watermark_us, None);
    let idle = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, false), (1, 0, 0, true)])]);
    assert_eq!(idle.watermark_us, Some(25_000));
    let all_idle = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, true), (1, 0, 0, true)])]);
    assert_eq!(all_idle.watermark_us, Some(25_000));
}

#[test]
fn the_slowest_partition_sets_the_watermark() {
    let topic = Contents::from([(0, records(&[("a", 1, 30)])), (1, records(&[("a", 1, 16)]))]);
    let out = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, false), (1, 0, 1, false)])]);
    assert_eq!(out.watermark_us, Some(11_000));
}

#[test]
fn null_keys_are_a_group_and_null_numbers_are_left_out() {
    let bare = |ms: i64| json!({"ts": super::super::time::format_iso(ms * 1000)}).to_string().into_bytes().into();
    let mut all = records(&[("a", 1, 30)]);
    all.insert(1, bare(1));
    all.insert(2, bare(2));
    let out = replay(&pipeline(), &Contents::from([(0, all)]), &[epoch(1, &[(0, 0, 3, false)])]);
    assert_eq!(summary(&out), ["null 000 2 null"]);
}

#[test]
fn the_watermark_counts_rows_that_a_filter_takes_out_and_not_those_that_cannot_be_read() {
    let mut pipeline = pipeline();
    let all = ["k", "n"].map(|c| (c.to_owned(), *column(c))).to_vec();
    pipeline.before = Some(Map { filter: Some(super::super::expr::Expr::IsNull(column("n"))), columns: all });
    let mut topic = Contents::from([(0, records(&[("a", 1, 30)]))]);
    let filtered = replay(&pipeline, &topic, &[epoch(1, &[(0, 0, 1, false)])]);
    assert_eq!((filtered.watermark_us, filtered.filtered), (Some(25_000), 1));
    topic.get_mut(&0).unwrap().insert(1, br#"{"k":"a","n":"x","ts":"1970-01-01T00:00:01Z"}"#.to_vec().into());
    let bad = replay(&pipeline, &topic, &[epoch(1, &[(0, 0, 2, false)])]);
    assert_eq!((bad.watermark_us, bad.read, bad.dropped), (Some(25_000), 2, 1));
}

#[test]
fn a_range_that_overlaps_or_skips_is_a_contradiction() {
    let topic = Contents::from([(0, records(&[("a", 1, 3), ("a", 2, 4), ("a", 3, 5)]))]);
    for second in [(0, 0, 3, false), (0, 2, 3, false)] {
        let out = replay(&pipeline(), &topic, &[epoch(1, &[(0, 0, 1, false)]), epoch(2, &[second])]);
        assert!(
            out.contradictions.iter().any(|c| c.contains("epoch 2: start of partition 0")),
            "{:?}",
            out.contradictions
        );
    }
}

#[test]
fn what_is_declared_as_lost_is_not_read_and_must_lie_in_the_range() {
    let topic = Contents::from([(0, records(&[("a", 1, 3), ("a", 2, 4), ("a", 4, 5), ("a", 8, 30)]))]);
    let mut m = epoch(1, &[(0, 0, 4, false)]);
    m.partitions[0].lost = vec![(1, 3)];
    let out = replay(&pipeline(), &topic, std::slice::from_ref(&m));
    assert_eq!((out.read, out.lost, summary(&out)), (2, 2, vec!["a 000 1 1".to_owned()]));
    for wrong in [(3, 5), (-1, 1), (2, 2)] {
        m.partitions[0].lost = vec![wrong];
        let out = replay(&pipeline(), &topic, std::slice::from_ref(&m));
        assert!(
            out.contradictions.iter().any(|c| c.contains("epoch 1: lost range")),
            "{wrong:?}: {:?}",
            out.contradictions
        );
    }
}

#[test]
fn a_partition_is_carried_on_unless_its_topic_is_declared_gone() {
    let topic = Contents::from([(0, records(&[("a", 1, 3)])), (1, records(&[("a", 1, 4)]))]);
    let two = epoch(1, &[(0, 0, 1, false), (1, 0, 1, false)]);
    let forgetful = epoch(2, &[(0, 1, 1, false)]);
    let said = |out: &Outcome| out.contradictions.iter().filter(|c| c.contains("topics that are gone")).count();
    assert_eq!(said(&replay(&pipeline(), &topic, &[two.clone(), forgetful])), 1);
    let without = Manifest { topics_gone: vec!["t".into()], ..epoch(2, &[]) };
    assert_eq!(said(&replay(&pipeline(), &topic, &[two.clone(), without])), 0);
    let wrongly = Manifest { topics_gone: vec!["t".into()], ..epoch(2, &[(0, 1, 1, false), (1, 1, 1, false)]) };
    assert_eq!(said(&replay(&pipeline(), &topic, &[two, wrongly])), 1);
}

#[test]
fn a_manifest_with_right_figures_is_not_contradicted_and_with_wrong_ones_is() {
    let topic = Contents::from([(0, records(&[("a", 1, 3), ("a", 2, 15)]))]);
    let mut m = epoch(1, &[(0, 0, 2, false)]);
    m.partitions[0].watermark_us = Some(10_000);
    m.watermark_after_us = Some(10_000);
    (m.read, m.decoded, m.rows_in, m.rows_out, m.committed_rows, m.open_windows) = (2, 2, 2, 1, 1, 1);
    m.totals = super::super::manifest::Totals { epochs: 1, read: 2, ..m.totals };
    assert_eq!(replay(&pipeline(), &topic, std::slice::from_ref(&m)).contradictions, Vec::<String>::new());
    m.totals.read = 3;
    assert_eq!(replay(&pipeline(), &topic, std::slice::from_ref(&m)).contradictions.len(), 1);
    m.totals.read = 2;
    m.watermark_after_us = Some(9_999);
    assert_eq!(replay(&pipeline(), &topic, &[m]).contradictions.len(), 1);
}
