//! The two kinds of state, and the files that they are saved in. Nothing here knows an operator.
//!
//! An entry is below a horizon H if it has a time and that is less than H. Time is part of what an entry is: a put or delete hides only
//! entries of the same key and time. So what is below the horizon hides nothing above it, and a file that is wholly below may go.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::operator::{Time, Value, Watermark, key_group};

pub type Key = Vec<Value>;
/// Merges the second value into the first, in any order and grouping.
pub type Combine = fn(&mut Vec<Value>, &[Value]);

#[derive(Clone)]
pub enum Kind {
    Merge(Combine),
    Rows,
}

#[derive(Clone)]
pub struct TableSpec {
    pub name: &'static str,
    pub kind: Kind,
    /// The leading key columns that decide the key group.
    pub hashed: usize,
    /// The horizon is the least of these inputs' watermarks less the constants. Empty: entries have no time.
    pub horizon: Vec<(usize, Time)>,
}

impl TableSpec {
    pub fn horizon(&self, inputs: &[Watermark]) -> Watermark {
        self.horizon.iter().map(|(i, keeps)| inputs[*i].map(|w| w.saturating_sub(*keeps))).min().flatten()
    }
}

pub fn below(time: Option<Time>, horizon: Watermark) -> bool {
    matches!((time, horizon), (Some(time), Some(horizon)) if time < horizon)
}

/// One line of a state file, and of an edge. `value` is `None` for a delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub group: u16,
    pub time: Option<Time>,
    pub key: Key,
    pub value: Option<Vec<Value>>,
}

pub trait StateTable {
    /// Entries of a file, oldest file first, without those below the horizon.
    fn restore(&mut self, entries: Vec<Entry>);
    /// After the last rows of an epoch: what changed, without what is below the horizon, which goes.
    fn take_change(&mut self, horizon: Watermark) -> Vec<Entry>;
    fn len(&self) -> usize;
}

/// Put or delete by key and time.
pub struct RowTable {
    hashed: usize,
    /// By the hashed part of the key, time, the rest of the key.
    rows: BTreeMap<(Key, Option<Time>, Key), Vec<Value>>,
    by_time: BTreeSet<(Option<Time>, Key, Key)>,
    /// What this epoch touched, and whether it was there before.
    touched: BTreeMap<(Key, Option<Time>, Key), bool>,
}

impl RowTable {
    pub fn new(hashed: usize) -> Self {
        Self { hashed, rows: BTreeMap::new(), by_time: BTreeSet::new(), touched: BTreeMap::new() }
    }

    fn set(&mut self, id: (Key, Option<Time>, Key), value: Option<Vec<Value>>) {
        let other = (id.1, id.0.clone(), id.2.clone());
        match value {
            Some(value) => {
                self.by_time.insert(other);
                self.rows.insert(id, value);
            }
            None => {
                self.by_time.remove(&other);
                self.rows.remove(&id);
            }
        }
    }

    /// Puts, or deletes with `None`.
    pub fn put(&mut self, key: Key, time: impl Into<Option<Time>>, rest: Key, value: Option<Vec<Value>>) {
        let id = (key, time.into(), rest);
        let was_there = self.rows.contains_key(&id);
        self.touched.entry(id.clone()).or_insert(was_there);
        self.set(id, value);
    }

    /// Beside others of the same key and time: the rest of its key is a number.
    pub fn add(&mut self, key: Key, time: Time, value: Vec<Value>) -> Key {
        let last = self.range(&key, time, time).last().map_or(-1, |(_, rest, _)| rest[0].unwrap_or(0));
        self.put(key, time, vec![Some(last + 1)], Some(value));
        vec![Some(last + 1)]
    }

    /// The entries of a key in a closed range of times.
    pub fn range(&self, key: &[Value], from: Time, to: Time) -> impl Iterator<Item = (Time, &Key, &Vec<Value>)> {
        let from = (key.to_vec(), Some(from), Vec::new());
        let key = key.to_vec();
        self.rows
            .range(from..)
            .take_while(move |((k, t, _), _)| *k == key && t.is_some_and(|t| t <= to))
            .map(|((_, t, rest), v)| (t.unwrap_or(0), rest, v))
    }

    /// The value of a key that has no time.
    pub fn get(&self, key: &[Value]) -> Option<&Vec<Value>> {
        self.rows.get(&(key.to_vec(), None, Vec::new()))
    }

    /// The first time, if it is below the horizon.
    pub fn first_below(&self, horizon: Watermark) -> Option<Time> {
        self.by_time.first().map(|(time, ..)| *time).filter(|time| below(*time, horizon))?
    }

    /// Takes the first in the order of time, if it is below the horizon.
    pub fn pop_below(&mut self, horizon: Watermark) -> Option<(Time, Key, Key, Vec<Value>)> {
        let (time, key, rest) = self.by_time.first().filter(|(time, ..)| below(*time, horizon))?.clone();
        let value = self.rows.get(&(key.clone(), time, rest.clone()))?.clone();
        self.set((key.clone(), time, rest.clone()), None);
        Some((time?, key, rest, value))
    }

    /// The first behind a place in the order of time, if it is below the horizon.
    pub fn next_below(&self, place: &(Option<Time>, Key, Key), horizon: Watermark) -> Option<((Option<Time>, Key, Key), &Vec<Value>)> {
        let from = (std::ops::Bound::Excluded(place.clone()), std::ops::Bound::Unbounded);
        let at = self.by_time.range(from).next().filter(|(time, ..)| below(*time, horizon))?;
        Some((at.clone(), self.rows.get(&(at.1.clone(), at.0, at.2.clone()))?))
    }

