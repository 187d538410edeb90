//! Tests every row of the table in docs/reference/changes.md: which changes of a document keep its state.

use serde_json::{Value as Json, json};
use weir_tests::engine::{CONFIG, OK, Start, repository_file};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::{or_skip, table};

const SECOND_US: i64 = 1_000_000;
const RIDES: usize = 1_500;

type Change = fn(&mut Json);

/// The name of the change on that page, the change, and the engine's message.
const REFUSED: &[(&str, Change, &str)] = &[
    (
        "add an aggregate",
        |spec| push(&mut spec["steps"][1]["aggregate"]["columns"], json!({"name": "most", "expr": "max(price)"})),
        "step `windows` now needs max(price), which its open windows have not kept",
    ),
    (
        "change an aggregate",
        |spec| spec["steps"][1]["aggregate"]["columns"][0]["expr"] = json!("sum(price * 2)"),
        "step `windows` now needs sum((price * 2)), which its open windows have not kept",
    ),
    (
        "change a group's columns",
        |spec| {
            spec["steps"][1]["aggregate"]["groupBy"] = json!([]);
            spec["steps"][2]["map"]["columns"][1]["expr"] = json!("'all'");
        },
        "step `windows` was grouped by [city string] and is now by []",
    ),
    (
        "change a window",
        |spec| spec["steps"][1]["aggregate"]["window"]["tumbling"]["size"] = json!("10m"),
        "step `windows` had windows of 300 s and now has windows of 600 s",
    ),
    (
        "change the type of a column that an aggregate or a group reads",
        |spec| {
            spec["sources"][0]["columns"][4]["type"] = json!("decimal(10,2)");
            // The table must still fit.
            spec["steps"][2]["map"]["columns"][4]["expr"] = json!("cast(revenue as double)");
        },
        "step `windows` kept sum(price) as",
    ),
    (
        "rename or drop a step with windows",
        |spec| {
            spec["steps"][1]["name"] = json!("renamed");
            spec["steps"][2]["map"]["from"] = json!("renamed");
        },
        "step `windows` has saved windows and is no longer in the document",
    ),
    (
        "rename or drop a source",
        |spec| {
            spec["sources"][0]["name"] = json!("renamed");
            spec["steps"][0]["map"]["from"] = json!("renamed");
        },
        "source `input` is gone, and with it the offsets that were read",
    ),
    (
        "change a source's topics, pattern or assigned partitions",
        |spec| spec["sources"][0]["kafka"]["topics"] = json!(["elsewhere"]),
        "source `input` read the topics",
    ),
];

