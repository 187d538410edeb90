//! The two pipelines whose parts are counted: the rides job as in the examples, and one with many keys that also keeps the rides themselves.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;
use weir_plan::Plan;
use weir_plan::aggregate::Aggregate;
use weir_plan::plan::{Map, Sink, StepOp};
use weir_plan::stages::{self, Stages};
use weir_runtime::retry::RetryPolicy;
use weir_runtime::sink;
use weir_runtime::sink::delta::{DeltaTable, TableFiles};
use weir_runtime::storage::{Access, Location, Standing};
use weir_runtime::transform::Stateless;

pub const BY_CITY: &str = include_str!("../../../../examples/rides.yaml");
pub const BY_USER: &str = include_str!("by_user.yaml");

pub struct Job {
    pub plan: Arc<Plan>,
    pub stages: Arc<Stages>,
}

/// A map over the rows of closed windows, and the sink behind it.
pub struct MapOfResults<'a> {
    pub map: &'a Map,
    pub schema: &'a SchemaRef,
    pub sink_schema: &'a SchemaRef,
}

impl Job {
    pub fn load(document: &str) -> Result<Self, String> {
        let plan = weir_crds::load(document, None);
        let plan = plan.map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        let stages = Arc::new(stages::cut(&plan));
        Ok(Self { plan: Arc::new(plan), stages })
    }

    /// What a lane runs.
    pub fn stateless(&self) -> Stateless {
        let fitness = self.stages.lane_sinks.iter().map(|i| sink::fitness(&self.plan.sinks[*i])).collect();
        Stateless::new(Arc::clone(&self.plan), Arc::clone(&self.stages), 0, fitness)
    }

    /// The aggregate of the lanes, and the schema of its rows.
    pub fn aggregate(&self) -> Result<(Arc<Aggregate>, SchemaRef), String> {
        let step = self.stages.lane_aggregates.first().map(|i| &self.plan.steps[*i]);
        match step.map(|step| (&step.op, &step.schema)) {
            Some((StepOp::Aggregate(aggregate), schema)) => Ok((Arc::clone(aggregate), schema.clone())),
            _ => Err(format!("the pipeline {} has no aggregate", self.plan.pipeline)),
        }
    }

    pub fn map_of_results(&self) -> Result<MapOfResults<'_>, String> {
        let step = self.stages.keyed_steps.first().map(|i| &self.plan.steps[*i]);
        let sink = self.stages.keyed_sinks.first().map(|i| &self.plan.sinks[*i]);
        match (step.map(|step| (&step.op, &step.schema)), sink) {
            (Some((StepOp::Map(map), schema)), Some(sink)) => Ok(MapOfResults { map, schema, sink_schema: &sink.schema }),
            _ => Err(format!("the pipeline {} has no map and sink behind its windows", self.plan.pipeline)),
        }
    }

    /// The table of the sink that takes rides, in memory.
    pub async fn table_of_rides(&self) -> Result<TableFiles, String> {
        let sink: &Sink = match self.stages.lane_sinks.as_slice() {
            [sink] => &self.plan.sinks[*sink],
            _ => return Err(format!("the pipeline {} does not have one sink of rides", self.plan.pipeline)),
        };
        let table = DeltaTable::open_or_create(in_memory()?, sink, &self.plan.pipeline, RetryPolicy::default()).await;
        Ok(table.map_err(|e| e.to_string())?.files())
    }
}

fn in_memory() -> Result<Location, String> {
    Ok(Location {
        store: Arc::new(InMemory::new()),
        parts: None,
        path: Path::from("rides"),
        url: Url::parse("memory:///rides").map_err(|e| e.to_string())?,
        access: Access::Folder,
        standing: Standing::default(),
    })
}
