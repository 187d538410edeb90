//! The rig of one system test: its own topic, and a place for its table and checkpoint. `verdict` compares what a run
//! has left there with the oracle.

mod backlog;
mod graph;
mod slot;
mod verdict;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::deadline;
use crate::engine::{self, Exit, Start};
use crate::oracle::pipeline::{S3_SECRET, Site};
use crate::oracle::replay::Destroyed;
use crate::oracle::{Pipeline, manifest, part};
use crate::proxy::Proxy;
use crate::rides::Rides;
use crate::services::kafka::Kafka;
use crate::services::s3::{self, S3};
use crate::topic::{self, Record};

pub use backlog::Backlog;
pub use graph::{GraphRig, shown};
pub use slot::Slot;

/// The limit for a run over a few thousand records. It allows for a machine that is slow and busy: only a test that
/// fails waits this long.
pub const RUN_LIMIT: Duration = Duration::from_secs(240);

/// `--give-up-after` of a run that is to give up on one service. The limit applies to the other services too, so it is
/// longer than a busy machine keeps them from answering.
pub const GIVES_UP_AFTER: Duration = Duration::from_secs(10);

/// Where tables and checkpoints lie.
#[derive(Clone, Copy)]
pub enum Store<'a> {
    Local,
    /// The server, and the endpoint in the engine's document: the server's own or a proxy's.
    S3(&'a S3, Option<&'a str>),
}

pub struct Rig {
    pub pipeline: Pipeline,
    pub site: Site,
    /// Whether records that manifests declare as lost may still be in Kafka: `onLostOffsets: Latest` leaves out records
    /// that could be read.
    pub lost_may_be_there: bool,
    /// What the test has destroyed in Kafka's log.
    pub destroyed: Destroyed,
    /// Another pipeline in the same document, with its own topic and tables.
    pub beside: Option<Beside>,
    /// The number of workers; one per core if absent.
    pub workers: Option<u16>,
    folder: TempDir,
    /// The folder in which the table and the checkpoint lie as files.
    store: PathBuf,
    keeper: Option<Arc<Proxy>>,
    _slot: Slot,
}

/// A pipeline beside the rig's own. The rows of the two never meet.
pub struct Beside {
    pub pipeline: Pipeline,
    pub bootstrap: String,
    pub topic: String,
}

impl Beside {
    /// The prefix of the names of its sources, steps and sinks.
    const PREFIX: &str = "second-";
}

impl Rig {
    /// A rig with a topic that holds these records.
    #[must_use]
    pub fn new(pipeline: Pipeline, kafka: &Kafka, store: Store<'_>, partitions: i32, records: &[Record]) -> Self {
        let bootstrap = kafka.bootstrap();
        Self::with_topic(
            pipeline,
            bootstrap.clone(),
            store,
            |topic| topic::create(&bootstrap, topic, partitions),
            records,
        )
    }

