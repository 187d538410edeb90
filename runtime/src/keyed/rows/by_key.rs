//! Which rows have the same key.

use arrow_row::Rows;
use hashbrown::HashTable;

/// Rows by key, as lists.
pub(in crate::keyed) struct ByKey {
    /// Per distinct key: its last row.
    pub last: Vec<u32>,
    /// Per row: another one of its key.
    pub next: Vec<Option<u32>>,
}

impl ByKey {
    /// `hashes` has one per key.
    pub fn of(keys: &Rows, hashes: &[u64]) -> Self {
        // The number of the key in `last`.
        let mut numbers: HashTable<u32> = HashTable::with_capacity(hashes.len());
        let (mut last, mut next): (Vec<u32>, _) = (Vec::new(), vec![None; hashes.len()]);
        for (row, hash) in (0u32..).zip(hashes) {
            let is_same = |number: &u32| {
                let other = last[*number as usize] as usize;
                hashes[other] == *hash && keys.row(other) == keys.row(row as usize)
            };
            match numbers.find(*hash, is_same) {
                Some(number) => next[row as usize] = Some(std::mem::replace(&mut last[*number as usize], row)),
                None => {
                    // There are no more keys than rows, which are counted in 32 bits.
                    let number = u32::try_from(last.len()).unwrap_or(u32::MAX);
                    last.push(row);
                    numbers.insert_unique(*hash, number, |number| hashes[last[*number as usize] as usize]);
                }
            }
        }
        Self { last, next }
    }

    /// The rows of the key with this last row, the last one first.
    pub fn rows(&self, last: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(last), |row| self.next[*row as usize])
    }
}
