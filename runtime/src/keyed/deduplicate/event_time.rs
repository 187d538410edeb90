//! In order of event time: rows wait for the watermark. When it passes them, they are judged from the earliest on, so
//! the result does not depend on how the input is cut into epochs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use weir_plan::deduplicate::Deduplicate;
use xxhash_rust::xxh3::xxh3_64;

use super::passed::{self, Passed};
use crate::failure::{Failure, Result};
use crate::keyed::rows::waiting::{Waiting, leaving};
use crate::keyed::{KeyedOperator, Leaving, Marks};
use crate::state::{Grouped, StateTable, TableSchema};
use crate::transform::rows::{Check, Rows, checked};

/// How many rows are judged at a time.
const JUDGED_AT_ONCE: usize = 8192;

pub(super) struct Operator {
    step: Arc<Deduplicate>,
    passed: Passed,
    waiting: Waiting,
    /// Rows with earlier times can go on (µs).
    released_us: Option<i64>,
}

impl Operator {
    pub fn new(step: Arc<Deduplicate>, tables: &[Arc<TableSchema>]) -> Result<Self> {
        let [passed, waiting] = tables else { return Err(Failure::bug("a deduplication has two tables")) };
        let passed = Passed::new(Arc::clone(passed))?;
        let waiting = Waiting::new(Arc::clone(&step.schema), Arc::clone(waiting))?;
        Ok(Self { step, passed, waiting, released_us: None })
    }

    /// The next rows that go on, of those that the watermark has passed; `None` if there are none left.
    fn released(&mut self) -> Result<Option<RecordBatch>> {
        while self.released_us.is_some() {
            let (mut times, mut values, mut judged) = (Vec::new(), Vec::new(), 0);
            let mut keys = self.passed.format().empty(0);
            while judged < JUDGED_AT_ONCE {
                let Some((id, value)) = self.waiting.rows.pop_below(self.released_us) else {
                    self.released_us = None;
                    break;
                };
                judged += 1;
                let format = self.passed.format();
                let parser = format.parser();
                let (hash, key) = (xxh3_64(&id.key), parser.parse(&id.key));
                if !self.passed.is_near(hash, key, id.time_us, self.step.within_us) {
                    self.passed.add(hash, key, id.time_us)?;
                    keys.push(key);
                    times.push(id.time_us);
                    values.push(value);
                }
            }
            if !times.is_empty() {
                let entries = passed::entries(self.passed.format().decode(keys.iter())?, times.clone());
                self.passed.save(Grouped::of(entries, self.step.key.schema().fields().len())?);
                return self.waiting.batch(values.iter().map(|value| &**value), times).map(Some);
            }
        }
        Ok(None)
    }
}

impl KeyedOperator for Operator {
    fn take_in(&mut self, _input: usize, entries: Grouped) -> Result<()> {
        self.waiting.arrive(entries);
        Ok(())
    }

    fn close(&mut self, marks: &Marks) -> Result<()> {
        self.waiting.settle()?;
        self.released_us = marks.after_us[0];
        Ok(())
    }

    fn next(&mut self, check: Check<'_>) -> Result<Option<Rows>> {
        self.released()?.map(|rows| checked(&rows, check)).transpose()
    }

    fn tables(&mut self) -> Vec<&mut dyn StateTable> {
        vec![&mut self.passed, &mut self.waiting.rows]
    }

    fn leaves_by(&self, _before_us: &[Option<i64>], limit_us: i64) -> Result<Option<Leaving>> {
        Ok(self.waiting.last_by(limit_us.saturating_sub(1)).map(leaving))
    }

    fn open_windows(&self) -> Option<BTreeSet<(i64, i64)>> {
        None
    }

    fn bytes(&self) -> usize {
        self.waiting.arrived_bytes()
    }
}
