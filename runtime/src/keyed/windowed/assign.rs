//! In which slice of time a row lies, and which windows it has missed.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use weir_plan::window::{Aligned, Bounds, Slice};

use crate::keyed::rows::late::times;

/// How rows are assigned to the windows of a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Assigner {
    /// By their event time.
    ByTime(Aligned),
    /// By the bounds that they carry, in columns with these indices. Each window is one slice.
    ByBounds { starts: usize, ends: usize },
}

/// The slices of a batch's rows.
pub(super) struct Assigned {
    /// The start (µs) of each row's slice.
    pub starts: Vec<i64>,
    /// The end (µs) of the last window that each row's slice lies in. `None` if it follows from the start.
    pub leaves: Option<Vec<i64>>,
    /// Per row: whether it is late, since all its windows are over. `None` if no row is.
    pub is_late: Option<Vec<bool>>,
    /// Whether a row has missed a window. It need not be late for all of them.
    pub has_missed: bool,
}

impl Assigner {
    /// Whether a slice may lie in several windows.
    pub fn shares_slices(self) -> bool {
        matches!(self, Self::ByTime(Aligned::Sliding(_) | Aligned::Cumulate(_)))
    }

    /// Assigns rows at the beginning of an epoch with this watermark.
    pub fn assign(self, rows: &RecordBatch, before_us: Option<i64>) -> Assigned {
        match self {
            Self::ByTime(windows) => by_time(windows, times(rows), before_us),
            Self::ByBounds { starts, ends } => by_bounds(times_of(rows, starts), times_of(rows, ends), before_us),
        }
    }

    /// When the last window closes that a row of this time lies in, in µs.
    pub fn leaves_at(self, time_us: i64) -> i64 {
        match self {
            Self::ByTime(windows) => windows.slice_of(time_us).leaves_us,
            // Rows with bounds have the last moment of their window as their time.
            Self::ByBounds { .. } => time_us.saturating_add(1),
        }
    }

    /// The ends (µs) of the last windows that slices lie in, by the starts of the slices.
    pub fn leaves_of(self, starts: &[i64]) -> Vec<i64> {
        let Self::ByTime(windows) = self else { return starts.to_vec() };
        let mut known = Known::new(windows);
        starts.iter().map(|start| known.slice_of(*start).leaves_us).collect()
    }

    /// The windows that a row lies in, in the order in which they close.
    pub fn windows_of(self, rows: &RecordBatch, row: usize) -> impl Iterator<Item = Bounds> {
        let (aligned, carried) = match self {
            Self::ByTime(windows) => (Some(windows.windows_of(times(rows)[row])), None),
            Self::ByBounds { starts, ends } => {
                let [start_us, end_us] = [starts, ends].map(|bounds| times_of(rows, bounds)[row]);
                (None, Some(Bounds { start_us, end_us }))
            }
        };
        aligned.into_iter().flatten().chain(carried)
    }

    /// The first window to close after `after_us`, of those that a slice lies in.
    pub fn window_after(self, slice: SliceKey, after_us: i64) -> Option<Bounds> {
        match self {
            Self::ByTime(windows) if self.shares_slices() => windows.window_after(slice.start_us, after_us),
            _ => Some(slice.bounds()).filter(|window| window.end_us > after_us),
        }
    }

    /// The end of the last window to close by `limit_us`, of those that a slice lies in.
    pub fn last_end_by(self, slice: SliceKey, limit_us: i64) -> Option<i64> {
        match self {
            Self::ByTime(windows) if self.shares_slices() => windows.last_end_by(slice.start_us, limit_us),
            _ => Some(slice.leaves_us).filter(|end| *end <= limit_us),
        }
    }
}

/// A slice that holds groups. Slices are ordered by when they leave. If slices are not shared, this is the window, with
/// the end that it had when its first row came: other data of time zones changes only windows that begin later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SliceKey {
    /// The end of the last window that the slice lies in.
    pub leaves_us: i64,
    pub start_us: i64,
}

impl SliceKey {
    /// The slice of an entry of state.
    pub fn of(start_us: i64, last_moment_us: i64) -> Self {
        Self { leaves_us: last_moment_us.saturating_add(1), start_us }
    }

    fn bounds(self) -> Bounds {
        Bounds { start_us: self.start_us, end_us: self.leaves_us }
    }
}

fn times_of(rows: &RecordBatch, column: usize) -> &[i64] {
    rows.column(column).as_primitive::<TimestampMicrosecondType>().values()
}

/// The slice of the last time. Neighbouring rows mostly share a slice, so it is computed only when it changes.
struct Known {
    windows: Aligned,
    slice: Slice,
}

impl Known {
    fn new(windows: Aligned) -> Self {
        Self { windows, slice: Slice { start_us: 0, end_us: 0, leaves_us: 0 } }
    }

    fn slice_of(&mut self, time_us: i64) -> Slice {
        if time_us < self.slice.start_us || time_us >= self.slice.end_us {
            self.slice = self.windows.slice_of(time_us);
        }
        self.slice
    }
}

fn by_time(windows: Aligned, times: &[i64], before_us: Option<i64>) -> Assigned {
    let watermark_us = before_us.unwrap_or(i64::MIN);
    let mut starts = Vec::with_capacity(times.len());
    let (mut start_us, mut end_us, mut may_have_missed) = (0, 0, false);
    for time in times {
        // Neighbouring rows mostly share a slice.
        if *time < start_us || *time >= end_us {
            Slice { start_us, end_us, .. } = windows.slice_of(*time);
            may_have_missed |= start_us < watermark_us;
        }
        starts.push(start_us);
    }
    let (mut is_late, mut has_missed) = (None, false);
    if may_have_missed {
        let mut known = Known::new(windows);
        // No time at or after the watermark has missed anything.
        for (row, time) in times.iter().enumerate().filter(|(_, time)| **time < watermark_us) {
            let slice = known.slice_of(*time);
            if slice.is_late(watermark_us) {
                is_late.get_or_insert_with(|| vec![false; times.len()])[row] = true;
            }
            has_missed = has_missed || windows.last_end_by(slice.start_us, watermark_us).is_some();
        }
    }
    Assigned { starts, leaves: None, is_late, has_missed }
}

fn by_bounds(starts: &[i64], ends: &[i64], before_us: Option<i64>) -> Assigned {
    let is_late = before_us.map(|watermark_us| ends.iter().map(|end| *end <= watermark_us).collect::<Vec<_>>());
    let is_late = is_late.filter(|is_late| is_late.contains(&true));
    let has_missed = is_late.is_some();
    Assigned { starts: starts.to_vec(), leaves: Some(ends.to_vec()), is_late, has_missed }
}
