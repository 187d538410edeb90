//! From a plan to a running pipeline: checkpoint, broker and tables are opened and checked, the checkpoint is claimed, what is in doubt is
//! committed, state is loaded, and the lanes get their partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::RngCore;
use tokio::task::block_in_place;
use weir_plan::Plan;
use weir_plan::compat::{self, Fingerprint};
use weir_plan::plan::{Source, StartFrom, StepOp, Trigger};
use weir_plan::quote::quoted;
use weir_plan::stages::{self, Stages};

use super::Options;
use super::commit::TableCommitter;
use super::keyed_stage::KeyedStage;
use super::lane::LaneParts;
use super::lane_sinks::LaneSinks;
use super::lanes::Lanes;
use super::open_epoch::OpenEpoch;
use super::reading::{ONLY_SOURCE, Reading, only_source};
use super::sink_task;
use super::state_log::StateLog;
use super::topic_watch::{self, TopicWatch};
use crate::checkpoint::manifest::{
    Manifest, PartitionProgress, PinnedTable, SourceCounts, SourceProgress, StateFile, Task, Until, UntilPartition,
};
use crate::checkpoint::state_files::StateFiles;
use crate::checkpoint::writer::{self, Carried, CheckpointWriter};
use crate::decode::JsonDecoder;
use crate::failure::{Failure, Result};
use crate::observe::Observer;
use crate::retry::RetryPolicy;
use crate::sink::delta::{DeltaTable, TableFiles};
use crate::source::kafka::{KafkaInput, OffsetBounds};
use crate::transform::Stateless;
use crate::window::LanePartials;

/// The longest that a start waits for brokers; less if the process is to give up sooner.
const BROKER_DEADLINE: Duration = Duration::from_secs(60);

/// A pipeline that has claimed its checkpoint.
pub struct Running {
    pub(super) plan: Arc<Plan>,
    pub(super) stages: Arc<Stages>,
    pub(super) writer: CheckpointWriter,
    pub(super) committer: TableCommitter,
    /// Per sink of the plan: where its files go.
    pub(super) files: Vec<TableFiles>,
    pub(super) until: Option<Until>,
    pub(super) input: Arc<KafkaInput>,
    pub(super) topics: TopicWatch,
    pub(super) reading: Reading,
    pub(super) lanes: Lanes,
    pub(super) lane_sinks: LaneSinks,
    pub(super) keyed: KeyedStage,
    pub(super) state_store: StateFiles,
    pub(super) state_log: StateLog,
    /// A collection waits until no compaction is under way.
    pub(super) garbage_is_due: bool,
    pub(super) observer: Observer,
}

/// Where reading goes on: what a claim pins.
struct Resume {
    partitions: Vec<PartitionProgress>,
    watermark_us: Option<i64>,
    until: Option<Until>,
    topic_ids: BTreeMap<String, String>,
}

