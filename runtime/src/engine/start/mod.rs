//! From a plan to a running pipeline: opens and checks the checkpoint, the brokers and the sinks, claims the
//! checkpoint, commits what is in doubt, loads the state, and gives the lanes their partitions.

mod assembly;
pub mod claim;
mod restored;
pub(super) mod restoring;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::task::{block_in_place, spawn_blocking};
use weir_plan::Plan;
use weir_plan::compat::{self, Fingerprint};
use weir_plan::ids::Epoch;
use weir_plan::plan::{Source, Trigger};

use self::assembly::Assembly;
use self::claim::{Base, Wanted, WantedSource, state_of};
use self::restored::Restored;
pub use self::running::Running;
use super::Options;
use super::garbage::Garbage;
use super::lanes::OpenEpoch;
use super::sinks::committing::SinkSet;
use super::sinks::opening::Opening;
use super::source_run::start_from::Topics;
use super::source_run::{SourceRun, shared_groups, topic_watch};
use super::state_action;
use super::worker::KeyedState;
use crate::build::Graph;
use crate::checkpoint::manifest::Manifest;
use crate::checkpoint::writer::{self, CheckpointWriter};
use crate::clock::{Clock, steady, wall_ms, wall_us};
use crate::decode;
use crate::decode::schemas::{Effort, Schemas};
use crate::failure::{Failure, Remedy, Result};
use crate::memory::Memory;
use crate::observe::Observer;
use crate::observe::progress::{Durations, LatestOffsets, Progress};
use crate::random::Random;
use crate::retry::RetryPolicy;
use crate::sink::discarding::Discarding;
use crate::sink::upkeep::{self, Duties, Surroundings, Upkeep};
use crate::sink::{Environment, Means, Sink};
use crate::source::kafka::{Fetching, KafkaInput};
use crate::state::log::{Restorable, StateLog};
use crate::storage::Standing;

/// The longest that a start waits for brokers. It waits less if the process is to give up sooner.
const BROKER_DEADLINE: Duration = Duration::from_secs(60);

/// A trigger interval beside which the time that a fetch may wait is short.
const LONG_BEAT: Duration = Duration::from_secs(1);

