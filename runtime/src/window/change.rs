//! What an epoch changes of the open windows: the partials of all lanes, each window and key once, in the order of state files.
//!
//! Equal keys are found by sorting, not by another hash table: the rows have to be sorted for the file anyway, and then they are neighbours.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt16Array};
use arrow::compute::concat;
use arrow::datatypes::Int64Type;
use datafusion_expr::EmitTo;
use weir_plan::aggregate::Aggregate;
use weir_plan::key_group::{KEY_GROUPS, key_groups};

use super::order::Order;
use super::partials::Partials;
use crate::failure::{Failure, Result};

#[derive(Debug, Clone)]
pub struct Change {
    /// Of each row.
    pub key_groups: UInt16Array,
    /// Sorted by key group, window, keys.
    pub partials: Partials,
}

impl Change {
    /// Merges what lanes, or files, have; `None` if that is nothing.
    pub fn of(aggregate: &Aggregate, parts: &[Partials]) -> Result<Option<Self>> {
        let parts: Vec<_> = parts.iter().filter(|part| part.rows() > 0).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let all = joined(&parts)?;
        let groups = key_groups(&all.keys, all.rows()).map_err(|e| Failure::bug(format!("key groups: {e}")))?;
        let order = Order::of(&groups, KEY_GROUPS, all.windows.values(), &all.keys)?;
        let sorted = all.select(&order.rows)?;
        let (first, partials) = if order.distinct == sorted.rows() {
            (order.rows, sorted)
        } else {
            let merged = merged(aggregate, &sorted, &order)?;
            (order.firsts(), merged)
        };
        let key_groups = first.values().iter().map(|row| groups[*row as usize]).collect::<Vec<_>>().into();
        Ok(Some(Self { key_groups, partials }))
    }

    /// A stretch of the rows, not copied.
    #[must_use]
    pub fn slice(&self, from: usize, rows: usize) -> Self {
        Self { key_groups: self.key_groups.slice(from, rows), partials: self.partials.slice(from, rows) }
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.partials.rows()
    }
}

/// One after the other.
fn joined(parts: &[&Partials]) -> Result<Partials> {
    if let [one] = parts {
        return Ok((*one).clone());
    }
    let column = |pick: &dyn Fn(&Partials) -> ArrayRef| {
        let columns: Vec<_> = parts.iter().map(|part| pick(part)).collect();
        concat(&columns.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(|e| Failure::bug(format!("join partials: {e}")))
    };
    let first = parts[0];
    let windows = column(&|part| Arc::new(part.windows.clone()))?.as_primitive::<Int64Type>().clone();
    let keys = (0..first.keys.len()).map(|k| column(&|part| Arc::clone(&part.keys[k]))).collect::<Result<_>>()?;
    let states = first
        .states
        .iter()
        .enumerate()
        .map(|(call, columns)| (0..columns.len()).map(|c| column(&|part| Arc::clone(&part.states[call][c]))).collect::<Result<_>>());
    Ok(Partials { windows, keys, states: states.collect::<Result<_>>()? })
}

/// Neighbours of one window and key become one.
fn merged(aggregate: &Aggregate, sorted: &Partials, order: &Order) -> Result<Partials> {
    let refused = |e: datafusion_common::DataFusionError| Failure::bug(format!("an accumulator refused partial states: {e}"));
    let states = aggregate.calls.iter().zip(&sorted.states).map(|(call, state)| {
        let mut accumulator = call.accumulator().map_err(refused)?;
        accumulator.merge_batch(state, &order.numbers, order.distinct).map_err(refused)?;
        accumulator.state(EmitTo::All).map_err(refused)
    });
    let states = states.collect::<Result<_>>()?;
    let first = sorted.select(&order.first_places())?;
    Ok(Partials { states, ..first })
}
