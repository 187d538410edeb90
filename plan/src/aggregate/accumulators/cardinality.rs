//! `approx_count_distinct` by HyperLogLog: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a
//! near-optimal cardinality estimation algorithm" (2007), with 64-bit hashes as in Heule, Nunkesser, Hall,
//! "HyperLogLog in Practice" (2013), and the estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (2017), which has no bias to correct at any count.
//!
//! The hash, the number of registers and the bytes are a saved format (docs/formats/state-v2.md): none may change.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int32Type,
    Int64Type, TimestampMicrosecondType, ToByteSlice,
};
use datafusion_common::{Result, internal_err};
use datafusion_expr::{EmitTo, GroupsAccumulator};
use xxhash_rust::xxh3::xxh3_64;

use super::{Accumulator, counts, state_of_rows};
use crate::floats::normalized;

/// How many bits of the hash choose the register. The standard error is 1.04 / √4096 = 1.6 %.
const INDEX_BITS: u32 = 12;
const REGISTERS: usize = 1 << INDEX_BITS;
/// The bits of the hash that a register counts the leading zeros of.
const RANK_BITS: u32 = 64 - INDEX_BITS;
/// Up to this many registers that are not zero are kept as a list.
const LISTED_MAX: usize = 1024;
/// The first byte of a state: a list of registers, or all of them.
const LISTED: u8 = 1;
const ALL: u8 = 2;

pub(super) fn state_fields() -> Vec<FieldRef> {
    vec![Arc::new(Field::new("registers", DataType::Binary, true))]
}