/// Changes that fit, each made on top of the ones before it.
const FITS: &[(&str, Change)] = &[
    ("change a condition (`where`)", |spec| spec["steps"][0]["map"]["where"] = json!("price >= 1")),
    ("change the watermark's delay", |spec| spec["sources"][0]["eventTime"]["watermarkDelay"] = json!("5m")),
    ("change what gives the event time", |spec| {
        spec["sources"][0]["eventTime"]["expr"] = json!("date_trunc('second', ts)");
    }),
    ("add a column to a source", |spec| {
        push(&mut spec["sources"][0]["columns"], json!({"name": "note", "type": "string"}));
    }),
    ("change the type of another column", |spec| spec["sources"][0]["columns"][1]["type"] = json!("double")),
    ("add, change, rename or drop a step without windows", |spec| {
        spec["steps"][0]["name"] = json!("renamed");
        spec["steps"][1]["aggregate"]["from"] = json!("renamed");
    }),
    ("reorder or respell aggregates", |spec| {
        let columns = spec["steps"][1]["aggregate"]["columns"].as_array_mut().unwrap();
        columns.reverse();
        columns[0]["expr"] = json!("COUNT( * )");
    }),
    ("add a sink", |spec| {
        let mut second = spec["sinks"][0].clone();
        second["name"] = json!("second");
        second["delta"]["uri"] = json!(format!("{}-second", second["delta"]["uri"].as_str().unwrap()));
        push(&mut spec["sinks"], second);
    }),
    ("move a sink to another table", |spec| {
        let uri = format!("{}-moved", spec["sinks"][1]["delta"]["uri"].as_str().unwrap());
        spec["sinks"][1]["delta"]["uri"] = json!(uri);
    }),
    ("drop a sink", |spec| drop(spec["sinks"].as_array_mut().unwrap().pop())),
    ("drop an aggregate", |spec| {
        let columns = spec["steps"][1]["aggregate"]["columns"].as_array_mut().unwrap();
        columns.retain(|c| c["name"] != "avg_distance");
        for column in spec["steps"][2]["map"]["columns"].as_array_mut().unwrap() {
            if column["name"] == "avg_distance" {
                column["expr"] = json!("cast(0 as double)");
            }
        }
    }),
    (NEW_WINDOWS, |spec| {
        push(
            &mut spec["steps"],
            json!({"name": "more", "aggregate": {
                "from": "input", "window": {"tumbling": {"size": "10m"}}, "columns": [{"name": "n", "expr": "count(*)"}]}}),
        );
        let mut sink = spec["sinks"][0].clone();
        sink["name"] = json!("more-windows");
        sink["from"] = json!("more");
        sink["delta"] = json!({"uri": format!("{}-more", sink["delta"]["uri"].as_str().unwrap())});
        push(&mut spec["sinks"], sink);
    }),
    ("add a source", |spec| {
        let mut source = spec["sources"][0].clone();
        source["name"] = json!("other");
        source["kafka"]["groupId"] = json!("other");
        // This source does not read the records that exist by then, so the number of records stays that of the other
        // source.
        source["kafka"]["startFrom"] = json!({"position": "Latest"});
        push(&mut spec["sources"], source);
        let uri = format!("{}-other", spec["sinks"][0]["delta"]["uri"].as_str().unwrap());
        push(&mut spec["sinks"], json!({"name": "of-other", "from": "other", "delta": {"uri": uri}}));
    }),
];

const NEW_WINDOWS: &str = "add a step with windows";

fn push(list: &mut Json, item: Json) {
    list.as_array_mut().unwrap().push(item);
}

fn run(rig: &Rig, document: &Json) -> Start {
    Start { document: document.clone().into(), ..rig.start() }
}

fn rig(kafka: &kafka::Kafka) -> Rig {
    Rig::new(Pipeline::rides(), kafka, Store::Local, 2, &Rides { partitions: 2, ..Rides::ordered(RIDES) }.records())
}

fn more(rig: &Rig, n: i64) {
    let rides = Rides { partitions: 2, ..Rides::new(RIDES) };
    rig.produce(&rides.starting(n * i64::try_from(RIDES).unwrap() * SECOND_US).records());
}

#[test]
fn what_the_state_does_not_fit_is_refused_and_discarding_it_lets_it_pass() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    let before = rig.manifests();
    let base = rig.pipeline.document(&rig.site);
    let changed = |change: Change| {
        let mut document = base.clone();
        change(&mut document["spec"]);
        document
    };
    weir_tests::topic::create(&rig.site.bootstrap, "elsewhere", 1);
    for (row, change, says) in REFUSED {
        let refused = run(&rig, &changed(*change)).run(RUN_LIMIT);
        refused.expect(CONFIG);
        assert!(refused.stderr.contains(says), "{row}: {}", refused.stderr);
        assert!(refused.stderr.contains("or discard the state with spec.stateAction"), "{row}: {}", refused.stderr);
    }
    assert_eq!(rig.manifests(), before, "a refused document leaves no trace");

    more(&rig, 1);
    for (n, (row, change, _)) in REFUSED.iter().enumerate() {
        let mut document = changed(*change);
        document["spec"]["stateAction"] = json!({"token": format!("row-{n}"), "discard": {}});
        let exit = run(&rig, &document).run(RUN_LIMIT);
        assert_eq!(exit.code, Some(OK), "{row}: {}", exit.stderr);
    }
}

