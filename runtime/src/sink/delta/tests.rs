//! The sink against local tables, and against stores that lose answers, refuse and are raced. Read back from the log's JSON and the Parquet
//! files, not by the code under test.

#![allow(clippy::unwrap_used)]

mod away;
mod commits;
mod compaction;
pub(crate) mod faulty;
mod files;
mod fits;
mod log_checkpoints;
mod turns;
mod vacuum;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray as _, Date32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use weir_plan::ids::Epoch;
use weir_plan::outputs::Output;
use weir_plan::plan::{DeltaSink, Input, Maintenance, Sink, SinkKind};

use super::{CommitOutcome, DeltaTable};
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;
use crate::sink::Sink as _;
use crate::sink::decided::{Decided, HeldEpoch};
use crate::storage::{self, Location, Secrets};

/// A commit of the sink, in the lineage of the same name.
pub(super) fn decided(epoch: u64) -> Decided {
    let (pipeline, lineage, sink, provenance) = ("rides".into(), "lineage".into(), "silver".into(), Map::new());
    Decided { pipeline, lineage, sink, epoch: Epoch(epoch), mark: u32::try_from(epoch).unwrap() + 100, token: None, provenance }
}

/// Of each lineage its newest epoch, as the table is known.
fn held_by(table: &DeltaTable) -> Vec<HeldEpoch> {
    table.memory().unwrap().held().to_vec()
}

/// The last epoch that the table holds of that lineage.
async fn held_epoch(lake: &Lake) -> Option<u64> {
    let held = held_by(&lake.open().await);
    held.iter().find(|held| held.lineage == "lineage").map(|held| held.epoch.0)
}

/// For what comes back: only a test that fails waits for so long.
pub(crate) const QUICK: RetryPolicy =
    RetryPolicy { first: Duration::from_millis(1), max: Duration::from_millis(2), give_up_after: Duration::from_secs(60) };
/// For what stays away.
pub(crate) const SOON_GIVEN_UP: RetryPolicy = RetryPolicy { give_up_after: Duration::from_millis(50), ..QUICK };

/// A folder for one table, and the sink that goes with it.
pub(crate) struct Lake {
    dir: TempDir,
    pub(crate) sink: Sink,
}

impl Lake {
    /// Columns: `n bigint not null`, `city string`, `date date`; partitioned by `partition_by`.
    pub(crate) fn new(partition_by: &[&str]) -> Self {
        Self::with(rides_schema(), partition_by)
    }

    pub(super) fn with(schema: SchemaRef, partition_by: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let partition_by = partition_by.iter().map(|c| (*c).to_owned()).collect();
        let uri = format!("file://{}/table", dir.path().display());
        let maintenance = Maintenance { checkpoint_every: 100, compact_every: None, vacuum_after: None };
        let delta = DeltaSink { uri, partition_by, target_file_size_bytes: 128 << 20, maintenance };
        let kind = SinkKind::Delta(delta);
        Self { dir, sink: Sink { name: "silver".into(), input: Input::Source(0), output: Output::Main, kind, schema } }
    }

    fn delta(&mut self) -> &mut DeltaSink {
        let SinkKind::Delta(delta) = &mut self.sink.kind;
        delta
    }

    pub(crate) fn location(&self) -> Location {
        storage::open(self.sink.uri(), None, &Secrets::default()).unwrap()
    }

    pub(super) async fn open(&self) -> DeltaTable {
        self.try_open().await.unwrap()
    }

    async fn try_open(&self) -> Result<DeltaTable> {
        DeltaTable::open_or_create(self.location(), &self.sink, "rides", QUICK).await
    }

    pub(crate) fn path(&self, relative: &str) -> std::path::PathBuf {
        self.dir.path().join("table").join(relative)
    }

    pub(super) fn commit_file(&self, version: i64) -> std::path::PathBuf {
        self.path(&super::log::commit_path(version))
    }

    /// The actions of one commit.
    pub(crate) fn actions(&self, version: i64) -> Vec<Value> {
        let text = std::fs::read_to_string(self.commit_file(version)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn versions(&self) -> i64 {
        (0..).take_while(|v| self.commit_file(*v).exists()).count().try_into().unwrap()
    }

    /// Writes a commit as another engine would.
    pub(super) fn foreign(&self, actions: &[Value]) {
        let text: Vec<_> = actions.iter().map(Value::to_string).collect();
        std::fs::write(self.commit_file(self.versions()), text.join("\n")).unwrap();
    }

    /// Changes the table's first commit: `change` gets every action of it.
    pub(crate) fn edit_creation(&self, change: impl Fn(&mut Value)) {
        let mut actions = self.actions(0);
        actions.iter_mut().for_each(change);
        let text: Vec<_> = actions.iter().map(Value::to_string).collect();
        std::fs::write(self.commit_file(0), text.join("\n")).unwrap();
    }

    /// All `add`s in the log, in order.
    pub(super) fn adds(&self) -> Vec<Value> {
        (0..self.versions()).flat_map(|v| self.actions(v)).filter_map(|a| a.get("add").cloned()).collect()
    }

    /// The files that the table has now, as a reader finds them.
    fn live(&self) -> Vec<Value> {
        let mut live: Vec<Value> = Vec::new();
        for action in (0..self.versions()).flat_map(|v| self.actions(v)) {
            if let Some(path) = action.get("remove").map(|remove| &remove["path"]) {
                live.retain(|add| add["path"] != *path);
            }
            live.extend(action.get("add").cloned());
        }
        live
    }

    /// The values of `n` that a reader finds, sorted.
    fn live_numbers(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.live().iter().flat_map(|add| self.numbers_of(add)).collect();
        all.sort_unstable();
        all
    }

    /// The data files in the folder, whether the log names them or not; relative, sorted.
    fn stored(&self) -> Vec<String> {
        let mut folders = vec![self.path("")];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap()) {
                let path = entry.path();
                if path.is_dir() && path.file_name().unwrap() != "_delta_log" {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "parquet") {
                    found.push(path.strip_prefix(self.path("")).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// The values of `n` in all data files that the log refers to, sorted.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.adds().iter().flat_map(|add| self.numbers_of(add)).collect();
        all.sort_unstable();
        all
    }

    fn numbers_of(&self, add: &Value) -> Vec<i64> {
        let mut numbers = Vec::new();
        for batch in self.read(add) {
            numbers.extend(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().iter());
        }
        numbers
    }

    fn read(&self, add: &Value) -> Vec<RecordBatch> {
        let url = url::Url::parse(&format!("file://{}/table/{}", self.dir.path().display(), add["path"].as_str().unwrap())).unwrap();
        let file = std::fs::File::open(url.to_file_path().unwrap()).unwrap();
        assert_eq!(file.metadata().unwrap().len(), add["size"].as_u64().unwrap());
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(|batch| batch.unwrap()).collect()
    }
}

pub(super) fn rides_schema() -> SchemaRef {
    let fields = [("n", DataType::Int64, false), ("city", DataType::Utf8, true), ("date", DataType::Date32, true)];
    Arc::new(Schema::new(fields.map(|(name, t, nullable)| Field::new(name, t, nullable)).to_vec()))
}

pub(crate) fn rides(rows: &[(i64, Option<&str>, Option<i32>)]) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let city: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|r| r.1)));
    let date: ArrayRef = Arc::new(Date32Array::from_iter(rows.iter().map(|r| r.2)));
    RecordBatch::try_new(rides_schema(), vec![n, city, date]).unwrap()
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
