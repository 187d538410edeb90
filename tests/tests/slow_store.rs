//! A narrow link to the store: large files are written and read in parts, so that a deadline applies to progress and
//! not to size.

use std::time::Duration;

use rand::distr::Alphanumeric;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use weir_tests::engine::OK;
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::Proxy;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const PART_BYTES: usize = 8 << 20;
/// Bytes of a key, which does not compress.
const KEY_BYTES: usize = 1_000;

/// A setting from the environment: `WEIR_SLOW_MB` or `WEIR_SLOW_BYTES_PER_SECOND`. With 40 and 1000000, as in `make
/// soak`, the test takes minutes.
fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn rides_with_large_keys(count: usize) -> Vec<Record> {
    let mut rng = SmallRng::seed_from_u64(1);
    let rides = Rides { partitions: 2, step_us: 10_000, ..Rides::ordered(count) }.records();
    let large = |record: Record| {
        let mut ride: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        ride["city"] = (&mut rng).sample_iter(Alphanumeric).take(KEY_BYTES).map(char::from).collect::<String>().into();
        Record { value: ride.to_string().into_bytes(), ..record }
    };
    rides.into_iter().map(large).collect()
}

#[test]
fn state_that_takes_longer_than_a_request_may_is_written_and_read_back_after_a_kill() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let (mb, rate) = (setting("WEIR_SLOW_MB", 20), setting("WEIR_SLOW_BYTES_PER_SECOND", 8_000_000));
    let limit = RUN_LIMIT + Duration::from_secs(u64::from(mb) * 3_000_000 / u64::from(rate));
    let proxy = Proxy::start(&s3.address());
    let records = rides_with_large_keys(mb as usize * 1_000_000 / KEY_BYTES);
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&proxy.endpoint())), 2, &records);
    rig.site.records_per_epoch = 1_000_000;
    proxy.limit(Some(rate));
    let mut engine = rig.start_with(serde_json::json!({"type": "Interval", "interval": "2s"})).spawn();
    // All records are in, in any number of epochs: they are the state that the next start reads back.
    engine.wait_for_records(records.len() as u64, limit);
    let _ = engine.kill();
    rig.start().run(limit).expect(OK);

    let of_state: Vec<_> = proxy.log().into_iter().filter(|l| l.target.contains("/checkpoint/state")).collect();
    let most =
        |pick: &dyn Fn((usize, usize)) -> usize| of_state.iter().map(|l| pick(l.bytes)).max().unwrap_or_default();
    let (sent, got) = (most(&|(sent, _)| sent), most(&|(_, got)| got));
    assert!(sent <= PART_BYTES && got <= PART_BYTES + 4_096, "a request of state sent {sent} bytes, or got {got}");
    let all = |pick: &dyn Fn((usize, usize)) -> usize| of_state.iter().map(|l| pick(l.bytes)).sum::<usize>();
    let least = mb as usize * 1_000_000 / 2;
    assert!(
        all(&|(sent, _)| sent) > least && all(&|(_, got)| got) > least,
        "the state should have gone out and come back"
    );
    proxy.limit(None);
    rig.assert_right();
}