#[test]
fn what_neither_the_state_nor_the_table_fits_is_said_at_once() {
    let kafka = or_skip!(kafka::shared());
    let rig = rig(kafka);
    rig.finish();
    let mut document = rig.pipeline.document(&rig.site);
    push(&mut document["spec"]["steps"][1]["aggregate"]["columns"], json!({"name": "most", "expr": "max(price)"}));
    push(&mut document["spec"]["steps"][2]["map"]["columns"], json!({"name": "most", "expr": "most"}));
    let refused = run(&rig, &document).run(RUN_LIMIT);
    refused.expect(CONFIG);
    for says in ["has no column `most` (double); add it to the table first", "step `windows` now needs max(price)"] {
        assert!(refused.stderr.contains(says), "{}", refused.stderr);
    }
}

#[test]
fn what_the_state_fits_goes_on_with_it() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    rig.finish();
    let mut document = rig.pipeline.document(&rig.site);
    for (n, (row, change)) in FITS.iter().enumerate() {
        change(&mut document["spec"]);
        more(&rig, i64::try_from(n).unwrap() + 1);
        let exit = run(&rig, &document).run(RUN_LIMIT);
        assert_eq!(exit.code, Some(OK), "{row}: {}", exit.stderr);
        assert_eq!(exit.figure("records_read"), RIDES as u64, "{row}");
        let says = "step `more` is new: it gets the records that are read from now on, so its first windows lack what \
                    was read before";
        assert_eq!(exit.stderr.contains(says), *row == NEW_WINDOWS, "{row}: {}", exit.stderr);
    }
    // Windows that were open at a change have the rows from before and after it, so no row is lost.
    let counted: i64 = table::read_log(&rig.table_folder()).iter().map(|row| row["cnt"].as_i64().unwrap()).sum();
    let manifests = rig.manifests();
    let late: u64 = manifests.iter().map(|m| m.rows_late).sum();
    let took_in: u64 = manifests.iter().filter(|m| !m.is_claim).map(|m| m.rows_in).sum();
    assert!(counted > 0 && u64::try_from(counted).unwrap() <= took_in - late, "{counted} of {took_in}, {late} late");
}

#[test]
fn the_last_epoch_of_a_dropped_sink_is_committed_first() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let rig = rig(kafka);
    let without = rig.pipeline.document(&rig.site);
    let mut with = without.clone();
    let (_, add_a_sink) = FITS.iter().find(|(row, _)| *row == "add a sink").unwrap();
    add_a_sink(&mut with["spec"]);
    // An epoch with rows is decided, but in no table yet.
    assert!(run(&rig, &with).fail_at("commit.before", 2).run(RUN_LIMIT).aborted());
    let decided: u64 = rig.manifests().iter().filter_map(|m| m.committed.get("second")).sum();
    assert!(decided > 0, "the epoch in doubt should have rows");
    run(&rig, &without).run(RUN_LIMIT).expect(OK);
    let second = rig.table_folder().with_file_name("table-second");
    assert_eq!(table::read_log(&second).len() as u64, decided);
    rig.assert_table_whole();
}

#[test]
fn the_page_lists_what_is_tried_here() {
    let page = std::fs::read_to_string(repository_file("docs/reference/changes.md")).unwrap();
    let rows = |answer: &str| -> Vec<String> {
        let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(&format!(" | {answer} |")));
        cells.map(|(row, _)| row.to_owned()).collect()
    };
    assert_eq!(rows("no"), REFUSED.iter().map(|(row, ..)| *row).collect::<Vec<_>>());
    assert_eq!(rows("yes"), FITS.iter().map(|(row, _)| *row).collect::<Vec<_>>());
}
