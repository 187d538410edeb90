//! Sinks that leave columns out of their tables.

use serde_json::{Value as Json, json};
use weir_tests::engine::{OK, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

/// A second sink without some of the columns, for each of: windows, lanes, late rows and dead letters.
const FEWER: &[(&str, &str, &str, &[&str])] = &[
    ("few", "after", "table", &["win_start", "revenue"]),
    ("few-cleaned", "before", "cleaned", &["price"]),
    ("few-late", "windows.Late", "late", &["city", "watermark"]),
    ("few-rejected", "input.Rejected", "rejected", &["key", "path"]),
];

#[test]
fn a_table_has_the_rows_of_its_sibling_without_the_columns_that_its_sink_drops() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::Local, 2, &[]);
    let mut document = rig.pipeline.document(&rig.site);
    let sinks = document["spec"]["sinks"].as_array_mut().unwrap();
    sinks.push(json!({"name": "cleaned", "from": "before", "delta": {"uri": rig.site.side_uri("cleaned")}}));
    for (name, from, _, dropped) in FEWER {
        let delta = json!({"uri": rig.site.side_uri(name)});
        sinks.push(json!({"name": name, "from": from, "dropColumns": dropped, "delta": delta}));
    }
    // The second part is produced after the windows of its minute have closed.
    let late = Rides { partitions: 2, seed: 2, ..Rides::new(50) }.records();
    for records in [poisoned(Rides { partitions: 2, ..Rides::new(3_000) }.records(), 300), late] {
        rig.produce(&records);
        Start { document: document.clone().into(), ..rig.start() }.run(RUN_LIMIT).expect(OK);
    }
    for (name, _, sibling, dropped) in FEWER {
        let folder = if *sibling == "table" { rig.table_folder() } else { rig.side_folder(sibling) };
        let mut expected = table::read_log(&folder);
        for row in &mut expected {
            let row = row.as_object_mut().unwrap();
            assert!(dropped.iter().all(|column| row.remove(*column).is_some()), "{sibling} has the columns: {row:?}");
        }
        assert!(!expected.is_empty(), "{sibling} has rows");
        assert_eq!(sorted(table::read_log(&rig.side_folder(name))), sorted(expected), "{name}");
    }
}

fn sorted(mut rows: Vec<Json>) -> Vec<Json> {
    rows.sort_by_key(Json::to_string);
    rows
}
