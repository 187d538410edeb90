//! The rows of one data file, in batches. A row group is in memory at a time, and of its rows as many as a batch has: files may be large.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::DecodeResult;
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};

use super::changes::AddedFile;
use crate::failure::{Failure, Result};
use crate::retry::RetryPolicy;
use crate::sink::delta::log::within;
use crate::storage::Location;

/// Records of a megabyte each are rare, and a batch of such still fits.
const ROWS_PER_BATCH: usize = 128;
/// What is asked of the store in one request.
const PART_BYTES: u64 = 8 << 20;
/// For one request. Longer than the S3 client takes to give up: this is for stores that hang.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// Of a row group, encoded. Weir's own have 32 MiB, Spark's 128 MiB.
const GROUP_BYTES_MAX: u64 = 1 << 30;

/// A data file that is being read.
pub struct AppendedFile {
    version: i64,
    stored: Stored,
    columns: SchemaRef,
    partition_values: HashMap<String, Option<String>>,
    decoder: ParquetPushDecoder,
}

impl AppendedFile {
    pub(super) async fn open(location: Location, version: i64, added: AddedFile, columns: SchemaRef, retry: RetryPolicy) -> Result<Self> {
        let stored = Stored::find(location, version, &added, retry)?;
        let metadata = stored.metadata(added.size).await?;
        let builder = ParquetPushDecoderBuilder::try_new_decoder(Arc::new(metadata));
        let decoder = builder.and_then(|b| b.with_batch_size(ROWS_PER_BATCH).build()).map_err(|e| stored.unreadable(e))?;
        Ok(Self { version, stored, columns, partition_values: added.partition_values, decoder })
    }

    /// The version that added it.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The next rows, with the columns that were asked for; `None` after the last.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.decoder.try_decode().map_err(|e| self.stored.unreadable(e))? {
                DecodeResult::Finished => return Ok(None),
                DecodeResult::Data(rows) => return self.arranged(&rows).map(Some),
                DecodeResult::NeedsData(ranges) => {
                    let data = self.stored.fetch(&ranges).await?;
                    self.decoder.push_ranges(ranges, data).map_err(|e| self.stored.unreadable(e))?;
                }
            }
        }
    }

    fn arranged(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.columns.fields().iter().map(|field| self.column(rows, field)).collect::<Result<_>>()?;
        RecordBatch::try_new(self.columns.clone(), columns).map_err(|e| self.stored.unreadable(e))
    }

    /// From the file, or from the log if the table is partitioned by it.
    fn column(&self, rows: &RecordBatch, field: &Field) -> Result<ArrayRef> {
        let count = rows.num_rows();
        let found: ArrayRef = match self.partition_values.get(field.name()) {
            Some(value) => Arc::new(StringArray::from_iter(std::iter::repeat_n(value.as_deref().filter(|v| !v.is_empty()), count))),
            None => match rows.column_by_name(field.name()) {
                Some(column) => column.clone(),
                None if field.is_nullable() => new_null_array(field.data_type(), count),
                None => return Err(self.stored.unreadable(format!("there is no column `{}` in it", field.name()))),
            },
        };
        // What does not fit must not become null.
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&found, field.data_type(), &strict).map_err(|e| self.stored.unreadable(e))
    }
}

/// A data file as the store has it.
struct Stored {
    location: Location,
    path: Path,
    version: i64,
    retry: RetryPolicy,
}

impl Stored {
    fn find(location: Location, version: i64, added: &AddedFile, retry: RetryPolicy) -> Result<Self> {
        // A path of another table's file is absolute: shallow clones have such.
        let decoded = Path::from_url_path(&added.path).ok().filter(|_| !added.path.contains("://"));
        let decoded = decoded.ok_or_else(|| {
            Failure::config(format!(
                "version {version} of {} adds the file {}, which does not lie in the table's folder; such tables are not read",
                location.url, added.path
            ))
        })?;
        Ok(Self { path: location.at(decoded.as_ref())?, location, version, retry })
    }

    async fn metadata(&self, size: u64) -> Result<ParquetMetaData> {
        let decoder = ParquetMetaDataPushDecoder::try_new(size).map_err(|e| self.unreadable(e))?;
        let mut decoder = decoder.with_page_index_policy(PageIndexPolicy::Skip);
        loop {
            match decoder.try_decode().map_err(|e| self.unreadable(e))? {
                DecodeResult::Data(metadata) => return Ok(metadata),
                DecodeResult::NeedsData(ranges) => {
                    let data = self.fetch(&ranges).await?;
                    decoder.push_ranges(ranges, data).map_err(|e| self.unreadable(e))?;
                }
                DecodeResult::Finished => return Err(self.unreadable("it has no footer")),
            }
        }
    }

    async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let bytes: u64 = ranges.iter().map(|r| r.end.saturating_sub(r.start)).sum();
        if bytes > GROUP_BYTES_MAX {
            return Err(self.unreadable(format!("a row group of it has {bytes} bytes, and at most {GROUP_BYTES_MAX} are read at once")));
        }
        let mut found = Vec::with_capacity(ranges.len());
        for range in ranges {
            found.push(self.range(range.clone()).await?);
        }
        Ok(found)
    }

    /// In parts, so that a slow connection does not run into the client's deadline for one request.
    async fn range(&self, range: Range<u64>) -> Result<Bytes> {
        let mut whole = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let part = start..range.end.min(start + PART_BYTES);
            start = part.end;
            let bytes = self.retry.persist(&self.doing(), async || self.part(part.clone()).await).await?;
            if part == range {
                return Ok(bytes);
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.into())
    }

    async fn part(&self, part: Range<u64>) -> Result<Bytes> {
        match within(CALL_DEADLINE, || self.doing(), self.location.store.get_range(&self.path, part)).await? {
            Ok(bytes) => Ok(bytes),
            Err(object_store::Error::NotFound { source, .. }) if !source.to_string().contains("NoSuchBucket") => {
                Err(Failure::config(format!(
                    "the data file {} that version {} of {} added is gone (vacuumed, after its rows were compacted or deleted?); its rows \
                     can't be had by their version any more",
                    self.path, self.version, self.location.url
                )))
            }
            Err(e) => Err(self.location.describe(e, self.doing())),
        }
    }

    fn doing(&self) -> String {
        format!("reading {}", self.path)
    }

    fn unreadable(&self, why: impl std::fmt::Display) -> Failure {
        let Self { location, path, version, .. } = self;
        Failure::config(format!("the data file {path} that version {version} of {} added can't be read: {why}", location.url))
    }
}
