//! Brokers that speak TLS and ask who comes: each way in that there is, and each in which it fails.

use std::path::Path;
use std::process::Output;
use std::sync::OnceLock;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use serde_json::{Value as Json, json};
use weir_tests::certificates::Authority;
use weir_tests::engine::{self, CONFIG, OK, RETRY_EXHAUSTED, Start};
use weir_tests::oracle::Pipeline;
use weir_tests::oracle::pipeline::Site;
use weir_tests::rides::Rides;
use weir_tests::rig::{GIVES_UP_AFTER, RUN_LIMIT, Rig, Store};
use weir_tests::services::ports;
use weir_tests::services::s3::{self, S3};
use weir_tests::services::secure_kafka::{Door, PASSWORD, STRANGER, SecureKafka, USER};
use weir_tests::skip::Missing;
use weir_tests::token_server::TokenServer;
use weir_tests::topic::Record;
use weir_tests::{or_skip, table, web};

const RECORDS: u64 = 600;
/// How much later the rides of the next batch are.
const LATER_US: i64 = 1_000_000_000;
/// How many refused runs there are beside each other.
const RUNS_AT_ONCE: usize = 4;
const CLIENT: (&str, &str) = ("weir", "secret of the client");

fn shared() -> Result<&'static SecureKafka, Missing> {
    static SHARED: OnceLock<Result<SecureKafka, Missing>> = OnceLock::new();
    SHARED.get_or_init(SecureKafka::start).as_ref().map_err(Clone::clone)
}

/// A pipeline whose topic is readable for [`USER`], with the Secrets of all tests.
struct Secured<'a> {
    kafka: &'a SecureKafka,
    rig: Rig,
    rides: Rides,
    batches: i64,
}

impl<'a> Secured<'a> {
    fn new(kafka: &'a SecureKafka) -> Self {
        Self::writing_to(Store::Local, kafka)
    }

    fn writing_to(store: Store<'_>, kafka: &'a SecureKafka) -> Self {
        let rides = Rides { partitions: 2, ..Rides::new(usize::try_from(RECORDS).unwrap()) };
        let rig = Rig::new(Pipeline::rides(), &kafka.kafka, store, 2, &rides.records());
        Self::of(rig, kafka, rides)
    }

    fn of(rig: Rig, kafka: &'a SecureKafka, rides: Rides) -> Self {
        kafka.kafka.allow(USER, &rig.site.topic, &rig.site.topic);
        let of = Self { kafka, rig, rides, batches: 1 };
        of.write("ca", &[("ca.crt", &kafka.authority.pem())]);
        of.write("wrong-ca", &[("ca.crt", &Authority::new("somebody else").pem())]);
        of.write("user", &[("username", USER), ("password", PASSWORD), ("wrong", "not the password")]);
        let client = kafka.authority.client(USER);
        of.write("client", &[("tls.crt", &client.chain), ("tls.key", &client.key)]);
        let foreign = Authority::new("somebody else").client(USER);
        of.write("foreign-client", &[("tls.crt", &foreign.chain), ("tls.key", &foreign.key)]);
        of.write("oauth", &[("secret", CLIENT.1), ("wrong", "no secret")]);
        of
    }

    fn write(&self, name: &str, entries: &[(&str, &str)]) {
        engine::write_secret(&self.rig.start().folder, name, entries);
    }

    /// A run by a listener, with these fields in the connection's `kafka`.
    fn start(&self, door: Door, kafka: &Json, trigger: &str) -> Start {
        let trigger = json!({"type": trigger});
        let site = Site { bootstrap: self.kafka.address(door), trigger, ..self.rig.site.clone() };
        let mut document = self.rig.document(&site);
        let connection = document["spec"]["connections"][0]["kafka"].as_object_mut().unwrap();
        connection.extend(kafka.as_object().unwrap().clone());
        // The user may publish the offsets of the group that has the topic's name.
        document["spec"]["sources"][0]["kafka"]["groupId"] = json!(self.rig.site.topic);
        Start { document: document.into(), ..self.rig.start() }
    }

    /// A command with the pipeline's document, which has these fields in the connection's `kafka`.
    fn call(&self, command: &[&str], kafka: &Json, flags: &[&str]) -> Output {
        let start = self.start(Door::User, kafka, "AvailableNow");
        let engine::Document::Json(document) = &start.document else { panic!("a document of the test") };
        let (file, secrets) = (start.folder.join("called.yaml"), start.folder.join("secrets"));
        std::fs::write(&file, document.to_string()).unwrap();
        let fixed = ["-f", file.to_str().unwrap(), "--secrets", secrets.to_str().unwrap()];
        engine::call(&[command, &fixed, flags].concat())
    }

