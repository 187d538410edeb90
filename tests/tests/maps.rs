//! Columns that are maps, from JSON through state into Delta tables that other engines read.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};
use weir_tests::engine::{self, OK, Start};
use weir_tests::oracle::{Pipeline, time};
use weir_tests::rides::START_US;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

/// A map, in its order.
type Map = Vec<(String, Option<i64>)>;

fn record(value: &str) -> Record {
    Record { partition: 0, key: None, value: value.into() }
}

fn sorted(mut rows: Vec<Json>) -> Vec<Json> {
    rows.sort_by_key(|row| row["n"].as_u64());
    rows
}

/// The readers print a map as pairs, in its order.
#[test]
fn delta_rs_and_duckdb_read_the_maps_that_the_records_have() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let records = [
        r#"{"n":0,"m":{"b":1,"a":null},"deep":{"x":[{"k":{"v":1.5,"w":{"p":"q"}}}]},"days":{"first":"0001-01-01","last":"9999-12-31"}}"#,
        r#"{"n":1,"m":{},"deep":{},"days":null}"#,
        r#"{"n":2,"m":null,"deep":{"x":null,"y":[],"z":[null,{}]}}"#,
        r#"{"n":3,"m":{"twice":1,"twice":2}}"#,
        r#"{"n":4,"m":{"":0},"deep":{"x":[{"k":null,"l":{"v":null,"w":{}}}]}}"#,
    ];
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records.map(record));
    let mut document = rig.pipeline.document(&rig.site);
    let source = &mut document["spec"]["sources"][0];
    source.as_object_mut().unwrap().remove("eventTime");
    source["badRecords"] = json!({"policy": "Output"});
    source["columns"] = json!([
        {"name": "n", "type": "bigint"},
        {"name": "m", "type": "map<string, int>"},
        {"name": "deep", "type": "map<string, array<map<string, struct<v: double, w: map<string, string>>>>>"},
        {"name": "days", "type": "map<string, date>"}]);
    document["spec"]["steps"] = json!([
        {"name": "picked", "map": {"from": "input", "where": "n <> 1", "columns": [
            {"name": "n"}, {"name": "b", "expr": "m['b']"}, {"name": "keys", "expr": "map_keys(m)"},
            {"name": "more", "expr": "map_concat(m, map('z', cast(n as int)))"}]}}]);
    let picked = rig.site.side_uri("picked");
    document["spec"]["sinks"] = json!([
        {"name": "plain", "from": "input", "delta": {"uri": rig.site.table_uri}},
        {"name": "picked-table", "from": "picked", "delta": {"uri": picked}},
        {"name": "rejected", "from": "input.Rejected", "delta": {"uri": rig.site.side_uri("rejected")}},
    ]);
    Start { document: document.into(), ..rig.start() }.run(RUN_LIMIT).expect(OK);

    let deep = json!({"v": 1.5, "w": [["p", "q"]]});
    let expected = vec![
        json!({"n": 0, "m": [["b", 1], ["a", null]], "deep": [["x", [[["k", deep]]]]],
            "days": [["first", "0001-01-01"], ["last", "9999-12-31"]]}),
        json!({"n": 1, "m": [], "deep": [], "days": null}),
        json!({"n": 2, "m": null, "deep": [["x", null], ["y", []], ["z", [null, []]]], "days": null}),
        json!({"n": 4, "m": [["", 0]], "deep": [["x", [[["k", null], ["l", {"v": null, "w": []}]]]]], "days": null}),
    ];
    assert_eq!(sorted(table::read(&rig.site.table_uri, None)), expected, "delta-rs");
    assert_eq!(sorted(table::read_log(&rig.table_folder())), expected, "DuckDB");
    assert_eq!(
        sorted(table::read(&picked, None)),
        [
            json!({"n": 0, "b": 1, "keys": ["b", "a"], "more": [["b", 1], ["a", null], ["z", 0]]}),
            json!({"n": 2, "b": null, "keys": null, "more": null}),
            json!({"n": 4, "b": null, "keys": [""], "more": [["", 0], ["z", 4]]}),
        ]
    );
    let rejected = table::read(&rig.site.side_uri("rejected"), None);
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["path"], "$.m.twice");

    let log = rig.table_folder().join("_delta_log/00000000000000000000.json");
    let actions: Vec<Json> =
        std::fs::read_to_string(log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let metadata = actions.iter().find_map(|action| action.get("metaData")).unwrap();
    let schema: Json = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    assert_eq!(
        schema["fields"][1]["type"],
        json!({"type": "map", "keyType": "string", "valueType": "integer", "valueContainsNull": true})
    );
}

