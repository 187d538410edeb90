//! Reads rows of state files, a few chunks at a time. Fetched chunks are checked, decoded and handed on before much
//! more is requested.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::checkpoint::manifest::StateFile;
use crate::checkpoint::state_files::StateFiles;
use crate::failure::{Failure, Result};
use crate::state::StepTable;
use crate::state::file::{self as state_file, Block, BlockReader, Chunk, Footer, Tail};
use crate::state::{Change, TableSchema};

/// Bytes that are first requested from a file's end. They include the footer of most files.
const TAIL_BYTES: u64 = 64 << 10;
const FOOTERS_AT_ONCE: usize = 8;
/// Bytes of a state file that a start fetches in one request. [`RESTORED_AHEAD`] such requests run at a time.
const RESTORED_BYTES: u64 = 4 << 20;
const RESTORED_AHEAD: usize = 3;

/// State as a manifest lists it: its files, oldest first, with their footers.
pub struct Restorable {
    tables: Arc<[StepTable]>,
    store: StateFiles,
    files: Vec<Arc<OpenFile>>,
}

impl Restorable {
    /// Reads the footers of the files.
    ///
    /// # Errors
    /// `Config`, if a file is gone or damaged; `Retry`.
    pub async fn open(tables: Arc<[StepTable]>, store: StateFiles, files: &[StateFile]) -> Result<Self> {
        let files = open(&store, files).await?;
        Ok(Self { tables, store, files })
    }

