//! Windows behind windows, windows of the input, late rows behind several inputs, and sessions.

use super::*;
use crate::oracle::aggregate::Aggregate;
use crate::oracle::expr::column;
use crate::oracle::graph::step::{Aggregation, Span, Union};
use crate::oracle::window::Window;

fn counts(from: &str, span: Span, keys: &[&str]) -> Operation {
    Operation::Aggregate(Aggregation {
        from: from.into(),
        span,
        group_by: keys.iter().map(|key| (*key).into()).collect(),
        columns: vec![("cnt".into(), Aggregate::CountAll)],
    })
}

fn tumbling(size_ms: i64) -> Span {
    Span::Window(Window::tumbling(size_ms * 1_000))
}

#[test]
fn a_window_behind_a_window_closes_in_the_same_epoch_and_one_of_the_input_with_it() {
    let most = Operation::Aggregate(Aggregation {
        from: "s1".into(),
        span: Span::OfInput,
        group_by: vec![],
        columns: vec![("most".into(), Aggregate::Max(*column("cnt")))],
    });
    let g = graph(
        &["a"],
        vec![("s1", counts("a", tumbling(10), &["k"])), ("s2", counts("s1", tumbling(20), &[])), ("s3", most)],
    );
    let g = Graph { sinks: vec![Sink::append("out", "s3"), Sink::append("late", "s2")], ..g };
    let records = [("x", 1, 1), ("x", 1, 2), ("y", 1, 3), ("x", 1, 12), ("x", 1, 24), ("x", 1, 25)];
    // The watermark is 19, then 20.
    let out = replay(&g, &records, &[5]);
    assert_eq!((rows(&g, &out, "out"), rows(&g, &out, "late")), (vec!["0 10 2".to_owned()], vec![]));
    let out = replay(&g, &records, &[5, 6]);
    assert_eq!(rows(&g, &out, "out"), ["0 10 2", "10 20 1"]);
    assert_eq!(rows(&g, &out, "late"), ["0 20 3"], "two groups of the first window and one of the second");
    assert_eq!(out.waiting, [("s1", 1), ("s2", 0), ("s3", 0)].map(|(name, n)| (name.to_owned(), n)).into());
}

#[test]
fn a_row_is_late_by_the_least_watermark_of_the_inputs_before_the_epoch() {
    let union = Operation::Union(Union { inputs: keys(&["a", "b"]) });
    let mut g = graph(&["a", "b"], vec![("s1", union), ("s2", counts("s1", tumbling(10), &["k"]))]);
    g.sinks.push(Sink::append("late", "s2.Late"));
    let all = topics(&[("a", &[&[("x", 1, 15), ("x", 2, 3)]]), ("b", &[&[("y", 3, 14), ("y", 4, 16), ("y", 5, 4)]])]);
    // After the first epoch, a is at 10 and b at 9; after the second, both are at 10 or further.
    let one = epoch(1, &[("a", &[(0, 0, 1, false)]), ("b", &[(0, 0, 1, false)])]);
    let two = epoch(2, &[("a", &[(0, 1, 2, false)]), ("b", &[(0, 1, 2, false)])]);
    let three = epoch(3, &[("a", &[(0, 2, 2, false)]), ("b", &[(0, 2, 3, false)])]);
    let out = g.replay(&all, &[one, two, three]);
    assert_eq!(out.watermarks, [("a", 10_000), ("b", 11_000)].map(|(name, us)| (name.to_owned(), Some(us))).into());
    assert_eq!(rows(&g, &out, "out"), ["0 10 x 1"], "the row of 3 came in time, the row of 4 did not");
    assert_eq!(rows(&g, &out, "late"), ["y 5 4 0"]);
}

