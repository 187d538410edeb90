//! Windows over event time, in microseconds since the epoch. Windows are half-open: `[start, end)`.
//!
//! *Aligned* windows are the same for all keys, and a row's time alone decides in which of them it lies ([`Aligned`]).
//! The word is the Dataflow model's (Akidau et al., "The Dataflow Model", VLDB 2015).

mod aligned;
mod calendar;

use serde::{Deserialize, Serialize};

pub use aligned::{Aligned, Bounds, Cumulate, Slice, Sliding, Tumbling};
pub use calendar::{Calendar, CalendarUnit, TimeZone, time_zone, time_zones};

/// How a step divides time into windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    Aligned(Aligned),
    /// The windows that the input's rows have already: the columns `window_start` and `window_end`, which have these
    /// indices.
    OfInput {
        starts: usize,
        ends: usize,
    },
    /// All rows of a key at once. There is no end, so a group's row comes anew whenever it has changed: a *running*
    /// aggregate. The global window is the Dataflow model's, too.
    Global {
        /// A group is forgotten once its last row is this much (µs) older than the watermark.
        expire_after_us: Option<i64>,
    },
    /// Rows of a key, each at most this much (µs) after the one before. A session ends as much after its last row.
    Session {
        gap_us: i64,
    },
}

impl Window {
    /// Tumbling windows of `size_us` microseconds.
    ///
    /// # Panics
    /// See [`Tumbling::new`].
    #[must_use]
    pub fn tumbling(size_us: i64) -> Self {
        Self::Aligned(Aligned::Tumbling(Tumbling::new(size_us, 0)))
    }

    /// What saved state depends on.
    pub(crate) fn fingerprint(self) -> WindowFingerprint {
        match self {
            Self::Aligned(Aligned::Tumbling(w)) => {
                WindowFingerprint::Tumbling { size_us: w.size_us(), offset_us: w.offset_us() }
            }
            Self::Aligned(Aligned::Sliding(w)) => {
                WindowFingerprint::Sliding { size_us: w.size_us(), slide_us: w.slide_us(), offset_us: w.offset_us() }
            }
            Self::Aligned(Aligned::Cumulate(w)) => {
                WindowFingerprint::Cumulate { size_us: w.size_us(), step_us: w.step_us(), offset_us: w.offset_us() }
            }
            Self::Aligned(Aligned::Calendar(w)) => WindowFingerprint::Calendar {
                unit: w.unit(),
                time_zone: w.time_zone().to_owned(),
                offset_us: w.offset_us(),
                time_zone_data: calendar::TIME_ZONE_DATA.to_owned(),
            },
            Self::OfInput { .. } => WindowFingerprint::OfInput,
            Self::Global { expire_after_us } => WindowFingerprint::Global { expires: expire_after_us.is_some() },
            Self::Session { gap_us } => WindowFingerprint::Session { gap_us },
        }
    }
}

/// The window in saved state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum WindowFingerprint {
    Tumbling {
        size_us: i64,
        #[serde(default, skip_serializing_if = "is_zero")]
        offset_us: i64,
    },
    Sliding {
        size_us: i64,
        slide_us: i64,
        #[serde(default, skip_serializing_if = "is_zero")]
        offset_us: i64,
    },
    Cumulate {
        size_us: i64,
        step_us: i64,
        #[serde(default, skip_serializing_if = "is_zero")]
        offset_us: i64,
    },
    Calendar {
        unit: CalendarUnit,
        time_zone: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        offset_us: i64,
        /// The version of the time-zone data. Another version gives other bounds only to windows that are not open yet,
        /// so it makes no difference to saved state.
        time_zone_data: String,
    },
    OfInput,
    /// How long a group is kept may change, but not whether groups are ever forgotten: those of which no time was kept
    /// could not be.
    Global {
        expires: bool,
    },
    Session {
        gap_us: i64,
    },
}

