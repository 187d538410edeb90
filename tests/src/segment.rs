//! A partition's log as the broker has it on disk: finds its batches and damages them. The layout is Kafka's record
//! batch, version 2.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Byte positions within a batch: of its length, of what that length counts from, of the last offset's delta, and of
/// the records.
const LENGTH_AT: usize = 8;
const COUNTED_FROM: usize = 12;
const LAST_OFFSET_DELTA_AT: usize = 23;
const RECORDS_AT: usize = 61;

/// A batch in a segment's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Its position in the file, in bytes.
    pub at: usize,
    pub bytes: usize,
    /// The first and the last offset, both inclusive.
    pub first: i64,
    pub last: i64,
}

/// The batches of a segment, in order.
///
/// # Panics
/// If the file holds anything but batches.
#[must_use]
pub fn batches(segment: &Path) -> Vec<Batch> {
    let log = std::fs::read(segment).unwrap();
    let (mut at, mut batches) = (0, Vec::new());
    while at < log.len() {
        let first = i64::from_be_bytes(log[at..at + LENGTH_AT].try_into().unwrap());
        let bytes = COUNTED_FROM + usize::try_from(number(&log, at + LENGTH_AT)).unwrap();
        batches.push(Batch { at, bytes, first, last: first + i64::from(number(&log, at + LAST_OFFSET_DELTA_AT)) });
        at += bytes;
    }
    batches
}

/// Flips all bits of one byte in the middle of a batch's records.
pub fn damage_records(segment: &Path, batch: Batch) {
    let at = batch.at + (RECORDS_AT + batch.bytes) / 2;
    let mut byte = [0];
    let file = OpenOptions::new().read(true).write(true).open(segment).unwrap();
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[!byte[0]], at as u64).unwrap();
}

/// Gives a batch an impossible length.
pub fn damage_length(segment: &Path, batch: Batch) {
    let file = OpenOptions::new().write(true).open(segment).unwrap();
    file.write_all_at(&5_i32.to_be_bytes(), (batch.at + LENGTH_AT) as u64).unwrap();
}

fn number(log: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(log[at..at + 4].try_into().unwrap())
}
