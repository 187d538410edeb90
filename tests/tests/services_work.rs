//! Tests of the servers, the proxy and the readers that the other tests rely on.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use weir_tests::or_skip;
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::services::kafka::{self, Kafka};
use weir_tests::services::s3::{self, ACCESS_KEY, REGION, S3, SECRET_KEY};
use weir_tests::{table, topic};

#[test]
fn a_topic_reads_back_as_it_was_produced() {
    let kafka = or_skip!(kafka::shared());
    let records = Rides { partitions: 3, ..Rides::new(500) }.records();
    topic::create(&kafka.bootstrap(), "reads-back", 3);
    topic::produce(&kafka.bootstrap(), "reads-back", &records);
    let contents = topic::read(&kafka.bootstrap(), "reads-back");
    for partition in 0..3 {
        let expected: Vec<_> = records.iter().filter(|r| r.partition == partition).map(|r| r.value.clone()).collect();
        assert_eq!(contents[&partition].values().filter_map(|r| r.value.clone()).collect::<Vec<_>>(), expected);
    }
    topic::delete(&kafka.bootstrap(), "reads-back");
}

#[test]
fn a_broker_that_was_killed_or_stopped_goes_on_with_its_records() {
    let kafka = or_skip!(Kafka::start());
    let records = Rides { partitions: 1, ..Rides::new(100) }.records();
    topic::create(&kafka.bootstrap(), "survives", 1);
    topic::produce(&kafka.bootstrap(), "survives", &records);
    kafka.kill();
    kafka.restart();
    assert_eq!(topic::read(&kafka.bootstrap(), "survives")[&0].len(), 100);
    kafka.stop();
    kafka.cont();
    topic::produce(&kafka.bootstrap(), "survives", &records);
    assert_eq!(topic::read(&kafka.bootstrap(), "survives")[&0].len(), 200);
}

/// Sends a signed request with curl. Returns the status (0 if there was no answer) and the body.
fn curl(endpoint: &str, method: &str, path: &str, extra: &[&str]) -> (u16, String) {
    let signing = format!("aws:amz:{REGION}:s3");
    let user = format!("{ACCESS_KEY}:{SECRET_KEY}");
    let out = Command::new("curl")
        .args([
            "-s",
            "--max-time",
            "60",
            "--aws-sigv4",
            &signing,
            "--user",
            &user,
            "-X",
            method,
            "-w",
            "\n%{http_code}",
        ])
        .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]) // older curls do not add it, but the server needs it
        .args(extra)
        .arg(format!("{endpoint}{path}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn put(endpoint: &str, path: &str, body: &str) -> u16 {
    curl(endpoint, "PUT", path, &["--data-binary", body, "-H", "If-None-Match: *"]).0
}

fn proxied(bucket: &str, rule: Rule) -> Result<(&'static S3, Proxy), weir_tests::skip::Missing> {
    let s3 = s3::shared()?;
    s3.create_bucket(bucket);
    let proxy = Proxy::start(&s3.address());
    proxy.inject(rule);
    Ok((s3, proxy))
}

#[test]
fn a_conditional_put_has_one_winner() {
    let s3 = or_skip!(s3::shared());
    s3.create_bucket("one-winner");
    for round in 0..5 {
        let path = format!("/one-winner/key-{round}");
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8)
                .map(|i| {
                    scope.spawn({
                        let path = path.clone();
                        move || put(&s3.endpoint(), &path, &i.to_string())
                    })
                })
                .collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|a| **a == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|a| [200, 409, 412].contains(a)), "{answers:?}");
    }
}

#[test]
fn the_s3_server_refuses_a_wrong_secret_and_survives_a_kill() {
    let s3 = or_skip!(S3::start());
    s3.create_bucket("survives");
    assert_eq!(put(&s3.endpoint(), "/survives/a", "1"), 200);
    let wrong = ["--user", "weir:wrong"];
    assert_eq!(curl(&s3.endpoint(), "GET", "/survives/a", &wrong).0, 403);
    s3.kill();
    assert_eq!(curl(&s3.endpoint(), "GET", "/survives/a", &[]).0, 0);
    s3.restart();
    assert_eq!(curl(&s3.endpoint(), "GET", "/survives/a", &[]), (200, "1".to_owned()));
}

