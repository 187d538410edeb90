//! The open sessions of one aggregate: segments, newest last, and an index from keys to their sessions.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, UInt16Array, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use arrow_row::Rows;
use hashbrown::HashTable;
use weir_plan::aggregate::Aggregate;
use xxhash_rust::xxh3::xxh3_64;

use super::join::{Joined, Span};
use super::segment::{Segment, gathered};
use crate::failure::{Failure, Result};
use crate::keyed::aggregate::group_table::{Accumulators, GroupTable};
use crate::keyed::rows::by_key::ByKey;
use crate::keyed::rows::key_format::KeyFormat;
use crate::state::{Change, Entries, Grouped, StateTable, TableSchema};

/// How many sessions are closed at a time. Their states are in memory twice meanwhile.
const CLOSED_AT_ONCE: usize = 1 << 16;

pub(super) struct Sessions {
    aggregate: Arc<Aggregate>,
    table: Arc<TableSchema>,
    format: KeyFormat,
    segments: Vec<Segment>,
    index: HashTable<Place>,
    /// What is over and has not given its rows.
    over: Vec<Place>,
    /// The change of the open epoch.
    change: Option<Change>,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Of the session's key.
    hash: u64,
    segment: u32,
    row: u32,
}

/// The fragments of an epoch and their keys.
struct Arrived {
    entries: Entries,
    key_groups: UInt16Array,
    keys: Rows,
    hashes: Vec<u64>,
}

impl Sessions {
    pub fn new(aggregate: Arc<Aggregate>, table: Arc<TableSchema>) -> Result<Self> {
        let types: Vec<_> = aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let format = KeyFormat::new(&types)?;
        let (segments, index, over) = (Vec::new(), HashTable::new(), Vec::new());
        Ok(Self { aggregate, table, format, segments, index, over, change: None })
    }

    /// Joins what an epoch has brought with the sessions that it meets. Sessions that end before the new watermark are
    /// over. Only those that stay open are state.
    pub fn settle(&mut self, arrived: &[Grouped], after_us: Option<i64>) -> Result<()> {
        self.change = None;
        if let Some(arrived) = self.arrived(arrived)? {
            let joined = self.joined(&arrived);
            let states = self.states_of(&arrived, &joined)?;
            self.change = self.change_of(&arrived, &joined, &states, after_us)?;
            for (list, row) in &joined.members {
                if let Some(segment) = list.checked_sub(1) {
                    self.remove(segment, *row);
                }
            }
            let mut keys = self.format.empty(joined.starts.len());
            joined.fragments.iter().for_each(|fragment| keys.push(arrived.keys.row(*fragment as usize)));
            self.push(Segment::new(keys, joined.starts, joined.ends, states))?;
        }
        self.tidy()?;
        self.over = after_us.map_or_else(Vec::new, |watermark_us| self.ending_before(watermark_us));
        Ok(())
    }