pub async fn start(plan: Arc<Plan>, options: &Options) -> Result<Running> {
    let source = only_source(&plan)?;
    let observer = Observer::start(&plan, options).await?;
    let stages = Arc::new(stages::cut(&plan));
    let location = crate::storage::open(&plan.checkpoint.uri, plan.storage_for(&plan.checkpoint.uri), &options.secrets)?;
    let retry = RetryPolicy::giving_up_after(options.give_up_after);
    let settings = writer::Options { retry, ..writer::Options::new(plan.checkpoint.uri.as_str(), rand::rng().next_u64()) };
    let opened = writer::open(location.store, location.path, &plan.pipeline, random_id(), random_id(), settings).await?;
    let lineage = opened.lineage().to_owned();

    let input = Arc::new(block_in_place(|| KafkaInput::connect(&source.kafka, &format!("weir/{}", plan.pipeline)))?);
    let tables = open_tables(&plan, options, retry).await?;
    let pinned: Vec<_> = plan.sinks.iter().zip(&tables).map(|(sink, table)| pin(sink, table)).collect();
    let fingerprint = compat::fingerprint(&plan);
    let fingerprint_json = serde_json::to_value(&fingerprint).map_err(|e| Failure::bug(format!("fingerprint: {e}")))?;

    let mut writer = opened
        .claim(async |newest: Option<&Manifest>| {
            if let Some(newest) = newest {
                check_fit(newest, &fingerprint, &pinned)?;
            }
            let resume = block_in_place(|| resume(plan.trigger, source, &input, newest, options.give_up_after.min(BROKER_DEADLINE)))?;
            Ok(carried(source, newest, resume, &pinned, fingerprint_json.clone()))
        })
        .await?;
    let files: Vec<_> = tables.iter().map(DeltaTable::files).collect();
    let committer = TableCommitter::new(&lineage, &plan, tables);
    writer.recover(&committer).await?;

    let claim = writer.newest().clone();
    let progress = claim.sources.iter().find(|s| s.name == source.name);
    let progress = progress.ok_or_else(|| Failure::bug(format!("the claim does not name the source {:?}", source.name)))?;
    let state_store = writer.states();
    let state_log = StateLog::new(Arc::clone(&plan), state_store.clone(), state_of(&claim));
    let keyed = load_state(&plan, &stages, &state_log, progress.watermark_after_us).await?;

    let reading = Reading::resume(source, progress, claim.until.as_ref());
    let topics = TopicWatch::new(Arc::clone(&input), progress.topic_ids.clone());

    let label = file_label(&writer);
    let lane_count = options.lanes.clamp(1, reading.ids().len().max(1));
    let (mut sink_inputs, mut lane_sinks) = (Vec::new(), LaneSinks::default());
    for &i in &stages.lane_sinks {
        let (input, output) = sink_task::spawn(files[i].clone(), lane_count, label.clone());
        sink_inputs.push(input);
        lane_sinks.add(i, plan.sinks[i].name.clone(), output);
    }
    let epoch = Arc::new(OpenEpoch::new(plan.limits));
    let mut lanes = Vec::with_capacity(lane_count);
    for input in block_in_place(|| input.assign(&reading.positions(), lane_count))? {
        lanes.push(LaneParts {
            assignments: input.partitions().iter().map(|&index| reading.assignment(index)).collect(),
            input,
            decoder: JsonDecoder::new(&source.format),
            stateless: Stateless::new(Arc::clone(&plan), Arc::clone(&stages), ONLY_SOURCE),
            partials: lane_partials(&plan, &stages)?,
            sinks: sink_inputs.clone(),
            bad_records: source.bad_records,
            on_lost_offsets: source.kafka.on_lost_offsets,
            epoch: Arc::clone(&epoch),
        });
    }
    Ok(Running {
        writer,
        committer,
        files,
        until: claim.until,
        topics,
        input,
        reading,
        lanes: Lanes::start(lanes, epoch)?,
        lane_sinks,
        keyed,
        state_store,
        state_log,
        garbage_is_due: false,
        observer,
        stages,
        plan,
    })
}

impl Running {
    pub(super) fn until_reached(&self) -> bool {
        self.until.as_ref().is_none_or(|u| u.reached)
    }

    /// The end of each partition as the client last heard of it.
    pub(super) fn latest_offsets(&self) -> Vec<Option<i64>> {
        self.reading.ids().map(|p| self.input.cached_high_watermark(p)).collect()
    }
}

/// For the names of data files.
pub(super) fn file_label(writer: &CheckpointWriter) -> String {
    format!("{}-{:010}", writer.lineage(), writer.generation().0)
}

async fn open_tables(plan: &Plan, options: &Options, retry: RetryPolicy) -> Result<Vec<DeltaTable>> {
    let tables = plan.sinks.iter().map(|sink| async move {
        let location = crate::storage::open(&sink.delta.uri, plan.storage_for(&sink.delta.uri), &options.secrets)?;
        let doing = format!("opening {}", sink.delta.uri);
        let table = retry.persist(&doing, async || DeltaTable::open_or_create(location.clone(), sink, &plan.pipeline, retry).await).await;
        table.map_err(|e| e.context(format!("sink {}", quoted(&sink.name))))
    });
    futures::future::try_join_all(tables).await
}

fn pin(sink: &weir_plan::plan::Sink, table: &DeltaTable) -> PinnedTable {
    PinnedTable { sink: sink.name.clone(), uri: sink.delta.uri.clone(), table_id: table.table_id().to_owned() }
}

/// Refuses to go on with state that another document left, or into a table that took the place of the pinned one.
fn check_fit(newest: &Manifest, now: &Fingerprint, pinned: &[PinnedTable]) -> Result<()> {
    let saved: Fingerprint = serde_json::from_value(newest.fingerprint.clone())
        .map_err(|e| Failure::config(format!("the checkpoint's fingerprint can't be read ({e}); was it written by a newer version?")))?;
    let differences = compat::differences(&saved, now);
    if !differences.is_empty() {
        return Err(Failure::config(format!(
            "the document has changed so that its saved state does not fit: {}; undo the change, or start with another checkpoint.uri",
            differences.join("; ")
        )));
    }
    for was in &newest.tables {
        if let Some(is) = pinned.iter().find(|p| p.sink == was.sink && p.uri == was.uri && p.table_id != was.table_id) {
            return Err(Failure::config(format!(
                "sink {}: the table at {} has the id {} and had {} when this checkpoint began: it was deleted and made anew; \
                 restore it, or start with another checkpoint.uri",
                quoted(&is.sink),
                is.uri,
                is.table_id,
                was.table_id
            )));
        }
    }
    Ok(())
}

