//! Kafka or S3 is away for a longer time, and comes back.

use std::time::{Duration, Instant};

use weir_e2e::cluster::{READ_LIMIT, Rig, START_LIMIT, kubectl, rides};
use weir_e2e::outage::Outage;
use weir_tests::deadline;
use weir_tests::rides::Rides;

const OUTAGE: Duration = Duration::from_secs(60);

#[test]
fn while_s3_refuses_connections_a_pipeline_says_so_and_then_goes_on_by_itself() {
    s3_away("s3-refuses", Outage::refusing);
}

#[test]
fn while_s3_is_silent_a_pipeline_says_so_and_then_goes_on_by_itself() {
    s3_away("s3-silent", Outage::silent);
}

fn s3_away(name: &str, outage: impl FnOnce(&str, &str) -> Outage) {
    let rig = Rig::new(name, &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    let pods = rig.pods();
    let (outage, began) = (outage("data", "s3-0"), Instant::now());
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    let reason = deadline::until("the pipeline says that nothing is committed", START_LIMIT, || {
        let (condition, message) = rig.condition("Ready")?;
        ["False/EpochOverdue", "False/DependencyUnavailable"]
            .contains(&condition.as_str())
            .then_some(format!("{condition}: {message}"))
    });
    let said = began.elapsed();
    // The metric that the alert on failing commits uses.
    let lag = rig.metric(&pods[0].0, "weir_lag_records{");
    assert!(lag > 0.0, "{lag}");
    wait_out(began);
    assert_eq!(rig.pods(), pods, "a minute is waited out by the process itself");
    drop(outage);
    let back = Instant::now();
    rig.wait_until_read();
    println!(
        "MEASURED {name}: said after {:.0} s ({reason}), committed again {:.1} s after its end",
        said.as_secs_f64(),
        back.elapsed().as_secs_f64()
    );
    rig.wait_for("Ready", "True/Running");
    assert_eq!(rig.pods(), pods);
    rig.assert_right();
}

#[test]
fn a_pipeline_waits_for_kafka_for_a_minute_and_goes_on_by_itself() {
    let rig = Rig::new("kafka-away", &rides(1_000).records());
    rig.applied(&rig.document());
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    let pods = rig.pods();
    let (outage, began) = (Outage::refusing("data", "kafka-0"), Instant::now());
    wait_out(began);
    let stalled = rig.condition("Stalled").unwrap().0;
    assert_eq!((rig.pods(), stalled.as_str()), (pods.clone(), "False/UpToDate"));
    drop(outage);
    let back = Instant::now();
    rig.produce(&Rides { seed: 2, ..rides(1_000) }.starting(1_000_000_000).records());
    rig.wait_until_read();
    println!("MEASURED kafka-away: committed again {:.1} s after its end", back.elapsed().as_secs_f64());
    assert_eq!(rig.pods(), pods);
    rig.assert_right();
}

/// Sleeps for the rest of the outage's length, which is not a state to poll for.
fn wait_out(began: Instant) {
    deadline::until("the outage has lasted", 2 * OUTAGE, || {
        // Meanwhile the cluster itself is asked, to see that the cluster is not away.
        kubectl(&["get", "--raw", "/readyz"]);
        (began.elapsed() >= OUTAGE).then_some(())
    });
}

#[test]
fn a_pipeline_that_is_applied_while_s3_is_away_starts_when_it_is_back() {
    let rig = Rig::new("s3-later", &rides(500).records());
    let outage = Outage::refusing("data", "s3-0");
    rig.applied(&rig.document());
    rig.wait_for("Ready", "False/Starting");
    let pod = rig.running_pod();
    let tried = deadline::until("it has tried", READ_LIMIT, || {
        let log = rig.kubectl(&["logs", &pod]);
        log.contains("is tried again").then_some(log)
    });
    assert!(!tried.contains("panicked"), "{tried}");
    drop(outage);
    rig.wait_for("Ready", "True/Running");
    rig.wait_until_read();
    rig.assert_right();
}