#[test]
fn the_proxy_passes_signed_requests_on_unharmed() {
    let (s3, proxy) = or_skip!(proxied("unharmed", Rule::first("PUT", "/nothing", Fault::CutBefore)));
    let body = "x".repeat(3 << 20);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, &body).unwrap();
    let upload = format!("@{}", file.display());
    assert_eq!(curl(&proxy.endpoint(), "PUT", "/unharmed/a%20b/c", &["--data-binary", &upload]).0, 200);
    assert_eq!(curl(&proxy.endpoint(), "GET", "/unharmed/a%20b/c", &[]), (200, body.clone()));
    assert_eq!(curl(&proxy.endpoint(), "GET", "/unharmed/?list-type=2", &[]).0, 200);
    assert_eq!(std::fs::read_to_string(s3.bucket_folder("unharmed").join("a b/c")).unwrap(), body);
    assert_eq!((proxy.struck(), proxy.log().len()), (0, 3));
}

#[test]
fn a_fault_before_the_server_leaves_no_write_and_strikes_as_often_as_told() {
    for (i, fault) in
        [Fault::Answer(500), Fault::Answer(503), Fault::Answer(409), Fault::CutBefore].into_iter().enumerate()
    {
        let bucket = format!("no-write-{i}");
        let (s3, proxy) = or_skip!(proxied(&bucket, Rule::first("PUT", "/a", fault).times(2)));
        let path = format!("/{bucket}/a");
        let expected = if let Fault::Answer(status) = fault { status } else { 0 };
        assert_eq!(put(&proxy.endpoint(), &path, "1"), expected);
        assert_eq!(put(&proxy.endpoint(), &path, "1"), expected);
        assert!(!s3.bucket_folder(&bucket).join("a").exists());
        assert_eq!(put(&proxy.endpoint(), &path, "1"), 200);
        assert_eq!(proxy.struck(), 2);
    }
}

#[test]
fn a_fault_after_the_server_leaves_the_write_and_the_retry_meets_412() {
    for (i, fault) in [Fault::CutAfter, Fault::AnswerAfter(503)].into_iter().enumerate() {
        let bucket = format!("write-landed-{i}");
        let (s3, proxy) = or_skip!(proxied(&bucket, Rule::first("PUT", "/a", fault)));
        let path = format!("/{bucket}/a");
        let expected = if let Fault::AnswerAfter(status) = fault { status } else { 0 };
        assert_eq!(put(&proxy.endpoint(), &path, "1"), expected);
        assert_eq!(std::fs::read_to_string(s3.bucket_folder(&bucket).join("a")).unwrap(), "1");
        assert_eq!(put(&proxy.endpoint(), &path, "1"), 412);
    }
}

#[test]
fn a_black_hole_never_answers_and_a_delayed_request_does() {
    let (s3, proxy) = or_skip!(proxied("slow", Rule::first("PUT", "/hole", Fault::BlackHole)));
    proxy.inject(Rule::first("PUT", "/slow", Fault::Delay(Duration::from_millis(300))));
    assert_eq!(curl(&proxy.endpoint(), "PUT", "/slow/hole", &["--max-time", "1", "--data-binary", "1"]).0, 0);
    assert!(!s3.bucket_folder("slow").join("hole").exists());
    let start = Instant::now();
    assert_eq!(put(&proxy.endpoint(), "/slow/slow", "1"), 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn both_readers_see_the_same_rows_of_a_table_that_neither_wrote_by_our_code() {
    or_skip!(table::readers());
    let folder = tempfile::tempdir().unwrap();
    let made = Command::new(weir_tests::services::script::path("readers"))
        .args(["run", "make_table.py"])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(made.success());
    let expected = [
        json!({"city": "A", "date": "2026-01-01", "n": 1, "x": 1.5, "d": "1.20", "t": "2026-01-01T10:00:00.000001Z"}),
        json!({"city": null, "date": "2026-01-02", "n": 2, "x": null, "d": "-0.05", "t": "2026-01-01T10:00:00.000001Z"}),
    ];
    weir_tests::oracle::assert_same_rows(&expected, &table::read(&folder.path().to_string_lossy(), None));
    weir_tests::oracle::assert_same_rows(&expected, &table::read_log(folder.path()));
    let rows: Vec<u64> = table::history(folder.path()).iter().map(|v| v.rows).collect();
    assert_eq!(rows, [1, 1]);
}

#[test]
fn duckdb_answers_over_json_lines() {
    or_skip!(table::readers());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    std::fs::write(&file, "{\"k\":\"a\",\"n\":1}\n{\"k\":\"a\",\"n\":2}\n").unwrap();
    assert_eq!(
        table::duckdb(Path::new(&file), "select k, sum(n)::bigint as s from input group by k"),
        [json!({"k": "a", "s": 3})]
    );
}
