//! What a running pipeline reports over HTTP, compared with docs/operating.md.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_json::json;
use weir_tests::engine::{CONFIG, Engine, OK, repository_file};
use weir_tests::openmetrics::{self, Family};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, ports};
use weir_tests::{deadline, or_skip, web};

/// A pipeline that has read everything and waits for more, and its HTTP address.
fn at_rest(rig: &Rig, records: u64) -> (Engine, String) {
    let address = format!("127.0.0.1:{}", ports::free());
    let mut engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).arg("--http").arg(&address).spawn();
    engine.wait_for_records(records, RUN_LIMIT);
    // An epoch appears first in the file, then in the metrics, and last in `/progress`.
    deadline::until("/progress is the last line", RUN_LIMIT, || {
        let answer = web::get(&address, "/progress").unwrap();
        let json: Json = serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{answer:?}: {e}"));
        (answer.status == 200 && engine.progress().last() == Some(&json)).then_some(())
    });
    (engine, address)
}

#[test]
fn every_metric_is_in_the_docs_and_every_documented_one_is_there() {
    let kafka = or_skip!(kafka::shared());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &Rides { partitions: 3, ..Rides::new(3_000) }.records());
    let (engine, address) = at_rest(&rig, 3_000);
    let answer = web::get(&address, "/metrics").unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
    let families = openmetrics::parse(&answer.body).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(sum(&families, "weir_records_read_total"), 3_000);
    let told: BTreeMap<String, Vec<String>> = families.iter().map(|f| (f.asked_for(), f.labels())).collect();
    assert_eq!(told, documented());

    let progress = engine.progress();
    let rows: u64 = progress.iter().map(|p| p["sinks"][0]["numOutputRows"].as_u64().unwrap()).sum();
    assert!(rows > 0, "the input should try something");
    assert_eq!(sum(&families, "weir_rows_written_total"), rows);
    assert_eq!(sum(&families, "weir_records_decoded_total") + sum(&families, "weir_records_dropped_total"), 3_000);
    assert_eq!(sum(&families, "weir_epochs_total"), progress.len() as u64);
    assert_eq!(sum(&families, "weir_last_epoch"), progress.last().unwrap()["batchId"].as_u64().unwrap());
    assert_eq!(sum(&families, "weir_lag_records"), 0);
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small whole numbers
fn sum(families: &[Family], name: &str) -> u64 {
    let family = families.iter().find(|f| f.asked_for() == name).unwrap_or_else(|| panic!("no metric {name}"));
    family.samples.iter().map(|s| s.value as u64).sum()
}

/// The table in docs/operating.md: the names, with their labels and the label that all metrics have.
fn documented() -> BTreeMap<String, Vec<String>> {
    let page = std::fs::read_to_string(repository_file("docs/operating.md")).unwrap();
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut all = BTreeMap::new();
    for row in page.lines().filter(|l| l.starts_with("| `weir_")) {
        let cells: Vec<&str> = row.split('|').collect();
        let mut labels = quoted(cells[2]);
        labels.push("pipeline".into());
        labels.sort();
        all.extend(quoted(cells[1]).into_iter().map(|name| (name, labels.clone())));
    }
    all
}

#[test]
fn progress_is_the_last_line_of_the_progress_file_and_a_run_that_reads_is_ready() {
    let kafka = or_skip!(kafka::shared());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &Rides { partitions: 1, ..Rides::new(2_000) }.records());
    let (engine, address) = at_rest(&rig, 2_000);
    assert_eq!(web::get(&address, "/healthz").unwrap().status, 200);
    assert_eq!(web::get(&address, "/readyz").unwrap().status, 200);
    assert_eq!(web::get(&address, "/nothing").unwrap().status, 404);
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);
}

#[test]
fn a_run_that_goes_on_where_nothing_is_new_tells_what_it_has_claimed() {
    let kafka = or_skip!(kafka::shared());
    let rig =
        Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &Rides { partitions: 1, ..Rides::new(2_000) }.records());
    let (engine, _) = at_rest(&rig, 2_000);
    let last = engine.progress().pop().unwrap();
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);

    let address = format!("127.0.0.1:{}", ports::free());
    let engine = rig.start_with(json!({"type": "AsSoonAsPossible"})).arg("--http").arg(&address).spawn();
    let claimed: Json = deadline::until("/progress has the claim", RUN_LIMIT, || {
        let answer = web::get(&address, "/progress").ok().filter(|a| a.status == 200)?;
        Some(serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{answer:?}: {e}")))
    });
    assert_eq!((&claimed["kind"], &claimed["numInputRows"]), (&json!("Claim"), &json!(0)));
    assert!(claimed["batchId"].as_u64() > last["batchId"].as_u64(), "{claimed}");
    assert!(last["stateOperators"][0]["openWindows"].as_u64() > Some(0), "the input should try something: {last}");
    for same in ["openWindows", "numRowsTotal"] {
        assert_eq!(claimed["stateOperators"][0][same], last["stateOperators"][0][same], "{same}");
    }
    assert_eq!((&claimed["eventTime"], &claimed["stateStoredBytes"]), (&last["eventTime"], &last["stateStoredBytes"]));
    let source = &claimed["sources"][0];
    assert_eq!(
        (&source["endOffset"], &source["latestOffset"]),
        (&last["sources"][0]["endOffset"], &json!({rig.site.topic: {"0": 2_000}}))
    );
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);
}

#[test]
fn a_run_that_still_looks_for_its_broker_is_healthy_and_not_ready() {
    let kafka = or_skip!(kafka::shared());
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    rig.site.bootstrap = "127.0.0.1:1".into();
    let address = format!("127.0.0.1:{}", ports::free());
    let engine = rig.start().arg("--http").arg(&address).spawn();
    deadline::until("it answers", RUN_LIMIT, || web::get(&address, "/healthz").ok().filter(|a| a.status == 200));
    assert_eq!(web::get(&address, "/readyz").unwrap().status, 503);
    assert_eq!(web::get(&address, "/progress").unwrap().status, 204);
    engine.terminate();
    engine.wait(RUN_LIMIT).expect(OK);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let kafka = or_skip!(kafka::shared());
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let exit = rig.start().arg("--http").arg(&address).run(RUN_LIMIT);
    assert!(exit.expect(CONFIG).stderr.contains(&format!("listen on {address}")), "{}", exit.stderr);
}