    /// Produces more and reads it all by this listener.
    fn reads(&mut self, door: Door, kafka: &Json) {
        let exit = self.start(door, kafka, "AvailableNow").run(RUN_LIMIT);
        exit.expect(OK);
        assert!(exit.figure("records_read") >= RECORDS, "{door:?} {kafka}: {}", exit.stderr);
        assert!(!exit.stderr.contains("WARN"), "{door:?} {kafka}: {}", exit.stderr);
        self.produce_more();
    }

    fn produce_more(&mut self) {
        self.rig.produce(&self.rides.clone().starting(self.batches * LATER_US).records());
        self.batches += 1;
    }

    /// A run by this listener ends with this code and a message that has all of these parts.
    fn refuses(&self, door: Door, kafka: &Json, code: i32, says: &[&str]) {
        // What is refused for good ends long before that.
        let give_up_after = if code == RETRY_EXHAUSTED { GIVES_UP_AFTER } else { RUN_LIMIT };
        let began = Instant::now();
        let exit = self.start(door, kafka, "AvailableNow").give_up_after(give_up_after).run(RUN_LIMIT);
        let said = exit.stderr.lines().last().unwrap_or_default();
        eprintln!("{door:?} {kafka}, after {:.1?}:\n  {said}", began.elapsed());
        exit.expect(code);
        for part in says {
            assert!(exit.stderr.contains(part), "{door:?} {kafka}: `{part}` should be in {}", exit.stderr);
        }
    }
}

fn tls() -> Json {
    json!({"caSecretRef": {"name": "ca", "key": "ca.crt"}})
}

fn sasl(mechanism: &str, password: &str) -> Json {
    json!({
        "mechanism": mechanism,
        "username": {"secretRef": {"name": "user", "key": "username"}},
        "passwordSecretRef": {"name": "user", "key": password},
    })
}

#[test]
fn each_way_in_reads_everything_once() {
    let kafka = or_skip!(shared());
    or_skip!(table::readers());
    let mut secured = Secured::new(kafka);
    let tokens = TokenServer::start(&kafka.authority.server(), CLIENT, USER);
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        secured.reads(Door::User, &json!({"tls": tls(), "sasl": sasl(mechanism, "password")}));
    }
    let mut named = sasl("SCRAM-SHA-512", "password");
    named["username"] = json!({"value": USER});
    secured.reads(Door::User, &json!({"tls": tls(), "sasl": named}));
    secured.reads(Door::User, &json!({"tls": tls(), "sasl": oauth(&tokens, "secret")}));
    let client = json!({"caSecretRef": {"name": "ca", "key": "ca.crt"}, "clientSecretRef": {"name": "client"}});
    secured.reads(Door::Mutual, &json!({"tls": client}));
    // Whoever comes without a user is ANONYMOUS, who may do everything on this broker.
    secured.reads(Door::Tls, &json!({"tls": tls()}));
    secured.rig.finish();
    secured.rig.assert_right();
}

fn oauth(tokens: &TokenServer, secret: &str) -> Json {
    json!({
        "mechanism": "OAUTHBEARER",
        "oauth": {
            "tokenEndpoint": tokens.endpoint(),
            "clientId": CLIENT.0,
            "clientSecretRef": {"name": "oauth", "key": secret},
        },
    })
}

