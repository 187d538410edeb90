//! Translates manifests of version 1 (`docs/formats/manifest-v1.md`) into today's terms. Weir reads them and no longer
//! writes them.
//!
//! That version knew one kind of sink, a Delta table, and one kind of keyed step: an aggregate over tumbling windows,
//! with one input and one table.

use serde_json::{Map, Value, json};

/// The `format` of that version.
pub const MANIFEST_V1: &str = "weir.manifest/v1";

type Object = Map<String, Value>;

/// The name of the one table that each keyed step had.
const WINDOWS: &str = "windows";

/// Renames what is as expected. Anything else stays as it is, and decoding reports it.
pub(super) fn in_todays_words(mut manifest: Value) -> Value {
    let Some(object) = manifest.as_object_mut() else { return manifest };
    let mut sinks = object.remove("tables").unwrap_or_default();
    objects(&mut sinks).for_each(|sink| {
        renamed(sink, [("sink", "name"), ("uri", "place"), ("tableId", "id")]);
        sink.insert("type".into(), json!("Delta"));
    });
    object.insert("sinks".into(), sinks);
    for field in ["acknowledged", "acknowledgedBefore"] {
        object.get_mut(field).into_iter().flat_map(objects).for_each(|of| renamed(of, [("tableId", "id")]));
    }
    let fingerprint = object.get_mut("fingerprint").and_then(|fingerprint| fingerprint.get_mut("steps"));
    let mut keyed_steps = Vec::new();
    for step in fingerprint.into_iter().flat_map(objects) {
        let size_us = step.remove("windowSizeUs");
        step.insert("operator".into(), json!("Aggregate"));
        step.insert("window".into(), json!({"type": "Tumbling", "sizeUs": size_us}));
        keyed_steps.extend(step.get("name").cloned());
    }
    for task in object.get_mut("tasks").into_iter().flat_map(objects) {
        task.get_mut("state").into_iter().flat_map(objects).for_each(|file| of_file(file, &keyed_steps));
        task.get_mut("steps").into_iter().flat_map(objects).for_each(of_step);
    }
    manifest
}

/// Version 1 had one window end per file for all steps, and did not say which of them have rows in it.
fn of_file(file: &mut Object, keyed_steps: &[Value]) {
    let end_us = file.remove("maxWindowEndUs").and_then(|end| end.as_i64());
    let Some(last_us) = end_us.map(|end| end.saturating_sub(1)) else { return };
    let tables = keyed_steps.iter().map(|step| json!({"step": step, "table": WINDOWS, "maxTimeUs": last_us}));
    file.insert("tables".into(), tables.collect());
}

fn of_step(step: &mut Object) {
    let [after_us, rows_in, rows_late, groups] =
        ["watermarkAfterUs", "rowsIn", "rowsLate", "groups"].map(|field| step.remove(field).unwrap_or_default());
    // Nobody needs the watermark from before the epoch any more.
    let input =
        json!({"watermarkBeforeUs": after_us, "watermarkAfterUs": after_us, "rowsIn": rows_in, "rowsLate": rows_late});
    step.insert("inputs".into(), json!([input]));
    step.insert("tables".into(), json!([{"name": WINDOWS, "entries": groups, "horizonUs": after_us}]));
}

fn objects(list: &mut Value) -> impl Iterator<Item = &mut Object> {
    list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
}

fn renamed<const N: usize>(object: &mut Object, names: [(&str, &str); N]) {
    for (from, to) in names {
        if let Some(value) = object.remove(from) {
            object.insert(to.into(), value);
        }
    }
}
