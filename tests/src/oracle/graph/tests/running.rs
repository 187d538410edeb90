//! Aggregates without a window, in the modes Update and Complete.

use super::*;
use crate::oracle::aggregate::Aggregate;
use crate::oracle::expr::{Expr, Op, column};
use crate::oracle::graph::step::{Aggregation, Span};
use crate::oracle::pipeline::Map;

fn running(expire_after_us: Option<i64>) -> Graph {
    let sums = Aggregation {
        from: "a".into(),
        span: Span::Running { expire_after_us },
        group_by: vec!["k".into()],
        columns: vec![("total".into(), Aggregate::Sum(*column("n")))],
    };
    let mut g = graph(&["a"], vec![("s1", Operation::Aggregate(sums))]);
    g.sinks[0].mode = Mode::Update { key: keys(&["k"]) };
    g.sinks.push(Sink::append("late", "s1.Late"));
    g
}

#[test]
fn an_epoch_gives_the_groups_that_it_changed_and_the_table_has_each_once() {
    let g = running(None);
    let out = replay(&g, &[("x", 1, 1), ("y", 2, 1), ("x", 4, 100), ("x", 8, 2)], &[2, 3, 4]);
    let emitted = |epoch: u64| texts(&out.emitted[&epoch]["out"], &g.columns("s1"));
    assert_eq!(
        (emitted(1), emitted(2), emitted(3)),
        (vec!["x 1".into(), "y 2".into()], vec!["x 5".into()], vec!["x 13".into()])
    );
    assert_eq!(rows(&g, &out, "out"), ["x 13", "y 2"]);
    assert_eq!(out.late["s1"], 0, "without `expireAfter` no row is late");
}

#[test]
fn a_group_is_forgotten_once_its_last_row_is_too_old_and_a_later_row_begins_anew() {
    let g = running(Some(10_000));
    // The watermark is 115 before the last epoch: rows before 105 are late, and groups whose last row is older are
    // forgotten.
    let records = [("x", 1, 104), ("y", 1, 105), ("z", 1, 120), ("x", 2, 106), ("y", 2, 106), ("x", 9, 104)];
    let out = replay(&g, &records, &[3, 6]);
    assert_eq!(rows(&g, &out, "out"), ["x 2", "y 3", "z 1"]);
    assert_eq!(rows(&g, &out, "late"), ["x 9 104 1"]);
    let out = replay(&g, &records[..3], &[3, 3]);
    assert_eq!(rows(&g, &out, "out"), ["x 1", "y 1", "z 1"], "the table keeps the last row of a forgotten group");
}

#[test]
fn a_changed_row_that_a_map_leaves_out_is_no_longer_in_the_table() {
    let small = Expr::Compare(column("total"), Op::Less, Box::new(Expr::Int(5)));
    let mut g = running(None);
    let columns = vec![("k".into(), *column("k")), ("total".into(), *column("total"))];
    g.steps
        .push(Step { name: "s2".into(), operation: Operation::Map("s1".into(), Map { filter: Some(small), columns }) });
    g.sinks = vec![Sink { name: "out".into(), from: "s2".into(), mode: Mode::Complete, partition_by: vec![] }];
    assert_eq!(rows(&g, &replay(&g, &[("x", 4, 1), ("y", 2, 1), ("x", 1, 1)], &[2]), "out"), ["x 4", "y 2"]);
    assert_eq!(rows(&g, &replay(&g, &[("x", 4, 1), ("y", 2, 1), ("x", 1, 1)], &[2, 3]), "out"), ["y 2"]);
}