    /// Takes some of the sessions that are over, as groups with their start and end as the last keys; `None` if there
    /// are no more.
    pub fn close_some(&mut self) -> Result<Option<GroupTable>> {
        let over = self.over.split_off(self.over.len().saturating_sub(CLOSED_AT_ONCE));
        if over.is_empty() {
            return Ok(None);
        }
        let key_types = self.aggregate.key_schema.fields().iter().map(|f| f.data_type().clone());
        let types: Vec<_> = key_types.chain([DataType::Int64, DataType::Int64]).collect();
        let mut groups = GroupTable::new(&types, &self.aggregate.calls)?;
        let of = |place: &Place| (&self.segments[place.segment as usize], place.row as usize);
        let mut keys = self.format.empty(over.len());
        over.iter().map(of).for_each(|(segment, row)| keys.push(segment.keys.row(row)));
        let bound = |bounds: &dyn Fn(&Segment) -> &[i64]| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(over.iter().map(of).map(|(segment, row)| bounds(segment)[row])))
        };
        let bounds = [bound(&|segment| &segment.starts), bound(&|segment| &segment.ends)];
        let keys: Vec<_> = self.format.decode(keys.iter())?.into_iter().chain(bounds).collect();
        groups.merge(&keys, over.len(), &self.states_at(&over)?)?;
        over.iter().for_each(|place| self.remove(place.segment as usize, place.row as usize));
        Ok(Some(groups))
    }

    /// The end (µs) of the last session to end by `limit_us`, of those that are open or that fragments would make.
    pub fn last_end_by(&self, arrived: &[Grouped], limit_us: i64) -> Result<Option<i64>> {
        let mut last = None;
        let mut changed = vec![Vec::new(); self.segments.len()];
        if let Some(arrived) = self.arrived(arrived)? {
            let joined = self.joined(&arrived);
            last = joined.ends.iter().copied().filter(|end| *end <= limit_us).max();
            for (list, row) in joined.members.iter().filter(|(list, _)| *list > 0) {
                changed[list - 1].push(*row);
            }
        }
        for (segment, mut changed) in self.segments.iter().zip(changed) {
            changed.sort_unstable();
            let unchanged = segment.open_rows().filter(|row| changed.binary_search(row).is_err());
            last = last.max(unchanged.map(|row| segment.ends[row]).filter(|end| *end <= limit_us).max());
        }
        Ok(last)
    }

    fn arrived(&self, arrived: &[Grouped]) -> Result<Option<Arrived>> {
        let Some(Grouped { key_groups, entries }) = Grouped::joined(arrived)? else { return Ok(None) };
        let keys = self.format.encode(&entries.keys, entries.rows())?;
        let hashes = keys.iter().map(|key| xxh3_64(key.as_ref())).collect();
        Ok(Some(Arrived { entries, key_groups, keys, hashes }))
    }

    /// The sessions that fragments make, with those that they meet.
    fn joined(&self, arrived: &Arrived) -> Joined {
        let starts = arrived.entries.values[0].as_primitive::<Int64Type>().values();
        let ends = arrived.entries.times.values();
        let by_key = ByKey::of(&arrived.keys, &arrived.hashes);
        let (mut joined, mut spans) = (Joined::default(), Vec::new());
        for last in &by_key.last {
            spans.clear();
            spans.extend(by_key.rows(*last).map(|fragment| {
                let row = fragment as usize;
                Span { start_us: starts[row], end_us: ends[row], member: (0, row) }
            }));
            let (hash, key) = (arrived.hashes[*last as usize], arrived.keys.row(*last as usize));
            for place in self.index.iter_hash(hash).filter(|place| place.hash == hash) {
                let (segment, row) = (&self.segments[place.segment as usize], place.row as usize);
                if segment.keys.row(row) == key {
                    let member = (place.segment as usize + 1, row);
                    spans.push(Span { start_us: segment.starts[row], end_us: segment.ends[row], member });
                }
            }
            joined.add(&mut spans);
        }
        joined
    }

    /// The merged states of the joined sessions.
    fn states_of(&self, arrived: &Arrived, joined: &Joined) -> Result<Vec<ArrayRef>> {
        let of_segments = self.segments.iter().map(|segment| &segment.states[..]);
        let lists: Vec<_> = [&arrived.entries.values[1..]].into_iter().chain(of_segments).collect();
        let states = gathered(&lists, &joined.members)?;
        let sessions = joined.starts.len();
        if joined.members.len() == sessions {
            return Ok(states);
        }
        let mut accumulators = Accumulators::new(&self.aggregate.calls)?;
        accumulators.merge(&states, &joined.numbers, sessions)?;
        accumulators.states()
    }

    /// What the joined sessions change in the state: each is put under its end, and what it was made of is deleted
    /// where that had another end.
    fn change_of(
        &self,
        arrived: &Arrived,
        joined: &Joined,
        states: &[ArrayRef],
        after_us: Option<i64>,
    ) -> Result<Option<Change>> {
        let is_state = |end: i64| after_us.is_none_or(|watermark_us| end >= watermark_us);
        let at = |fragments: &[u32], times: Vec<i64>, values: Vec<ArrayRef>, is_deleted: bool| -> Result<Grouped> {
            let rows = UInt32Array::from(fragments.to_vec());
            let groups = arrived.key_groups.values();
            let deleted = Some(BooleanArray::from(vec![is_deleted; times.len()]));
            Ok(Grouped {
                key_groups: fragments.iter().map(|fragment| groups[*fragment as usize]).collect::<Vec<_>>().into(),
                entries: Entries { times: times.into(), deleted, keys: taken(&arrived.entries.keys, &rows)?, values },
            })
        };
        let (mut gone, mut gone_ends) = (Vec::new(), Vec::new());
        for ((list, row), number) in joined.members.iter().zip(&joined.numbers) {
            let Some(segment) = list.checked_sub(1) else { continue };
            let end_us = self.segments[segment].ends[*row];
            if is_state(end_us) && end_us != joined.ends[*number] {
                gone.push(joined.fragments[*number]);
                gone_ends.push(end_us);
            }
        }
        let nulls = self.table.values.iter().map(|value| new_null_array(value.field.data_type(), gone.len())).collect();
        let deletes = at(&gone, gone_ends, nulls, true)?;
        let open: Vec<u32> = (0u32..).zip(&joined.ends).filter(|(_, end)| is_state(**end)).map(|(i, _)| i).collect();
        let of_open = |list: &[i64]| open.iter().map(|session| list[*session as usize]).collect::<Vec<_>>();
        let fragments: Vec<u32> = open.iter().map(|session| joined.fragments[*session as usize]).collect();
        let starts: ArrayRef = Arc::new(Int64Array::from(of_open(&joined.starts)));
        let states =
            if open.len() == joined.ends.len() { states.to_vec() } else { taken(states, &open.clone().into())? };
        let values = [starts].into_iter().chain(states).collect();
        let puts = at(&fragments, of_open(&joined.ends), values, false)?;
        Change::of_grouped(&self.table, &[deletes, puts])
    }

    fn states_at(&self, places: &[Place]) -> Result<Vec<ArrayRef>> {
        let lists: Vec<_> = self.segments.iter().map(|segment| &segment.states[..]).collect();
        let rows: Vec<_> = places.iter().map(|place| (place.segment as usize, place.row as usize)).collect();
        gathered(&lists, &rows)
    }

    fn ending_before(&self, watermark_us: i64) -> Vec<Place> {
        let mut ending = Vec::new();
        for (segment, number) in self.segments.iter().zip(0u32..).filter(|(s, _)| s.first_end_us < watermark_us) {
            for row in segment.open_rows().filter(|row| segment.ends[*row] < watermark_us) {
                let hash = xxh3_64(segment.keys.row(row).as_ref());
                ending.push(Place { hash, segment: number, row: u32::try_from(row).unwrap_or(u32::MAX) });
            }
        }
        ending
    }

    fn push(&mut self, segment: Segment) -> Result<()> {
        let full = |_| Failure::config("there are more than 4,294,967,295 open sessions; group by something coarser");
        let number = u32::try_from(self.segments.len()).map_err(full)?;
        u32::try_from(segment.rows()).map_err(full)?;
        self.index.reserve(segment.rows(), |place| place.hash);
        for (row, key) in (0u32..).zip(segment.keys.iter()) {
            let place = Place { hash: xxh3_64(key.as_ref()), segment: number, row };
            self.index.insert_unique(place.hash, place, |place| place.hash);
        }
        self.segments.push(segment);
        Ok(())
    }

    fn remove(&mut self, segment: usize, row: usize) {
        let hash = xxh3_64(self.segments[segment].keys.row(row).as_ref());
        let is_it = |place: &Place| (place.segment as usize, place.row as usize) == (segment, row);
        if let Ok(found) = self.index.find_entry(hash, is_it) {
            found.remove();
        }
        self.segments[segment].remove(row);
    }

    /// Rewrites the newest segments into one while the one before is not much larger, and all where most rows are gone.
    /// So there are few segments, and a session is rewritten rarely.
    fn tidy(&mut self) -> Result<()> {
        let mut keep = self.segments.len();
        let mut open = 0;
        while keep > 0 && (self.segments[keep - 1].open() <= 2 * open || keep == self.segments.len()) {
            keep -= 1;
            open += self.segments[keep].open();
        }
        let rows: usize = self.segments.iter().map(Segment::rows).sum();
        let all_open: usize = self.segments.iter().map(Segment::open).sum();
        if rows > 2 * all_open {
            (keep, open) = (0, all_open);
        }
        if keep + 1 >= self.segments.len() && rows <= 2 * all_open {
            return Ok(());
        }
        let places = (keep..self.segments.len())
            .flat_map(|segment| self.segments[segment].open_rows().map(move |row| (segment, row)).collect::<Vec<_>>());
        let places: Vec<(usize, usize)> = places.collect();
        let lists: Vec<_> = self.segments.iter().map(|segment| &segment.states[..]).collect();
        let states = gathered(&lists, &places)?;
        let mut keys = self.format.empty(open);
        places.iter().for_each(|(segment, row)| keys.push(self.segments[*segment].keys.row(*row)));
        let of = |bounds: &dyn Fn(&Segment) -> &[i64]| -> Vec<i64> {
            places.iter().map(|(segment, row)| bounds(&self.segments[*segment])[*row]).collect()
        };
        let (starts, ends) = (of(&|segment| &segment.starts), of(&|segment| &segment.ends));
        self.index.retain(|place| (place.segment as usize) < keep);
        self.segments.truncate(keep);
        if places.is_empty() { Ok(()) } else { self.push(Segment::new(keys, starts, ends, states)) }
    }
}

