//! A producer may compress much into little: a batch of some hundred kilobytes, which the broker takes, and which
//! expands to more than the process may use. The run ends with a sentence, and not by the kernel.

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use weir_tests::engine::{DATA, MEMORY};
use weir_tests::or_skip;
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::kafka::{self, Kafka};

/// More than a run with [`LIMIT`] may use, and more than librdkafka accepts of zstd (256 MiB).
const EXPANDED_BYTES: usize = 600_000_000;
const LIMIT: &str = "512Mi";

/// A pipeline whose topic has 300 rides and then such a batch.
fn with_bomb(kafka: &Kafka, codec: &str) -> Rig {
    let rides = Rides { partitions: 1, ..Rides::new(300) }.records();
    let rig = Rig::new(Pipeline::rides(), kafka, Store::Local, 1, &rides);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &rig.site.bootstrap)
        .set("message.max.bytes", "1000000000")
        .set("compression.type", codec)
        .create()
        .unwrap();
    let value = vec![b' '; EXPANDED_BYTES];
    producer.send(BaseRecord::<(), _>::to(&rig.site.topic).partition(0).payload(&value)).map_err(|(e, _)| e).unwrap();
    producer.flush(RUN_LIMIT).unwrap();
    rig
}

#[test]
fn gzip_that_expands_beyond_the_memory_ends_the_run_with_the_reason() {
    let rig = with_bomb(or_skip!(kafka::shared()), "gzip");
    let exit = rig.start().arg("--memory").arg(LIMIT).run(RUN_LIMIT);
    let said = &exit.expect(MEMORY).stderr;
    assert!(said.contains("of the memory limit of 512 MiB are used"), "{said}");
}

#[test]
fn zstd_that_expands_beyond_the_greatest_answer_is_an_unreadable_batch() {
    let rig = with_bomb(or_skip!(kafka::shared()), "zstd");
    let exit = rig.start().arg("--memory").arg(LIMIT).run(RUN_LIMIT);
    let said = &exit.expect(DATA).stderr;
    assert!(said.contains("300"), "{said}");
}
