//! Lists in partial states: a column in which each group has several values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, LargeListArray, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result, exec_err};

/// The name of a list's items, as in arrays that are columns.
const ITEM: &str = "element";

/// The type of a list of values in a partial state. Its offsets have 64 bits: all groups together may have more than
/// 2^31 values.
pub(super) fn held_list(item: &DataType) -> DataType {
    DataType::LargeList(Arc::new(Field::new(ITEM, item.clone(), true)))
}

/// The lists that these items make, by the length of each.
pub(super) fn of_lengths(items: ArrayRef, lengths: impl Iterator<Item = usize>) -> ArrayRef {
    let field = Arc::new(Field::new(ITEM, items.data_type().clone(), true));
    Arc::new(LargeListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None))
}

/// A result: the arrays that these items make, by the length of each.
pub(super) fn result(items: ArrayRef, lengths: impl Iterator<Item = usize>) -> Result<ArrayRef> {
    if i32::try_from(items.len()).is_err() {
        return exec_err!("the arrays of some groups have {} items together", items.len());
    }
    let field = Arc::new(Field::new(ITEM, items.data_type().clone(), true));
    Ok(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, None)))
}

/// The items of a column of lists.
pub(super) struct Lists<'a> {
    lists: &'a LargeListArray,
    /// The items of these lists and no others.
    items: ArrayRef,
    first: i64,
}

impl<'a> Lists<'a> {
    pub fn of(lists: &'a LargeListArray) -> Self {
        let offsets = lists.value_offsets();
        let (first, end) = (offsets[0], offsets[lists.len()]);
        Self { lists, items: lists.values().slice(index(first), index(end - first)), first }
    }

    pub fn items(&self) -> &ArrayRef {
        &self.items
    }

    /// The indices of a row's items; none if its list is null.
    pub fn of_row(&self, row: usize) -> Range<usize> {
        if self.lists.is_null(row) {
            return 0..0;
        }
        let offsets = self.lists.value_offsets();
        index(offsets[row] - self.first)..index(offsets[row + 1] - self.first)
    }
}

/// Offsets are never negative.
fn index(offset: i64) -> usize {
    usize::try_from(offset).unwrap_or_default()
}
