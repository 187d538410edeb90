//! Keys of an S3 server that change while a pipeline runs, and keys that are wrong.

use weir_tests::engine::{OK, exchange_secret};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::S3_SECRET;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::services::s3::S3;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const PART: usize = 1_000;

/// The `nth` part of the rides, in the order of event time.
fn part(nth: usize) -> Vec<Record> {
    let offset_us = i64::try_from(nth * PART).unwrap() * 1_000_000;
    Rides { partitions: 2, seed: nth as u64, ..Rides::new(PART) }.starting(offset_us).records()
}

/// Puts the keys of this user into the Secret, as the kubelet does.
fn use_keys_of(rig: &Rig, user: &str) {
    exchange_secret(
        rig.folder(),
        S3_SECRET,
        &[("accessKeyId", user), ("secretAccessKey", &format!("secret-key-of-{user}"))],
    );
}

#[test]
fn keys_that_are_exchanged_under_a_running_pipeline_are_taken_up_before_and_after_the_old_ones_end() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start_with_users());
    or_skip!(table::readers());
    for user in ["ann", "bob", "cid"] {
        s3.add_user(user, &format!("secret-key-of-{user}"));
    }
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka, Store::S3(&s3, None), 2, &part(0));
    use_keys_of(&rig, "ann");
    let mut run = rig.start_with(serde_json::json!({"type": "AsSoonAsPossible"})).spawn();
    run.wait_for_records(PART as u64, RUN_LIMIT);

    // The new keys are there before the old ones end, as one should do it: no request is refused.
    use_keys_of(&rig, "bob");
    run.wait_for_words("the Secret `lake` has other keys now (access key id bob)", RUN_LIMIT);
    s3.remove_user("ann");
    rig.produce(&part(1));
    run.wait_for_records(2 * PART as u64, RUN_LIMIT);
    assert!(!run.stderr().contains("does not know the access key"), "{}", run.stderr());

    // The old keys end first. The epoch waits for the new ones.
    s3.remove_user("bob");
    rig.produce(&part(2));
    run.wait_for_words("does not know the access key", RUN_LIMIT);
    use_keys_of(&rig, "cid");
    run.wait_for_records(3 * PART as u64, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    rig.finish();
    assert_eq!(rig.assert_right().read, 3 * PART as u64);
}
