//! How far a source's watermark has to go until everything that its rows have led to has left. The workers say what
//! their steps hold; this follows it down the graph and up again.

use weir_plan::Plan;
use weir_plan::plan::Input;

use super::Workers;
use crate::build::Graph;
use crate::failure::Result;
use crate::keyed::Leaving;

impl Workers {
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.graph.plan
    }

    /// Whether rows of two sources may meet.
    #[must_use]
    pub fn are_of_one_part(&self, a: usize, b: usize) -> bool {
        self.graph.stages.part_of(a) == self.graph.stages.part_of(b)
    }

    /// When the last entry leaves, of those in the source's part of the graph that are held or were taken in and that
    /// leave by `limit_us`.
    pub async fn leaves_by(&mut self, source: usize, limit_us: i64) -> Result<Option<i64>> {
        let leaving = self.leaving(limit_us).await?;
        Ok(leave_by(&self.graph, source, &leaving).max())
    }

    /// Whether something that is held or was taken in, in the source's part of the graph, leaves if the watermarks of
    /// its sources are at `limit_us`.
    pub async fn something_leaves_by(&mut self, source: usize, limit_us: i64) -> Result<bool> {
        let leaving = self.leaving(limit_us).await?;
        // Steps whose input is behind the sources have less time, and their entries may leave only later.
        Ok(leave_by(&self.graph, source, &leaving).any(|at_us| at_us <= limit_us))
    }

    /// When everything has left: what is held or was taken in, in the source's part of the graph, and what its rows
    /// lead to in the steps behind.
    pub async fn all_leave_by(&mut self, source: usize) -> Result<Option<i64>> {
        let leaving = self.leaving(i64::MAX).await?;
        Ok(all_leave_by(&self.graph, source, &leaving))
    }
}

/// Where the watermarks of the sources have to be until what a step holds has left, for each step of the source's part
/// that holds something. `leaving` has, per step of the plan, what the step holds or has taken in, up to a limit.
fn leave_by(graph: &Graph, source: usize, leaving: &[Option<Leaving>]) -> impl Iterator<Item = i64> {
    let of_step = move |(step, leaving): (usize, &Option<Leaving>)| {
        let of_part = |leaving: &Leaving| leaving.waits() && graph.stages.are_of_one_part(source, step);
        let leaving = leaving.filter(of_part)?;
        Some(graph.flow().sources_for(step, leaving.at_us))
    };
    leaving.iter().enumerate().filter_map(of_step)
}

/// `leaving` has, per step of the plan, everything that the step holds or has taken in.
fn all_leave_by(graph: &Graph, source: usize, leaving: &[Option<Leaving>]) -> Option<i64> {
    // The newest time of the rows that each step may still give.
    let mut newest_us: Vec<Option<i64>> = Vec::with_capacity(leaving.len());
    let mut last_us = None;
    for (step, held) in leaving.iter().enumerate() {
        let mut newest = None;
        let mut leaves = |leaving: Leaving| {
            if leaving.waits() {
                last_us = last_us.max(Some(graph.flow().sources_for(step, leaving.at_us)));
            }
            newest = newest.max(Some(leaving.newest_us));
        };
        held.filter(|_| graph.stages.are_of_one_part(source, step)).into_iter().for_each(&mut leaves);
        for (input, of) in graph.plan.steps[step].inputs().iter().enumerate() {
            let Input::Step(before) = of else { continue };
            let Some(time_us) = newest_us[*before] else { continue };
            let keyed = graph.keyed_step(step).map(|keyed| keyed.leaving_of(input, time_us));
            leaves(keyed.unwrap_or_else(|| Leaving::at_once(time_us)));
        }
        newest_us.push(newest);
    }
    last_us
}
