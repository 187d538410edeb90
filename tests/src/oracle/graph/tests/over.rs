use super::*;
use crate::oracle::aggregate::Aggregate;
use crate::oracle::expr::column;
use crate::oracle::graph::step::{Frame, Over};

fn over(frame: Frame) -> Graph {
    let total = vec![("total".into(), Aggregate::Sum(*column("n")))];
    let step = Over { from: "a".into(), key: keys(&["k"]), frame, add_columns: total };
    let mut g = graph(&["a"], vec![("s1", Operation::Over(step))]);
    g.sinks.push(Sink::append("late", "s1.Late"));
    g
}

#[test]
fn a_range_is_closed_at_both_ends_and_has_the_peers_of_the_same_time() {
    let g = over(Frame::Range { preceding_us: 10_000 });
    let records = [
        ("x", 1, 100),
        ("x", 10, 110), // 10 after the first
        ("x", 100, 110),
        ("x", 1000, 111), // 11 after the first
        ("y", 5, 110),
        ("x", 0, 116),
        ("x", 0, 120),
    ];
    let expected = ["x 1 100 1", "x 10 110 111", "x 100 110 111", "x 1000 111 1110", "y 5 110 5"];
    let out = replay(&g, &records, &[7]);
    let mut rest = expected.map(str::to_owned).to_vec();
    rest.sort();
    assert_eq!(rows(&g, &out, "out"), rest);
    assert_eq!(out.waiting["s1"], 2);
    for ends in [&[1, 7][..], &[2, 3, 7], &[6, 7]] {
        assert_eq!(rows(&g, &replay(&g, &records, ends), "out"), rest, "{ends:?}");
    }
}

#[test]
fn a_row_leaves_once_the_watermark_is_past_it_and_a_late_one_counts_for_no_other() {
    let g = over(Frame::Range { preceding_us: 10_000 });
    let records = [("x", 1, 105), ("x", 2, 99), ("x", 4, 100), ("x", 8, 106), ("x", 16, 111)];
    // The watermarks are 100, 101 and 106.
    let out = replay(&g, &records, &[1, 4]);
    assert_eq!((rows(&g, &out, "out"), rows(&g, &out, "late")), (vec!["x 4 100 4".into()], vec!["x 2 99 1".into()]));
    let out = replay(&g, &records, &[1, 4, 5]);
    assert_eq!(rows(&g, &out, "out"), ["x 1 105 5", "x 4 100 4"], "the row of 106 waits");
}

#[test]
fn preceding_rows_are_counted_in_order_and_only_those_that_are_not_too_old() {
    let g = over(Frame::Rows { preceding: 2, expire_after_us: 10_000 });
    let records = [
        ("x", 1, 100),
        ("x", 20, 104),
        ("x", 10, 104), // a later offset at the same time
        ("x", 100, 110),
        ("x", 1000, 120), // 10 after the last one, 16 after those before
        ("x", 0, 130),
    ];
    let out = replay(&g, &records, &[6]);
    let mut expected = ["x 1 100 1", "x 20 104 21", "x 10 104 31", "x 100 110 130", "x 1000 120 1100"];
    expected.sort_unstable();
    assert_eq!(rows(&g, &out, "out"), expected);
}
