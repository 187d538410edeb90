//! Fields that are refused for their place alone, before anything in them is read: those whose feature is not built yet
//! and those that have no value where leaving them out would mean something else.

use serde_yaml::Value;

use crate::document::unions;
use crate::finding::{Broken, Finding, Path};

const OUT: &str = "; leave it out";
const NO_STEP: &str = "; leave the step out";
const JSON: &str = ": write json: {} in its place, for records that are JSON objects";
const DELTA: &str = ": write delta: {uri: s3://lake/rides} in its place";

/// The one list of the fields whose feature is not built, each with what to do instead. Single values of an enum that
/// are not built are refused where the field is lowered.
const UNBUILT: &[(&str, &str)] = &[
    ("spec.checkpoint.minPause", OUT),
    ("spec.checkpoint.timeout", OUT),
    ("spec.connections[].schemaRegistry", "; leave the connection out"),
    ("spec.connections[].kafka.controlTopic", OUT),
    ("spec.tables", OUT),
    ("spec.autoscale", OUT),
    ("spec.scratch", OUT),
    ("spec.sources[].format.raw", JSON),
    ("spec.sources[].format.csv", JSON),
    ("spec.sources[].format.avro", JSON),
    ("spec.sources[].format.protobuf", JSON),
    ("spec.sources[].keyFormat", OUT),
    ("spec.sources[].key", OUT),
    ("spec.sources[].maxRecordsPerEpoch", "; leave it out: limits.recordsPerEpoch is for all sources together"),
    ("spec.steps[].join", NO_STEP),
    ("spec.steps[].lookup", NO_STEP),
    ("spec.steps[].process", NO_STEP),
    ("spec.steps[].pattern", NO_STEP),
    ("spec.steps[].badRecords", "; leave it out: badRecords of the source decides"),
    ("spec.sinks[].kafka", DELTA),
    ("spec.sinks[].parquet", DELTA),
    ("spec.sinks[].orderBy", OUT),
    ("spec.sinks[].deleteWhen", OUT),
];

/// Fields that mean something else without a value than their author probably does, each with what to write.
const NEEDS_A_VALUE: &[(&str, &str)] = &[
    ("spec.storage[].s3", "s3: {}"),
    ("spec.sources[].format.json", "json: {}"),
    ("spec.steps[].map.where", "a condition such as price >= 0, or leave `where` out to keep every row"),
    ("spec.steps[].map.columns[].expr", "an expression, or leave `expr` out to take the input's column of that name"),
    (
        "spec.steps[].aggregate.groupBy[].expr",
        "an expression, or leave `expr` out to take the input's column of that name",
    ),
    (
        "spec.steps[].aggregate.columns[].filter",
        "a condition such as price >= 0, or leave `filter` out to use every row",
    ),
];

/// A finding for each such field, with its place, of which nothing else is to be said.
pub(crate) fn fields(document: &Value) -> Vec<(Finding, Broken)> {
    let unbuilt = UNBUILT.iter().flat_map(|(pattern, instead)| {
        let message = format!("not supported yet{instead}");
        let there = places(document, pattern).into_iter().filter(|place| !is_left_out(place.value));
        there.map(move |place| place.refused(message.clone()))
    });
    let empty = NEEDS_A_VALUE.iter().flat_map(|(pattern, right)| {
        let empty = places(document, pattern).into_iter().filter(|place| place.value.is_null());
        empty.map(move |place| place.refused(format!("found nothing: write {right}")))
    });
    let mut fields: Vec<_> = unbuilt.chain(empty).collect();
    // A field that is not built may lie in another one.
    let outer: Vec<_> = fields.iter().map(|(_, broken)| broken.path.clone()).collect();
    fields.retain(|(_, broken)| !outer.iter().any(|outer| broken.path != *outer && broken.path.is_within(outer)));
    fields
}

/// Those of a block's fields whose feature is built; the block is given as a pattern such as `spec.sources[].format`.
pub(crate) fn built<'m>(block: &str, fields: &[&'m str]) -> Vec<&'m str> {
    let is_unbuilt = |field: &str| {
        UNBUILT
            .iter()
            .any(|(pattern, _)| pattern.strip_prefix(block).and_then(|rest| rest.strip_prefix('.')) == Some(field))
    };
    fields.iter().filter(|field| !is_unbuilt(field)).copied().collect()
}

fn is_left_out(value: &Value) -> bool {
    // Without elements, a list such as `tables` asks for nothing.
    value.is_null() || value.as_sequence().is_some_and(Vec::is_empty)
}

struct Place<'v> {
    path: Path,
    block: Path,
    key: &'v str,
    value: &'v Value,
}

impl Place<'_> {
    fn refused(self, message: String) -> (Finding, Broken) {
        let finding = Finding::new(&self.path, message);
        // Without a member of a union, the block seems to have none. Other fields say nothing of their block.
        let is_member = unions::ALL.iter().chain([&unions::STORES]).any(|union| union.contains(&self.key));
        let block = is_member.then_some(self.block);
        (finding, Broken { path: self.path, block, meant: None })
    }
}

/// The places that fit a pattern such as `spec.sinks[].delta.uri`, in the order of the document.
fn places<'v>(document: &'v Value, pattern: &'v str) -> Vec<Place<'v>> {
    let root = Place { path: Path::root(), block: Path::root(), key: "", value: document };
    pattern.split('.').fold(vec![root], |places, key| {
        let (key, is_list) = key.strip_suffix("[]").map_or((key, false), |key| (key, true));
        let fields = places.into_iter().filter_map(|place| {
            let value = place.value.get(key)?;
            Some(Place { path: place.path.field(key), block: place.path, key, value })
        });
        if !is_list {
            return fields.collect();
        }
        let elements = fields.flat_map(|place| {
            let elements = place.value.as_sequence().into_iter().flatten().enumerate();
            let element = |(i, value)| Place { path: place.path.index(i), block: place.path.clone(), key, value };
            elements.map(element).collect::<Vec<_>>()
        });
        elements.collect()
    })
}
