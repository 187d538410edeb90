//! The queries of Nexmark in `examples/nexmark/`, each over the same events from the program's own generator, against
//! DuckDB in batch: its queries, in `nexmark/`, are written by themselves, and neither engine shares code with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use weir_tests::engine::{self, Document, OK, Start, repository_file};
use weir_tests::oracle::assert_same_rows;
use weir_tests::rig::{RUN_LIMIT, Slot};
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::{or_skip, table, topic};

/// One event a second of event time, in five and a half hours from 18:40 to past midnight: so bids fall into all three
/// times of the day of query 14 and into two days, and sessions of ten seconds begin and end.
const EVENTS: &str = "--rate max --count 20000 --event-rate 1 --start 2026-01-01T18:40:00Z --out-of-order 3";
const BIDS: usize = 18_399;
const PARTITIONS: i32 = 4;

/// The bids with their time, for every query.
const BID: &str = "create view bid as select *, \"dateTime\"::timestamptz as ts from input;";

/// The events in a topic, and their bids in a file of JSON lines.
struct Events {
    bootstrap: String,
    topic: String,
    bids: PathBuf,
    _folder: TempDir,
}

impl Events {
    /// Those that all queries read.
    fn shared(kafka: &Kafka) -> &'static Self {
        static SHARED: OnceLock<Events> = OnceLock::new();
        SHARED.get_or_init(|| Self::new(kafka))
    }

    fn new(kafka: &Kafka) -> Self {
        let (bootstrap, topic) = (kafka.bootstrap(), format!("nexmark-{}", std::process::id()));
        topic::create(&bootstrap, &topic, PARTITIONS);
        let mut args = vec!["produce", "nexmark", "--bootstrap", &bootstrap, "--topic", &topic];
        args.extend(EVENTS.split(' '));
        let produced = engine::call(&args);
        assert!(produced.status.success(), "{}", String::from_utf8_lossy(&produced.stderr));

        let contents = topic::read(&bootstrap, &topic);
        let values = contents.values().flat_map(BTreeMap::values).map(|stored| stored.value.as_deref().unwrap());
        let events = values.map(|value| serde_json::from_slice::<Json>(value).unwrap());
        let bids: Vec<_> =
            events.filter(|event| event["event_type"] == 2).map(|event| event["bid"].to_string()).collect();
        assert_eq!(bids.len(), BIDS);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bids.jsonl");
        std::fs::write(&file, bids.join("\n")).unwrap();
        Self { bootstrap, topic, bids: file, _folder: folder }
    }

    /// The rows of a query's pipeline, run with more flags, and the summary of the run.
    fn of_weir(&self, query: &str, flags: &[&str]) -> (Vec<Json>, Json) {
        let folder = tempfile::tempdir().unwrap();
        let uri = |name: &str| format!("file://{}/{name}", folder.path().display());
        let here = json!({"spec": {
            // Several epochs, so that state passes from one to the next.
            "limits": {"recordsPerEpoch": 3_000},
            "checkpoint": {"uri": uri("checkpoint")},
            "connections": [{"name": "auctions", "kafka": {"bootstrapServers": self.bootstrap}}],
            "sources": [{"name": "events", "kafka": {"topics": [self.topic]}}],
            "sinks": [{"name": "result", "delta": {"uri": uri("table")}}],
        }});
        let file = folder.path().join("override.yaml");
        std::fs::write(&file, here.to_string()).unwrap();
        let document = repository_file("examples/nexmark").join(query).with_extension("yaml");
        let start = Start {
            folder: folder.path().to_owned(),
            document: Document::File(document),
            env: Vec::new(),
            args: [&["--override", &file.to_string_lossy()], flags].concat().into_iter().map(str::to_owned).collect(),
        };
        let exit = start.run(RUN_LIMIT);
        let summary = exit.expect(OK).summary.clone().unwrap();
        (table::read(&uri("table"), None), summary)
    }

    /// The rows of a query by DuckDB.
    fn of_duckdb(&self, query: &str) -> Vec<Json> {
        let file = repository_file("tests/tests/nexmark").join(query).with_extension("sql");
        let sql = std::fs::read_to_string(&file).unwrap();
        table::duckdb(&self.bids, &format!("{BID} {sql}"))
    }
}

/// The rows of a query by DuckDB and by Weir, of which there are at least so many.
fn rows(kafka: &Kafka, query: &str, least: usize) -> (Vec<Json>, Vec<Json>) {
    let _slot = Slot::take();
    let events = Events::shared(kafka);
    let expected = events.of_duckdb(query);
    assert!(expected.len() >= least, "{query}: {} rows expected", expected.len());
    (expected, events.of_weir(query, &[]).0)
}

fn agree(query: &str, least: usize) {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (expected, found) = rows(kafka, query, least);
    assert_same_rows(&expected, &found);
}

#[test]
fn q0_all_bids() {
    agree("q0", BIDS);
}

#[test]
fn q1_prices_in_euros() {
    agree("q1", BIDS);
}

#[test]
fn q2_bids_on_some_auctions() {
    agree("q2", 50);
}

#[test]
fn q5_auctions_with_the_most_bids() {
    agree("q5", 10_000);
}

#[test]
fn q7_highest_bids() {
    agree("q7", 2_000);
}

#[test]
fn q11_bids_per_session() {
    agree("q11", 3_000);
}

/// Which window a bid falls into depends on when it is read, so only what the windows of a person add up to is known.
#[test]
fn q12_bids_by_the_clock() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let (expected, found) = rows(kafka, "q12", 300);
    let mut totals = BTreeMap::<i64, i64>::new();
    for row in &found {
        *totals.entry(row["bidder"].as_i64().unwrap()).or_default() += row["bid_count"].as_i64().unwrap();
    }
    let totals: Vec<_> = totals.iter().map(|(bidder, bids)| json!({"bidder": bidder, "bid_count": bids})).collect();
    assert_same_rows(&expected, &totals);
}

#[test]
fn q14_bids_within_a_range_of_prices() {
    agree("q14", 3_000);
}

#[test]
fn q15_statistics_of_a_day() {
    agree("q15", 2);
}

#[test]
fn q16_statistics_of_a_day_and_channel() {
    agree("q16", 5_000);
}

#[test]
fn q17_statistics_of_a_day_and_auction() {
    agree("q17", 1_000);
}

#[test]
fn q18_last_bid_of_a_person_on_an_auction() {
    agree("q18", 4_000);
}

#[test]
fn q21_numbers_of_channels() {
    agree("q21", 15_000);
}

#[test]
fn q22_folders_of_urls() {
    agree("q22", BIDS);
}

/// What comparisons with engines that write nothing are run with.
#[test]
fn results_that_are_discarded_are_read_for_and_not_written() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let _slot = Slot::take();
    let (rows, summary) = Events::shared(kafka).of_weir("q5", &["--discard-results"]);
    assert_eq!((rows.len(), &summary["records_read"]), (0, &json!(20_000)), "{summary}");
}
