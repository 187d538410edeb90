//! The sending end: what the rows of an epoch have come to. Rows of one key that are near each other become one
//! fragment of a session. Fragments may still meet each other; the operator joins them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::Int64Type;
use weir_plan::aggregate::Aggregate;

use crate::failure::{Failure, Result};
use crate::keyed::aggregate::group_table::Accumulators;
use crate::keyed::aggregate::keys::Keys;
use crate::keyed::{Prepared, Sender};
use crate::state::Entries;

/// In how many of a key's newest fragments a row may find its place. With more disorder than that there are more
/// fragments than needed.
const TRIED_MAX: usize = 8;

pub(super) struct Fragments {
    aggregate: Arc<Aggregate>,
    gap_us: i64,
    keys: Keys,
    /// By fragment.
    accumulators: Accumulators,
    fragments: Vec<Fragment>,
    /// The newest fragment of each key.
    newest: Vec<u32>,
    /// The key, and then the fragment, of each row of the current batch.
    of_row: Vec<usize>,
}

struct Fragment {
    key: u32,
    first_us: i64,
    last_us: i64,
    /// The fragment of the same key that was begun before this one.
    before: Option<u32>,
}

impl Fragments {
    pub fn new(aggregate: Arc<Aggregate>, gap_us: i64) -> Result<Self> {
        let types: Vec<_> = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        Ok(Self {
            gap_us,
            keys: Keys::new(&types)?,
            accumulators: Accumulators::new(&aggregate.calls)?,
            fragments: Vec::new(),
            newest: Vec::new(),
            of_row: Vec::new(),
            aggregate,
        })
    }

    /// The fragment of a row of this key and time.
    fn place(&mut self, key: usize, time_us: i64) -> Result<usize> {
        let newest = self.newest.get(key).copied();
        let mut tried = newest;
        for _ in 0..TRIED_MAX {
            let Some(at) = tried else { break };
            let fragment = &mut self.fragments[at as usize];
            let is_near = time_us >= fragment.first_us.saturating_sub(self.gap_us)
                && time_us <= fragment.last_us.saturating_add(self.gap_us);
            if is_near {
                fragment.first_us = fragment.first_us.min(time_us);
                fragment.last_us = fragment.last_us.max(time_us);
                return Ok(at as usize);
            }
            tried = fragment.before;
        }
        let full = |_| Failure::config("an epoch has more than 4,294,967,295 sessions; set limits.recordsPerEpoch");
        let at = u32::try_from(self.fragments.len()).map_err(full)?;
        let key_number = u32::try_from(key).map_err(full)?;
        self.fragments.push(Fragment { key: key_number, first_us: time_us, last_us: time_us, before: newest });
        match self.newest.get_mut(key) {
            Some(newest) => *newest = at,
            None => self.newest.push(at),
        }
        Ok(at as usize)
    }
}

impl Sender for Fragments {
    fn take_in(&mut self, rows: &Prepared) -> Result<()> {
        let Some((times, keys)) = rows.keys.split_last() else { return Err(Failure::bug("rows without times")) };
        let mut of_row = std::mem::take(&mut self.of_row);
        self.keys.intern(keys, rows.rows, &mut of_row)?;
        for (of_row, time_us) in of_row.iter_mut().zip(times.as_primitive::<Int64Type>().values()) {
            *of_row = self.place(*of_row, *time_us)?;
        }
        self.accumulators.update(&rows.arguments, &of_row, self.fragments.len())?;
        self.of_row = of_row;
        Ok(())
    }

    fn drain(&mut self) -> Result<Vec<Entries>> {
        let fresh = Self::new(Arc::clone(&self.aggregate), self.gap_us)?;
        let Self { keys, accumulators, fragments, gap_us, .. } = std::mem::replace(self, fresh);
        if fragments.is_empty() {
            return Ok(Vec::new());
        }
        let of_keys = keys.arrays(0..keys.len())?;
        let places = UInt32Array::from_iter_values(fragments.iter().map(|fragment| fragment.key));
        let of_fragments = of_keys.iter().map(|column| take(column, &places, None));
        let keys =
            of_fragments.collect::<Result<_, _>>().map_err(|e| Failure::bug(format!("keys of sessions: {e}")))?;
        let starts = Int64Array::from_iter_values(fragments.iter().map(|fragment| fragment.first_us));
        let ends = fragments.iter().map(|fragment| fragment.last_us.saturating_add(gap_us));
        let values = [Arc::new(starts) as ArrayRef].into_iter().chain(accumulators.states()?);
        let times = Int64Array::from_iter_values(ends);
        Ok(vec![Entries { times, deleted: None, keys, values: values.collect() }])
    }

    fn bytes(&self) -> usize {
        let of_fragments = self.fragments.capacity() * size_of::<Fragment>();
        let of_numbers = self.newest.capacity() * size_of::<u32>() + self.of_row.capacity() * size_of::<usize>();
        self.keys.bytes() + self.accumulators.bytes() + of_fragments + of_numbers
    }
}
