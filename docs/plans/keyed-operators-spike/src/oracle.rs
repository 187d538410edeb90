//! The naive answers, from SEMANTICS alone: each keeps every row that is not done with and looks at all of them.
use std::collections::BTreeMap;

use crate::dedup::{Dedup, Order};
use crate::join::Join;
use crate::operator::{Marks, Row, Time, Value, Watermark};
use crate::over::Over;
use crate::process::Process;
use crate::running::Running;
use crate::session::Session;

pub trait Naive {
    /// Rows out, and late ones.
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, Vec<Row>);
    /// When each thing that is held and would give rows leaves.
    fn leaves(&self) -> Vec<Time>;
}

fn is_less(time: Time, w: Watermark) -> bool {
    w.is_some_and(|w| time < w)
}

fn aggregate(rows: &[&Row], val: usize) -> [Value; 2] {
    let sum = rows.iter().filter_map(|row| row.cols[val]).reduce(|a, b| a + b);
    [Some(rows.len() as i64), sum]
}

/// Tumbling windows and sessions: rows that are in no window that has closed.
pub struct NaiveWindows {
    pub key: usize,
    pub val: usize,
    pub kind: WindowKind,
    pub rows: Vec<Row>,
    /// Of fixed windows: those that end by then have left.
    pub closed: Watermark,
}

pub enum WindowKind {
    Tumbling(Time, Time),
    Session(Session, Time),
}

impl NaiveWindows {
    fn is_late(&self, time: Time, before: Watermark) -> bool {
        match self.kind {
            WindowKind::Tumbling(..) => unreachable!("{time} {before:?}"),
            WindowKind::Session(_, gap) => is_less(time + gap, before),
        }
    }

    /// All windows of all times: those whose end lies between the watermarks leave, with the rows that were in time for them.
    fn fixed(&mut self, size: Time, slide: Time, rows: &[Row], marks: &Marks) -> (Vec<Row>, Vec<Row>) {
        let mut late = Vec::new();
        for row in rows {
            let ends = (row.time + 1..=row.time + size).filter(|end| (end - size).rem_euclid(slide) == 0);
            late.extend(ends.filter(|end| marks.before[0].is_some_and(|w| *end <= w)).map(|_| row.clone()));
        }
        self.rows.extend(rows.iter().cloned());
        let mut out = Vec::new();
        for (key, start, end, _, rows) in self.windows() {
            let had_closed = marks.before[0].is_some_and(|w| end <= w);
            if !had_closed && marks.after[0].is_some_and(|w| end <= w) {
                let [count, sum] = aggregate(&rows, self.val);
                out.push(Row { time: end - 1, origin: (0, 0), cols: vec![Some(start), Some(end), key, count, sum] });
            }
        }
        self.closed = marks.after[0];
        (out, late)
    }

    /// Key, start, end, when it closes, rows.
    fn windows(&self) -> Vec<(Value, Time, Time, Time, Vec<&Row>)> {
        let mut windows = Vec::new();
        let mut keys: BTreeMap<Value, Vec<&Row>> = BTreeMap::new();
        for row in &self.rows {
            keys.entry(row.cols[self.key]).or_default().push(row);
        }
        for (key, mut rows) in keys {
            rows.sort_by_key(|row| row.time);
            match self.kind {
                WindowKind::Tumbling(size, slide) => {
                    // Each instant that a window may begin at.
                    let (first, last) = (rows[0].time - size, rows[rows.len() - 1].time);
                    for start in (first..=last).filter(|start| start.rem_euclid(slide) == 0) {
                        let of_window: Vec<&Row> =
                            rows.iter().copied().filter(|row| row.time >= start && row.time < start + size).collect();
                        if !of_window.is_empty() {
                            windows.push((key, start, start + size, start + size, of_window));
                        }
                    }
                }
                WindowKind::Session(_, gap) => {
                    for session in rows.chunk_by(|a, b| b.time - a.time <= gap) {
                        let end = session[session.len() - 1].time + gap;
                        windows.push((key, session[0].time, end, end + 1, session.to_vec()));
                    }
                }
            }
        }
        windows
    }
}

