//! The rig of a test of a whole graph: its topics, and a folder for its tables and its checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use super::slot::Slot;
use super::verdict::rows_in;
use super::{RUN_LIMIT, Rig};
use crate::engine::{self, Exit, Start};
use crate::oracle::assert_same_rows;
use crate::oracle::graph::manifest::Manifest;
use crate::oracle::graph::{Graph, Mode, Outcome, Records};
use crate::oracle::pipeline::Site;
use crate::services::kafka::Kafka;
use crate::topic::{self, Contents, Record};

pub struct GraphRig {
    pub graph: Graph,
    pub site: Site,
    /// The number of workers; one per core if absent.
    pub workers: Option<u16>,
    folder: TempDir,
    _slot: Slot,
}

impl GraphRig {
    /// A rig with the topics of the graph's sources, which have this many partitions.
    #[must_use]
    pub fn new(graph: Graph, kafka: &Kafka, partitions: &BTreeMap<String, i32>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let slot = Slot::take();
        let folder = tempfile::Builder::new().prefix("weir-tests-").tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("secrets")).unwrap();
        let uri = format!("file://{}/lake", folder.path().display());
        let site = Site {
            bootstrap: kafka.bootstrap(),
            topic: format!("g{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
            checkpoint_uri: format!("{uri}/checkpoint"),
            table_uri: format!("{uri}/table"),
            s3_endpoint: None,
            trigger: json!({"type": "AvailableNow"}),
            records_per_epoch: 1_000,
            keep: 10_000,
        };
        let rig = Self { graph, site, workers: None, folder, _slot: slot };
        for (topic, partitions) in partitions {
            topic::create(&rig.site.bootstrap, &rig.topic(topic), *partitions);
        }
        rig
    }

    /// The whole name of a source's topic.
    fn topic(&self, topic: &str) -> String {
        format!("{}-{topic}", self.site.topic)
    }

    /// Produces records to the topic that sources call by this name, each with its timestamp in milliseconds since
    /// 1970.
    pub fn produce(&self, topic: &str, records: &[(i64, Record)]) {
        topic::produce_stamped(&self.site.bootstrap, &self.topic(topic), records);
    }

    /// A run of the graph as it is now.
    #[must_use]
    pub fn start(&self) -> Start {
        self.start_with(self.site.trigger.clone())
    }

    /// A run with another trigger.
    #[must_use]
    pub fn start_with(&self, trigger: Json) -> Start {
        let site = Site { trigger, ..self.site.clone() };
        let args = self.workers.map(|workers| vec!["--workers".to_owned(), workers.to_string()]).unwrap_or_default();
        Start {
            folder: self.folder.path().to_owned(),
            document: self.graph.document(&site).into(),
            env: Vec::new(),
            args,
        }
    }

    /// Runs the graph to its end, without faults.
    pub fn finish(&self) -> Exit {
        let exit = self.start().run(RUN_LIMIT);
        exit.expect(engine::OK);
        exit
    }

    #[must_use]
    pub fn manifests(&self) -> Vec<Manifest> {
        self.graph.manifests(&self.folder.path().join("lake/checkpoint"))
    }

    /// The rows of a sink's table.
    #[must_use]
    pub fn table(&self, sink: &str) -> Vec<Json> {
        rows_in(&self.table_folder(sink))
    }

    fn table_folder(&self, sink: &str) -> PathBuf {
        self.folder.path().join(format!("lake/table-{sink}"))
    }

    /// The verdict after a finished run: the manifests agree with the oracle, every record was read, each table holds
    /// what the oracle expects, and each epoch was committed at most once.
    pub fn assert_right(&self) -> Outcome {
        let read = |topic: &String| (topic.clone(), topic::read(&self.site.bootstrap, topic));
        let topics = self.graph.sources.iter().map(|source| Graph::topic(&self.site, source));
        let records: Records = topics.map(|topic| read(&topic)).collect();
        let manifests = self.manifests();
        let outcome = self.graph.replay(&records, &manifests);
        let shown: Vec<_> = outcome.contradictions.iter().take(12).collect();
        assert!(shown.is_empty(), "the manifests and the oracle: {shown:#?}");
        for source in &self.graph.sources {
            let contents: &Contents = &records[&Graph::topic(&self.site, source)];
            let produced: usize = contents.values().map(BTreeMap::len).sum();
            assert_eq!(outcome.read[&source.name], produced as u64, "{} has read its topic, and once", source.name);
        }
        let whole: Vec<_> = manifests.into_iter().map(|manifest| manifest.whole).collect();
        for sink in self.graph.sinks.iter().filter(|sink| sink.mode == Mode::Append) {
            println!("table {}", sink.name);
            assert_same_rows(&outcome.tables[&sink.name], &self.table(&sink.name));
            Rig::assert_commits(&self.table_folder(&sink.name), &whole, |name| name == sink.name);
        }
        outcome
    }
}

/// What a run has shown on consoles: the cells of each row, by sink and epoch.
///
/// # Panics
/// If it has shown something else than whole tables.
#[must_use]
pub fn shown(stdout: &str) -> BTreeMap<(String, u64), Vec<Vec<String>>> {
    stdout.split("\n\n").filter(|table| !table.trim().is_empty()).map(table_shown).collect()
}

fn table_shown(table: &str) -> ((String, u64), Vec<Vec<String>>) {
    let mut lines = table.trim().lines();
    let (sink, epoch) = lines.next().and_then(|line| line.split_once(", epoch ")).unwrap_or_else(|| panic!("{table}"));
    let lines: Vec<_> = lines.collect();
    assert!(lines.len() >= 5 && lines.last().is_some_and(|line| line.starts_with("+-")), "{table}");
    let cells = |line: &&str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    ((sink.to_owned(), epoch.parse().unwrap()), lines[3..lines.len() - 1].iter().map(cells).collect())
}
