//! The groups of a running aggregate. A group is an entry under the time of its newest row; its values are the partial
//! states of the calls. An epoch writes each group that it changes as a whole.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt16Array, UInt32Array, new_null_array};
use arrow_row::Rows;
use weir_plan::aggregate::Aggregate;

use crate::failure::Result;
use crate::keyed::aggregate::group_table::{Accumulators, GroupTable};
use crate::keyed::aggregate::segments::{Place, Segments, gathered, hash_of, taken};
use crate::keyed::rows::by_key::ByKey;
use crate::state::{Change, Entries, Grouped, StateTable, TableSchema};

pub(super) struct Groups {
    aggregate: Arc<Aggregate>,
    table: Arc<TableSchema>,
    groups: Segments,
    /// What the open epoch has deleted and put, in that order.
    changed: Vec<Grouped>,
}

/// The groups that an epoch changes, each with what it is made of.
struct Changed {
    /// Per group: a row of what has arrived that has its key.
    arrived: Vec<u32>,
    /// The time of the newest row (µs).
    times: Vec<i64>,
    /// What the groups are made of: the number of a list of columns (0: what has arrived; else a segment's number and
    /// 1), and the row in it.
    members: Vec<(usize, usize)>,
    /// The group of each member, in ascending order.
    numbers: Vec<usize>,
}

impl Groups {
    pub fn new(aggregate: Arc<Aggregate>, table: Arc<TableSchema>) -> Result<Self> {
        let groups = Segments::new(&aggregate.key_schema)?;
        Ok(Self { aggregate, table, groups, changed: Vec::new() })
    }

    /// Forgets groups whose newest row has an earlier time. A restore skips them too, since they are below the horizon.
    pub fn forget_before(&mut self, limit_us: i64) {
        self.groups.before(limit_us).into_iter().for_each(|group| self.groups.remove(group.row()));
    }

    /// Merges what an epoch has brought into the groups, and returns those that it has changed. They are valid until
    /// the next call.
    pub fn merge(&mut self, arrived: &[Grouped]) -> Result<Vec<Place>> {
        self.groups.tidy()?;
        let Some(arrived) = Grouped::joined(arrived)? else { return Ok(Vec::new()) };
        let keys = self.groups.format().encode(&arrived.entries.keys, arrived.rows())?;
        let changed = self.changed(&arrived.entries, &keys);
        let states = self.states_of(&arrived.entries, &changed)?;
        self.changed = self.change(&arrived, &changed, &states)?;
        let former = changed.members.iter().filter_map(|(list, row)| Some((list.checked_sub(1)?, *row)));
        former.for_each(|group| self.groups.remove(group));
        let mut of_groups = self.groups.format().empty(changed.arrived.len());
        changed.arrived.iter().for_each(|row| of_groups.push(keys.row(*row as usize)));
        self.groups.push(of_groups, changed.times, states)?;
        Ok(self.groups.newest())
    }

    pub fn all(&self) -> Vec<Place> {
        self.groups.all().collect()
    }

    /// Copies of some groups.
    pub fn at(&self, places: &[Place]) -> Result<GroupTable> {
        let types: Vec<_> = self.aggregate.key_schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let mut groups = GroupTable::new(&types, &self.aggregate.calls)?;
        let (keys, states) = self.groups.at(places)?;
        groups.merge(&keys, places.len(), &states)?;
        Ok(groups)
    }

    fn changed(&self, arrived: &Entries, keys: &Rows) -> Changed {
        let hashes: Vec<_> = keys.iter().map(hash_of).collect();
        let by_key = ByKey::of(keys, &hashes);
        let groups = by_key.last.len();
        let (mut members, mut numbers) = (Vec::with_capacity(2 * groups), Vec::with_capacity(2 * groups));
        let mut times = Vec::with_capacity(groups);
        for (number, last) in by_key.last.iter().enumerate() {
            let mut newest_us = i64::MIN;
            for row in by_key.rows(*last).map(|row| row as usize) {
                members.push((0, row));
                newest_us = newest_us.max(arrived.times.value(row));
            }
            let (hash, key) = (hashes[*last as usize], keys.row(*last as usize));
            for (segment, row) in self.groups.of_key(hash, key).map(Place::row) {
                members.push((segment + 1, row));
                newest_us = newest_us.max(self.groups.time_us((segment, row)));
            }
            numbers.resize(members.len(), number);
            times.push(newest_us);
        }
        Changed { arrived: by_key.last, times, members, numbers }
    }

    /// The merged states of the changed groups.
    fn states_of(&self, arrived: &Entries, changed: &Changed) -> Result<Vec<ArrayRef>> {
        let lists: Vec<_> = [&arrived.values[..]].into_iter().chain(self.groups.lists()).collect();
        let states = gathered(&lists, &changed.members)?;
        let mut accumulators = Accumulators::new(&self.aggregate.calls)?;
        accumulators.merge(&states, &changed.numbers, changed.arrived.len())?;
        accumulators.states()
    }

    /// What the epoch changes in the state: groups whose time has moved are deleted under their old one, and all are
    /// put.
    fn change(&self, arrived: &Grouped, changed: &Changed, states: &[ArrayRef]) -> Result<Vec<Grouped>> {
        let at = |rows: Vec<u32>, times: Vec<i64>, values: Vec<ArrayRef>, is_deleted: bool| -> Result<Grouped> {
            let deleted = Some(BooleanArray::from(vec![is_deleted; times.len()]));
            let of_rows = rows.iter().map(|row| arrived.key_groups.value(*row as usize));
            let key_groups = UInt16Array::from_iter_values(of_rows);
            let keys = taken(&arrived.entries.keys, &UInt32Array::from(rows))?;
            Ok(Grouped { key_groups, entries: Entries { times: times.into(), deleted, keys, values } })
        };
        let (mut moved, mut former_us) = (Vec::new(), Vec::new());
        for ((list, row), number) in changed.members.iter().zip(&changed.numbers) {
            let Some(segment) = list.checked_sub(1) else { continue };
            let time_us = self.groups.time_us((segment, *row));
            if time_us != changed.times[*number] {
                moved.push(changed.arrived[*number]);
                former_us.push(time_us);
            }
        }
        let nulls =
            self.table.values.iter().map(|value| new_null_array(value.field.data_type(), moved.len())).collect();
        let deletes = at(moved, former_us, nulls, true)?;
        let puts = at(changed.arrived.clone(), changed.times.clone(), states.to_vec(), false)?;
        Ok(vec![deletes, puts])
    }
}

impl StateTable for Groups {
    fn restore(&mut self, entries: &Entries) -> Result<()> {
        self.groups.restore(entries)
    }

    fn take_change(&mut self, horizon_us: Option<i64>) -> Result<Option<Change>> {
        let needed = |time: i64| horizon_us.is_none_or(|horizon_us| time >= horizon_us);
        let changed = std::mem::take(&mut self.changed).into_iter();
        let changed: Vec<_> = changed.map(|changed| Ok(changed.split(needed)?.0)).collect::<Result<_>>()?;
        Change::of_grouped(&self.table, &changed)
    }

    fn entries(&self) -> u64 {
        self.groups.entries() as u64
    }

    fn bytes(&self) -> usize {
        self.groups.bytes() + self.changed.iter().map(Grouped::bytes).sum::<usize>()
    }
}
