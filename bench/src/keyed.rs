//! Keyed work without a broker, which would use some of the cores: records are replayed from memory through lanes and
//! workers into sorted, encoded state and rows. Epochs are read and closed one after the other, although a pipeline
//! reads an epoch while it closes the previous one. So the time of each part is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::json;
use url::Url;
use weir_plan::ids::Epoch;
use weir_plan::key_group::KeyRanges;
use weir_plan::plan::{Mode, Sink};
use weir_plan::stages::Edge;
use weir_runtime::build::Graph;
use weir_runtime::checkpoint::writer;
use weir_runtime::decode;
use weir_runtime::engine::sinks::outputs::SinkOutputs;
use weir_runtime::engine::sinks::task;
use weir_runtime::engine::stateless::{Stateless, Times};
use weir_runtime::engine::worker::{KeyedState, Workers};
use weir_runtime::keyed::edge::{EdgeReport, EdgeSender};
use weir_runtime::memory::Memory;
use weir_runtime::retry::RetryPolicy;
use weir_runtime::sink;
use weir_runtime::sink::Means;
use weir_runtime::sink::delta::DeltaTable;
use weir_runtime::sink::discarding::Nowhere;
use weir_runtime::sink::writing::{Slot, Writers};
use weir_runtime::state::log::{Restorable, StateLog};
use weir_runtime::storage::{Access, Location, Standing};

use crate::cpu_seconds;
use crate::records::{EventTime, Shape};

/// Replays records through lanes and workers, into memory.
#[derive(Debug, Clone, clap::Args)]
pub struct KeyedArgs {
    #[command(flatten)]
    shape: Shape,
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    records_per_epoch: u64,
    /// What is computed.
    #[arg(long, value_enum, default_value_t = Job::ById)]
    job: Job,
    /// Number of lanes and of workers; the number of cores if absent.
    #[arg(long)]
    threads: Option<usize>,
}

/// What is computed from the records. Windows have the records' length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Job {
    /// Sums by `id`.
    ById,
    /// Sums by city, of which there are five: the README's example.
    ByCity,
    /// Sums by city in windows of sixty times the length, one after each length.
    SlidingByCity,
    /// Sums by `id` in sessions whose gap is a quarter of the length.
    SessionsById,
    /// Sums by city of records whose `id` is new within a length.
    OnceByCity,
    /// Sums by city of records, each with the mean price of its `id` over a length.
    OverByCity,
    /// Sums by `id` without windows, whose changes leave in each epoch and are not written.
    RunningById,
}

impl Job {
    fn sink(self) -> serde_json::Value {
        match self {
            Self::RunningById => {
                json!({"name": "shown", "from": "totals", "mode": "Update", "key": ["id"], "console": {}})
            }
            _ => json!({"name": "table", "from": "totals", "delta": {"uri": "file:///unused/table"}}),
        }
    }

    fn steps(self, window_ms: u64) -> serde_json::Value {
        let sums = [("revenue", "sum(price)"), ("avg_distance", "avg(distanceKm)"), ("cnt", "count(*)")];
        let columns = sums.map(|(name, expr)| json!({"name": name, "expr": expr}));
        let totals = |from: &str, key: &str, window: serde_json::Value| {
            json!({"name": "totals", "aggregate": {
                "from": from, "window": window, "groupBy": [{"name": key}], "columns": columns,
            }})
        };
        let length = duration(window_ms);
        let tumbling = json!({"tumbling": {"size": length}});
        match self {
            Self::RunningById => {
                json!([{"name": "totals", "aggregate": {
                    "from": "records", "groupBy": [{"name": "id"}], "columns": columns,
                }}])
            }
            Self::ById => json!([totals("records", "id", tumbling)]),
            Self::ByCity => json!([totals("records", "city", tumbling)]),
            Self::SlidingByCity => {
                let sliding = json!({"sliding": {"size": duration(60 * window_ms), "slide": length}});
                json!([totals("records", "city", sliding)])
            }
            Self::SessionsById => {
                json!([totals("records", "id", json!({"session": {"gap": duration(window_ms / 4)}}))])
            }
            Self::OnceByCity => {
                let once = json!({"from": "records", "key": ["id"], "within": length});
                json!([{"name": "once", "deduplicate": once}, totals("once", "city", tumbling)])
            }
            Self::OverByCity => {
                let mean = json!([{"name": "mean", "expr": "avg(price)"}]);
                let over =
                    json!({"from": "records", "key": ["id"], "range": {"preceding": length}, "addColumns": mean});
                json!([{"name": "moving", "over": over}, totals("moving", "city", tumbling)])
            }
        }
    }
}

/// Rows of a batch, as in a lane.
const BATCH_ROWS: usize = 8192;
const QUEUE_BYTES: u64 = 32 << 20;
const BUFFER_BYTES: u64 = 64 << 20;

