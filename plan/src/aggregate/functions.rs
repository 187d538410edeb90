//! The aggregate functions that there are, and what the planner has to know of those that are not DataFusion's.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::expr::{AggregateFunction, NullTreatment};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, lit};
use datafusion_functions_aggregate::{average, bit_and_or_xor, bool_and_or, count, min_max, sum};

use crate::types::list_of;

/// An aggregate function whose partial states are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Own {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    CovarPop,
    CovarSamp,
    Corr,
    /// By event time.
    First,
    Last,
    MinBy,
    MaxBy,
    CountDistinct,
    ApproxCountDistinct,
    Percentile,
    Median,
    PercentileApprox,
    CollectList,
    CollectSet,
    StringAgg,
    Histogram,
}

/// Each function with its names. The first one stands in saved state.
const OWN: [(Own, &[&str]); 20] = [
    (Own::VarPop, &["var_pop"]),
    (Own::VarSamp, &["var_samp", "variance"]),
    (Own::StddevPop, &["stddev_pop"]),
    (Own::StddevSamp, &["stddev_samp", "stddev", "std"]),
    (Own::CovarPop, &["covar_pop"]),
    (Own::CovarSamp, &["covar_samp"]),
    (Own::Corr, &["corr"]),
    (Own::First, &["first", "first_value", "any_value"]),
    (Own::Last, &["last", "last_value"]),
    (Own::MinBy, &["min_by"]),
    (Own::MaxBy, &["max_by"]),
    (Own::CountDistinct, &["count_distinct"]),
    (Own::ApproxCountDistinct, &["approx_count_distinct"]),
    (Own::Percentile, &["percentile"]),
    (Own::Median, &["median"]),
    (Own::PercentileApprox, &["percentile_approx", "approx_percentile"]),
    (Own::CollectList, &["collect_list", "array_agg"]),
    (Own::CollectSet, &["collect_set"]),
    (Own::StringAgg, &["string_agg", "listagg"]),
    (Own::Histogram, &["histogram"]),
];

/// A function of DataFusion.
type Maker = fn() -> Arc<AggregateUDF>;

/// The same for functions of DataFusion.
const DATAFUSIONS: [(Maker, &[&str]); 10] = [
    (sum::sum_udaf, &["sum"]),
    (average::avg_udaf, &["avg"]),
    (count::count_udaf, &["count"]),
    (min_max::min_udaf, &["min"]),
    (min_max::max_udaf, &["max"]),
    (bool_and_or::bool_and_udaf, &["bool_and", "every"]),
    (bool_and_or::bool_or_udaf, &["bool_or", "some", "any"]),
    (bit_and_or_xor::bit_and_udaf, &["bit_and"]),
    (bit_and_or_xor::bit_or_udaf, &["bit_or"]),
    (bit_and_or_xor::bit_xor_udaf, &["bit_xor"]),
];

/// All names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    DATAFUSIONS
        .iter()
        .map(|(_, names)| names)
        .chain(OWN.iter().map(|(_, names)| names))
        .flat_map(|names| names.iter().copied())
}

/// Each name with its function.
pub(crate) fn by_name() -> Vec<(&'static str, Arc<AggregateUDF>)> {
    let theirs = DATAFUSIONS.iter().map(|(function, names)| (function(), *names));
    let ours = OWN.iter().map(|(own, names)| (own.planned(), *names));
    let of_each = |(function, names): (Arc<AggregateUDF>, &'static [&'static str])| {
        names.iter().map(|name| (*name, Arc::clone(&function))).collect::<Vec<_>>()
    };
    theirs.chain(ours).flat_map(of_each).collect()
}

/// Whether the function of this name takes `ignore nulls` and `respect nulls`.
pub(crate) fn may_skip_nulls(name: &str) -> bool {
    let of = |own: &Own| matches!(own, Own::First | Own::Last);
    OWN.iter().filter(|(own, _)| of(own)).any(|(_, names)| names.iter().any(|other| name.eq_ignore_ascii_case(other)))
}

/// The call with the function that computes it, and without syntax that stands for an argument.
pub(super) fn resolved(written: &AggregateFunction) -> AggregateFunction {
    let mut call = written.clone();
    if call.params.distinct && call.func.name() == "count" {
        call.func = Own::CountDistinct.planned();
        call.params.distinct = false;
    }
    if call.params.null_treatment.take() == Some(NullTreatment::IgnoreNulls) {
        call.params.args.push(lit(true));
    }
    call
}

impl Own {
    /// The function of this name in saved state; `None` if it is DataFusion's.
    pub fn of(name: &str) -> Option<Self> {
        OWN.iter().find(|(_, names)| names[0] == name).map(|(own, _)| *own)
    }

    /// The function's name in saved state.
    fn name(self) -> &'static str {
        OWN.iter().find(|(own, _)| *own == self).map_or("", |(_, names)| names[0])
    }

    fn planned(self) -> Arc<AggregateUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(AggregateUDF::new_from_impl(Function { own: self, name: self.name(), signature }))
    }
}

/// A function of our own, as the planner sees it. [`super::Call::accumulator`] makes its accumulators.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    own: Own,
    name: &'static str,
    signature: Signature,
}

impl AggregateUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The arguments are cast before the planner sees them.
    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let argument = types.first().cloned().unwrap_or(DataType::Null);
        Ok(match self.own {
            Own::VarPop
            | Own::VarSamp
            | Own::StddevPop
            | Own::StddevSamp
            | Own::CovarPop
            | Own::CovarSamp
            | Own::Corr
            | Own::Percentile
            | Own::Median => DataType::Float64,
            Own::First | Own::Last | Own::MinBy | Own::MaxBy | Own::PercentileApprox => argument,
            Own::CountDistinct | Own::ApproxCountDistinct => DataType::Int64,
            Own::CollectList | Own::CollectSet => list_of(argument),
            Own::Histogram => list_of(DataType::Int64),
            Own::StringAgg => DataType::Utf8,
        })
    }

    fn is_nullable(&self) -> bool {
        !matches!(
            self.own,
            Own::CountDistinct | Own::ApproxCountDistinct | Own::CollectList | Own::CollectSet | Own::Histogram
        )
    }

    fn supports_null_handling_clause(&self) -> bool {
        may_skip_nulls(self.name)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("{} has no accumulator of DataFusion", self.name)
    }
}
