//! Functions of arrays with Spark's results. Items are compared as values: all NaN are equal, and so are both zeros.

mod items;
mod joined;
mod made;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, Int64Array, ListArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ScalarUDF;

use super::maps::{refuse_maps, sizes};
use super::simple::Takes::{self, Any, Bigint, Boolean, Int};
use super::simple::{Gives, of, simple};
use crate::floats::normalized;
use items::{Items, picked};

pub(super) use items::{range as range_of_items, taken};
pub(super) use made::MakeArray;

const INT: Gives = |types| match types {
    [DataType::Map(..)] => Ok(DataType::Int32),
    _ => array_first(types).map(|_| DataType::Int32),
};
const BIGINT: Gives = |types| compared_first(types).and_then(|_| with_item(types)).map(|_| DataType::Int64);
const BOOLEAN: Gives = |types| compared_first(types).and_then(|_| with_item(types)).map(|_| DataType::Boolean);
const SAME: Gives = |types| array_first(types).map(|_| types[0].clone());
const SAME_COMPARED: Gives = |types| compared_first(types).map(|_| types[0].clone());
/// A bare null is an item of any array.
const SAME_WITH_ITEM: Gives = |types| match types {
    [array, DataType::Null] => array_first(types).map(|_| array.clone()),
    _ => with_item(types).map(|_| types[0].clone()),
};
const ITEM: Gives = array_first;
const ITEM_COMPARED: Gives = compared_first;

/// The name of the function that `tags[0]` is. Documents can't use it.
pub(crate) const AT: &str = "item at";

