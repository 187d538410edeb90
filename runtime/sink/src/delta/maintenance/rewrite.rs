//! Writes the rows of some files into fewer ones. It reads one file at a time, holding one row group in memory, and
//! writes one file at a time.
//!
//! If a file's columns are not stored exactly as the table's types say (another engine's timestamps, for example), the
//! file is skipped. Nothing is cast, so nothing can get lost.

use arrow::array::{RecordBatchOptions, new_null_array};
use arrow::record_batch::RecordBatch;
use object_store::ObjectStoreExt as _;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use serde_json::{Map, Value, json};
use weir_base::failure::{Failure, Result};
use weir_plan::panics::caught;

use super::choose::{DataFile, Round};
use super::table::Table;
use crate::delta::fit::Layout;
use crate::delta::stored::{Rows, Stored, path_of};
use crate::delta::writer::{FileName, OpenFile};

const BATCH_BYTES: u64 = 4 << 20;
const BATCH_ROWS_MAX: u64 = 8192;

/// The files that were replaced and the files that replace them.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// The inner objects of `remove` actions, one for each file that was read.
    pub(super) removes: Vec<Value>,
    /// The inner objects of `add` actions, one for each file that was written.
    pub(super) adds: Vec<Value>,
}

struct Output<'a> {
    table: &'a Table,
    layout: &'a Layout,
    values: Vec<(String, Option<String>)>,
    open: Option<OpenFile>,
    rewritten: Rewritten,
}

/// Rewrites a round. After a failure it deletes what it wrote, as far as the store answers. If the future is dropped,
/// files stay that no commit refers to.
pub(super) async fn rewrite(table: &Table, layout: &Layout, round: &Round, now_ms: i64) -> Result<Rewritten> {
    let names = layout.partition_fields.iter().map(|f| f.name().clone());
    let values = names.zip(round.values.iter().cloned()).collect();
    let mut output = Output { table, layout, values, open: None, rewritten: Rewritten::default() };
    match output.fill(round, now_ms).await {
        Ok(()) => Ok(output.rewritten),
        Err(failure) => {
            if let Some(open) = output.open.take() {
                open.abort().await;
            }
            discard(table, &output.rewritten.adds).await;
            Err(failure)
        }
    }
}

/// Deletes files that were written and will not be committed. A vacuum deletes those that can't be deleted now.
pub(super) async fn discard(table: &Table, adds: &[Value]) {
    for path in adds.iter().filter_map(|add| path_of(add["path"].as_str()?)) {
        let Ok(at) = table.location.at(path.as_ref()) else { continue };
        table.pending.settle(path.as_ref());
        let deleted = tokio::time::timeout(table.log.call_deadline, table.location.store.delete(&at)).await;
        if !matches!(deleted, Ok(Ok(()) | Err(object_store::Error::NotFound { .. }))) {
            tracing::debug!(%path, "a file that was written in vain could not be deleted; a vacuum takes it");
        }
    }
}

impl Output<'_> {
    async fn fill(&mut self, round: &Round, now_ms: i64) -> Result<()> {
        let mut rows_due = 0;
        for file in &round.files {
            let Some((mut rows, count)) = open(self.table, self.layout, file).await? else { continue };
            rows_due += count;
            while let Some(batch) = rows.next().await? {
                self.write(&arranged(self.layout, &batch).map_err(|e| rows.unreadable(e))?).await?;
            }
            let values: Map<String, Value> =
                self.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            self.rewritten.removes.push(json!({
                "path": file.path,
                "deletionTimestamp": now_ms,
                "dataChange": false,
                "extendedFileMetadata": true,
                "partitionValues": values,
                "size": file.size,
            }));
        }
        self.close().await?;
        self.rewritten.check(rows_due)
    }

    async fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let number = u32::try_from(self.rewritten.adds.len()).unwrap_or(u32::MAX);
                let name = FileName { number, label: &self.table.label };
                none.insert(OpenFile::new(
                    &self.table.location,
                    self.layout,
                    &self.table.means,
                    &name,
                    self.values.clone(),
                    &self.table.pending,
                )?)
            }
        };
        open.write(rows, usize::try_from(self.table.bytes_max() / 2).unwrap_or(usize::MAX)).await?;
        if open.encoded_bytes() >= self.table.target_file_size_bytes {
            self.close().await?;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            let mut add = open.close().await?;
            add["dataChange"] = json!(false);
            self.rewritten.adds.push(add);
        }
        Ok(())
    }
}

