//! The order of state files: key group, time, keys. Rows are first distributed to their key groups. Then each group is
//! sorted by itself, when it already fits into the cache. The first bytes of a key lie beside its row's number, so that
//! most comparisons need no other memory.

use std::cmp::Ordering;

use arrow::array::{ArrayRef, UInt32Array};
use arrow_row::{RowConverter, Rows, SortField};

use crate::failure::{Failure, Result};

struct Place {
    time: i64,
    /// The first bytes of the key in arrow's row format, whose bytes compare as the keys do.
    head: u64,
    row: u32,
}

/// Rows in the order of a state file. Rows of one time and key may be in any order.
pub struct Order {
    /// The row numbers, in this order.
    pub rows: UInt32Array,
    /// For each row in this order: how many distinct pairs of time and key come before its own.
    pub numbers: Vec<usize>,
    /// The number of distinct pairs of time and key.
    pub distinct: usize,
}

impl Order {
    /// `groups` has the key group of each row; all are less than `group_count`.
    pub fn of(groups: &[u16], group_count: u16, times: &[i64], keys: &[ArrayRef]) -> Result<Self> {
        let keys = rows_of(keys)?;
        let mut next = group_starts(groups, group_count);
        let mut places: Vec<Place> = Vec::new();
        places.resize_with(groups.len(), || Place { time: 0, head: 0, row: 0 });
        for ((row, group), time) in (0u32..).zip(groups).zip(times) {
            let place = &mut next[usize::from(*group)];
            places[*place] = Place { time: *time, head: head(keys.as_ref(), row), row };
            *place += 1;
        }
        let mut start = 0;
        // At this point the next place of a group is its end.
        for end in next {
            places[start..end].sort_unstable_by(|a, b| compare(keys.as_ref(), a, b));
            start = end;
        }
        let mut distinct = usize::from(!places.is_empty());
        let mut numbers = vec![0; places.len().min(1)];
        numbers.extend(places.windows(2).map(|pair| {
            distinct += usize::from(compare(keys.as_ref(), &pair[0], &pair[1]) != Ordering::Equal);
            distinct - 1
        }));
        Ok(Self { rows: places.into_iter().map(|place| place.row).collect(), numbers, distinct })
    }

    /// The same order, with rows of one time and key in the order of their arrival: the last is the newest. This needs
    /// no more comparisons of keys.
    #[must_use]
    pub fn by_arrival(self) -> Self {
        let mut rows = self.rows.values().to_vec();
        let mut rest = rows.as_mut_slice();
        for equal in self.numbers.chunk_by(|a, b| a == b) {
            let (these, behind) = rest.split_at_mut(equal.len());
            these.sort_unstable();
            rest = behind;
        }
        Self { rows: rows.into(), ..self }
    }

    /// The position in this order of the first row of each time and key.
    pub fn first_places(&self) -> UInt32Array {
        let mut last = None;
        let firsts = (0u32..).zip(&self.numbers).filter(|(_, number)| last.replace(**number) != Some(**number));
        firsts.map(|(place, _)| place).collect()
    }

    /// The row number of the first row of each time and key.
    pub fn firsts(&self) -> UInt32Array {
        self.first_places().values().iter().map(|place| self.rows.value(*place as usize)).collect()
    }

    /// The row number of the last row of each time and key.
    pub fn lasts(&self) -> UInt32Array {
        let is_last = |place: &usize| self.numbers.get(place + 1) != Some(&self.numbers[*place]);
        (0..self.numbers.len()).filter(is_last).map(|place| self.rows.value(place)).collect()
    }
}

/// Compares two places in one key group. Equal keys have the same key group, so rows of different groups are never
/// equal.
fn compare(keys: Option<&Rows>, a: &Place, b: &Place) -> Ordering {
    (a.time, a.head).cmp(&(b.time, b.head)).then_with(|| match keys {
        Some(keys) => keys.row(a.row as usize).cmp(&keys.row(b.row as usize)),
        None => Ordering::Equal,
    })
}

/// The keys in arrow's row format; `None` if there are no key columns.
fn rows_of(keys: &[ArrayRef]) -> Result<Option<Rows>> {
    if keys.is_empty() {
        return Ok(None);
    }
    let fields = keys.iter().map(|key| SortField::new(key.data_type().clone())).collect();
    let rows = RowConverter::new(fields).and_then(|converter| converter.convert_columns(keys));
    rows.map(Some).map_err(|e| Failure::bug(format!("keys into rows: {e}")))
}

/// The index at which each group's rows begin when the rows lie group by group.
fn group_starts(groups: &[u16], group_count: u16) -> Vec<usize> {
    let mut counts = vec![0; usize::from(group_count)];
    for group in groups {
        counts[usize::from(*group)] += 1;
    }
    let mut end = 0;
    let starts = counts.into_iter().map(|count| {
        end += count;
        end - count
    });
    starts.collect()
}

