//! Encryption on the server: the document's wish goes with every object that is written, whole or in parts.

use rand::SeedableRng;
use rand::distr::{Alphanumeric, SampleString};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use weir_tests::engine::{CONFIG, Document, OK};
use weir_tests::oracle::Pipeline;
use weir_tests::proxy::{Fault, Proxy, Request, Rule};
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, s3};
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const ALGORITHM: &str = "x-amz-server-side-encryption";
/// The answer to a request that does not ask for the encryption that the document names.
const BARE: Fault = Fault::Refuse { status: 400, code: "InvalidRequest", message: "The object is not encrypted" };
const KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

/// What a pipeline writes, by parts of the requests. The last one begins an upload in parts.
const WRITTEN: [&str; 10] = [
    "/checkpoint/identity.json",
    "/checkpoint/epochs/",
    "/checkpoint/state/",
    "/table/date",
    "/table/_delta_log/0",
    ".checkpoint.parquet",
    "/table/_delta_log/_last_checkpoint",
    "/table-late/",
    "/table-rejected/",
    "?uploads=",
];

/// Dead letters that make a data file that goes to the store in parts, also if a busy machine makes three files of
/// them.
fn large_records() -> Vec<Record> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut value = || Alphanumeric.sample_string(&mut rng, 800_000).into_bytes();
    (0..48).map(|_| Record { partition: 0, key: None, value: value() }).collect()
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
            Rule::when(BARE, move |r| {
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
        // The large records have an epoch of their own, so that they share a file.
        for part in [&Vec::new(), &poisoned(Rides { partitions: 2, ..Rides::new(3_000) }.records(), 300), &late] {
            rig.produce(part);
            start.run(RUN_LIMIT).expect(OK);
        }
        assert_eq!(proxy.struck(), 0, "{:?}", proxy.log());
        let written = |part: &str| proxy.log().iter().any(|l| l.status == Some(200) && l.target.contains(part));
        for part in WRITTEN {
            assert!(written(part), "{part}");
        }
        let outcome = rig.assert_right();
        assert!(outcome.late >= 50 && outcome.rejected.len() == 58, "{}", outcome.rejected.len());
    }
}

/// What Amazon says, with what the engine makes of it.
const REFUSALS: [(Fault, &str); 2] = [
    (
        Fault::Refuse { status: 400, code: "KMS.NotFoundException", message: "Invalid keyId weir-key" },
        "can't use the key `weir-key` to encrypt the bucket `BUCKET` (KMS.NotFoundException); enable that key, or name \
         another one in s3.encryption.keyId",
    ),
    (
        Fault::Refuse {
            status: 403,
            code: "AccessDenied",
            message: "User: arn:aws:iam::1:user/weir is not authorized to perform: kms:GenerateDataKey on resource: \
                      arn:aws:kms:eu-west-3:1:key/weir-key because no identity-based policy allows the \
                      kms:GenerateDataKey action",
        },
        "does not let the Secret `lake` (access key id weir) use the key `weir-key`, which encrypts the bucket \
         `BUCKET` (kms:GenerateDataKey); allow kms:GenerateDataKey and kms:Decrypt on that key",
    ),
];

#[test]
fn a_key_that_the_server_refuses_stops_the_start_with_its_name_and_is_waited_for_later() {
    let kafka = or_skip!(kafka::shared());
    let s3 = or_skip!(s3::shared());
    or_skip!(table::readers());
    let encryption = json!({"encryption": {"type": "SSEKMS", "keyId": "weir-key"}});
    let rides = |offset_us| Rides { partitions: 2, ..Rides::new(1_000) }.starting(offset_us).records();
    for (refusal, words) in REFUSALS {
        let proxy = Proxy::start(&s3.address());
        let endpoint = proxy.endpoint();
        let rig = Rig::new(Pipeline::rides(), kafka, Store::S3(s3, Some(&endpoint)), 2, &rides(0));
        let says = format!("{endpoint} {}", words.replace("BUCKET", &rig.site.topic));
        let refuse = |part: &'static str| {
            let matches = move |r: &Request| makes_an_object(r) && r.path().contains(part);
            proxy.inject(Rule::when(refusal, matches).times(u32::MAX));
        };
        for part in ["/checkpoint/", "/table/"] {
            refuse(part);
            let exit = rig.start_storing("AvailableNow", &encryption).run(RUN_LIMIT);
            exit.expect(CONFIG);
            assert!(exit.stderr.contains(&says), "`{says}` should be in:\n{}", exit.stderr);
            proxy.heal();
        }
        let mut run = rig.start_storing("AsSoonAsPossible", &encryption).spawn();
        run.wait_for_records(1_000, RUN_LIMIT);
        refuse("");
        rig.produce(&rides(1_000_000_000));
        run.wait_for_words(&says, RUN_LIMIT);
        proxy.heal();
        run.wait_for_records(2_000, RUN_LIMIT);
        run.terminate();
        run.wait(RUN_LIMIT).expect(OK);
        rig.finish();
        rig.assert_right();
    }
}