pub(super) fn all() -> Vec<ScalarUDF> {
    let with_place: &[&[Takes]] = &[&[Any, Int]];
    let mut all: Vec<ScalarUDF> = [
        simple("size", &[&[Any]], INT, |args| {
            if let Some(maps) = args[0].as_map_opt() {
                return Ok(Arc::new(sizes(maps)));
            }
            let arrays = args[0].as_list::<i32>();
            let size = |row: usize| (!arrays.is_null(row)).then(|| arrays.value_length(row));
            Ok(Arc::new((0..arrays.len()).map(size).collect::<Int32Array>()))
        })
        .also("array_size")
        .also("cardinality"),
        simple(AT, with_place, ITEM, |args| at(args, Place::FromZero { fails: true })),
        simple("get", with_place, ITEM, |args| at(args, Place::FromZero { fails: false })),
        simple("element_at", with_place, ITEM, |args| at(args, Place::FromOne { fails: true })),
        simple("try_element_at", with_place, ITEM, |args| at(args, Place::FromOne { fails: false })),
        simple("array_contains", &[&[Any, Any]], BOOLEAN, |args| {
            let found = searched(args, |items, places, item| {
                let mut has_null = false;
                for place in places {
                    if items.is_null(place) {
                        has_null = true;
                    } else if items.row(place) == item {
                        return Some(1);
                    }
                }
                (!has_null).then_some(0)
            })?;
            Ok(Arc::new(found.into_iter().map(|found| found.map(|found| found > 0)).collect::<BooleanArray>()))
        }),
        simple("array_position", &[&[Any, Any]], BIGINT, |args| {
            let found = searched(args, |items, places, item| {
                let start = places.start;
                let place = places.into_iter().find(|place| !items.is_null(*place) && items.row(*place) == item);
                Some(place.map_or(0, |place| place - start + 1))
            })?;
            let place = |place: Option<usize>| place.and_then(|place| i64::try_from(place).ok());
            Ok(Arc::new(found.into_iter().map(place).collect::<Int64Array>()))
        }),
        simple("array_distinct", &[&[Any]], SAME_COMPARED, |args| {
            // Equal doubles give one item, so -0.0 is 0.0.
            let (item, offsets, values, nulls) = args[0].as_list().clone().into_parts();
            let arrays = ListArray::new(item, offsets, normalized(&values), nulls);
            let items = Items::of(&arrays)?;
            picked(&arrays, |_, places| {
                let mut seen = std::collections::HashSet::new();
                Ok(Some(places.filter(|place| seen.insert(items.row(*place))).collect()))
            })
        }),
        simple("sort_array", &[&[Any], &[Any, Boolean]], SAME_COMPARED, |args| {
            let items = Items::of(args[0].as_list())?;
            let upward = args.get(1).map(|arg| arg.as_boolean());
            picked(args[0].as_list(), |row, places| {
                let is_upward = match upward {
                    Some(upward) if upward.is_null(row) => return Ok(None),
                    Some(upward) => upward.value(row),
                    None => true,
                };
                // Nulls are the least.
                let mut places: Vec<usize> = places.collect();
                places.sort_by(|a, b| if is_upward { items.cmp(*a, *b) } else { items.cmp(*b, *a) });
                Ok(Some(places))
            })
        }),
        simple("array_sort", &[&[Any]], SAME_COMPARED, |args| {
            let items = Items::of(args[0].as_list())?;
            picked(args[0].as_list(), |_, places| {
                let mut places: Vec<usize> = places.collect();
                places.sort_by(|a, b| items.is_null(*a).cmp(&items.is_null(*b)).then_with(|| items.cmp(*a, *b)));
                Ok(Some(places))
            })
        }),
        simple("array_compact", &[&[Any]], SAME, |args| {
            let items = Items::of(args[0].as_list())?;
            picked(args[0].as_list(), |_, places| Ok(Some(places.filter(|place| !items.is_null(*place)).collect())))
        }),
        simple(
            "array_remove",
            &[&[Any, Any]],
            |types| compared_first(types).and_then(|_| SAME_WITH_ITEM(types)),
            |args| {
                let (items, wanted) = items::with_item(args)?;
                picked(args[0].as_list(), |row, places| {
                    Ok(wanted.at(row).map(|wanted| {
                        places.filter(|place| items.is_null(*place) || items.row(*place) != wanted).collect()
                    }))
                })
            },
        ),
        simple("array_max", &[&[Any]], ITEM_COMPARED, |args| extreme(args, true)),
        simple("array_min", &[&[Any]], ITEM_COMPARED, |args| extreme(args, false)),
        simple("slice", &[&[Any, Bigint, Bigint]], SAME, slice),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect();
    all.extend(joined::all());
    all
}

/// The type of the items of an array, which the first argument has to be.
fn array_first(types: &[DataType]) -> Result<DataType> {
    match types.first() {
        Some(DataType::List(item)) => Ok(item.data_type().clone()),
        Some(other) => {
            let found = crate::expr::with_article(&crate::expr::type_name(other));
            plan_err!("an array stands first, and found {found}")
        }
        None => plan_err!("an array stands first"),
    }
}

/// The type of the items of an array, which are compared.
fn compared_first(types: &[DataType]) -> Result<DataType> {
    let item = array_first(types)?;
    refuse_maps(&item)?;
    Ok(item)
}

/// The type of the items of an array, which the second argument has to be like.
fn with_item(types: &[DataType]) -> Result<DataType> {
    let item = array_first(types)?;
    match types.get(1) {
        Some(found) if *found == item || found.is_integer() && item.is_integer() => Ok(item),
        Some(found) => {
            let name = |of: &DataType| crate::expr::with_article(&crate::expr::type_name(of));
            plan_err!(
                "the items of the array are of another type: found {}, and each item is {}",
                name(found),
                name(&item)
            )
        }
        None => plan_err!("an array and an item"),
    }
}

/// How items are counted, and what becomes of a place beyond the array.
#[derive(Clone, Copy)]
enum Place {
    FromZero {
        fails: bool,
    },
    /// From the end, if negative.
    FromOne {
        fails: bool,
    },
}

fn at(args: &[ArrayRef], counted: Place) -> Result<ArrayRef> {
    let (arrays, places) = (args[0].as_list::<i32>(), of::<Int32Type>(args, 1)?);
    let of_row = |row: usize| {
        if places.is_null(row) {
            return Ok(None);
        }
        if matches!(counted, Place::FromOne { .. }) && places.value(row) == 0 {
            return exec_err!("the place of an item is 0: places are counted from 1, and from -1 at the end");
        }
        if arrays.is_null(row) {
            return Ok(None);
        }
        let (place, range) = (i64::from(places.value(row)), items::range(arrays, row));
        let count = i64::try_from(range.len()).unwrap_or(i64::MAX);
        let (from_zero, fails) = match counted {
            Place::FromZero { fails } => (place, fails),
            Place::FromOne { fails } => (if place > 0 { place - 1 } else { count + place }, fails),
        };
        match usize::try_from(from_zero).ok().filter(|_| from_zero < count) {
            Some(at) => Ok(Some(range.start + at)),
            None if fails => exec_err!(
                "the array has {count} items, and none at {place}: write `{}` for null",
                if matches!(counted, Place::FromZero { .. }) { "get(…, …)" } else { "try_element_at(…, …)" }
            ),
            None => Ok(None),
        }
    };
    let places = (0..arrays.len()).map(of_row).collect::<Result<Vec<_>>>()?;
    items::taken(arrays.values(), &places)
}

/// For each row, what a search for the second argument among the items finds; null for a null.
fn searched(
    args: &[ArrayRef],
    search: impl Fn(&Items, std::ops::Range<usize>, arrow::row::Row<'_>) -> Option<usize>,
) -> Result<Vec<Option<usize>>> {
    let arrays = args[0].as_list::<i32>();
    let (items, wanted) = items::with_item(args)?;
    let of_row = |row: usize| {
        let wanted = wanted.at(row).filter(|_| !arrays.is_null(row))?;
        search(&items, items::range(arrays, row), wanted)
    };
    Ok((0..arrays.len()).map(of_row).collect())
}

fn extreme(args: &[ArrayRef], is_most: bool) -> Result<ArrayRef> {
    let arrays = args[0].as_list::<i32>();
    let items = Items::of(arrays)?;
    let of_row = |row: usize| {
        let places = items::range(arrays, row).filter(|place| !arrays.is_null(row) && !items.is_null(*place));
        if is_most { places.max_by(|a, b| items.cmp(*a, *b)) } else { places.min_by(|a, b| items.cmp(*a, *b)) }
    };
    items::taken(arrays.values(), &(0..arrays.len()).map(of_row).collect::<Vec<_>>())
}

/// `slice(array, start, count)`: a negative start counts from the end.
fn slice(args: &[ArrayRef]) -> Result<ArrayRef> {
    let arrays: &ListArray = args[0].as_list();
    let (starts, counts) = (of::<Int64Type>(args, 1)?, of::<Int64Type>(args, 2)?);
    picked(arrays, |row, places| {
        if starts.is_null(row) || counts.is_null(row) {
            return Ok(None);
        }
        let (start, count) = (starts.value(row), counts.value(row));
        let length = i64::try_from(places.len()).unwrap_or(i64::MAX);
        if start == 0 || count < 0 {
            return exec_err!(
                "`slice` from {start} of {count} items: places are counted from 1, and from -1 at the end"
            );
        }
        let first = if start > 0 { start - 1 } else { length.saturating_add(start) };
        // As in Spark, a start before the array gives nothing.
        if first < 0 || first >= length {
            return Ok(Some(Vec::new()));
        }
        let bound = |n: i64| usize::try_from(n.clamp(0, length)).unwrap_or(0);
        let (first, end) = (bound(first), bound(first.saturating_add(count)));
        Ok(Some((places.start + first..places.start + end).collect()))
    })
}
