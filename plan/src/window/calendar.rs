//! Days, weeks and months of a time zone, however long they are.
//!
//! A window begins at the first instant whose local time is the window's start, and ends where the next one begins. If
//! a change of the clocks skips the local start, the window begins at the change, as `LocalDate.atStartOfDay(ZoneId)`
//! of Java has it; if the local start comes twice, the window begins at the first.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::{Deserialize, Serialize};

use super::Bounds;

/// The version of the time-zone data, such as `2025b`.
pub(super) const TIME_ZONE_DATA: &str = chrono_tz::IANA_TZDB_VERSION;

/// The rules for local time in some region.
pub type TimeZone = Tz;

/// The time zone with this name of the IANA time zone database: `Europe/Paris`.
#[must_use]
pub fn time_zone(name: &str) -> Option<TimeZone> {
    name.parse().ok()
}

/// The names of all time zones.
pub fn time_zones() -> impl Iterator<Item = &'static str> {
    TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// Windows that are the days, weeks or months of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    unit: CalendarUnit,
    zone: Tz,
    offset_us: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CalendarUnit {
    Day,
    /// From Monday.
    Week,
    Month,
}

impl CalendarUnit {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}

impl Calendar {
    /// Windows that begin `offset_us` of local time after the midnight at which the unit begins.
    #[must_use]
    pub fn new(unit: CalendarUnit, zone: Tz, offset_us: i64) -> Self {
        Self { unit, zone, offset_us }
    }

    #[must_use]
    pub fn unit(self) -> CalendarUnit {
        self.unit
    }

    #[must_use]
    pub fn time_zone(&self) -> &'static str {
        self.zone.name()
    }

    #[must_use]
    pub fn offset_us(self) -> i64 {
        self.offset_us
    }

    /// The window that a time lies in. Times of more than 200,000 years ago or ahead, for which there is no calendar,
    /// share one window on each side.
    pub(super) fn window_of(self, time_us: i64) -> Bounds {
        self.within_the_calendar(time_us).unwrap_or(match time_us {
            ..0 => Bounds { start_us: i64::MIN, end_us: CALENDAR_US.0 },
            _ => Bounds { start_us: CALENDAR_US.1, end_us: i64::MAX },
        })
    }

    fn within_the_calendar(self, time_us: i64) -> Option<Bounds> {
        if !(CALENDAR_US.0..CALENDAR_US.1).contains(&time_us) {
            return None;
        }
        let utc = DateTime::from_timestamp_micros(time_us)?;
        let local = utc.with_timezone(&self.zone).naive_local();
        let date = local.checked_sub_signed(TimeDelta::microseconds(self.offset_us))?.date();
        let mut begins = match self.unit {
            CalendarUnit::Day => date,
            CalendarUnit::Week => date.checked_sub_days(Days::new(date.weekday().num_days_from_monday().into()))?,
            CalendarUnit::Month => date.with_day(1)?,
        };
        // Where clocks are set back over midnight, a local date comes again after the next one has begun.
        while self.start_of(begins)? > time_us {
            begins = self.before(begins)?;
        }
        loop {
            let next = self.next(begins)?;
            let end_us = self.start_of(next)?;
            if time_us < end_us {
                let start_us = self.start_of(begins)?.max(CALENDAR_US.0);
                return Some(Bounds { start_us, end_us: end_us.min(CALENDAR_US.1) });
            }
            begins = next;
        }
    }

    fn next(self, begins: NaiveDate) -> Option<NaiveDate> {
        match self.unit {
            CalendarUnit::Day => begins.checked_add_days(Days::new(1)),
            CalendarUnit::Week => begins.checked_add_days(Days::new(7)),
            CalendarUnit::Month => begins.checked_add_months(Months::new(1)),
        }
    }

    fn before(self, begins: NaiveDate) -> Option<NaiveDate> {
        match self.unit {
            CalendarUnit::Day => begins.checked_sub_days(Days::new(1)),
            CalendarUnit::Week => begins.checked_sub_days(Days::new(7)),
            CalendarUnit::Month => begins.checked_sub_months(Months::new(1)),
        }
    }

    /// The instant at which the window of a local date begins.
    fn start_of(self, date: NaiveDate) -> Option<i64> {
        let local = date.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::microseconds(self.offset_us))?;
        match self.zone.from_local_datetime(&local).earliest() {
            Some(instant) => Some(instant.timestamp_micros()),
            None => self.end_of_gap(local),
        }
    }

    /// The first instant whose local time is after `local`, which a change of the clocks skips.
    fn end_of_gap(self, local: NaiveDateTime) -> Option<i64> {
        // No change of the clocks is two days long, so the local times of these two are on both sides of it.
        let around = local.and_utc().timestamp();
        let (mut before, mut after) = (around - 2 * 86_400, around + 2 * 86_400);
        while after - before > 1 {
            let middle = before.midpoint(after);
            let found = DateTime::<Utc>::from_timestamp(middle, 0)?.with_timezone(&self.zone).naive_local();
            if found < local {
                before = middle;
            } else {
                after = middle;
            }
        }
        after.checked_mul(1_000_000)
    }
}

