//! `percentile_approx` by a sketch of relative error: DDSketch of Masson, Rim, Lee, "DDSketch: a fast and
//! fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019).
//!
//! A bucket holds the numbers of one sign, one exponent and one beginning of the fraction of [`FRACTION_BITS`] bits:
//! the paper's logarithm, interpolated linearly between powers of two. A number and the middle of its bucket differ by
//! less than 1 / 128 of either, which is less than 1 %, and the bucket follows from the number's bits, so that all
//! machines agree on it. Counts of buckets add up in any order to the same sketch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, PrimitiveArray,
};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Float64Type, Int32Type, Int64Type};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::lists::{self, Lists};
use super::{Accumulator, for_each, state_of_rows};
use crate::floats::Float;

/// The bits of the fraction that decide the bucket: 64 buckets from one power of two to the next.
const FRACTION_BITS: u32 = 6;
/// The bits of a double behind those.
const REST_BITS: u32 = 52 - FRACTION_BITS;

/// The state's columns: the buckets that have a value in ascending order, how many values each has, and the least and
/// the greatest value.
pub(super) fn state_fields() -> Vec<FieldRef> {
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
    vec![
        field("buckets", lists::held_list(&DataType::Int32)),
        field("counts", lists::held_list(&DataType::Int64)),
        field("least", DataType::Float64),
        field("greatest", DataType::Float64),
    ]
}

/// The bucket of a number in its normal form. Buckets are in the order of their numbers. 0 is that of zero and of all
/// numbers too small for full precision, below 2.3e-308.
#[allow(clippy::cast_possible_truncation)] // The sign, the exponent and six more bits.
fn bucket_of(number: f64) -> i32 {
    let magnitude = (number.abs().to_bits() >> REST_BITS) as i32;
    match magnitude {
        _ if magnitude < 1 << FRACTION_BITS => 0,
        _ if number < 0.0 => -magnitude,
        _ => magnitude,
    }
}

/// The middle of a bucket.
fn middle_of(bucket: i32) -> f64 {
    let magnitude = u64::from(bucket.unsigned_abs()) << REST_BITS;
    let (low, high) = (f64::from_bits(magnitude), f64::from_bits(magnitude + (1 << REST_BITS)));
    let middle = match bucket {
        0 => 0.0,
        // The last bucket of the finite numbers, the infinities, and the one NaN.
        _ if !high.is_finite() => low,
        _ => low + (high - low) / 2.0,
    };
    if bucket < 0 { -middle } else { middle }
}

#[derive(Debug, Clone)]
struct Sketch {
    /// Buckets with how many values each has, in ascending order.
    buckets: Vec<(i32, i64)>,
    least: f64,
    greatest: f64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { buckets: Vec::new(), least: f64::NAN, greatest: f64::NEG_INFINITY }
    }
}

impl Sketch {
    fn add(&mut self, bucket: i32, count: i64) {
        match self.buckets.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 += count,
            Err(at) => self.buckets.insert(at, (bucket, count)),
        }
    }

    fn stretch(&mut self, least: f64, greatest: f64) {
        if crate::floats::is_below::<Float64Type>(least, self.least) {
            self.least = least;
        }
        if crate::floats::is_below::<Float64Type>(self.greatest, greatest) {
            self.greatest = greatest;
        }
    }

    /// About the least value that at least the fraction `p` of the values is not above; `None` without values.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // A count has far fewer than 53 bits.
    fn percentile(&self, p: f64) -> Option<f64> {
        let count: i64 = self.buckets.iter().map(|(_, count)| count).sum();
        let rank = ((p * count as f64).ceil() as i64).clamp(1, count.max(1));
        let mut up_to = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            up_to += count;
            up_to >= rank
        });
        let middle = middle_of(bucket?.0);
        // The ends are known exactly.
        let is_below = crate::floats::is_below::<Float64Type>;
        Some(match () {
            () if rank == 1 || is_below(middle, self.least) => self.least,
            () if rank == count || is_below(self.greatest, middle) => self.greatest,
            () => middle,
        })
    }
}

pub(super) struct Percentiles {
    p: f64,
    /// The type of the values and of the result.
    data_type: DataType,
    sketches: Vec<Sketch>,
    bucket_bytes: usize,
}

