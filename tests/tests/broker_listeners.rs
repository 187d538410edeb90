//! A broker with an inner and an outer listener. The outer one is reached through a forwarder, as through a load
//! balancer. The broker closes connections that are idle for a second.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use weir_tests::engine::{OK, RETRY_EXHAUSTED, Start};
use weir_tests::forwarder::Forwarder;
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::Site;
use weir_tests::proxy::{Fault, Proxy, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::Kafka;
use weir_tests::services::{ports, s3};
use weir_tests::skip::Missing;
use weir_tests::topic::Record;
use weir_tests::{deadline, or_skip, table};

struct Listeners {
    kafka: Kafka,
    /// The port of the outer listener.
    outer: u16,
    /// The port that it advertises.
    advertised: u16,
}

impl Listeners {
    fn start() -> Result<Self, Missing> {
        let (outer, advertised) = (ports::free(), ports::free());
        let kafka = Kafka::start_with(|inner, controller| {
            format!(
                "listeners=PLAINTEXT://127.0.0.1:{inner},OUTER://127.0.0.1:{outer},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{inner},OUTER://127.0.0.1:{advertised}\n\
                 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTER:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
                 connections.max.idle.ms=1000\n"
            )
        })?;
        Ok(Self { kafka, outer, advertised })
    }

    fn forwarder(&self) -> Forwarder {
        Forwarder::start(self.advertised, self.outer)
    }

    /// A run that uses the outer listener.
    fn start_outside(&self, rig: &Rig) -> Start {
        let site = Site { bootstrap: format!("127.0.0.1:{}", self.outer), ..rig.site.clone() };
        Start { document: rig.pipeline.document(&site).into(), ..rig.start() }
    }
}

/// One test for all, with one broker, since a broker takes a while to start.
#[test]
fn the_listener_that_was_asked_is_the_one_that_is_read_from() {
    let listeners = or_skip!(Listeners::start());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    inside_and_outside_are_kept_apart(&listeners);
    what_can_not_be_fetched_is_neither_idle_nor_closed_by_the_clock(&listeners);
    a_commit_that_takes_longer_than_connections_may_be_idle_only_delays(&listeners, s3);
}

fn inside_and_outside_are_kept_apart(listeners: &Listeners) {
    let rides = Rides { partitions: 2, ..Rides::new(1_500) };
    let rig = Rig::new(Pipeline::rides(), &listeners.kafka, Store::Local, 2, &rides.records());
    let forwarder = listeners.forwarder();
    assert_eq!(rig.finish().figure("records_read"), 1_500);
    assert_eq!(forwarder.connections(), 0, "who comes by the inner listener stays there");

    rig.produce(&rides.clone().starting(1_500_000_000).records());
    let through = listeners.start_outside(&rig);
    assert_eq!(through.run(RUN_LIMIT).expect(OK).figure("records_read"), 1_500);
    assert!(forwarder.connections() > 0, "records come from the advertised address");

    let advertised = forwarder.address();
    drop(forwarder);
    rig.produce(&rides.clone().starting(3_000_000_000).records());
    let exit = through.give_up_after(GIVES_UP_AFTER).run(RUN_LIMIT);
    exit.expect(RETRY_EXHAUSTED);
    let outer = listeners.outer;
    let says = format!(
        "{advertised} (advertised by broker 1 on the listener of bootstrapServers 127.0.0.1:{outer}): Connect to"
    );
    assert!(exit.stderr.contains(&says), "`{says}` should be in {}", exit.stderr);
    rig.finish();
    rig.assert_right();
}

/// The network drops all packets between Weir and the broker for longer than `idleAfter`, while producers go on.
fn what_can_not_be_fetched_is_neither_idle_nor_closed_by_the_clock(listeners: &Listeners) {
    let (idle_after, close_after) = (Duration::from_secs(4), Duration::from_secs(5));
    let us = |duration: Duration| Some(i64::try_from(duration.as_micros()).unwrap());
    let pipeline =
        Pipeline { idle_after_us: us(idle_after), close_idle_windows_after_us: us(close_after), ..Pipeline::rides() };
    let rides = Rides { partitions: 2, ..Rides::ordered(1_000) };
    let rig = Rig::new(pipeline, &listeners.kafka, Store::Local, 2, &rides.records());
    let forwarder = listeners.forwarder();
    let site = Site {
        bootstrap: format!("127.0.0.1:{}", listeners.outer),
        trigger: json!({"type": "AsSoonAsPossible"}),
        ..rig.site.clone()
    };
    let mut run = Start { document: rig.pipeline.document(&site).into(), ..rig.start() }.spawn();
    run.wait_for_records(1_000, RUN_LIMIT);
    forwarder.hold();
    let held_us = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
    rig.produce(&rides.clone().starting(1_000_000_000).records());
    // The test needs this time to pass: a wrong engine would close windows meanwhile.
    std::thread::sleep(2 * close_after);
    // On a slow machine the partitions may have been quiet for long before that. Then some windows were closed rightly,
    // whenever their epoch was committed.
    let (after, before): (Vec<_>, Vec<_>) =
        rig.manifests().into_iter().filter(|m| m.moved_by.is_some()).partition(|m| m.clock_us > held_us);
    assert_eq!(after, [], "the clock closed windows whose records could not be fetched");
    forwarder.let_go();
    run.wait_for_records(2_000, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    drop(forwarder);
    rig.finish();
    let outcome = rig.assert_right();
    assert!(!before.is_empty() || outcome.late == 0, "{} rows came in time and are late", outcome.late);
}

/// While an epoch waits for its commit, the next one is read up to its limit, and the queue fills. Then nothing is
/// fetched, and the broker closes the connection.
fn a_commit_that_takes_longer_than_connections_may_be_idle_only_delays(listeners: &Listeners, s3: &s3::S3) {
    let proxy = Proxy::start(&s3.address());
    let endpoint = proxy.endpoint();
    let records: Vec<Record> = Rides { partitions: 1, ..Rides::new(800) }.records().into_iter().map(padded).collect();
    let mut rig = Rig::new(Pipeline::rides(), &listeners.kafka, Store::S3(s3, Some(&endpoint)), 1, &records);
    rig.site.records_per_epoch = 200;
    rig.site.trigger = json!({"type": "AsSoonAsPossible"});
    let forwarder = listeners.forwarder();
    // The first manifest is the claim.
    let is_manifest = |r: &weir_tests::proxy::Request| r.method == "PUT" && r.path().contains("/checkpoint/epochs/");
    proxy.inject(Rule::when(Fault::Hold, is_manifest).from(2));
    let mut run = listeners.start_outside(&rig).spawn();
    deadline::until("the commit is held up", RUN_LIMIT, || (proxy.waiting() > 0).then_some(()));
    let before = forwarder.connections();
    deadline::until("the broker has closed what was idle", RUN_LIMIT, || {
        (forwarder.is_idle() || forwarder.connections() > before).then_some(())
    });
    proxy.heal();
    run.wait_for_epochs(1, RUN_LIMIT);
    assert_eq!(proxy.struck(), 1);
    run.wait_for_records(800, RUN_LIMIT);
    rig.produce(&Rides { partitions: 1, ..Rides::new(500) }.starting(800_000_000).records());
    run.wait_for_records(1_300, RUN_LIMIT);
    assert!(forwarder.connections() > before, "a connection was closed and made again");
    run.terminate();
    let exit = run.wait(RUN_LIMIT);
    exit.expect(OK);
    assert!(!exit.stderr.contains("WARN"), "a connection that was idle is no news: {}", exit.stderr);
    rig.site.trigger = json!({"type": "AvailableNow"});
    rig.finish();
    rig.assert_right();
}

/// Adds a field of 60 KB that the pipeline does not read.
fn padded(record: Record) -> Record {
    let mut value = record.value;
    assert_eq!(value.pop(), Some(b'}'));
    value.extend_from_slice(format!(r#","note":"{}"}}"#, "x".repeat(60_000)).as_bytes());
    Record { value, ..record }
}
