//! A folder for one Delta table, and what a reader finds in it. This reads the log's JSON and the Parquet files without
//! the code under test.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray as _, Date32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde_json::Value;
use tempfile::TempDir;
use weir_base::retry::RetryPolicy;
use weir_base::storage::{self, Location, Secrets};
use weir_plan::outputs::Output;
use weir_plan::plan::{DeltaSink, Input, Maintenance, Mode, Sink, SinkKind};

/// Retries for a store that comes back; only a failing test waits until they end.
pub const QUICK: RetryPolicy = RetryPolicy {
    first: Duration::from_millis(1),
    max: Duration::from_millis(2),
    give_up_after: Duration::from_secs(60),
};
/// Retries for a store that stays away.
pub const SOON_GIVEN_UP: RetryPolicy = RetryPolicy { give_up_after: Duration::from_millis(50), ..QUICK };

/// A folder for one table, and the sink that writes to it.
pub struct Lake {
    pub dir: TempDir,
    pub sink: Sink,
}

impl Lake {
    /// A table with the columns `n bigint not null`, `city string` and `date date`, partitioned by `partition_by`.
    pub fn new(partition_by: &[&str]) -> Self {
        Self::with(rides_schema(), partition_by)
    }

    pub fn with(schema: SchemaRef, partition_by: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let partition_by = partition_by.iter().map(|c| (*c).to_owned()).collect();
        let uri = format!("file://{}/table", dir.path().display());
        let maintenance = Maintenance { checkpoint_every: 100, compact_every: None, vacuum_after: None };
        let delta = DeltaSink { uri, partition_by, target_file_size_bytes: 128 << 20, maintenance };
        let kind = SinkKind::Delta(delta);
        let (name, input, given) = ("silver".into(), Input::Source(0), Arc::clone(&schema));
        Self {
            dir,
            sink: Sink { name, input, output: Output::Main, kind, mode: Mode::Append, given, keeps: None, schema },
        }
    }

    pub fn delta(&mut self) -> &mut DeltaSink {
        match &mut self.sink.kind {
            SinkKind::Delta(delta) => delta,
            other => panic!("{other}"),
        }
    }

    pub fn location(&self) -> Location {
        storage::open(self.sink.place(), None, &Secrets::default()).unwrap()
    }

    pub fn path(&self, relative: &str) -> std::path::PathBuf {
        self.dir.path().join("table").join(relative)
    }

    pub fn commit_file(&self, version: i64) -> std::path::PathBuf {
        self.path(&format!("_delta_log/{version:020}.json"))
    }

    /// The actions of one commit.
    pub fn actions(&self, version: i64) -> Vec<Value> {
        let text = std::fs::read_to_string(self.commit_file(version)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn versions(&self) -> i64 {
        (0..).take_while(|v| self.commit_file(*v).exists()).count().try_into().unwrap()
    }

    /// Writes a commit as another engine would.
    pub fn foreign(&self, actions: &[Value]) {
        let text: Vec<_> = actions.iter().map(Value::to_string).collect();
        std::fs::write(self.commit_file(self.versions()), text.join("\n")).unwrap();
    }

    /// Changes the table's first commit: `change` is called with each of its actions.
    pub fn edit_creation(&self, change: impl Fn(&mut Value)) {
        let mut actions = self.actions(0);
        actions.iter_mut().for_each(change);
        let text: Vec<_> = actions.iter().map(Value::to_string).collect();
        std::fs::write(self.commit_file(0), text.join("\n")).unwrap();
    }

    /// All `add` actions in the log, in order.
    pub fn adds(&self) -> Vec<Value> {
        (0..self.versions()).flat_map(|v| self.actions(v)).filter_map(|a| a.get("add").cloned()).collect()
    }

    /// The `add` actions of the files that a reader finds in the table now.
    pub fn live(&self) -> Vec<Value> {
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
    pub fn live_numbers(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.live().iter().flat_map(|add| self.numbers_of(add)).collect();
        all.sort_unstable();
        all
    }

    /// The data files in the folder, whether the log names them or not, as sorted relative paths.
    pub fn stored(&self) -> Vec<String> {
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
    pub fn numbers(&self) -> Vec<i64> {
        let mut all: Vec<i64> = self.adds().iter().flat_map(|add| self.numbers_of(add)).collect();
        all.sort_unstable();
        all
    }

    pub fn numbers_of(&self, add: &Value) -> Vec<i64> {
        let mut numbers = Vec::new();
        for batch in self.read(add) {
            numbers.extend(batch.column_by_name("n").unwrap().as_primitive::<Int64Type>().values().iter());
        }
        numbers
    }

    pub fn read(&self, add: &Value) -> Vec<RecordBatch> {
        let url =
            url::Url::parse(&format!("file://{}/table/{}", self.dir.path().display(), add["path"].as_str().unwrap()))
                .unwrap();
        let file = std::fs::File::open(url.to_file_path().unwrap()).unwrap();
        assert_eq!(file.metadata().unwrap().len(), add["size"].as_u64().unwrap());
        let reader =
            parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.map(|batch| batch.unwrap()).collect()
    }
}

pub fn rides_schema() -> SchemaRef {
    let fields = [("n", DataType::Int64, false), ("city", DataType::Utf8, true), ("date", DataType::Date32, true)];
    Arc::new(Schema::new(fields.map(|(name, t, nullable)| Field::new(name, t, nullable)).to_vec()))
}

pub fn rides(rows: &[(i64, Option<&str>, Option<i32>)]) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.0)));
    let city: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|r| r.1)));
    let date: ArrayRef = Arc::new(Date32Array::from_iter(rows.iter().map(|r| r.2)));
    RecordBatch::try_new(rides_schema(), vec![n, city, date]).unwrap()
}
