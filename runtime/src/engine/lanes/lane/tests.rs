//! A lane over librdkafka's mock cluster, with a decoder whose records name schemas. The tests show what waits for a
//! schema and what does not.
#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{AsArray, StringBuilder};
use arrow::datatypes::{Int32Type, Int64Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use weir_plan::expr;
use weir_plan::ids::TopicPartition;
use weir_plan::metadata::{MetadataColumn, MetadataField};
use weir_plan::outputs::rejected_schema;
use weir_plan::plan::{
    BadRecords as BadRecordsPlan, BadRecordsPolicy, Format, Input, JsonFormat, Limits, Source, TimestampNumbers,
    Tombstones,
};
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_testing::kafka::{Cluster, SOON, cluster, source};
use weir_testing::schemas::{EFFORT, Shelf, absent};

use std::time::Instant;

use super::*;
use crate::Remedy;
use crate::build::Graph;
use crate::decode::schemas::{Registry, SchemaId};
use crate::decode::{RecordError, Undecoded};
use crate::engine::lanes::Skew;
use crate::engine::sinks::kept::Kept;
use crate::engine::sinks::task::{self, SinkOutput};
use crate::memory::Memory;
use crate::sink;
use crate::sink::writing::Slot;
use crate::source::kafka::{Fetching, KafkaInput, Position};
use crate::storage::Secrets;

/// The clock of every epoch.
const CLOCK_US: i64 = 1_800_000_000_000_000;
const MINUTE_US: i64 = 60_000_000;

/// Decodes `<id>:<text>` to `<definition>:<text>`. It keeps only the last schema that it has learned.
struct Named {
    schema: SchemaRef,
    last: Option<(SchemaId, String)>,
    values: StringBuilder,
}

impl Decoder for Named {
    fn decode(&mut self, value: Option<&[u8]>) -> std::result::Result<(), Undecoded> {
        let value = std::str::from_utf8(value.unwrap()).unwrap();
        let bad = |reason: &str| Undecoded::Bad(RecordError { path: "$".into(), reason: reason.into() });
        let (id, text) = value.split_once(':').ok_or_else(|| bad("no schema is named"))?;
        let id = SchemaId(id.parse().unwrap());
        let (_, definition) = self.last.as_ref().filter(|(last, _)| *last == id).ok_or(Undecoded::Needs(id))?;
        if definition == "unfit" {
            return Err(bad("its schema can't be used"));
        }
        self.values.append_value(format!("{definition}:{text}"));
        Ok(())
    }

    fn learn(&mut self, id: SchemaId, definition: &str) {
        self.last = Some((id, definition.into()));
    }

    fn finish(&mut self) -> std::result::Result<RecordBatch, ArrowError> {
        RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(self.values.finish())])
    }
}

fn value() -> Column {
    Column { name: "value".into(), data_type: DataType::String, nullable: false }
}

fn coordinates() -> Vec<MetadataColumn> {
    let column = |name: &str, field| MetadataColumn { name: name.into(), field };
    vec![
        column("p", MetadataField::Partition),
        column("o", MetadataField::Offset),
        column("t", MetadataField::Timestamp),
    ]
}

/// Decoded rows go into one sink unchanged. Their event time is the record's timestamp.
fn graph(servers: &str) -> Arc<Graph> {
    let columns = std::iter::once(value()).chain(coordinates().into_iter().map(|c| c.column()));
    let mut fields: Vec<_> = columns.map(|c| c.to_field()).collect();
    let given: SchemaRef = Arc::new(Schema::new(fields.clone()));
    fields.push(Column { name: EVENT_TIME.into(), data_type: DataType::Timestamp, nullable: false }.to_field());
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let source = Source {
        name: "in".into(),
        kafka: source(servers, &["a"]),
        columns: vec![value()],
        format: Format::Json(JsonFormat { timestamp_numbers: TimestampNumbers::Refuse }),
        metadata_columns: coordinates(),
        bad_records: BadRecordsPlan { policy: BadRecordsPolicy::Output, max_per_million: None },
        tombstones: Tombstones::Bad,
        event_time: Some(crate::fixtures::event_time(expr::compile("t", &given, EVENT_TIME).unwrap())),
        schema,
    };
    let sink = crate::fixtures::sink("out", Input::Source(0), given);
    Graph::of(Arc::new(crate::fixtures::plan(vec![source], vec![], vec![sink])))
}