impl Naive for NaiveWindows {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, Vec<Row>) {
        if let WindowKind::Tumbling(size, slide) = self.kind {
            return self.fixed(size, slide, &inputs[0], marks);
        }
        let (late, on_time): (Vec<_>, Vec<_>) = inputs[0].iter().cloned().partition(|row| self.is_late(row.time, marks.before[0]));
        self.rows.extend(on_time);
        let (mut out, mut open) = (Vec::new(), Vec::new());
        for (key, start, end, closes, rows) in self.windows() {
            if marks.after[0].is_some_and(|w| closes <= w) {
                let [count, sum] = aggregate(&rows, self.val);
                out.push(Row { time: end - 1, origin: (0, 0), cols: vec![Some(start), Some(end), key, count, sum] });
            } else {
                open.extend(rows.into_iter().cloned());
            }
        }
        self.rows = open;
        (out, late)
    }
    fn leaves(&self) -> Vec<Time> {
        self.windows().iter().map(|w| w.3).filter(|end| self.closed.is_none_or(|w| *end > w)).collect()
    }
}

pub struct NaiveDedup {
    pub step: Dedup,
    pub passed: Vec<(Value, Time)>,
    pub waiting: Vec<Row>,
}

impl Naive for NaiveDedup {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, Vec<Row>) {
        let (late, on_time): (Vec<_>, Vec<_>) = inputs[0].iter().cloned().partition(|row| is_less(row.time, marks.before[0]));
        self.waiting.extend(on_time);
        let (mut due, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|row| self.step.order == Order::Arrival || is_less(row.time, marks.after[0]));
        self.waiting = waiting;
        match self.step.order {
            Order::Arrival => due.sort_by_key(|row| row.origin),
            Order::EventTime => due.sort(),
        }
        let mut out = Vec::new();
        for row in due {
            let key = row.cols[self.step.key];
            if !self.passed.iter().any(|(k, p)| *k == key && (p - row.time).abs() <= self.step.within) {
                self.passed.push((key, row.time));
                out.push(row);
            }
        }
        (out, late)
    }
    fn leaves(&self) -> Vec<Time> {
        self.waiting.iter().map(|row| row.time + 1).collect()
    }
}

/// All rows that ever came in time.
pub struct NaiveJoin {
    pub step: Join,
    pub left: Vec<(Row, bool)>,
    pub right: Vec<Row>,
    pub unmatched: Vec<Row>,
}

impl Naive for NaiveJoin {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, Vec<Row>) {
        let (mut late, mut out) = (Vec::new(), Vec::new());
        let mut split = |i: usize| -> Vec<Row> {
            let (behind, on_time): (Vec<_>, Vec<_>) = inputs[i].iter().cloned().partition(|row| is_less(row.time, marks.before[i]));
            late.extend(behind);
            on_time
        };
        let (left, right) = (split(0), split(1));
        let (old_left, old_right) = (self.left.len(), self.right.len());
        self.left.extend(left.into_iter().map(|row| (row, false)));
        self.right.extend(right);
        for (i, (l, matched)) in self.left.iter_mut().enumerate() {
            for (j, r) in self.right.iter().enumerate() {
                let meets = l.cols[0].is_some()
                    && l.cols[0] == r.cols[0]
                    && r.time >= l.time - self.step.before
                    && r.time <= l.time + self.step.after;
                if meets && (i >= old_left || j >= old_right) {
                    *matched = true;
                    out.push(Row { time: l.time.max(r.time), origin: (0, 0), cols: l.cols.iter().chain(&r.cols).copied().collect() });
                }
            }
        }
        if self.step.is_left {
            for (l, matched) in &mut self.left {
                if !*matched && is_less(l.time + self.step.after, marks.after[1]) {
                    // So that it leaves once.
                    *matched = true;
                    out.push(Row { time: l.time, origin: (0, 0), cols: l.cols.iter().copied().chain([None, None]).collect() });
                }
            }
        }
        (out, late)
    }
    fn leaves(&self) -> Vec<Time> {
        let unmatched = self.left.iter().filter(|(_, matched)| self.step.is_left && !*matched);
        unmatched.map(|(l, _)| l.time + self.step.after + 1).collect()
    }
}

