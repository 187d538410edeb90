//! The HTTP port of a run whose document asks for TLS and a token.

use serde_json::json;
use weir_tests::certificates::{Authority, Certificate};
use weir_tests::engine::{CONFIG, Document, OK, Start, exchange_secret, write_secret};
use weir_tests::oracle::Pipeline;
use weir_tests::rides::Rides;
use weir_tests::rig::{RUN_LIMIT, Rig, Store};
use weir_tests::services::{kafka, ports};
use weir_tests::skip::Missing;
use weir_tests::{deadline, or_skip, web};

const RECORDS: u64 = 2_000;
const TOKEN: &str = "a-token-that-nobody-else-has";
const OTHER_TOKEN: &str = "another-token-that-nobody-has";

fn rig() -> Result<Rig, Missing> {
    let records = Rides { partitions: 1, ..Rides::new(2_000) }.records();
    Ok(Rig::new(Pipeline::rides(), kafka::shared()?, Store::Local, 1, &records))
}

/// The start of a run that serves at this address, as the document's `http` says.
fn start(rig: &Rig, address: &str) -> Start {
    let mut start = rig.start_with(json!({"type": "AsSoonAsPossible"})).arg("--http").arg(address);
    let Document::Json(document) = &mut start.document else { unreachable!() };
    document["spec"]["http"] =
        json!({"tls": {"secretRef": {"name": "page-tls"}}, "tokenSecretRef": {"name": "page", "key": "token"}});
    start
}

fn exchange(rig: &Rig, certificate: &Certificate, token: &str) {
    exchange_secret(rig.folder(), "page-tls", &[("tls.crt", &certificate.chain), ("tls.key", &certificate.key)]);
    exchange_secret(rig.folder(), "page", &[("token", token)]);
}

#[test]
fn pages_are_served_by_tls_to_who_has_the_token_and_new_secrets_are_taken_up() {
    let rig = or_skip!(rig());
    let (ours, next, address) =
        (Authority::new("ours"), Authority::new("next"), format!("127.0.0.1:{}", ports::free()));
    let certificate = ours.server();
    exchange(&rig, &certificate, TOKEN);
    let mut run = start(&rig, &address).env("WEIR_LOG", "trace").spawn();
    run.wait_for_records(RECORDS, RUN_LIMIT);

    let get = |authority: &Authority, path: &str, token| web::get_with_tls(&address, &authority.pem(), path, token);
    let status = |path: &str, token| get(&ours, path, token).unwrap().status;
    let pages = ["/progress", "/metrics", "/healthz", "/readyz", "/nothing"];
    assert_eq!(pages.map(|path| status(path, Some(TOKEN))), [200, 200, 200, 200, 404]);
    assert_eq!(pages.map(|path| status(path, None)), [401, 401, 200, 200, 401]);
    assert_eq!(pages.map(|path| status(path, Some(OTHER_TOKEN))), [401, 401, 200, 200, 401]);
    assert_eq!(pages.map(|path| web::get(&address, path).unwrap().status), [400; 5]);
    let refused = get(&ours, "/progress", None).unwrap();
    assert!(refused.head.contains("www-authenticate: bearer"), "{refused:?}");
    assert!(get(&next, "/progress", Some(TOKEN)).is_err(), "another authority has signed the certificate");

    // What can't be used is told, and the old certificate stays.
    let broken = Certificate { chain: next.server().chain, key: next.server().key };
    exchange(&rig, &broken, TOKEN);
    run.wait_for_words(
        "the HTTP port keeps its certificate and token, since the new ones can't be used: the key `tls.key` of the \
         Secret `page-tls` (http.tls.secretRef) does not belong to the certificate in `tls.crt`",
        RUN_LIMIT,
    );
    assert_eq!(status("/progress", Some(TOKEN)), 200);
    let renewed = next.server();
    exchange(&rig, &renewed, OTHER_TOKEN);
    deadline::until("the new certificate and the new token are taken up", RUN_LIMIT, || {
        get(&next, "/progress", Some(OTHER_TOKEN)).ok().filter(|answer| answer.status == 200)
    });
    assert_eq!(get(&next, "/progress", Some(TOKEN)).unwrap().status, 401);
    assert!(get(&ours, "/progress", Some(OTHER_TOKEN)).is_err());

    // The log, with all of it switched on, shows no token and no key.
    let log = run.stderr();
    run.terminate();
    let exit = run.wait(RUN_LIMIT);
    exit.expect(OK);
    assert!(log.lines().count() > 100, "{log}");
    let line_of = |certificate: &Certificate| certificate.key.lines().nth(1).unwrap().to_owned();
    let keys = [line_of(&certificate), line_of(&renewed), line_of(&broken)];
    for marker in [TOKEN, OTHER_TOKEN, "PRIVATE KEY"].into_iter().chain(keys.iter().map(String::as_str)) {
        assert!(!exit.stderr.contains(marker) && !log.contains(marker), "`{marker}` is in the log");
    }
}

#[test]
fn a_start_without_a_secret_that_can_be_used_ends_with_the_reason_and_listens_to_nobody() {
    let rig = or_skip!(rig());
    let (authority, address) = (Authority::new("ours"), format!("127.0.0.1:{}", ports::free()));
    let says = |words: &str| {
        let exit = start(&rig, &address).run(RUN_LIMIT);
        exit.expect(CONFIG);
        assert!(exit.stderr.contains(words), "`{words}` should be in:\n{}", exit.stderr);
        assert!(!rig.checkpoint_folder().exists(), "nothing was begun");
    };
    let certificate = authority.server();
    write_secret(rig.folder(), "page", &[("token", TOKEN)]);
    says("the Secret `page-tls` has no key `tls.crt`");
    write_secret(rig.folder(), "page-tls", &[("tls.crt", &certificate.chain), ("tls.key", "none")]);
    says("the key `tls.key` of the Secret `page-tls` (http.tls.secretRef) has no private key in PEM");
    write_secret(rig.folder(), "page-tls", &[("tls.key", &certificate.key)]);
    write_secret(rig.folder(), "page", &[("token", "short")]);
    says("the key `token` of the Secret `page` (http.tokenSecretRef) has no token of 16 to 4096 letters");
    // Without the port, nothing of it is needed.
    let mut without = rig.start();
    let Document::Json(document) = &mut without.document else { unreachable!() };
    document["spec"]["http"] = json!({"tls": {"secretRef": {"name": "nowhere"}}});
    without.run(RUN_LIMIT).expect(OK);
}
