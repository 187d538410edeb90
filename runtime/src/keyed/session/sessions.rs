//! The open sessions of one aggregate. A session is an entry under its end; its values are its start and the partial
//! states of the calls.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, UInt16Array, UInt32Array, new_null_array};
use arrow::datatypes::{DataType, Int64Type};
use arrow_row::Rows;
use weir_plan::aggregate::Aggregate;

use super::join::{Joined, Span};
use crate::failure::Result;
use crate::keyed::aggregate::group_table::{Accumulators, GroupTable};
use crate::keyed::aggregate::segments::{Place, Segments, gathered, hash_of, taken};
use crate::keyed::rows::by_key::ByKey;
use crate::state::{Change, Entries, Grouped, StateTable, TableSchema};

/// How many sessions are closed at a time. Their states are in memory twice meanwhile.
const CLOSED_AT_ONCE: usize = 1 << 16;

pub(super) struct Sessions {
    aggregate: Arc<Aggregate>,
    table: Arc<TableSchema>,
    open: Segments,
    /// What is over and has not given its rows.
    over: Vec<Place>,
    /// The change of the open epoch.
    change: Option<Change>,
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
        let open = Segments::new(&aggregate.key_schema)?;
        Ok(Self { aggregate, table, open, over: Vec::new(), change: None })
    }

    /// Joins what an epoch has brought with the sessions that it meets. Sessions that end before the new watermark are
    /// over. Only those that stay open are state.
    pub fn settle(&mut self, arrived: &[Grouped], after_us: Option<i64>) -> Result<()> {
        self.change = None;
        if let Some(arrived) = self.arrived(arrived)? {
            let joined = self.joined(&arrived);
            let states = self.states_of(&arrived, &joined)?;
            self.change = self.change_of(&arrived, &joined, &states, after_us)?;
            joined.sessions().for_each(|session| self.open.remove(session));
            let mut keys = self.open.format().empty(joined.starts.len());
            joined.fragments.iter().for_each(|fragment| keys.push(arrived.keys.row(*fragment as usize)));
            let starts: ArrayRef = Arc::new(Int64Array::from(joined.starts));
            self.open.push(keys, joined.ends, [starts].into_iter().chain(states).collect())?;
        }
        self.open.tidy()?;
        self.over = after_us.map_or_else(Vec::new, |watermark_us| self.open.before(watermark_us));
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
        let (mut keys, mut states) = self.open.at(&over)?;
        let ends = over.iter().map(|session| self.open.time_us(session.row()));
        keys.push(states.remove(0));
        keys.push(Arc::new(Int64Array::from_iter_values(ends)));
        groups.merge(&keys, over.len(), &states)?;
        over.iter().for_each(|session| self.open.remove(session.row()));
        Ok(Some(groups))
    }

    /// The end (µs) of the last session to end by `limit_us`, of those that are open or that fragments would make.
    pub fn last_end_by(&self, arrived: &[Grouped], limit_us: i64) -> Result<Option<i64>> {
        let arrived = self.arrived(arrived)?;
        let joined = arrived.map_or_else(Joined::default, |arrived| self.joined(&arrived));
        let unchanged = self.open.times_without(joined.sessions());
        Ok(joined.ends.iter().copied().chain(unchanged).filter(|end| *end <= limit_us).max())
    }

    fn arrived(&self, arrived: &[Grouped]) -> Result<Option<Arrived>> {
        let Some(Grouped { key_groups, entries }) = Grouped::joined(arrived)? else { return Ok(None) };
        let keys = self.open.format().encode(&entries.keys, entries.rows())?;
        let hashes = keys.iter().map(hash_of).collect();
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
            spans.extend(self.open.of_key(hash, key).map(|session| {
                let (segment, row) = session.row();
                let start_us = self.open.values_of(segment)[0].as_primitive::<Int64Type>().value(row);
                Span { start_us, end_us: self.open.time_us((segment, row)), member: (segment + 1, row) }
            }));
            joined.add(&mut spans);
        }
        joined
    }

    /// The merged states of the joined sessions.
    fn states_of(&self, arrived: &Arrived, joined: &Joined) -> Result<Vec<ArrayRef>> {
        let of_open = self.open.lists().into_iter().map(|values| &values[1..]);
        let lists: Vec<_> = [&arrived.entries.values[1..]].into_iter().chain(of_open).collect();
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
            let end_us = self.open.time_us((segment, *row));
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
}

impl StateTable for Sessions {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        self.open.restore(entries)
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        debug_assert!(
            horizon_us.is_none_or(|horizon| self.open.before(horizon).is_empty()),
            "a session that is over has not given its row"
        );
        Ok(self.change.take())
    }

    fn entries(&self) -> u64 {
        self.open.entries() as u64
    }

    fn bytes(&self) -> usize {
        self.open.bytes()
    }
}