    /// A rig with a topic that the test creates, on the brokers of its choice.
    #[must_use]
    pub fn with_topic(
        pipeline: Pipeline,
        bootstrap: String,
        store: Store<'_>,
        create_topic: impl FnOnce(&str),
        records: &[Record],
    ) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let slot = Slot::take();
        let name = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("weir-tests-").tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("secrets")).unwrap();
        create_topic(&name);
        topic::produce(&bootstrap, &name, records);
        let (uri, files, s3_endpoint) = match store {
            Store::Local => (format!("file://{}/lake", folder.path().display()), folder.path().join("lake"), None),
            Store::S3(server, endpoint) => {
                server.create_bucket(&name);
                engine::write_secret(
                    folder.path(),
                    S3_SECRET,
                    &[("accessKeyId", s3::ACCESS_KEY), ("secretAccessKey", s3::SECRET_KEY)],
                );
                (
                    format!("s3://{name}"),
                    server.bucket_folder(&name),
                    Some(endpoint.map_or_else(|| server.endpoint(), str::to_owned)),
                )
            }
        };
        let site = Site {
            bootstrap,
            topic: name,
            checkpoint_uri: format!("{uri}/checkpoint"),
            table_uri: format!("{uri}/table"),
            s3_endpoint,
            trigger: json!({"type": "AvailableNow"}),
            records_per_epoch: 1000,
            keep: 10_000,
        };
        Self {
            pipeline,
            site,
            lost_may_be_there: false,
            destroyed: Destroyed::new(),
            beside: None,
            workers: None,
            folder,
            store: files,
            keeper: None,
            _slot: slot,
        }
    }

    /// A run of the pipeline as it is now.
    #[must_use]
    pub fn start(&self) -> Start {
        let args = self.workers.map(|workers| vec!["--workers".to_owned(), workers.to_string()]).unwrap_or_default();
        Start {
            folder: self.folder.path().to_owned(),
            document: self.document(&self.site).into(),
            env: Vec::new(),
            args,
        }
    }

    /// The document for the engine.
    #[must_use]
    pub fn document(&self, site: &Site) -> serde_json::Value {
        let mut document = self.pipeline.document(site);
        if let Some(beside) = &self.beside {
            let table_uri = site.table_uri.replace("/table", &format!("/{}table", Beside::PREFIX));
            let (bootstrap, topic) = (beside.bootstrap.clone(), beside.topic.clone());
            let site = Site { bootstrap, topic, table_uri, ..site.clone() };
            part::add(&mut document, beside.pipeline.document(&site), Beside::PREFIX);
        }
        document
    }

    /// A run with another trigger.
    #[must_use]
    pub fn start_with(&self, trigger: serde_json::Value) -> Start {
        let site = Site { trigger, ..self.site.clone() };
        Start { document: self.document(&site).into(), ..self.start() }
    }

    /// A run with another trigger and other fields in the source's `kafka`; null removes a field.
    #[must_use]
    pub fn start_reading(&self, trigger: &str, kafka: &serde_json::Value) -> Start {
        let site = Site { trigger: json!({"type": trigger}), ..self.site.clone() };
        let mut document = self.document(&site);
        set_fields(&mut document["spec"]["sources"][0]["kafka"], kafka);
        Start { document: document.into(), ..self.start() }
    }

    /// A run with another trigger and further fields in the `s3` of each store; null removes a field.
    #[must_use]
    pub fn start_storing(&self, trigger: &str, s3: &serde_json::Value) -> Start {
        let site = Site { trigger: json!({"type": trigger}), ..self.site.clone() };
        let mut document = self.document(&site);
        for store in document["spec"]["storage"].as_array_mut().unwrap() {
            set_fields(&mut store["s3"], s3);
        }
        Start { document: document.into(), ..self.start() }
    }

    #[must_use]
    pub fn table_folder(&self) -> PathBuf {
        self.store.join("table")
    }

    /// The table of a side output.
    #[must_use]
    pub fn side_folder(&self, output: &str) -> PathBuf {
        side_folder(&self.table_folder(), output)
    }

    #[must_use]
    pub fn checkpoint_folder(&self) -> PathBuf {
        self.store.join("checkpoint")
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn produce(&self, records: &[Record]) {
        topic::produce(&self.site.bootstrap, &self.site.topic, records);
    }

    /// Produces rides almost without pauses (about a thousand a second) until `done` is set.
    pub fn produce_until(&self, done: &AtomicBool) {
        let mut offset_us = 0;
        for seed in 0.. {
            let rides = Rides { seed, ..Rides::new(500) }.starting(offset_us);
            self.produce(&rides.records());
            offset_us += 500 * rides.step_us;
            if done.load(Ordering::Acquire) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// All manifests that were decided. They include collected ones if the proxy keeps manifests
    /// ([`Self::keep_manifests`]).
    #[must_use]
    pub fn manifests(&self) -> Vec<manifest::Manifest> {
        self.manifests_of(&|name| (!name.starts_with(Beside::PREFIX)).then(|| name.to_owned()))
    }

    fn manifests_of(&self, name_of: manifest::NameOf<'_>) -> Vec<manifest::Manifest> {
        let Some(proxy) = &self.keeper else { return manifest::read_all(&self.checkpoint_folder(), name_of) };
        let name = |path: &str| path.rsplit('/').next().and_then(|file| file.strip_suffix(".json")).unwrap().to_owned();
        // Names are numbers with leading zeros, so the order of names is the order of epochs.
        proxy.kept().iter().map(|(path, bytes)| manifest::of_object(&name(path), bytes, name_of)).collect()
    }

    /// Lets the proxy keep manifests, so that they are known after garbage collection has deleted them.
    pub fn keep_manifests(&mut self, proxy: &Arc<Proxy>) {
        proxy.keep("/checkpoint/epochs/");
        self.keeper = Some(Arc::clone(proxy));
    }

    /// Produces each part, and runs the pipeline to the end of the part before the next one is there. So epochs end
    /// where the parts end, whichever partition is read first and however fast the machine is. Rows of a later part for
    /// windows that an earlier one has closed are late.
    pub fn finish_in_parts(&self, parts: &[&[Record]]) -> Vec<Exit> {
        let finish = |part: &&[Record]| {
            self.produce(part);
            self.finish()
        };
        parts.iter().map(finish).collect()
    }

    /// Runs the pipeline to its end, without faults.
    pub fn finish(&self) -> Exit {
        let exit = self.start().run(RUN_LIMIT);
        exit.expect(engine::OK);
        exit
    }

    /// [`Self::finish`] for topics in which a partition without records must not hold the watermark. Its leader must
    /// report within a second that there are none; if it is slower, the next run closes the windows.
    pub fn finish_with_leaders_heard(&self) -> Exit {
        let exit = self.finish();
        let is_heard = |exit: &Exit| {
            let held_by = exit.progress.last().map(|progress| &progress["sources"][0]["watermarkHeldBy"]["because"]);
            held_by.is_none_or(|because| because != "LeaderSilent")
        };
        if !is_heard(&exit) {
            deadline::until("every leader is heard in time", RUN_LIMIT, || is_heard(&self.finish()).then_some(()));
        }
        exit
    }
}

/// The folder of a side output's table, beside the main table.
fn side_folder(table: &Path, output: &str) -> PathBuf {
    let name = table.file_name().unwrap().to_string_lossy();
    table.with_file_name(format!("{name}-{output}"))
}

/// Sets fields of a block; null removes a field.
fn set_fields(block: &mut serde_json::Value, fields: &serde_json::Value) {
    for (field, value) in fields.as_object().unwrap() {
        block[field] = value.clone();
    }
    block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
}

/// Sets the flag when it is dropped, also after a failed assertion, so that a producer beside the test ends.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