/// All rows that came in time; each epoch goes through all of them again.
pub struct NaiveProcess {
    pub step: Process,
    pub rows: Vec<Row>,
    pub given: usize,
    pub leaves: Vec<Time>,
}

impl Naive for NaiveProcess {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, Vec<Row>) {
        let (late, on_time): (Vec<_>, Vec<_>) = inputs[0].iter().cloned().partition(|row| is_less(row.time, marks.before[0]));
        self.rows.extend(on_time);
        self.rows.sort();
        let mut out = Vec::new();
        self.leaves.clear();
        let keys: std::collections::BTreeSet<Value> = self.rows.iter().map(|row| row.cols[self.step.key]).collect();
        for key in keys {
            let (mut seen, mut timer): (i64, Option<Time>) = (0, None);
            let of_key: Vec<_> = self.rows.iter().filter(|row| row.cols[self.step.key] == key).map(|row| row.time).collect();
            for time in of_key.iter().copied().map(Some).chain([None]) {
                if let Some(at) = timer.filter(|at| time.is_none_or(|t| *at < t) && is_less(*at, marks.after[0])) {
                    out.push(Row { time: at, origin: (0, 0), cols: vec![key, Some(-seen)] });
                    (seen, timer) = (0, None);
                }
                let Some(time) = time.filter(|t| is_less(*t, marks.after[0])) else {
                    self.leaves.extend(time.map(|t| t + 1));
                    continue;
                };
                seen += 1;
                timer = Some(time + self.step.pause);
                if seen >= 3 {
                    out.push(Row { time, origin: (0, 0), cols: vec![key, Some(seen)] });
                }
            }
            self.leaves.extend(timer.map(|at| at + 1));
        }
        // What came before is there again: rows that are new lie at or after the watermark of then.
        let before = |row: &Row| is_less(row.time, marks.before[0]);
        assert_eq!(out.iter().filter(|row| before(row)).count(), self.given);
        out.retain(|row| !before(row));
        self.given += out.len();
        (out, late)
    }
    fn leaves(&self) -> Vec<Time> {
        self.leaves.clone()
    }
}

pub struct NaiveRunning {
    pub step: Running,
    pub rows: Vec<Row>,
}

impl Naive for NaiveRunning {
    fn epoch(&mut self, inputs: &[Vec<Row>], _: &Marks) -> (Vec<Row>, Vec<Row>) {
        self.rows.extend(inputs[0].iter().cloned());
        let changed: std::collections::BTreeSet<Value> = inputs[0].iter().map(|row| row.cols[self.step.key]).collect();
        let out = changed.into_iter().map(|key| {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.cols[self.step.key] == key).collect();
            let [count, sum] = aggregate(&rows, self.step.val);
            Row { time: rows.iter().map(|row| row.time).max().unwrap_or(0), origin: (0, 0), cols: vec![key, count, sum] }
        });
        (out.collect(), vec![])
    }
    fn leaves(&self) -> Vec<Time> {
        vec![]
    }
}

/// All rows that came in time, and those of them that wait.
pub struct NaiveOver {
    pub step: Over,
    pub rows: Vec<Row>,
    pub waiting: Vec<Row>,
}

impl Naive for NaiveOver {
    fn epoch(&mut self, inputs: &[Vec<Row>], marks: &Marks) -> (Vec<Row>, Vec<Row>) {
        let (late, on_time): (Vec<_>, Vec<_>) = inputs[0].iter().cloned().partition(|row| is_less(row.time, marks.before[0]));
        self.rows.extend(on_time.iter().cloned());
        self.waiting.extend(on_time);
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|row| is_less(row.time, marks.after[0]));
        self.waiting = waiting;
        let out = |mut row: Row| {
            let of_key = self.rows.iter().filter(|r| r.cols[self.step.key] == row.cols[self.step.key]);
            let near = of_key.filter(|r| r.time <= row.time && r.time >= row.time - self.step.preceding);
            row.cols.push(near.filter_map(|r| r.cols[self.step.val]).reduce(|a, b| a + b));
            row
        };
        let due: Vec<Row> = due;
        (due.into_iter().map(out).collect(), late)
    }
    fn leaves(&self) -> Vec<Time> {
        self.waiting.iter().map(|row| row.time + 1).collect()
    }
}
