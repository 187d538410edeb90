//! State passes through files, compactions and a store. It comes back unchanged, or the file is refused by its name.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_plan::aggregate::{self, AggregateColumn, GroupColumn};
use weir_plan::ids::Generation;
use weir_plan::key_group::KeyRanges;
use weir_plan::plan::{Input, Step, StepOp};
use weir_plan::types::{Column, DataType, EVENT_TIME};
use weir_plan::window::Window;

use super::*;
use crate::build::Graph;
use crate::checkpoint::layout::COMPACTED_FROM;
use crate::checkpoint::store::Store;
use crate::failure::Remedy;
use crate::fixtures;
use crate::retry::{Jitter, RetryPolicy};
use crate::state::Entries;

const SIZE_US: i64 = 10;

fn input_schema() -> SchemaRef {
    let column = |name: &str, data_type, nullable| Column { name: name.into(), data_type, nullable }.to_field();
    Arc::new(Schema::new(vec![
        column("key", DataType::String, true),
        column("value", DataType::Bigint, true),
        column(EVENT_TIME, DataType::Timestamp, false),
    ]))
}

/// Two steps that keep state: sums by key, and a count without keys.
fn graph() -> Arc<Graph> {
    let step = |name: &str, expr: &str, keys: &[GroupColumn]| {
        let columns = [AggregateColumn { name: "x".into(), expr: expr.into(), filter: None }];
        let aggregate =
            aggregate::compile(Input::Source(0), &input_schema(), Window::tumbling(SIZE_US), keys, &columns).unwrap();
        let schema = aggregate.output_schema();
        Step { name: name.into(), op: StepOp::Aggregate(Arc::new(aggregate)), schema }
    };
    let steps = vec![step("sums", "sum(value)", &["key".into()]), step("counts", "count(*)", &[])];
    Graph::of(Arc::new(fixtures::plan(vec![fixtures::source("in", None, input_schema())], steps, vec![])))
}

struct Rig {
    objects: Arc<InMemory>,
    graph: Arc<Graph>,
    files: StateFiles,
}

/// By table, last moment of the window, and key: the value of the only state column.
type State = BTreeMap<(usize, i64, Option<String>), i64>;

impl Rig {
    fn new() -> Self {
        let objects = Arc::new(InMemory::new());
        let store = Store::new(objects.clone(), Path::from("c"), "test://c", Duration::from_secs(5));
        let retry = RetryPolicy::giving_up_after(Duration::from_millis(1));
        let files = StateFiles::new(store, Generation(1), retry, Jitter::new(1));
        Self { objects, graph: graph(), files }
    }

    /// Changes of both steps, made from random rows.
    fn changes(&self, rows: usize, rng: &mut SmallRng) -> Vec<(usize, Change)> {
        let times: Vec<i64> = (0..rows).map(|_| rng.random_range(0..40)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(
                (0..rows)
                    .map(|_| rng.random_bool(0.9).then(|| format!("{:060}", rng.random_range(0..3000))))
                    .collect::<StringArray>(),
            ),
            Arc::new((0..rows).map(|_| Some(rng.random_range(0..100))).collect::<Int64Array>()),
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        ];
        let batch = RecordBatch::try_new(input_schema(), columns).unwrap();
        let changes = self.graph.tables().iter().enumerate().map(|(i, table)| {
            let step = self.graph.keyed_step(self.graph.owner(i).0).unwrap();
            let mut lane = step.sender(0).unwrap();
            lane.take_in(&step.prepare(0, &batch, None, &[None]).unwrap()).unwrap();
            (i, Change::of(&table.schema, &lane.drain().unwrap()).unwrap().unwrap())
        });
        changes.collect()
    }

