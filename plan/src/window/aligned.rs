//! Windows that are the same for all keys.
//!
//! Time is cut into *slices*: a slice ends where a window begins or ends, so all rows of a slice lie in the same
//! windows. Rows are aggregated once per slice, however many windows overlap, and a window's result is merged from
//! those of its slices (Krishnamurthy, Wu and Franklin, "On-the-Fly Sharing for Streamed Aggregation", SIGMOD 2006,
//! which calls them paired windows; Traub et al., "Efficient Window Aggregation with General Stream Slicing", EDBT
//! 2019). A tumbling or calendar window is one slice.
//!
//! Windows without an offset begin at multiples of their size or slide since 1970-01-01T00:00:00Z, as in Spark's
//! `window` and Flink's `TimeWindow.getWindowStartWithOffset`; times before it belong to the window that they lie in.
//!
//! All arithmetic saturates at the ends of i64, so no input can overflow.

use super::Calendar;

/// How time is divided into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aligned {
    Tumbling(Tumbling),
    Sliding(Sliding),
    Cumulate(Cumulate),
    Calendar(Calendar),
}

/// A window: `[start_us, end_us)`. Windows are ordered by when they close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub start_us: i64,
    pub end_us: i64,
}

/// A span of time, `[start_us, end_us)`, whose rows lie in the same windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    pub start_us: i64,
    pub end_us: i64,
    /// The end of the last window that the slice lies in.
    pub leaves_us: i64,
}

impl Aligned {
    /// The slice that a time lies in.
    #[must_use]
    pub fn slice_of(self, time_us: i64) -> Slice {
        match self {
            Self::Tumbling(window) => Slice::of_window(window.window_of(time_us)),
            Self::Sliding(window) => window.slice_of(time_us),
            Self::Cumulate(window) => window.slice_of(time_us),
            Self::Calendar(window) => Slice::of_window(window.window_of(time_us)),
        }
    }

    /// The first window to close after `after_us`, of those that the slice beginning at `slice_us` lies in.
    #[must_use]
    pub fn window_after(self, slice_us: i64, after_us: i64) -> Option<Bounds> {
        match self {
            Self::Tumbling(window) => Some(window.window_of(slice_us)).filter(|found| found.end_us > after_us),
            Self::Sliding(window) => window.window_after(slice_us, after_us),
            Self::Cumulate(window) => window.window_after(slice_us, after_us),
            Self::Calendar(window) => Some(window.window_of(slice_us)).filter(|found| found.end_us > after_us),
        }
    }

    /// The end of the last window to close by `limit_us`, of those that the slice beginning at `slice_us` lies in.
    #[must_use]
    pub fn last_end_by(self, slice_us: i64, limit_us: i64) -> Option<i64> {
        match self {
            Self::Tumbling(window) => Some(window.window_of(slice_us).end_us).filter(|end| *end <= limit_us),
            Self::Sliding(window) => window.last_end_by(slice_us, limit_us),
            Self::Cumulate(window) => window.last_end_by(slice_us, limit_us),
            Self::Calendar(window) => Some(window.window_of(slice_us).end_us).filter(|end| *end <= limit_us),
        }
    }

    /// All windows that a time lies in, in the order in which they close.
    pub fn windows_of(self, time_us: i64) -> impl Iterator<Item = Bounds> {
        let slice_us = self.slice_of(time_us).start_us;
        let first = self.window_after(slice_us, i64::MIN);
        std::iter::successors(first, move |last| self.window_after(slice_us, last.end_us))
    }
}

impl Slice {
    /// A window that is one slice.
    #[must_use]
    pub fn of_window(window: Bounds) -> Self {
        Self { start_us: window.start_us, end_us: window.end_us, leaves_us: window.end_us }
    }

    /// Whether the last window that the slice lies in has closed at this watermark: a row of it is late.
    #[must_use]
    pub fn is_late(&self, watermark_us: i64) -> bool {
        self.leaves_us <= watermark_us
    }
}

/// How far a time is behind the last multiple of `period_us` plus `offset_us`.
fn into_period(time_us: i64, period_us: i64, offset_us: i64) -> i64 {
    (time_us.rem_euclid(period_us) - offset_us.rem_euclid(period_us)).rem_euclid(period_us)
}

/// Windows of one size that follow each other without gaps or overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tumbling {
    size_us: i64,
    offset_us: i64,
}

impl Tumbling {
    /// Windows of `size_us` microseconds that begin `offset_us` after its multiples.
    ///
    /// # Panics
    /// If `size_us` is not positive, which lowering refuses.
    #[must_use]
    pub fn new(size_us: i64, offset_us: i64) -> Self {
        assert!(size_us > 0, "a window has a positive size, not {size_us} µs");
        Self { size_us, offset_us }
    }

    #[must_use]
    pub fn size_us(self) -> i64 {
        self.size_us
    }

    #[must_use]
    pub fn offset_us(self) -> i64 {
        self.offset_us
    }

    fn window_of(self, time_us: i64) -> Bounds {
        let start_us = time_us.saturating_sub(into_period(time_us, self.size_us, self.offset_us));
        Bounds { start_us, end_us: start_us.saturating_add(self.size_us) }
    }
}

