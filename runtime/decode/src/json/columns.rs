//! Columns under construction: plain vectors, which become Arrow arrays without a copy. A refused record can be cut off
//! a vector, which Arrow's builders do not allow. A half-read row may have reached some columns and not others;
//! `truncate` undoes it wherever it stopped.

use std::mem;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, ListArray, MapArray, PrimitiveArray,
    StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float32Type, Float64Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;
use weir_plan::plan::TimestampNumbers;
use weir_plan::types::{Column, DataType};

use super::fields::Fields;

/// The most strings that are compared one by one.
const COMPARED_MAX: usize = 16;

/// One column, or the elements of an array column.
pub(super) struct ColumnBuffer {
    pub(super) nullable: bool,
    /// The number of whole values. While a row is being read, `values` may hold one more, but not two.
    pub(super) len: usize,
    pub(super) values: Values,
    /// Validity bits, up to the last null. All values after it are valid, so a valid value never touches this.
    valid: BooleanBufferBuilder,
}

pub(super) enum Values {
    Boolean(BooleanBufferBuilder),
    Int(Vec<i32>),
    Bigint(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal {
        precision: u8,
        scale: i8,
        unscaled: Vec<i128>,
    },
    String(Strings),
    Binary(Strings),
    Date(Vec<i32>),
    Timestamp {
        numbers: TimestampNumbers,
        us: Vec<i64>,
    },
    /// `offsets` point into `elements` and are one more than the rows.
    Array {
        offsets: Vec<i32>,
        elements: Box<ColumnBuffer>,
    },
    Struct(Fields),
    /// `offsets` point into `keys` and `values` and are one more than the rows. While a map is being read, it may have
    /// one key more than values.
    Map {
        offsets: Vec<i32>,
        keys: Strings,
        values: Box<ColumnBuffer>,
    },
}

/// Strings or byte strings, stored end to end.
pub(super) struct Strings {
    /// The offsets into `data`, one more than the rows.
    pub(super) offsets: Vec<i32>,
    pub(super) data: Vec<u8>,
}

impl ColumnBuffer {
    pub(super) fn new(column: &Column, numbers: TimestampNumbers) -> Self {
        Self::of_type(&column.data_type, column.nullable, numbers)
    }

    fn of_type(data_type: &DataType, nullable: bool, numbers: TimestampNumbers) -> Self {
        let strings = || Strings { offsets: vec![0], data: Vec::new() };
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int => Values::Int(Vec::new()),
            DataType::Bigint => Values::Bigint(Vec::new()),
            DataType::Float => Values::Float(Vec::new()),
            DataType::Double => Values::Double(Vec::new()),
            &DataType::Decimal { precision, scale } => Values::Decimal { precision, scale, unscaled: Vec::new() },
            DataType::String => Values::String(strings()),
            DataType::Binary => Values::Binary(strings()),
            DataType::Date => Values::Date(Vec::new()),
            DataType::Timestamp => Values::Timestamp { numbers, us: Vec::new() },
            DataType::Array(element) => {
                Values::Array { offsets: vec![0], elements: Box::new(Self::of_type(element, true, numbers)) }
            }
            DataType::Struct(columns) => Values::Struct(Fields::new(columns, numbers)),
            // Keys of JSON are strings, and a source has no other maps.
            DataType::Map(_, value) => {
                Values::Map { offsets: vec![0], keys: strings(), values: Box::new(Self::of_type(value, true, numbers)) }
            }
        };
        Self { nullable, len: 0, values, valid: BooleanBufferBuilder::new(0) }
    }

    /// Appends a null. In a struct each field gets a row as well; Arrow wants a null there, whether the field is
    /// nullable or not.
    pub(super) fn push_null(&mut self) {
        match &mut self.values {
            Values::Boolean(bits) => bits.append(false),
            Values::Int(v) | Values::Date(v) => v.push(0),
            Values::Bigint(v) | Values::Timestamp { us: v, .. } => v.push(0),
            Values::Float(v) => v.push(0.0),
            Values::Double(v) => v.push(0.0),
            Values::Decimal { unscaled, .. } => unscaled.push(0),
            Values::String(Strings { offsets, .. })
            | Values::Binary(Strings { offsets, .. })
            | Values::Array { offsets, .. }
            | Values::Map { offsets, .. } => {
                offsets.push(offsets.last().copied().unwrap_or_default());
            }
            Values::Struct(fields) => fields.columns.iter_mut().for_each(Self::push_null),
        }
        self.valid.append_n(self.len - self.valid.len(), true);
        self.valid.append(false);
        self.len += 1;
    }

