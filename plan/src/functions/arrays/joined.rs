//! Functions that bring arrays together with texts, items or other arrays.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringBuilder};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::ScalarUDF;

use super::super::simple::Takes::{Any, Text};
use super::super::simple::{Gives, simple, texts};
use super::super::{CALL_BYTES_MAX, VALUE_BYTES_MAX, text_of};
use super::items::{Items, made_of, range};
use super::{SAME_WITH_ITEM, array_first, compared_first};
use crate::expr::{type_name, with_article};
use crate::floats::normalized;

/// Two arrays of one type.
const SAME_OF_TWO: Gives = |types| {
    compared_first(types)?;
    match types {
        [one, other] if one == other => Ok(one.clone()),
        _ => plan_err!("two arrays of one type stand here: cast one, as in `cast(tags as array<string>)`"),
    }
};

pub(super) fn all() -> Vec<ScalarUDF> {
    [
        simple(
            "array_join",
            &[&[Any, Text], &[Any, Text, Text]],
            |types| match array_first(types)? {
                item if item.is_nested() || item == DataType::Binary => {
                    plan_err!("its items become texts, and {} does not", with_article(&type_name(&item)))
                }
                _ => Ok(DataType::Utf8),
            },
            join,
        ),
        simple("array_append", &[&[Any, Any]], SAME_WITH_ITEM, |args| {
            added(args, |places, item| places.chain([item]).collect())
        }),
        simple("array_prepend", &[&[Any, Any]], SAME_WITH_ITEM, |args| {
            added(args, |places, item| std::iter::once(item).chain(places).collect())
        }),
        simple("array_union", &[&[Any, Any]], SAME_OF_TWO, |args| {
            of_two(args, |items, one, other| distinct(items, one.chain(other), |_| true))
        }),
        simple("array_intersect", &[&[Any, Any]], SAME_OF_TWO, |args| {
            of_two(args, |items, one, other| {
                let others: HashSet<_> = other.map(|place| items.row(place)).collect();
                distinct(items, one, |place| others.contains(&items.row(place)))
            })
        }),
        simple("array_except", &[&[Any, Any]], SAME_OF_TWO, |args| {
            of_two(args, |items, one, other| {
                let others: HashSet<_> = other.map(|place| items.row(place)).collect();
                distinct(items, one, |place| !others.contains(&items.row(place)))
            })
        }),
        simple("arrays_overlap", &[&[Any, Any]], |types| SAME_OF_TWO(types).map(|_| DataType::Boolean), overlap),
    ]
    .into_iter()
    .map(ScalarUDF::from)
    .collect()
}

/// `array_join(array, separator[, for nulls])`: the texts of the items. Nulls are left out if nothing stands for them.
fn join(args: &[ArrayRef]) -> Result<ArrayRef> {
    let arrays = args[0].as_list::<i32>();
    let items = text_of::of(arrays.values())?;
    let separators = texts(args, 1)?;
    let for_nulls = args.get(2).map(|_| texts(args, 2)).transpose()?;
    let (mut joined, mut text, mut bytes) = (StringBuilder::new(), String::new(), 0_u64);
    for row in 0..arrays.len() {
        let is_null = arrays.is_null(row) || separators.is_null(row);
        if is_null || for_nulls.as_ref().is_some_and(|texts| texts.is_null(row)) {
            joined.append_null();
            continue;
        }
        text.clear();
        let mut is_first = true;
        for place in range(arrays, row) {
            let item = match (&for_nulls, items.is_null(place)) {
                (_, false) => items.value(place),
                (Some(for_nulls), true) => for_nulls.value(row),
                (None, true) => continue,
            };
            if !is_first {
                text += separators.value(row);
            }
            is_first = false;
            text += item;
            if text.len() > VALUE_BYTES_MAX {
                return exec_err!("`array_join` would make a value of more than {VALUE_BYTES_MAX} bytes");
            }
        }
        bytes += text.len() as u64;
        if bytes > CALL_BYTES_MAX && arrays.len() > 1 {
            return exec_err!(
                "`array_join` would make more than {CALL_BYTES_MAX} bytes of {} rows at once",
                arrays.len()
            );
        }
        joined.append_value(&text);
    }
    Ok(Arc::new(joined.finish()))
}

fn added(args: &[ArrayRef], add: fn(std::ops::Range<usize>, usize) -> Vec<usize>) -> Result<ArrayRef> {
    let arrays = args[0].as_list::<i32>();
    let values = arrays.values();
    let items = cast(&args[1], values.data_type())?;
    let lost = items.null_count() > args[1].logical_null_count();
    if lost {
        return exec_err!("the item does not fit the type of the array's items");
    }
    let all = concat(&[values.as_ref(), items.as_ref()])?;
    let of_row = |row| (!arrays.is_null(row)).then(|| add(range(arrays, row), values.len() + row));
    made_of(arrays.data_type(), &all, &(0..arrays.len()).map(of_row).collect::<Vec<_>>())
}

/// The items of both arrays, as one list of values in which equal doubles are one.
fn both(args: &[ArrayRef]) -> Result<(ArrayRef, Items)> {
    let (one, other) = (args[0].as_list::<i32>(), args[1].as_list::<i32>());
    let values = normalized(&concat(&[one.values().as_ref(), other.values().as_ref()])?);
    let DataType::List(item) = one.data_type() else { return exec_err!("two arrays stand here") };
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([values.len()]);
    let all = arrow::array::ListArray::new(Arc::clone(item), offsets, Arc::clone(&values), None);
    Ok((values, Items::of(&all)?))
}

type Places = std::ops::Range<usize>;

fn places_of_both(args: &[ArrayRef], row: usize) -> Option<(Places, Places)> {
    let (one, other) = (args[0].as_list::<i32>(), args[1].as_list::<i32>());
    let behind = one.values().len();
    let shifted = |places: Places| places.start + behind..places.end + behind;
    (!one.is_null(row) && !other.is_null(row)).then(|| (range(one, row), shifted(range(other, row))))
}

fn of_two(args: &[ArrayRef], pick: fn(&Items, Places, Places) -> Vec<usize>) -> Result<ArrayRef> {
    let (values, items) = both(args)?;
    let of_row = |row| places_of_both(args, row).map(|(one, other)| pick(&items, one, other));
    made_of(args[0].data_type(), &values, &(0..args[0].len()).map(of_row).collect::<Vec<_>>())
}

fn distinct(items: &Items, places: impl Iterator<Item = usize>, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut seen = HashSet::new();
    places.filter(|place| wanted(*place) && seen.insert(items.row(*place))).collect()
}

/// Whether both arrays have an item in common; null if they may, by a null in one of them.
fn overlap(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (_, items) = both(args)?;
    let of_row = |row| {
        let (one, other) = places_of_both(args, row)?;
        let not_null = |place: &usize| !items.is_null(*place);
        let ones: HashSet<_> = one.clone().filter(not_null).map(|place| items.row(place)).collect();
        let found = other.clone().filter(not_null).any(|place| ones.contains(&items.row(place)));
        let has_null = !one.is_empty() && !other.is_empty() && one.chain(other).any(|place| items.is_null(place));
        (found || !has_null).then_some(found)
    };
    Ok(Arc::new((0..args[0].len()).map(of_row).collect::<BooleanArray>()))
}
