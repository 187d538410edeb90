//! The manifests of a checkpoint, read only by the documentation of their JSON (docs/formats/manifest-v2.md).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use super::part;

#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub epoch: u64,
    pub lineage: String,
    /// A claim takes in no data.
    pub is_claim: bool,
    /// The last state action, if it went back to an epoch.
    pub restored: Option<u64>,
    /// In a claim: the data epoch that may not be in every table.
    pub in_doubt: Option<u64>,
    pub generation: u64,
    /// Distinguishes the writer from any other one of its generation.
    pub nonce: String,
    pub clock_us: i64,
    /// Whether a run has come to its end.
    pub reaches_end: bool,
    pub watermark_before_us: Option<i64>,
    pub watermark_after_us: Option<i64>,
    /// The time of the rows, if it is the clock's.
    pub processing_time_us: Option<i64>,
    /// `Clock` or `EndOfRun`, if the watermark moved further than the records say.
    pub moved_by: Option<String>,
    /// `Discovery`, if the watermark stays behind what the records say.
    pub held_by: Option<String>,
    pub partitions: Vec<Partition>,
    /// Topics whose partitions later manifests do not have.
    pub topics_gone: Vec<String>,
    pub read: u64,
    pub decoded: u64,
    pub tombstones: u64,
    pub dropped: u64,
    pub rejected: u64,
    pub filtered: u64,
    pub totals: Totals,
    /// The rows of the one step with state.
    pub rows_in: u64,
    pub rows_late: u64,
    pub rows_out: u64,
    pub open_windows: u64,
    /// The watermark before and after the epoch, for each input of that step.
    pub inputs_us: Vec<(Option<i64>, Option<i64>)>,
    /// The number of entries and the horizon, for each table of that step.
    pub tables_of_steps: Vec<(u64, Option<i64>)>,
    /// Rows that steps behind a window could not compute, by step.
    pub rows_bad: BTreeMap<String, u64>,
    /// Rows to be committed, over all sinks.
    pub committed_rows: u64,
    /// Rows to be committed, by sink.
    pub committed: BTreeMap<String, u64>,
    /// The id of each sink's table.
    pub tables: BTreeMap<String, String>,
    /// By sink and table id: the generation that began the lineage, and the newest epoch that the manifest says was in
    /// the table before.
    pub acknowledged: BTreeMap<(String, String), (u64, u64)>,
}

/// Sums over all epochs so far, and over all sources and steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub epochs: u64,
    pub read: u64,
    pub tombstones: u64,
    pub dropped: u64,
    pub rejected: u64,
    pub filtered: u64,
    pub late: u64,
    pub lost: u64,
    pub unreadable: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    pub start: i64,
    pub end: i64,
    /// Half-open ranges that Kafka no longer had, by the manifest.
    pub lost: Vec<(i64, i64)>,
    /// Half-open ranges that could not be read, by the manifest.
    pub unreadable: Vec<(i64, i64)>,
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
    /// A data epoch without partitions or counts, for tests to fill in.
    #[must_use]
    pub fn empty(epoch: u64) -> Self {
        Self {
            epoch,
            lineage: String::new(),
            is_claim: false,
            restored: None,
            in_doubt: None,
            generation: 1,
            nonce: String::new(),
            clock_us: i64::MAX,
            reaches_end: false,
            watermark_before_us: None,
            watermark_after_us: None,
            processing_time_us: None,
            moved_by: None,
            held_by: None,
            partitions: Vec::new(),
            topics_gone: Vec::new(),
            read: 0,
            decoded: 0,
            tombstones: 0,
            dropped: 0,
            rejected: 0,
            filtered: 0,
            totals: Totals::default(),
            rows_in: 0,
            rows_late: 0,
            rows_out: 0,
            open_windows: 0,
            inputs_us: Vec::new(),
            tables_of_steps: Vec::new(),
            rows_bad: BTreeMap::new(),
            committed_rows: 0,
            committed: BTreeMap::new(),
            tables: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
        }
    }
}

