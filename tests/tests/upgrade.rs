//! Checkpoints that older versions of Weir have written.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use weir_tests::engine::{OK, Start};
use weir_tests::oracle::manifest::sealed;
use weir_tests::rig::{RUN_LIMIT, Rig};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

use super::old_checkpoints::{batch, rig, shell};

/// Placeholders in a fixture's files for what differs from test to test.
const TOPIC: &str = "@TOPIC@";
const LAKE: &str = "@LAKE@";

/// Copies a fixture, which another version wrote, to the rig's places, as if it had been written from the rig's topic.
fn put(rig: &Rig, fixture: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let lake = rig.checkpoint_folder().parent().unwrap().to_owned();
    shell("mkdir -p $1; cp -r $0/checkpoint $0/table $1", &[&from, &lake]);
    let uri = rig.site.table_uri.strip_suffix("/table").unwrap();
    for path in json_files(&lake) {
        let text = std::fs::read_to_string(&path).unwrap().replace(TOPIC, &rig.site.topic).replace(LAKE, uri);
        let is_manifest = path.parent().is_some_and(|folder| folder.ends_with("epochs"));
        std::fs::write(&path, if is_manifest { sealed(serde_json::from_str(&text).unwrap()) } else { text }).unwrap();
    }
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let below =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).flat_map(|path| match path.is_dir() {
            true => json_files(&path),
            false => vec![path],
        });
    below.filter(|path| path.extension().is_some_and(|e| e == "json")).collect()
}

/// The formats of the manifests, and of the state files that the newest manifest names.
fn formats(rig: &Rig) -> (Vec<String>, Vec<String>) {
    let mut manifests: Vec<PathBuf> = json_files(&rig.checkpoint_folder().join("epochs"));
    manifests.sort();
    let manifests: Vec<Json> =
        manifests.iter().map(|path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()).collect();
    let files = manifests.last().unwrap()["tasks"][0]["state"].as_array().unwrap().clone();
    let magic = |file: &Json| {
        let bytes = std::fs::read(rig.checkpoint_folder().join(file["path"].as_str().unwrap())).unwrap();
        String::from_utf8_lossy(&bytes[..7]).into_owned()
    };
    (
        manifests.iter().map(|manifest| manifest["format"].as_str().unwrap().to_owned()).collect(),
        files.iter().map(magic).collect(),
    )
}

/// The checkpoint has four open windows, and each of its epochs has written a state file.
#[test]
fn a_checkpoint_of_version_1_goes_on_and_its_state_files_are_compacted_away() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    put(&rig, "checkpoint-v1");
    let (manifests, files) = formats(&rig);
    let of_v1 = manifests.len();
    assert!(
        manifests.iter().all(|format| format == "weir.manifest/v1") && files.iter().all(|magic| magic == "WEIRST1"),
        "{files:?}"
    );
    assert!(rig.manifests().last().unwrap().open_windows > 0 && files.len() > 1, "the fixture has state to go on from");

    let start = || {
        let mut document = rig.document(&rig.site);
        document["spec"]["checkpoint"]["snapshotEvery"] = 1.into();
        Start { document: document.into(), ..rig.start() }
    };
    // There is nothing new to read, so the run only claims, over the old files.
    start().run(RUN_LIMIT).expect(OK);
    let (manifests, after) = formats(&rig);
    assert!(manifests[of_v1..].iter().all(|format| format == "weir.manifest/v2") && manifests.len() > of_v1);
    assert_eq!(after, files, "a claim names the files that there are");

    rig.produce(&batch(1));
    start().run(RUN_LIMIT).expect(OK);
    let (_, files) = formats(&rig);
    assert!(!files.is_empty() && files.iter().all(|magic| magic == "WEIRST2"), "{files:?}");
    rig.assert_right();
}
