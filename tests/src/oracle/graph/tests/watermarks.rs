//! Watermarks of sources that are idle, and of those whose rows meet.

use super::*;
use crate::oracle::graph::step::Union;

fn union(inputs: &[&str]) -> Operation {
    Operation::Union(Union { inputs: keys(inputs) })
}

/// The watermarks, in milliseconds, after an epoch in which some of the sources are idle. Each source has one row, or
/// none if its time is negative.
fn watermarks(graph: &Graph, sources: &[(&str, i64, bool)]) -> Vec<Option<i64>> {
    let topics: Records = sources
        .iter()
        .map(|(name, ms, _)| {
            let records = if *ms < 0 { vec![] } else { vec![record(&("x", 1, *ms))] };
            ((*name).to_owned(), Contents::from([(0, stored(records))]))
        })
        .collect();
    let range = |(_, ms, idle): &(&str, i64, bool)| [(0, 0, i64::from(*ms >= 0), *idle)];
    let ranges: Vec<_> = sources.iter().map(|source| (source.0, range(source))).collect();
    let reads: Vec<(&str, &[Range])> = ranges.iter().map(|(name, range)| (*name, range.as_slice())).collect();
    let out = graph.replay(&topics, &[epoch(1, &reads)]);
    sources.iter().map(|(name, _, _)| out.watermarks[*name].map(|us| us / 1_000)).collect()
}

#[test]
fn an_idle_source_is_as_far_as_the_slowest_of_those_it_meets_that_are_not_idle() {
    let g = graph(&["a", "b", "c"], vec![("s1", union(&["a", "b", "c"]))]);
    assert_eq!(watermarks(&g, &[("a", 10, false), ("b", 30, false), ("c", 20, false)]), [5, 25, 15].map(Some));
    assert_eq!(watermarks(&g, &[("a", 10, true), ("b", 30, false), ("c", 20, false)]), [15, 25, 15].map(Some));
    assert_eq!(watermarks(&g, &[("a", 10, true), ("b", 30, true), ("c", 20, false)]), [15, 25, 15].map(Some));
    assert_eq!(watermarks(&g, &[("a", 10, true), ("b", 30, true), ("c", 20, true)]), [25, 25, 25].map(Some));
    // One that has nothing yet holds nobody back if it is idle, and an idle one waits for it if it is not.
    assert_eq!(watermarks(&g, &[("a", -1, true), ("b", 30, false), ("c", 20, false)]), [15, 25, 15].map(Some));
    assert_eq!(watermarks(&g, &[("a", 10, true), ("b", -1, false), ("c", 20, false)]), [Some(5), None, Some(15)]);
}

#[test]
fn a_source_does_not_follow_one_that_it_does_not_meet() {
    let g = graph(&["a", "b", "c"], vec![("s1", union(&["a", "b"])), ("s2", union(&["b", "c"]))]);
    assert_eq!(watermarks(&g, &[("a", 10, true), ("b", 20, false), ("c", 40, false)]), [15, 15, 35].map(Some));
    assert_eq!(watermarks(&g, &[("a", 10, false), ("b", 3, true), ("c", 40, false)]), [5, 5, 35].map(Some));
    assert_eq!(g.part("a"), ["a", "b", "c"].map(str::to_owned).into(), "they move together by the clock");
    let apart = graph(&["a", "b"], vec![("s1", union(&["a", "a"]))]);
    assert_eq!(watermarks(&apart, &[("a", 10, true), ("b", 20, false)]), [5, 15].map(Some));
    assert_eq!(apart.part("a"), ["a".to_owned()].into());
}

#[test]
fn a_raised_watermark_never_falls_and_a_held_one_stays() {
    let g = graph(&["a", "b"], vec![("s1", union(&["a", "b"]))]);
    let all = topics(&[("a", &[&[("x", 1, 10), ("x", 1, 12)]]), ("b", &[&[("y", 1, 30)]])]);
    let one = epoch(1, &[("a", &[(0, 0, 1, true)]), ("b", &[(0, 0, 1, false)])]);
    let two = epoch(2, &[("a", &[(0, 1, 2, false)]), ("b", &[(0, 1, 1, false)])]);
    let out = g.replay(&all, &[one.clone(), two]);
    assert_eq!(out.watermarks["a"], Some(25_000));
    let says = "epoch 1: what moved the watermark of a: derived Some(\"OtherSources\"), the manifest says None";
    assert!(out.contradictions.iter().any(|c| c == says), "{:?}", out.contradictions);
    assert!(!out.contradictions.iter().any(|c| c.starts_with("epoch 2: what moved")), "{:?}", out.contradictions);
    let mut held = one;
    held.of.get_mut("a").unwrap().held_by = Some("Discovery".into());
    assert_eq!(g.replay(&all, &[held]).watermarks["a"], None);
}