/// Windows of one size, each beginning one slide after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sliding {
    size_us: i64,
    slide_us: i64,
    offset_us: i64,
}

impl Sliding {
    /// Windows of `size_us` microseconds that begin `offset_us` after the multiples of `slide_us`.
    ///
    /// # Panics
    /// If `slide_us` is not positive or more than `size_us`, which lowering refuses.
    #[must_use]
    pub fn new(size_us: i64, slide_us: i64, offset_us: i64) -> Self {
        assert!(0 < slide_us && slide_us <= size_us, "windows of {size_us} µs can't slide by {slide_us} µs");
        Self { size_us, slide_us, offset_us }
    }

    #[must_use]
    pub fn size_us(self) -> i64 {
        self.size_us
    }

    #[must_use]
    pub fn slide_us(self) -> i64 {
        self.slide_us
    }

    #[must_use]
    pub fn offset_us(self) -> i64 {
        self.offset_us
    }

    /// In each slide one window begins, and, if the size is no multiple of the slide, another one ends in between.
    fn slice_of(self, time_us: i64) -> Slice {
        let begins_us = time_us.saturating_sub(into_period(time_us, self.slide_us, self.offset_us));
        let next_us = begins_us.saturating_add(self.slide_us);
        let ends_us = begins_us.saturating_add(self.size_us % self.slide_us);
        let (start_us, end_us) = if ends_us == begins_us {
            (begins_us, next_us)
        } else if time_us < ends_us {
            (begins_us, ends_us)
        } else {
            (ends_us, next_us)
        };
        Slice { start_us, end_us, leaves_us: begins_us.saturating_add(self.size_us) }
    }

    fn window_after(self, slice_us: i64, after_us: i64) -> Option<Bounds> {
        let beyond_us = slice_us.max(after_us);
        let end_us = beyond_us.saturating_sub(self.into_end(beyond_us)).saturating_add(self.slide_us);
        let start_us = end_us.saturating_sub(self.size_us);
        (end_us > beyond_us && start_us <= slice_us).then_some(Bounds { start_us, end_us })
    }

    fn last_end_by(self, slice_us: i64, limit_us: i64) -> Option<i64> {
        let limit_us = limit_us.min(self.slice_of(slice_us).leaves_us);
        let end_us = limit_us.saturating_sub(self.into_end(limit_us));
        (end_us > slice_us).then_some(end_us)
    }

    /// How far a time is behind the last end of a window.
    fn into_end(self, time_us: i64) -> i64 {
        let size_us = self.size_us.rem_euclid(self.slide_us);
        into_period(time_us, self.slide_us, self.offset_us.rem_euclid(self.slide_us) + size_us)
    }
}

/// Windows that begin together and end one step apart, until the size is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cumulate {
    size_us: i64,
    step_us: i64,
    offset_us: i64,
}

impl Cumulate {
    /// Windows of `step_us`, two times `step_us` and so on up to `size_us` microseconds, all of which begin `offset_us`
    /// after the multiples of `size_us`.
    ///
    /// # Panics
    /// If `size_us` is not a positive multiple of `step_us`, which lowering refuses.
    #[must_use]
    pub fn new(size_us: i64, step_us: i64, offset_us: i64) -> Self {
        assert!(
            0 < step_us && step_us <= size_us && size_us % step_us == 0,
            "windows can't grow to {size_us} µs by {step_us} µs"
        );
        Self { size_us, step_us, offset_us }
    }

    #[must_use]
    pub fn size_us(self) -> i64 {
        self.size_us
    }

    #[must_use]
    pub fn step_us(self) -> i64 {
        self.step_us
    }

    #[must_use]
    pub fn offset_us(self) -> i64 {
        self.offset_us
    }

    /// Where the windows begin that a time lies in.
    fn start_of(self, time_us: i64) -> i64 {
        time_us.saturating_sub(into_period(time_us, self.size_us, self.offset_us))
    }

    fn slice_of(self, time_us: i64) -> Slice {
        let begins_us = self.start_of(time_us);
        let start_us = begins_us.saturating_add(time_us.saturating_sub(begins_us) / self.step_us * self.step_us);
        Slice {
            start_us,
            end_us: start_us.saturating_add(self.step_us),
            leaves_us: begins_us.saturating_add(self.size_us),
        }
    }

    fn window_after(self, slice_us: i64, after_us: i64) -> Option<Bounds> {
        let start_us = self.start_of(slice_us);
        let beyond_us = slice_us.max(after_us).saturating_sub(start_us);
        let longer_us = (beyond_us / self.step_us * self.step_us).saturating_add(self.step_us);
        let end_us = start_us.saturating_add(longer_us);
        (beyond_us < self.size_us && end_us > after_us).then_some(Bounds { start_us, end_us })
    }

