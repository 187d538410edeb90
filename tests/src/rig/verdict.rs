//! The verdict on what runs have left: manifests, tables and side outputs, compared with what the oracle derives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Beside, Rig, side_folder};
use crate::oracle::replay::{Destroyed, Outcome, Records, replay, replay_damaged, replay_uncut};
use crate::oracle::{Pipeline, assert_same_rows, manifest};
use crate::services::s3::S3;
use crate::table;
use crate::topic::{self, Contents};

/// The sinks of side outputs.
const SIDE_SINKS: [&str; 4] = ["rejected", "late", "bad-windows", "bad-after"];

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
        Self::assert_commits(&part.table, manifests, |sink| !SIDE_SINKS.contains(&sink));
        if part.pipeline.bad_records.are_kept() {
            assert_dead_letters(part, &outcome);
            Self::assert_commits(&part.side_folder("rejected"), manifests, |sink| sink == "rejected");
        }
        for (step, expected) in &outcome.bad_rows {
            let name = format!("bad-{step}");
            assert_same_rows(expected, &without_reason(rows_in(&part.side_folder(&name))));
            Self::assert_commits(&part.side_folder(&name), manifests, |sink| sink == name);
        }
        if part.pipeline.keeps_late {
            assert_same_rows(&outcome.late_rows, &rows_in(&part.side_folder("late")));
            Self::assert_commits(&part.side_folder("late"), manifests, |sink| sink == "late");
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
    pub(super) fn assert_commits(folder: &Path, manifests: &[manifest::Manifest], writes_there: impl Fn(&str) -> bool) {
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

/// Removes the reason from rejected rows, after a check that each has one.
fn without_reason(mut rows: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    for row in rows.iter_mut().filter_map(serde_json::Value::as_object_mut) {
        let reason = row.remove("reason");
        assert!(reason.as_ref().and_then(|r| r.as_str()).is_some_and(|r| !r.is_empty()), "{reason:?} of {row:?}");
    }
    rows
}

pub(super) fn rows_in(folder: &Path) -> Vec<serde_json::Value> {
    if folder.is_dir() { table::read_log(folder) } else { Vec::new() }
}
