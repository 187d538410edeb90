//! S3 over TLS, with certificates from a CA that only the document knows.

use serde_json::{Value as Json, json};
use weir_tests::certificates::{Authority, Certificate};
use weir_tests::engine::{self, CONFIG, Exit, OK, Start, write_secret};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::{Rides, poisoned};
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::s3::S3;
use weir_tests::services::{kafka, s3};
use weir_tests::skip::Missing;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table};

const CA: &str = "the lake's CA";
const CA_SECRET: &str = "lake-ca";

/// The fields of `s3` that name the certificate in the Secret.
fn with_ca() -> Json {
    json!({"caSecretRef": {"name": CA_SECRET, "key": "ca.crt"}})
}

/// A server with TLS, and the CA of its certificate.
fn server() -> Result<(Authority, S3), Missing> {
    let ca = Authority::new(CA);
    let server = S3::start_with_tls(&ca.server())?;
    Ok((ca, server))
}

fn rig(server: &S3, records: &[Record]) -> Result<Rig, Missing> {
    let rig = Rig::new(Pipeline::rides_with_side_outputs(), kafka::shared()?, Store::S3(server, None), 2, records);
    Ok(rig)
}

fn rides() -> Vec<Record> {
    Rides { partitions: 2, ..Rides::new(2_000) }.records()
}

/// What refused the run at its start, before anything was begun.
fn refusal(rig: &Rig, start: &Start) -> String {
    let exit: Exit = start.run(RUN_LIMIT);
    exit.expect(CONFIG);
    assert!(!rig.checkpoint_folder().exists() && !rig.table_folder().exists(), "nothing was begun");
    exit.stderr
}

#[test]
fn everything_is_stored_over_tls_with_the_documents_ca() {
    let (ca, server) = or_skip!(server());
    or_skip!(table::readers());
    let mut rig = or_skip!(rig(&server, &poisoned(rides(), 300)));
    rig.site.records_per_epoch = 200;
    write_secret(rig.folder(), CA_SECRET, &[("ca.crt", &ca.pem())]);
    let mut start = rig.start_storing("AvailableNow", &with_ca());
    let engine::Document::Json(document) = &mut start.document else { unreachable!() };
    document["spec"]["sinks"][0]["delta"]["maintenance"] = json!({"checkpointEvery": 2});
    let document = document.clone();
    start.run(RUN_LIMIT).expect(OK);
    // A second run reads the state, the log and its checkpoint back.
    rig.produce(&Rides { partitions: 2, seed: 2, ..Rides::new(500) }.starting(4_000_000_000).records());
    start.run(RUN_LIMIT).expect(OK);
    assert!(!rig.assert_right().rejected.is_empty());
    assert!(rig.table_folder().join("_delta_log/_last_checkpoint").exists());

    let file = rig.folder().join("pipeline.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let secrets = rig.folder().join("secrets");
    let (file, secrets) = (file.to_string_lossy(), secrets.to_string_lossy());
    let deleted = engine::call(&["checkpoint", "delete", "-f", &file, "--secrets", &secrets]);
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    assert!(!rig.checkpoint_folder().join("identity.json").exists());
}

#[test]
fn a_certificate_that_is_refused_stops_the_start_with_the_reason() {
    let (ca, server) = or_skip!(server());
    let rig = or_skip!(rig(&server, &rides()));
    let endpoint = server.endpoint();
    let says = |start: &Start, says: &str| {
        let said = refusal(&rig, start);
        assert!(said.contains(&format!("{endpoint} {says}")), "`{endpoint} {says}` should be in:\n{said}");
    };
    let start = || rig.start_storing("AvailableNow", &with_ca());
    let trust = |pem: &str| write_secret(rig.folder(), CA_SECRET, &[("ca.crt", pem)]);
    says(&rig.start(), "is from a CA that this machine does not trust: name the CA's certificate in s3.caSecretRef");
    // Another CA, and the former one of the same name.
    for other in ["somebody else", CA] {
        trust(&Authority::new(other).pem());
        says(
            &start(),
            "is not from the CA in the key `ca.crt` of the Secret `lake-ca`: put the certificate of the server's own \
             CA there",
        );
    }
    trust(&ca.pem());
    let says_of = |certificate: &Certificate, words: &str| {
        server.restart_with_tls(certificate);
        says(&start(), words);
    };
    says_of(&ca.expired_server(), "has expired: renew it on the server, or correct this machine's clock");
    says_of(&ca.early_server(), "is not valid yet: correct this machine's clock");
    says_of(
        &ca.server_elsewhere(),
        "is not for the host `127.0.0.1` but for `elsewhere.example`: write a host that it names into s3.endpoint",
    );
}

#[test]
fn a_secret_without_a_certificate_and_a_server_without_tls_are_told_apart() {
    let plain = or_skip!(s3::shared());
    let rig = or_skip!(rig(plain, &rides()));
    let endpoint = plain.endpoint().replace("http://", "https://");
    let mut with_tls = with_ca();
    with_tls["endpoint"] = json!(endpoint);
    let start = rig.start_storing("AvailableNow", &with_tls);
    for (pem, says) in [
        ("ca.crt", "the key `ca.crt` of the Secret `lake-ca`: there is no certificate in it; put the certificate of"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "the key `ca.crt` of the Secret `lake-ca`: a certificate in it is damaged; put the certificate of",
        ),
    ] {
        write_secret(rig.folder(), CA_SECRET, &[("ca.crt", pem)]);
        let said = refusal(&rig, &start);
        assert!(said.contains(says), "{said}");
    }
    write_secret(rig.folder(), CA_SECRET, &[("ca.crt", &Authority::new(CA).pem())]);
    let said = refusal(&rig, &start);
    assert!(said.contains(&format!("{endpoint} does not answer with TLS: write http:// into s3.endpoint")), "{said}");
}

/// Somebody is just exchanging the certificate.
#[test]
fn a_certificate_that_goes_bad_while_the_pipeline_runs_is_waited_for() {
    let (ca, server) = or_skip!(server());
    or_skip!(table::readers());
    let rig = or_skip!(rig(&server, &rides()));
    write_secret(rig.folder(), CA_SECRET, &[("ca.crt", &ca.pem())]);
    let mut run = rig.start_storing("AsSoonAsPossible", &with_ca()).spawn();
    run.wait_for_records(2_000, RUN_LIMIT);
    server.restart_with_tls(&Authority::new(CA).server());
    rig.produce(&Rides { partitions: 2, seed: 2, ..Rides::new(500) }.starting(4_000_000_000).records());
    run.wait_for_words("is not from the CA in the key `ca.crt` of the Secret `lake-ca`", RUN_LIMIT);
    server.restart_with_tls(&ca.server());
    run.wait_for_records(2_500, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    rig.start_storing("AvailableNow", &with_ca()).run(RUN_LIMIT).expect(OK);
    rig.assert_right();
}