impl WindowFingerprint {
    /// How the window `now` differs from this one, in a text that begins with what the step had; `None` if saved state
    /// means the same with both.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        let (then, now) = (self.in_words(), now.in_words());
        (then != now).then(|| format!("had {then} and now has {now}"))
    }

    /// All that the meaning of saved state depends on.
    fn in_words(&self) -> String {
        let (windows, offset_us) = match self {
            Self::Tumbling { size_us, offset_us } => (format!("windows of {}", seconds(*size_us)), *offset_us),
            Self::Sliding { size_us, slide_us, offset_us } => {
                (format!("windows of {} every {}", seconds(*size_us), seconds(*slide_us)), *offset_us)
            }
            Self::Cumulate { size_us, step_us, offset_us } => {
                (format!("windows that grow by {} up to {}", seconds(*step_us), seconds(*size_us)), *offset_us)
            }
            Self::Calendar { unit, time_zone, offset_us, .. } => {
                (format!("windows of one {} in {time_zone}", unit.in_words()), *offset_us)
            }
            Self::OfInput => ("the windows of its input".to_owned(), 0),
            Self::Global { expires: false } => ("groups that are never forgotten".to_owned(), 0),
            Self::Global { expires: true } => ("groups that expire".to_owned(), 0),
            Self::Session { gap_us } => (format!("sessions with a gap of {}", seconds(*gap_us)), 0),
        };
        if offset_us == 0 { windows } else { format!("{windows}, {} later", seconds(offset_us)) }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(us: &i64) -> bool {
    *us == 0
}

/// The time in seconds as text: `300 s`.
fn seconds(us: i64) -> String {
    let (whole, rest) = (us / 1_000_000, us % 1_000_000);
    if rest == 0 { format!("{whole} s") } else { format!("{whole}.{rest:06} s") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fingerprint(window: Aligned) -> WindowFingerprint {
        Window::Aligned(window).fingerprint()
    }

    #[test]
    fn whatever_changes_the_meaning_of_saved_state_is_a_difference_and_nothing_else_is() {
        let paris =
            |unit, offset_us| Aligned::Calendar(Calendar::new(unit, time_zone("Europe/Paris").unwrap(), offset_us));
        let all = [
            Aligned::Tumbling(Tumbling::new(60_000_000, 0)),
            Aligned::Tumbling(Tumbling::new(60_000_000, 5_000)),
            Aligned::Sliding(Sliding::new(60_000_000, 30_000_000, 0)),
            Aligned::Sliding(Sliding::new(60_000_000, 30_000_000, 1)),
            Aligned::Cumulate(Cumulate::new(60_000_000, 30_000_000, 0)),
            paris(CalendarUnit::Day, 0),
            paris(CalendarUnit::Week, 0),
            paris(CalendarUnit::Day, 3_600_000_000),
        ]
        .map(fingerprint);
        let running = [None, Some(60_000_000)].map(|expire_after_us| Window::Global { expire_after_us }.fingerprint());
        let all: Vec<_> = all.into_iter().chain(running).collect();
        for (i, then) in all.iter().enumerate() {
            for (j, now) in all.iter().enumerate() {
                assert_eq!(then.difference(now).is_some(), i != j, "{then:?} and {now:?}");
            }
            let saved = serde_json::to_value(then).unwrap();
            assert_eq!(&serde_json::from_value::<WindowFingerprint>(saved).unwrap(), then);
        }
        assert_eq!(
            all[1].difference(&all[2]).unwrap(),
            "had windows of 60 s, 0.005000 s later and now has windows of 60 s every 30 s"
        );
        assert_eq!(
            all[7].difference(&all[4]).unwrap(),
            "had windows of one day in Europe/Paris, 3600 s later and now has windows that grow by 30 s up to 60 s"
        );
    }

    #[test]
    fn groups_may_be_kept_for_longer_or_shorter_than_before() {
        let [then, now] = [1, 2].map(|us| Window::Global { expire_after_us: Some(us) }.fingerprint());
        assert_eq!(then.difference(&now), None);
    }

    #[test]
    fn other_time_zone_data_makes_no_difference() {
        let mut old = fingerprint(Aligned::Calendar(Calendar::new(CalendarUnit::Day, time_zone("UTC").unwrap(), 0)));
        let now = old.clone();
        let WindowFingerprint::Calendar { time_zone_data, .. } = &mut old else { panic!() };
        *time_zone_data = "1999z".into();
        assert_eq!(old.difference(&now), None);
    }
}
