//! The naive answers, from the meaning of the steps alone. Each oracle keeps every row that may still matter, and looks
//! at all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::functions::Function;
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
    /// Windows that overlap if the slide is less than the size.
    Sliding {
        size_us: i64,
        slide_us: i64,
        offset_us: i64,
    },
    Cumulate {
        size_us: i64,
        step_us: i64,
        offset_us: i64,
    },
    /// Those whose bounds the rows have as their first columns.
    OfInput,
    Session {
        gap_us: i64,
    },
}

impl Windows {
    /// The start and the end of each window that a row lies in, if that follows from the row alone.
    fn of(&self, row: &Row) -> Vec<(i64, i64)> {
        let time = time_of(row);
        let begins = |size: i64, every: i64, offset: i64| {
            (time - size + 1..=time).filter(move |start| (start - offset).rem_euclid(every) == 0)
        };
        match *self {
            Self::Sliding { size_us, slide_us, offset_us } => {
                begins(size_us, slide_us, offset_us).map(|start| (start, start + size_us)).collect()
            }
            Self::Cumulate { size_us, step_us, offset_us } => begins(size_us, size_us, offset_us)
                .flat_map(|start| (1..=size_us / step_us).map(move |n| (start, start + n * step_us)))
                .filter(|(_, end)| time < *end)
                .collect(),
            Self::OfInput => vec![(row[0].unwrap(), row[1].unwrap())],
            Self::Session { .. } => vec![],
        }
    }
}

/// Windows by key. It keeps the rows that lie in an open window.
pub struct NaiveWindows {
    pub key: usize,
    pub value: usize,
    pub function: Function,
    pub windows: Windows,
    pub rows: Vec<Row>,
    /// All windows that end by then are closed.
    pub closed_us: Option<i64>,
}

impl NaiveWindows {
    fn is_late(&self, row: &Row, before_us: Option<i64>) -> bool {
        match self.windows {
            Windows::Session { gap_us } => is_less(time_of(row) + gap_us, before_us),
            _ => self.windows.of(row).iter().all(|(_, end)| is_less(*end - 1, before_us)),
        }
    }

    /// All open windows: start, end, when the window closes, and the indices of its rows.
    fn all(&self) -> Vec<(i64, i64, i64, Vec<usize>)> {
        let mut keys: BTreeMap<Option<i64>, Vec<usize>> = BTreeMap::new();
        for (i, row) in self.rows.iter().enumerate() {
            keys.entry(row[self.key]).or_default().push(i);
        }
        let time = |i: usize| time_of(&self.rows[i]);
        let mut all = Vec::new();
        for mut rows in keys.into_values() {
            rows.sort_by_key(|i| time(*i));
            if let Windows::Session { gap_us } = self.windows {
                for session in rows.chunk_by(|a, b| time(*b) - time(*a) <= gap_us) {
                    let end = time(session[session.len() - 1]) + gap_us;
                    all.push((time(session[0]), end, end + 1, session.to_vec()));
                }
                continue;
            }
            let mut windows: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
            for i in rows {
                for window in self.windows.of(&self.rows[i]) {
                    windows.entry(window).or_default().push(i);
                }
            }
            let open = windows.into_iter().filter(|((_, end), _)| !is_less(*end - 1, self.closed_us));
            all.extend(open.map(|((start, end), rows)| (start, end, end, rows)));
        }
        all
    }
}

impl Naive for NaiveWindows {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, u64) {
        let (late, on_time): (Vec<_>, Vec<_>) =
            inputs[0].iter().cloned().partition(|row| self.is_late(row, marks.before_us[0]));
        self.rows.extend(on_time);
        let (mut out, mut open) = (Vec::new(), BTreeSet::new());
        for (start, end, closes, rows) in self.all() {
            if marks.after_us[0].is_some_and(|watermark_us| closes <= watermark_us) {
                let of_group: Vec<_> =
                    rows.iter().map(|i| (time_of(&self.rows[*i]), self.rows[*i][self.value])).collect();
                let total = (self.function.naive)(&of_group);
                let n = i64::try_from(rows.len()).unwrap();
                out.push(vec![Some(start), Some(end), self.rows[rows[0]][self.key], Some(n), total, Some(end - 1)]);
            } else {
                open.extend(rows);
            }
        }
        self.rows = open.into_iter().map(|i| self.rows[i].clone()).collect();
        self.closed_us = marks.after_us[0];
        (out, late.len() as u64)
    }

    fn leaves_us(&self) -> Vec<i64> {
        self.all().iter().map(|(_, _, closes, _)| *closes).collect()
    }
}

/// All rows of each group.
pub struct NaiveRunning {
    pub key: usize,
    pub value: usize,
    pub function: Function,
    pub expire_after_us: Option<i64>,
    pub gives_all: bool,
    /// By key: the time and the value of each row.
    pub groups: BTreeMap<Option<i64>, Vec<(i64, Option<i64>)>>,
}

impl Naive for NaiveRunning {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, u64) {
        let is_over =
            |time_us: i64| self.expire_after_us.is_some_and(|after_us| is_less(time_us + after_us, marks.before_us[0]));
        self.groups.retain(|_, rows| rows.iter().any(|(time_us, _)| !is_over(*time_us)));
        let (mut changed, mut late) = (BTreeSet::new(), 0);
        for row in &inputs[0] {
            if is_over(time_of(row)) {
                late += 1;
                continue;
            }
            changed.insert(row[self.key]);
            self.groups.entry(row[self.key]).or_default().push((time_of(row), row[self.value]));
        }
        let given = self.groups.iter().filter(|(key, _)| self.gives_all || changed.contains(key));
        let out = given.map(|(key, rows)| {
            let n = i64::try_from(rows.len()).unwrap();
            vec![*key, Some(n), (self.function.naive)(rows)]
        });
        (out.collect(), late)
    }

    /// Nothing waits.
    fn leaves_us(&self) -> Vec<i64> {
        vec![]
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
