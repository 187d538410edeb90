//! Times of other zones: `from_utc_timestamp(time, zone)`, which `time at time zone 'Europe/Paris'` is, and
//! `to_utc_timestamp(time, zone)`. A timestamp of Weir is in UTC, so the result names the same day and hour as a clock
//! of that zone, or was named by one.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, TimestampMicrosecondArray};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;
use datafusion_common::{Result, exec_datafusion_err, exec_err};
use datafusion_expr::ScalarUDF;

use super::simple::Takes::{Text, Time};
use super::simple::{Gives, of, simple, texts};
use crate::quote::quoted;
use crate::types::timestamp_type;

const TIME: Gives = |_| Ok(timestamp_type());

/// Java's short names, some of which are other zones in the database.
const SHORT: [(&str, &str); 28] = [
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("EST", "-05:00"),
    ("HST", "-10:00"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("MST", "-07:00"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple("from_utc_timestamp", &[&[Time, Text]], TIME, |args| {
            shifted(&args[0], &args[1], |zone, time| zone.local(time))
        }),
        simple("to_utc_timestamp", &[&[Time, Text]], TIME, |args| {
            shifted(&args[0], &args[1], |zone, time| zone.utc(time))
        }),
        simple("convert_timezone", &[&[Text, Text, Time]], TIME, |args| {
            let utc = shifted(&args[2], &args[0], |zone, time| zone.utc(time))?;
            shifted(&utc, &args[1], |zone, time| zone.local(time))
        }),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

fn shifted(
    times: &ArrayRef,
    zones: &ArrayRef,
    by: fn(&Zone, NaiveDateTime) -> Option<NaiveDateTime>,
) -> Result<ArrayRef> {
    let args = [Arc::clone(times), Arc::clone(zones)];
    let (times, zones) = (of::<TimestampMicrosecondType>(&args, 0)?, texts(&args, 1)?);
    // The last zone is kept: it usually stays the same from row to row.
    let mut last: Option<(&str, Zone)> = None;
    let shifted = (0..times.len()).map(|row| {
        if zones.is_null(row) {
            return Ok(None);
        }
        let name = zones.value(row);
        let (_, zone) = match last.take() {
            Some(same) if same.0 == name => last.insert(same),
            _ => last.insert((name, Zone::named(name)?)),
        };
        if times.is_null(row) {
            return Ok(None);
        }
        let time = DateTime::from_timestamp_micros(times.value(row)).and_then(|time| by(zone, time.naive_utc()));
        match time {
            Some(time) => Ok(Some(time.and_utc().timestamp_micros())),
            None => exec_err!("the time lies beyond the years 1 to 9999"),
        }
    });
    let shifted = shifted.collect::<Result<TimestampMicrosecondArray>>()?;
    Ok(Arc::new(shifted.with_data_type(timestamp_type())))
}

enum Zone {
    Named(Tz),
    Fixed(FixedOffset),
}

impl Zone {
    /// A zone as Spark names it: of the database, an offset such as `+01:30`, or one of Java's short names.
    fn named(name: &str) -> Result<Self> {
        let long = SHORT.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| *long);
        if let Ok(zone) = long.parse::<Tz>() {
            return Ok(Self::Named(zone));
        }
        let bare = ["UTC", "GMT", "UT"].iter().find_map(|prefix| long.strip_prefix(prefix)).unwrap_or(long);
        offset(bare)
            .filter(|_| !name.is_empty())
            .map(Self::Fixed)
            .ok_or_else(|| exec_datafusion_err!("{}", unknown(name)))
    }

    /// The time that a clock of the zone shows at a time of UTC.
    fn local(&self, utc: NaiveDateTime) -> Option<NaiveDateTime> {
        let offset = match self {
            Self::Named(zone) => zone.offset_from_utc_datetime(&utc).fix(),
            Self::Fixed(offset) => *offset,
        };
        utc.checked_add_offset(offset)
    }

    /// The time of UTC at which a clock of the zone shows this time: the first, where it shows it twice. A time that it
    /// skips is as far behind the gap as it is behind the gap's start.
    fn utc(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        let offset = match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => match zone.offset_from_local_datetime(&local) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset.fix(),
                LocalResult::None => {
                    // No gap is longer than a day, so the offset before it is that of the day before.
                    let before = local.checked_sub_signed(TimeDelta::days(1))?;
                    zone.offset_from_local_datetime(&before).earliest()?.fix()
                }
            },
        };
        local.checked_sub_offset(offset)
    }
}

/// `+1`, `+01`, `+0130`, `+01:30`, `-01:30:15`, `Z`.
fn offset(text: &str) -> Option<FixedOffset> {
    if text.is_empty() || text == "Z" {
        return FixedOffset::east_opt(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let mut fields: Vec<&str> = rest.split(':').collect();
    if let [digits] = fields[..]
        && digits.len() == 4
    {
        fields = vec![digits.get(..2)?, digits.get(2..)?];
    }
    let numbers: Vec<i32> = fields
        .iter()
        .map(|field| {
            field.parse().ok().filter(|_| (1..=2).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect::<Option<_>>()?;
    let seconds = match numbers[..] {
        [hours] => hours * 3600,
        [hours, minutes] if minutes < 60 => hours * 3600 + minutes * 60,
        [hours, minutes, seconds] if minutes < 60 && seconds < 60 => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    // Java's offsets end at 18 hours.
    (seconds <= 18 * 3600).then(|| FixedOffset::east_opt(sign * seconds)).flatten()
}

/// Why there is no zone of this name, with the zone of the database that has this city.
fn unknown(name: &str) -> String {
    let city = name.replace(' ', "_").to_lowercase();
    let of_city = |zone: &&Tz| {
        let full = zone.name().to_lowercase();
        full == city || full.rsplit('/').next() == Some(&city)
    };
    let near = chrono_tz::TZ_VARIANTS.iter().find(of_city).map_or("Europe/Paris", |zone| zone.name());
    format!("{} is no time zone: write one such as {}, or an offset such as `+01:00`", quoted(name), quoted(near))
}
