//! What a change of rows contains, and what changes merge to: always the newest value.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use arrow::array::UInt32Array;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::keyed::proof::rows::{number, numbers, row_table};
use crate::state::{Grouped, Keeps, Merge};

fn schema() -> Arc<TableSchema> {
    row_table("rows", &["key"], &["value"], vec![Keeps { input: 0, keeps_us: 0 }])
}

/// By time and key: the value, or `None` if the entry is deleted.
type Changed = BTreeMap<(i64, Option<i64>), Option<Option<i64>>>;

fn changed(change: &Change) -> Changed {
    let entries = &change.entries;
    let row = |row| {
        let value = number(&entries.values[0], row);
        assert!(!entries.is_deleted(row) || value.is_none());
        ((entries.times.value(row), number(&entries.keys[0], row)), (!entries.is_deleted(row)).then_some(value))
    };
    let all: Changed = (0..entries.rows()).map(row).collect();
    assert_eq!(all.len(), entries.rows(), "each time and key once");
    all
}

struct Rig(RowTable);

impl Rig {
    fn new() -> Self {
        Self(RowTable::new(schema()).unwrap())
    }

    fn id(&self, time_us: i64, key: Option<i64>) -> RowId {
        RowId { key: self.0.key().encode(&[numbers([key])], 1).unwrap().remove(0), time_us, rest: Arc::new([]) }
    }

    fn put(&mut self, time_us: i64, key: Option<i64>, value: Option<i64>) {
        let value = self.0.value().encode(&[numbers([value])], 1).unwrap().remove(0);
        self.0.put(self.id(time_us, key), value);
    }

    fn delete(&mut self, time_us: i64, key: Option<i64>) {
        self.0.delete(self.id(time_us, key));
    }

    fn change(&mut self, horizon_us: Option<i64>) -> Changed {
        self.0.take_change(horizon_us).unwrap().as_ref().map_or_else(Changed::new, changed)
    }

    fn all(&self) -> Changed {
        let ids: Vec<_> = self.0.rows.keys().cloned().collect();
        let values: Vec<_> = self.0.rows.values().cloned().map(Some).collect();
        Change::of(&self.0.schema, &[self.0.entries_of(&ids, &values).unwrap()])
            .unwrap()
            .as_ref()
            .map_or_else(Changed::new, changed)
    }
}

#[test]
fn a_change_has_the_last_value_of_what_was_put_and_deletes_of_what_was_saved_and_nothing_below_the_horizon() {
    let mut rig = Rig::new();
    rig.put(5, Some(1), Some(10));
    rig.put(5, Some(1), Some(11));
    rig.put(6, None, None);
    rig.put(7, Some(2), Some(1));
    rig.delete(7, Some(2));
    rig.put(3, Some(4), Some(1));
    assert_eq!(rig.change(Some(4)), [((5, Some(1)), Some(Some(11))), ((6, None), Some(None))].into());
    assert_eq!(rig.change(Some(4)), Changed::new(), "it is given once");
    rig.delete(5, Some(1));
    rig.delete(5, Some(9));
    rig.delete(6, None);
    rig.put(6, None, Some(7));
    assert_eq!(rig.change(Some(4)), [((5, Some(1)), None), ((6, None), Some(Some(7)))].into());
    rig.delete(6, None);
    assert_eq!((rig.change(Some(7)), rig.all()), (Changed::new(), Changed::new()), "what is over needs no delete");
    assert_eq!(rig.0.bytes(), 0);
}

#[test]
fn rows_of_one_key_and_time_are_beside_each_other_and_come_in_the_order_of_time() {
    let mut table =
        RowTable::new(row_table("rows", &["key", "number"], &["value"], vec![Keeps { input: 0, keeps_us: 0 }]))
            .unwrap();
    let key = table.key().encode(&[numbers([Some(1), Some(2)])], 2).unwrap();
    for (time_us, value) in [(8, 1), (7, 2), (7, 3), (-9, 4), (7, 5)] {
        let value = table.value().encode(&[numbers([Some(value)])], 1).unwrap().remove(0);
        table.add(Arc::clone(&key[0]), time_us, Arc::clone(&value)).unwrap();
        table.add(Arc::clone(&key[1]), time_us, value).unwrap();
    }
    let values = |rows: Vec<&[u8]>| -> Vec<_> {
        let columns = table.value().decode(rows.iter().copied()).unwrap();
        (0..rows.len()).map(|row| number(&columns[0], row).unwrap()).collect()
    };
    let of_key = |from, to| values(table.of_key(&key[0], from..=to).map(|(_, value)| value).collect());
    assert_eq!((of_key(i64::MIN, i64::MAX), of_key(7, 7), of_key(8, 9)), (vec![4, 2, 3, 5, 1], vec![2, 3, 5], vec![1]));
    assert_eq!(values(table.back_from(7).map(|(_, value)| value).collect()), [5, 3, 2, 5, 3, 2, 4, 4]);
    let popped = std::iter::from_fn(|| table.pop_below(Some(8))).map(|(id, _)| id.time_us);
    assert_eq!(popped.collect::<Vec<_>>(), [-9, -9, 7, 7, 7, 7, 7, 7]);
}