/// Maps a node's name in the document to its name in the pipeline under test; `None` if the node belongs to another
/// pipeline.
pub type NameOf<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The mapping for a document with one pipeline: each node keeps its name.
#[must_use]
pub fn all_of_it(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// All manifests of a checkpoint in a local folder (also a folder of the S3 server, whose buckets are folders), by
/// number, reduced to what belongs to one pipeline of the document.
///
/// # Panics
/// If one can't be read: manifests are created atomically, so there are no partial ones.
#[must_use]
pub fn read_all(checkpoint: &Path, name_of: NameOf<'_>) -> Vec<Manifest> {
    objects(checkpoint).iter().map(|(name, bytes)| of_object(name, bytes, name_of)).collect()
}

/// The manifests of a checkpoint in a local folder: their names without the extension, and their bytes, by number.
///
/// # Panics
/// If one can't be read.
#[must_use]
pub fn objects(checkpoint: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(folder) = std::fs::read_dir(checkpoint.join("epochs")) else { return BTreeMap::new() };
    folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

/// Checks the CRC-32 at the end of a manifest, which is over all bytes before that field.
fn assert_sum(text: &str, name: &str) {
    let (summed, sum) = text.rsplit_once(",\"crc32\":").unwrap_or_else(|| panic!("{name} has no checksum"));
    assert_eq!(sum, format!("{}}}", crc32(summed.as_bytes())), "the checksum of {name}");
}

/// A manifest that a test has changed, with the checksum corrected.
///
/// # Panics
/// If it is not a JSON object.
#[must_use]
pub fn sealed(mut manifest: serde_json::Value) -> String {
    manifest.as_object_mut().unwrap().remove("crc32");
    let text = manifest.to_string();
    let summed = text.strip_suffix('}').unwrap();
    format!("{summed},\"crc32\":{}}}", crc32(summed.as_bytes()))
}

/// The CRC-32 of zlib, computed bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// Reads a manifest from an object's content; `name` is the object's name without the extension.
///
/// # Panics
/// If it is no manifest of that name.
#[must_use]
pub fn of_object(name: &str, bytes: &[u8], name_of: NameOf<'_>) -> Manifest {
    let text = std::str::from_utf8(bytes).unwrap_or_else(|e| panic!("{name} is no UTF-8: {e}"));
    assert_sum(text, name);
    let mut manifest = serde_json::from_str(text).unwrap_or_else(|e| panic!("{name} is no JSON: {e}"));
    part::only(&mut manifest, name_of);
    let manifest = parse(&manifest);
    assert_eq!(name, format!("{:020}", manifest.epoch));
    manifest
}

/// # Panics
/// If a field is not there or of another type.
#[must_use]
pub fn parse(json: &Json) -> Manifest {
    // By docs/formats/manifest-v1.md, tables and the counts of steps have other places.
    let is_v1 = json["format"] == "weir.manifest/v1";
    assert!(is_v1 || json["format"] == "weir.manifest/v2", "{}", json["format"]);
    let (pinned, name, id) = if is_v1 { ("tables", "sink", "tableId") } else { ("sinks", "name", "id") };
    let source = &json["sources"][0];
    // The one step with state, over all tasks; a first claim may have none yet.
    let steps: Vec<&Json> =
        json["tasks"].as_array().unwrap().iter().flat_map(|t| t["steps"].as_array().unwrap()).collect();
    let over_steps = |field: &str| -> u64 { steps.iter().map(|s| number(s, field)).sum() };
    let over_inputs = |field: &str| if is_v1 { over_steps(field) } else { over_inputs(&steps, field) };
    let committed: BTreeMap<_, _> = json["committables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["sink"].as_str().unwrap().to_owned(), number(c, "rows")))
        .collect();
    let lineage = json["lineage"].as_str().unwrap();
    let begun = lineage.split_once('.').map_or(1, |(_, begun)| begun.parse().unwrap());
    let of_this = list(&json["acknowledged"]).map(|of| (place(of, "sink", id), (begun, number(of, "epoch"))));
    let of_former =
        list(&json["acknowledgedBefore"]).map(|of| (place(of, "sink", id), (number(of, "begun"), number(of, "epoch"))));
    Manifest {
        epoch: number(json, "epoch"),
        lineage: lineage.to_owned(),
        is_claim: json["kind"] == "Claim",
        restored: json["stateAction"]["restored"].as_u64(),
        in_doubt: json["inDoubt"].as_u64(),
        generation: number(&json["writer"], "generation"),
        nonce: json["writer"]["nonce"].as_str().unwrap().to_owned(),
        clock_us: json["clockUs"].as_i64().unwrap(),
        reaches_end: json["until"]["reached"].as_bool().unwrap_or_default(),
        watermark_before_us: source["watermarkBeforeUs"].as_i64(),
        watermark_after_us: source["watermarkAfterUs"].as_i64(),
        processing_time_us: source["processingTimeUs"].as_i64(),
        moved_by: source["movedBy"].as_str().map(str::to_owned),
        held_by: source["heldBy"].as_str().map(str::to_owned),
        partitions: source["partitions"].as_array().map_or_else(Vec::new, |all| all.iter().map(partition).collect()),
        topics_gone: source["topicsGone"]
            .as_array()
            .map_or_else(Vec::new, |all| all.iter().map(|t| t.as_str().unwrap().to_owned()).collect()),
        read: source["counts"]["read"].as_u64().unwrap_or_default(),
        decoded: source["counts"]["decoded"].as_u64().unwrap_or_default(),
        tombstones: source["counts"]["tombstones"].as_u64().unwrap_or_default(),
        dropped: source["counts"]["dropped"].as_u64().unwrap_or_default(),
        rejected: source["counts"]["rejected"].as_u64().unwrap_or_default(),
        filtered: source["counts"]["filtered"].as_u64().unwrap_or_default(),
        totals: totals(&json["totals"]),
        rows_in: over_inputs("rowsIn"),
        rows_late: over_inputs("rowsLate"),
        rows_out: over_steps("rowsOut"),
        // A step with sessions has none.
        open_windows: steps.iter().map(|s| s["openWindows"].as_u64().unwrap_or_default()).sum(),
        inputs_us: steps
            .iter()
            .flat_map(|s| list(&s["inputs"]))
            .map(|i| (time(i, "watermarkBeforeUs"), time(i, "watermarkAfterUs")))
            .collect(),
        tables_of_steps: steps
            .iter()
            .flat_map(|s| list(&s["tables"]))
            .map(|t| (number(t, "entries"), time(t, "horizonUs")))
            .collect(),
        rows_bad: json["tasks"].as_array().unwrap().iter().flat_map(|task| counts(&task["rowsBad"])).collect(),
        committed_rows: committed.values().sum(),
        committed,
        tables: json[pinned].as_array().unwrap().iter().map(|sink| place(sink, name, id)).collect(),
        acknowledged: of_this.chain(of_former).collect(),
    }
}

/// The elements of a list; none if there is no such field.
fn list(json: &Json) -> impl Iterator<Item = &Json> {
    json.as_array().into_iter().flatten()
}

/// The sink and the table, from the fields with these names.
fn place(json: &Json, name: &str, id: &str) -> (String, String) {
    (json[name].as_str().unwrap().to_owned(), json[id].as_str().unwrap().to_owned())
}

fn over_inputs(steps: &[&Json], field: &str) -> u64 {
    steps.iter().flat_map(|step| list(&step["inputs"])).map(|input| number(input, field)).sum()
}

/// Numbers by name; none if there is no such field.
fn counts(json: &Json) -> BTreeMap<String, u64> {
    json.as_object().into_iter().flatten().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
}

fn totals(json: &Json) -> Totals {
    let over =
        |what: &str, field: &str| json[what].as_object().unwrap().values().map(|of_one| number(of_one, field)).sum();
    // Manifests leave these fields out if they are 0.
    let if_there = |field: &str| json["sources"].as_object().unwrap().values().filter_map(|s| s[field].as_u64()).sum();
    let (tombstones, unreadable) = (if_there("tombstones"), if_there("unreadable"));
    let [read, dropped, rejected, filtered, lost] =
        ["read", "dropped", "rejected", "filtered", "lost"].map(|field| over("sources", field));
    Totals {
        epochs: number(json, "epochs"),
        read,
        tombstones,
        dropped,
        rejected,
        filtered,
        lost,
        unreadable,
        late: over("steps", "rowsLate"),
    }
}

fn partition(json: &Json) -> Partition {
    Partition {
        topic: json["topic"].as_str().unwrap().to_owned(),
        partition: i32::try_from(json["partition"].as_i64().unwrap()).unwrap(),
        start: json["start"].as_i64().unwrap(),
        end: json["end"].as_i64().unwrap(),
        lost: json["lost"].as_array().map_or_else(Vec::new, |all| all.iter().map(range).collect()),
        unreadable: json["unreadable"].as_array().map_or_else(Vec::new, |all| all.iter().map(range).collect()),
        watermark_us: json["watermarkUs"].as_i64(),
        idle: json["idle"].as_bool().unwrap(),
    }
}

fn range(json: &Json) -> (i64, i64) {
    (json["start"].as_i64().unwrap(), json["end"].as_i64().unwrap())
}

/// A time or null; the field must exist.
fn time(json: &Json, field: &str) -> Option<i64> {
    match json.get(field) {
        Some(Json::Null) => None,
        Some(time) => Some(time.as_i64().unwrap_or_else(|| panic!("no time `{field}` in {json}"))),
        None => panic!("no `{field}` in {json}"),
    }
}

fn number(json: &Json, field: &str) -> u64 {
    json[field].as_u64().unwrap_or_else(|| panic!("no number `{field}` in {json}"))
}
