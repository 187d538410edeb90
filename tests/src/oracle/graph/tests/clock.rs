//! Rows whose time is the clock's. Times are in microseconds.

use super::*;
use crate::oracle::Window;
use crate::oracle::graph::step::{Aggregation, Span};
use crate::oracle::pipeline::Aggregate;

/// Counts of `a` in windows of 10 µs by the clock.
fn clocked() -> Graph {
    let counts = Aggregation {
        from: "a".into(),
        span: Span::Window(Window::tumbling(10)),
        group_by: vec![],
        columns: vec![("n".into(), Aggregate::CountAll)],
    };
    let mut graph = graph(&["a"], vec![("s1", Operation::Aggregate(counts))]);
    graph.sources[0].event_time = Some(EventTime::by_clock());
    graph
}

/// Epochs with what they read, their reading of the clock for rows, and the one at their end.
fn told(epochs: &[(i64, Option<i64>, i64)]) -> Outcome {
    let ends: Vec<i64> = epochs
        .iter()
        .scan(0, |end, (count, ..)| {
            *end += count;
            Some(*end)
        })
        .collect();
    let mut manifests = cuts(&ends);
    for (manifest, (_, reading, clock_us)) in manifests.iter_mut().zip(epochs) {
        manifest.whole.clock_us = *clock_us;
        let of_source = manifest.of.get_mut("a").unwrap();
        (of_source.processing_time_us, of_source.watermark_after_us) = (*reading, Some(*clock_us));
    }
    let records: Vec<Short<'_>> = (0..ends.last().copied().unwrap_or_default()).map(|n| ("k", n, 0)).collect();
    clocked().replay(&topics(&[("a", &[&records])]), &manifests)
}

/// Whether a contradiction says this.
fn is_said(epochs: &[(i64, Option<i64>, i64)], what: &str) -> bool {
    told(epochs).contradictions.iter().any(|said| said.contains(what))
}

#[test]
fn rows_have_the_time_of_the_reading_and_windows_close_by_the_clock_at_the_end_of_an_epoch() {
    let outcome = told(&[(2, Some(15), 18), (3, Some(19), 19), (0, None, 20), (1, Some(20), 35)]);
    let counts =
        |epoch| outcome.emitted[&epoch]["out"].iter().map(|row| row["n"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!([1, 2, 3, 4].map(counts), [vec![], vec![], vec![5], vec![1]]);
    assert_eq!(outcome.watermarks["a"], Some(35));
}

#[test]
fn a_reading_lies_between_the_ends_of_its_epoch_and_of_the_one_before() {
    let lies = "for a lies in";
    for (reading, is_right) in [(17, false), (18, true), (25, true), (26, false)] {
        assert_eq!(!is_said(&[(1, Some(15), 18), (1, Some(reading), 25)], lies), is_right, "{reading}");
    }
    assert!(!is_said(&[(1, Some(15), 18), (1, Some(18), 12)], lies), "the clock was set back");
    assert!(is_said(&[(1, None, 18)], "has rows without a reading"));
    assert!(!is_said(&[(0, None, 18)], "has rows without a reading"));
}

#[test]
fn the_clock_makes_an_epoch_only_if_something_leaves() {
    assert!(!is_said(&[(1, Some(15), 18), (0, None, 20)], "the epoch was due"));
    assert!(is_said(&[(1, Some(15), 18), (0, None, 19)], "epoch 2: whether the epoch was due"));
    assert!(is_said(&[(1, Some(15), 28), (0, None, 30)], "epoch 2: whether the epoch was due"), "it has left before");
}
