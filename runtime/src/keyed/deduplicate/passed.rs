//! The times at which rows of each key have gone on.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow_row::{Row, Rows};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::failure::{Failure, Result};
use crate::keyed::rows::key_format::KeyFormat;
use crate::state::{Change, Entries, Grouped, StateTable, TableSchema};

/// The table is swept once it has this many entries more than twice as many as the last sweep has left.
const SWEPT_ROWS_MIN: usize = 1 << 16;

/// Entries of a key and a time, without values. They are only added. Those that are finished match no row that is in
/// time, so they may stay until a sweep, which copies the others: an entry is copied about once for each new one.
pub(super) struct Passed {
    table: Arc<TableSchema>,
    format: KeyFormat,
    keys: Rows,
    times: Vec<i64>,
    /// Hashes of keys, and where their entries are.
    index: HashTable<(u64, u32)>,
    swept_at: usize,
    /// What the open epoch has added.
    added: Vec<Grouped>,
}

impl Passed {
    pub fn new(table: Arc<TableSchema>) -> Result<Self> {
        let types: Vec<_> = table.keys.fields().iter().map(|field| field.data_type().clone()).collect();
        let format = KeyFormat::new(&types)?;
        let (keys, times, index) = (format.empty(0), Vec::new(), HashTable::new());
        Ok(Self { table, format, keys, times, index, swept_at: SWEPT_ROWS_MIN, added: Vec::new() })
    }

    pub fn format(&self) -> &KeyFormat {
        &self.format
    }

    /// Whether a row of the key has gone on at a time that is at most `within_us` away.
    pub fn is_near(&self, hash: u64, key: Row<'_>, time_us: i64, within_us: i64) -> bool {
        self.index.iter_hash(hash).any(|(of, entry)| {
            let entry = *entry as usize;
            *of == hash && is_within(self.times[entry], time_us, within_us) && self.keys.row(entry) == key
        })
    }

    /// Adds an entry. The caller also gives it to [`Self::save`], unless it was restored.
    pub fn add(&mut self, hash: u64, key: Row<'_>, time_us: i64) -> Result<()> {
        let number = u32::try_from(self.times.len()).map_err(|_| {
            Failure::config("there are more than 4,294,967,295 rows to compare with; make `within` of the step shorter")
        })?;
        self.keys.push(key);
        self.times.push(time_us);
        self.index.insert_unique(hash, (hash, number), |(hash, _)| *hash);
        Ok(())
    }

    /// Makes added entries part of the change of the open epoch.
    pub fn save(&mut self, mut entries: Grouped) {
        entries.entries.values.clear();
        entries.entries.deleted = None;
        self.added.push(entries);
    }

    fn sweep(&mut self, horizon_us: Option<i64>) -> Result<()> {
        if self.times.len() < self.swept_at {
            return Ok(());
        }
        let mut kept = Self::new(Arc::clone(&self.table))?;
        let is_kept = |time: &i64| horizon_us.is_none_or(|horizon_us| *time >= horizon_us);
        let live = self.times.iter().filter(|time| is_kept(time)).count();
        kept.keys = self.format.empty(live);
        kept.times.reserve(live);
        kept.index.reserve(live, |(hash, _)| *hash);
        for (key, time_us) in self.keys.iter().zip(&self.times).filter(|(_, time)| is_kept(time)) {
            kept.add(xxh3_64(key.as_ref()), key, *time_us)?;
        }
        kept.swept_at = 2 * live + SWEPT_ROWS_MIN;
        *self = kept;
        Ok(())
    }
}

pub(super) fn is_within(a_us: i64, b_us: i64, within_us: i64) -> bool {
    a_us.abs_diff(b_us) <= within_us.unsigned_abs()
}

impl StateTable for Passed {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        let keys = self.format.encode(&entries.keys, entries.rows())?;
        for (key, time_us) in keys.iter().zip(entries.times.values()) {
            self.add(xxh3_64(key.as_ref()), key, *time_us)?;
        }
        Ok(())
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        let needed = |time: i64| horizon_us.is_none_or(|horizon_us| time >= horizon_us);
        let added = std::mem::take(&mut self.added).into_iter();
        let added: Vec<_> = added.map(|added| Ok(added.split(needed)?.0)).collect::<Result<_>>()?;
        self.sweep(horizon_us)?;
        Change::of_grouped(&self.table, &added)
    }

    fn entries(&self) -> u64 {
        self.times.len() as u64
    }

    fn bytes(&self) -> usize {
        self.keys.size()
            + self.times.capacity() * size_of::<i64>()
            + self.index.allocation_size()
            + self.added.iter().map(Grouped::bytes).sum::<usize>()
    }
}

/// Entries of these keys and times, for [`Passed::save`].
pub(super) fn entries(keys: Vec<ArrayRef>, times_us: Vec<i64>) -> Entries {
    Entries { times: Int64Array::from(times_us), deleted: None, keys, values: Vec::new() }
}
