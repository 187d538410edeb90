//! The two pipelines whose parts are counted: the rides job as in the examples, and a job with many keys that also
//! writes the rides themselves.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;
use weir_plan::plan::Sink;
use weir_runtime::build::Graph;
use weir_runtime::engine::stateless::Stateless;
use weir_runtime::keyed::KeyedStep;
use weir_runtime::retry::RetryPolicy;
use weir_runtime::sink;
use weir_runtime::sink::Means;
use weir_runtime::sink::delta::{DeltaTable, TableFiles};
use weir_runtime::storage::{Access, Location, Standing};
use weir_runtime::transform::RowStep;

pub const BY_CITY: &str = include_str!("../../../../examples/rides.yaml");
pub const BY_USER: &str = include_str!("by_user.yaml");

pub struct Job {
    pub graph: Arc<Graph>,
}

/// A map over the rows of closed windows, and the sink behind it.
pub struct MapOfResults<'a> {
    pub map: &'a dyn RowStep,
    pub sink_schema: &'a SchemaRef,
}

impl Job {
    pub fn load(document: &str) -> Result<Self, String> {
        let plan = weir_crds::load(document, None);
        let plan = plan.map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        Ok(Self { graph: Graph::of(Arc::new(plan)) })
    }

    /// The steps that a lane runs.
    pub fn stateless(&self) -> Stateless {
        let fitness =
            self.graph.stages.lanes[0].sinks.iter().map(|i| sink::fitness(&self.graph.plan.sinks[*i])).collect();
        Stateless::new(Arc::clone(&self.graph), 0, fitness)
    }

    /// The keyed step that the lanes send to.
    pub fn keyed_step(&self) -> Result<&dyn KeyedStep, String> {
        let edge = self
            .graph
            .stages
            .lane_edges
            .first()
            .ok_or_else(|| format!("the pipeline {} has no keyed step", self.graph.plan.pipeline))?;
        self.graph.behind(*edge).map_err(|e| e.to_string())
    }

    pub fn map_of_results(&self) -> Result<MapOfResults<'_>, String> {
        let Graph { plan, stages, .. } = &*self.graph;
        let map = stages.keyed_steps.first().and_then(|step| self.graph.row_step(*step));
        match (map, stages.keyed_sinks.first()) {
            (Some(map), Some(sink)) => Ok(MapOfResults { map, sink_schema: &plan.sinks[*sink].given }),
            _ => Err(format!("the pipeline {} has no map and sink behind its windows", plan.pipeline)),
        }
    }

    /// The table of the sink that takes rides, in memory.
    pub async fn table_of_rides(&self) -> Result<TableFiles, String> {
        let sink: &Sink = match self.graph.stages.lanes[0].sinks.as_slice() {
            [sink] => &self.graph.plan.sinks[*sink],
            _ => return Err(format!("the pipeline {} does not have one sink of rides", self.graph.plan.pipeline)),
        };
        let table = DeltaTable::open_or_create(
            in_memory()?,
            sink,
            &self.graph.plan.pipeline,
            &Means::of_system(RetryPolicy::default()),
        )
        .await;
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
