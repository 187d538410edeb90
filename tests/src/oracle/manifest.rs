//! The manifests of a checkpoint, read with nothing but their documented JSON (docs/formats/manifest-v1.md).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub epoch: u64,
    pub lineage: String,
    /// A claim takes in no data.
    pub is_claim: bool,
    /// The last state action, if it went back to an epoch.
    pub restored: Option<u64>,
    pub generation: u64,
    pub clock_us: i64,
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// `Clock` or `EndOfRun`, if the watermark went further than the records say.
    pub moved_by: Option<String>,
    pub partitions: Vec<Partition>,
    /// Topics whose partitions are not carried on.
    pub topics_gone: Vec<String>,
    pub read: u64,
    pub decoded: u64,
    pub dropped: u64,
    pub rejected: u64,
    pub filtered: u64,
    pub totals: Totals,
    /// Of the one step with a state.
    pub rows_in: u64,
    pub rows_late: u64,
    pub rows_out: u64,
    pub open_windows: u64,
    /// Rows to be committed, over all sinks.
    pub committed_rows: u64,
    /// The same by sink.
    pub committed: BTreeMap<String, u64>,
}

/// Sums over all epochs so far, and over all sources and steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub epochs: u64,
    pub read: u64,
    pub dropped: u64,
    pub rejected: u64,
    pub filtered: u64,
    pub late: u64,
    pub lost: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    pub start: i64,
    pub end: i64,
    /// What Kafka no longer had, by the manifest: half-open ranges.
    pub lost: Vec<(i64, i64)>,
    pub watermark_us: Option<i64>,
    pub idle: bool,
}

/// A partition of a topic.
pub type Place = (String, i32);

impl Partition {
    #[must_use]
    pub fn place(&self) -> Place {
        (self.topic.clone(), self.partition)
    }
}

impl Manifest {
    /// A data epoch without partitions or figures, to be filled in.
    #[must_use]
    pub fn empty(epoch: u64) -> Self {
        Self {
            epoch,
            lineage: String::new(),
            is_claim: false,
            restored: None,
            generation: 1,
            clock_us: i64::MAX,
            watermark_before_us: None,
            watermark_after_us: None,
            moved_by: None,
            partitions: Vec::new(),
            topics_gone: Vec::new(),
            read: 0,
            decoded: 0,
            dropped: 0,
            rejected: 0,
            filtered: 0,
            totals: Totals::default(),
            rows_in: 0,
            rows_late: 0,
            rows_out: 0,
            open_windows: 0,
            committed_rows: 0,
            committed: BTreeMap::new(),
        }
    }
}

/// All manifests of a checkpoint in a local folder (an S3 server's, too: its buckets are folders), by number.
///
/// # Panics
/// If one can't be read: manifests are created whole, so there are no half ones.
#[must_use]
pub fn read_all(checkpoint: &Path) -> Vec<Manifest> {
    let Ok(folder) = std::fs::read_dir(checkpoint.join("epochs")) else { return Vec::new() };
    let mut all: Vec<Manifest> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{} is no JSON: {e}", path.display()));
            let manifest = parse(&json);
            assert_eq!(path.file_stem().unwrap().to_str(), Some(format!("{:020}", manifest.epoch).as_str()));
            manifest
        })
        .collect();
    all.sort_by_key(|m| m.epoch);
    all
}

/// # Panics
/// If a field is not there or of another type.
#[must_use]
pub fn parse(json: &Json) -> Manifest {
    assert_eq!(json["format"], "weir.manifest/v1");
    let source = &json["sources"][0];
    // The one step with a state, over all tasks; a first claim may have none yet.
    let steps: Vec<&Json> = json["tasks"].as_array().unwrap().iter().flat_map(|t| t["steps"].as_array().unwrap()).collect();
    let over_steps = |field: &str| steps.iter().map(|s| number(s, field)).sum();
    let committed: BTreeMap<_, _> =
        json["committables"].as_array().unwrap().iter().map(|c| (c["sink"].as_str().unwrap().to_owned(), number(c, "rows"))).collect();
    Manifest {
        epoch: number(json, "epoch"),
        lineage: json["lineage"].as_str().unwrap().to_owned(),
        is_claim: json["kind"] == "Claim",
        restored: json["stateAction"]["restored"].as_u64(),
        generation: number(&json["writer"], "generation"),
        clock_us: json["clockUs"].as_i64().unwrap(),
        watermark_before_us: source["watermarkBeforeUs"].as_i64(),
        watermark_after_us: source["watermarkAfterUs"].as_i64(),
        moved_by: source["movedBy"].as_str().map(str::to_owned),
        partitions: source["partitions"].as_array().map_or_else(Vec::new, |all| all.iter().map(partition).collect()),
        topics_gone: source["topicsGone"]
            .as_array()
            .map_or_else(Vec::new, |all| all.iter().map(|t| t.as_str().unwrap().to_owned()).collect()),
        read: source["counts"]["read"].as_u64().unwrap_or_default(),
        decoded: source["counts"]["decoded"].as_u64().unwrap_or_default(),
        dropped: source["counts"]["dropped"].as_u64().unwrap_or_default(),
        rejected: source["counts"]["rejected"].as_u64().unwrap_or_default(),
        filtered: source["counts"]["filtered"].as_u64().unwrap_or_default(),
        totals: totals(&json["totals"]),
        rows_in: over_steps("rowsIn"),
        rows_late: over_steps("rowsLate"),
        rows_out: over_steps("rowsOut"),
        open_windows: over_steps("openWindows"),
        committed_rows: committed.values().sum(),
        committed,
    }
}

fn totals(json: &Json) -> Totals {
    let over = |what: &str, field: &str| json[what].as_object().unwrap().values().map(|of_one| number(of_one, field)).sum();
    let [read, dropped, rejected, filtered, lost] = ["read", "dropped", "rejected", "filtered", "lost"].map(|field| over("sources", field));
    Totals { epochs: number(json, "epochs"), read, dropped, rejected, filtered, lost, late: over("steps", "rowsLate") }
}

fn partition(json: &Json) -> Partition {
    Partition {
        topic: json["topic"].as_str().unwrap().to_owned(),
        partition: i32::try_from(json["partition"].as_i64().unwrap()).unwrap(),
        start: json["start"].as_i64().unwrap(),
        end: json["end"].as_i64().unwrap(),
        lost: json["lost"].as_array().map_or_else(Vec::new, |all| all.iter().map(range).collect()),
        watermark_us: json["watermarkUs"].as_i64(),
        idle: json["idle"].as_bool().unwrap(),
    }
}

fn range(json: &Json) -> (i64, i64) {
    (json["start"].as_i64().unwrap(), json["end"].as_i64().unwrap())
}

fn number(json: &Json, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("no number `{field}` in {json}"))
}
