//! From a plan to a running pipeline: checkpoint, broker and tables are opened and checked, the checkpoint is claimed, what is in doubt is
//! committed, state is loaded, and the lanes get their partitions.

use std::sync::Arc;
use std::time::Duration;

use rand::RngCore;
use tokio::task::block_in_place;
use weir_plan::Plan;
use weir_plan::compat;
use weir_plan::plan::{BadRecordsPolicy, StepOp};
use weir_plan::quote::quoted;
use weir_plan::stages::{self, Stages};

use super::Options;
use super::claim::{self, Base, Topics, Wanted, state_of};
use super::commit::TableCommitter;
use super::keyed_stage::KeyedStage;
use super::lane::{BadRecords, LaneParts};
use super::lane_sinks::LaneSinks;
use super::lanes::Lanes;
use super::open_epoch::OpenEpoch;
use super::reading::{ONLY_SOURCE, Reading, only_source};
use super::sink_task;
use super::state_log::StateLog;
use super::topic_watch::{self, TopicWatch};
use crate::checkpoint::manifest::{Manifest, PinnedTable, Until};
use crate::checkpoint::state_files::StateFiles;
use crate::checkpoint::writer::{self, CheckpointWriter};
use crate::decode::JsonDecoder;
use crate::failure::{Failure, Result};
use crate::observe::Observer;
use crate::observe::progress::{Durations, Progress};
use crate::retry::RetryPolicy;
use crate::sink::delta::{DeltaTable, TableFiles};
use crate::source::kafka::KafkaInput;
use crate::storage::Standing;
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
    pub(super) standing: Standing,
}

