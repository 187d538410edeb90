//! The rig of one system test: its own topic, a place for its table and checkpoint, and the oracle's verdict.

mod backlog;
mod slot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::deadline;
use crate::engine::{self, Exit, Start};
use crate::oracle::pipeline::{S3_SECRET, Site};
use crate::oracle::replay::{Destroyed, Outcome, Records, replay, replay_damaged, replay_uncut};
use crate::oracle::{Pipeline, assert_same_rows, manifest, part};
use crate::proxy::Proxy;
use crate::rides::Rides;
use crate::services::kafka::Kafka;
use crate::services::s3::{self, S3};
use crate::table;
use crate::topic::{self, Contents, Record};

pub use backlog::Backlog;
use slot::Slot;

/// The limit for a run over a few thousand records. It allows for a machine that is slow and busy: only a test that
/// fails waits this long.
pub const RUN_LIMIT: Duration = Duration::from_secs(240);

/// `--give-up-after` of a run that is to give up on one service. The limit applies to the other services too, so it is
/// longer than a busy machine keeps them from answering.
pub const GIVES_UP_AFTER: Duration = Duration::from_secs(10);

/// The sinks of side outputs.
const SIDE_SINKS: [&str; 4] = ["rejected", "late", "bad-windows", "bad-after"];

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

/// One pipeline of the document, for a verdict.
struct Part<'a> {
    pipeline: &'a Pipeline,
    bootstrap: &'a str,
    topic: &'a str,
    table: PathBuf,
    destroyed: &'a Destroyed,
    manifests: Vec<manifest::Manifest>,
}

