//! The aggregate functions that there are, and what the planner has to know of those that are not DataFusion's.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Result, not_impl_err};
use datafusion_expr::function::AccumulatorArgs;
use datafusion_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion_functions_aggregate::{average, bit_and_or_xor, bool_and_or, count, min_max, sum};

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
}

use Own::{Corr, CovarPop, CovarSamp, StddevPop, StddevSamp, VarPop, VarSamp};

/// Each function with its names. The first one stands in saved state.
const OWN: [(Own, &[&str]); 7] = [
    (VarPop, &["var_pop"]),
    (VarSamp, &["var_samp", "variance"]),
    (StddevPop, &["stddev_pop"]),
    (StddevSamp, &["stddev_samp", "stddev", "std"]),
    (CovarPop, &["covar_pop"]),
    (CovarSamp, &["covar_samp"]),
    (Corr, &["corr"]),
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
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DATAFUSIONS
        .iter()
        .map(|(_, names)| names)
        .chain(OWN.iter().map(|(_, names)| names))
        .flat_map(|names| names.iter().copied())
}

/// Each name with its function.
pub(crate) fn by_name() -> Vec<(&'static str, Arc<AggregateUDF>)> {
    let theirs = DATAFUSIONS.iter().map(|(function, names)| (function(), names));
    let ours = OWN.iter().map(|(own, names)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        (Arc::new(AggregateUDF::new_from_impl(Function { own: *own, name: names[0], signature })), names)
    });
    let of_each = |(function, names): (Arc<AggregateUDF>, &&'static [&'static str])| {
        names.iter().map(|name| (*name, Arc::clone(&function))).collect::<Vec<_>>()
    };
    theirs.chain(ours).flat_map(of_each).collect()
}

impl Own {
    /// The function of this name in saved state; `None` if it is DataFusion's.
    pub fn of(name: &str) -> Option<Self> {
        OWN.iter().find(|(_, names)| names[0] == name).map(|(own, _)| *own)
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
        match (self.own, types) {
            (VarPop | VarSamp | StddevPop | StddevSamp | CovarPop | CovarSamp | Corr, _) => Ok(DataType::Float64),
        }
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        not_impl_err!("{} has no accumulator of DataFusion", self.name)
    }
}
