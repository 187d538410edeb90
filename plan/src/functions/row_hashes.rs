//! `xxhash64(…)` and `hash(…)` of values of any types, with Spark's seed 42: the hash of each value is the seed of the
//! next one, and nulls leave it as it is.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion_common::{Result, exec_err, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use xxhash_rust::xxh64::xxh64;

use super::arguments::{result, rows_to_compute};
use crate::types::has_map;

const SEED: i64 = 42;
/// A decimal of at most this many digits is hashed as a whole number of 64 bits.
const LONG_DIGITS: u8 = 18;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct RowHash {
    is_murmur: bool,
    signature: Signature,
}

impl RowHash {
    pub fn xxhash64() -> Self {
        Self { is_murmur: false, signature: Signature::user_defined(Volatility::Immutable) }
    }

    pub fn murmur3() -> Self {
        Self { is_murmur: true, ..Self::xxhash64() }
    }

    fn of(&self, values: &ArrayRef, row: usize, seed: i64) -> Result<i64> {
        if values.is_null(row) {
            return Ok(seed);
        }
        Ok(match values.data_type() {
            DataType::Null => seed,
            DataType::Boolean => self.of_int(i32::from(values.as_boolean().value(row)), seed),
            DataType::Int32 => self.of_int(values.as_primitive::<Int32Type>().value(row), seed),
            DataType::Date32 => self.of_int(values.as_primitive::<Date32Type>().value(row), seed),
            DataType::Int64 => self.of_bigint(values.as_primitive::<Int64Type>().value(row), seed),
            DataType::Timestamp(..) => {
                self.of_bigint(values.as_primitive::<TimestampMicrosecondType>().value(row), seed)
            }
            // Both zeros, and all NaN, are one value.
            DataType::Float32 => {
                let value = values.as_primitive::<Float32Type>().value(row) + 0.0;
                self.of_int(if value.is_nan() { f32::NAN } else { value }.to_bits().cast_signed(), seed)
            }
            DataType::Float64 => {
                let value = values.as_primitive::<Float64Type>().value(row) + 0.0;
                self.of_bigint(if value.is_nan() { f64::NAN } else { value }.to_bits().cast_signed(), seed)
            }
            DataType::Decimal128(precision, _) => {
                let unscaled = values.as_primitive::<Decimal128Type>().value(row);
                match i64::try_from(unscaled) {
                    Ok(long) if *precision <= LONG_DIGITS => self.of_bigint(long, seed),
                    _ => {
                        // The fewest bytes of the two's complement, the highest first.
                        let bytes = unscaled.to_be_bytes();
                        let sign = if unscaled < 0 { 0xFF } else { 0 };
                        let is_extra = |i: usize| {
                            bytes.get(i) == Some(&sign)
                                && bytes.get(i + 1).is_some_and(|next| (next ^ sign) & 0x80 == 0)
                        };
                        let first = (0..bytes.len()).find(|i| !is_extra(*i)).unwrap_or(0);
                        self.of_bytes(&bytes[first..], seed)
                    }
                }
            }
            DataType::Utf8 => self.of_bytes(values.as_string::<i32>().value(row).as_bytes(), seed),
            DataType::Binary => self.of_bytes(values.as_binary::<i32>().value(row), seed),
            DataType::List(_) => {
                let items = values.as_list::<i32>().value(row);
                (0..items.len()).try_fold(seed, |seed, item| self.of(&items, item, seed))?
            }
            DataType::Struct(_) => {
                let fields = values.as_struct().columns();
                fields.iter().try_fold(seed, |seed, field| self.of(field, row, seed))?
            }
            other => return exec_err!("`{}` does not take a {other}", self.name()),
        })
    }

    fn of_int(&self, value: i32, seed: i64) -> i64 {
        if self.is_murmur {
            let (seed, value) = (low(seed), value.cast_unsigned());
            return finished(mixed(seed, value), 4);
        }
        xxh64(&value.to_le_bytes(), seed.cast_unsigned()).cast_signed()
    }

    fn of_bigint(&self, value: i64, seed: i64) -> i64 {
        if self.is_murmur {
            let value = value.cast_unsigned();
            let half = |shift: u32| u32::try_from(value >> shift & u64::from(u32::MAX)).unwrap_or(0);
            return finished(mixed(mixed(low(seed), half(0)), half(32)), 8);
        }
        xxh64(&value.to_le_bytes(), seed.cast_unsigned()).cast_signed()
    }

    fn of_bytes(&self, bytes: &[u8], seed: i64) -> i64 {
        if self.is_murmur {
            let words = bytes.chunks_exact(4);
            let rest = words.remainder();
            let word = |four: &[u8]| four.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
            let hash = words.fold(low(seed), |hash, four| mixed(hash, word(four)));
            // Spark mixes the rest byte by byte, each with its sign.
            let hash = rest.iter().fold(hash, |hash, byte| mixed(hash, i32::from(byte.cast_signed()).cast_unsigned()));
            return finished(hash, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        }
        xxh64(bytes, seed.cast_unsigned()).cast_signed()
    }
}

/// The 32 bits of a hash of Murmur3.
fn low(hash: i64) -> u32 {
    u32::try_from(hash.cast_unsigned() & u64::from(u32::MAX)).unwrap_or(0)
}

fn mixed(hash: u32, word: u32) -> u32 {
    let word = word.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    (hash ^ word).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64)
}

fn finished(hash: u32, bytes: u32) -> i64 {
    let hash = hash ^ bytes;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85EB_CA6B);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xC2B2_AE35);
    i64::from((hash ^ hash >> 16).cast_signed())
}

impl ScalarUDFImpl for RowHash {
    fn name(&self) -> &str {
        if self.is_murmur { "hash" } else { "xxhash64" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        if arg_types.is_empty() {
            return plan_err!("`{}` takes at least one value", self.name());
        }
        let stored = |of: &DataType| {
            if of.is_null() { Some(of.clone()) } else { crate::types::normalized(of).filter(|of| !has_map(of)) }
        };
        match arg_types.iter().map(stored).collect() {
            Some(types) => Ok(types),
            None => plan_err!("`{}` takes values of types that columns have, and no maps", self.name()),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(if self.is_murmur { DataType::Int32 } else { DataType::Int64 })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = rows_to_compute(&args);
        let columns = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let of_row = |row| columns.iter().try_fold(SEED, |seed, column| self.of(column, row, seed));
        let hashes = (0..rows).map(of_row).collect::<Result<Vec<_>>>()?;
        let hashes: ArrayRef = if self.is_murmur {
            Arc::new(hashes.iter().map(|hash| i32::try_from(*hash).ok()).collect::<Int32Array>())
        } else {
            Arc::new(Int64Array::from(hashes))
        };
        result(&args, &hashes)
    }
}