/// The times that all calendars can express, in µs: 200,000 years around 1970.
const CALENDAR_US: (i64, i64) = (-200_000 * YEAR_US, 200_000 * YEAR_US);
const YEAR_US: i64 = 365 * 86_400_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn us(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp_micros()
    }

    /// The bounds of the window around an instant, as text.
    fn window(unit: CalendarUnit, zone: &str, offset_us: i64, at: &str) -> [String; 2] {
        let found = Calendar::new(unit, time_zone(zone).unwrap(), offset_us).window_of(us(at));
        [found.start_us, found.end_us].map(|us| DateTime::from_timestamp_micros(us).unwrap().to_rfc3339())
    }

    #[test]
    fn a_day_has_the_hours_that_the_clocks_give_it() {
        for (zone, at, start, end, hours) in [
            ("UTC", "2024-03-31T12:00:00Z", "2024-03-31T00:00:00+00:00", "2024-04-01T00:00:00+00:00", 24),
            ("Europe/Paris", "2024-03-31T12:00:00Z", "2024-03-30T23:00:00+00:00", "2024-03-31T22:00:00+00:00", 23),
            ("Europe/Paris", "2024-10-27T12:00:00Z", "2024-10-26T22:00:00+00:00", "2024-10-27T23:00:00+00:00", 25),
            ("Europe/Paris", "1969-12-31T23:30:00Z", "1969-12-31T23:00:00+00:00", "1970-01-01T23:00:00+00:00", 24),
            // Midnight was skipped: the clocks went from 0:00 to 1:00.
            ("America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00+00:00", "2018-11-05T02:00:00+00:00", 23),
            // Midnight came twice: the clocks went from 0:01 back to 23:01, so the second 23:30 is in the next day.
            ("America/St_Johns", "2006-10-29T03:00:00Z", "2006-10-29T02:30:00+00:00", "2006-10-30T03:30:00+00:00", 25),
            // A whole day was skipped.
            ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00+00:00", "2011-12-30T10:00:00+00:00", 24),
            ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00+00:00", "2011-12-31T10:00:00+00:00", 24),
        ] {
            assert_eq!(window(CalendarUnit::Day, zone, 0, at), [start, end], "{zone} {at}");
            assert_eq!(us(end) - us(start), hours * HOUR_US, "{zone} {at}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first_day() {
        use CalendarUnit::{Month, Week};
        let paris = |unit, at| window(unit, "Europe/Paris", 0, at);
        assert_eq!(paris(Week, "2024-03-31T12:00:00Z"), ["2024-03-24T23:00:00+00:00", "2024-03-31T22:00:00+00:00"]);
        assert_eq!(paris(Week, "2024-03-31T22:00:00Z"), ["2024-03-31T22:00:00+00:00", "2024-04-07T22:00:00+00:00"]);
        assert_eq!(paris(Month, "2024-02-29T22:59:59Z"), ["2024-01-31T23:00:00+00:00", "2024-02-29T23:00:00+00:00"]);
        assert_eq!(paris(Month, "2024-12-31T22:59:59Z"), ["2024-11-30T23:00:00+00:00", "2024-12-31T23:00:00+00:00"]);
    }

    #[test]
    fn an_offset_is_local_time() {
        let day = |at| window(CalendarUnit::Day, "Europe/Paris", 6 * HOUR_US, at);
        assert_eq!(day("2024-03-31T03:59:59Z"), ["2024-03-30T05:00:00+00:00", "2024-03-31T04:00:00+00:00"]);
        assert_eq!(day("2024-10-27T03:00:00Z"), ["2024-10-26T04:00:00+00:00", "2024-10-27T05:00:00+00:00"]);
        // The local start, half past two, is skipped: the window begins when the clocks change.
        let skipped = window(CalendarUnit::Day, "Europe/Paris", 5 * HOUR_US / 2, "2024-03-31T12:00:00Z");
        assert_eq!(skipped, ["2024-03-31T01:00:00+00:00", "2024-04-01T00:30:00+00:00"]);
    }

    #[test]
    fn windows_divide_time_without_gaps_and_begin_at_the_first_instant_of_their_local_start() {
        let zones = ["UTC", "Europe/Paris", "America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"];
        let offsets_us = [0, HOUR_US, 5 * HOUR_US / 2, 23 * HOUR_US];
        let units = [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month];
        for i in 0..21_600 {
            let zone = time_zone(zones[i % zones.len()]).unwrap();
            let (unit, offset_us) = (units[i / 6 % 3], offsets_us[i / 18 % 4]);
            let calendar = Calendar::new(unit, zone, offset_us);
            // Every 61 hours or so, a prime number of microseconds, from 1890 to 2040.
            let time_us = us("1890-01-01T00:00:00Z") + i64::try_from(i).unwrap() * 219_000_000_149;
            let found = calendar.window_of(time_us);
            assert!((found.start_us..found.end_us).contains(&time_us));
            assert_eq!([found.start_us, found.end_us - 1].map(|us| calendar.window_of(us)), [found; 2]);
            assert_eq!(calendar.window_of(found.end_us).start_us, found.end_us);
            let local = |us| DateTime::from_timestamp_micros(us).unwrap().with_timezone(&zone).naive_local();
            let shifted = |us| local(us) - TimeDelta::microseconds(offset_us);
            let start = shifted(found.start_us);
            let (begins, before) = (start.date().and_time(NaiveTime::MIN), shifted(found.start_us - 1));
            assert!(before < begins, "{calendar:?} {time_us}: the window could have begun earlier");
            assert!(start == begins || before.date() < start.date(), "{calendar:?} {time_us}: begins at {start}");
            match unit {
                CalendarUnit::Day => {}
                CalendarUnit::Week => assert_eq!(begins.weekday(), chrono::Weekday::Mon),
                CalendarUnit::Month => assert_eq!(begins.day(), 1),
            }
        }
    }
}
