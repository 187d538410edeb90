//! Maps, unions and unnest: what they do with rows one by one, and what makes a record bad.

use super::*;
use crate::oracle::expr::{Expr, Op, column};
use crate::oracle::graph::step::{Union, Unnest};
use crate::oracle::pipeline::Map;

fn map(from: &str, filter: Option<Expr>, columns: &[(&str, Expr)]) -> Operation {
    let columns = columns.iter().map(|(name, expr)| ((*name).to_owned(), expr.clone())).collect();
    Operation::Map(from.into(), Map { filter, columns })
}

#[test]
fn rows_that_meet_again_are_all_there_and_what_a_map_leaves_out_is_counted() {
    let positive = Expr::Compare(column("n"), Op::Greater, Box::new(Expr::Int(0)));
    let columns = [("k", *column("k")), ("n", *column("n"))];
    let g = graph(
        &["a"],
        vec![
            ("s1", map("a", Some(positive), &columns)),
            ("s2", map("a", None, &columns)),
            ("s3", Operation::Union(Union { inputs: keys(&["s1", "s2"]) })),
        ],
    );
    let out = replay(&g, &[("x", 1, 1), ("y", 0, 2)], &[2]);
    assert_eq!(rows(&g, &out, "out"), ["x 1", "x 1", "y 0"]);
    let says = "epoch 1: rows of a filtered: derived 1, the manifest says 0".to_owned();
    assert!(out.contradictions.contains(&says), "{:?}", out.contradictions);
}

#[test]
fn a_record_on_which_any_path_fails_is_bad_and_leaves_by_no_path() {
    let quotient = Expr::Divide(Box::new(Expr::Int(6)), column("n"));
    let g =
        graph(&["a"], vec![("s1", map("a", None, &[("q", quotient)])), ("s2", map("a", None, &[("k", *column("k"))]))]);
    let g = Graph { sinks: vec![Sink::append("out", "s1"), Sink::append("late", "s2")], ..g };
    let out = replay(&g, &[("x", 2, 1), ("y", 0, 20)], &[2]);
    assert_eq!((rows(&g, &out, "out"), rows(&g, &out, "late")), (vec!["3".to_owned()], vec!["x".to_owned()]));
    assert_eq!(out.watermarks["a"], Some(-4_000), "a bad record does not move the watermark");
}

#[test]
fn unnest_gives_a_row_per_element_and_one_for_an_empty_list_if_it_keeps_those() {
    let lists = [json!([7, 8]), json!([]), Json::Null, json!([Json::Null])];
    let at = |n: usize, list: &Json| json!({"k": "x", "n": n, "ts": time::format_iso(1_000), "list": list});
    let all = Records::from([(
        "a".to_owned(),
        Contents::from([(0, stored(lists.iter().enumerate().map(|(n, list)| at(n, list)).collect()))]),
    )]);
    let of = |keeps_empty: bool| {
        let unnest = Unnest {
            from: "a".into(),
            expr: *column("list"),
            element: "item".into(),
            position: Some("pos".into()),
            keeps_empty,
        };
        let g = graph(&["a"], vec![("s1", Operation::Unnest(unnest))]);
        let out = g.replay(&all, &cuts(&[4]));
        rows(&g, &out, "out")
    };
    assert_eq!(of(false), ["x 0 1 7 0", "x 0 1 8 1", "x 3 1 null 0"]);
    assert_eq!(of(true), ["x 0 1 7 0", "x 0 1 8 1", "x 1 1 null null", "x 2 1 null null", "x 3 1 null 0"]);
}