/// Wall and CPU seconds of a part of the work.
#[derive(Debug, Default, Clone, Copy)]
struct Took {
    wall: f64,
    cpu: f64,
}

impl Took {
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let (began, cpu) = (Instant::now(), cpu_seconds());
        let done = work();
        self.wall += began.elapsed().as_secs_f64();
        self.cpu += cpu_seconds() - cpu;
        done
    }

    fn plus(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// The records of one lane, stored one after the other.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A thread's part of the reading.
struct Lane {
    stateless: Stateless,
    edges: Vec<EdgeSender>,
    records: Records,
}

/// # Errors
/// A message that says what went wrong.
pub fn keyed(count: u64, args: &KeyedArgs) -> Result<String, String> {
    args.shape.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(said)?;
    let _within = runtime.enter();
    let threads = args.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, Into::into));
    let ranges = KeyRanges::of(threads);
    let plan = weir_crds::load(&document(args), None)
        .map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let graph = Graph::of(Arc::new(plan));
    let mut lanes = (0..threads).map(|_| Lane::new(&graph, ranges)).collect::<Result<Vec<_>, _>>()?;

    let state = KeyedState::new(&graph, threads).map_err(said)?;
    let (mut inputs, mut outputs) = (BTreeMap::new(), SinkOutputs::default());
    for &sink in &graph.stages.keyed_sinks {
        let of_plan = &graph.plan.sinks[sink];
        let writers: Arc<dyn Writers> = match of_plan.mode {
            Mode::Append => Arc::new(runtime.block_on(table(of_plan))?.files()),
            Mode::Update { .. } | Mode::Complete => Arc::new(Nowhere),
        };
        let slot = Slot::new("bench", BUFFER_BYTES);
        let (input, output) = task::spawn(writers, None, slot, state.stages.len(), QUEUE_BYTES);
        outputs.add(sink, of_plan.name.clone(), output);
        inputs.insert(sink, input);
    }
    let mut workers = Workers::start(state, &inputs).map_err(said)?;
    let options = writer::Options::new("memory:///checkpoint", 1);
    let opened = writer::open(
        Arc::new(InMemory::new()),
        Path::from("checkpoint"),
        "bench",
        "0".repeat(32),
        "0".repeat(32),
        options,
    );
    let states = runtime.block_on(opened).map_err(said)?.states();
    let log = runtime.block_on(Restorable::open(Arc::clone(graph.tables()), states.clone(), &[])).map_err(said)?;
    let log = StateLog::new(&log, states.clone(), Arc::new(Memory::new(None).map_err(said)?));

    let (mut read, mut closed, mut emitted, mut saved) =
        (Took::default(), Took::default(), Took::default(), Took::default());
    let (mut rows, mut state_bytes, mut files, mut epoch) = (0, 0, 0, Epoch(1));
    let mut close = |epoch: Epoch, edges: BTreeMap<Edge, EdgeReport>, after_us: Option<i64>| {
        runtime.block_on(async {
            workers.open(epoch, &[None]);
            workers.take_in(edges);
            let keyed = workers.close(&[after_us]).await.map_err(said)?;
            let parts = outputs.parts().await.map_err(said)?;
            rows += parts.into_values().flatten().map(|part| part.rows).sum::<u64>();
            Ok::<_, String>(keyed.changes)
        })
    };
    for from in (0..count).step_by(usize::try_from(args.records_per_epoch).map_err(said)?) {
        fill(&mut lanes, args, from..count.min(from + args.records_per_epoch));
        let edges = read.of(|| reports(&mut lanes, &graph))?;
        epoch = epoch.next();
        let changes = closed.of(|| close(epoch, edges, None))?;
        let written = saved.of(|| runtime.block_on(log.write(states.name(epoch, 0, 0), changes))).map_err(said)?;
        files += written.len();
        state_bytes += written.iter().map(|file| file.bytes).sum::<u64>();
    }
    // All windows close at once, and the sink's only writer encodes their rows.
    emitted.of(|| close(epoch.next(), BTreeMap::new(), Some(i64::MAX)))?;
    let all = read.plus(closed).plus(saved).plus(emitted);
    let figures = |took: Took| json!({"wall_seconds": took.wall, "cpu_seconds": took.cpu});
    let figures = json!({
        "what": "keyed", "records": count, "threads": threads, "rows": rows, "state_bytes": state_bytes, "state_files": files,
        "lanes": figures(read), "merge": figures(closed), "state": figures(saved), "rows_out": figures(emitted), "all": figures(all),
    });
    Ok(figures.to_string())
}

/// Distributes these records to the lanes, as to partitions.
fn fill(lanes: &mut [Lane], args: &KeyedArgs, numbers: std::ops::Range<u64>) {
    let partitions = i32::try_from(lanes.len()).unwrap_or(1);
    let mut value = Vec::new();
    for n in numbers {
        value.clear();
        let partition = args.shape.write(n, EventTime::OfWindow, partitions, &mut value);
        let records = &mut lanes[usize::try_from(partition).unwrap_or(0)].records;
        records.bytes.extend_from_slice(&value);
        records.ends.push(records.bytes.len());
    }
}

