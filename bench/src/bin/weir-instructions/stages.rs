//! The counted stages. Each is a function that is not inlined, with the name of the stage in `bench/instructions.json`;
//! its instructions include those of everything that it calls. A lane does these things in the same order
//! (`runtime/src/engine/lanes`), and a worker does the last ones except the encoder.

use arrow::array::RecordBatch;
use weir_plan::key_group::KeyRanges;
use weir_runtime::decode::Decoder;
use weir_runtime::engine::stateless::{Evaluated, Stateless, Times};
use weir_runtime::keyed::edge::{EdgeReport, EdgeSender};
use weir_runtime::keyed::{KeyedOperator, KeyedStep, Marks};
use weir_runtime::sink::delta::TableFiles;
use weir_runtime::state::Grouped;
use weir_runtime::transform::for_sink;

use super::jobs::MapOfResults;
use super::rides::Records;

/// Rows of a batch, as in a lane.
const BATCH_ROWS: usize = 8192;
/// A watermark before all rides and a clock after them: rows are compared with both, and neither leaves a row out.
const WATERMARK_US: i64 = 0;
const CLOCK_US: i64 = i64::MAX;

type Result<T> = std::result::Result<T, String>;

#[inline(never)]
pub fn decode(decoder: &mut dyn Decoder, records: &Records) -> Result<Vec<RecordBatch>> {
    let mut batches = Vec::new();
    for (i, record) in records.iter().enumerate() {
        decoder.decode(Some(record)).map_err(said)?;
        if (i + 1) % BATCH_ROWS == 0 {
            batches.push(decoder.finish().map_err(said)?);
        }
    }
    batches.push(decoder.finish().map_err(said)?);
    Ok(batches)
}

/// Computes event time, filter, expressions, and the window of each row.
#[inline(never)]
pub fn evaluate(stateless: &Stateless, batches: &[RecordBatch]) -> Result<Vec<Evaluated>> {
    evaluate_unmeasured(stateless, batches)
}

/// The same under another name, to make the input of later stages.
pub fn evaluate_unmeasured(stateless: &Stateless, batches: &[RecordBatch]) -> Result<Vec<Evaluated>> {
    let mut all = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut bad = None;
        let before_us = [vec![Some(WATERMARK_US)]];
        let times = Times { before_us: &before_us, latest_us: Some(CLOCK_US), now_us: CLOCK_US };
        stateless.evaluate(batch, times, &mut |row, part| match part {
            Ok(evaluated) => all.push(evaluated),
            Err(why) => bad = Some(format!("ride {row} can't be evaluated: {why:?}")),
        });
        if let Some(bad) = bad {
            return Err(bad);
        }
    }
    Ok(all)
}

/// Adds rows to the groups of five cities.
#[inline(never)]
pub fn update(lane: &mut EdgeSender, evaluated: &[Evaluated]) -> Result<()> {
    evaluated.iter().flat_map(|e| &e.prepared).try_for_each(|prepared| lane.take_in(prepared).map_err(said))
}

/// Adds rows to the groups of thousands of users, in two lanes, and drains the groups at the end of the epoch, with
/// their key groups.
#[inline(never)]
pub fn update_many_keys(step: &dyn KeyedStep, evaluated: &[Evaluated]) -> Result<Vec<Grouped>> {
    let mut drained = EdgeReport::default();
    for of_lane in evaluated.chunks(evaluated.len().div_ceil(2)) {
        let mut lane = EdgeSender::new(step, 0, KeyRanges::of(1)).map_err(said)?;
        of_lane.iter().flat_map(|e| &e.prepared).try_for_each(|prepared| lane.take_in(prepared).map_err(said))?;
        drained.add(lane.end_epoch().map_err(said)?);
    }
    Ok(drained.entries.into_iter().flatten().collect())
}

/// Merges the lanes' groups, sorted as in a state file, and adds them to the open windows.
#[inline(never)]
pub fn merge(lanes: Vec<Grouped>, operator: &mut dyn KeyedOperator) -> Result<()> {
    lanes.into_iter().try_for_each(|entries| operator.take_in(0, entries)).map_err(said)?;
    operator.close(&Marks { before_us: vec![None], after_us: vec![None] }).map_err(said)
}

/// Closes all windows and computes the rows for the sink. Returns their number.
#[inline(never)]
pub fn emit(operator: &mut dyn KeyedOperator, then: &MapOfResults<'_>) -> Result<u64> {
    let mut written = 0;
    operator.close(&Marks { before_us: vec![None], after_us: vec![Some(i64::MAX)] }).map_err(said)?;
    while let Some(rows) = operator.next(&|_| Ok(())).map_err(said)? {
        for rows in &rows.good {
            let rows = then.map.apply(0, rows)?.rows;
            written += std::hint::black_box(for_sink(then.sink_schema, &rows)?).num_rows() as u64;
        }
    }
    if written == 0 { Err("no window is open".into()) } else { Ok(written) }
}

/// Encodes the rides themselves as Parquet. Returns the number of rows.
#[inline(never)]
pub fn encode(runtime: &tokio::runtime::Runtime, files: &TableFiles, evaluated: &[Evaluated]) -> Result<u64> {
    runtime.block_on(async {
        let mut writer = files.writer("bench").map_err(said)?;
        for rows in evaluated.iter().flat_map(|e| &e.sink_rows) {
            writer.write(rows).await.map_err(said)?;
        }
        Ok(writer.finish().await.map_err(said)?.1)
    })
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