#[test]
fn each_refusal_is_one_sentence_with_the_cause_and_the_address() {
    let kafka = or_skip!(shared());
    let secured = &Secured::new(kafka);
    let tokens = TokenServer::start(&kafka.authority.server(), CLIENT, USER);
    let scram = || sasl("SCRAM-SHA-512", "password");
    let at = |door| format!("{} (from bootstrapServers)", kafka.address(door));
    let user = at(Door::User);

    let mut cases: Vec<(Door, Json, i32, Vec<String>)> = Vec::new();
    let mut refused = |door, kafka: &Json, code, says: &[&str]| {
        cases.push((door, kafka.clone(), code, says.iter().map(|&part| part.to_owned()).collect()));
    };
    let wrong_password = json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", "wrong")});
    refused(Door::User, &wrong_password, CONFIG, &[&user, "does not accept this user"]);
    let wrong_plain = json!({"tls": tls(), "sasl": sasl("PLAIN", "wrong")});
    refused(Door::User, &wrong_plain, CONFIG, &[&user, "does not accept this user"]);

    let wrong_ca = json!({"tls": {"caSecretRef": {"name": "wrong-ca", "key": "ca.crt"}}, "sasl": scram()});
    refused(Door::User, &wrong_ca, CONFIG, &[&user, "is not from the CA in the key `ca.crt` of the Secret `wrong-ca`"]);
    refused(Door::User, &json!({"tls": {}, "sasl": scram()}), CONFIG, &[&user, "`tls.caSecretRef`"]);
    let right = json!({"tls": tls(), "sasl": scram()});
    refused(Door::Expired, &right, CONFIG, &[&at(Door::Expired), "expired"]);
    refused(Door::Elsewhere, &right, CONFIG, &[&at(Door::Elsewhere), "but for `elsewhere.example`"]);

    refused(Door::Mutual, &json!({"tls": tls()}), CONFIG, &[&at(Door::Mutual), "`tls.clientSecretRef`"]);
    let foreign =
        json!({"caSecretRef": {"name": "ca", "key": "ca.crt"}, "clientSecretRef": {"name": "foreign-client"}});
    refused(
        Door::Mutual,
        &json!({"tls": foreign}),
        CONFIG,
        &[&at(Door::Mutual), "a client's certificate that it trusts"],
    );

    refused(Door::User, &json!({}), CONFIG, &[&user, "`tls: {}`"]);
    let plain = kafka.kafka.bootstrap();
    let to_plain = json!({"tls": tls(), "bootstrapServers": plain});
    refused(Door::User, &to_plain, RETRY_EXHAUSTED, &[&plain, "speaks no TLS"]);
    refused(Door::User, &json!({"tls": tls()}), RETRY_EXHAUSTED, &["Kafka", "`sasl`"]);
    let without_sasl = "this listener has no SASL; leave out `sasl`";
    let plain_sasl = json!({"sasl": scram(), "bootstrapServers": plain});
    refused(Door::User, &plain_sasl, CONFIG, &[&plain, without_sasl, "SASL state)"]);
    refused(Door::Tls, &right, CONFIG, &[&at(Door::Tls), without_sasl, "SASL state)"]);

    let mut stranger = scram();
    stranger["username"] = json!({"value": STRANGER});
    let topic = secured.rig.site.topic.clone();
    let forbidden = json!({"tls": tls(), "sasl": stranger});
    refused(Door::User, &forbidden, CONFIG, &["does not let this user read topic", &topic]);

    refused(Door::Astray, &right, RETRY_EXHAUSTED, &["(advertised by broker 1 on the listener of", "Connect to"]);

    let bad_client = json!({"tls": tls(), "sasl": oauth(&tokens, "wrong")});
    refused(Door::User, &bad_client, CONFIG, &[&tokens.endpoint(), "invalid_client", "`oauth`"]);
    let missing = json!({"tls": {"caSecretRef": {"name": "nowhere", "key": "ca.crt"}}});
    refused(Door::Tls, &missing, CONFIG, &["the Secret `nowhere` has no key `ca.crt`"]);
    let no_pem = json!({"tls": {"caSecretRef": {"name": "user", "key": "username"}}});
    refused(Door::Tls, &no_pem, CONFIG, &["the key `username` of the Secret `user`: there is no certificate in it"]);

    refused(Door::Tls, &json!({}), CONFIG, &[&at(Door::Tls), "`tls: {}`"]);

    // Most of the time a run waits for brokers.
    std::thread::scope(|scope| {
        for cases in cases.chunks(cases.len().div_ceil(RUNS_AT_ONCE)) {
            scope.spawn(move || {
                for (door, kafka, code, says) in cases {
                    secured.refuses(*door, kafka, *code, &says.iter().map(String::as_str).collect::<Vec<_>>());
                }
            });
        }
    });
}

#[test]
fn simulated_rides_come_in_by_the_documents_connection() {
    let kafka = or_skip!(shared());
    or_skip!(table::readers());
    let secured = Secured::new(kafka);
    let tokens = TokenServer::start(&kafka.authority.server(), CLIENT, USER);
    kafka.kafka.allow_writes(USER, &secured.rig.site.topic);
    let scram = json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", "password")});
    let flags = "--count 300 --rate max --start 2026-01-01T00:00:00Z --span 1h".split(' ').collect::<Vec<_>>();
    let produce = |connection: &Json| secured.call(&["produce", "rides"], connection, &flags);
    for connection in [&scram, &json!({"tls": tls(), "sasl": oauth(&tokens, "secret")})] {
        let out = produce(connection);
        assert!(out.status.success(), "{connection}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let wrong = json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", "wrong")});
    let out = produce(&wrong);
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("does not accept this user"), "{said}");
    let exit = secured.start(Door::User, &scram, "AvailableNow").run(RUN_LIMIT);
    exit.expect(OK);
    assert_eq!(exit.figure("records_read"), RECORDS + 600);
    secured.rig.assert_right();
}

