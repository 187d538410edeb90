//! The partial states of aggregate calls: a column per call, with a value per group.
//!
//! Most accumulators are DataFusion's. Ours replace it where its result depends on the order in which partial states
//! merge (`min` and `max` of floating-point numbers), where it wraps around (`sum`), and where one group makes it fail
//! the whole window (`avg` of decimals).

mod average;
mod cardinality;
mod collected;
mod distinct;
mod extreme;
mod histogram;
mod lists;
mod moments;
mod percentile;
mod ranked;
mod rows;
mod sketch;
mod sum;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, Int64Type, i256};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};
use datafusion_physical_expr::GroupsAccumulatorAdapter;
use datafusion_physical_expr::aggregate::AggregateFunctionExpr;

use self::average::Average;
use self::cardinality::Cardinality;
use self::collected::Collected;
use self::distinct::Distinct;
pub(super) use self::distinct::Gives;
use self::extreme::{Extreme, Greatest, Least};
use self::histogram::Histogram;
pub(super) use self::moments::Moment;
use self::moments::Moments;
use self::percentile::Percentile;
use self::ranked::Ranked;
pub(super) use self::ranked::{End, Ranking};
use self::sketch::Percentiles;
use self::sum::Sum;

/// The most bytes of values that a group may collect into an array or a text. Each value counts its own bytes and 8
/// more.
const COLLECTED_BYTES_MAX: usize = 8 << 20;

/// Partial states that can merge in any order.
pub trait Accumulator: GroupsAccumulator {
    /// The groups, as ascending indices, whose value the call's type can't hold, or which have collected too much.
    /// `evaluate` gives null or nothing for them.
    fn beyond_type(&self) -> Vec<usize> {
        Vec::new()
    }
}

/// The implementation that keeps a call's partial states.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    DataFusion,
    Sum,
    Average,
    Least,
    Greatest,
    Moments(Moment),
    Ranked(Ranking),
    Distinct(Gives),
    Cardinality,
    /// An approximate percentile, at this fraction.
    Sketch(f64),
    /// An exact one.
    Percentile(f64),
    /// An array or, with a delimiter, a text.
    Collected(Option<Arc<str>>),
    /// With the bounds of its buckets.
    Histogram(Arc<[f64]>),
}

impl Kind {
    pub fn of(function: &str, argument: &DataType) -> Self {
        match (function, argument) {
            ("sum", DataType::Int64 | DataType::Decimal128(..)) => Self::Sum,
            ("avg", DataType::Decimal128(..)) => Self::Average,
            ("min", DataType::Float32 | DataType::Float64) => Self::Least,
            ("max", DataType::Float32 | DataType::Float64) => Self::Greatest,
            _ => Self::DataFusion,
        }
    }

    /// The state columns for arguments of these types; `None` if they are those of DataFusion's accumulator and what
    /// [`Self::added_state`] adds.
    pub fn state_fields(&self, arguments: &[&DataType]) -> Option<Vec<FieldRef>> {
        match self {
            Self::Moments(moment) => Some(moment.state_fields()),
            Self::Ranked(_) => Some(ranked::state_fields(arguments[0], arguments[1])),
            Self::Distinct(gives) => Some(distinct::state_fields(arguments[0], *gives)),
            Self::Cardinality => Some(cardinality::state_fields()),
            Self::Sketch(_) => Some(sketch::state_fields()),
            Self::Percentile(_) => Some(percentile::state_fields()),
            Self::Collected(_) => Some(collected::state_fields(arguments[0])),
            Self::Histogram(_) => Some(histogram::state_fields()),
            Self::DataFusion | Self::Sum | Self::Average | Self::Least | Self::Greatest => None,
        }
    }

    /// The most bytes of values that a group may collect.
    pub fn collects_max(&self) -> Option<usize> {
        matches!(self, Self::Distinct(Gives::Array) | Self::Collected(_)).then_some(COLLECTED_BYTES_MAX)
    }