/// The registers of one group: the greatest rank that each has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sketch {
    /// The registers that are not zero, in ascending order.
    Listed(Vec<(u16, u8)>),
    All(Box<[u8]>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Sketch {
    fn add(&mut self, hash: u64) {
        let register = u16::try_from(hash >> RANK_BITS).unwrap_or_default();
        let rank = (hash << INDEX_BITS).leading_zeros().min(RANK_BITS) + 1;
        self.raise(register, u8::try_from(rank).unwrap_or_default());
    }

    fn raise(&mut self, register: u16, rank: u8) {
        match self {
            Self::All(ranks) => ranks[usize::from(register)] = ranks[usize::from(register)].max(rank),
            Self::Listed(listed) => match listed.binary_search_by_key(&register, |(listed, _)| *listed) {
                Ok(at) => listed[at].1 = listed[at].1.max(rank),
                Err(at) if listed.len() < LISTED_MAX => listed.insert(at, (register, rank)),
                Err(_) => {
                    let mut ranks = vec![0; REGISTERS].into_boxed_slice();
                    listed.iter().for_each(|(register, rank)| ranks[usize::from(*register)] = *rank);
                    ranks[usize::from(register)] = rank;
                    *self = Self::All(ranks);
                }
            },
        }
    }

    /// A list: its registers, each as its number (u16, little-endian) and its rank. All: the rank of each.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Listed(listed) => {
                out.push(LISTED);
                for (register, rank) in listed {
                    out.extend(register.to_le_bytes());
                    out.push(*rank);
                }
            }
            Self::All(ranks) => {
                out.push(ALL);
                out.extend_from_slice(ranks);
            }
        }
    }

    /// `None` if these are no bytes of a sketch.
    fn merge(&mut self, bytes: &[u8]) -> Option<()> {
        match bytes.split_first()? {
            (&LISTED, listed) if listed.len() % 3 == 0 => {
                for entry in listed.chunks_exact(3) {
                    let register = u16::from_le_bytes([entry[0], entry[1]]);
                    (usize::from(register) < REGISTERS).then_some(())?;
                    self.raise(register, entry[2]);
                }
            }
            (&ALL, ranks) if ranks.len() == REGISTERS => {
                for (register, rank) in (0u16..).zip(ranks).filter(|(_, rank)| **rank > 0) {
                    self.raise(register, *rank);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The estimate of algorithm 6 in Ertl's paper.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // Counts of registers; hashes have 64 bits.
    fn estimate(&self) -> i64 {
        let mut of_rank = [0_u32; RANK_BITS as usize + 2];
        match self {
            Self::Listed(listed) => {
                listed.iter().for_each(|(_, rank)| of_rank[usize::from(*rank)] += 1);
                of_rank[0] = (REGISTERS - listed.len()) as u32;
            }
            Self::All(ranks) => ranks.iter().for_each(|rank| of_rank[usize::from(*rank)] += 1),
        }
        let registers = REGISTERS as f64;
        let most = RANK_BITS as usize + 1;
        let mut z = registers * tau(1.0 - f64::from(of_rank[most]) / registers);
        for rank in (1..most).rev() {
            z = 0.5 * (z + f64::from(of_rank[rank]));
        }
        z += registers * sigma(f64::from(of_rank[0]) / registers);
        (registers * registers / (2.0 * std::f64::consts::LN_2 * z)).round() as i64
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Listed(listed) => listed.capacity() * size_of::<(u16, u8)>(),
            Self::All(ranks) => ranks.len(),
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// Calls `take` with each row and the hash of its value, for values that are not null.
fn for_each_hash(values: &ArrayRef, mut take: impl FnMut(usize, u64)) -> Result<()> {
    let values = &normalized(values);
    let mut of = |hash: &dyn Fn(usize) -> u64| {
        (0..values.len()).filter(|row| values.is_valid(*row)).for_each(|row| take(row, hash(row)));
    };
    match values.data_type() {
        DataType::Boolean => of(&|row| xxh3_64(&[u8::from(values.as_boolean().value(row))])),
        DataType::Int32 => of(&|row| numbered(values.as_primitive::<Int32Type>().values(), row)),
        DataType::Int64 => of(&|row| numbered(values.as_primitive::<Int64Type>().values(), row)),
        DataType::Float32 => of(&|row| numbered(values.as_primitive::<Float32Type>().values(), row)),
        DataType::Float64 => of(&|row| numbered(values.as_primitive::<Float64Type>().values(), row)),
        DataType::Decimal128(..) => of(&|row| numbered(values.as_primitive::<Decimal128Type>().values(), row)),
        DataType::Date32 => of(&|row| numbered(values.as_primitive::<Date32Type>().values(), row)),
        DataType::Timestamp(..) => of(&|row| numbered(values.as_primitive::<TimestampMicrosecondType>().values(), row)),
        DataType::Utf8 => of(&|row| xxh3_64(values.as_string::<i32>().value(row).as_bytes())),
        DataType::Binary => of(&|row| xxh3_64(values.as_binary::<i32>().value(row))),
        other => return internal_err!("approx_count_distinct of {other}"),
    }
    Ok(())
}

/// The hash of a number's little-endian bytes.
fn numbered<N: ArrowNativeType>(numbers: &ScalarBuffer<N>, row: usize) -> u64 {
    xxh3_64(numbers[row].to_byte_slice())
}

#[derive(Default)]
pub(super) struct Cardinality {
    sketches: Vec<Sketch>,
    /// Heap memory of the sketches, in bytes.
    sketch_bytes: usize,
}

impl Cardinality {
    fn change(&mut self, group: usize, change: impl FnOnce(&mut Sketch) -> Option<()>) -> Option<()> {
        let sketch = &mut self.sketches[group];
        let before = sketch.heap_bytes();
        let done = change(sketch);
        self.sketch_bytes = self.sketch_bytes - before + sketch.heap_bytes();
        done
    }

    fn taken(&mut self, emit_to: EmitTo) -> Vec<Sketch> {
        let sketches = emit_to.take_needed(&mut self.sketches);
        self.sketch_bytes -= sketches.iter().map(Sketch::heap_bytes).sum::<usize>();
        sketches
    }
}

impl Accumulator for Cardinality {}

impl GroupsAccumulator for Cardinality {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.sketches.resize(total, Sketch::default());
        for_each_hash(&values[0], |row, hash| {
            if counts(filter, row) {
                self.change(groups[row], |sketch| {
                    sketch.add(hash);
                    Some(())
                });
            }
        })
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.sketches.resize(total, Sketch::default());
        let saved = values[0].as_binary::<i32>();
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| saved.is_valid(*row)) {
            if self.change(*group, |sketch| sketch.merge(saved.value(row))).is_none() {
                return internal_err!("a state of approx_count_distinct that is none");
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(self.taken(emit_to).iter().map(Sketch::estimate).collect::<Int64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sketches = self.taken(emit_to);
        let bytes = sketches.iter().map(|sketch| {
            let mut bytes = Vec::new();
            sketch.write(&mut bytes);
            bytes
        });
        Ok(vec![Arc::new(BinaryArray::from_iter_values(bytes))])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::default(), values, filter)
    }

    fn size(&self) -> usize {
        self.sketches.capacity() * size_of::<Sketch>() + self.sketch_bytes
    }
}