/// Dead letters go back through the listener of the document's source, with its user or its tokens.
#[test]
fn dead_letters_go_back_by_the_documents_connection() {
    let kafka = or_skip!(shared());
    or_skip!(table::readers());
    let rides = Rides { partitions: 2, ..Rides::new(usize::try_from(RECORDS).unwrap()) };
    let mut records = rides.records();
    let bad = [b"{".as_slice(), b"[1]"].map(|value| Record { partition: 0, key: None, value: value.to_vec() });
    records.extend(bad);
    let secured = Secured::of(
        Rig::new(Pipeline::rides_with_side_outputs(), &kafka.kafka, Store::Local, 2, &records),
        kafka,
        rides,
    );
    let tokens = TokenServer::start(&kafka.authority.server(), CLIENT, USER);
    kafka.kafka.allow_writes(USER, &secured.rig.site.topic);
    let bearer = json!({"tls": tls(), "sasl": oauth(&tokens, "secret")});
    let scram = json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", "password")});
    secured.start(Door::User, &bearer, "AvailableNow").run(RUN_LIMIT).expect(OK);
    assert_eq!(secured.rig.assert_right().rejected.len(), 2);

    let replay = |connection: &Json| secured.call(&["replay-rejected"], connection, &[]);
    for connection in [&bearer, &scram] {
        let out = replay(connection);
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "{connection}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(said.contains(&format!("2 dead letters replayed to {}", secured.rig.site.topic)), "{said}");
    }
    let out = replay(&json!({"tls": tls(), "sasl": oauth(&tokens, "wrong")}));
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && said.contains("invalid_client"), "{said}");

    // They are still bad, so each becomes a dead letter again.
    let exit = secured.start(Door::User, &bearer, "AvailableNow").run(RUN_LIMIT);
    exit.expect(OK);
    assert_eq!(exit.figure("records_read"), 4);
    assert_eq!(secured.rig.assert_right().rejected.len(), 6);
}

/// The pipeline does not need the group's offsets, so a missing right on the group only makes them stale.
#[test]
fn a_group_that_the_user_may_not_write_is_a_warning() {
    let kafka = or_skip!(shared());
    or_skip!(table::readers());
    let secured = Secured::new(kafka);
    let connection = json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", "password")});
    let mut start = secured.start(Door::User, &connection, "AvailableNow");
    if let engine::Document::Json(document) = &mut start.document {
        document["spec"]["sources"][0]["kafka"]["groupId"] = json!("a-group-of-others");
    }
    let exit = start.run(RUN_LIMIT);
    exit.expect(OK);
    assert!(exit.stderr.contains("the consumer group's offsets were not published"), "{}", exit.stderr);
    secured.rig.assert_right();
}

#[test]
fn new_passwords_and_certificates_are_taken_up_while_the_pipeline_runs() {
    let kafka = or_skip!(SecureKafka::start());
    or_skip!(table::readers());
    let mut secured = Secured::new(&kafka);
    let connection = json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", "password")});
    let mut run = secured.start(Door::User, &connection, "AsSoonAsPossible").spawn();
    run.wait_for_records(RECORDS, RUN_LIMIT);

    kafka.kafka.set_password(USER, "another password");
    secured.write("user", &[("password", "another password")]);
    run.wait_for_words("new certificates or passwords", RUN_LIMIT);
    // A broker that starts again has all clients come in anew.
    kafka.kafka.kill();
    kafka.kafka.restart();
    secured.produce_more();
    run.wait_for_records(2 * RECORDS, RUN_LIMIT);
    run.terminate();
    let exit = run.wait(RUN_LIMIT);
    exit.expect(OK);
    let exit = secured.start(Door::User, &connection, "AvailableNow").run(RUN_LIMIT);
    exit.expect(OK);
    secured.rig.assert_right();
}

#[test]
fn tokens_are_replaced_before_they_expire() {
    let kafka = or_skip!(shared());
    or_skip!(table::readers());
    let mut secured = Secured::new(kafka);
    let tokens = TokenServer::start(&kafka.authority.server(), CLIENT, USER);
    tokens.tokens_live(6);
    let connection = json!({"tls": tls(), "sasl": oauth(&tokens, "secret")});
    let mut run = secured.start(Door::User, &connection, "AsSoonAsPossible").spawn();
    run.wait_for_records(RECORDS, RUN_LIMIT);
    tokens.set_secret("another secret");
    secured.write("oauth", &[("secret", "another secret")]);
    let before = tokens.given();
    weir_tests::deadline::until("three more tokens are there", RUN_LIMIT, || {
        (tokens.given() >= before + 3).then_some(())
    });
    secured.produce_more();
    run.wait_for_records(2 * RECORDS, RUN_LIMIT);
    run.terminate();
    run.wait(RUN_LIMIT).expect(OK);
    let exit = secured.start(Door::User, &connection, "AvailableNow").run(RUN_LIMIT);
    exit.expect(OK);
    secured.rig.assert_right();
}