/// A topic of two partitions, and the schemas that can be asked for.
struct World {
    runtime: Runtime,
    cluster: Cluster,
    producer: BaseProducer,
    shelf: Arc<Shelf>,
    schemas: Arc<Schemas>,
}

impl World {
    /// A world with these values in the partitions. The first of each has the minute 0, the next one the minute 1.
    fn with(values: [&[&str]; 2]) -> Self {
        let cluster = cluster(&[("a", 2)]);
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shelf = Arc::new(Shelf::default());
        let schemas = {
            let _within = runtime.enter();
            Arc::new(Schemas::new(Arc::clone(&shelf) as Arc<dyn Registry>, EFFORT))
        };
        let world = Self { runtime, cluster, producer, shelf, schemas };
        for (partition, values) in (0..).zip(values) {
            (0..).zip(values).for_each(|(minute, value)| world.send(partition, minute, value));
        }
        world
    }

    /// Puts a record with the event time of this minute.
    fn send(&self, partition: i32, minute: i64, value: &str) {
        let record = BaseRecord::<(), _>::to("a").partition(partition).payload(value);
        let record = record.timestamp((CLOCK_US + minute * MINUTE_US) / 1_000);
        self.producer.send(record).map_err(|(e, _)| e).unwrap();
        self.producer.flush(SOON).unwrap();
    }

    /// A lane that begins at these offsets. A run ends at `bounds`.
    fn lane(&self, starts: [i64; 2], bounds: Option<[i64; 2]>, policy: BadRecordsPolicy) -> Running<'_> {
        self.lane_with(starts, bounds, policy, None)
    }

    /// A lane whose partitions may be this far ahead of one another.
    fn lane_with(
        &self,
        starts: [i64; 2],
        bounds: Option<[i64; 2]>,
        policy: BadRecordsPolicy,
        max_skew_us: Option<i64>,
    ) -> Running<'_> {
        let servers = self.cluster.bootstrap_servers();
        let input =
            KafkaInput::connect_with(&source(&servers, &["a"]), "test", &Secrets::default(), Fetching::default())
                .unwrap();
        let id = |partition| TopicPartition { topic: "a".into(), partition };
        let end = |at: usize| bounds.map(|bounds| bounds[at]);
        let position = |at: usize| Position {
            partition: id(at.try_into().unwrap()),
            next: starts[at],
            end: end(at),
            leader_epoch: None,
        };
        let assignment = |at: usize| Assignment {
            index: at,
            id: id(at.try_into().unwrap()),
            start: starts[at],
            bound: end(at),
            at_end_since: None,
        };
        let lane_input = input.assign(&[position(0), position(1)], 1).unwrap().remove(0);
        let (rows, letters) = (Kept::default(), Kept::default());
        let graph = graph(&servers);
        let spawn = |kept: &Kept| {
            let _within = self.runtime.enter();
            task::spawn(Arc::new(kept.clone()), None, Slot::new("", 1 << 20), 1, 1 << 20)
        };
        let ((sink, written), (rejected, refused)) = (spawn(&rows), spawn(&letters));
        let limits = Limits { records_per_epoch: 1_000_000, bytes_per_epoch: 1 << 30 };
        let epoch = Arc::new(OpenEpoch::new(
            limits,
            u64::MAX,
            Arc::new(Memory::new(None).unwrap()),
            Arc::new(crate::clock::wall_us),
        ));
        let parts = LaneParts {
            source: 0,
            input: lane_input,
            decoder: Box::new(Named {
                schema: Arc::new(Schema::new(vec![value().to_field()])),
                last: None,
                values: StringBuilder::new(),
            }),
            schemas: Some(Arc::clone(&self.schemas)),
            metadata: Metadata::new(&coordinates()),
            stateless: Stateless::new(Arc::clone(&graph), 0, graph.plan.sinks.iter().map(sink::fitness).collect()),
            edges: vec![],
            sinks: vec![sink],
            bad_records: BadRecords::new(policy, vec![rejected]),
            skips_tombstones: false,
            keeps_records: true,
            max_future_us: None,
            is_timed_by_kafka: false,
            is_timed_by_clock: false,
            on_lost_offsets: OnLostOffsets::Fail,
            run_ends: bounds.is_some(),
            assignments: vec![assignment(0), assignment(1)],
            skew: max_skew_us
                .map(|max_us| SkewOfSource::new(Arc::new(Skew::new([None, None].into_iter())), 0, Some(max_us))),
            epoch: Arc::clone(&epoch),
        };
        let (commands, of_lane) = sync_channel(2);
        let (to_us, reports) = mpsc::channel(1);
        let thread = std::thread::spawn(move || Lane::new(parts).run(&of_lane, &to_us));
        let seen = Seen { next: starts, rows: Vec::new(), letters: Vec::new() };
        let (awaits, paused) = ([None, None], [false, false]);
        Running {
            world: self,
            _input: input,
            commands,
            reports,
            thread: Some(thread),
            epoch,
            outputs: [written, refused],
            rows,
            letters,
            seen,
            awaits,
            paused,
        }
    }
}

