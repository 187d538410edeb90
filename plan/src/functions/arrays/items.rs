//! The items of arrays as rows of bytes, which compare as their values do, and arrays made of picked items.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use arrow::row::{Row, RowConverter, Rows, SortField};
use datafusion_common::Result;

use crate::floats::normalized;

pub(super) struct Items {
    rows: Rows,
    values: ArrayRef,
}

impl Items {
    pub fn of(arrays: &ListArray) -> Result<Self> {
        let (items, _) = compared(arrays.values(), None)?;
        Ok(items)
    }

    pub fn row(&self, place: usize) -> Row<'_> {
        self.rows.row(place)
    }

    pub fn is_null(&self, place: usize) -> bool {
        self.values.is_null(place)
    }

    /// The order of two items. Nulls are the least.
    pub fn cmp(&self, one: usize, other: usize) -> Ordering {
        self.row(one).cmp(&self.row(other))
    }
}

/// Values that are looked for among the items, one for each row.
pub(super) struct Wanted {
    items: Items,
}

impl Wanted {
    /// `None` for a null.
    pub fn at(&self, row: usize) -> Option<Row<'_>> {
        (!self.items.is_null(row)).then(|| self.items.row(row))
    }
}

/// The items of the first argument, and what the second one looks for among them.
pub(super) fn with_item(args: &[ArrayRef]) -> Result<(Items, Wanted)> {
    let (items, wanted) = compared(args[0].as_list::<i32>().values(), Some(&args[1]))?;
    let wanted = wanted.map(|items| Wanted { items });
    match wanted {
        Some(wanted) => Ok((items, wanted)),
        None => datafusion_common::internal_err!("there is nothing to look for"),
    }
}

/// Both kinds of values as rows of one converter. Whole numbers of two types are compared as the wider.
fn compared(values: &ArrayRef, others: Option<&ArrayRef>) -> Result<(Items, Option<Items>)> {
    let others = match others {
        Some(bare) if bare.data_type().is_null() => Some(cast(bare, values.data_type())?),
        others => others.cloned(),
    };
    let is_mixed = others.as_ref().is_some_and(|others| others.data_type() != values.data_type());
    let widened = |array: &ArrayRef| -> Result<ArrayRef> {
        Ok(normalized(&if is_mixed { cast(array, &DataType::Int64)? } else { Arc::clone(array) }))
    };
    let values = widened(values)?;
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    let rows = |array: ArrayRef| -> Result<Items> {
        Ok(Items { rows: converter.convert_columns(&[Arc::clone(&array)])?, values: array })
    };
    let others = others.map(|others| widened(&others).and_then(&rows)).transpose()?;
    Ok((rows(values)?, others))
}

/// The places of the items of a row's array; none for a null.
pub(in crate::functions) fn range(arrays: &ListArray, row: usize) -> Range<usize> {
    let bound = |at: usize| usize::try_from(arrays.value_offsets()[at]).unwrap_or(0);
    if arrays.is_null(row) { 0..0 } else { bound(row)..bound(row + 1) }
}

/// The values at these places.
pub(in crate::functions) fn taken(values: &ArrayRef, places: &[Option<usize>]) -> Result<ArrayRef> {
    let places: UInt64Array = places.iter().map(|place| place.map(|place| place as u64)).collect();
    Ok(take(values, &places, None)?)
}

/// Arrays of the items at the places that `pick` gives for each row; null for null arrays and where it gives none.
pub(super) fn picked(
    arrays: &ListArray,
    pick: impl Fn(usize, Range<usize>) -> Result<Option<Vec<usize>>>,
) -> Result<ArrayRef> {
    let of_row = |row| if arrays.is_null(row) { Ok(None) } else { pick(row, range(arrays, row)) };
    let all = (0..arrays.len()).map(of_row).collect::<Result<Vec<_>>>()?;
    made_of(arrays.data_type(), arrays.values(), &all)
}

/// Arrays of a list type, each of the values at its places.
pub(super) fn made_of(of: &DataType, values: &ArrayRef, all: &[Option<Vec<usize>>]) -> Result<ArrayRef> {
    let DataType::List(item) = of else { return datafusion_common::internal_err!("{of} is no array") };
    let offsets = OffsetBuffer::from_lengths(all.iter().map(|places| places.as_ref().map_or(0, Vec::len)));
    let nulls = NullBuffer::from_iter(all.iter().map(Option::is_some));
    let places: Vec<_> = all.iter().flatten().flatten().map(|place| Some(*place)).collect();
    Ok(Arc::new(ListArray::new(Arc::clone(item), offsets, taken(values, &places)?, Some(nulls))))
}
