//! Variance, standard deviation, covariance and correlation. A state holds a count, means, and sums of products of
//! deviations from the means; rows are added as Welford does, and states merge as Chan, Golub and LeVeque do. Nothing
//! is a difference of sums of squares, which would lose all digits where the deviations are small beside the values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion_common::Result;
use datafusion_expr::{EmitTo, GroupsAccumulator};

use super::{Accumulator, counts, state_of_rows};

/// What is made of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) enum Moment {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    CovarPop,
    CovarSamp,
    Corr,
}

use Moment::{Corr, CovarPop, CovarSamp, StddevPop, StddevSamp, VarPop, VarSamp};

impl Moment {
    /// The state's columns. A variance is the covariance of a column with itself, so it needs only the first of each
    /// pair.
    pub fn state_fields(self) -> Vec<FieldRef> {
        let sums: &[&str] = match self {
            VarPop | VarSamp | StddevPop | StddevSamp => &["mean", "m2"],
            CovarPop | CovarSamp => &["mean_x", "mean_y", "co_moment"],
            Corr => &["mean_x", "mean_y", "co_moment", "m2_x", "m2_y"],
        };
        let count = Arc::new(Field::new("count", DataType::Int64, true));
        let sums = sums.iter().map(|name| Arc::new(Field::new(*name, DataType::Float64, true)));
        [count].into_iter().chain(sums).collect()
    }

    /// Null without values, and for the deviation from the mean of a sample of one.
    #[allow(clippy::cast_precision_loss)] // A count has far fewer than 53 bits.
    fn of(self, state: &State) -> Option<f64> {
        let n = state.count as f64;
        match self {
            _ if state.count == 0 => None,
            VarPop => Some(state.co / n),
            StddevPop => Some((state.co / n).sqrt()),
            CovarPop => Some(state.co / n),
            _ if state.count == 1 => None,
            VarSamp | CovarSamp => Some(state.co / (n - 1.0)),
            StddevSamp => Some((state.co / (n - 1.0)).sqrt()),
            // Null if one side does not vary.
            Corr => {
                let spread = state.m2_x.sqrt() * state.m2_y.sqrt();
                (spread != 0.0).then(|| state.co / spread)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    count: i64,
    mean_x: f64,
    mean_y: f64,
    /// The sum of `(x - mean_x) * (y - mean_y)`.
    co: f64,
    /// The sum of `(x - mean_x)²`.
    m2_x: f64,
    m2_y: f64,
}

impl State {
    #[allow(clippy::cast_precision_loss)]
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1;
        let n = self.count as f64;
        let (from_x, from_y) = (x - self.mean_x, y - self.mean_y);
        self.mean_x += from_x / n;
        self.mean_y += from_y / n;
        self.co += from_x * (y - self.mean_y);
        self.m2_x += from_x * (x - self.mean_x);
        self.m2_y += from_y * (y - self.mean_y);
    }

    #[allow(clippy::cast_precision_loss)]
    fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let n = ours + theirs;
        let (apart_x, apart_y) = (other.mean_x - self.mean_x, other.mean_y - self.mean_y);
        let weight = ours * theirs / n;
        self.count += other.count;
        self.mean_x += apart_x * theirs / n;
        self.mean_y += apart_y * theirs / n;
        self.co += other.co + apart_x * apart_y * weight;
        self.m2_x += other.m2_x + apart_x * apart_x * weight;
        self.m2_y += other.m2_y + apart_y * apart_y * weight;
    }
}

pub(super) struct Moments {
    moment: Moment,
    states: Vec<State>,
}

impl Moments {
    pub fn new(moment: Moment) -> Self {
        Self { moment, states: Vec::new() }
    }
}

impl Accumulator for Moments {}

impl GroupsAccumulator for Moments {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.states.resize(total, State::default());
        let x = values[0].as_primitive::<Float64Type>();
        let y = values.get(1).unwrap_or(&values[0]).as_primitive::<Float64Type>();
        for (row, group) in groups.iter().enumerate() {
            if counts(filter, row) && x.is_valid(row) && y.is_valid(row) {
                self.states[*group].add(x.value(row), y.value(row));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.states.resize(total, State::default());
        let count = values[0].as_primitive::<Int64Type>();
        let sums: Vec<&[f64]> = values[1..].iter().map(|sums| &**sums.as_primitive::<Float64Type>().values()).collect();
        for (row, group) in groups.iter().enumerate().filter(|(row, _)| count.is_valid(*row)) {
            let at = |column: usize| sums[column][row];
            let state = match self.moment {
                VarPop | VarSamp | StddevPop | StddevSamp => {
                    State { mean_x: at(0), mean_y: at(0), co: at(1), m2_x: at(1), m2_y: at(1), count: 0 }
                }
                CovarPop | CovarSamp => State { mean_x: at(0), mean_y: at(1), co: at(2), ..State::default() },
                Corr => State { mean_x: at(0), mean_y: at(1), co: at(2), m2_x: at(3), m2_y: at(4), count: 0 },
            };
            self.states[*group].merge(&State { count: count.value(row), ..state });
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = emit_to.take_needed(&mut self.states);
        Ok(Arc::new(states.iter().map(|state| self.moment.of(state)).collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = emit_to.take_needed(&mut self.states);
        let sums: &[fn(&State) -> f64] = match self.moment {
            VarPop | VarSamp | StddevPop | StddevSamp => &[|s| s.mean_x, |s| s.co],
            CovarPop | CovarSamp => &[|s| s.mean_x, |s| s.mean_y, |s| s.co],
            Corr => &[|s| s.mean_x, |s| s.mean_y, |s| s.co, |s| s.m2_x, |s| s.m2_y],
        };
        let count: ArrayRef = Arc::new(states.iter().map(|state| state.count).collect::<Int64Array>());
        let sums = sums.iter().map(|of| Arc::new(states.iter().map(of).collect::<Float64Array>()) as ArrayRef);
        Ok([count].into_iter().chain(sums).collect())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        state_of_rows(Self::new(self.moment), values, filter)
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<State>()
    }
}