/// The result of the epochs that were closed.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    next: [i64; 2],
    /// Partition, offset, value.
    rows: Vec<(i32, i64, String)>,
    /// Partition, offset, reason.
    letters: Vec<(i32, i64, String)>,
}

impl Seen {
    fn of(&self, partition: i32) -> Vec<(i64, &str)> {
        self.rows.iter().filter(|row| row.0 == partition).map(|row| (row.1, row.2.as_str())).collect()
    }
}

struct Running<'w> {
    world: &'w World,
    _input: KafkaInput,
    commands: SyncSender<Command>,
    reports: mpsc::Receiver<LaneMessage>,
    thread: Option<JoinHandle<Result<()>>>,
    epoch: Arc<OpenEpoch>,
    outputs: [SinkOutput; 2],
    rows: Kept,
    letters: Kept,
    seen: Seen,
    /// By partition: what it waited for when the last epoch was closed.
    awaits: [Option<AwaitedSchema>; 2],
    /// By partition: whether it waited for a slower one.
    paused: [bool; 2],
}

impl Running<'_> {
    /// Runs an epoch and closes it when something was read, or soon.
    fn epoch(&mut self) -> Result<()> {
        self.epoch.reset();
        let told = self.commands.send(Command::Begin(Before::default()));
        let until = Instant::now() + Duration::from_millis(100);
        while self.epoch.records() == 0 && Instant::now() < until {
            std::thread::yield_now();
        }
        if told.and_then(|()| self.commands.send(Command::Close { clock_us: CLOCK_US })).is_err() {
            self.thread.take().unwrap().join().unwrap()?;
        }
        let Some(report) = self.reports.blocking_recv() else {
            return self.thread.take().unwrap().join().unwrap();
        };
        for partition in &report?.partitions {
            self.seen.next[partition.partition] = partition.next;
            self.awaits[partition.partition] = partition.awaits;
            self.paused[partition.partition] = partition.waits;
        }
        for output in &mut self.outputs {
            self.world.runtime.block_on(output.next())?;
        }
        for batch in self.rows.take() {
            let (p, o) = (batch.column(1).as_primitive::<Int32Type>(), batch.column(2).as_primitive::<Int64Type>());
            let values = batch.column(0).as_string::<i32>();
            self.seen.rows.extend((0..batch.num_rows()).map(|i| (p.value(i), o.value(i), values.value(i).to_owned())));
        }
        for batch in self.letters.take() {
            let column = |name: &str| batch.column(rejected_schema().index_of(name).unwrap());
            let (p, o) =
                (column("partition").as_primitive::<Int32Type>(), column("offset").as_primitive::<Int64Type>());
            let reasons = column("reason").as_string::<i32>();
            self.seen
                .letters
                .extend((0..batch.num_rows()).map(|i| (p.value(i), o.value(i), reasons.value(i).to_owned())));
        }
        Ok(())
    }

    fn until(&mut self, next: [i64; 2]) -> Result<Seen> {
        let until = Instant::now() + SOON;
        while self.seen.next != next {
            assert!(Instant::now() < until, "not {next:?}: {:?}", self.seen);
            self.epoch()?;
        }
        Ok(self.seen.clone())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.epoch.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const TWO: [&[&str]; 2] = [&["1:a", "1:b", "2:c", "1:d", "2:e"], &["1:v", "1:w", "1:x", "1:y", "1:z"]];

#[test]
fn other_partitions_are_read_on_while_one_waits_which_goes_on_at_that_record() {
    let world = World::with(TWO);
    world.shelf.define(1, "one");
    let began = Instant::now();
    let mut lane = world.lane([0, 0], None, BadRecordsPolicy::Fail);
    let waiting = lane.until([2, 5]).unwrap();
    assert_eq!(waiting.of(0), [(0, "one:a"), (1, "one:b")]);
    assert_eq!(waiting.of(1), [(0, "one:v"), (1, "one:w"), (2, "one:x"), (3, "one:y"), (4, "one:z")]);
    for _ in 0..3 {
        lane.epoch().unwrap();
        assert_eq!(lane.seen, waiting, "an epoch that is closed meanwhile has the offset of the record that waits");
    }
    let [Some(awaited), None] = lane.awaits else { panic!("{:?}", lane.awaits) };
    assert_eq!((awaited.offset, awaited.id), (2, SchemaId(2)));
    let waited = Duration::from_micros((CLOCK_US - awaited.since_us).try_into().unwrap());
    assert!(waited > Duration::ZERO && waited < began.elapsed(), "{waited:?} of {:?}", began.elapsed());
    world.shelf.define(2, "two");
    let all = lane.until([5, 5]).unwrap();
    assert_eq!(lane.awaits, [None, None]);
    assert_eq!(all.of(0), [(0, "one:a"), (1, "one:b"), (2, "two:c"), (3, "one:d"), (4, "two:e")]);
    assert_eq!((all.of(1), all.letters.len()), (waiting.of(1), 0));
    assert_eq!(world.shelf.asked(), [1, 2], "each schema once, however often the decoder forgets it");
}

#[test]
fn lanes_that_come_after_go_on_at_the_record_that_waited_and_know_what_those_before_them_asked() {
    let world = World::with(TWO);
    world.shelf.define(1, "one");
    let mut first = world.lane([0, 0], None, BadRecordsPolicy::Fail);
    let Seen { next, .. } = first.until([2, 5]).unwrap();
    drop(first);
    world.shelf.define(2, "two");
    let rest = world.lane(next, None, BadRecordsPolicy::Fail).until([5, 5]).unwrap();
    assert_eq!(rest.of(0), [(2, "two:c"), (3, "one:d"), (4, "two:e")]);
    assert_eq!((rest.of(1).len(), world.shelf.asked()), (0, vec![1, 2]));
}

#[test]
fn a_record_of_a_schema_that_does_not_exist_is_a_bad_one_and_so_are_all_whose_schema_is_of_no_use() {
    let world = World::with([&["1:a", "2:b", "1:c", "2:d", "3:e"], &["e"]]);
    world.shelf.define(1, "one");
    world.shelf.put(2, absent(2));
    world.shelf.define(3, "unfit");
    let seen = world.lane([0, 0], None, BadRecordsPolicy::Output).until([5, 1]).unwrap();
    assert_eq!(seen.rows, [(0, 0, "one:a".to_owned()), (0, 2, "one:c".to_owned())]);
    let mut letters = seen.letters;
    letters.sort_unstable();
    let expected = [
        (0, 1, "the shelf has no schema 2"),
        (0, 3, "the shelf has no schema 2"),
        (0, 4, "its schema can't be used"),
        (1, 0, "no schema is named"),
    ];
    assert_eq!(letters, expected.map(|(p, o, reason)| (p, o, reason.to_owned())));
    assert_eq!(
        world.shelf.asked().iter().filter(|id| **id == 2).count(),
        2,
        "asked again once, before it counts as absent"
    );
    let failure = world.lane([1, 1], None, BadRecordsPolicy::Fail).until([5, 1]).unwrap_err();
    assert_eq!(failure.remedy, Remedy::Data);
    assert!(
        failure.message.starts_with("the record at a-0 offset 1 can't be processed: the shelf has no schema 2; "),
        "{failure}"
    );
}

#[test]
fn a_registry_that_stays_away_ends_the_lane_with_the_record_that_waited() {
    for (found, remedy, says) in [
        (
            Failure::retry("the shelf is away"),
            Remedy::Retry,
            "the shelf is away; given up after 50ms of trying; see what became of the registry; what was read before \
             is committed",
        ),
        (
            Failure::config("the shelf is locked"),
            Remedy::Config,
            "the shelf is locked; what was read before is committed",
        ),
    ] {
        let world = World::with(TWO);
        world.shelf.define(1, "one");
        world.shelf.put(2, Err(found));
        let failure = world.lane([0, 0], None, BadRecordsPolicy::Drop).until([5, 5]).unwrap_err();
        assert_eq!(failure.remedy, remedy);
        let expected = format!("the record at a-0 offset 2 needs schema 2 to be decoded: {says}");
        assert!(failure.message.starts_with(&expected), "{failure}");
    }
}

/// What comes next of it is as old as what it gave last, and it holds the watermark. So the others would only open
/// windows.
#[test]
fn a_partition_that_waits_for_a_schema_holds_back_those_too_far_ahead_of_it_as_any_slow_one_does() {
    let world = World::with([&["1:a", "2:b"], &["1:v"]]);
    world.shelf.define(1, "one");
    let mut lane = world.lane_with([0, 0], None, BadRecordsPolicy::Fail, Some(2 * MINUTE_US));
    lane.until([1, 1]).unwrap();
    world.send(1, 2, "1:w");
    lane.until([1, 2]).unwrap();
    lane.epoch().unwrap();
    assert_eq!((lane.awaits[0].is_some(), lane.paused), (true, [false, false]), "as far ahead as it may be");
    world.send(1, 3, "1:x");
    lane.until([1, 3]).unwrap();
    let until = Instant::now() + SOON;
    while lane.paused != [false, true] {
        assert!(Instant::now() < until, "{:?}", lane.seen);
        lane.epoch().unwrap();
    }
    world.send(1, 4, "1:y");
    for _ in 0..3 {
        lane.epoch().unwrap();
        assert_eq!((lane.seen.next, lane.paused), ([1, 3], [false, true]));
    }
    world.shelf.define(2, "two");
    let all = lane.until([2, 4]).unwrap();
    assert_eq!(all.of(0), [(0, "one:a"), (1, "two:b")]);
    assert_eq!(all.of(1), [(0, "one:v"), (1, "one:w"), (2, "one:x"), (3, "one:y")]);
}

#[test]
fn a_run_that_ends_does_not_end_before_the_record_that_waits() {
    let world = World::with(TWO);
    world.shelf.define(1, "one");
    let mut lane = world.lane([0, 0], Some([3, 5]), BadRecordsPolicy::Fail);
    lane.until([2, 5]).unwrap();
    lane.epoch().unwrap();
    assert_eq!(lane.epoch.lanes_at_bound(), 0);
    world.shelf.define(2, "two");
    assert_eq!(lane.until([3, 5]).unwrap().of(0), [(0, "one:a"), (1, "one:b"), (2, "two:c")]);
    let until = Instant::now() + SOON;
    while lane.epoch.lanes_at_bound() == 0 {
        assert!(Instant::now() < until);
        lane.epoch().unwrap();
    }
}
