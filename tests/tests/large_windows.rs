//! A window whose keys do not fit into one Arrow array of strings: it is merged, saved, read back after a kill and
//! written in pieces.

use std::io::Write;

use serde_json::json;
use weir_tests::engine::OK;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

/// Bytes of a key, just below the largest record that a broker accepts.
const KEY_BYTES: usize = 900_000;
const DIGITS: usize = 8;
/// Records that the test holds in memory at once.
const PRODUCED_AT_ONCE: usize = 100;

#[test]
fn a_window_of_more_key_text_than_an_array_holds_is_saved_and_written_whole() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    // 2400 goes beyond 2 GiB, where Arrow's offsets end. It takes 4 GiB of memory and four minutes; `make soak` runs
    // it.
    let megabytes = std::env::var("WEIR_WINDOW_MB").map_or(30, |text| text.parse().unwrap());
    let groups = megabytes * 1_000_000 / KEY_BYTES;
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    rig.site.trigger = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    rig.site.records_per_epoch = 1_000_000;
    let rides = Rides { partitions: 1, step_us: 1, ..Rides::ordered(groups) }.records();
    let zeros = "0".repeat(KEY_BYTES - DIGITS);
    let large = |(i, record): (usize, &Record)| {
        let mut ride: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        ride["city"] = format!("{zeros}{i:0>DIGITS$}").into();
        Record { value: ride.to_string().into_bytes(), ..record.clone() }
    };
    let numbered: Vec<_> = rides.iter().enumerate().collect();
    for part in numbered.chunks(PRODUCED_AT_ONCE) {
        rig.produce(&part.iter().copied().map(large).collect::<Vec<_>>());
    }
    // The window stays open, and the next run reads it back from state files.
    let limit = RUN_LIMIT * 4;
    let keeps_open = || rig.start_with(json!({"type": "AvailableNow"}));
    assert!(keeps_open().fail_at("manifest.create.before", 1).run(limit).aborted(), "an epoch comes to its manifest");
    keeps_open().run(limit).expect(OK);
    assert_eq!(rig.manifests().last().map(|m| m.open_windows), Some(1));
    let exit = rig.start().arg("--memory").arg("16Gi").run(limit);
    exit.expect(OK);
    let read: u64 = rig.manifests().iter().map(|m| m.read).sum();
    assert_eq!(read, groups as u64);
    let no_input = rig.folder().join("empty.json");
    std::fs::File::create(&no_input).unwrap().write_all(b"{}\n").unwrap();
    let sql = format!(
        "SELECT count(*) AS groups, count(DISTINCT city) AS cities, min(length(city)) AS shortest, max(length(city)) \
         AS longest, \
         sum(cnt)::bigint AS rides, sum(right(city, {DIGITS})::bigint)::bigint AS numbers FROM \
         read_parquet('{}/**/*.parquet')",
        rig.table_folder().display()
    );
    let found = table::duckdb(&no_input, &sql);
    let numbers: usize = (0..groups).sum();
    let expected = json!({"groups": groups, "cities": groups, "shortest": KEY_BYTES, "longest": KEY_BYTES, "rides": groups, "numbers": numbers});
    assert_eq!(found, [expected]);
    println!("{groups} groups, {} MiB of memory", exit.figure("memory_bytes_max") >> 20);
}
