//! A table of rows. An epoch puts a whole new value under a key and time, or deletes the value. Keys and values are
//! bytes in arrow's row format, whose order is that of the columns.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, new_null_array};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use arrow_row::{RowConverter, SortField};

use super::change::Change;
use super::entries::Entries;
use super::schema::TableSchema;
use super::table::StateTable;
use crate::failure::{Failure, Result};

/// The identity of an entry: its key, its time and the other key columns. A key has several entries at one time only if
/// the table has key columns beside the hashed ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowId {
    /// The columns that decide the key group.
    pub key: Arc<[u8]>,
    pub time_us: i64,
    /// The other key columns.
    pub rest: Arc<[u8]>,
}

impl RowId {
    fn bytes(&self) -> usize {
        self.key.len() + self.rest.len() + ENTRY_BYTES
    }
}

/// A [`RowId`] that sorts by time first.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct TimeFirst {
    time_us: i64,
    key: Arc<[u8]>,
    rest: Arc<[u8]>,
}

impl From<&RowId> for TimeFirst {
    fn from(id: &RowId) -> Self {
        Self { time_us: id.time_us, key: Arc::clone(&id.key), rest: Arc::clone(&id.rest) }
    }
}

impl From<&TimeFirst> for RowId {
    fn from(place: &TimeFirst) -> Self {
        Self { key: Arc::clone(&place.key), time_us: place.time_us, rest: Arc::clone(&place.rest) }
    }
}

/// Bytes of memory that an entry takes beside those of its key and value: its places in both orders.
const ENTRY_BYTES: usize = 2 * size_of::<RowId>() + size_of::<Arc<[u8]>>();

pub struct RowTable {
    schema: Arc<TableSchema>,
    key: Columns,
    rest: Columns,
    value: Columns,
    rows: BTreeMap<RowId, Arc<[u8]>>,
    by_time: BTreeSet<TimeFirst>,
    /// The entries that the open epoch has put or deleted, each with whether it was there before. Those that were there
    /// are in state files.
    touched: BTreeMap<RowId, bool>,
    /// Bytes of the entries and of the touched ones.
    bytes: usize,
}

impl RowTable {
    pub fn new(schema: Arc<TableSchema>) -> Result<Self> {
        let keys: Vec<_> = schema.keys.fields().iter().map(|field| field.data_type().clone()).collect();
        let (key, rest) = keys.split_at(schema.hashed.min(keys.len()));
        let (key, rest) = (Columns::new(key)?, Columns::new(rest)?);
        let value =
            Columns::new(&schema.values.iter().map(|value| value.field.data_type().clone()).collect::<Vec<_>>())?;
        Ok(Self {
            schema,
            key,
            rest,
            value,
            rows: BTreeMap::new(),
            by_time: BTreeSet::new(),
            touched: BTreeMap::new(),
            bytes: 0,
        })
    }

    /// Encodes the key columns that decide the key group.
    #[must_use]
    pub fn key(&self) -> &Columns {
        &self.key
    }

    /// Encodes the other key columns.
    #[must_use]
    pub fn rest(&self) -> &Columns {
        &self.rest
    }

    #[must_use]
    pub fn value(&self) -> &Columns {
        &self.value
    }

    /// Puts a value, which replaces the value of the same id if there is one.
    pub fn put(&mut self, id: RowId, value: Arc<[u8]>) {
        self.touch(&id);
        self.set(id, Some(value));
    }

    pub fn delete(&mut self, id: RowId) {
        self.touch(&id);
        self.set(id, None);
    }

    /// Adds a value beside those of the same key and time. The other key column is a number: the new entry gets one
    /// more than the last entry there has.
    pub fn add(&mut self, key: Arc<[u8]>, time_us: i64, value: Arc<[u8]>) -> Result<()> {
        let last =
            self.of_key(&key, time_us..=time_us).last().map(|(id, _)| self.rest.decode([&*id.rest])).transpose()?;
        let number = last.map_or(0, |last| last[0].as_primitive::<Int64Type>().value(0) + 1);
        let rest = self.rest.encode(&[Arc::new(Int64Array::from(vec![number]))], 1)?.remove(0);
        self.put(RowId { key, time_us, rest }, value);
        Ok(())
    }

    /// The last entry from `first` on, of the same key and time, whose other key columns are at most `last_rest`.
    #[must_use]
    pub fn last_of(&self, first: &RowId, last_rest: &Arc<[u8]>) -> Option<&RowId> {
        let last = RowId { key: Arc::clone(&first.key), time_us: first.time_us, rest: Arc::clone(last_rest) };
        self.rows.range(first..=&last).next_back().map(|(id, _)| id)
    }