impl Percentiles {
    pub fn new(p: f64, data_type: &DataType) -> Self {
        Self { p, data_type: data_type.clone(), sketches: Vec::new(), bucket_bytes: 0 }
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sketch)) {
        let sketch = &mut self.sketches[group];
        let before = sketch.buckets.capacity();
        change(sketch);
        self.bucket_bytes += (sketch.buckets.capacity() - before) * size_of::<(i32, i64)>();
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Sketch> {
        let sketches = emit_to.take_needed(&mut self.sketches);
        let buckets: usize = sketches.iter().map(|sketch| sketch.buckets.capacity()).sum();
        self.bucket_bytes -= buckets * size_of::<(i32, i64)>();
        sketches
    }
}

impl Accumulator for Percentiles {}

impl GroupsAccumulator for Percentiles {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.sketches.resize(total, Sketch::default());
        let values = cast(&values[0], &DataType::Float64)?;
        for_each(values.as_primitive::<Float64Type>(), groups, filter, |group, value| {
            let value = Float64Type::normal(value);
            self.change(group, |sketch| {
                sketch.add(bucket_of(value), 1);
                sketch.stretch(value, value);
            });
        });
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.sketches.resize(total, Sketch::default());
        let (buckets, counts) = (Lists::of(values[0].as_list()), Lists::of(values[1].as_list()));
        let bucket = buckets.items().as_primitive::<Int32Type>().values();
        let count = counts.items().as_primitive::<Int64Type>().values();
        let [least, greatest] = [2, 3].map(|column| values[column].as_primitive::<Float64Type>());
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| least.is_valid(*row)) {
            self.change(*group, |sketch| {
                buckets.of_row(row).zip(counts.of_row(row)).for_each(|(b, c)| sketch.add(bucket[b], count[c]));
                sketch.stretch(least.value(row), greatest.value(row));
            });
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sketches = self.taken(emit_to);
        let doubles = sketches.iter().map(|sketch| sketch.percentile(self.p));
        rounded(doubles.collect(), &self.data_type)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sketches = self.taken(emit_to);
        let all = || sketches.iter().flat_map(|sketch| &sketch.buckets);
        let buckets: ArrayRef = Arc::new(all().map(|(bucket, _)| *bucket).collect::<Int32Array>());
        let counts: ArrayRef = Arc::new(all().map(|(_, count)| *count).collect::<Int64Array>());
        let lengths = || sketches.iter().map(|sketch| sketch.buckets.len());
        let end = |of: &dyn Fn(&Sketch) -> f64| -> ArrayRef {
            let ends = sketches.iter().map(|sketch| (!sketch.buckets.is_empty()).then(|| of(sketch)));
            Arc::new(ends.collect::<Float64Array>())
        };
        let ends = [end(&|sketch| sketch.least), end(&|sketch| sketch.greatest)];
        let lists = [lists::of_lengths(buckets, lengths()), lists::of_lengths(counts, lengths())];
        Ok(lists.into_iter().chain(ends).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(self.p, &self.data_type), values, filter)
    }

    fn size(&self) -> usize {
        self.sketches.capacity() * size_of::<Sketch>() + self.bucket_bytes
    }
}

/// The nearest whole number. Of two, it is the one nearer to zero, so that the middle of a bucket with one whole number
/// in it becomes that number: all below 128 are exact.
fn nearest(number: f64) -> f64 {
    if number.fract().abs() == 0.5 { number.trunc() } else { number.round() }
}

/// Doubles as numbers of a type: the nearest one that it has.
#[allow(clippy::cast_possible_truncation)] // A cast from a double takes the nearest number that the type has.
fn rounded(doubles: Float64Array, data_type: &DataType) -> Result<ArrayRef> {
    fn of<T: ArrowPrimitiveType>(doubles: &Float64Array, to: impl Fn(f64) -> T::Native) -> PrimitiveArray<T> {
        doubles.iter().map(|double| double.map(&to)).collect()
    }
    Ok(match data_type {
        DataType::Int32 => Arc::new(of::<Int32Type>(&doubles, |double| nearest(double) as i32)),
        DataType::Int64 => Arc::new(of::<Int64Type>(&doubles, |double| nearest(double) as i64)),
        DataType::Decimal128(precision, scale) => {
            let (most, units) = (10_i128.pow(u32::from(*precision)) - 1, 10_f64.powi(i32::from(*scale)));
            let digits = doubles.iter().map(|double| double.map(|d| (nearest(d * units) as i128).clamp(-most, most)));
            Arc::new(digits.collect::<Decimal128Array>().with_data_type(data_type.clone()))
        }
        other => cast(&doubles, other)?,
    })
}
