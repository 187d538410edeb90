//! Several pipelines in one document whose rows never meet. The prefix of its sources', steps' and sinks' names tells
//! to which pipeline a node belongs. The rest of the oracle looks at one pipeline at a time.

use serde_json::Value as Json;

/// Adds the connections, sources, steps and sinks of another document, with a prefix before their names.
///
/// # Panics
/// If one of them is not a document.
pub fn add(document: &mut Json, other: Json, prefix: &str) {
    let renamed = |name: &mut Json| *name = format!("{prefix}{}", name.as_str().unwrap()).into();
    for section in ["connections", "sources", "steps", "sinks"] {
        let Json::Array(nodes) = other["spec"][section].clone() else { panic!("no {section}") };
        for mut node in nodes {
            renamed(&mut node["name"]);
            for at in ["/kafka/connection", "/from", "/map/from", "/aggregate/from"] {
                node.pointer_mut(at).into_iter().for_each(renamed);
            }
            document["spec"][section].as_array_mut().unwrap().push(node);
        }
    }
}

/// Reduces a manifest to what belongs to one pipeline, under the names that this pipeline has in a document of its own.
/// `name_of` gives that name for a node of the pipeline.
///
/// # Panics
/// If it is not a manifest.
pub fn only(manifest: &mut Json, name_of: &dyn Fn(&str) -> Option<String>) {
    keep(&mut manifest["sources"], "name", name_of);
    for task in manifest["tasks"].as_array_mut().unwrap() {
        keep(&mut task["steps"], "name", name_of);
        keep_keys(&mut task["rowsBad"], name_of);
    }
    keep(&mut manifest["sinks"], "name", name_of);
    for list in ["committables", "tables", "acknowledged", "acknowledgedBefore"] {
        keep(&mut manifest[list], "sink", name_of);
    }
    for totals in ["sources", "steps"] {
        keep_keys(&mut manifest["totals"][totals], name_of);
    }
}

/// Keeps the elements that `name_of` names, if the list exists.
fn keep(list: &mut Json, field: &str, name_of: &dyn Fn(&str) -> Option<String>) {
    let Some(list) = list.as_array_mut() else { return };
    list.retain_mut(|element| match name_of(element[field].as_str().unwrap()) {
        Some(name) => {
            element[field] = name.into();
            true
        }
        None => false,
    });
}

fn keep_keys(map: &mut Json, name_of: &dyn Fn(&str) -> Option<String>) {
    let Some(map) = map.as_object_mut() else { return };
    *map = std::mem::take(map).into_iter().filter_map(|(name, of)| Some((name_of(&name)?, of))).collect();
}
