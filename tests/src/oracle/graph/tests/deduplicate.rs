use super::*;
use crate::oracle::graph::step::{Deduplicate, Order};

fn dedup(order: Order) -> Graph {
    let step = Deduplicate { from: "a".into(), key: keys(&["k"]), within_us: 10_000, order };
    let mut g = graph(&["a"], vec![("s1", Operation::Deduplicate(step))]);
    g.sinks.push(Sink::append("late", "s1.Late"));
    g
}

#[test]
fn a_row_passes_unless_one_of_its_key_that_passed_is_near_on_either_side() {
    let g = dedup(Order::Arrival);
    let records = [
        ("x", 1, 100),
        ("x", 2, 110), // 10 after the first: a duplicate
        ("x", 3, 111), // 11 after the first, which alone has passed
        ("x", 4, 101), // 10 before the third one
        ("y", 5, 110), // another key
        ("x", 6, 121), // 10 after the third one
        ("", 7, 110),  // null is a key
        ("", 8, 110),
    ];
    let expected = [" 1 100", " 3 111", " 5 110"].map(|end| end.to_owned());
    let out = replay(&g, &records, &[8]);
    let passed = |k: &str, end: &str| format!("{k}{end}");
    assert_eq!(
        rows(&g, &out, "out"),
        ["null 7 110".to_owned(), passed("x", &expected[0]), passed("x", &expected[1]), passed("y", &expected[2])]
    );
    assert_eq!(out.duplicates["s1"], 4);
}

#[test]
fn a_row_behind_the_watermark_is_late_and_makes_nothing_a_duplicate() {
    let g = dedup(Order::Arrival);
    // The watermark is 100 after the first epoch.
    let records = [("x", 1, 105), ("y", 2, 99), ("y", 3, 100), ("z", 4, 99)];
    let out = replay(&g, &records, &[1, 3, 4]);
    assert_eq!(rows(&g, &out, "out"), ["x 1 105", "y 3 100"]);
    assert_eq!((rows(&g, &out, "late"), out.late["s1"]), (vec!["y 2 99 1".to_owned(), "z 4 99 1".to_owned()], 2));
}

#[test]
fn by_event_time_the_earliest_row_passes_and_waits_for_the_watermark_to_be_past_it() {
    let g = dedup(Order::EventTime);
    let records = [("x", 1, 104), ("x", 2, 100), ("x", 3, 110), ("x", 4, 111), ("y", 5, 116), ("y", 6, 117)];
    // The watermark is 111, so that the row of 111 waits, and then 112.
    let out = replay(&g, &records, &[5]);
    assert_eq!(rows(&g, &out, "out"), ["x 2 100"]);
    assert_eq!((out.waiting["s1"], out.duplicates["s1"]), (2, 2));
    for ends in [&[5, 6][..], &[6], &[2, 6]] {
        let out = replay(&g, &records, ends);
        assert_eq!(rows(&g, &out, "out"), ["x 2 100", "x 4 111"], "{ends:?}");
    }
}

#[test]
fn by_arrival_it_is_the_cut_into_epochs_that_decides_between_partitions() {
    let g = dedup(Order::Arrival);
    let all = topics(&[("a", &[&[("x", 1, 105)], &[("x", 2, 104)]])]);
    let first_partition = epoch(1, &[("a", &[(0, 0, 1, false), (1, 0, 0, false)])]);
    let both = epoch(1, &[("a", &[(0, 0, 1, false), (1, 0, 1, false)])]);
    let second_first = epoch(1, &[("a", &[(0, 0, 0, false), (1, 0, 1, false)])]);
    let rest_of_first = epoch(2, &[("a", &[(0, 0, 1, false), (1, 1, 1, false)])]);
    let passed = |manifests: &[Manifest]| rows(&g, &g.replay(&all, manifests), "out");
    assert_eq!(passed(&[first_partition]), ["x 1 105"]);
    assert_eq!(passed(&[both]), ["x 1 105"]);
    assert_eq!(passed(&[second_first, rest_of_first]), ["x 2 104"]);
}

#[test]
fn rows_of_the_same_time_pass_in_the_order_of_their_origin() {
    let g = dedup(Order::EventTime);
    let all = topics(&[("a", &[&[("x", 9, 104), ("z", 1, 200)], &[("x", 1, 104), ("z", 1, 200)]])]);
    let out = g.replay(&all, &[epoch(1, &[("a", &[(0, 0, 2, false), (1, 0, 2, false)])])]);
    assert_eq!(rows(&g, &out, "out"), ["x 9 104"]);
}