    /// Whether nothing is saved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reads all entries, table by table and batch by batch, until `each` returns false. Within a table, the entries of
    /// the oldest file come first.
    ///
    /// # Errors
    /// The errors of [`Self::open`], and those of `each`.
    pub async fn load(&self, mut each: impl FnMut(usize, Change) -> Result<bool>) -> Result<()> {
        for (i, table) in self.tables.iter().enumerate() {
            let rows = Rows::new(self.store.clone(), &self.files, table, RESTORED_BYTES);
            if !rows.for_each(RESTORED_AHEAD, |change| each(i, change)).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn tables(&self) -> &Arc<[StepTable]> {
        &self.tables
    }

    pub(super) fn files(&self) -> Vec<StateFile> {
        self.files.iter().map(|open| open.file.clone()).collect()
    }
}

/// A file whose footer has been read.
pub struct OpenFile {
    file: StateFile,
    footer: Footer,
}

/// Reads the footers of files, in their order.
pub async fn open(store: &StateFiles, files: &[StateFile]) -> Result<Vec<Arc<OpenFile>>> {
    let opened: Vec<_> = files.iter().cloned().map(|file| open_one(store.clone(), file)).collect();
    futures::stream::iter(opened).buffered(FOOTERS_AT_ONCE).try_collect().await
}

async fn open_one(store: StateFiles, file: StateFile) -> Result<Arc<OpenFile>> {
    let footer = footer_of(&store, &file).await?;
    Ok(Arc::new(OpenFile { file, footer }))
}

async fn footer_of(store: &StateFiles, file: &StateFile) -> Result<Footer> {
    let mut bytes = TAIL_BYTES;
    loop {
        let tail = store.read(file, file.bytes.saturating_sub(bytes)..file.bytes).await?;
        match state_file::read_tail(&tail, file.bytes, file.crc32).map_err(|e| e.context(store.named(file)))? {
            Tail::Footer(footer) => return Ok(footer),
            Tail::Longer(needed) => bytes = needed,
        }
    }
}

/// One table's rows in some files, in the files' order.
pub struct Rows {
    store: StateFiles,
    table: Arc<TableSchema>,
    requests: VecDeque<Request>,
    /// The reader of the current block.
    reader: Option<BlockReader>,
}

/// Neighbouring chunks of a block, which are fetched in one request.
#[derive(Clone)]
struct Request {
    file: Arc<OpenFile>,
    block: usize,
    chunks: Vec<Chunk>,
    /// Whether the block begins, or ends, with these chunks.
    is_first: bool,
    is_last: bool,
}

impl Rows {
    /// `bytes_at_once` bytes are fetched together, unless a single chunk is larger.
    pub fn new(store: StateFiles, files: &[Arc<OpenFile>], table: &StepTable, bytes_at_once: u64) -> Self {
        let mut requests = VecDeque::new();
        for file in files {
            for (block, of_step) in file.footer.blocks.iter().enumerate().filter(|(_, block)| block.is_of(table)) {
                requests.extend(requests_of(file, block, of_step, bytes_at_once));
            }
        }
        Self { store, table: Arc::clone(&table.schema), requests, reader: None }
    }

    /// The next rows, in one batch or several; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let Some(request) = self.requests.pop_front() else { return Ok(None) };
        let bytes = request.fetch(&self.store).await?;
        self.decode(&request, &bytes).map(Some)
    }

    /// Reads all rows, with `ahead` requests under way at a time, until `each` returns false. Returns whether `each`
    /// has taken all of them.
    pub async fn for_each(mut self, ahead: usize, mut each: impl FnMut(Change) -> Result<bool>) -> Result<bool> {
        let requests: Vec<_> = std::mem::take(&mut self.requests).into();
        let store = self.store.clone();
        let fetched = requests.into_iter().map(|request| async {
            let bytes = request.fetch(&store).await?;
            Ok::<_, Failure>((request, bytes))
        });
        let mut fetched = futures::stream::iter(fetched).buffered(ahead);
        while let Some((request, bytes)) = fetched.try_next().await? {
            for change in self.decode(&request, &bytes)? {
                if !each(change)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn decode(&mut self, request: &Request, bytes: &Bytes) -> Result<Vec<Change>> {
        let decoded = self.decode_chunks(request, bytes);
        decoded.map_err(|e| e.context(self.store.named(&request.file.file)))
    }

    fn decode_chunks(&mut self, request: &Request, bytes: &Bytes) -> Result<Vec<Change>> {
        let mut reader = match self.reader.take().filter(|_| !request.is_first) {
            Some(reader) => reader,
            None => BlockReader::new(&request.file.footer, &request.file.footer.blocks[request.block], &self.table)?,
        };
        let mut changes = Vec::new();
        let mut rest = bytes.clone();
        for chunk in &request.chunks {
            let length = usize::try_from(chunk.bytes).unwrap_or(usize::MAX).min(rest.len());
            changes.extend(reader.decode(chunk, rest.split_to(length))?);
        }
        if request.is_last {
            reader.finish()?;
        } else {
            self.reader = Some(reader);
        }
        Ok(changes)
    }
}

impl Request {
    async fn fetch(&self, store: &StateFiles) -> Result<Bytes> {
        let from = self.chunks.first().map_or(0, |chunk| chunk.offset);
        let to = self.chunks.last().map_or(from, |chunk| chunk.offset.saturating_add(chunk.bytes));
        store.read(&self.file.file, from..to).await
    }
}

fn requests_of(file: &Arc<OpenFile>, block: usize, of_step: &Block, bytes_at_once: u64) -> Vec<Request> {
    let mut groups: Vec<Vec<Chunk>> = Vec::new();
    let mut bytes = 0;
    for chunk in of_step.chunks() {
        match groups.last_mut().filter(|_| bytes + chunk.bytes <= bytes_at_once) {
            Some(group) => {
                group.push(chunk);
                bytes += chunk.bytes;
            }
            None => {
                bytes = chunk.bytes;
                groups.push(vec![chunk]);
            }
        }
    }
    let last = groups.len().saturating_sub(1);
    let requests = groups.into_iter().enumerate();
    requests
        .map(|(i, chunks)| Request { file: Arc::clone(file), block, chunks, is_first: i == 0, is_last: i == last })
        .collect()
}
