//! Aggregates over ranges of rows. Nothing is ever taken out of a value, since 1e300 that came and went would ruin what
//! follows: partial values of neighbours are merged into those of pairs, pairs of pairs and so on (a segment tree), and
//! a range is the merged value of the few that it is made of.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use weir_plan::aggregate::Call;

use crate::failure::{Failure, Result};
use crate::keyed::Argument;
use crate::keyed::aggregate::group_table::{Accumulators, Values};

/// The final values for each range of rows, from one row to another one, both included.
pub(super) fn aggregated(
    calls: &[Call],
    arguments: &[Argument],
    rows: usize,
    ranges: &[(usize, usize)],
) -> Result<Values> {
    let mut values = Accumulators::new(calls)?;
    let mut leaves = Accumulators::new(calls)?;
    leaves.update(arguments, &(0..rows).collect::<Vec<_>>(), rows)?;
    let (mut states, mut nodes) = (leaves.states()?, rows);
    // What is left of each range, from a node of this level up to and without another one.
    let mut left: Vec<(usize, usize)> = ranges.iter().map(|(first, last)| (*first, last + 1)).collect();
    while nodes > 0 && left.iter().any(|(from, to)| from < to) {
        let (mut picked, mut of_range) = (Vec::new(), Vec::new());
        let mut pick = |node: usize, range: usize| {
            picked.push(u32::try_from(node).unwrap_or(u32::MAX));
            of_range.push(range);
        };
        for (range, (from, to)) in left.iter_mut().enumerate().filter(|(_, (from, to))| from < to) {
            if *from % 2 == 1 {
                pick(*from, range);
                *from += 1;
            }
            if *to % 2 == 1 && from < to {
                *to -= 1;
                pick(*to, range);
            }
            (*from, *to) = (*from / 2, *to / 2);
        }
        if !picked.is_empty() {
            values.merge(&taken(&states, picked)?, &of_range, ranges.len())?;
        }
        let parents = nodes.div_ceil(2);
        let mut above = Accumulators::new(calls)?;
        above.merge(&states, &(0..nodes).map(|node| node / 2).collect::<Vec<_>>(), parents)?;
        (states, nodes) = (above.states()?, parents);
    }
    values.evaluate()
}

fn taken(columns: &[ArrayRef], rows: Vec<u32>) -> Result<Vec<ArrayRef>> {
    let rows = UInt32Array::from(rows);
    let taken = columns.iter().map(|column| take(column, &rows, None));
    taken.collect::<Result<_, _>>().map_err(|e| Failure::bug(format!("partial values of ranges: {e}")))
}
