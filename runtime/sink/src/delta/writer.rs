//! The data files of one epoch. Rows are split by partition, encoded as Parquet when they come, and uploaded in parts.
//! Readers see nothing before the commit. docs/decisions/0003-delta-writer.md says why Weir does not use delta-rs'
//! writer.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::Field;
use arrow::record_batch::RecordBatch;
use arrow_row::{OwnedRow, RowConverter, SortField};
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde_json::{Value, json};
use weir_base::clock::Clock;
use weir_base::failure::{Failure, Result};
use weir_base::random::Random;
use weir_base::storage::{Location, Upload};

use super::fit::Layout;
use super::pending::Pending;
use super::stats::Stats;
use super::{TableFiles, partition};
use crate::Means;
use crate::writing::{Buffer, EpochWriter, Part, Slot};

/// The compression level. Level 1 compresses a result table nearly as well as level 3, for half the work.
const ZSTD_LEVEL: i32 = 1;
/// The most bytes buffered in all open files, if the process has no memory limit. Above it the largest file is closed,
/// which makes files smaller instead of using more memory. An open row group is flushed at half of it, so that a single
/// partition stays within the limit as well.
pub(super) const BUFFERED_BYTES_MAX: usize = 64 << 20;
const OPEN_FILES_MAX: usize = 128;
const UPLOADS_AT_ONCE: usize = 8;

/// The data files of one epoch. If this is dropped without `finish`, uploaded files stay behind that no commit refers
/// to.
pub struct EpochFiles {
    location: Location,
    layout: Arc<Layout>,
    label: String,
    target_file_size_bytes: u64,
    buffer: Arc<Buffer>,
    means: Means,
    pending: Pending,
    /// Tells partitions apart; `None` if there is only one.
    converter: Option<RowConverter>,
    open: HashMap<Option<OwnedRow>, OpenFile>,
    adds: Vec<Value>,
    files: u32,
    rows: u64,
    buffered: usize,
}

impl EpochFiles {
    /// Starts the files; the slot's label becomes part of their names. The slot's buffer, and [`BUFFERED_BYTES_MAX`],
    /// limit what open files hold in memory: above it the largest file is closed.
    pub(super) fn new(files: &TableFiles, slot: &Slot) -> Result<Self> {
        let TableFiles { location, layout, target_file_size_bytes, means, pending } = files.clone();
        let fields = layout.partition_fields.iter().map(|f| SortField::new(f.data_type().clone())).collect::<Vec<_>>();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields).map_err(bug)?) };
        let (label, buffer) = (slot.label.clone(), Arc::clone(&slot.buffer));
        let (open, adds) = (HashMap::new(), Vec::new());
        Ok(Self {
            location,
            layout,
            label,
            target_file_size_bytes,
            buffer,
            means,
            pending,
            converter,
            open,
            adds,
            files: 0,
            rows: 0,
            buffered: 0,
        })
    }

    /// Takes rows. Columns are found by name; columns that the table has and the batch does not are null.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let layout = self.layout.clone();
        let columns = layout.file_schema.fields().iter().map(|f| column(batch, f)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let file_batch = RecordBatch::try_new_with_options(layout.file_schema.clone(), columns, &options)
            .map_err(|e| Failure::data(format!("rows do not fit the table {}: {e}", self.location.url)))?;
        self.rows += batch.num_rows() as u64;

        let Some(converter) = &mut self.converter else { return self.write_partition(None, &[], 0, &file_batch).await };
        let keys = layout.partition_fields.iter().map(|f| column(batch, f)).collect::<Result<Vec<_>>>()?;
        let rows = converter.convert_columns(&keys).map_err(bug)?;
        let mut by_key: HashMap<_, Vec<u32>> = HashMap::new();
        for (index, row) in (0..).zip(rows.iter()) {
            by_key.entry(row).or_default().push(index);
        }
        let whole = by_key.len() == 1;
        for (key, indices) in by_key {
            let first = indices[0] as usize;
            let part = if whole {
                file_batch.clone()
            } else {
                take_record_batch(&file_batch, &UInt32Array::from(indices)).map_err(bug)?
            };
            self.write_partition(Some(key.owned()), &keys, first, &part).await?;
        }
        Ok(())
    }

    /// Bytes in memory that are being encoded or wait for upload.
    #[cfg(test)]
    pub fn bytes_buffered(&self) -> usize {
        self.buffered
    }

    /// Uploads the rest. Returns the inner objects of the `add` actions, sorted by path, and the number of rows in
    /// them.
    pub async fn finish(mut self) -> Result<(Vec<Value>, u64)> {
        let rest = std::mem::take(&mut self.open).into_values().map(OpenFile::close);
        let rest: Vec<Value> = futures::stream::iter(rest).buffer_unordered(UPLOADS_AT_ONCE).try_collect().await?;
        self.adds.extend(rest);
        self.adds.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
        Ok((self.adds, self.rows))
    }

    async fn write_partition(
        &mut self,
        key: Option<OwnedRow>,
        keys: &[ArrayRef],
        row: usize,
        batch: &RecordBatch,
    ) -> Result<()> {
        if !self.open.contains_key(&key) {
            while self.open.len() >= OPEN_FILES_MAX {
                self.close_largest().await?;
            }
            let file = self.open_file(keys, row)?;
            self.open.insert(key.clone(), file);
        }
        let Some(file) = self.open.get_mut(&key) else {
            return Err(Failure::bug("a file that was just opened is gone"));
        };
        let before = file.buffered();
        let buffered_bytes_max = usize::try_from(self.buffer.share()).unwrap_or(usize::MAX).min(BUFFERED_BYTES_MAX);
        file.write(batch, buffered_bytes_max / 2).await?;
        self.buffered = (self.buffered + file.buffered()).saturating_sub(before);
        if file.encoded_bytes() >= self.target_file_size_bytes {
            self.close_file(&key).await?;
        }
        while self.buffered > buffered_bytes_max && !self.open.is_empty() {
            self.close_largest().await?;
        }
        Ok(())
    }

    fn open_file(&mut self, keys: &[ArrayRef], row: usize) -> Result<OpenFile> {
        let mut values = Vec::new();
        for (field, array) in self.layout.partition_fields.iter().zip(keys) {
            let value = partition::value(array, row)?;
            if value.is_none() && !field.is_nullable() {
                let says = "is null or empty in a row; Delta can't tell the empty string from null in a partition, \
                            and the column may not be null";
                return Err(Failure::data(format!(
                    "the partition column `{}` of the table {} {says}",
                    field.name(),
                    self.location.url
                )));
            }
            values.push((field.name().clone(), value));
        }
        let name = FileName { number: self.files, label: &self.label };
        let file = OpenFile::new(&self.location, &self.layout, &self.means, &name, values, &self.pending)?;
        self.files += 1;
        Ok(file)
    }

    async fn close_largest(&mut self) -> Result<()> {
        let largest = self.open.iter().max_by_key(|(_, f)| f.buffered()).map(|(k, _)| k.clone());
        match largest {
            Some(key) => self.close_file(&key).await,
            None => Ok(()),
        }
    }

    async fn close_file(&mut self, key: &Option<OwnedRow>) -> Result<()> {
        if let Some(file) = self.open.remove(key) {
            self.buffered = self.buffered.saturating_sub(file.buffered());
            self.adds.push(file.close().await?);
        }
        Ok(())
    }
}

