//! Reads a data file: its footer, and then its rows in batches. Files may be large, so memory holds one row group and,
//! of its rows, one batch. Requests that the store does not answer are repeated. Anybody may have written the file, and
//! the decoder panics over some files that no writer makes: that is an error like its others.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::DecodeResult;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::push_decoder::{ParquetPushDecoder, ParquetPushDecoderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataPushDecoder};
use weir_base::failure::{Failure, Result};
use weir_base::retry::RetryPolicy;
use weir_base::storage::Location;
use weir_plan::panics::caught;

use super::log::within;

/// The most bytes that one request asks for.
const PART_BYTES: u64 = 8 << 20;
/// The deadline of one request. It is longer than the S3 client takes to give up, because it is for stores that hang.
const CALL_DEADLINE: Duration = Duration::from_secs(60);

/// A data file in the store.
pub(super) struct Stored {
    pub(super) location: Location,
    pub(super) path: Path,
    /// Which file it is, for messages, as in "the data file x that version 7 added".
    pub(super) named: String,
    /// What it means if the file is gone, for messages.
    pub(super) gone: &'static str,
    /// The most encoded bytes of a row group; a larger one is not read.
    pub(super) group_bytes_max: u64,
    pub(super) retry: RetryPolicy,
}

/// The rows of a data file, in the file's order.
pub(super) struct Rows {
    stored: Stored,
    decoder: ParquetPushDecoder,
}

/// The path of a file in the store, from its name in the log, which is a URI. `None` for another table's file, as
/// shallow clones have them.
pub(super) fn path_of(uri: &str) -> Option<Path> {
    Path::from_url_path(uri).ok().filter(|_| !uri.contains("://") && !uri.starts_with('/'))
}

impl Stored {
    /// The footer of a file that has `size` bytes.
    pub(super) async fn metadata(&self, size: u64) -> Result<ParquetMetaData> {
        let decoder = ParquetMetaDataPushDecoder::try_new(size).map_err(|e| self.unreadable(e))?;
        let mut decoder = decoder.with_page_index_policy(PageIndexPolicy::Skip);
        loop {
            match caught(|| decoder.try_decode()).map_err(|e| self.unreadable(e))? {
                DecodeResult::Data(metadata) => return Ok(metadata),
                DecodeResult::NeedsData(ranges) => {
                    let data = self.fetch(&ranges).await?;
                    caught(|| decoder.push_ranges(ranges, data)).map_err(|e| self.unreadable(e))?;
                }
                DecodeResult::Finished => return Err(self.unreadable("it has no footer")),
            }
        }
    }

    /// The file's rows, in batches of `rows_per_batch`.
    pub(super) fn rows(
        self,
        metadata: ParquetMetaData,
        options: ArrowReaderOptions,
        rows_per_batch: usize,
    ) -> Result<Rows> {
        let decoder = caught(|| {
            ParquetPushDecoderBuilder::try_new_decoder_with_options(Arc::new(metadata), options)?
                .with_batch_size(rows_per_batch)
                .build()
        });
        let decoder = decoder.map_err(|e| self.unreadable(e))?;
        Ok(Rows { stored: self, decoder })
    }

    pub(super) fn unreadable(&self, why: impl std::fmt::Display) -> Failure {
        Failure::config(format!("{} can't be read: {why}", self.named))
    }

    async fn fetch(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        // A footer that claims to be longer than its file makes such a range.
        if let Some(range) = ranges.iter().find(|range| range.start >= range.end) {
            return Err(self.unreadable(format!("it refers to the bytes from {} to {}", range.start, range.end)));
        }
        let bytes = ranges.iter().fold(0_u64, |bytes, range| bytes.saturating_add(range.end - range.start));
        if bytes > self.group_bytes_max {
            return Err(self.unreadable(format!(
                "a row group of it has {bytes} bytes, and at most {} are read at once",
                self.group_bytes_max
            )));
        }
        let mut found = Vec::with_capacity(ranges.len());
        for range in ranges {
            found.push(self.range(range.clone()).await?);
        }
        Ok(found)
    }

    /// Reads a range in parts, so that a slow connection does not reach the deadline of one request.
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
                Err(Failure::config(format!("{} is gone {}", self.named, self.gone)))
            }
            Err(e) => Err(self.location.describe(e, self.doing())),
        }
    }

    fn doing(&self) -> String {
        format!("reading {}", self.path)
    }
}

impl Rows {
    /// The next rows; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match caught(|| self.decoder.try_decode()).map_err(|e| self.stored.unreadable(e))? {
                DecodeResult::Finished => return Ok(None),
                DecodeResult::Data(rows) => return Ok(Some(rows)),
                DecodeResult::NeedsData(ranges) => {
                    let data = self.stored.fetch(&ranges).await?;
                    caught(|| self.decoder.push_ranges(ranges, data)).map_err(|e| self.stored.unreadable(e))?;
                }
            }
        }
    }

    pub(super) fn unreadable(&self, why: impl std::fmt::Display) -> Failure {
        self.stored.unreadable(why)
    }
}
