//! The rows of one data file, with the requested columns.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use weir_base::failure::{Failure, Result};
use weir_base::retry::RetryPolicy;
use weir_base::storage::Location;

use super::changes::AddedFile;
use crate::delta::stored::{Rows, Stored, path_of};

/// Rows per batch. Records of a megabyte each are rare, and even a batch of them fits into memory.
const ROWS_PER_BATCH: usize = 128;
/// The most encoded bytes of a row group. Weir's own row groups have 32 MiB, Spark's have 128 MiB.
const GROUP_BYTES_MAX: u64 = 1 << 30;

/// A data file that is being read.
pub struct AppendedFile {
    version: i64,
    columns: SchemaRef,
    partition_values: HashMap<String, Option<String>>,
    rows: Rows,
}

impl AppendedFile {
    pub(super) async fn open(
        location: Location,
        version: i64,
        added: AddedFile,
        columns: SchemaRef,
        retry: RetryPolicy,
    ) -> Result<Self> {
        let stored = find(location, version, &added, retry)?;
        let metadata = stored.metadata(added.size).await?;
        let rows = stored.rows(metadata, ArrowReaderOptions::new(), ROWS_PER_BATCH)?;
        Ok(Self { version, columns, partition_values: added.partition_values, rows })
    }

    /// The version that added the file.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The next rows, with the requested columns; `None` after the last.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        self.rows.next().await?.map(|rows| self.arranged(&rows)).transpose()
    }

    fn arranged(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.fields().iter().map(|field| self.column(rows, field)).collect::<Result<_>>()?;
        RecordBatch::try_new(self.columns.clone(), columns).map_err(|e| self.rows.unreadable(e))
    }

    /// A column from the file, or from the log if the table is partitioned by it.
    fn column(&self, rows: &RecordBatch, field: &Field) -> Result<ArrayRef> {
        let count = rows.num_rows();
        let found: ArrayRef = match self.partition_values.get(field.name()) {
            Some(value) => {
                Arc::new(StringArray::from_iter(std::iter::repeat_n(value.as_deref().filter(|v| !v.is_empty()), count)))
            }
            None => match rows.column_by_name(field.name()) {
                Some(column) => column.clone(),
                None if field.is_nullable() => new_null_array(field.data_type(), count),
                None => return Err(self.rows.unreadable(format!("there is no column `{}` in it", field.name()))),
            },
        };
        // A value that does not fit must be an error and not become null.
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&found, field.data_type(), &strict).map_err(|e| self.rows.unreadable(e))
    }
}

fn find(location: Location, version: i64, added: &AddedFile, retry: RetryPolicy) -> Result<Stored> {
    let decoded = path_of(&added.path).ok_or_else(|| {
        Failure::config(format!(
            "version {version} of {} adds the file {}, which does not lie in the table's folder; such tables are not \
             read",
            location.url, added.path
        ))
    })?;
    let path = location.at(decoded.as_ref())?;
    let named = format!("the data file {path} that version {version} of {} added", location.url);
    let gone = "(vacuumed, after its rows were compacted or deleted?); its rows can't be had by their version any more";
    Ok(Stored { path, location, named, gone, group_bytes_max: GROUP_BYTES_MAX, retry })
}