    /// The entries of a key within these times, in the order of time.
    pub fn of_key<'t>(
        &'t self,
        key: &Arc<[u8]>,
        times_us: RangeInclusive<i64>,
    ) -> impl Iterator<Item = (&'t RowId, &'t [u8])> + use<'t> {
        let (key, last_us) = (Arc::clone(key), *times_us.end());
        let first = RowId { key: Arc::clone(&key), time_us: *times_us.start(), rest: Arc::new([]) };
        let of_key = self.rows.range(first..).take_while(move |(id, _)| id.key == key && id.time_us <= last_us);
        of_key.map(|(id, value)| (id, &**value))
    }

    /// Removes the entry with the earliest time and returns it, if it is below a horizon of this table. The change of
    /// the epoch does not mention it, since a restore skips entries below the horizon.
    pub fn pop_below(&mut self, horizon_us: Option<i64>) -> Option<(RowId, Arc<[u8]>)> {
        let first =
            self.by_time.first().filter(|place| horizon_us.is_some_and(|horizon_us| place.time_us < horizon_us));
        let id = RowId::from(first?);
        let value = self.set(id.clone(), None)?;
        Some((id, value))
    }

    /// The keys that have entries from a time on and before another one.
    #[must_use]
    pub fn keys_between(&self, from_us: i64, before_us: i64) -> BTreeSet<Arc<[u8]>> {
        let from = TimeFirst { time_us: from_us, key: Arc::new([]), rest: Arc::new([]) };
        let places = self.by_time.range(from..).take_while(|place| place.time_us < before_us);
        places.map(|place| Arc::clone(&place.key)).collect()
    }

    /// The entries up to and including a time, the latest first.
    pub fn back_from(&self, last_us: i64) -> impl Iterator<Item = (i64, &[u8])> {
        let places = self.by_time.iter().rev().skip_while(move |place| place.time_us > last_us);
        places.filter_map(|place| Some((place.time_us, &**self.rows.get(&RowId::from(place))?)))
    }

    fn touch(&mut self, id: &RowId) {
        if !self.touched.contains_key(id) {
            self.bytes += id.bytes();
            self.touched.insert(id.clone(), self.rows.contains_key(id));
        }
    }

    /// Sets or removes a value and returns the value that was there.
    fn set(&mut self, id: RowId, value: Option<Arc<[u8]>>) -> Option<Arc<[u8]>> {
        let of_entry = |value: &Arc<[u8]>| id.bytes() + value.len();
        let (new, old) = match value {
            Some(value) => {
                let new = of_entry(&value);
                self.by_time.insert(TimeFirst::from(&id));
                (new, self.rows.insert(id.clone(), value))
            }
            None => {
                self.by_time.remove(&TimeFirst::from(&id));
                (0, self.rows.remove(&id))
            }
        };
        self.bytes = self.bytes + new - old.as_ref().map_or(0, of_entry);
        old
    }

    fn entries_of(&self, ids: &[RowId], values: &[Option<Arc<[u8]>>]) -> Result<Entries> {
        let mut keys = self.key.decode(ids.iter().map(|id| &*id.key))?;
        keys.extend(self.rest.decode(ids.iter().map(|id| &*id.rest))?);
        let nulls = self.value.nulls()?;
        let values_or_nulls = values.iter().map(|value| value.as_deref().unwrap_or(&nulls));
        Ok(Entries {
            times: ids.iter().map(|id| id.time_us).collect::<Vec<_>>().into(),
            deleted: Some(values.iter().map(|value| Some(value.is_none())).collect()),
            keys,
            values: self.value.decode(values_or_nulls)?,
        })
    }
}

impl StateTable for RowTable {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        let (key, rest) = entries.keys.split_at(self.schema.hashed.min(entries.keys.len()));
        let (keys, rests) = (self.key.encode(key, entries.rows())?, self.rest.encode(rest, entries.rows())?);
        let values = self.value.encode(&entries.values, entries.rows())?;
        let times = entries.times.values().iter();
        for (row, (((key, rest), value), time_us)) in keys.into_iter().zip(rests).zip(values).zip(times).enumerate() {
            self.set(RowId { key, time_us: *time_us, rest }, (!entries.is_deleted(row)).then_some(value));
        }
        Ok(())
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        for (id, was_there) in std::mem::take(&mut self.touched) {
            self.bytes -= id.bytes();
            let value = self.rows.get(&id).cloned();
            // An entry that was put and deleted within the epoch was never saved.
            if horizon_us.is_none_or(|horizon_us| id.time_us >= horizon_us) && (value.is_some() || was_there) {
                ids.push(id);
                values.push(value);
            }
        }
        while self.pop_below(horizon_us).is_some() {}
        if ids.is_empty() {
            return Ok(None);
        }
        Change::of(&self.schema, &[self.entries_of(&ids, &values)?])
    }

    fn entries(&self) -> u64 {
        self.rows.len() as u64
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Converts some of a table's columns to bytes and back.
pub struct Columns {
    types: Vec<DataType>,
    /// `None` if there are no columns.
    converter: Option<RowConverter>,
}

impl Columns {
    fn new(types: &[DataType]) -> Result<Self> {
        let fields: Vec<_> = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields).map_err(bug)?) };
        Ok(Self { types: types.to_vec(), converter })
    }

    /// Returns the bytes of each row.
    pub fn encode(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<Arc<[u8]>>> {
        let Some(converter) = &self.converter else {
            let none: Arc<[u8]> = Arc::new([]);
            return Ok(std::iter::repeat_n(none, rows).collect());
        };
        let encoded = converter.convert_columns(columns).map_err(bug)?;
        Ok(encoded.iter().map(|row| Arc::from(row.as_ref())).collect())
    }

    /// Returns the columns of rows that [`encode`](Self::encode) has made.
    pub fn decode<'r>(&self, rows: impl IntoIterator<Item = &'r [u8]>) -> Result<Vec<ArrayRef>> {
        let Some(converter) = &self.converter else { return Ok(Vec::new()) };
        let parser = converter.parser();
        converter.convert_rows(rows.into_iter().map(|row| parser.parse(row))).map_err(bug)
    }

    /// A row of nulls.
    fn nulls(&self) -> Result<Arc<[u8]>> {
        let columns: Vec<_> = self.types.iter().map(|data_type| new_null_array(data_type, 1)).collect();
        Ok(self.encode(&columns, 1)?.remove(0))
    }
}

fn bug(e: ArrowError) -> Failure {
    Failure::bug(format!("rows of a table: {e}"))
}

#[cfg(test)]
mod tests;
