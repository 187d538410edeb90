//! In order of arrival: the rows of an epoch are judged when it closes, and those that are no duplicates go on at once.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use arrow::array::{BinaryArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow_row::Rows as Keys;
use weir_plan::deduplicate::Deduplicate;
use xxhash_rust::xxh3::xxh3_64;

use super::passed::{Passed, is_within};
use super::step::batch_of;
use crate::failure::{Failure, Result};
use crate::keyed::rows::by_key::ByKey;
use crate::keyed::rows::sender::columns;
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows, checked};

pub(super) struct Operator {
    step: Arc<Deduplicate>,
    /// The rows of the open epoch.
    arrived: Vec<Grouped>,
    passed: Passed,
    /// The rows that go on.
    ready: VecDeque<RecordBatch>,
}

/// The rows of an epoch, numbered through all parts.
struct Epoch {
    /// The number of each part's first row.
    firsts: Vec<usize>,
    times: Vec<i64>,
    keys: Keys,
    hashes: Vec<u64>,
}

impl Operator {
    pub fn new(step: Arc<Deduplicate>, table: Arc<TableSchema>) -> Result<Self> {
        Ok(Self { step, arrived: Vec::new(), passed: Passed::new(table)?, ready: VecDeque::new() })
    }

    fn epoch(&self, parts: &[Grouped]) -> Result<Epoch> {
        let rows = parts.iter().map(Grouped::rows).sum();
        let mut epoch = Epoch {
            firsts: Vec::with_capacity(parts.len()),
            times: Vec::with_capacity(rows),
            keys: self.passed.format().empty(rows),
            hashes: Vec::with_capacity(rows),
        };
        for part in parts {
            epoch.firsts.push(epoch.times.len());
            epoch.times.extend_from_slice(part.entries.times.values());
            self.passed.format().append(&mut epoch.keys, &part.entries.keys, part.rows())?;
        }
        epoch.hashes.extend(epoch.keys.iter().map(|key| xxh3_64(key.as_ref())));
        Ok(epoch)
    }

    /// Which rows of the epoch go on.
    fn judge(&mut self, epoch: &Epoch, parts: &[Grouped]) -> Result<Vec<bool>> {
        u32::try_from(epoch.times.len()).map_err(|_| {
            Failure::config("an epoch has more than 4,294,967,295 rows; set limits.recordsPerEpoch to fewer")
        })?;
        let within_us = self.step.within_us;
        let own = self.step.schema.fields().len() - 1;
        let origins: Vec<_> = parts.iter().map(|part| columns(&part.entries, own).0).collect();
        let mut goes_on = vec![false; epoch.times.len()];
        let by_key = ByKey::of(&epoch.keys, &epoch.hashes);
        let (mut candidates, mut gone): (Vec<usize>, Vec<i64>) = (Vec::new(), Vec::new());
        for last in &by_key.last {
            let (hash, key) = (epoch.hashes[*last as usize], epoch.keys.row(*last as usize));
            candidates.clear();
            candidates.extend(by_key.rows(*last).map(|row| row as usize));
            // A row that is near one of an earlier epoch is a duplicate, whatever comes before it in this one.
            candidates.retain(|row| !self.passed.is_near(hash, key, epoch.times[*row], within_us));
            if candidates.len() > 1 {
                candidates.sort_unstable_by_key(|row| (epoch.origin(*row, &origins), *row));
            }
            gone.clear();
            for row in &candidates {
                let time_us = epoch.times[*row];
                if !gone.iter().any(|other| is_within(*other, time_us, within_us)) {
                    gone.push(time_us);
                    goes_on[*row] = true;
                    self.passed.add(hash, key, time_us)?;
                }
            }
        }
        Ok(goes_on)
    }
}

impl Epoch {
    fn origin<'o>(&self, row: usize, origins: &[Option<&'o BinaryArray>]) -> &'o [u8] {
        let part = self.firsts.partition_point(|first| *first <= row) - 1;
        origins[part].map_or(&[], |origins| origins.value(row - self.firsts[part]))
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.arrived.push(entries);
        Ok(())
    }

    fn close(&mut self, _marks: &Marks) -> Result<()> {
        let mut parts = std::mem::take(&mut self.arrived);
        parts.retain(|part| part.rows() > 0);
        let epoch = self.epoch(&parts)?;
        let goes_on = self.judge(&epoch, &parts)?;
        for (part, first) in parts.into_iter().zip(epoch.firsts) {
            let mask = BooleanArray::from(goes_on[first..first + part.rows()].to_vec());
            if mask.true_count() == 0 {
                continue;
            }
            let rows = batch_of(&self.step.schema, &part.entries)?;
            let rows = filter_record_batch(&rows, &mask).map_err(|e| Failure::bug(format!("rows that go on: {e}")))?;
            self.ready.push_back(rows);
            self.passed.save(part.filtered(&mask)?);
        }
        Ok(())
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        self.ready.pop_front().map(|rows| checked(&rows, check)).transpose()
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.passed]
    }

    /// Nothing waits for a watermark, but what has come goes on when the epoch closes.
    fn leaves_by(&self, _before_us: &[Option<i64>], _limit_us: i64) -> Result<Option<Leaving>> {
        let newest_us = self.arrived.iter().flat_map(|part| part.entries.times.values()).max();
        Ok(newest_us.map(|newest_us| Leaving::at_once(*newest_us)))
    }

    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        None
    }

    fn bytes(&self) -> usize {
        self.arrived.iter().map(Grouped::bytes).sum::<usize>()
            + self.ready.iter().map(RecordBatch::get_array_memory_size).sum::<usize>()
    }
}
