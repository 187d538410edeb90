//! The windows that a time lies in, by their definition alone.

use serde_json::{Value as Json, json};

use super::document::duration;
use super::time;

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Tumbling {
        size_us: i64,
        offset_us: i64,
    },
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
    /// Rows of a group, each at most this much after the one before.
    Session {
        gap_us: i64,
    },
    /// Days of Europe/Paris that begin this much after midnight, as the clocks there have gone since 1996.
    ParisDays {
        offset_us: i64,
    },
}

impl Window {
    #[must_use]
    pub fn tumbling(size_us: i64) -> Self {
        Self::Tumbling { size_us, offset_us: 0 }
    }

    /// The size of the longest window, or about that.
    #[must_use]
    pub fn size_us(self) -> i64 {
        match self {
            Self::Tumbling { size_us, .. } | Self::Sliding { size_us, .. } | Self::Cumulate { size_us, .. } => size_us,
            Self::Session { gap_us } => gap_us,
            Self::ParisDays { .. } => DAY_US,
        }
    }

    /// Whether a time may lie in several windows.
    #[must_use]
    pub fn overlap(self) -> bool {
        matches!(self, Self::Sliding { .. } | Self::Cumulate { .. })
    }

    /// The start and the end of each window that a time lies in. For sessions: the one that a row of this time would be
    /// alone.
    #[must_use]
    pub fn of(self, time_us: i64) -> Vec<(i64, i64)> {
        match self {
            Self::Tumbling { size_us, offset_us } => {
                let start = time::window_start(time_us - offset_us, size_us) + offset_us;
                vec![(start, start + size_us)]
            }
            Self::Sliding { size_us, slide_us, offset_us } => {
                let last = time::window_start(time_us - offset_us, slide_us) + offset_us;
                let starts = (0..).map(|n| last - n * slide_us).take_while(|start| time_us < start + size_us);
                starts.map(|start| (start, start + size_us)).collect()
            }
            Self::Cumulate { size_us, step_us, offset_us } => {
                let start = time::window_start(time_us - offset_us, size_us) + offset_us;
                let ends = (1..=size_us / step_us).map(|n| start + n * step_us);
                ends.filter(|end| time_us < *end).map(|end| (start, end)).collect()
            }
            Self::Session { gap_us } => vec![(time_us, time_us + gap_us)],
            Self::ParisDays { offset_us } => {
                // Around a day's start that the clocks show twice, their date may be that of the day before.
                let about = (time_us + HOUR_US - offset_us).div_euclid(DAY_US);
                let days = (about - 1..=about + 1).map(|day| [day, day + 1].map(|day| begin_in_paris(day, offset_us)));
                days.filter(|[start, end]| (*start..*end).contains(&time_us)).map(|[start, end]| (start, end)).collect()
            }
        }
    }

    /// Whether the watermark has closed a window. A row at the end of a session still belongs to it.
    #[must_use]
    pub fn is_over(self, (_, end_us): (i64, i64), watermark_us: i64) -> bool {
        self.leaves_at(end_us) <= watermark_us
    }

    /// The watermark that closes a window with this end.
    #[must_use]
    pub fn leaves_at(self, end_us: i64) -> i64 {
        end_us + i64::from(matches!(self, Self::Session { .. }))
    }

    pub(super) fn document(self) -> Json {
        let of = |us: i64| duration(us);
        let with_offset = |mut window: Json, offset_us: i64| {
            if offset_us != 0 {
                window["offset"] = of(offset_us).into();
            }
            window
        };
        match self {
            Self::Tumbling { size_us, offset_us } => {
                json!({"tumbling": with_offset(json!({"size": of(size_us)}), offset_us)})
            }
            Self::Sliding { size_us, slide_us, offset_us } => {
                json!({"sliding": with_offset(json!({"size": of(size_us), "slide": of(slide_us)}), offset_us)})
            }
            Self::Cumulate { size_us, step_us, offset_us } => {
                json!({"cumulate": with_offset(json!({"size": of(size_us), "step": of(step_us)}), offset_us)})
            }
            Self::Session { gap_us } => json!({"session": {"gap": of(gap_us)}}),
            Self::ParisDays { offset_us } => {
                json!({"calendar": with_offset(json!({"unit": "Day", "timeZone": "Europe/Paris"}), offset_us)})
            }
        }
    }
}

/// How far the clocks in Paris are ahead of UTC: two hours from the last Sunday of March to the last one of October, at
/// 1:00 UTC, and one hour else.
fn ahead_of_utc(time_us: i64) -> i64 {
    let year = time::format_date(time_us.div_euclid(DAY_US))[..4].to_owned();
    let [march, october] = ["03", "10"].map(|month| {
        let last = time::parse_date(&format!("{year}-{month}-31")).expect("it has 31 days");
        // 1970-01-01 was a Thursday.
        let sunday = last - (last + 4).rem_euclid(7);
        sunday * DAY_US + HOUR_US
    });
    if (march..october).contains(&time_us) { 2 * HOUR_US } else { HOUR_US }
}

/// The first instant at which the clocks in Paris show the day's start, or more if they skip it. The start is a whole
/// minute, as the changes of the clocks are.
fn begin_in_paris(day: i64, offset_us: i64) -> i64 {
    let local_us = day * DAY_US + offset_us;
    let mut minutes = (0..=60).map(|minute| local_us - 2 * HOUR_US + minute * MINUTE_US);
    minutes.find(|us| us + ahead_of_utc(*us) >= local_us).expect("the clocks are one or two hours ahead")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lies_in_each_window_that_contains_it() {
        let sliding = Window::Sliding { size_us: 10, slide_us: 4, offset_us: 1 };
        assert_eq!(sliding.of(8), [(5, 15), (1, 11)]);
        assert_eq!(sliding.of(9), [(9, 19), (5, 15), (1, 11)]);
        let cumulate = Window::Cumulate { size_us: 9, step_us: 3, offset_us: 0 };
        assert_eq!(cumulate.of(-1), [(-9, 0)]);
        assert_eq!(cumulate.of(3), [(0, 6), (0, 9)]);
        assert_eq!(Window::Tumbling { size_us: 10, offset_us: 3 }.of(2), [(-7, 3)]);
    }

    #[test]
    fn days_in_paris_have_23_to_25_hours() {
        let day = |at: &str, offset_us| {
            let [(start, end)] = Window::ParisDays { offset_us }.of(time::parse_timestamp(at).unwrap())[..] else {
                panic!()
            };
            [start, end].map(time::format_iso)
        };
        assert_eq!(day("2026-01-01T22:59:59Z", 0), ["2025-12-31T23:00:00Z", "2026-01-01T23:00:00Z"]);
        assert_eq!(day("2026-03-29T12:00:00Z", 0), ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]);
        assert_eq!(day("2026-10-25T12:00:00Z", 0), ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
        assert_eq!(day("2026-03-29T03:59:59Z", 6 * HOUR_US), ["2026-03-28T05:00:00Z", "2026-03-29T04:00:00Z"]);
        // The clocks skip half past two in March, and show it twice in October. What follows the first is the new day.
        assert_eq!(day("2026-03-29T12:00:00Z", 5 * HOUR_US / 2)[0], "2026-03-29T01:00:00Z");
        assert_eq!(day("2026-10-25T12:00:00Z", 5 * HOUR_US / 2)[0], "2026-10-25T00:30:00Z");
        assert_eq!(day("2026-10-25T01:10:00Z", 5 * HOUR_US / 2)[0], "2026-10-25T00:30:00Z");
    }
}