#[test]
fn a_session_closes_once_the_watermark_is_past_its_end_and_holds_back_what_is_behind_it() {
    let session = Span::Window(Window::Session { gap_us: 10_000 });
    let g = graph(&["a"], vec![("s1", counts("a", session, &["k"])), ("s2", counts("s1", tumbling(20), &[]))]);
    let g = Graph { sinks: vec![Sink::append("out", "s1"), Sink::append("late", "s2")], ..g };
    // The session [0, 20) of x ends at the watermark of the third record, and closes by the fourth one's.
    let mut records = vec![("x", 1, 0), ("x", 1, 10), ("y", 1, 25)];
    assert_eq!(rows(&g, &replay(&g, &records, &[3]), "out"), Vec::<String>::new());
    records.push(("y", 1, 26));
    let out = replay(&g, &records, &[3, 4]);
    assert_eq!(rows(&g, &out, "out"), ["0 20 x 2"]);
    // Its row has the time 20 less a microsecond, and the watermark behind sessions is 21 less a microsecond.
    assert_eq!(rows(&g, &out, "late"), ["0 20 1"]);
    assert_eq!(out.contradictions.iter().filter(|c| c.contains("is behind the watermark")).count(), 0);
}

#[test]
fn what_closes_at_the_end_of_a_run_is_raised_to_the_last_end_and_hold_backs_are_added() {
    let session = Span::Window(Window::Session { gap_us: 10_000 });
    let g = graph(&["a"], vec![("s1", counts("a", session, &["k"])), ("s2", counts("s1", tumbling(20), &[]))]);
    let mut last = cuts(&[2]);
    last[0].of.get_mut("a").unwrap().moved_by = Some("EndOfRun".into());
    let out = g.replay(&topics(&[("a", &[&[("x", 1, 0), ("x", 1, 10)]])]), &last);
    // The session ends at 20 and its row lies in the window [0, 20), which closes at 20: a microsecond later by the
    // watermark of the source, as the session itself.
    assert_eq!(out.watermarks["a"], Some(20_001));
    assert_eq!(rows(&g, &out, "out"), ["0 20 1"]);
    assert_eq!(out.moved, [("EndOfRun".to_owned(), vec![1])].into());
}

#[test]
fn the_clock_closes_what_ended_long_enough_ago_once_all_sources_that_meet_are_quiet() {
    let union = Operation::Union(Union { inputs: keys(&["a", "b"]) });
    let mut g = graph(&["a", "b"], vec![("s1", union), ("s2", counts("s1", tumbling(10), &["k"]))]);
    for (source, after_us) in g.sources.iter_mut().zip([1_000, 3_000]) {
        source.event_time.as_mut().unwrap().close_idle_windows_after_us = Some(after_us);
    }
    let all = topics(&[("a", &[&[("x", 1, 3), ("x", 2, 12)]]), ("b", &[&[("y", 3, 14)]])]);
    let read = epoch(1, &[("a", &[(0, 0, 2, false)]), ("b", &[(0, 0, 1, false)])]);
    let by_clock = |clock_us: i64, idle: bool| {
        let mut quiet = epoch(2, &[("a", &[(0, 2, 2, true)]), ("b", &[(0, 1, 1, idle)])]);
        quiet.whole.clock_us = clock_us;
        for source in ["a", "b"] {
            quiet.of.get_mut(source).unwrap().moved_by = Some("Clock".into());
        }
        g.replay(&all, &[read.clone(), quiet])
    };
    let out = by_clock(22_999, true);
    assert_eq!((rows(&g, &out, "out"), out.watermarks["b"]), (vec!["0 10 x 1".to_owned()], Some(10_000)));
    let out = by_clock(23_000, true);
    assert_eq!(out.watermarks, [("a", 20_000), ("b", 20_000)].map(|(name, us)| (name.to_owned(), Some(us))).into());
    assert_eq!(rows(&g, &out, "out"), ["0 10 x 1", "10 20 x 1", "10 20 y 1"]);
    assert!(!out.contradictions.iter().any(|c| c.contains("quiet")), "{:?}", out.contradictions);
    assert!(by_clock(23_000, false).contradictions.iter().any(|c| c.contains("are quiet")));
}
