//! Where the rows of a batch come from. A row may turn out to be bad long after librdkafka has freed its record, so the
//! records themselves are copied where a dead letter would need them.

use crate::source::kafka::{Record, Timestamp};

/// The records behind the rows of a batch, in the batch's order.
#[derive(Default)]
pub struct Origins {
    rows: Vec<Row>,
    kept: Option<Kept>,
}

/// This is small, since there is one for each record read.
#[derive(Clone, Copy)]
struct Row {
    /// The index of its partition among the lane's.
    place: u32,
    offset: i64,
}

/// The parts of the records that coordinates do not tell.
#[derive(Default)]
struct Kept {
    rows: Vec<KeptRow>,
    /// Keys and values, one after the other.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
struct KeptRow {
    timestamp: Option<Timestamp>,
    /// Where the key begins. The value follows it.
    at: usize,
    key: Option<u32>,
    value: Option<u32>,
}

impl Origins {
    #[must_use]
    pub fn new(keeps_records: bool) -> Self {
        Self { rows: Vec::new(), kept: keeps_records.then(Kept::default) }
    }

    /// `record.partition` is the index among the lane's partitions.
    pub fn push(&mut self, record: &Record<'_>) {
        self.rows.push(Row { place: u32::try_from(record.partition).unwrap_or(u32::MAX), offset: record.offset });
        if let Some(kept) = &mut self.kept {
            kept.push(record);
        }
    }

    /// The index of a row's partition among the lane's.
    #[must_use]
    pub fn place(&self, row: usize) -> usize {
        self.rows[row].place as usize
    }

    pub fn places(&self, first: usize) -> impl Iterator<Item = usize> {
        self.rows[first..].iter().map(|row| row.place as usize)
    }

    /// The record without its headers. If records are not kept, it has no timestamp, key and value either.
    #[must_use]
    pub fn record(&self, row: usize) -> Record<'_> {
        let Row { place, offset } = self.rows[row];
        let bare = Record { partition: place as usize, offset, ..Record::default() };
        self.kept.as_ref().map_or(bare, |kept| kept.fill(row, bare))
    }

    /// Copies of some rows' origins, in that order.
    #[must_use]
    pub fn select(&self, rows: impl Iterator<Item = usize>) -> Self {
        let mut selected = Self::new(self.kept.is_some());
        rows.for_each(|row| selected.push(&self.record(row)));
        selected
    }

    /// Empties it and keeps the allocated memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        if let Some(kept) = &mut self.kept {
            kept.rows.clear();
            kept.bytes.clear();
        }
    }
}

impl Kept {
    fn push(&mut self, record: &Record<'_>) {
        let at = self.bytes.len();
        let mut keep = |part: Option<&[u8]>| {
            let part = part?;
            self.bytes.extend_from_slice(part);
            // Kafka's lengths have 32 bits.
            u32::try_from(part.len()).ok()
        };
        let (key, value) = (keep(record.key), keep(record.value));
        self.rows.push(KeptRow { timestamp: record.timestamp, at, key, value });
    }

    fn fill<'a>(&'a self, row: usize, bare: Record<'a>) -> Record<'a> {
        let KeptRow { timestamp, at, key, value } = self.rows[row];
        let part = |at: usize, length: Option<u32>| self.bytes.get(at..at + length? as usize);
        Record { timestamp, key: part(at, key), value: part(at + key.unwrap_or(0) as usize, value), ..bare }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kafka::TimeSetBy;

    type Parts<'a> = (usize, i64, Option<Timestamp>, Option<&'a [u8]>, Option<&'a [u8]>);

    fn parts<'a>(record: &Record<'a>) -> Parts<'a> {
        (record.partition, record.offset, record.timestamp, record.key, record.value)
    }

    fn record<'a>(offset: i64, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
        let timestamp = Some(Timestamp { at_ms: 7, set_by: TimeSetBy::Producer });
        Record { partition: 1, offset, timestamp, key, value, ..Record::default() }
    }

    #[test]
    fn records_are_given_back_as_they_came_and_as_they_were_selected() {
        let records = [record(3, Some(b"k"), Some(b"value")), record(4, None, None), record(5, Some(b""), Some(b"x"))];
        let mut origins = Origins::new(true);
        records.iter().for_each(|r| origins.push(r));
        for (row, record) in records.iter().enumerate() {
            assert_eq!(parts(&origins.record(row)), parts(record));
        }
        let selected = origins.select([2, 0].into_iter());
        assert_eq!((parts(&selected.record(0)), parts(&selected.record(1))), (parts(&records[2]), parts(&records[0])));
    }

    #[test]
    fn what_is_not_kept_has_coordinates_only() {
        let mut origins = Origins::new(false);
        origins.push(&record(3, Some(b"k"), Some(b"value")));
        assert_eq!(parts(&origins.record(0)), (1, 3, None, None, None));
    }
}