/// Resolves where reading starts: saved offsets where there are any; `startFrom` in a new lineage; earliest for partitions found later.
fn resume(trigger: Trigger, source: &Source, input: &KafkaInput, newest: Option<&Manifest>, deadline: Duration) -> Result<Resume> {
    let found = input.partitions(deadline)?;
    let bounds = input.offset_bounds(&found, deadline)?;
    let topic_ids = topic_watch::ids(input)?;
    let saved = newest.and_then(|m| m.sources.iter().find(|s| s.name == source.name));
    if let Some(saved) = saved {
        topic_watch::check_same(&saved.topic_ids, &topic_ids)?;
    }
    let mut partitions = Vec::with_capacity(found.len());
    for (p, OffsetBounds { low, end }) in found.iter().zip(&bounds) {
        let before = saved.and_then(|s| s.partitions.iter().find(|b| b.topic == p.topic && b.partition == p.partition));
        let next = match (before, newest.is_some(), &source.kafka.start_from) {
            (Some(before), _, _) => before.end,
            (None, true, _) | (None, false, StartFrom::Earliest) => *low,
            (None, false, StartFrom::Latest) => *end,
        };
        partitions.push(PartitionProgress {
            topic: p.topic.clone(),
            partition: p.partition,
            start: next,
            end: next,
            watermark_us: before.and_then(|b| b.watermark_us),
            idle: false,
        });
    }
    let unfinished = newest.and_then(|m| m.until.clone()).filter(|u| !u.reached);
    let until = match trigger {
        Trigger::AvailableNow => Some(unfinished.unwrap_or_else(|| {
            let ends = found.iter().zip(&bounds).map(|(p, OffsetBounds { end, .. })| UntilPartition {
                source: source.name.clone(),
                topic: p.topic.clone(),
                partition: p.partition,
                end: *end,
            });
            Until { ends: ends.collect(), reached: false }
        })),
        Trigger::AsSoonAsPossible | Trigger::Interval(_) => None,
    };
    Ok(Resume { partitions, watermark_us: saved.and_then(|s| s.watermark_after_us), until, topic_ids })
}

fn carried(source: &Source, newest: Option<&Manifest>, resume: Resume, pinned: &[PinnedTable], fingerprint: serde_json::Value) -> Carried {
    let source = SourceProgress {
        name: source.name.clone(),
        topic_ids: resume.topic_ids,
        watermark_before_us: resume.watermark_us,
        watermark_after_us: resume.watermark_us,
        partitions: resume.partitions,
        counts: SourceCounts::default(),
    };
    let state = newest.map_or_else(Vec::new, state_of);
    Carried {
        clock_us: super::clock::now_us(),
        fingerprint,
        sources: vec![source],
        tasks: vec![Task { id: 0, key_groups: (0, weir_plan::key_group::KEY_GROUPS), state, steps: Vec::new() }],
        tables: pinned.to_vec(),
        until: resume.until,
    }
}

async fn load_state(plan: &Arc<Plan>, stages: &Arc<Stages>, log: &StateLog, watermark_us: Option<i64>) -> Result<KeyedStage> {
    let mut keyed = KeyedStage::new(Arc::clone(plan), Arc::clone(stages));
    let is_open = |step: usize, start: i64| match &plan.steps[step].op {
        StepOp::Aggregate(a) => watermark_us.is_none_or(|w| a.window.end_of(start) > w),
        StepOp::Map(_) => false,
    };
    log.load(is_open, |step, partials| keyed.restore(step, &partials)).await?;
    Ok(keyed)
}

fn lane_partials(plan: &Plan, stages: &Stages) -> Result<Vec<LanePartials>> {
    let aggregates = stages.lane_aggregates.iter().filter_map(|&i| match &plan.steps[i].op {
        StepOp::Aggregate(a) => Some(LanePartials::new(Arc::clone(a))),
        StepOp::Map(_) => None,
    });
    aggregates.collect()
}

/// The files that together are the keyed state: there is one task for now.
fn state_of(manifest: &Manifest) -> Vec<StateFile> {
    manifest.tasks.iter().flat_map(|t| t.state.iter().cloned()).collect()
}

fn random_id() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
