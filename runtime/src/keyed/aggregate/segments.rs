//! Row state of an aggregate in columns: per entry a key, a time and values. Entries lie in segments, newest last, and
//! an index leads from keys to their entries. An entry that changes is removed and comes again in a newer segment, as
//! in a log-structured merge tree (O'Neil et al., 1996), so nothing is written in place.

use arrow::array::{Array as _, ArrayRef, UInt32Array};
use arrow::compute::{interleave, take};
use arrow::datatypes::Schema;
use arrow_row::{Row, Rows};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::failure::{Failure, Result};
use crate::keyed::rows::key_format::KeyFormat;
use crate::state::Entries;

pub(in crate::keyed) struct Segments {
    format: KeyFormat,
    segments: Vec<Segment>,
    index: HashTable<Place>,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::keyed) struct Place {
    /// Of the entry's key.
    hash: u64,
    segment: u32,
    row: u32,
}

/// A segment never changes, but its entries may go.
struct Segment {
    keys: Rows,
    times: Vec<i64>,
    values: Vec<ArrayRef>,
    is_there: Vec<bool>,
    /// How many entries are there.
    there: usize,
    /// No entry has an earlier time.
    first_us: i64,
}

impl Place {
    /// Names the entry's values among [`Segments::lists`].
    pub fn row(self) -> (usize, usize) {
        (self.segment as usize, self.row as usize)
    }
}

impl Segments {
    pub fn new(keys: &Schema) -> Result<Self> {
        let types: Vec<_> = keys.fields().iter().map(|field| field.data_type().clone()).collect();
        Ok(Self { format: KeyFormat::new(&types)?, segments: Vec::new(), index: HashTable::new() })
    }

    pub fn format(&self) -> &KeyFormat {
        &self.format
    }

    /// The entries of a key, which has this hash.
    pub fn of_key<'s>(&'s self, hash: u64, key: Row<'s>) -> impl Iterator<Item = Place> + 's {
        let is_of_key = move |place: &&Place| {
            let (segment, row) = place.row();
            place.hash == hash && self.segments[segment].keys.row(row) == key
        };
        self.index.iter_hash(hash).filter(is_of_key).copied()
    }

    /// All entries.
    pub fn all(&self) -> impl Iterator<Item = Place> {
        self.segments.iter().zip(0u32..).flat_map(|(segment, number)| segment.places(number, |_| true))
    }

    /// The entries that were pushed last.
    pub fn newest(&self) -> Vec<Place> {
        let newest = self.segments.iter().zip(0u32..).last();
        newest.map_or_else(Vec::new, |(segment, number)| segment.places(number, |_| true).collect())
    }

    /// The entries with a time before this one.
    pub fn before(&self, time_us: i64) -> Vec<Place> {
        let numbered = self.segments.iter().zip(0u32..).filter(|(segment, _)| segment.first_us < time_us);
        numbered
            .flat_map(|(segment, number)| segment.places(number, move |of_entry_us| of_entry_us < time_us))
            .collect()
    }

    /// The times (µs) of all entries but those in `but`, which names entries as [`Place::row`] does.
    pub fn times_without(&self, but: impl IntoIterator<Item = (usize, usize)>) -> impl Iterator<Item = i64> {
        let mut skipped = vec![Vec::new(); self.segments.len()];
        for (segment, row) in but {
            skipped[segment].push(row);
        }
        self.segments.iter().zip(skipped).flat_map(|(segment, mut skipped)| {
            skipped.sort_unstable();
            let rows = segment.rows_there().filter(move |row| skipped.binary_search(row).is_err());
            rows.map(|row| segment.times[row])
        })
    }

    pub fn time_us(&self, (segment, row): (usize, usize)) -> i64 {
        self.segments[segment].times[row]
    }

    /// The values of each segment's entries.
    pub fn lists(&self) -> Vec<&[ArrayRef]> {
        self.segments.iter().map(|segment| &segment.values[..]).collect()
    }

    /// The values of a segment's entries.
    pub fn values_of(&self, segment: usize) -> &[ArrayRef] {
        &self.segments[segment].values
    }