pub async fn start(plan: Arc<Plan>, options: &Options, memory: Arc<Memory>) -> Result<Running> {
    let (random, now_us): (_, Clock) = (Random::of_system(), Arc::new(wall_us));
    let observer = Observer::start(&plan, &options.reporting, &options.secrets, memory.limit_bytes()).await?;
    let graph = Graph::of(Arc::clone(&plan));
    let location =
        crate::storage::open(&plan.checkpoint.uri, plan.storage_for(&plan.checkpoint.uri), &options.secrets)?;
    let retry = RetryPolicy::giving_up_after(options.give_up_after);
    let standing = Standing::default();
    let settings = writer::Options {
        access: location.access,
        retry,
        standing: standing.clone(),
        ..writer::Options::new(plan.checkpoint.uri.as_str(), random.number())
    };
    let opened =
        writer::open(location.store, location.path, &plan.pipeline, random.id(), random.id(), settings).await?;
    let opened = opened.in_parts(location.parts);
    let fingerprint = compat::fingerprint(&plan);
    let environment = Environment {
        plan: Arc::clone(&plan),
        secrets: options.secrets.clone(),
        means: Means { retry, now_ms: Arc::new(wall_ms), random: random.clone() },
        standing: standing.clone(),
    };
    let sinks = Opening::begin(environment.clone()).await;
    let mut sinks = sinks.map_err(|failure| with_state(failure, &plan, opened.newest(), &fingerprint))?;
    let (there, missing, remembered) = (sinks.pinned(), sinks.missing(), sinks.remembered());
    let wanted_sources: Vec<_> = plan.sources.iter().map(wanted).collect();
    let wanted = Wanted {
        sources: &wanted_sources,
        trigger: plan.trigger,
        run: options.run.as_deref(),
        fingerprint: &fingerprint,
        sinks: &there,
        missing: &missing,
        home: &options.home,
    };
    let states = opened.states();
    let restored = match state_action::epoch_to_restore(plan.state_action.as_ref(), opened.newest()) {
        Some(epoch) => {
            let manifest = opened.manifest(epoch).await?;
            Base::of(plan.state_action.as_ref(), opened.newest(), manifest.as_ref())?.check_fit(&wanted)?;
            match manifest {
                Some(manifest) => Some(Restored::read(manifest, &graph, &states, options.workers, &random).await?),
                None => None,
            }
        }
        None => None,
    };

    // Each source has at least one lane.
    let shares = memory.shares(options.lanes.max(plan.sources.len()), plan.sinks.len());
    let fetching = Fetching { queued_bytes_per_lane: shares.fetch_bytes_per_lane, patient: may_wait(plan.trigger) };
    let client_id = format!("weir/{}", plan.pipeline);
    let connect = |source: &Source| {
        block_in_place(|| KafkaInput::connect_with(&source.kafka, &client_id, &options.secrets, fetching)).map(Arc::new)
    };
    let inputs = plan.sources.iter().map(connect).collect::<Result<Vec<_>>>()?;

    let (mut said, mut latest) = (Vec::new(), LatestOffsets::new());
    let looked_at = steady();
    let mut writer = opened
        .claim(&remembered, async |newest: Option<&Manifest>, generation| {
            let base =
                Base::of(plan.state_action.as_ref(), newest, restored.as_ref().map(|restored| &restored.manifest))?;
            sinks.look_again().await?;
            let (there, missing) = (sinks.pinned(), sinks.missing());
            let wanted = Wanted { sinks: &there, missing: &missing, ..wanted.clone() };
            base.check_fit(&wanted)?;
            let ask = async |(source, input): (&WantedSource<'_>, &Arc<KafkaInput>)| {
                let (known, start_time_ms) = (base.topics(source), base.start_time_ms(source));
                let (asked, deadline) = (Arc::clone(input), options.give_up_after.min(BROKER_DEADLINE));
                // The question runs on a thread of its own, so that a start that waits for its brokers can be told to
                // end meanwhile.
                let topics = spawn_blocking(move || topics(&asked, &known, start_time_ms, deadline)).await;
                topics.map_err(|e| Failure::bug(format!("ask the brokers: {e}")))?
            };
            let topics = try_join_all(wanted.sources.iter().zip(&inputs).map(ask)).await?;
            let found = plan.sources.iter().zip(&topics);
            shared_groups::refuse(found.flat_map(|(source, t)| t.partitions.iter().map(move |(id, _)| (source, id))))?;
            said = base.says().into_iter().chain(base.notices(&wanted)).collect();
            let ends = |topics: &Topics| topics.partitions.iter().map(|(_, bounds)| Some(bounds.end)).collect();
            latest =
                plan.sources.iter().zip(&topics).map(|(source, topics)| (source.name.clone(), ends(topics))).collect();
            let mut carried = base.carried(&wanted, &topics, now_us())?;
            if let (Some(restored), Some(task)) =
                (restored.as_ref().filter(|_| base.restores()), carried.tasks.first_mut())
            {
                let claim = newest.map_or(Epoch::FIRST, |newest| newest.epoch.next());
                task.state = restored.copy(&states.of_generation(generation), claim).await?;
            }
            // This comes last, when nothing else can refuse the start any more.
            sinks.make_missing().await?;
            carried.sinks = sinks.pinned();
            Ok(carried)
        })
        .await?;
    let mut sinks = sinks.into_sinks()?;
    if options.discards_results {
        sinks = sinks.into_iter().map(|sink| Box::new(Discarding(sink)) as Box<dyn Sink>).collect();
    }
    for said in said {
        tracing::warn!("{said}");
    }
    let writers = sinks.iter().map(|sink| sink.writers()).collect();
    let (clock, steady) = (options.maintenance_clock.clone(), options.maintenance_clock.clone());
    let surroundings = Surroundings {
        now_ms: Arc::new(move || clock.now_ms()),
        steady_ms: Arc::new(move || steady.steady_ms()),
        retry,
        random,
        memory: Arc::clone(&memory),
        writer: upkeep::Writer { lineage: writer.lineage().to_owned(), generation: writer.generation().0 },
        label: file_label(&writer),
        tell: observer.of_maintenance(),
    };
    let duties =
        sinks.iter().map(|sink| Duties { sink: sink.pin().sink, duties: sink.duties(&surroundings) }).collect();
    let sinks = SinkSet::new(environment, writer.lineage().to_owned(), sinks);
    writer.recover(&sinks).await?;

    let claim = writer.newest().clone();
    let sources_us = claim.watermarks_us(&plan);
    let state_store = writer.states();
    let saved = Restorable::open(Arc::clone(graph.tables()), state_store.clone(), &state_of(&claim)).await?;
    let state_log = StateLog::new(&saved, state_store.clone(), Arc::clone(&memory));
    let mut keyed = match restored.filter(|restored| {
        claim.state_action.as_ref().is_some_and(|done| done.restored == Some(restored.manifest.epoch))
    }) {
        Some(restored) => restored.keyed,
        None => restoring::restore(&graph, &saved, &claim, options.workers).await?,
    };

    memory.note_state(keyed.bytes());
    let shown = at_rest(claim.clone(), &mut keyed, &sources_us)?;
    observer.claimed(Progress::of(&shown, &plan, &Durations::default(), keyed.bytes(), &latest, &sinks.status().await));
    let resume = |(source, input): (&Source, Arc<KafkaInput>)| {
        let progress = claim.sources.iter().find(|s| s.name == source.name);
        let progress =
            progress.ok_or_else(|| Failure::bug(format!("the claim does not name the source {:?}", source.name)))?;
        Ok(SourceRun::resume(source, input, progress, claim.until.as_ref(), options.discover_every, looked_at))
    };
    let sources = plan.sources.iter().zip(inputs).map(resume).collect::<Result<Vec<_>>>()?;
    let schemas = |source| decode::registry(source).map(|registry| Arc::new(Schemas::new(registry, Effort::of(retry))));
    let assembly = Assembly {
        plan: Arc::clone(&plan),
        schemas: plan.sources.iter().map(schemas).collect(),
        graph: Arc::clone(&graph),
        writers,
        file_label: file_label(&writer),
        sink_buffer_bytes: shares.sink_buffer_bytes,
        lanes_max: options.lanes,
        workers: options.workers,
        memory: Arc::clone(&memory),
    };
    let epoch = OpenEpoch::new(plan.limits, shares.partials_bytes, Arc::clone(&memory), Arc::clone(&now_us));
    let (lanes, lane_sinks) = assembly.lanes(&sources, epoch)?;
    let (workers, keyed_sinks) = assembly.workers(keyed)?;
    // The upkeep begins only after what was in doubt is committed: those files may be old, and the tables do not name
    // them before.
    let _upkeep = Upkeep::start(duties, &surroundings);
    Ok(Running {
        _upkeep,
        writer,
        sinks,
        until: claim.until,
        sources,
        give_up_after: options.give_up_after,
        assembly,
        lanes,
        lane_sinks,
        workers,
        keyed_sinks,
        state_store,
        state_log,
        garbage: Garbage::new(plan.checkpoint.keep, options.garbage_grace, now_us),
        memory,
        observer,
        standing,
        graph,
        plan,
    })
}