    /// Writes one or several files per epoch.
    async fn written(&self, epochs: u64, rng: &mut SmallRng) -> (Vec<StateFile>, State) {
        let (mut files, mut state) = (Vec::new(), State::new());
        for epoch in 2..2 + epochs {
            let changes = self.changes(rng.random_range(1..4000), rng);
            changes.iter().for_each(|(table, change)| add(&mut state, *table, &change.entries));
            let file_bytes = Some(if rng.random_bool(0.5) { 20_000 } else { u64::MAX });
            let mut output =
                Output::new(Arc::clone(self.graph.tables()), self.files.clone(), self.files.name(Epoch(epoch), 0, 0));
            output = output.with_files_of(file_bytes);
            for (table, change) in &changes {
                output.write(*table, change).await.unwrap();
            }
            files.extend(output.finish().await.unwrap());
        }
        (files, state)
    }

    async fn saved(&self, files: &[StateFile]) -> Result<Restorable> {
        Restorable::open(Arc::clone(self.graph.tables()), self.files.clone(), files).await
    }

    async fn log(&self, files: &[StateFile]) -> StateLog {
        StateLog::new(&self.saved(files).await.unwrap(), self.files.clone(), Arc::new(Memory::new(None).unwrap()))
    }

    async fn read(&self, files: &[StateFile]) -> Result<State> {
        let mut state = State::new();
        let saved = self.saved(files).await?;
        let each = |table, change: Change| {
            add(&mut state, table, &change.entries);
            Ok(true)
        };
        saved.load(each).await?;
        Ok(state)
    }

    fn compaction(&self, files: &[StateFile], epoch: u64, bytes_max: u64) -> Compaction {
        Compaction {
            tables: Arc::clone(self.graph.tables()),
            store: self.files.clone(),
            runs: runs(files).map(<[_]>::to_vec).collect(),
            first: self.files.name(Epoch(epoch), 0, COMPACTED_FROM),
            horizons_us: vec![None; self.graph.tables().len()],
            bytes_max,
            held: Held { file_bytes: Some(30_000), ..Held::default() },
        }
    }
}