    /// The keys and values of entries.
    pub fn at(&self, places: &[Place]) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>)> {
        let mut keys = self.format.empty(places.len());
        places
            .iter()
            .map(|place| place.row())
            .for_each(|(segment, row)| keys.push(self.segments[segment].keys.row(row)));
        let rows: Vec<_> = places.iter().map(|place| place.row()).collect();
        Ok((self.format.decode(keys.iter())?, gathered(&self.lists(), &rows)?))
    }

    /// Adds entries. The caller has removed the ones that they replace.
    pub fn push(&mut self, keys: Rows, times: Vec<i64>, values: Vec<ArrayRef>) -> Result<()> {
        let full =
            |_| Failure::config("there are more than 4,294,967,295 groups in the state; group by something coarser");
        let number = u32::try_from(self.segments.len()).map_err(full)?;
        u32::try_from(times.len()).map_err(full)?;
        self.index.reserve(times.len(), |place| place.hash);
        for (row, key) in (0u32..).zip(keys.iter()) {
            let place = Place { hash: hash_of(key), segment: number, row };
            self.index.insert_unique(place.hash, place, |place| place.hash);
        }
        self.segments.push(Segment::new(keys, times, values));
        Ok(())
    }

    /// Removes an entry, which is named as [`Place::row`] does.
    pub fn remove(&mut self, (segment, row): (usize, usize)) {
        let hash = hash_of(self.segments[segment].keys.row(row));
        if let Ok(found) = self.index.find_entry(hash, |place| place.row() == (segment, row)) {
            found.remove();
        }
        self.segments[segment].remove(row);
    }

    /// Takes in saved entries. One replaces an older one of the same key and time, or deletes it.
    pub fn restore(&mut self, entries: &Entries) -> Result<()> {
        let keys = self.format.encode(&entries.keys, entries.rows())?;
        for (key, time_us) in keys.iter().zip(entries.times.values()) {
            let mut of_key = self.of_key(hash_of(key), key).map(Place::row);
            let found = of_key.find(|place| self.time_us(*place) == *time_us);
            drop(of_key);
            if let Some(place) = found {
                self.remove(place);
            }
        }
        let kept: Vec<u32> = (0u32..).take(entries.rows()).filter(|row| !entries.is_deleted(*row as usize)).collect();
        if !kept.is_empty() {
            let mut of_kept = self.format.empty(kept.len());
            kept.iter().for_each(|row| of_kept.push(keys.row(*row as usize)));
            let times = kept.iter().map(|row| entries.times.value(*row as usize)).collect();
            self.push(of_kept, times, taken(&entries.values, &UInt32Array::from(kept))?)?;
        }
        self.tidy()
    }

    /// Rewrites the newest segments into one while the one before is not much larger, and all where most entries are
    /// gone. So there are few segments, and an entry is rewritten rarely.
    pub fn tidy(&mut self) -> Result<()> {
        let mut keep = self.segments.len();
        let mut there = 0;
        while keep > 0 && (self.segments[keep - 1].there <= 2 * there || keep == self.segments.len()) {
            keep -= 1;
            there += self.segments[keep].there;
        }
        let rows: usize = self.segments.iter().map(Segment::rows).sum();
        let all = self.entries();
        if rows > 2 * all {
            (keep, there) = (0, all);
        }
        if keep + 1 >= self.segments.len() && rows <= 2 * all {
            return Ok(());
        }
        let rewritten = self.segments.iter().zip(0u32..).skip(keep);
        let places = rewritten.flat_map(|(segment, number)| segment.places(number, |_| true));
        let places: Vec<_> = places.map(Place::row).collect();
        let values = gathered(&self.lists(), &places)?;
        let mut keys = self.format.empty(there);
        places.iter().for_each(|(segment, row)| keys.push(self.segments[*segment].keys.row(*row)));
        let times = places.iter().map(|place| self.time_us(*place)).collect();
        self.index.retain(|place| (place.segment as usize) < keep);
        self.segments.truncate(keep);
        if places.is_empty() { Ok(()) } else { self.push(keys, times, values) }
    }

    pub fn entries(&self) -> usize {
        self.segments.iter().map(|segment| segment.there).sum()
    }

    /// Heap memory held, in bytes.
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(Segment::bytes).sum::<usize>() + self.index.allocation_size()
    }
}

impl Segment {
    fn new(keys: Rows, times: Vec<i64>, values: Vec<ArrayRef>) -> Self {
        let (rows, first_us) = (times.len(), times.iter().copied().min().unwrap_or(i64::MAX));
        Self { keys, times, values, is_there: vec![true; rows], there: rows, first_us }
    }

    fn rows(&self) -> usize {
        self.times.len()
    }

    fn rows_there(&self) -> impl Iterator<Item = usize> {
        self.is_there.iter().enumerate().filter(|(_, is_there)| **is_there).map(|(row, _)| row)
    }

    /// The entries that are there and whose time is `wanted`, in the segment of this number.
    fn places(&self, number: u32, wanted: impl Fn(i64) -> bool) -> impl Iterator<Item = Place> {
        let rows = self.rows_there().filter(move |row| wanted(self.times[*row]));
        rows.map(move |row| {
            // `push` has checked that the rows of a segment are counted in 32 bits.
            Place { hash: hash_of(self.keys.row(row)), segment: number, row: u32::try_from(row).unwrap_or(u32::MAX) }
        })
    }

    fn remove(&mut self, row: usize) {
        self.there -= usize::from(std::mem::replace(&mut self.is_there[row], false));
    }

    fn bytes(&self) -> usize {
        let of_values = self.values.iter().map(|column| column.get_array_memory_size()).sum::<usize>();
        self.keys.size() + of_values + self.rows() * (size_of::<i64>() + size_of::<bool>())
    }
}

pub(in crate::keyed) fn hash_of(key: Row<'_>) -> u64 {
    xxh3_64(key.as_ref())
}

/// Rows of several lists of columns, as one list. A row is named by the number of its list and its index there.
pub(in crate::keyed) fn gathered(lists: &[&[ArrayRef]], rows: &[(usize, usize)]) -> Result<Vec<ArrayRef>> {
    let columns = lists.first().map_or(0, |list| list.len());
    let column = |c: usize| {
        let arrays: Vec<_> = lists.iter().map(|list| list[c].as_ref()).collect();
        interleave(&arrays, rows).map_err(|e| Failure::bug(format!("values of entries: {e}")))
    };
    (0..columns).map(column).collect()
}

/// The rows of columns at these indices.
pub(in crate::keyed) fn taken(columns: &[ArrayRef], rows: &UInt32Array) -> Result<Vec<ArrayRef>> {
    let taken = columns.iter().map(|column| take(column, rows, None));
    taken.collect::<Result<_, _>>().map_err(|e| Failure::bug(format!("rows of entries: {e}")))
}