/// The first eight bytes of a key. Shorter keys are filled up with zeros; keys whose heads are equal are compared as a
/// whole.
fn head(keys: Option<&Rows>, row: u32) -> u64 {
    let Some(keys) = keys else { return 0 };
    let row = keys.row(row as usize);
    let bytes = row.as_ref();
    let mut head = [0; 8];
    let length = bytes.len().min(head.len());
    head[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(head)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, StringArray, UInt16Array};
    use arrow::compute::{SortColumn, lexsort_to_indices};
    use rand::rngs::SmallRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// Rows that differ in group, window or keys, many of them in the last byte only.
    fn check(rows: usize, keys: Vec<ArrayRef>, seed: u64) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let groups: Vec<u16> = (0..rows).map(|_| rng.random_range(0..3)).collect();
        let windows: Vec<i64> = (0..rows).map(|_| rng.random_range(-2..2) * 1_000).collect();
        let columns: [ArrayRef; 2] =
            [Arc::new(UInt16Array::from(groups.clone())), Arc::new(Int64Array::from(windows.clone()))];
        let by: Vec<_> =
            columns.iter().chain(&keys).map(|a| SortColumn { values: Arc::clone(a), options: None }).collect();
        let expected = lexsort_to_indices(&by, None).unwrap();
        let order = Order::of(&groups, 3, &windows, &keys).unwrap();
        assert_eq!(order.rows, expected, "seed {seed}");
        assert_eq!((order.distinct, order.numbers), (rows, (0..rows).collect()), "seed {seed}");
    }

    #[test]
    fn rows_come_in_the_order_that_arrow_sorts_group_window_and_keys_in() {
        let mut rng = SmallRng::seed_from_u64(5);
        for seed in 0..20 {
            // The values are distinct, so that only one order is right.
            let numbers: Vec<_> =
                (0..500).map(|i| (i != 7).then_some((i64::from(i) - 250) * [1, 1 << 40][seed as usize % 2])).collect();
            let texts: Vec<_> = (0..500)
                .map(|i| (rng.random_range(0..9) > 0).then(|| format!("{}{i}", "é".repeat(rng.random_range(0..9)))))
                .collect();
            let number: ArrayRef = Arc::new(Int64Array::from(numbers));
            let text: ArrayRef = Arc::new(StringArray::from(texts));
            let double: ArrayRef =
                Arc::new(Float64Array::from((0..500).map(|i| f64::from(i % 50) - 25.5).collect::<Vec<_>>()));
            check(500, vec![Arc::clone(&number)], seed);
            check(500, vec![text, Arc::clone(&number)], seed);
            check(500, vec![double, number], seed);
        }
    }

    #[test]
    fn equal_windows_and_keys_have_one_number() {
        let keys: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a long key, b"),
            None,
            Some("a long key, a"),
            None,
            Some("a long key, b"),
            None,
        ]));
        let order = Order::of(&[1, 0, 1, 0, 1, 0], 2, &[5, 5, 5, 5, 5, 6], &[keys]).unwrap().by_arrival();
        assert_eq!((order.numbers.as_slice(), order.distinct), ([0, 0, 1, 2, 3, 3].as_slice(), 4));
        assert_eq!(order.first_places(), UInt32Array::from(vec![0, 2, 3, 4]));
        assert_eq!(
            (&order.firsts().values()[..], &order.lasts().values()[..]),
            ([1, 5, 2, 0].as_slice(), [3, 5, 2, 4].as_slice())
        );
    }

    /// There are enough rows that an unstable sort would move some.
    #[test]
    fn rows_of_one_time_and_key_stay_in_the_order_that_they_came_in() {
        let mut rng = SmallRng::seed_from_u64(9);
        let keys: Vec<i64> = (0..2_000).map(|_| rng.random_range(0..3)).collect();
        let order =
            Order::of(&vec![0; keys.len()], 1, &vec![7; keys.len()], &[Arc::new(Int64Array::from(keys.clone()))])
                .unwrap()
                .by_arrival();
        let rows = order.rows.values();
        assert!(rows.windows(2).all(|pair| (keys[pair[0] as usize], pair[0]) < (keys[pair[1] as usize], pair[1])));
        let last = |key: i64| u32::try_from(keys.iter().rposition(|other| *other == key).unwrap()).unwrap();
        assert_eq!(order.lasts().values()[..], [last(0), last(1), last(2)]);
    }

    #[test]
    fn without_keys_windows_are_the_order_and_without_rows_there_is_none() {
        let order = Order::of(&[0, 0, 0, 0], 1, &[5, -1, 3, 5], &[]).unwrap();
        assert_eq!(
            (order.numbers.as_slice(), &order.rows.values()[..]),
            ([0, 1, 2, 2].as_slice(), [1, 2, 0, 3].as_slice())
        );
        let none = Order::of(&[], 128, &[], &[]).unwrap();
        assert_eq!((none.rows.len(), none.numbers.len(), none.distinct), (0, 0, 0));
    }
}