    fn last_end_by(self, slice_us: i64, limit_us: i64) -> Option<i64> {
        let start_us = self.start_of(slice_us);
        let within_us = limit_us.min(start_us.saturating_add(self.size_us)).saturating_sub(start_us);
        let end_us = start_us.saturating_add(within_us / self.step_us * self.step_us);
        (end_us > slice_us).then_some(end_us)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::super::{CalendarUnit, time_zone};
    use super::*;

    /// Windows of every kind, with the naive list of those that may contain a time between -200 and 200.
    fn kinds() -> Vec<(Aligned, Vec<(i64, i64)>)> {
        let mut kinds = Vec::new();
        for offset in [0, 1, 4, -3] {
            for size in [1, 3, 5, 12] {
                let starts = (-300..300).map(|k| k * size + offset);
                kinds.push((
                    Aligned::Tumbling(Tumbling::new(size, offset)),
                    starts.map(|start| (start, start + size)).collect(),
                ));
                for slide in 1..=size {
                    let starts = (-900..900).map(|k| k * slide + offset);
                    kinds.push((
                        Aligned::Sliding(Sliding::new(size, slide, offset)),
                        starts.map(|start| (start, start + size)).collect(),
                    ));
                    if size % slide == 0 {
                        let starts = (-300..300).map(|k| k * size + offset);
                        let ends = |start| (1..=size / slide).map(move |n| (start, start + n * slide));
                        kinds.push((
                            Aligned::Cumulate(Cumulate::new(size, slide, offset)),
                            starts.flat_map(ends).collect(),
                        ));
                    }
                }
            }
        }
        kinds
    }

    #[test]
    fn a_time_lies_in_the_windows_that_begin_at_or_before_it_and_end_after_it() {
        for (window, all) in kinds() {
            for time in -100..100 {
                let mut expected: Vec<_> =
                    all.iter().copied().filter(|(start, end)| (*start..*end).contains(&time)).collect();
                expected.sort_by_key(|(_, end)| *end);
                let found: Vec<_> = window.windows_of(time).map(|found| (found.start_us, found.end_us)).collect();
                assert_eq!(found, expected, "{window:?} at {time}");
                let slice = window.slice_of(time);
                assert!((slice.start_us..slice.end_us).contains(&time), "{window:?} at {time}: {slice:?}");
                assert_eq!(slice.leaves_us, expected.last().unwrap().1, "{window:?} at {time}");
                assert_eq!(window.slice_of(slice.start_us), slice, "{window:?} at {time}");
                for limit in time - 30..time + 30 {
                    let last = expected.iter().map(|(_, end)| *end).filter(|end| *end <= limit).max();
                    assert_eq!(window.last_end_by(slice.start_us, limit), last, "{window:?} at {time} by {limit}");
                    let next = expected.iter().find(|(_, end)| *end > limit);
                    let found = window.window_after(slice.start_us, limit);
                    assert_eq!(
                        found.map(|found| (found.start_us, found.end_us)),
                        next.copied(),
                        "{window:?} at {time} after {limit}"
                    );
                }
            }
        }
    }

    #[test]
    fn slices_are_as_long_as_their_windows_allow() {
        for (window, all) in kinds() {
            let edges: BTreeSet<i64> = all.iter().flat_map(|(start, end)| [*start, *end]).collect();
            for time in -100..100 {
                let slice = window.slice_of(time);
                assert_eq!(edges.range(..=time).next_back(), Some(&slice.start_us), "{window:?} at {time}");
                assert_eq!(edges.range(time + 1..).next(), Some(&slice.end_us), "{window:?} at {time}");
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let mut kinds: Vec<_> = kinds().into_iter().map(|(window, _)| window).collect();
        let huge = 99_999 * 3_600_000_000;
        kinds.push(Aligned::Tumbling(Tumbling::new(huge, huge - 1)));
        kinds.push(Aligned::Sliding(Sliding::new(huge, 7_001, 7_000)));
        kinds.push(Aligned::Cumulate(Cumulate::new(huge, 1_000, 999)));
        for unit in [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month] {
            kinds.push(Aligned::Calendar(Calendar::new(unit, time_zone("Asia/Tokyo").unwrap(), 1_000)));
        }
        for window in kinds {
            for time in [i64::MIN, i64::MIN + 1, i64::MIN + 40, -1, 0, i64::MAX - 40, i64::MAX - 1, i64::MAX] {
                let slice = window.slice_of(time);
                assert!(slice.start_us <= time && time <= slice.end_us, "{window:?} at {time}: {slice:?}");
                for limit in [i64::MIN, time, i64::MAX] {
                    let after = window.window_after(slice.start_us, limit);
                    assert!(after.is_none_or(|found| found.end_us > limit), "{window:?} at {time}: {after:?}");
                    let by = window.last_end_by(slice.start_us, limit);
                    assert!(by.is_none_or(|end| end <= limit), "{window:?} at {time}: {by:?}");
                }
            }
        }
    }

    #[test]
    fn a_slice_is_late_from_the_moment_its_last_window_ends_at_the_watermark() {
        let slice = Aligned::Sliding(Sliding::new(10, 5, 0)).slice_of(7);
        assert_eq!(slice, Slice { start_us: 5, end_us: 10, leaves_us: 15 });
        assert!(!slice.is_late(14));
        assert!(slice.is_late(15));
    }
}