impl Part<'_> {
    fn side_folder(&self, output: &str) -> PathBuf {
        side_folder(&self.table, output)
    }
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

    /// What the oracle derives.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        replay(&self.pipeline, &topic::read(&self.site.bootstrap, &self.site.topic), &self.manifests())
    }

    /// The whole verdict after a finished run: the manifests agree with the oracle, every record was read, the table
    /// holds what the oracle expects, and each epoch was committed at most once. A replay of the log with DuckDB reads
    /// the table.
    pub fn assert_right(&self) -> Outcome {
        let contents = topic::read(&self.site.bootstrap, &self.site.topic);
        let outcome = self.assert_right_of(&contents);
        let produced: usize = contents.values().map(BTreeMap::len).sum();
        assert_eq!(outcome.read, produced as u64, "all of the topic was read, and once");
        outcome
    }

    /// [`Self::assert_right`] for a run that was to read only these records of the topic.
    pub fn assert_right_of(&self, contents: &Contents) -> Outcome {
        self.assert_right_of_topics(Records::OfOne(contents))
    }

    /// [`Self::assert_right`] for a pipeline that reads several topics.
    pub fn assert_right_of_topics(&self, records: Records<'_>) -> Outcome {
        let part = Part {
            pipeline: &self.pipeline,
            bootstrap: &self.site.bootstrap,
            topic: &self.site.topic,
            table: self.table_folder(),
            destroyed: &self.destroyed,
            manifests: self.manifests(),
        };
        self.assert_part(&part, records)
    }

    /// The verdict on the pipeline beside the rig's own, which was to read its whole topic.
    ///
    /// # Panics
    /// Also if there is no such pipeline.
    pub fn assert_beside_right(&self) -> Outcome {
        let Beside { pipeline, bootstrap, topic } = self.beside.as_ref().unwrap();
        let contents = topic::read(bootstrap, topic);
        let table = self.store.join(format!("{}table", Beside::PREFIX));
        let manifests = self.manifests_of(&|name| name.strip_prefix(Beside::PREFIX).map(str::to_owned));
        let part = Part { pipeline, bootstrap, topic, table, destroyed: &Destroyed::new(), manifests };
        let outcome = self.assert_part(&part, Records::OfOne(&contents));
        let produced: usize = contents.values().map(BTreeMap::len).sum();
        assert_eq!(outcome.read, produced as u64, "all of the topic was read, and once");
        outcome
    }

    fn assert_part(&self, part: &Part<'_>, records: Records<'_>) -> Outcome {
        let manifests = &part.manifests;
        let outcome = replay_damaged(part.pipeline, records, part.destroyed, manifests);
        assert_eq!(outcome.contradictions, Vec::<String>::new(), "the manifests and the oracle");
        if !self.lost_may_be_there {
            assert_lost_is_lost(part);
        }
        assert_same_rows(&outcome.rows, &rows_in(&part.table));
        self.assert_commits(&part.table, manifests, |sink| !SIDE_SINKS.contains(&sink));
        if part.pipeline.bad_records.are_kept() {
            assert_dead_letters(part, &outcome);
            self.assert_commits(&part.side_folder("rejected"), manifests, |sink| sink == "rejected");
        }
        for (step, expected) in &outcome.bad_rows {
            let name = format!("bad-{step}");
            assert_same_rows(expected, &without_reason(rows_in(&part.side_folder(&name))));
            self.assert_commits(&part.side_folder(&name), manifests, |sink| sink == name);
        }
        if part.pipeline.keeps_late {
            assert_same_rows(&outcome.late_rows, &rows_in(&part.side_folder("late")));
            self.assert_commits(&part.side_folder("late"), manifests, |sink| sink == "late");
        }
        outcome
    }

    /// The verdict without manifests, for input without late rows: garbage collection may have deleted old manifests.
    pub fn assert_table_whole(&self) {
        let outcome = replay_uncut(&self.pipeline, &topic::read(&self.site.bootstrap, &self.site.topic));
        assert_same_rows(&outcome.rows, &table::read_log(&self.table_folder()));
        assert!(!outcome.rows.is_empty(), "some windows should have closed");
    }

    /// Checks a table's transactions: one per epoch with rows, each once, in ascending order.
    fn assert_commits(&self, folder: &Path, manifests: &[manifest::Manifest], writes_there: impl Fn(&str) -> bool) {
        let has_rows = |m: &&manifest::Manifest| !m.is_claim && m.committed.keys().any(|sink| writes_there(sink));
        let due: Vec<u64> = manifests.iter().filter(has_rows).map(|m| m.epoch).collect();
        assert_eq!(
            table::epochs(folder),
            due,
            "epochs in the transactions of {}, and epochs with rows to commit",
            folder.display()
        );
        for version in table::history(folder).iter().filter(|v| v.commit_info["operation"] == "WRITE") {
            Self::assert_names_its_manifest(version, manifests);
        }
    }

    /// Checks that a commit says which manifest decided it, in its metadata and in a transaction that outlives the
    /// clean-up of the log.
    fn assert_names_its_manifest(version: &table::Version, manifests: &[manifest::Manifest]) {
        let said: serde_json::Value =
            serde_json::from_str(version.commit_info["userMetadata"].as_str().unwrap()).unwrap();
        let epoch = said["epoch"].as_u64().unwrap();
        let decided =
            manifests.iter().find(|m| m.epoch == epoch).unwrap_or_else(|| panic!("no manifest of epoch {epoch}"));
        assert_eq!(
            said["manifest"],
            json!({"generation": decided.generation, "nonce": decided.nonce}),
            "epoch {epoch}"
        );
        let marks: Vec<_> = version.txn.iter().filter(|(app_id, _)| app_id.starts_with("weir.manifest/")).collect();
        let [(app_id, mark)] = marks.as_slice() else { panic!("epoch {epoch} has the marks {marks:?}") };
        assert!(app_id.contains(&decided.lineage), "{app_id}");
        assert_eq!((mark & 0xffff_ffff).cast_unsigned(), epoch);
    }

    /// Reads the table with delta-rs as well, and compares.
    pub fn assert_delta_rs_agrees(&self, outcome: &Outcome, s3: Option<&S3>) {
        let uri =
            if s3.is_some() { self.site.table_uri.clone() } else { self.table_folder().to_string_lossy().into_owned() };
        assert_same_rows(&outcome.rows, &table::read(&uri, s3.map(S3::endpoint).as_deref()));
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

/// Checks that Kafka has no records where manifests declare them as lost.
fn assert_lost_is_lost(part: &Part<'_>) {
    let mut topics: BTreeMap<&str, Contents> = BTreeMap::new();
    for p in part.manifests.iter().flat_map(|m| &m.partitions).filter(|p| !p.lost.is_empty()) {
        let there = topics.entry(p.topic.as_str()).or_insert_with(|| topic::read(part.bootstrap, &p.topic));
        for &(from, to) in &p.lost {
            let readable: Vec<i64> = there[&p.partition].range(from..to).map(|(offset, _)| *offset).collect();
            assert_eq!(readable, Vec::<i64>::new(), "[{from}, {to}) of partition {} is declared as lost", p.partition);
        }
    }
}

/// Checks that each bad record is there once, byte for byte, with a reason.
fn assert_dead_letters(part: &Part<'_>, outcome: &Outcome) {
    let mut found = without_reason(rows_in(&part.side_folder("rejected")));
    for row in found.iter_mut().filter_map(serde_json::Value::as_object_mut) {
        assert_eq!(row.remove("topic").as_ref().and_then(|t| t.as_str()), Some(part.topic));
        row.remove("path");
    }
    assert_same_rows(&[outcome.rejected.as_slice(), &outcome.rejected_ranges].concat(), &found);
}

/// The folder of a side output's table, beside the main table.
fn side_folder(table: &Path, output: &str) -> PathBuf {
    let name = table.file_name().unwrap().to_string_lossy();
    table.with_file_name(format!("{name}-{output}"))
}

/// Removes the reason from rejected rows, after a check that each has one.
fn without_reason(mut rows: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    for row in rows.iter_mut().filter_map(serde_json::Value::as_object_mut) {
        let reason = row.remove("reason");
        assert!(reason.as_ref().and_then(|r| r.as_str()).is_some_and(|r| !r.is_empty()), "{reason:?} of {row:?}");
    }
    rows
}

/// Sets fields of a block; null removes a field.
fn set_fields(block: &mut serde_json::Value, fields: &serde_json::Value) {
    for (field, value) in fields.as_object().unwrap() {
        block[field] = value.clone();
    }
    block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
}

fn rows_in(folder: &Path) -> Vec<serde_json::Value> {
    if folder.is_dir() { table::read_log(folder) } else { Vec::new() }
}

/// Sets the flag when it is dropped, also after a failed assertion, so that a producer beside the test ends.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
