//! Many state files into one, a range of key groups at a time: the files are sorted by key group, so that a range of all of them is a stretch
//! of each, and no more than that is in memory unpacked.

use weir_plan::aggregate::Aggregate;
use weir_plan::key_group::KEY_GROUPS;

use super::change::Change;
use super::partials::Partials;
use super::state_file::{self, Footer, StepRows, Writer};
use crate::failure::Result;

/// Adds what the files have of a step, merging about so many rows at a time. Windows that `keep` does not hold for are left out.
pub fn compact(
    files: &[(impl AsRef<[u8]>, Footer)],
    step: &str,
    aggregate: &Aggregate,
    keep: impl Fn(i64) -> bool,
    rows_at_a_time: u64,
    out: &mut Writer,
) -> Result<()> {
    let mut inputs = Vec::with_capacity(files.len());
    for (file, footer) in files {
        inputs.extend(state_file::open_step(file.as_ref(), footer, step, aggregate)?.map(Input::new));
    }
    let rows: u64 = inputs.iter().map(|input| input.rows.rows).sum();
    let width = (u64::from(KEY_GROUPS) * rows_at_a_time / rows.max(1)).clamp(1, u64::from(KEY_GROUPS));
    let ends = (1..=u64::from(KEY_GROUPS).div_ceil(width)).map(|n| n * width);
    let changes = ends.map(|end| {
        let mut parts = Vec::new();
        for input in &mut inputs {
            input.take_below(end, &mut parts)?;
        }
        let kept = parts.into_iter().map(|part| part.retain(&keep)).collect::<Result<Vec<_>>>()?;
        Change::of(aggregate, &kept)
    });
    out.step(step, aggregate, changes.filter_map(Result::transpose))
}

struct Input<'f> {
    rows: StepRows<'f>,
    /// Of the last batch, what was not taken yet.
    rest: Option<Change>,
}

impl<'f> Input<'f> {
    fn new(rows: StepRows<'f>) -> Self {
        Self { rows, rest: None }
    }

    /// Takes all rows of key groups below `end`.
    fn take_below(&mut self, end: u64, parts: &mut Vec<Partials>) -> Result<()> {
        loop {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.rows.next() {
                    Some(batch) => batch?,
                    None => return Ok(()),
                },
            };
            let below = batch.key_groups.values().partition_point(|group| u64::from(*group) < end);
            parts.push(batch.partials.slice(0, below));
            if below < batch.rows() {
                self.rest = Some(batch.slice(below, batch.rows() - below));
                return Ok(());
            }
        }
    }
}