/// Adds what does not fit the saved state to a failure, so that a person who changes a document hears at once of
/// everything that does not fit: a table, and the saved state too.
fn with_state(failure: Failure, plan: &Plan, newest: Option<&Manifest>, fingerprint: &Fingerprint) -> Failure {
    let goes_on = state_action::due(plan.state_action.as_ref(), newest).is_none();
    match Base::of(None, newest, None).and_then(|base| base.check_state_fits(fingerprint)) {
        Err(of_state) if goes_on && failure.remedy == Remedy::Config => {
            Failure::config(format!("{failure}; and {of_state}"))
        }
        _ => failure,
    }
}

fn wanted(source: &Source) -> WantedSource<'_> {
    WantedSource {
        name: &source.name,
        start_from: &source.kafka.start_from,
        on_lost_offsets: source.kafka.on_lost_offsets,
        by_pattern: matches!(source.kafka.topics, weir_plan::topics::Topics::Matching(_)),
    }
}

/// The label in the names of data files.
fn file_label(writer: &CheckpointWriter) -> String {
    format!("{}-{:010}", writer.lineage(), writer.generation().0)
}

/// Whether a difference of some 50 ms hardly matters for the time at which a record is committed.
fn may_wait(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Interval(beat) if beat >= LONG_BEAT)
}

/// Asks the brokers. `known` are the topics that were read so far.
fn topics(
    input: &KafkaInput,
    known: &BTreeSet<String>,
    start_time_ms: Option<i64>,
    deadline: Duration,
) -> Result<Topics> {
    let found = input.look(known, deadline)?;
    // The ends are asked for first: a record that comes in between the two questions is at or beyond its partition's
    // end, so it is not skipped.
    let bounds = input.offset_bounds(&found.partitions, deadline)?;
    let at_time = match start_time_ms {
        Some(at_ms) => input.offsets_at(&found.partitions, at_ms, deadline)?,
        None => BTreeMap::new(),
    };
    let ids = topic_watch::ids_if_told(input, &found.topics())?;
    Ok(Topics { partitions: found.partitions.into_iter().zip(bounds).collect(), ids, at_time, gone: found.gone })
}

/// The claim, with what its steps hold now.
fn at_rest(mut claim: Manifest, keyed: &mut KeyedState, sources_us: &[Option<i64>]) -> Result<Manifest> {
    for task in &mut claim.tasks {
        task.steps = keyed.at_rest(sources_us)?;
    }
    Ok(claim)
}
