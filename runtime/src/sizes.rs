//! How many bytes a column's rows have.

use arrow::array::{Array, AsArray as _, OffsetSizeTrait};
use arrow::datatypes::DataType;

/// Bytes of a column's own rows. The column may be a slice of a longer one: Arrow's own function counts all elements
/// that the longer one has, as soon as rows have arrays.
#[must_use]
pub fn bytes_of(column: &dyn Array) -> usize {
    let of_nulls = column.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            of_nulls + of_elements(list.value_offsets(), list.values())
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            of_nulls + of_elements(list.value_offsets(), list.values())
        }
        DataType::Map(..) => {
            let map = column.as_map();
            of_nulls + of_elements(map.value_offsets(), map.entries())
        }
        DataType::Struct(_) => {
            of_nulls + column.as_struct().columns().iter().map(|field| bytes_of(field)).sum::<usize>()
        }
        _ => column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()),
    }
}

/// Bytes of the elements that lie between the first and the last offset, and of the offsets.
fn of_elements<O: OffsetSizeTrait>(offsets: &[O], elements: &dyn Array) -> usize {
    let [from, to] = [offsets.first(), offsets.last()].map(|offset| offset.map_or(0, |offset| offset.as_usize()));
    size_of_val(offsets) + bytes_of(&elements.slice(from, to - from))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, LargeListArray, ListArray, MapArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Fields, Int64Type};

    use super::*;

    /// A hundred rows of ten numbers, as arrays of both kinds, as arrays of structs, and as maps of five pairs.
    fn columns() -> [ArrayRef; 4] {
        let row = |_| Some((0..10).map(Some).collect::<Vec<_>>());
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>((0..100).map(row));
        let large = LargeListArray::from_iter_primitive::<Int64Type, _, _>((0..100).map(row));
        let (_, offsets, values, nulls) = list.clone().into_parts();
        let field = Arc::new(Field::new("n", DataType::Int64, true));
        let structs = StructArray::from(vec![(field, values)]);
        let item = Arc::new(Field::new("item", structs.data_type().clone(), true));
        let halves: ArrayRef = Arc::new(Int64Array::from_iter_values(0..500));
        let pair: Fields =
            ["key", "value"].map(|name| Field::new(name, DataType::Int64, name == "value")).to_vec().into();
        let pairs = StructArray::new(pair, vec![Arc::clone(&halves), halves], None);
        let entries = Arc::new(Field::new("key_value", pairs.data_type().clone(), false));
        let map = MapArray::new(entries, OffsetBuffer::from_lengths([5; 100]), pairs, None, false);
        [
            Arc::new(list),
            Arc::new(large),
            Arc::new(ListArray::new(item, offsets, Arc::new(structs), nulls)),
            Arc::new(map),
        ]
    }

    #[test]
    fn slice_of_arrays_has_the_bytes_of_its_own_elements() {
        for column in columns() {
            let (whole, slice) = (bytes_of(&column), bytes_of(&column.slice(40, 5)));
            assert!((8_000..9_000).contains(&whole), "{whole} for {}", column.data_type());
            assert!((400..500).contains(&slice), "{slice} for {}", column.data_type());
        }
    }

    #[test]
    fn slice_of_nothing_has_next_to_none() {
        for column in columns() {
            assert!(bytes_of(&column.slice(7, 0)) < 16);
        }
    }
}