pub async fn start(plan: Arc<Plan>, options: &Options) -> Result<Running> {
    let source = only_source(&plan)?;
    let observer = Observer::start(&plan, options).await?;
    let stages = Arc::new(stages::cut(&plan));
    let location = crate::storage::open(&plan.checkpoint.uri, plan.storage_for(&plan.checkpoint.uri), &options.secrets)?;
    let retry = RetryPolicy::giving_up_after(options.give_up_after);
    let standing = Standing::default();
    let settings =
        writer::Options { retry, standing: standing.clone(), ..writer::Options::new(plan.checkpoint.uri.as_str(), rand::rng().next_u64()) };
    let opened = writer::open(location.store, location.path, &plan.pipeline, random_id(), random_id(), settings).await?;
    let restored = match claim::epoch_to_restore(plan.state_action.as_ref(), opened.newest()) {
        Some(epoch) => opened.manifest(epoch).await?,
        None => None,
    };

    let input = Arc::new(block_in_place(|| KafkaInput::connect(&source.kafka, &format!("weir/{}", plan.pipeline)))?);
    let tables = open_tables(&plan, options, retry, &standing).await?;
    let pinned: Vec<_> = plan.sinks.iter().zip(&tables).map(|(sink, table)| pin(sink, table)).collect();
    let fingerprint = compat::fingerprint(&plan);
    let run = options.run.as_deref();
    let (name, start_from) = (source.name.as_str(), &source.kafka.start_from);
    let wanted = Wanted { source: name, start_from, trigger: plan.trigger, run, fingerprint: &fingerprint, tables: &pinned };

    let (mut said, mut latest) = (None, Vec::new());
    let mut writer = opened
        .claim(async |newest: Option<&Manifest>| {
            let base = Base::of(plan.state_action.as_ref(), newest, restored.as_ref())?;
            base.check_fit(&wanted)?;
            let topics = block_in_place(|| topics(&input, options.give_up_after.min(BROKER_DEADLINE)))?;
            said = base.says();
            latest = topics.partitions.iter().map(|(_, bounds)| Some(bounds.end)).collect();
            base.carried(&wanted, &topics, super::clock::now_us())
        })
        .await?;
    if let Some(said) = said {
        tracing::warn!("{said}");
    }
    let files: Vec<_> = tables.iter().map(DeltaTable::files).collect();
    let committer = TableCommitter::new(Arc::clone(&plan), options.secrets.clone(), retry, tables);
    writer.recover(&committer).await?;

    let claim = writer.newest().clone();
    let progress = claim.sources.iter().find(|s| s.name == source.name);
    let progress = progress.ok_or_else(|| Failure::bug(format!("the claim does not name the source {:?}", source.name)))?;
    let state_store = writer.states();
    let state_log = StateLog::new(Arc::clone(&plan), state_store.clone(), state_of(&claim));
    let keyed = load_state(&plan, &stages, &state_log, progress.watermark_after_us).await?;

    let shown = at_rest(claim.clone(), &keyed, progress.watermark_after_us);
    observer.claimed(Progress::of(&shown, &plan, &Durations::default(), keyed.bytes(), &latest, &committer.versions().await));
    let reading = Reading::resume(source, progress, claim.until.as_ref());
    let topics = TopicWatch::new(Arc::clone(&input), progress.topic_ids.clone());

    let label = file_label(&writer);
    let lane_count = options.lanes.clamp(1, reading.ids().len().max(1));
    let mut lane_sinks = LaneSinks::default();
    let mut spawn = |i: &usize| {
        let (input, output) = sink_task::spawn(files[*i].clone(), lane_count, label.clone());
        lane_sinks.add(*i, plan.sinks[*i].name.clone(), output);
        input
    };
    let sink_inputs: Vec<_> = stages.lane_sinks.iter().map(&mut spawn).collect();
    let rejected_inputs: Vec<_> = stages.rejected_sinks.iter().map(&mut spawn).collect();
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
            bad_records: BadRecords::new(source.bad_records.policy, rejected_inputs.clone()),
            keeps_records: source.bad_records.policy == BadRecordsPolicy::Output,
            max_future_us: source.event_time.as_ref().map(|e| e.max_future_us),
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
        standing,
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

async fn open_tables(plan: &Plan, options: &Options, retry: RetryPolicy, standing: &Standing) -> Result<Vec<DeltaTable>> {
    let tables = plan.sinks.iter().map(|sink| async move {
        let location = crate::storage::open(&sink.delta.uri, plan.storage_for(&sink.delta.uri), &options.secrets)?.in_run(standing);
        let doing = format!("opening {}", sink.delta.uri);
        let table = retry.persist(&doing, async || DeltaTable::open_or_create(location.clone(), sink, &plan.pipeline, retry).await).await;
        table.map_err(|e| e.context(format!("sink {}", quoted(&sink.name))))
    });
    futures::future::try_join_all(tables).await
}

fn topics(input: &KafkaInput, deadline: Duration) -> Result<Topics> {
    let found = input.partitions(deadline)?;
    let bounds = input.offset_bounds(&found, deadline)?;
    Ok(Topics { ids: topic_watch::ids(input)?, partitions: found.into_iter().zip(bounds).collect() })
}

fn pin(sink: &weir_plan::plan::Sink, table: &DeltaTable) -> PinnedTable {
    PinnedTable { sink: sink.name.clone(), uri: sink.delta.uri.clone(), table_id: table.table_id().to_owned() }
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

/// The claim, with its steps as they stand.
fn at_rest(mut claim: Manifest, keyed: &KeyedStage, watermark_us: Option<i64>) -> Manifest {
    for task in &mut claim.tasks {
        task.steps = keyed.at_rest(watermark_us);
    }
    claim
}

fn lane_partials(plan: &Plan, stages: &Stages) -> Result<Vec<LanePartials>> {
    let aggregates = stages.lane_aggregates.iter().filter_map(|&i| match &plan.steps[i].op {
        StepOp::Aggregate(a) => Some(LanePartials::new(Arc::clone(a))),
        StepOp::Map(_) => None,
    });
    aggregates.collect()
}

fn random_id() -> String {
    let mut bytes = [0; 16];
    rand::rng().fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}
