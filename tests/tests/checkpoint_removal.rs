//! `weir checkpoint delete` deletes the checkpoint and keeps the tables.

use std::fs;
use std::path::Path;
use std::process::Output;

use weir_tests::engine::{self, CONFIG, OK};
use weir_tests::oracle::{Pipeline, assert_same_rows};
use weir_tests::rides::Rides;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::{or_skip, table};

/// Runs it for the rig's pipeline under this name.
fn delete(rig: &Rig, name: &str) -> Output {
    let mut document = rig.pipeline.document(&rig.site);
    document["metadata"]["name"] = name.into();
    let file = rig.folder().join("deleted.yaml");
    fs::write(&file, document.to_string()).unwrap();
    let secrets = rig.folder().join("secrets");
    engine::call(&["checkpoint", "delete", "-f", &file.to_string_lossy(), "--secrets", &secrets.to_string_lossy()])
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&[&out.stdout[..], &out.stderr].concat()).into_owned()
}

fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

fn delete_and_verify(store: Store<'_>) -> Option<()> {
    let kafka = kafka::shared().ok()?;
    let rig = Rig::new(Pipeline::rides(), kafka, store, 6, &Rides::new(2_000).records());
    rig.finish();
    let rows = rig.assert_right().rows;

    let other = delete(&rig, "orders");
    assert_eq!(other.status.code(), Some(CONFIG));
    assert!(said(&other).contains("belongs to pipeline"), "{}", said(&other));
    let before = files(&rig.checkpoint_folder());
    assert!(before > 1, "the other pipeline has deleted nothing");

    let out = delete(&rig, &rig.pipeline.name);
    assert_eq!(out.status.code(), Some(OK), "{}", said(&out));
    assert!(said(&out).contains(": deleted, with "), "{}", said(&out));
    assert_eq!(files(&rig.checkpoint_folder()), 0);
    assert_same_rows(&rows, &table::read_log(&rig.table_folder()));

    let again = delete(&rig, &rig.pipeline.name);
    assert_eq!(again.status.code(), Some(OK));
    assert!(said(&again).contains("there is no checkpoint"), "{}", said(&again));
    Some(())
}

#[test]
fn a_checkpoint_on_local_disk_goes_and_its_table_stays() {
    or_skip!(kafka::shared());
    delete_and_verify(Store::Local).unwrap();
}

#[test]
fn a_checkpoint_on_s3_goes_and_its_table_stays() {
    let s3 = or_skip!(s3::shared());
    or_skip!(kafka::shared());
    delete_and_verify(Store::S3(s3, None)).unwrap();
}
