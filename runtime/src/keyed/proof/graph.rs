//! Steps as a graph, with the tables of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_plan::key_group::KeyRanges;
use weir_plan::plan::Input;

use crate::keyed::edge::EdgeSender;
use crate::keyed::flow::{FlowStep, WatermarkFlow};
use crate::keyed::{KeyedOperator, KeyedStep};
use crate::state::StepTable;

pub struct Node {
    pub step: Box<dyn KeyedStep>,
    pub inputs: Vec<Input>,
    /// Whether its rows have a time.
    pub gives_times: bool,
}

pub struct Graph {
    pub nodes: Vec<Node>,
    pub flow: WatermarkFlow,
    pub tables: Arc<[StepTable]>,
    /// Per table: its step, and its index among that step's tables.
    pub owners: Vec<(usize, usize)>,
}

impl Graph {
    pub fn new(nodes: Vec<Node>) -> Self {
        let owners = nodes.iter().enumerate().flat_map(|(k, node)| (0..node.step.tables().len()).map(move |t| (k, t)));
        let owners: Vec<_> = owners.collect();
        // Version 1 of the files has one table per step, so each table is a step of its own there.
        let table = |(k, t): &(usize, usize)| {
            let schema = Arc::clone(&nodes[*k].step.tables()[*t]);
            StepTable { step: format!("{k}/{}", schema.name), schema }
        };
        let tables = owners.iter().map(table).collect();
        let of_step =
            |node: &Node| FlowStep { inputs: node.inputs.clone(), hold_backs_us: node.step.hold_backs_us().to_vec() };
        let flow = WatermarkFlow::new(nodes.iter().map(of_step).collect());
        Self { nodes, flow, tables, owners }
    }

    /// The watermarks of all steps' inputs.
    pub fn inputs_us(&self, sources_us: &[Option<i64>]) -> Vec<Vec<Option<i64>>> {
        (0..self.nodes.len()).map(|step| self.flow.inputs_us(step, sources_us)).collect()
    }

    /// The horizon of each table.
    pub fn horizons_us(&self, inputs_us: &[Vec<Option<i64>>]) -> Vec<Option<i64>> {
        let horizon = |(table, (step, _)): (&StepTable, &(usize, usize))| table.schema.horizon_us(&inputs_us[*step]);
        self.tables.iter().zip(&self.owners).map(horizon).collect()
    }

    pub fn senders(&self, ranges: KeyRanges, of: impl Fn(&Input) -> bool) -> BTreeMap<(usize, usize), EdgeSender> {
        let mut senders = BTreeMap::new();
        for (k, node) in self.nodes.iter().enumerate() {
            for (i, _) in node.inputs.iter().enumerate().filter(|(_, input)| of(input)) {
                senders.insert((k, i), EdgeSender::new(&*node.step, i, ranges).unwrap());
            }
        }
        senders
    }

    pub fn operators(&self) -> Vec<Box<dyn KeyedOperator>> {
        self.nodes.iter().map(|node| node.step.operator().unwrap()).collect()
    }
}
