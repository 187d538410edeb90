//! The kernel's engine, with a limit on what it holds of a log checkpoint while writing it. The kernel's own writer
//! would keep a million files in memory before it writes the first row group.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use delta_kernel::engine::arrow_data::EngineDataArrowExt as _;
use delta_kernel::schema::SchemaRef;
use delta_kernel::{
    DeltaResult, DeltaResultIteratorStatic, Engine, EngineData, Error, EvaluationHandler, FileDataReadResultIterator,
    FileMeta, JsonHandler, ParquetFooter, ParquetHandler, PredicateRef, StorageHandler,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::runtime::Handle;
use weir_base::retry::RetryPolicy;
use weir_base::storage::{Location, Upload};

/// The most bytes of a row group that is being encoded: some ten thousand files.
const GROUP_BYTES_MAX: usize = 8 << 20;
const ROWS_AT_ONCE: usize = 1024;

pub(super) struct BoundedEngine {
    inner: Arc<dyn Engine>,
    parquet: Arc<BoundedParquet>,
}

/// Creates the engine of the table at `location`. Its calls block, so don't call it from a thread that must not wait.
pub(super) fn engine(inner: Arc<dyn Engine>, location: Location, handle: Handle) -> BoundedEngine {
    let parquet = Arc::new(BoundedParquet { inner: inner.parquet_handler(), location, handle });
    BoundedEngine { inner, parquet }
}

impl Engine for BoundedEngine {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        self.inner.evaluation_handler()
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        self.inner.storage_handler()
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        self.inner.json_handler()
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        self.parquet.clone()
    }
}

struct BoundedParquet {
    inner: Arc<dyn ParquetHandler>,
    location: Location,
    handle: Handle,
}

impl ParquetHandler for BoundedParquet {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        physical_schema: SchemaRef,
        predicate: Option<PredicateRef>,
    ) -> DeltaResult<FileDataReadResultIterator> {
        self.inner.read_parquet_files(files, physical_schema, predicate)
    }

    fn read_parquet_footer(&self, file: &FileMeta) -> DeltaResult<ParquetFooter> {
        self.inner.read_parquet_footer(file)
    }

    fn write_parquet_file(
        &self,
        location: url::Url,
        data: DeltaResultIteratorStatic<Box<dyn EngineData>>,
    ) -> DeltaResult<()> {
        let name = location.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let path = self.location.at(&format!("_delta_log/{name}")).map_err(of_store)?;
        // This makes no retries: the next turn tries again.
        let once = RetryPolicy::giving_up_after(Duration::ZERO);
        let mut upload = self.location.upload(path, "a log checkpoint", once);
        match self.write(&mut upload, data) {
            Ok(()) => self.handle.block_on(upload.finish()).map(|_| ()).map_err(of_store),
            Err(e) => {
                self.handle.block_on(upload.abort());
                Err(e)
            }
        }
    }
}

impl BoundedParquet {
    fn write(&self, upload: &mut Upload, data: DeltaResultIteratorStatic<Box<dyn EngineData>>) -> DeltaResult<()> {
        let mut open: Option<ArrowWriter<Vec<u8>>> = None;
        for batch in data {
            let batch = batch?.try_into_record_batch()?;
            let writer = match &mut open {
                Some(writer) => writer,
                none => none.insert(writer_for(&batch)?),
            };
            // A commit comes as one batch, however large it is.
            for first in (0..batch.num_rows()).step_by(ROWS_AT_ONCE) {
                writer.write(&batch.slice(first, ROWS_AT_ONCE.min(batch.num_rows() - first)))?;
                if writer.memory_size() >= GROUP_BYTES_MAX {
                    writer.flush()?;
                }
                writer.sync()?;
                self.push(upload, std::mem::take(writer.inner_mut()))?;
            }
        }
        let mut writer = open.ok_or_else(|| Error::generic("a log checkpoint without actions"))?;
        writer.finish()?;
        self.push(upload, std::mem::take(writer.inner_mut()))
    }

    fn push(&self, upload: &mut Upload, bytes: Vec<u8>) -> DeltaResult<()> {
        if bytes.is_empty() { Ok(()) } else { self.handle.block_on(upload.push(bytes)).map_err(of_store) }
    }
}

fn writer_for(batch: &RecordBatch) -> DeltaResult<ArrowWriter<Vec<u8>>> {
    let compression = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let properties = WriterProperties::builder().set_compression(compression).build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    Ok(ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options)?)
}

/// Makes the failure an I/O error, which callers sort as one of the store and retry.
fn of_store(failure: weir_base::failure::Failure) -> Error {
    Error::IOError(std::io::Error::other(failure.message))
}