/// With all logs switched on, each credential that a run has, or is refused with, is looked for in everything that it
/// emits: output, logs, reports, HTTP, what the kernel shows of the process, its table and checkpoint, a core dump.
#[test]
fn nothing_that_a_run_emits_has_a_credential_in_it() {
    let kafka = or_skip!(shared());
    let s3 = or_skip!(S3::start());
    or_skip!(table::readers());
    let mut secured = Secured::writing_to(Store::S3(&s3, None), kafka);
    let tokens = TokenServer::start(&kafka.authority.server(), CLIENT, USER);
    let client = kafka.authority.client(USER);
    secured.write("client", &[("tls.crt", &client.chain), ("tls.key", &client.key)]);
    let scram = |password| json!({"tls": tls(), "sasl": sasl("SCRAM-SHA-512", password)});
    let mutual = json!({"tls": {"caSecretRef": tls()["caSecretRef"], "clientSecretRef": {"name": "client"}}});
    let aloud = |start: Start| start.env("WEIR_LOG", "trace");

    let address = format!("127.0.0.1:{}", ports::free());
    let start = secured.start(Door::User, &scram("password"), "AsSoonAsPossible");
    let mut run = aloud(start).arg("--http").arg(&address).spawn();
    run.wait_for_records(RECORDS, RUN_LIMIT);
    let of_process = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", run.id())).unwrap();
    let mut emitted = vec![of_process("environ"), of_process("cmdline")];
    for path in ["/", "/progress", "/metrics", "/healthz", "/readyz", "/nowhere"] {
        emitted.push(web::get(&address, path).unwrap().body);
    }
    let core = run.abort_with_core();
    assert_eq!(core, None, "the process should leave no core dump");

    for (door, connection, code) in [
        (Door::User, json!({"tls": tls(), "sasl": oauth(&tokens, "secret")}), OK),
        (Door::User, json!({"tls": tls(), "sasl": sasl("PLAIN", "password")}), OK),
        (Door::Mutual, mutual, OK),
        (Door::User, scram("wrong"), CONFIG),
        (Door::User, json!({"tls": tls(), "sasl": oauth(&tokens, "wrong")}), CONFIG),
    ] {
        let message = secured.rig.folder().join("termination-message");
        let start = secured.start(door, &connection, "AvailableNow").arg("--termination-message");
        aloud(start.arg(message.to_str().unwrap())).run(RUN_LIMIT).expect(code);
        secured.produce_more();
        emitted.push(std::fs::read_to_string(message).unwrap_or_default());
    }
    s3.restart_with_secret("another-secret-key");
    let start = secured.start(Door::User, &scram("password"), "AvailableNow").give_up_after(GIVES_UP_AFTER);
    aloud(start).run(RUN_LIMIT).expect(CONFIG);

    emitted.extend(files_below(&secured.rig.folder().join("runs")));
    emitted.extend(files_below(&secured.rig.table_folder()));
    emitted.extend(files_below(&secured.rig.checkpoint_folder()));
    assert!(emitted.len() > 30, "{} texts", emitted.len());
    let key = client.key.lines().nth(1).unwrap();
    let markers = [PASSWORD, "not the password", CLIENT.1, "no secret", s3::SECRET_KEY, key, "PRIVATE KEY"];
    // As base64, and as Rust writes bytes into a log.
    let encoded = markers.iter().flat_map(|marker| {
        let bytes = format!("{:?}", marker.as_bytes());
        [BASE64_STANDARD_NO_PAD.encode(marker), bytes.trim_matches(['[', ']']).to_owned()]
    });
    let token = TokenServer::TOKENS_BEGIN_WITH.to_owned();
    for marker in markers.into_iter().map(str::to_owned).chain(encoded).chain([token]) {
        for text in &emitted {
            let Some(at) = text.find(&marker) else { continue };
            let around: String = text[..at].chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("`{marker}` is in what the run has emitted, after: {around}");
        }
    }
}

/// The contents of all files in a folder and the folders in it.
fn files_below(folder: &Path) -> Vec<String> {
    let mut contents = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            contents.extend(files_below(&entry.path()));
        } else {
            contents.push(String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned());
        }
    }
    contents
}
