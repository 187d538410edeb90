//! A check without manifests and without the oracle: for ordered input, every closed window has the result of DuckDB's
//! GROUP BY, and every window that should have closed did.

use std::io::Write;
use std::path::Path;

use serde_json::Value as Json;
use weir_tests::oracle::replay::replay_uncut;
use weir_tests::oracle::{Pipeline, assert_same_rows};
use weir_tests::rides::Rides;
use weir_tests::rig::{Rig, Store};
use weir_tests::services::kafka;
use weir_tests::topic::{Contents, Record};
use weir_tests::{or_skip, table};

/// The watermark is the least of the partitions' greatest times, minus ten minutes.
const SQL: &str = "
with rides as (select *, ts::timestamptz as t from input),
closing as (select min(last) - interval 10 minutes as watermark from (select max(t) as last from rides group by \
                   partition)),
windows as (
  select time_bucket(interval 5 minutes, t, timestamptz '1970-01-01 00:00:00+00') as start, upper(city) as city,
         sum(price) as revenue, avg(distanceKm) as avg_distance, count(*) as cnt
  from rides where price >= 0 group by all)
select start::date as date, city, strftime(start at time zone 'UTC', '%Y-%m-%d %H:%M:%S') as win_start,
       strftime((start + interval 5 minutes) at time zone 'UTC', '%Y-%m-%d %H:%M:%S') as win_end, revenue, \
                   avg_distance, cnt
from windows, closing where start + interval 5 minutes <= watermark";

#[test]
fn ordered_rides_are_grouped_as_duckdb_groups_them() {
    let kafka = or_skip!(kafka::shared());
    or_skip!(table::readers());
    let records = Rides { partitions: 3, ..Rides::ordered(8_000) }.records();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 3, &records);
    rig.finish();

    let expected = duckdb_rows(rig.folder(), &records);
    assert!(expected.len() > 100, "{} rows expected", expected.len());
    assert_same_rows(&expected, &table::read(&rig.table_folder().to_string_lossy(), None));
}

/// The oracle must not be wrong in the same way as the engine, so it is compared with an engine that shares no code
/// with it.
#[test]
fn the_oracle_agrees_with_duckdb() {
    or_skip!(table::readers());
    let records = Rides { partitions: 3, ..Rides::ordered(8_000) }.records();
    let mut contents = Contents::new();
    for record in &records {
        let partition = contents.entry(record.partition).or_default();
        partition.insert(i64::try_from(partition.len()).unwrap(), record.value.clone().into());
    }
    let folder = tempfile::tempdir().unwrap();
    assert_same_rows(&duckdb_rows(folder.path(), &records), &replay_uncut(&Pipeline::rides(), &contents).rows);
}

fn duckdb_rows(folder: &Path, records: &[Record]) -> Vec<Json> {
    let input = folder.join("rides.jsonl");
    let mut file = std::fs::File::create(&input).unwrap();
    for record in records {
        let mut ride: Json = serde_json::from_slice(&record.value).unwrap();
        ride["partition"] = record.partition.into();
        writeln!(file, "{ride}").unwrap();
    }
    table::duckdb(&input, SQL)
}
