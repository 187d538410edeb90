use super::*;
use crate::oracle::aggregate::Aggregate;
use crate::oracle::expr::column;
use crate::oracle::graph::step::{Aggregation, Rank, Span, Top};
use crate::oracle::window::Window;

fn top(limit: usize, keeps_ties: bool, descending: bool, nulls_first: Option<bool>) -> Top {
    Top {
        from: "a".into(),
        key: keys(&[]),
        order_by: vec![Rank { expr: *column("k"), descending, nulls_first }],
        limit,
        keeps_ties,
        window: Some(Window::tumbling(10_000)),
    }
}

fn first(top: Top, records: &[Short<'_>]) -> Vec<String> {
    let mut g = graph(&["a"], vec![("s1", Operation::Top(top))]);
    g.sinks.push(Sink::append("late", "s1.Late"));
    // The last record closes the window [0, 10).
    let all = [records, &[("z", 0, 15)]].concat();
    let out = replay(&g, &all, &[i64::try_from(all.len()).unwrap()]);
    assert_eq!(out.waiting["s1"], 1);
    rows(&g, &out, "out")
}

#[test]
fn ties_are_dropped_by_all_columns_or_kept_with_the_last_row_within_the_limit() {
    let records = [("a", 3, 1), ("b", 2, 3), ("b", 1, 4), ("b", 1, 2), ("c", 1, 1)];
    assert_eq!(first(top(2, false, false, None), &records), ["0 10 a 3 1", "0 10 b 1 2"]);
    assert_eq!(first(top(2, true, false, None), &records), ["0 10 a 3 1", "0 10 b 1 2", "0 10 b 1 4", "0 10 b 2 3"]);
    assert_eq!(first(top(1, true, false, None), &records), ["0 10 a 3 1"]);
    assert_eq!(first(top(9, true, false, None), &records).len(), 5);
}

#[test]
fn nulls_are_first_where_the_order_ascends_and_last_where_it_descends_unless_said_otherwise() {
    let records = [("a", 1, 1), ("", 2, 2), ("b", 3, 3)];
    let is_null = |descending, nulls_first| first(top(1, false, descending, nulls_first), &records)[0].contains("null");
    assert!(is_null(false, None) && !is_null(true, None));
    assert!(!is_null(false, Some(false)) && is_null(true, Some(true)));
    assert_eq!(first(top(1, false, true, None), &records), ["0 10 b 3 3"]);
}

#[test]
fn the_best_of_each_window_of_the_input_and_the_window_behind_it() {
    let counts = |from: &str, span, keys: &[&str]| {
        Operation::Aggregate(Aggregation {
            from: from.into(),
            span,
            group_by: keys.iter().map(|key| (*key).into()).collect(),
            columns: vec![("cnt".into(), Aggregate::CountAll)],
        })
    };
    let best = Top {
        from: "s1".into(),
        key: keys(&[]),
        order_by: vec![Rank { expr: *column("cnt"), descending: true, nulls_first: None }],
        limit: 1,
        keeps_ties: true,
        window: None,
    };
    let g = graph(
        &["a"],
        vec![
            ("s1", counts("a", Span::Window(Window::tumbling(10_000)), &["k"])),
            ("s2", Operation::Top(best)),
            ("s3", counts("s2", Span::OfInput, &[])),
        ],
    );
    let g = Graph { sinks: vec![Sink::append("out", "s2"), Sink::append("late", "s3")], ..g };
    let records = [("x", 1, 1), ("x", 1, 2), ("y", 1, 3), ("x", 1, 11), ("y", 1, 12), ("z", 1, 25)];
    let out = replay(&g, &records, &[6]);
    assert_eq!(rows(&g, &out, "out"), ["0 10 x 2", "10 20 x 1", "10 20 y 1"]);
    assert_eq!(rows(&g, &out, "late"), ["0 10 1", "10 20 2"]);
}

#[test]
fn a_row_that_missed_its_window_is_late() {
    let mut g = graph(&["a"], vec![("s1", Operation::Top(top(1, false, false, None)))]);
    g.sinks.push(Sink::append("late", "s1.Late"));
    let out = replay(&g, &[("a", 1, 1), ("a", 2, 15), ("a", 0, 9), ("a", 0, 10)], &[2, 4]);
    assert_eq!((rows(&g, &out, "out"), rows(&g, &out, "late")), (vec!["0 10 a 1 1".into()], vec!["a 0 9 0".into()]));
}
