//! Sources from which nothing comes do not hold up those with which they share a step.

use std::collections::BTreeSet;

/// Where the watermark (µs) of each source goes that is idle: to the least of the sources that are not, of those whose
/// rows meet its rows in some step. If all of these are idle, to the greatest. `met` has these sources for each source,
/// and `after_us` its watermark after the epoch. `None` means that it stays where it is.
pub(super) fn raised(met: &[BTreeSet<usize>], idle: &[bool], after_us: &[Option<i64>]) -> Vec<Option<i64>> {
    let of_source = |(source, met): (usize, &BTreeSet<usize>)| {
        let after_us = |other: &usize| after_us[*other];
        let mut busy = met.iter().filter(|other| !idle[**other]).peekable();
        match (idle[source], busy.peek()) {
            (false, _) => None,
            // `None` is less than `Some`, so a source that has no watermark yet holds the others.
            (true, Some(_)) => busy.map(after_us).min().flatten(),
            (true, None) => met.iter().map(after_us).max().flatten(),
        }
    };
    met.iter().enumerate().map(of_source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(met: &[&[usize]], idle: &[bool], after_us: &[Option<i64>], expected: &[Option<i64>]) {
        let met: Vec<BTreeSet<usize>> = met.iter().map(|met| met.iter().copied().collect()).collect();
        assert_eq!(raised(&met, idle, after_us), expected, "{met:?} {idle:?} {after_us:?}");
    }

    #[test]
    fn an_idle_source_follows_the_slowest_of_the_others() {
        let all: [&[usize]; 3] = [&[1, 2], &[0, 2], &[0, 1]];
        check(&all, &[true, false, false], &[Some(1), Some(7), Some(5)], &[Some(5), None, None]);
        check(&all, &[true, true, false], &[Some(1), Some(7), Some(5)], &[Some(5), Some(5), None]);
        check(&all, &[true, false, false], &[Some(1), Some(7), None], &[None, None, None]);
        check(&all, &[true, true, true], &[Some(1), Some(7), None], &[Some(7), Some(1), Some(7)]);
    }

    #[test]
    fn a_source_whose_rows_meet_no_others_stays_where_it_is() {
        check(&[&[], &[2], &[1]], &[true, true, false], &[Some(1), Some(2), Some(3)], &[None, Some(3), None]);
    }
}
