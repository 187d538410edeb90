//! The naive answers, from the meaning of the steps alone. Each oracle keeps every row that may still matter, and looks
//! at all of them.

use std::collections::BTreeMap;

use super::join::Bounds;
use super::rows::{Row, time_of};
use crate::keyed::Marks;

pub trait Naive {
    /// Returns the rows out, and how many rows are late.
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, u64);
    /// When each thing leaves that is held and would give rows.
    fn leaves_us(&self) -> Vec<i64>;
}

fn is_less(time_us: i64, watermark_us: Option<i64>) -> bool {
    watermark_us.is_some_and(|watermark_us| time_us < watermark_us)
}

pub enum Windows {
    Tumbling { size_us: i64 },
    Session { gap_us: i64 },
}

/// Windows by key. It keeps the rows that are in no closed window.
pub struct NaiveWindows {
    pub key: usize,
    pub value: usize,
    pub windows: Windows,
    pub rows: Vec<Row>,
}

impl NaiveWindows {
    fn is_late(&self, row: &Row, before_us: Option<i64>) -> bool {
        match self.windows {
            Windows::Tumbling { size_us } => {
                is_less(time_of(row).div_euclid(size_us) * size_us + size_us - 1, before_us)
            }
            Windows::Session { gap_us } => is_less(time_of(row) + gap_us, before_us),
        }
    }

    /// All windows: start, end, when the window closes, and its rows.
    fn all(&self) -> Vec<(i64, i64, i64, Vec<&Row>)> {
        let mut keys: BTreeMap<Option<i64>, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            keys.entry(row[self.key]).or_default().push(row);
        }
        let mut all = Vec::new();
        for mut rows in keys.into_values() {
            rows.sort_by_key(|row| time_of(row));
            match self.windows {
                Windows::Tumbling { size_us } => {
                    for window in rows.chunk_by(|a, b| time_of(a).div_euclid(size_us) == time_of(b).div_euclid(size_us))
                    {
                        let start = time_of(window[0]).div_euclid(size_us) * size_us;
                        all.push((start, start + size_us, start + size_us, window.to_vec()));
                    }
                }
                Windows::Session { gap_us } => {
                    for session in rows.chunk_by(|a, b| time_of(b) - time_of(a) <= gap_us) {
                        let end = time_of(session[session.len() - 1]) + gap_us;
                        all.push((time_of(session[0]), end, end + 1, session.to_vec()));
                    }
                }
            }
        }
        all
    }
}

impl Naive for NaiveWindows {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, u64) {
        let (late, on_time): (Vec<_>, Vec<_>) =
            inputs[0].iter().cloned().partition(|row| self.is_late(row, marks.before_us[0]));
        self.rows.extend(on_time);
        let (mut out, mut open) = (Vec::new(), Vec::new());
        for (start, end, closes, rows) in self.all() {
            if marks.after_us[0].is_some_and(|watermark_us| closes <= watermark_us) {
                let total = rows.iter().filter_map(|row| row[self.value]).reduce(|a, b| a + b);
                let n = i64::try_from(rows.len()).unwrap();
                out.push(vec![Some(start), Some(end), rows[0][self.key], Some(n), total, Some(end - 1)]);
            } else {
                open.extend(rows.into_iter().cloned());
            }
        }
        self.rows = open;
        (out, late.len() as u64)
    }

    fn leaves_us(&self) -> Vec<i64> {
        self.all().iter().map(|(_, _, closes, _)| *closes).collect()
    }
}

/// All rows that ever came in time.
pub struct NaiveJoin {
    pub bounds: Bounds,
    pub left: Vec<(Row, bool)>,
    pub right: Vec<Row>,
}

impl Naive for NaiveJoin {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, u64) {
        let Bounds { before_us, after_us, is_left, columns } = self.bounds;
        let mut late = 0;
        let mut on_time = |input: usize| -> Vec<Row> {
            let (behind, on_time): (Vec<_>, Vec<_>) =
                inputs[input].iter().cloned().partition(|row| is_less(time_of(row), marks.before_us[input]));
            late += behind.len() as u64;
            on_time
        };
        let (left, right) = (on_time(0), on_time(1));
        let (old_left, old_right) = (self.left.len(), self.right.len());
        self.left.extend(left.into_iter().map(|row| (row, false)));
        self.right.extend(right);
        let mut out = Vec::new();
        let [of_left, of_right] = columns;
        for (i, (left, has_matched)) in self.left.iter_mut().enumerate() {
            for (j, right) in self.right.iter().enumerate() {
                let is_near = time_of(right) >= time_of(left) - before_us && time_of(right) <= time_of(left) + after_us;
                let meets = is_near && left[of_left[0]].is_some() && left[of_left[0]] == right[of_right[0]];
                if meets && (i >= old_left || j >= old_right) {
                    *has_matched = true;
                    let time = Some(time_of(left).max(time_of(right)));
                    out.push(vec![left[of_left[0]], left[of_left[1]], right[of_right[0]], right[of_right[1]], time]);
                }
            }
        }
        for (left, has_matched) in self.left.iter_mut().filter(|_| is_left) {
            if !*has_matched && is_less(time_of(left) + after_us, marks.after_us[1]) {
                // This makes the row leave only once.
                *has_matched = true;
                out.push(vec![left[of_left[0]], left[of_left[1]], None, None, Some(time_of(left))]);
            }
        }
        (out, late)
    }

    fn leaves_us(&self) -> Vec<i64> {
        let unmatched = self.left.iter().filter(|(_, has_matched)| self.bounds.is_left && !*has_matched);
        unmatched.map(|(left, _)| time_of(left) + self.bounds.after_us + 1).collect()
    }
}