/// The rows of a file, and their number as its footer says; `None` if the file can't be rewritten unchanged.
async fn open(table: &Table, layout: &Layout, file: &DataFile) -> Result<Option<(Rows, u64)>> {
    let Some(path) = path_of(&file.path) else { return Ok(None) };
    let path = table.location.at(path.as_ref())?;
    let named = format!("the data file {path} of {}", table.location.url);
    let stored = Stored {
        location: table.location.clone(),
        path,
        named,
        gone: "though the log has it",
        group_bytes_max: table.bytes_max(),
        retry: table.means.retry,
    };
    let metadata = stored.metadata(file.size).await?;
    if let Some(why) = misfit(&metadata, layout, table.bytes_max()) {
        tracing::debug!("{} is left as it is: {why}", stored.named);
        return Ok(None);
    }
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let (rows_per_batch, count) = (rows_per_batch(&metadata), row_count(&metadata));
    Ok(Some((stored.rows(metadata, options, rows_per_batch)?, count)))
}

/// Why a file must be skipped, if it must.
fn misfit(metadata: &ParquetMetaData, layout: &Layout, group_bytes_max: u64) -> Option<String> {
    let schema = match caught(|| parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None)) {
        Ok(schema) => schema,
        Err(why) => return Some(why),
    };
    for found in schema.fields() {
        match layout.file_schema.field_with_name(found.name()) {
            Ok(wanted) if wanted.data_type() == found.data_type() => {}
            Ok(wanted) => {
                return Some(format!(
                    "`{}` is stored as {}, not as {}",
                    found.name(),
                    found.data_type(),
                    wanted.data_type()
                ));
            }
            Err(_) => return Some(format!("it has a column `{}`, which the table has not", found.name())),
        }
    }
    if let Some(lacking) =
        layout.file_schema.fields().iter().find(|f| !f.is_nullable() && schema.field_with_name(f.name()).is_err())
    {
        return Some(format!("it lacks the column `{}`, which may not be null", lacking.name()));
    }
    let largest = metadata.row_groups().iter().map(|group| group.compressed_size()).max().unwrap_or_default();
    (u64::try_from(largest).unwrap_or(u64::MAX) > group_bytes_max)
        .then(|| format!("a row group of it has {largest} bytes"))
}

fn rows_per_batch(metadata: &ParquetMetaData) -> usize {
    let bytes: u64 = metadata.row_groups().iter().filter_map(|group| u64::try_from(group.total_byte_size()).ok()).sum();
    let bytes_per_row = bytes / row_count(metadata).max(1);
    usize::try_from((BATCH_BYTES / bytes_per_row.max(1)).clamp(1, BATCH_ROWS_MAX)).unwrap_or(1)
}

fn row_count(metadata: &ParquetMetaData) -> u64 {
    u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default()
}

/// Arranges rows in the table's columns; columns that were added after the file was written are null.
fn arranged(layout: &Layout, rows: &RecordBatch) -> Result<RecordBatch, arrow::error::ArrowError> {
    let of = |field: &arrow::datatypes::Field| match rows.column_by_name(field.name()) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), rows.num_rows()),
    };
    let columns = layout.file_schema.fields().iter().map(|field| of(field)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(layout.file_schema.clone(), columns, &options)
}

impl Rewritten {
    /// Whether the rewrite leaves the table with fewer files.
    pub(super) fn is_gain(&self) -> bool {
        self.adds.len() < self.removes.len()
    }

    pub(super) fn inputs(&self) -> impl Iterator<Item = &str> {
        self.removes.iter().filter_map(|remove| remove["path"].as_str())
    }

    /// Checks that the new files hold as many rows as the files that they replace.
    fn check(&self, rows_due: u64) -> Result<()> {
        let rows = |add: &Value| serde_json::from_str::<Value>(add["stats"].as_str()?).ok()?["numRecords"].as_u64();
        let written: u64 = self.adds.iter().filter_map(rows).sum();
        if written == rows_due {
            return Ok(());
        }
        Err(Failure::bug(format!("a compaction wrote {written} rows in place of {rows_due}")))
    }
}