/// The changes of random epochs, the oldest first, and their result.
fn epochs(rng: &mut SmallRng) -> (Vec<Change>, Changed) {
    let mut rig = Rig::new();
    let mut changes = Vec::new();
    for _ in 0..rng.random_range(1..7) {
        for _ in 0..rng.random_range(0..30) {
            let (time_us, key) = (rng.random_range(0..6), rng.random_bool(0.9).then(|| rng.random_range(0..4)));
            match rng.random_bool(0.4) {
                true => rig.delete(time_us, key),
                false => rig.put(time_us, key, rng.random_bool(0.9).then(|| rng.random_range(0..100))),
            }
        }
        changes.extend(rig.0.take_change(None).unwrap());
    }
    (changes, rig.all())
}

/// Merges the runs into one. They are read in pieces.
fn merged(runs: &[Change], are_oldest: bool, rng: &mut SmallRng) -> Result<Vec<Change>> {
    let mut merge = Merge::new(schema(), runs.len(), are_oldest)?;
    let mut at = vec![0; runs.len()];
    let mut all = Vec::new();
    loop {
        for run in merge.hungry() {
            let rows = rng.random_range(1..6).min(runs[run].rows() - at[run]);
            merge.feed(run, (rows > 0).then(|| vec![runs[run].slice(at[run], rows)]));
            at[run] += rows;
        }
        if merge.is_done() {
            return Ok(all);
        }
        if merge.hungry().is_empty() {
            all.extend(merge.next(|_| true)?);
        }
    }
}

fn restored<'c>(changes: impl IntoIterator<Item = &'c Change>) -> Changed {
    let mut rig = Rig::new();
    changes.into_iter().for_each(|change| rig.0.restore(&change.entries).unwrap());
    assert_eq!(rig.change(None), Changed::new(), "what is restored is no change");
    rig.all()
}

#[test]
fn changes_merge_to_the_newest_value_and_only_the_oldest_may_forget_what_they_delete() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut deletes = 0;
    for _ in 0..300 {
        let (changes, all) = epochs(&mut rng);
        assert_eq!(restored(&changes), all);
        let oldest = merged(&changes, true, &mut rng).unwrap();
        assert!(oldest.iter().flat_map(changed).map(|(_, value)| value).all(|value| value.is_some()));
        assert_eq!(oldest.iter().flat_map(changed).collect::<Changed>(), all);
        let (older, newer) = changes.split_at(rng.random_range(0..=changes.len()));
        let newer = merged(newer, false, &mut rng).unwrap();
        assert_eq!(restored(older.iter().chain(&newer)), all);
        deletes += newer.iter().flat_map(changed).filter(|(_, value)| value.is_none()).count();
    }
    assert!(deletes > 100, "{deletes}");
}

#[test]
fn a_run_of_rows_that_is_not_in_order_is_refused() {
    let mut rng = SmallRng::seed_from_u64(2);
    for _ in 0..100 {
        let (changes, _) = epochs(&mut rng);
        let Some(i) = changes.iter().position(|change| change.rows() > 1) else { continue };
        let mut rows: Vec<u32> = (0..).take(changes[i].rows()).collect();
        rows.shuffle(&mut rng);
        let is_in_order = rows.is_sorted();
        let groups: Vec<_> = rows.iter().map(|row| changes[i].key_groups.value(*row as usize)).collect();
        let entries = changes[i].entries.select(&UInt32Array::from(rows)).unwrap();
        let mut runs = changes.clone();
        runs[i] = Change(Grouped { key_groups: groups.into(), entries });
        let merged = merged(&runs, true, &mut rng);
        assert_eq!(merged.is_ok(), is_in_order);
        assert!(merged.err().is_none_or(|failure| failure.message.contains("out of order")));
    }
}
