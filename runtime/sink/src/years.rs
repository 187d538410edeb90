//! The years 1 to 9999, which tables and readers of JSON accept. Python's readers, for example, refuse a whole file
//! that contains a time outside of them.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, Date32Type, TimestampMicrosecondType};

/// 0001-01-01 and 9999-12-31, in days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
/// 0001-01-01T00:00:00Z to the end of 9999-12-31, in microseconds since 1970-01-01.
const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Whether a timestamp lies in the years 1 to 9999.
#[must_use]
pub fn is_in_years(us: i64) -> bool {
    MICROS.contains(&us)
}

/// A date or timestamp of a column that is outside these years, as text; `None` if there is none.
#[must_use]
pub(crate) fn outside_of_years(column: &ArrayRef) -> Option<String> {
    match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>();
            let found = [min(days)?, max(days)?].into_iter().find(|days| !DAYS.contains(days))?;
            Some(format!("the date {found} days from 1970-01-01"))
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            let found = [min(times)?, max(times)?].into_iter().find(|us| !MICROS.contains(us))?;
            Some(format!("the timestamp {found} µs from 1970-01-01"))
        }
        DataType::Struct(_) => column.as_struct().columns().iter().find_map(outside_of_years),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (from, to) = (*list.value_offsets().first()?, *list.value_offsets().last()?);
            outside_of_years(&list.values().slice(usize::try_from(from).ok()?, usize::try_from(to - from).ok()?))
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let (from, to) = (*map.value_offsets().first()?, *map.value_offsets().last()?);
            let (from, count) = (usize::try_from(from).ok()?, usize::try_from(to - from).ok()?);
            [map.keys(), map.values()].into_iter().find_map(|all| outside_of_years(&all.slice(from, count)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{Date32Array, Date32Builder, ListArray, MapBuilder, StringBuilder, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn the_years_1_to_9999_are_in_and_what_is_beside_them_is_out() {
        let dates = |days: Vec<Option<i32>>| -> ArrayRef { Arc::new(Date32Array::from(days)) };
        assert_eq!(outside_of_years(&dates(vec![Some(-719_162), None, Some(2_932_896)])), None);
        assert_eq!(outside_of_years(&dates(vec![None])), None);
        for days in [-719_163, 2_932_897] {
            assert_eq!(
                outside_of_years(&dates(vec![Some(0), Some(days)])),
                Some(format!("the date {days} days from 1970-01-01"))
            );
        }
        let (first, last) = (
            chrono::DateTime::from_timestamp_micros(*MICROS.start()),
            chrono::DateTime::from_timestamp_micros(*MICROS.end()),
        );
        assert_eq!(format!("{first:?} {last:?}"), "Some(0001-01-01T00:00:00Z) Some(9999-12-31T23:59:59.999999Z)");
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, i64::MAX]));
        assert!(outside_of_years(&times).is_some());
        let list =
            ListArray::from_iter_primitive::<Date32Type, _, _>([Some(vec![Some(0)]), Some(vec![Some(i32::MAX)]), None]);
        let list: ArrayRef = Arc::new(list);
        assert!(outside_of_years(&list).is_some() && outside_of_years(&list.slice(0, 1)).is_none());
        let mut map = MapBuilder::new(None, StringBuilder::new(), Date32Builder::new());
        for days in [0, i32::MAX] {
            map.keys().append_value("day");
            map.values().append_value(days);
            map.append(true).unwrap();
        }
        let map: ArrayRef = Arc::new(map.finish());
        assert!(outside_of_years(&map).is_some() && outside_of_years(&map.slice(0, 1)).is_none());
    }
}