fn taken(columns: &[ArrayRef], rows: &UInt32Array) -> Result<Vec<ArrayRef>> {
    let taken = columns.iter().map(|column| take(column, rows, None));
    taken.collect::<Result<_, _>>().map_err(|e| Failure::bug(format!("entries of sessions: {e}")))
}

impl StateTable for Sessions {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        let keys = self.format.encode(&entries.keys, entries.rows())?;
        // The newer entry of a key and an end replaces the older one.
        for (key, end_us) in keys.iter().zip(entries.times.values()) {
            let hash = xxh3_64(key.as_ref());
            let is_it = |place: &&Place| {
                let (segment, row) = (&self.segments[place.segment as usize], place.row as usize);
                place.hash == hash && segment.ends[row] == *end_us && segment.keys.row(row) == key
            };
            let found = self.index.iter_hash(hash).find(is_it).copied();
            if let Some(place) = found {
                self.remove(place.segment as usize, place.row as usize);
            }
        }
        let kept: Vec<u32> = (0u32..).take(entries.rows()).filter(|row| !entries.is_deleted(*row as usize)).collect();
        if kept.is_empty() {
            return self.tidy();
        }
        let mut of_kept = self.format.empty(kept.len());
        kept.iter().for_each(|row| of_kept.push(keys.row(*row as usize)));
        let values = taken(&entries.values, &UInt32Array::from(kept.clone()))?;
        let Some((starts, states)) = values.split_first() else { return Err(Failure::bug("sessions without a start")) };
        let ends = kept.iter().map(|row| entries.times.value(*row as usize)).collect();
        let starts = starts.as_primitive::<Int64Type>().values().to_vec();
        self.push(Segment::new(of_kept, starts, ends, states.to_vec()))?;
        self.tidy()
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        debug_assert!(
            horizon_us.is_none_or(|horizon| self.ending_before(horizon).is_empty()),
            "a session that is over has not given its row"
        );
        Ok(self.change.take())
    }

    fn entries(&self) -> u64 {
        self.segments.iter().map(|segment| segment.open() as u64).sum()
    }

    fn bytes(&self) -> usize {
        self.segments.iter().map(Segment::bytes).sum::<usize>() + self.index.allocation_size()
    }
}