fn add(state: &mut State, table: usize, entries: &Entries) {
    let [groups @ .., _start] = &entries.keys[..] else { panic!("entries without windows") };
    let keys = groups.first().map(|keys| keys.as_string::<i32>().clone());
    for (row, time) in entries.times.values().iter().enumerate() {
        let key = keys.as_ref().and_then(|keys| keys.iter().nth(row).flatten().map(str::to_owned));
        *state.entry((table, *time, key)).or_default() += entries.values[0].as_primitive::<Int64Type>().value(row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compacted_in_any_number_of_passes_and_files_the_state_is_the_same() {
    for (seed, bytes_max) in [(1, 0), (2, 8 << 20), (3, u64::MAX)] {
        let mut rng = SmallRng::seed_from_u64(seed);
        let rig = Rig::new();
        let (files, state) = rig.written(7, &mut rng).await;
        assert_eq!(rig.read(&files).await.unwrap(), state);
        let done = rig.compaction(&files, 9, bytes_max).run().await.unwrap();
        assert_eq!(done.inputs.len(), files.len());
        let (_, full) = done.outputs.split_last().unwrap();
        assert!(!full.is_empty() && full.iter().all(|file| file.bytes >= 30_000), "{:?}", done.outputs);
        assert_eq!(runs(&done.outputs).count(), 1, "they are one run for the next compaction");
        assert_eq!(rig.read(&done.outputs).await.unwrap(), state);
        assert_eq!(done.outputs.iter().map(|file| file.rows).sum::<u64>(), state.len() as u64, "each group once");
        // Compacted state is compacted again together with later changes.
        let (more, later) = rig.written(3, &mut rng).await;
        let all: Vec<_> = done.outputs.into_iter().chain(more).collect();
        let again = rig.compaction(&all, 20, bytes_max).run().await.unwrap();
        let mut both = state;
        later.into_iter().for_each(|(group, value)| *both.entry(group).or_default() += value);
        assert_eq!(rig.read(&again.outputs).await.unwrap(), both);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_windows_are_left_out_and_the_list_is_taken_up_in_its_place() {
    let mut rng = SmallRng::seed_from_u64(5);
    let rig = Rig::new();
    let (files, state) = rig.written(4, &mut rng).await;
    let mut log = rig.log(&files).await;
    let horizons_us = vec![Some(20), Some(10)];
    log.compact_if_long(4, rig.files.name(Epoch(6), 0, COMPACTED_FROM), horizons_us.clone());
    assert!(log.compaction.is_none(), "four changes are not more than four");
    log.compact_if_long(3, rig.files.name(Epoch(6), 0, COMPACTED_FROM), horizons_us);
    let change = log.write(rig.files.name(Epoch(6), 0, 0), vec![rig.changes(10, &mut rng)]).await.unwrap();
    let before = log.advance(Vec::new(), &[None, None]).await.unwrap();
    while log.compaction.as_ref().is_some_and(|running| !running.task.is_finished()) {
        tokio::task::yield_now().await;
    }
    let after = log.advance(change.clone(), &[None, None]).await.unwrap();
    assert_eq!(after.compacting, None);
    if before.compacting.is_some() {
        assert_eq!(before.compacting, Some(Epoch(6)), "the manifest says that files of epoch 6 are being written");
    }
    assert_eq!(after.files, log.files);
    assert!(log.files.ends_with(&change) && after.files[0].name().unwrap().is_compacted());
    let compacted = rig.read(&log.files[..log.files.len() - change.len()]).await.unwrap();
    let open: State = state.into_iter().filter(|((table, time, _), _)| *time >= [20, 10][*table]).collect();
    assert_eq!(compacted, open);
    assert_eq!(changes(&log.files), 1);
}

/// Cuts changes into the parts that workers have.
fn of_workers(changes: &[(usize, Change)], workers: usize) -> Vec<Vec<(usize, Change)>> {
    let ranges = KeyRanges::of(workers);
    let part = |change: &Change, worker: usize| {
        let place = |group: u16| change.key_groups.values().partition_point(|other| *other < group);
        let (from, to) = (place(ranges.range(worker).start), place(ranges.range(worker).end));
        change.slice(from, to - from)
    };
    let of_worker = |worker| {
        let parts = changes.iter().map(|(table, change)| (*table, part(change, worker)));
        parts.filter(|(_, part)| part.rows() > 0).collect()
    };
    (0..workers).map(of_worker).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_several_workers_is_one_run_in_the_order_of_key_groups_whatever_files_it_is_in() {
    let mut rng = SmallRng::seed_from_u64(8);
    let rig = Rig::new();
    let changes = rig.changes(3000, &mut rng);
    let bytes: usize = of_workers(&changes, 1).iter().flatten().map(|(_, change)| change.bytes()).sum();
    let mut state = State::new();
    changes.iter().for_each(|(table, change)| add(&mut state, *table, &change.entries));
    let mut counts = Vec::new();
    for workers in [1, 2, 3, 8] {
        // The parts are slices, each of which reports the bytes of the whole.
        for stretch_bytes in [None, Some(bytes * 3), Some(1)] {
            let mut log = rig.log(&[]).await;
            log.held.stretch_bytes = stretch_bytes;
            let files = log.write(rig.files.name(Epoch(7), 0, 0), of_workers(&changes, workers)).await.unwrap();
            counts.push(files.len());
            assert_eq!(
                (runs(&files).count(), super::changes(&files)),
                (1, 1),
                "{workers} workers, stretches of {stretch_bytes:?}"
            );
            assert_eq!(rig.read(&files).await.unwrap(), state);
            // A run that is not in order would give some keys twice.
            let (older, _) = rig.written(1, &mut rng).await;
            let compacted = rig.compaction(&[older, files].concat(), 9, 0).run().await.unwrap();
            let rows = rig.read(&compacted.outputs).await.unwrap().len() as u64;
            assert_eq!(compacted.outputs.iter().map(|file| file.rows).sum::<u64>(), rows);
        }
    }
    assert_eq!(counts, [1, 1, 1, 1, 1, 2, 1, 1, 3, 1, 2, 8], "files");
    assert!(
        rig.log(&[]).await.write(rig.files.name(Epoch(2), 0, 0), vec![Vec::new(); 3]).await.unwrap().is_empty(),
        "no rows, no file"
    );
}

/// Two tables have a source each. A file waits for the least horizon of the tables that have rows in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_leaves_by_the_horizons_of_the_tables_that_have_rows_in_it_and_waits_for_no_others() {
    let mut rng = SmallRng::seed_from_u64(7);
    let rig = Rig::new();
    let log = rig.log(&[]).await;
    let mut changes = rig.changes(2000, &mut rng);
    let both = log.write(rig.files.name(Epoch(2), 0, 0), vec![changes.clone()]).await.unwrap();
    let counts = log.write(rig.files.name(Epoch(3), 0, 0), vec![changes.drain(1..).collect()]).await.unwrap();
    let sums = log.write(rig.files.name(Epoch(4), 0, 0), vec![changes]).await.unwrap();
    let all: Vec<StateFile> = [&both[..], &counts, &sums].concat();
    let said = |file: &StateFile| -> Vec<_> {
        file.tables.iter().map(|of| (of.step.clone(), of.table.clone(), of.max_time_us)).collect()
    };
    let [of_sums, of_counts] = ["sums", "counts"].map(|step| (step.to_owned(), "windows".to_owned(), Some(39)));
    assert_eq!(
        all.iter().map(said).collect::<Vec<_>>(),
        [vec![of_sums.clone(), of_counts.clone()], vec![of_counts], vec![of_sums]]
    );
    let stays = |names: &[&[StateFile]]| names.concat();
    for (horizons_us, expected) in [
        ([None, None], stays(&[&both, &counts, &sums])),
        ([Some(39), Some(39)], stays(&[&both, &counts, &sums])),
        ([Some(40), None], stays(&[&both, &counts])),
        ([Some(39), Some(40)], stays(&[&both, &sums])),
        ([Some(40), Some(40)], vec![]),
    ] {
        // The log is one that has written the files, or one that a start has restored.
        for found in [rig.log(&[]).await, rig.log(&all).await] {
            let (mut log, change) = (found, all.clone());
            let change = if log.files.is_empty() { change } else { vec![] };
            assert_eq!(log.advance(change, &horizons_us).await.unwrap().files, expected, "{horizons_us:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_torn_flipped_exchanged_or_gone_is_refused_by_its_name_by_starts_and_compactions() {
    let mut rng = SmallRng::seed_from_u64(6);
    let rig = Rig::new();
    let (files, state) = rig.written(3, &mut rng).await;
    let file = &files[1];
    let path = Path::from(format!("c/{}", file.path));
    let whole = rig.objects.get(&path).await.unwrap().bytes().await.unwrap();
    let other = rig.objects.get(&Path::from(format!("c/{}", files[0].path))).await.unwrap().bytes().await.unwrap();
    let mut bad: Vec<(&str, Option<Vec<u8>>)> = vec![("gone", None), ("exchanged", Some(other.to_vec()))];
    for _ in 0..40 {
        bad.push(("torn", Some(whole[..rng.random_range(0..whole.len())].to_vec())));
        let mut flipped = whole.to_vec();
        flipped[rng.random_range(8..whole.len())] ^= 1 << rng.random_range(0..8);
        bad.push(("flipped", Some(flipped)));
    }
    for (what, bytes) in bad {
        match bytes {
            Some(bytes) => drop(rig.objects.put(&path, bytes.into()).await.unwrap()),
            None => rig.objects.delete(&path).await.unwrap(),
        }
        for refused in [rig.read(&files).await.map(|_| ()), rig.compaction(&files, 9, 0).run().await.map(|_| ())] {
            let failure = refused.expect_err(what);
            assert_eq!(failure.remedy, Remedy::Config, "{what}: {failure}");
            assert!(failure.message.starts_with(&format!("{} in test://c: ", file.path)), "{what}: {failure}");
            assert!(failure.message.contains("spec.stateAction"), "{what}: {failure}");
        }
    }
    rig.objects.put(&path, whole.into()).await.unwrap();
    assert_eq!(rig.read(&files).await.unwrap(), state);
}