    /// State columns that DataFusion's accumulator does not have. They come last; state files of older versions lack
    /// them and read as null.
    pub fn added_state(&self) -> Vec<FieldRef> {
        match self {
            Self::Sum => vec![Arc::new(Field::new("high", DataType::Int64, true))],
            _ => Vec::new(),
        }
    }

    /// `arguments` are the types of the call's arguments; `state` are the types of its state columns.
    pub fn accumulator(
        &self,
        function: &Arc<AggregateFunctionExpr>,
        arguments: &[&DataType],
        state: &[FieldRef],
    ) -> Result<Box<dyn Accumulator>> {
        let result = function.field().data_type().clone();
        let argument = arguments.first().copied().unwrap_or(&DataType::Null);
        Ok(match (self, argument) {
            (Self::Sum, DataType::Int64) => Box::new(Sum::<Int64Type, i128>::new(result)),
            (Self::Sum, DataType::Decimal128(..)) => Box::new(Sum::<Decimal128Type, i256>::new(result)),
            (Self::Average, DataType::Decimal128(_, scale)) => {
                Box::new(Average::new(*scale, state.last().map_or(DataType::Null, |f| f.data_type().clone()), result))
            }
            (Self::Least, DataType::Float32) => Box::new(Extreme::<Float32Type, Least>::default()),
            (Self::Least, DataType::Float64) => Box::new(Extreme::<Float64Type, Least>::default()),
            (Self::Greatest, DataType::Float32) => Box::new(Extreme::<Float32Type, Greatest>::default()),
            (Self::Greatest, DataType::Float64) => Box::new(Extreme::<Float64Type, Greatest>::default()),
            (Self::Moments(moment), _) => Box::new(Moments::new(*moment)),
            (Self::Ranked(ranking), value) => Box::new(Ranked::new(*ranking, value, arguments[1])?),
            (Self::Distinct(gives), value) => Box::new(Distinct::new(value, *gives)?),
            (Self::Cardinality, _) => Box::new(Cardinality::default()),
            (Self::Sketch(p), value) => Box::new(Percentiles::new(*p, value)),
            (Self::Percentile(p), _) => Box::new(Percentile::new(*p)),
            (Self::Collected(delimiter), value) => Box::new(Collected::new(value, delimiter.clone())?),
            (Self::Histogram(bounds), _) => Box::new(Histogram::new(Arc::clone(bounds))),
            _ if function.groups_accumulator_supported() => {
                Box::new(DataFusions(function.create_groups_accumulator()?))
            }
            _ => {
                let function = Arc::clone(function);
                Box::new(DataFusions(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator()))))
            }
        })
    }
}

struct DataFusions(Box<dyn GroupsAccumulator>);

impl Accumulator for DataFusions {}

impl GroupsAccumulator for DataFusions {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.0.update_batch(values, groups, filter, total)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.0.merge_batch(values, groups, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

/// Whether the filter keeps a row.
fn counts(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// Calls `take` with the group and value of each row that is not null and that the filter keeps.
fn for_each<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    groups: &[usize],
    filter: Option<&BooleanArray>,
    mut take: impl FnMut(usize, T::Native),
) {
    let pairs = groups.iter().zip(values.values());
    if values.null_count() == 0 && filter.is_none() {
        pairs.for_each(|(group, value)| take(*group, *value));
        return;
    }
    let is_taken = |row: usize| values.is_valid(row) && counts(filter, row);
    pairs.enumerate().filter(|(row, _)| is_taken(*row)).for_each(|(_, (group, value))| take(*group, *value));
}

/// The partial state of each row, as if the row were a group of its own.
fn state_of_rows(
    mut empty: impl GroupsAccumulator,
    values: &[ArrayRef],
    filter: Option<&BooleanArray>,
) -> Result<Vec<ArrayRef>> {
    let rows = values.first().map_or(0, |v| v.len());
    empty.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
    empty.state(EmitTo::All)
}