    /// Those with a time up to `limit`, latest first.
    pub fn back_from(&self, limit: Time) -> impl Iterator<Item = (Time, &Vec<Value>)> {
        let upto = (Some(limit.saturating_add(1)), Vec::new(), Vec::new());
        let times = self.by_time.range(..upto).rev();
        times.filter_map(|(time, key, rest)| Some(((*time)?, self.rows.get(&(key.clone(), *time, rest.clone()))?)))
    }
}

impl StateTable for RowTable {
    fn restore(&mut self, entries: Vec<Entry>) {
        for Entry { time, mut key, value, .. } in entries {
            let rest = key.split_off(self.hashed);
            self.set((key, time, rest), value);
        }
    }

    fn take_change(&mut self, horizon: Watermark) -> Vec<Entry> {
        let mut change = Vec::new();
        for ((key, time, rest), was_there) in std::mem::take(&mut self.touched) {
            let value = self.rows.get(&(key.clone(), time, rest.clone())).cloned();
            if !below(time, horizon) && (value.is_some() || was_there) {
                change.push(Entry { group: key_group(&key), time, key: key.into_iter().chain(rest).collect(), value });
            }
        }
        while self.pop_below(horizon).is_some() {}
        change
    }

    fn len(&self) -> usize {
        self.rows.len()
    }
}

/// Partial values that merge. An epoch's entries wait until it closes: those that stay are the change, sorted and merged once.
pub struct MergeTable {
    combine: Combine,
    arrived: Vec<Entry>,
    change: Vec<Entry>,
    panes: BTreeMap<Option<Time>, BTreeMap<Key, Vec<Value>>>,
    closing: VecDeque<(Time, Key, Vec<Value>)>,
}

impl MergeTable {
    pub fn new(combine: Combine) -> Self {
        Self { combine, arrived: Vec::new(), change: Vec::new(), panes: BTreeMap::new(), closing: VecDeque::new() }
    }

    pub fn take_in(&mut self, entries: Vec<Entry>) {
        self.arrived.extend(entries);
    }

    fn merge(&mut self, entry: &Entry) {
        let value = entry.value.as_ref().expect("merge state knows no deletes");
        let pane = self.panes.entry(entry.time).or_default();
        match pane.get_mut(&entry.key) {
            Some(have) => (self.combine)(have, value),
            None => drop(pane.insert(entry.key.clone(), value.clone())),
        }
    }

    /// The epoch closes with this horizon.
    pub fn settle(&mut self, horizon: Watermark) {
        let (over, stays): (Vec<_>, Vec<_>) = std::mem::take(&mut self.arrived).into_iter().partition(|e| below(e.time, horizon));
        over.iter().for_each(|e| self.merge(e));
        self.change = merged(stays, &Kind::Merge(self.combine), true);
        for entry in self.change.clone() {
            self.merge(&entry);
        }
    }

    /// Takes up to so many values of the first pane that is below the horizon.
    pub fn take_below(&mut self, horizon: Watermark, rows: usize) -> Option<Vec<(Time, Key, Vec<Value>)>> {
        if self.closing.is_empty() {
            let first = self.panes.first_entry().filter(|pane| below(*pane.key(), horizon))?;
            let (time, pane) = first.remove_entry();
            self.closing = pane.into_iter().map(|(key, value)| (time.unwrap_or(0), key, value)).collect();
        }
        let n = rows.min(self.closing.len());
        Some(self.closing.drain(..n).collect())
    }

    /// The whole values of what this epoch changed.
    pub fn changed(&self) -> Vec<(Key, Vec<Value>)> {
        self.change.iter().map(|e| (e.key.clone(), self.panes[&e.time][&e.key].clone())).collect()
    }

    pub fn times(&self) -> impl DoubleEndedIterator<Item = Time> {
        self.panes.keys().filter_map(|time| *time)
    }
}

impl StateTable for MergeTable {
    fn restore(&mut self, entries: Vec<Entry>) {
        entries.iter().for_each(|entry| self.merge(entry));
    }
    fn take_change(&mut self, _: Watermark) -> Vec<Entry> {
        std::mem::take(&mut self.change)
    }
    fn len(&self) -> usize {
        self.panes.values().map(BTreeMap::len).sum()
    }
}

/// Entries, oldest first, into the order of files, each key and time once. `from_oldest`: no older file has any of them, so deletes say nothing.
pub fn merged(entries: Vec<Entry>, kind: &Kind, from_oldest: bool) -> Vec<Entry> {
    let mut all: BTreeMap<(u16, Option<Time>, Key), Option<Vec<Value>>> = BTreeMap::new();
    for Entry { group, time, key, value } in entries {
        let id = (group, time, key);
        match (kind, all.get_mut(&id), value) {
            (Kind::Merge(combine), Some(Some(have)), Some(value)) => combine(have, &value),
            (_, _, value) => drop(all.insert(id, value)),
        }
    }
    let entries = all.into_iter().filter(|(_, value)| value.is_some() || !from_oldest);
    entries.map(|((group, time, key), value)| Entry { group, time, key, value }).collect()
}

/// A state file of one epoch and worker, or of a compaction: blocks by step and table. The manifest has `max_times`.
#[derive(Debug, Clone)]
pub struct File {
    pub blocks: BTreeMap<(usize, usize), Vec<Entry>>,
}

impl File {
    /// Whether it is wholly below the horizons of its tables.
    pub fn is_over(&self, horizon: impl Fn(usize, usize) -> Watermark) -> bool {
        self.blocks.iter().all(|((step, table), entries)| entries.iter().all(|e| below(e.time, horizon(*step, *table))))
    }
}
