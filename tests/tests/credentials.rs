//! Keys of an S3 server that change while a pipeline runs, and keys that are wrong.

use weir_tests::engine::{CONFIG, OK, RETRY_EXHAUSTED, Start, exchange_secret};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::S3_SECRET;
use weir_tests::rides::Rides;
use weir_tests::rig::{GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka;
use weir_tests::services::s3::S3;
use weir_tests::topic::Record;
use weir_tests::wall_clock::WallClock;
use weir_tests::{or_skip, table};

const PART: usize = 1_000;
const HOUR_S: i64 = 3_600;

/// The `nth` part of the rides, in the order of event time.
fn part(nth: usize) -> Vec<Record> {
    let offset_us = i64::try_from(nth * PART).unwrap() * 1_000_000;
    Rides { partitions: 2, seed: nth as u64, ..Rides::new(PART) }.starting(offset_us).records()
}

/// Puts the keys of this user into the Secret, as the kubelet does.
fn use_keys_of(rig: &Rig, user: &str) {
    let secret_key = secret_key_of(user);
    exchange_secret(rig.folder(), S3_SECRET, &[("accessKeyId", user), ("secretAccessKey", &secret_key)]);
}

fn secret_key_of(user: &str) -> String {
    format!("secret-key-of-{user}")
}

#[test]
fn keys_that_are_exchanged_under_a_running_pipeline_are_taken_up_before_and_after_the_old_ones_end() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start_with_users());
    or_skip!(table::readers());
    for user in ["ann", "bob", "cid"] {
        s3.add_user(user, &secret_key_of(user));
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

#[test]
fn keys_rights_buckets_and_clocks_that_the_server_refuses_are_told_apart() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start_with_users());
    s3.add_user("ann", &secret_key_of("ann"));
    s3.add_guest("eve", &secret_key_of("eve"));
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::S3(&s3, None), 2, &part(0));
    let (endpoint, bucket) = (s3.endpoint(), rig.site.topic.clone());
    let says = |start: &Start, code: i32, words: &str| {
        let exit = start.run(RUN_LIMIT);
        exit.expect(code);
        assert!(exit.stderr.contains(words), "`{words}` should be in:\n{}", exit.stderr);
    };
    let refused = |why: &str| format!("the bucket `{bucket}` can't be used: {why}");

    use_keys_of(&rig, "nobody");
    let unknown = format!(
        "{endpoint} does not know the access key of the Secret `lake` (access key id nobody); put keys there that it \
         knows"
    );
    says(&rig.start(), CONFIG, &refused(&unknown));
    exchange_secret(rig.folder(), S3_SECRET, &[("accessKeyId", "ann"), ("secretAccessKey", "another")]);
    let wrong = format!(
        "{endpoint} refused the secret key of the Secret `lake` (access key id ann); put the one there that belongs to \
         the access key"
    );
    says(&rig.start(), CONFIG, &refused(&wrong));
    use_keys_of(&rig, "eve");
    let denied = format!(
        "{endpoint} denied access to the bucket `{bucket}` (AccessDenied): the Secret `lake` (access key id eve) was \
         used; reading, writing, listing and deleting must be allowed to it"
    );
    says(&rig.start(), CONFIG, &denied);

    use_keys_of(&rig, "ann");
    let clock = or_skip!(WallClock::new(rig.folder()));
    clock.step(HOUR_S);
    let apart =
        format!("the clocks of this machine and of {endpoint} are too far apart; set the one right that is wrong");
    let start = clock.under(rig.start()).give_up_after(GIVES_UP_AFTER);
    says(&start, RETRY_EXHAUSTED, &refused(&apart));

    rig.site.checkpoint_uri = rig.site.checkpoint_uri.replace(&bucket, "no-such-bucket");
    let missing = format!("the bucket `no-such-bucket` does not exist at {endpoint}; create it or correct the URI");
    says(&rig.start(), CONFIG, &missing);
}

/// Keys that may do everything below one prefix and nothing, or not everything, below another.
#[test]
fn keys_without_rights_on_a_prefix_are_refused_by_what_they_may_not_do() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(S3::start_with_users());
    or_skip!(table::readers());
    s3.add_guest("eve", &secret_key_of("eve"));
    let rig = Rig::new(Pipeline::rides(), kafka, Store::S3(&s3, None), 2, &part(0));
    let bucket = rig.site.topic.as_str();
    let denied = format!(
        "{} denied access to the bucket `{bucket}` (AccessDenied): the Secret `lake` (access key id eve) was used; \
         reading, writing, listing and deleting must be allowed to it",
        s3.endpoint()
    );
    use_keys_of(&rig, "eve");
    let (all, reads) = (&["s3:GetObject", "s3:PutObject", "s3:DeleteObject"][..], &["s3:GetObject"][..]);
    let of = |folder: &str| format!("{bucket}/{folder}/*");
    for (checkpoint, table, at) in [
        (None, Some(all), "checkpoint"),
        (Some(reads), Some(all), "checkpoint"),
        (Some(all), None, "table"),
        (Some(all), Some(reads), "table"),
    ] {
        let (of_checkpoint, of_table) = (of("checkpoint"), of("table"));
        let mut may = vec![(&["s3:ListBucket"][..], bucket)];
        may.extend(checkpoint.map(|actions| (actions, of_checkpoint.as_str())));
        may.extend(table.map(|actions| (actions, of_table.as_str())));
        s3.allow("eve", bucket, &may);
        let exit = rig.start().run(RUN_LIMIT);
        exit.expect(CONFIG);
        let place = format!("s3://{bucket}/{at}: {denied}");
        assert!(exit.stderr.contains(&place), "`{place}` should be in:\n{}", exit.stderr);
    }
    let everything = format!("{bucket}/*");
    s3.allow("eve", bucket, &[(&["s3:ListBucket"], bucket), (all, &everything)]);
    rig.finish();
    assert_eq!(rig.assert_right().read, PART as u64);
}