/// What all lanes have made of their records.
fn reports(lanes: &mut [Lane], graph: &Graph) -> Result<BTreeMap<Edge, EdgeReport>, String> {
    let of_lanes = thread::scope(|scope| {
        let threads: Vec<_> = lanes.iter_mut().map(|lane| scope.spawn(|| lane.read(graph))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a lane panicked".to_owned())?)
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut edges: BTreeMap<Edge, EdgeReport> = BTreeMap::new();
    for (edge, report) in of_lanes.into_iter().flatten() {
        edges.entry(edge).or_default().add(report);
    }
    Ok(edges)
}

impl Lane {
    fn new(graph: &Arc<Graph>, ranges: KeyRanges) -> Result<Self, String> {
        let stage = &graph.stages.lanes[0];
        let fitness = stage.sinks.iter().map(|sink| sink::fitness(&graph.plan.sinks[*sink])).collect();
        let edges =
            stage.edges.iter().map(|edge| graph.sender(*edge, ranges)).collect::<Result<_, _>>().map_err(said)?;
        Ok(Self { stateless: Stateless::new(Arc::clone(graph), 0, fitness), edges, records: Records::default() })
    }

    fn read(&mut self, graph: &Graph) -> Result<Vec<(Edge, EdgeReport)>, String> {
        let mut decoder = decode::of(&graph.plan.sources[0]);
        let Records { bytes, ends } = std::mem::take(&mut self.records);
        let mut start = 0;
        for batch in ends.chunks(BATCH_ROWS) {
            for end in batch {
                decoder.decode(Some(&bytes[start..*end])).map_err(said)?;
                start = *end;
            }
            let decoded = decoder.finish().map_err(said)?;
            let before_us = vec![vec![None]; self.edges.len()];
            let (edges, mut taken) = (&mut self.edges, Ok(()));
            let times = Times { before_us: &before_us, latest_us: None, now_us: 0 };
            self.stateless.evaluate(&decoded, times, &mut |row, part| {
                taken = match (&taken, part) {
                    (Err(_), _) => return,
                    (_, Err(why)) => Err(format!("record {row} can't be evaluated: {why:?}")),
                    (_, Ok(evaluated)) => {
                        let mut edges = edges.iter_mut().zip(&evaluated.prepared);
                        edges.try_for_each(|(edge, prepared)| edge.take_in(prepared)).map_err(said)
                    }
                };
            });
            taken?;
        }
        let edges = graph.stages.lanes[0].edges.iter().zip(&mut self.edges);
        edges.map(|(edge, sender)| Ok((*edge, sender.end_epoch().map_err(said)?))).collect()
    }
}

async fn table(sink: &Sink) -> Result<DeltaTable, String> {
    let location = Location {
        store: Arc::new(InMemory::new()),
        parts: None,
        path: Path::from("table"),
        url: Url::parse("memory:///table").map_err(said)?,
        access: Access::Folder,
        standing: Standing::default(),
    };
    DeltaTable::open_or_create(location, sink, "bench", &Means::of_system(RetryPolicy::default())).await.map_err(said)
}

/// The document of `bench/run keys` and `bench/run windows`, or the rides job over the same records.
fn document(args: &KeyedArgs) -> String {
    let columns =
        [("id", "bigint"), ("city", "string"), ("price", "double"), ("distanceKm", "double"), ("ts", "timestamp")];
    let columns: Vec<_> = columns.map(|(name, r#type)| json!({"name": name, "type": r#type, "required": true})).into();
    let window_ms = u64::from(args.shape.window_ms);
    let delay = duration(u64::from(args.shape.windows) * window_ms);
    let spec = json!({
        "checkpoint": {"uri": "file:///unused/checkpoint"},
        "connections": [{"name": "events", "kafka": {"bootstrapServers": "unused:9092"}}],
        "sources": [{
            "name": "records",
            "kafka": {"connection": "events", "topics": ["records"], "startFrom": {"position": "Earliest"}},
            "format": {"json": {"timestampNumbers": "EpochMillis"}},
            "columns": columns,
            "eventTime": {"expr": "ts", "watermarkDelay": delay},
        }],
        "steps": args.job.steps(window_ms),
        "sinks": [args.job.sink()],
    });
    json!({"apiVersion": "weir.dev/v1alpha1", "kind": "StreamPipeline", "metadata": {"name": "bench"}, "spec": spec})
        .to_string()
}

/// A duration as documents write it.
fn duration(ms: u64) -> String {
    let parts = [(ms / 3_600_000, "h"), (ms / 60_000 % 60, "m"), (ms / 1_000 % 60, "s"), (ms % 1_000, "ms")];
    parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect()
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
