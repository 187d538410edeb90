//! Faults between the engine and a real S3 server: no row is lost or doubled.

use std::time::Duration;

use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Request, Rule};
use weir_tests::rides::Rides;
use weir_tests::rig::{GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::{engine, or_skip, table};

fn is_put(r: &Request, part: &str) -> bool {
    r.method == "PUT" && r.path().contains(part)
}

/// Injects the fault once into each kind of write, at its second request.
fn on_every_kind_of_write(proxy: &Proxy, fault: Fault) {
    for part in ["/checkpoint/epochs/", "/checkpoint/state", "/table/_delta_log/", ".parquet"] {
        proxy.inject(Rule::when(fault, move |r| is_put(r, part)).from(2));
    }
}

fn faulty_run(name: &str, limit: Duration, inject: impl FnOnce(&Proxy)) {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let proxy = Proxy::start(&s3.address());
    inject(&proxy);
    let endpoint = proxy.endpoint();
    let records = Rides { partitions: 3, ..Rides::new(3_000) }.records();
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&endpoint)), 3, &records);
    rig.site.records_per_epoch = 500;
    rig.start().run(limit).expect(engine::OK);
    assert!(proxy.struck() > 0, "{name}: no fault struck: {:?}", proxy.log());
    rig.assert_right();
}

#[test]
fn server_errors_before_a_write() {
    for status in [500, 503] {
        faulty_run("an error", RUN_LIMIT, |proxy| on_every_kind_of_write(proxy, Fault::Answer(status)));
    }
}

#[test]
fn a_conflict_answer_to_a_conditional_put() {
    faulty_run("409", RUN_LIMIT, |proxy| {
        for part in ["/checkpoint/epochs/", "/table/_delta_log/"] {
            proxy.inject(Rule::when(Fault::Answer(409), move |r| is_put(r, part)).from(2).times(2));
        }
    });
}

#[test]
fn a_connection_cut_after_the_write_landed() {
    faulty_run("cut after", RUN_LIMIT, |proxy| on_every_kind_of_write(proxy, Fault::CutAfter));
}

#[test]
fn a_connection_cut_before_the_write() {
    faulty_run("cut before", RUN_LIMIT, |proxy| on_every_kind_of_write(proxy, Fault::CutBefore));
}

#[test]
fn the_clients_own_retry_meets_412() {
    faulty_run("412 to our retry", RUN_LIMIT, |proxy| on_every_kind_of_write(proxy, Fault::AnswerAfter(503)));
}

#[test]
fn a_lost_answer_to_the_very_first_objects() {
    faulty_run("first objects", RUN_LIMIT, |proxy| {
        for part in ["/checkpoint/identity.json", "/checkpoint/epochs/", "/table/_delta_log/"] {
            proxy.inject(Rule::when(Fault::CutAfter, move |r| is_put(r, part)));
        }
    });
}

#[test]
fn errors_and_cuts_on_reads_and_lists() {
    for fault in [Fault::Answer(500), Fault::Answer(503), Fault::CutBefore, Fault::CutAfter] {
        faulty_run("reads", RUN_LIMIT, |proxy| {
            proxy.inject(Rule::when(fault, |r| r.method == "GET" && r.target.contains("list-type")).from(2));
            proxy.inject(Rule::when(fault, |r| r.method == "GET" && !r.target.contains("list-type")).from(2));
        });
    }
}

#[test]
fn slow_answers() {
    faulty_run("slow", RUN_LIMIT, |proxy| on_every_kind_of_write(proxy, Fault::Delay(Duration::from_secs(3))));
}

#[test]
fn a_request_that_is_never_answered_is_given_up_and_tried_again() {
    faulty_run("black hole", 2 * RUN_LIMIT, |proxy| {
        proxy.inject(Rule::when(Fault::BlackHole, |r| is_put(r, "/checkpoint/epochs/")).from(3));
    });
}

#[test]
fn a_store_that_is_away_for_longer_than_asked_ends_the_process_and_the_next_run_goes_on() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    for part in [".parquet", "/table/_delta_log/", "/checkpoint/state", "/checkpoint/epochs/"] {
        let proxy = Proxy::start(&s3.address());
        let endpoint = proxy.endpoint();
        // With one partition all epochs but the first close windows, so there are three files to write.
        let records = Rides { partitions: 1, ..Rides::new(3_000) }.records();
        let mut rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&endpoint)), 1, &records);
        rig.site.records_per_epoch = 500;
        proxy.inject(Rule::when(Fault::Answer(503), move |r| is_put(r, part)).from(3).times(u32::MAX));
        let exit = rig.start().give_up_after(GIVES_UP_AFTER).run(RUN_LIMIT);
        exit.expect(engine::RETRY_EXHAUSTED);
        assert!(
            exit.stderr.contains("503") && exit.stderr.contains(&format!("given up after {GIVES_UP_AFTER:?}")),
            "{part}: {}",
            exit.stderr
        );
        proxy.heal();
        rig.finish();
        rig.assert_right();
    }
}

#[test]
fn a_process_that_dies_while_the_answer_is_lost_finds_its_epoch_again() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let proxy = Proxy::start(&s3.address());
    let endpoint = proxy.endpoint();
    let records = Rides { partitions: 3, ..Rides::new(3_000) }.records();
    let mut rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&endpoint)), 3, &records);
    rig.site.records_per_epoch = 500;
    for part in ["/checkpoint/epochs/", "/table/_delta_log/"] {
        // The store executes the write, the answer never comes, and the process is killed while it waits.
        proxy.inject(Rule::when(Fault::CutAfter, move |r| is_put(r, part)).from(2).times(20));
        let struck = proxy.struck();
        let mut engine = rig.start().spawn();
        weir_tests::deadline::until("a cut struck", RUN_LIMIT, || {
            (proxy.struck() > struck || engine.ended().is_some()).then_some(())
        });
        assert!(proxy.struck() > struck, "no fault struck {part}");
        let _ = engine.kill();
        proxy.heal();
    }
    rig.finish();
    rig.assert_right();
}
