//! Tests of the sink with local tables, and with stores that lose answers, refuse requests and let others win races.
//! The tests read the log's JSON and the Parquet files without the code under test.

#![allow(clippy::unwrap_used)]

mod away;
mod commits;
mod compaction;
mod files;
mod fits;
mod hostile;
mod log_checkpoints;
mod turns;
mod vacuum;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value, json};
use weir_base::failure::{Failure, Result};
use weir_base::retry::RetryPolicy;
use weir_base::storage::Location;
use weir_plan::ids::Epoch;
use weir_testing::lake::{Lake, QUICK, SOON_GIVEN_UP, rides};

use super::{CommitOutcome, DeltaTable};
use crate::Means;
use crate::Sink as _;
use crate::decided::{Decided, HeldEpoch};

/// An epoch of the sink, in the lineage `lineage`.
pub(super) fn decided(epoch: u64) -> Decided {
    let (pipeline, lineage, sink, provenance) = ("rides".into(), "lineage".into(), "silver".into(), Map::new());
    Decided {
        pipeline,
        lineage,
        sink,
        epoch: Epoch(epoch),
        mark: u32::try_from(epoch).unwrap() + 100,
        token: None,
        provenance,
    }
}

/// The newest epoch of each lineage, as the open table knows them.
fn held_by(table: &DeltaTable) -> Vec<HeldEpoch> {
    table.memory().unwrap().held().to_vec()
}

/// The last epoch of the lineage `lineage` that the table holds.
async fn held_epoch(lake: &Lake) -> Option<u64> {
    let held = held_by(&opened(lake).await);
    held.iter().find(|held| held.lineage == "lineage").map(|held| held.epoch.0)
}

/// The table of a lake.
pub(super) async fn opened(lake: &Lake) -> DeltaTable {
    try_opened(lake).await.unwrap()
}

async fn try_opened(lake: &Lake) -> Result<DeltaTable> {
    DeltaTable::open_or_create(lake.location(), &lake.sink, "rides", &Means::of_system(QUICK)).await
}

/// Writes one row per number and returns the `add` objects.
pub(crate) async fn write(table: &DeltaTable, epoch: u64, numbers: &[i64]) -> Vec<Value> {
    let rows: Vec<_> = numbers.iter().map(|n| (*n, Some("Paris"), Some(19_723))).collect();
    let mut writer = table.files().writer(&format!("lineage-1-{epoch}")).unwrap();
    writer.write(&rides(&rows)).await.unwrap();
    let (adds, written) = writer.finish().await.unwrap();
    assert_eq!(written, numbers.len() as u64);
    adds
}

pub(super) async fn commit(table: &mut DeltaTable, epoch: u64, adds: &[Value]) -> Result<CommitOutcome> {
    table.append(&decided(epoch), adds).await
}

async fn append(table: &mut DeltaTable, epoch: u64, numbers: &[i64]) -> Result<CommitOutcome> {
    let adds = write(table, epoch, numbers).await;
    commit(table, epoch, &adds).await
}

/// An `add` action of another engine; no test reads its file.
pub(super) fn foreign_add() -> Value {
    json!({"add": {"path": "foreign.parquet", "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true}})
}

pub(super) fn message(result: Result<impl Sized>) -> String {
    match result {
        Err(Failure { message, .. }) => message,
        Ok(_) => "no failure".to_owned(),
    }
}
