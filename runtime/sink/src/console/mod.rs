//! A console: the first rows of each epoch as a table of text on standard output, for people who try a pipeline. The
//! text is in the manifest, so a process that goes on after a crash shows the epoch in doubt. An epoch may therefore be
//! shown twice, and nothing but the shown rows is kept.

mod grid;

use std::io::{ErrorKind, Write, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use weir_base::failure::{Failure, Result};
use weir_plan::ids::Epoch;
use weir_plan::plan::{self, CONSOLE, ConsoleSink};

use self::grid::{Cells, Grid};
use crate::decided::{Decided, Outcome};
use crate::fitness::Fitness;
use crate::writing::{EpochWriter, Part, Payload, Sealed, Slot, Writers, unknown};
use crate::{Memory, Opener, Pin, Sink, SinkStatus};

pub(crate) const KIND: &str = "Console";
/// The type of a payload: the text that is shown.
pub(crate) const SHOW: &str = "ConsoleShow";

const TEXT: &str = "text";
/// How long standard output may take nothing.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);

type Out = Arc<Mutex<dyn Write + Send>>;

/// The console of a sink of the document.
pub struct ConsoleOpener(plan::Sink, ConsoleSink);

impl ConsoleOpener {
    #[must_use]
    pub fn new(sink: &plan::Sink, console: &ConsoleSink) -> Self {
        Self(sink.clone(), *console)
    }
}

impl Opener for ConsoleOpener {
    fn open(&self) -> BoxFuture<'_, Result<Option<Box<dyn Sink>>>> {
        async { Ok(Some(self.console())) }.boxed()
    }

    fn create(&self) -> BoxFuture<'_, Result<Box<dyn Sink>>> {
        async { Ok(self.console()) }.boxed()
    }
}

impl ConsoleOpener {
    fn console(&self) -> Box<dyn Sink> {
        let shape = Shape { schema: Arc::clone(&self.0.schema), console: self.1 };
        Box::new(Console::new(self.0.name.clone(), Some(shape), Arc::new(Mutex::new(stdout()))))
    }
}

/// The console of a sink that the document no longer has, for the epoch in doubt.
#[must_use]
pub fn former(pin: &Pin) -> Box<dyn Sink> {
    Box::new(Console::new(pin.sink.clone(), None, Arc::new(Mutex::new(stdout()))))
}

/// What the console shows of an epoch's rows.
#[derive(Clone)]
struct Shape {
    schema: SchemaRef,
    console: ConsoleSink,
}

struct Console {
    sink: String,
    /// `None` for a sink of a former document, which gets no rows.
    shape: Option<Shape>,
    out: Out,
    /// The last epoch that was shown.
    shown: Option<Epoch>,
}

impl Console {
    fn new(sink: String, shape: Option<Shape>, out: Out) -> Self {
        Self { sink, shape, out, shown: None }
    }

    async fn show(&mut self, of: &Decided, text: &str) -> Result<Outcome> {
        if self.shown >= Some(of.epoch) {
            return Ok(Outcome::AlreadyThere);
        }
        let (text, out) = (format!("{}, epoch {}\n{text}\n", self.sink, of.epoch), Arc::clone(&self.out));
        let written = spawn_blocking(move || {
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        match timeout(WRITTEN_WITHIN, written).await {
            // A reader that has gone wants no more.
            Ok(Ok(Err(error))) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::retry(format!("standard output can't be written: {error}")))
            }
            Ok(Ok(_)) => {
                self.shown = Some(of.epoch);
                Ok(Outcome::Committed)
            }
            Ok(Err(error)) => Err(Failure::bug(format!("the console's thread ended: {error}"))),
            Err(_) => Err(Failure::retry(format!(
                "standard output has taken nothing for {} s: does anybody read it?",
                WRITTEN_WITHIN.as_secs()
            ))),
        }
    }
}

impl Sink for Console {
    fn pin(&self) -> Pin {
        let place = CONSOLE.to_owned();
        Pin { sink: self.sink.clone(), kind: KIND.to_owned(), id: place.clone(), place }
    }

    fn memory(&self) -> Option<Arc<dyn Memory>> {
        None
    }

    fn writers(&self) -> Arc<dyn Writers> {
        Arc::new(FirstRows(self.shape.clone()))
    }

    fn seal(&mut self, parts: Vec<Part>) -> BoxFuture<'_, Result<Option<Sealed>>> {
        async move {
            let rows: u64 = parts.iter().map(|part| part.rows).sum();
            let Some(shape) = self.shape.as_ref().filter(|_| rows > 0) else { return Ok(None) };
            let mut grid = Grid::new(&shape.schema);
            for part in parts {
                let cells: Cells = serde_json::from_value(part.body)
                    .map_err(|e| Failure::bug(format!("a part is not the console's: {e}")))?;
                grid.add(cells, shape.console.rows);
            }
            let body = Map::from_iter([(TEXT.to_owned(), Value::String(grid.text(rows)))]);
            Ok(Some(Sealed { rows, payload: Payload { kind: SHOW.to_owned(), body } }))
        }
        .boxed()
    }

    fn ready<'a>(&'a mut self, _: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<()>> {
        async { text_of(payload).map(|_| ()) }.boxed()
    }

    fn commit<'a>(&'a mut self, of: &'a Decided, payload: &'a Payload) -> BoxFuture<'a, Result<Outcome>> {
        async { self.show(of, text_of(payload)?).await }.boxed()
    }

    fn status(&self) -> SinkStatus {
        SinkStatus::default()
    }
}

fn text_of(payload: &Payload) -> Result<&str> {
    match (payload.kind.as_str(), payload.body.get(TEXT)) {
        (SHOW, Some(Value::String(text))) => Ok(text),
        (SHOW, _) => {
            Err(Failure::config(format!("its payload `{SHOW}` has no `{TEXT}`: was the manifest changed by hand?")))
        }
        (kind, _) => Err(unknown("its payload has the type", kind)),
    }
}

/// Writers that keep an epoch's first rows.
struct FirstRows(Option<Shape>);

impl Writers for FirstRows {
    fn begin(&self, _: &Slot) -> Result<Box<dyn EpochWriter>> {
        let shape = self.0.clone().ok_or_else(|| Failure::bug("a sink that is gone gets no rows"))?;
        Ok(Box::new(FirstRowsWriter { shape, cells: Cells::default(), rows: 0 }))
    }
}

struct FirstRowsWriter {
    shape: Shape,
    cells: Cells,
    /// All rows, shown or not.
    rows: u64,
}

impl EpochWriter for FirstRowsWriter {
    fn write<'a>(&'a mut self, rows: &'a RecordBatch) -> BoxFuture<'a, Result<()>> {
        async {
            self.rows += rows.num_rows() as u64;
            self.cells.take(rows, &self.shape.console)
        }
        .boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Part>> {
        async move {
            let body = serde_json::to_value(&self.cells).map_err(|e| Failure::bug(format!("rows as text: {e}")))?;
            Ok(Part { rows: self.rows, body })
        }
        .boxed()
    }
}

/// A console shows every value.
pub(crate) struct All;

impl Fitness for All {
    fn check(&self, _: &RecordBatch) -> Result<(), String> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
