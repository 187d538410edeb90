//! The sink against local tables, and against stores that lose answers, refuse and are raced. Read back from the log's
//! JSON and the Parquet files, not by the code under test.

#![allow(clippy::unwrap_used)]

mod away;
mod commits;
mod compaction;
mod files;
mod fits;
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
use crate::Sink as _;
use crate::decided::{Decided, HeldEpoch};

/// A commit of the sink, in the lineage of the same name.
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

/// Of each lineage its newest epoch, as the table is known.
fn held_by(table: &DeltaTable) -> Vec<HeldEpoch> {
    table.memory().unwrap().held().to_vec()
}

/// The last epoch that the table holds of that lineage.
async fn held_epoch(lake: &Lake) -> Option<u64> {
    let held = held_by(&opened(lake).await);
    held.iter().find(|held| held.lineage == "lineage").map(|held| held.epoch.0)
}

/// The table of a lake.
pub(super) async fn opened(lake: &Lake) -> DeltaTable {
    try_opened(lake).await.unwrap()
}

async fn try_opened(lake: &Lake) -> Result<DeltaTable> {
    DeltaTable::open_or_create(lake.location(), &lake.sink, "rides", QUICK).await
}

/// Writes one row per number and gives the `add`s.
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

/// An `add` of another engine: no file behind it is ever read here.
pub(super) fn foreign_add() -> Value {
    json!({"add": {"path": "foreign.parquet", "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": true}})
}

pub(super) fn message(result: Result<impl Sized>) -> String {
    match result {
        Err(Failure { message, .. }) => message,
        Ok(_) => "no failure".to_owned(),
    }
}