/// Maps wait in every kind of state while the process is killed: rows of a `deduplicate`, of an `over` and of a `top`,
/// and values of aggregates.
#[test]
fn maps_in_state_outlive_the_process() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let rows: Vec<(i64, String, Map)> = (0..400)
        .map(|n| {
            let keys = (0..rng.random_range(0..4)).map(|i| (format!("k{i}"), rng.random_bool(0.9).then_some(n)));
            (n, format!("d{}", n % 4), keys.collect())
        })
        .collect();
    let object = |map: &Map| Json::Object(map.iter().map(|(k, v)| (k.clone(), json!(v))).collect());
    let records: Vec<_> = rows
        .iter()
        .map(|(n, device, map)| {
            let at = time::format_micros(START_US + n * 1_000_000);
            let value = json!({"n": n, "device": device, "m": object(map), "at": at});
            record(&value.to_string())
        })
        .collect();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &records);
    let mut document = rig.pipeline.document(&rig.site);
    let source = &mut document["spec"]["sources"][0];
    source["columns"] = json!([
        {"name": "n", "type": "bigint"}, {"name": "device", "type": "string"},
        {"name": "m", "type": "map<string, bigint>"}, {"name": "at", "type": "timestamp", "required": true}]);
    source["eventTime"] = json!({"expr": "at", "watermarkDelay": "30s"});
    source.as_object_mut().unwrap().remove("badRecords");
    document["spec"]["trigger"] = json!({"type": "AvailableNow", "onEnd": "EmitAll"});
    document["spec"]["limits"] = json!({"recordsPerEpoch": 60});
    let window = json!({"tumbling": {"size": "1m"}});
    document["spec"]["steps"] = json!([
        {"name": "once", "deduplicate": {"from": "input", "key": ["n"], "within": "1m", "order": "EventTime"}},
        {"name": "moving", "over": {"from": "input", "key": ["device"], "range": {"preceding": "40s"},
            "addColumns": [{"name": "before", "expr": "first(m)"}]}},
        {"name": "kept", "aggregate": {"from": "input", "window": window, "groupBy": [{"name": "device"}], "columns": [
            {"name": "first", "expr": "first(m)"}, {"name": "last", "expr": "last(m)"},
            {"name": "least", "expr": "min_by(m, n)"}, {"name": "all", "expr": "collect_list(m)"},
            {"name": "sum", "expr": "sum(m['k0'])"}]}},
        {"name": "best", "top": {"from": "input", "key": ["device"], "window": window,
            "orderBy": [{"expr": "n", "direction": "Desc"}], "limit": 2}},
    ]);
    let uri = |name: &str| rig.site.side_uri(name);
    let sink = |name: &str| json!({"name": format!("{name}-table"), "from": name, "delta": {"uri": uri(name)}});
    document["spec"]["sinks"] = json!([sink("once"), sink("moving"), sink("kept"), sink("best")]);
    let start = Start { document: document.into(), ..rig.start() };
    for point in [3, 2] {
        let exit = start.clone().fail_at("manifest.create.after", point).run(RUN_LIMIT);
        assert!(exit.aborted(), "{exit:?}");
    }
    start.run(RUN_LIMIT).expect(engine::OK);

    let pairs = |map: &Map| json!(map);
    let map_of = |n: i64| pairs(&rows[usize::try_from(n).unwrap()].2);
    let once = sorted(table::read(&uri("once"), None));
    assert_eq!(once.len(), 400);
    for row in &once {
        assert_eq!(row["m"], map_of(row["n"].as_i64().unwrap()), "{row}");
    }
    let moving = sorted(table::read(&uri("moving"), None));
    assert_eq!(moving.len(), 400);
    for row in &moving {
        // The device's rows of forty seconds before: each fourth, ten of them.
        let n = row["n"].as_i64().unwrap();
        assert_eq!((&row["m"], &row["before"]), (&map_of(n), &map_of((n - 40).max(n % 4))), "{row}");
    }
    let mut groups: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
    rows.iter().for_each(|(n, ..)| groups.entry((n / 60, n % 4)).or_default().push(*n));
    let place = |row: &Json| {
        let start = time::parse_timestamp(row["window_start"].as_str().unwrap()).unwrap();
        let device = row["device"].as_str().unwrap()[1..].parse::<i64>().unwrap();
        ((start - START_US) / 60_000_000, device)
    };
    let kept = table::read(&uri("kept"), None);
    assert_eq!(kept.len(), groups.len());
    for row in &kept {
        let group = &groups[&place(row)];
        let (first, last) = (group[0], group[group.len() - 1]);
        let all: Vec<_> = group.iter().map(|n| map_of(*n)).collect();
        let of_k0 = |n: &i64| rows[usize::try_from(*n).unwrap()].2.first().and_then(|(_, value)| *value);
        let values: Vec<i64> = group.iter().filter_map(of_k0).collect();
        let sum = (!values.is_empty()).then(|| values.iter().sum::<i64>());
        assert_eq!(row["first"], map_of(first), "{row}");
        assert_eq!((&row["last"], &row["least"]), (&map_of(last), &map_of(first)), "{row}");
        assert_eq!((&row["all"], &row["sum"]), (&json!(all), &json!(sum)), "{row}");
    }
    let best = table::read(&uri("best"), None);
    assert_eq!(best.len(), 2 * groups.len());
    for row in &best {
        let (n, group) = (row["n"].as_i64().unwrap(), &groups[&place(row)]);
        assert!(group[group.len() - 2..].contains(&n), "{row}");
        assert_eq!(row["m"], map_of(n), "{row}");
    }
}
