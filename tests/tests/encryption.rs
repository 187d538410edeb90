//! Encryption on the server: the document's wish goes with every object that is written, whole or in parts.

use rand::SeedableRng;
use rand::distr::{Alphanumeric, SampleString};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use weir_tests::engine::{Document, OK};
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Request, Rule};
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const ALGORITHM: &str = "x-amz-server-side-encryption";
const KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

/// Dead letters that together make a data file that goes to the store in parts.
fn large_records() -> Vec<Record> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut value = || Alphanumeric.sample_string(&mut rng, 800_000).into_bytes();
    (0..24).map(|_| Record { partition: 0, key: None, value: value() }).collect()
}

/// Whether the request makes an object, whole or in parts. The parts of an upload are encrypted as its begin says.
fn makes_an_object(r: &Request) -> bool {
    (r.method == "PUT" && !r.target.contains("uploadId")) || (r.method == "POST" && r.target.ends_with("?uploads="))
}

#[test]
fn every_object_is_written_with_the_encryption_that_the_document_names() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    for (encryption, algorithm, key) in [
        (json!({"type": "SSEKMS", "keyId": "weir-key"}), "aws:kms", Some("weir-key")),
        (json!({"type": "SSEKMS"}), "aws:kms", None),
        (json!({"type": "SSES3"}), "AES256", None),
    ] {
        let proxy = Proxy::start(&s3.address());
        proxy.inject(
            Rule::when(Fault::Answer(400), move |r| {
                makes_an_object(r) && (r.header(ALGORITHM) != Some(algorithm) || r.header(KEY) != key)
            })
            .times(u32::MAX),
        );
        let endpoint = proxy.endpoint();
        let pipeline = Pipeline::rides_with_side_outputs();
        let mut rig = Rig::new(pipeline, kafka, Store::S3(s3, Some(&endpoint)), 2, &large_records());
        rig.site.records_per_epoch = 500;
        let mut start = rig.start_storing("AvailableNow", &json!({"encryption": encryption}));
        let Document::Json(document) = &mut start.document else { unreachable!() };
        for sink in document["spec"]["sinks"].as_array_mut().unwrap() {
            sink["delta"]["maintenance"] = json!({"checkpointEvery": 2});
        }
        let late = Rides { partitions: 2, seed: 2, ..Rides::new(50) }.records();
        for part in [&poisoned(Rides { partitions: 2, ..Rides::new(3_000) }.records(), 300), &late] {
            rig.produce(part);
            start.run(RUN_LIMIT).expect(OK);
        }
        assert_eq!(proxy.struck(), 0, "{:?}", proxy.log());
        let written = |part: &str| proxy.log().iter().any(|l| l.status == Some(200) && l.target.contains(part));
        for part in ["/checkpoint/epochs/", "/checkpoint/state/", "_last_checkpoint", "?uploads=", "/table-late/"] {
            assert!(written(part), "{part}");
        }
        let outcome = rig.assert_right();
        assert!(outcome.late >= 50 && outcome.rejected.len() == 34, "{}", outcome.rejected.len());
    }
}