    /// Cuts the column to `rows`, together with what a half-read row has left beyond its end.
    pub(super) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Boolean(bits) => bits.truncate(rows),
            Values::Int(v) | Values::Date(v) => v.truncate(rows),
            Values::Bigint(v) | Values::Timestamp { us: v, .. } => v.truncate(rows),
            Values::Float(v) => v.truncate(rows),
            Values::Double(v) => v.truncate(rows),
            Values::Decimal { unscaled, .. } => unscaled.truncate(rows),
            Values::String(Strings { offsets, data }) | Values::Binary(Strings { offsets, data }) => {
                data.truncate(truncate_offsets(offsets, rows));
            }
            Values::Array { offsets, elements } => elements.truncate(truncate_offsets(offsets, rows)),
            Values::Struct(fields) => fields.truncate(rows),
            Values::Map { offsets, keys, values } => {
                let entries = truncate_offsets(offsets, rows);
                keys.data.truncate(truncate_offsets(&mut keys.offsets, entries));
                values.truncate(entries);
            }
        }
        self.valid.truncate(rows);
        self.len = rows;
    }

    /// Takes the values out as an array of `data_type`, which is the column's own type in Arrow's terms. The column is
    /// empty afterwards, with room for as many values.
    pub(super) fn finish(&mut self, data_type: &ArrowType) -> Result<ArrayRef, ArrowError> {
        let rows = mem::take(&mut self.len);
        let nulls = finish_nulls(&mut self.valid, rows);
        Ok(match (&mut self.values, data_type) {
            (Values::Boolean(bits), _) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            (Values::Int(v), _) => primitive::<Int32Type>(v, nulls)?,
            (Values::Bigint(v), _) => primitive::<Int64Type>(v, nulls)?,
            (Values::Float(v), _) => primitive::<Float32Type>(v, nulls)?,
            (Values::Double(v), _) => primitive::<Float64Type>(v, nulls)?,
            (Values::Date(v), _) => primitive::<Date32Type>(v, nulls)?,
            (Values::Decimal { precision, scale, unscaled }, _) => {
                let array = Decimal128Array::try_new(drain(unscaled), nulls)?;
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            (Values::Timestamp { us, .. }, ArrowType::Timestamp(_, zone)) => {
                Arc::new(TimestampMicrosecondArray::try_new(drain(us), nulls)?.with_timezone_opt(zone.clone()))
            }
            // Arrow checks the text once more to keep its own promise; this costs a tenth of a nanosecond per byte.
            (Values::String(strings), _) => {
                let (offsets, data) = strings.drain();
                Arc::new(StringArray::try_new(offsets, data.into(), nulls)?)
            }
            (Values::Binary(strings), _) => {
                let (offsets, data) = strings.drain();
                Arc::new(BinaryArray::try_new(offsets, data.into(), nulls)?)
            }
            (Values::Array { offsets, elements }, ArrowType::List(element)) => {
                let offsets = drain_offsets(offsets);
                let elements = elements.finish(element.data_type())?;
                Arc::new(ListArray::try_new(Arc::clone(element), offsets, elements, nulls)?)
            }
            (Values::Struct(fields), ArrowType::Struct(types)) => {
                let arrays = fields.finish(types)?;
                Arc::new(StructArray::try_new_with_length(types.clone(), arrays, nulls, rows)?)
            }
            (Values::Map { offsets, keys, values }, ArrowType::Map(entries, is_sorted)) => {
                let ArrowType::Struct(types) = entries.data_type() else { return Err(no_column_of(data_type)) };
                let [_, value] = &types[..] else { return Err(no_column_of(data_type)) };
                let (offsets, (of_keys, keys)) = (drain_offsets(offsets), keys.drain());
                let keys = Arc::new(StringArray::try_new(of_keys, keys.into(), None)?);
                let pairs = StructArray::try_new(types.clone(), vec![keys, values.finish(value.data_type())?], None)?;
                Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *is_sorted)?)
            }
            (_, other) => return Err(no_column_of(other)),
        })
    }
}

fn no_column_of(other: &ArrowType) -> ArrowError {
    ArrowError::SchemaError(format!("a JSON column can't become Arrow's {other}"))
}

impl Strings {
    fn at(&self, place: usize) -> &[u8] {
        let bound = |at: usize| self.offsets[at].unsigned_abs() as usize;
        &self.data[bound(place)..bound(place + 1)]
    }

    /// The string at `place`, for messages.
    pub(super) fn text(&self, place: usize) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.at(place))
    }

    /// The place of a string at `start` or behind it that another one before it is equal to. Few strings are compared
    /// one by one; many are sorted, so that a record can't make this slow.
    pub(super) fn repeated(&self, start: usize) -> Option<usize> {
        let end = self.offsets.len() - 1;
        if end - start <= COMPARED_MAX {
            return (start..end).find(|place| (start..*place).any(|other| self.at(other) == self.at(*place)));
        }
        let mut places: Vec<usize> = (start..end).collect();
        places.sort_by_key(|place| self.at(*place));
        places.windows(2).filter(|pair| self.at(pair[0]) == self.at(pair[1])).map(|pair| pair[1]).min()
    }

    fn drain(&mut self) -> (OffsetBuffer<i32>, Vec<u8>) {
        let room = room_after(self.data.len());
        (drain_offsets(&mut self.offsets), mem::replace(&mut self.data, Vec::with_capacity(room)))
    }
}

/// Cuts offsets to `rows`, and returns the length of what they point into.
fn truncate_offsets(offsets: &mut Vec<i32>, rows: usize) -> usize {
    offsets.truncate(rows + 1);
    // An offset is never negative: each is checked when it is pushed.
    offsets.last().map_or(0, |&end| end.unsigned_abs() as usize)
}

/// The validity of `rows` rows, if at least one of them is null.
fn finish_nulls(valid: &mut BooleanBufferBuilder, rows: usize) -> Option<NullBuffer> {
    if valid.is_empty() {
        return None;
    }
    valid.append_n(rows - valid.len(), true);
    Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0)
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(drain(values), nulls)?))
}

fn drain<T: arrow::datatypes::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let room = room_after(values.len());
    mem::replace(values, Vec::with_capacity(room)).into()
}

fn drain_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut fresh = Vec::with_capacity(room_after(offsets.len()));
    fresh.push(0);
    OffsetBuffer::new(mem::replace(offsets, fresh).into())
}

/// The capacity for the next batch. Batches of a topic are alike, so room for the last one and an eighth more spares
/// the next one the copies of growing.
fn room_after(len: usize) -> usize {
    len + len / 8
}