impl EpochWriter for EpochFiles {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        Box::pin(Self::write(self, rows))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Part>> {
        Box::pin(async {
            let (adds, rows) = Self::finish(*self).await?;
            Ok(Part { rows, body: Value::Array(adds) })
        })
    }
}

/// What distinguishes a data file from others: its number, and its writer (lineage and generation).
pub(super) struct FileName<'a> {
    pub(super) number: u32,
    pub(super) label: &'a str,
}

impl FileName<'_> {
    /// A name with a new random part, so that no file of a failed attempt is overwritten, even if everything else is
    /// equal.
    fn draw(&self, random: &Random) -> String {
        format!("part-{:05}-{}-{}.zstd.parquet", self.number, self.label, random.id())
    }
}

/// One Parquet file of one partition.
pub(super) struct OpenFile {
    path: String,
    values: Vec<(String, Option<String>)>,
    writer: ArrowWriter<Vec<u8>>,
    upload: Upload,
    stats: Stats,
    now_ms: Clock,
}

impl OpenFile {
    /// Starts a file; `values` are the partition's values, as the log has them.
    pub(super) fn new(
        location: &Location,
        layout: &Layout,
        means: &Means,
        name: &FileName<'_>,
        values: Vec<(String, Option<String>)>,
        pending: &Pending,
    ) -> Result<Self> {
        let folder = partition::folder(values.iter().map(|(n, v)| (n.as_str(), v.as_deref())));
        let name = name.draw(&means.random);
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        let upload = location.upload(location.at(&path)?, "a data file", means.retry);
        pending.begin(&path);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).map_err(bug)?))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by(format!("weir version {}", env!("CARGO_PKG_VERSION")))
            .build();
        // Arrow's own schema would only repeat the Parquet schema in every file.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), layout.file_schema.clone(), options).map_err(bug)?;
        let stats = Stats::new(&layout.file_schema, layout.indexed_columns);
        Ok(Self { path, values, writer, upload, stats, now_ms: Arc::clone(&means.now_ms) })
    }

    /// Takes rows of the layout's file schema.
    pub(super) async fn write(&mut self, batch: &RecordBatch, row_group_bytes_max: usize) -> Result<()> {
        self.stats.update(batch);
        self.writer.write(batch).map_err(bug)?;
        if self.writer.memory_size() >= row_group_bytes_max {
            self.writer.flush().map_err(bug)?;
        }
        self.writer.sync().map_err(bug)?;
        // As in parquet's own async writer, the bytes so far move on, and the encoder keeps counting from its position.
        let encoded = std::mem::take(self.writer.inner_mut());
        if !encoded.is_empty() {
            self.upload.push(encoded).await?;
        }
        Ok(())
    }

    /// Gives the file up.
    pub(super) async fn abort(self) {
        self.upload.abort().await;
    }

    fn buffered(&self) -> usize {
        self.writer.memory_size() + self.upload.pending_bytes()
    }

    pub(super) fn encoded_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Completes the file and returns its `add` object. When this returns, the file is in the store.
    pub(super) async fn close(mut self) -> Result<Value> {
        self.writer.finish().map_err(bug)?;
        let rest = std::mem::take(self.writer.inner_mut());
        self.upload.push(rest).await?;
        let size = self.upload.finish().await?;
        let values: serde_json::Map<String, Value> =
            self.values.into_iter().map(|(name, value)| (name, json!(value))).collect();
        Ok(json!({
            "path": partition::to_uri(&self.path),
            "partitionValues": values,
            "size": size,
            "modificationTime": (self.now_ms)(),
            "dataChange": true,
            "stats": self.stats.to_json(),
        }))
    }
}

/// A column of the batch, in the type that the file has.
fn column(batch: &RecordBatch, field: &Field) -> Result<ArrayRef> {
    match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
        Some(array) => cast(array, field.data_type()).map_err(|e| {
            Failure::data(format!("the column `{}` can't be written as {}: {e}", field.name(), field.data_type()))
        }),
    }
}

fn bug(e: impl std::fmt::Display) -> Failure {
    Failure::bug(format!("a data file could not be encoded: {e}"))
}
