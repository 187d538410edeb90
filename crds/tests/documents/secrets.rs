//! What stands at a place for secrets, and the user info of an address, is in no message.

use weir_crds::former::rewrite;
use weir_crds::{load, load_value, parse};

use crate::right::{RIGHT, findings, with};

/// A text that no message has of its own.
const MARKER: &str = "hunter2";
const ENDPOINT: &str = "endpoint: http://s3:9000";
const BROKERS: &str = "bootstrapServers: kafka:9092";
const CHECKPOINT: &str = "checkpoint: {uri: s3://lake/checkpoints/rides}";

/// Places for secrets, each as an edit of the right document with `VALUE` where an author may write the secret.
const PLACES: [(&str, &str); 27] = [
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, passwordSecretRef: VALUE}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, passwordSecretRef: {name: VALUE!, key: a}}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, passwordSecretRef: {name: a, key: VALUE!}}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, passwordSecretRef: {value: VALUE}}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, passwordSecretRef: {name: {secret: VALUE}}}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, password: VALUE}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, PASSWORD: VALUE, user: me}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: PLAIN, username: {secretRef: VALUE}}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: OAUTHBEARER, oauth: {clientSecretRef: VALUE}}"),
    (BROKERS, "bootstrapServers: k:9092, sasl: {mechanism: OAUTHBEARER, oauth: {clientSecret: VALUE}}"),
    (BROKERS, "bootstrapServers: k:9092, tls: {caSecretRef: VALUE, clientSecretRef: VALUE}"),
    (BROKERS, "bootstrapServers: k:9092, tls: {clientPrivateKey: VALUE}"),
    (BROKERS, "bootstrapServers: k:9092, properties: {sasl.jaas.config: VALUE, sasl.password: VALUE}"),
    (BROKERS, "bootstrapServers: k:9092, ssl.key.password: VALUE"),
    (ENDPOINT, "credentialsSecretRef: VALUE"),
    (ENDPOINT, "credentialsSecretRef: {name: a, key: VALUE}"),
    (ENDPOINT, "credentials: {accessKeyId: VALUE, secretAccessKey: VALUE, sessionToken: VALUE}"),
    (ENDPOINT, "accessKeyId: VALUE, secretAccessKey: VALUE"),
    (ENDPOINT, "access_key: VALUE, aws.secret-access-key: VALUE, pass: VALUE, token: VALUE"),
    ("", "  http: {tokenSecretRef: VALUE, tls: {secretRef: VALUE}}"),
    ("", "  http: {token: VALUE}"),
    ("", "  podTemplate: {imagePullSecrets: [VALUE]}"),
    ("", "  podTemplate: {imagePullSecrets: VALUE}"),
    ("", "  podTemplate: {env: [{name: AWS_SECRET_ACCESS_KEY, value: VALUE, valueFrom: me}]}"),
    ("", "  podTemplate: {env: [{name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: VALUE}}]}"),
    ("", "  podTemplate: {env: {AWS_SECRET_ACCESS_KEY: VALUE}}"),
    ("metadata: {name: rides-revenue}", "metadata: {name: rides-revenue, password: VALUE}"),
];

/// What may stand there, each with the marker. A text without quotes may be several values or none to YAML.
const VALUES: [&str; 24] = [
    "hunter2",
    "\"hunter2\"",
    "'hunter2 and more'",
    "{hunter2}",
    "{hunter2: }",
    "{password:hunter2}",
    "{value: hunter2}",
    "[hunter2]",
    "[{hunter2: x}]",
    "[[hunter2]]",
    "pa(ss, hunter2)",
    "pa, hunter2",
    "hunter2: x",
    "hunter2 #x",
    "@hunter2",
    "%hunter2",
    "!hunter2",
    "&hunter2",
    "*hunter2",
    "\"a\" hunter2",
    "\"\\hunter2\"",
    "`hunter2`",
    "{{ hunter2 }}",
    "https://hunter2:hunter2@host/hunter2",
];

/// What a message must not have of a value: the marker, or all of it if it is a number.
fn is_in(said: &str, value: &str) -> bool {
    said.contains(if value.contains(MARKER) { MARKER } else { value })
}

#[track_caller]
fn assert_hidden(text: &str, value: &str) {
    let shown = shown(text, value);
    assert!(shown.is_empty(), "{shown:#?} of\n{text}");
}

/// The messages about the text that have the value, or say that there are none.
fn shown(text: &str, value: &str) -> Vec<String> {
    let mut found = load(text, None).err().unwrap_or_default();
    if found.is_empty() {
        return vec!["nothing is said".to_owned()];
    }
    if value == MARKER {
        found.extend(parse(text).err().into_iter().flatten());
        let over = format!("metadata: {{name: rides-revenue}}\nspec:\n{}", text.split_once("spec:\n").unwrap().1);
        found.extend(load(RIGHT, Some(&over)).err().into_iter().flatten());
        match rewrite(text) {
            Ok(rewritten) => found.extend(rewritten.into_iter().flat_map(|new| new.left)),
            Err(findings) => found.extend(findings),
        }
    }
    // What an API server has does not say any more which values were aliases.
    let document = serde_yaml::from_str::<serde_json::Value>(text).ok().filter(|_| !text.contains(": &a "));
    if let Some(document) = document {
        found.extend(load_value(&document).err().into_iter().flatten());
    }
    found.iter().map(ToString::to_string).filter(|said| is_in(said, value)).collect()
}

/// An edit with its block in several lines: YAML refuses other texts there.
fn in_lines(edit: &str) -> Option<String> {
    let (before, value) = edit.split_once(": {")?;
    let indent = " ".repeat(before.len() - before.trim_start().len() + 2);
    let fields = value.strip_suffix('}')?.replace(", ", &format!("\n{indent}"));
    Some(format!("{before}:\n{indent}{fields}"))
}

#[test]
fn no_message_shows_what_is_at_a_place_for_secrets() {
    let numbers = ["86428642", "864286428642864286428642", "0o8642", "8642.25", "0x8642"];
    for (old, edit) in PLACES {
        for value in VALUES.into_iter().chain(numbers) {
            let edit = edit.replace("VALUE!", &format!("{value}!")).replace("VALUE", value);
            // A text that YAML takes for less than it is may be right.
            let text = with(&[(old, &edit)]);
            if !findings(&text).is_empty() {
                assert_hidden(&text, value.trim_matches('"'));
            }
            if let Some(lines) = in_lines(&edit).filter(|_| old.is_empty()) {
                let text = with(&[(old, &lines)]);
                if !findings(&text).is_empty() {
                    assert_hidden(&text, value.trim_matches('"'));
                }
            }
        }
    }
}

/// Texts with a secret at places that are none, each as an edit of the right document.
#[test]
fn no_message_shows_a_secret_beside_its_place() {
    let sasl = |fields: &str| format!("bootstrapServers: k:9092, sasl: {{mechanism: PLAIN, {fields}}}");
    let brokers = |value: &str| (BROKERS.to_owned(), value.to_owned());
    let owned = |old: &str, new: &str| (old.to_owned(), new.to_owned());
    let fields = |fields: &str| (String::new(), format!("  {fields}"));
    let mut all = Vec::new();
    for (old, new) in [
        // A user before a host, without a scheme.
        owned("kafka: {bootstrapServers: kafka:9092}", "kafka: \"u:hunter2@k:9092\""),
        owned("- {name: events, kafka: {bootstrapServers: kafka:9092}}", "- u:hunter2@k:9092"),
        owned("connection: events", "connection: u:hunter2@k:9092"),
        owned("name: events", "name: \"u:hunter2@k:9092\""),
        owned("kafka: {connection: events, topics: [rides]}", "kafka: {connection: events, topics: [\"u:hunter2@k\"]}"),
        fields("image: \"u:hunter2@reg/x y\""),
        fields("image: \"https://u:hunter2@reg/x?t=hunter2\""),
        fields("image: u:hunter2@"),
        fields("image: \"u:hunter2@reg/x y@sha256:00\""),
        fields("runtimeVersion: \"u:hunter2@reg/x y\""),
        owned(CHECKPOINT, "checkpoint: {uri: \"s3://lake/a,s3://AK:hunter2@lake/b?x=1\"}"),
        brokers("bootstrapServers: u%3Ahunter2%40k:9092"),
        brokers("bootstrapServers: kafka:9092,me:hun, hunter2@k:9092"),
        // What an address asks for, and its fragment.
        brokers("bootstrapServers: \"k:9092?password=hunter2\""),
        brokers("bootstrapServers: [\"k:9092?password=hunter2\"]"),
        owned("kafka: {bootstrapServers: kafka:9092}", "kafka: \"k:9092?password=hunter2\""),
        owned(CHECKPOINT, "checkpoint: {uri: \"s3://lake/x y?hunter2\"}"),
        owned(CHECKPOINT, "checkpoint: {uri: \"s3://lake/x#hunter2\"}"),
        owned(CHECKPOINT, "checkpoint: {uri: \"wasb://c@a/x&sig=hunter2\"}"),
        owned(CHECKPOINT, "checkpoint: {uri: \"s3://lake/x y%3Fsig=hunter2\"}"),
        owned("uriPrefix: s3://lake/", "uriPrefix: \"s3://lake/x y?x=hunter2\""),
        owned(ENDPOINT, "endpoint: \"http://s3 :9000?x=hunter2\""),
        owned(ENDPOINT, "endpoint: \"http://s3:9000/#hunter2\""),
        brokers(&sasl("oauth: {tokenEndpoint: \"http://a b?s=hunter2\"}")),
        brokers(&sasl("oauth: {tokenEndpoint: \"https://u:hun/hunter2@a/t\"}")),
        // Environment variables as other tools write them.
        fields("podTemplate: {env: [AWS_SECRET_ACCESS_KEY=hunter2]}"),
        fields("podTemplate: {env: \"DB_PASSWORD=hunter2\"}"),
        fields("podTemplate: {env: [\"DB: hunter2\"]}"),
        fields("podTemplate: {env: [{name: \"DB=hunter2\", value: x}]}"),
        fields("podTemplate: {env: {DB: hunter2, X: 1}}"),
        fields("podTemplate: {env: [{DB: hunter2}]}"),
        fields("podTemplate: {env: [{name: A, value: \"hunter2\\0\"}]}"),
        // The rest of a secret that YAML takes for a field.
        owned("\n  steps:", "\n  password: |\n    abc\n  hunter2: x\n  steps:"),
        owned(BROKERS, "bootstrapServers: k:9092, tls: {caSecretRef: \"a\\nb\"}, hunter2: x"),
        brokers(&sasl("password: a, hunter2: x")),
        fields("podTemplate: {env: [{name: A, value: a, hunter2: x}]}"),
        // Aliases.
        fields("password: &a hunter2\n  suspend: *a"),
        fields("http: {tls: &a {password: hunter2}}\n  suspend: true\n  image: *a"),
        fields("password: &a hunter2\n  labels: {*a : x}"),
        // A text in place of a block, and what other tools write into one.
        brokers("bootstrapServers: k:9092, sasl: 'PlainLoginModule required username=\"u\" password=\"hunter2\";'"),
        brokers("bootstrapServers: k:9092, sasl: hunter2"),
        brokers("bootstrapServers: k:9092, sasl: [hunter2]"),
        brokers("bootstrapServers: k:9092, tls: hunter2"),
        brokers(&sasl("oauth: hunter2")),
        fields("http: hunter2"),
        brokers("bootstrapServers: k:9092, sasl: {mechanism: 'PLAIN username=\"u\" password=\"hunter2\"'}"),
        brokers(&sasl("username: \"u:hunter2\"")),
        brokers("bootstrapServers: \"k:9092;sasl.password=hunter2\""),
        brokers("bootstrapServers: \"k:9092 password=hunter2\""),
        brokers("bootstrapServers: \"k:9092,password:hunter2\""),
        fields("stringData: {foo: hunter2}"),
    ] {
        let of_edit = shown(&with(&[(&old, &new)]), MARKER);
        if !of_edit.is_empty() {
            all.push((new, of_edit));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn no_message_shows_a_secret_in_a_text_that_is_not_yaml() {
    let mut all = Vec::new();
    for lines in [
        "passwordSecretRef:\n    hunter2",
        "passwordSecretRef:\n  hunter2\n  x: y",
        "password:hunter2\n  x: y",
        "password hunter2\n  x: y",
        "password: a\n   hunter2: b",
        "passwordSecretRef:\n      name: a\n     hunter2: b",
        "passwordSecretRef: {name: a,\n    hunter2 b: c: d",
        "password: \"hunter2",
        "password: [hunter2",
        "endpoint: \"https://a:hunter2@b\" c",
        "-password: hunter2\n  x: y",
        "password: |hunter2\n  x: y",
        // A line of a block text that is indented too little, or one right behind it.
        "tls:\n    caSecretRef: |\n      -----BEGIN CERTIFICATE-----\n    MIIhunter2",
        "tls:\n    caSecretRef: |\n      abc\n   hunter2: x",
        "password: |\n    abc\n  hunter2",
        "tlsKey: |\n    abc\n  hunter2\n  more",
        "podTemplate:\n    env:\n    - name: A\n      value: |\n        abc\n      hunter2",
        "passwordSecretRef:\n  - name: a\n    key: hunter2: y",
        "password:\n      value: a\n    hunter2: x",
        "podTemplate: {env: {DB: @hunter2}}",
        "podTemplate:\n    env:\n      DB: @hunter2",
        "podTemplate:\n    env:\n    - DB: @hunter2",
        "podTemplate:\n    env: [A=hunter2, @x]",
        "endpoint: https://h/x?sig=hunter2: y",
        "image: u:hunter2@reg/x: y",
        "stringData: {foo: @hunter2}",
        "stringData:\n    foo: @hunter2",
        "sasl: 'PlainLoginModule required password=\"hunter2\";' x",
        "mechanism: 'PLAIN password=\"hunter2\"' x",
        "foo: @x # hunter2",
        "pw: @hunter2",
        "db.creds: @hunter2",
        "auth: @hunter2",
        "key: @hunter2",
        "sharedKey: @hunter2",
        "signature: @hunter2",
        "bearer: @hunter2",
        "keystore: @hunter2",
        "dsn: @hunter2",
        "\"password\": @hunter2",
        "{password hunter2 x: y}",
        "x: {name: a password: hunter2}",
    ] {
        let of_lines = shown(&with(&[("", &format!("  {lines}"))]), MARKER);
        if !of_lines.is_empty() {
            all.push((lines, of_lines));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn no_message_shows_the_user_info_of_an_address() {
    let addresses = [
        (ENDPOINT, "endpoint: https://AK:hunter2@s3.data:9000"),
        (ENDPOINT, "endpoint: https://AK:hunter2/and@hunter2@s3.data:9000"),
        (ENDPOINT, "endpoint: https://AK:hunter2"),
        (ENDPOINT, "endpoint: https://AK:hunter2,x@s3.data:9000"),
        (ENDPOINT, "endpoint: AK:hunter2@s3.data:9000"),
        (ENDPOINT, "endpoint: [https://AK:hunter2@s3.data:9000]"),
        (ENDPOINT, "endpoint:https://AK:hunter2@s3.data:9000"),
        (ENDPOINT, "s3Endpoint: https://AK:hunter2@s3.data:9000"),
        (ENDPOINT, "region: https://AK:hunter2@s3.data:9000"),
        ("uriPrefix: s3://lake/", "uriPrefix: s3://AK:hunter2@lake/"),
        (CHECKPOINT, "checkpoint: {uri: s3://AK:hunter2@lake/checkpoints}"),
        (CHECKPOINT, "checkpoint: {uri: \"s3://lake/a?X-Amz-Signature=hunter2\"}"),
        (CHECKPOINT, "checkpoint: {uri: file://me:hunter2@host/checkpoints}"),
        (CHECKPOINT, "checkpoint: s3://AK:hunter2@lake/checkpoints"),
        (BROKERS, "bootstrapServers: me:hunter2@kafka:9092"),
        (BROKERS, "bootstrapServers: \"kafka:9092,me:hun,hunter2@kafka:9092\""),
        (BROKERS, "bootstrapServers: [\"me:hunter2@kafka:9092\", \"kafka-2:9092\"]"),
        (BROKERS, "bootstrapServers: SASL_SSL://me:hunter2@kafka:9092"),
        (BROKERS, "brokers: me:hunter2@kafka:9092"),
        (
            BROKERS,
            "bootstrapServers: k:9092, tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: {tokenEndpoint: \
             \"https://me:hunter2@login/token\", clientId: a, clientSecretRef: {name: a, key: b}}}",
        ),
        (BROKERS, "bootstrapServers: k:9092}, schemaRegistry: {url: \"https://me:hunter2@registry\""),
        ("where: price >= 0", "where: \"url = 'https://me:hunter2@host'\""),
    ];
    for edit in addresses {
        assert_hidden(&with(&[edit]), MARKER);
    }
}

#[test]
fn what_is_said_of_a_hidden_value_says_what_to_write() {
    let said = |old: &str, new: &str| findings(&with(&[(old, new)])).join("\n");
    insta::assert_snapshot!(
        [
            said(
                BROKERS,
                "bootstrapServers: k:9092, tls: {}, sasl: {mechanism: PLAIN, username: {value: a}, \
             passwordSecretRef: hunter2}"
            ),
            said(ENDPOINT, "credentialsSecretRef: hunter2"),
            said(ENDPOINT, "credentialsSecretRef: {name: hunter2!}"),
            said(ENDPOINT, "accessKeyId: AK"),
            said(ENDPOINT, "endpoint: https://AK:hunter2@s3.data:9000"),
            said(CHECKPOINT, "checkpoint: {uri: s3://AK:hunter2@lake/checkpoints}"),
            said(CHECKPOINT, "checkpoint: {uri: \"s3://lake/a?versionId=1\"}"),
            said(BROKERS, "bootstrapServers: me:hunter2@kafka:9092"),
            said("", "  podTemplate: {env: [{name: PASSWORD, value: 8642}]}"),
            said("", "  podTemplate: {env: [{name: PASSWORD, value: pa, hunter2}]}"),
            said("", &format!("  podTemplate: {{env: [{{name: PASSWORD, value: \"{}\"}}]}}", "x".repeat(40_000))),
            said("", "  password: @hunter2"),
            said("", "  password: 0777"),
            said("", "  podTemplate: {env: [{name: RUST_LOG, value: info,weir=debug}]}"),
            said(BROKERS, "bootstrapServers: k:9092, tls: {caSecretRef: {name: a, key: b,c}}"),
            said("", "  password:\n      value: a\n    hunter2: x"),
            said(ENDPOINT, "credentialsSecretRef: {nmae: lake}"),
            said(ENDPOINT, "credentialsSecretRef: {name: a, Key: b}"),
            said(ENDPOINT, "credentialsSecretRef: {secretKeyRef: {name: a, key: b}}"),
            said(ENDPOINT, "credentialsSecretRef: {valueFrom: a}"),
            said(ENDPOINT, "credentialsSecretRef: {accessKeyId: a}"),
            said(ENDPOINT, "credentialsSecretRef: {name: \"aB3_x9\"}"),
            said("", "  http: {tls: {secretRef: {name: my_tls}}}"),
            said("kafka: {bootstrapServers: kafka:9092}", "kafka: u:hunter2@k:9092"),
            said("", "  podTemplate: {env: [DB=hunter2]}"),
            said(BROKERS, "bootstrapServers: [\"k:9092?x=hunter2\"]"),
            said(BROKERS, "bootstrapServers: \"k:9092;sasl.password=hunter2\""),
        ]
        .join("\n")
    );
}

#[test]
fn what_is_no_secret_is_shown() {
    let said = |old: &str, new: &str| findings(&with(&[(old, new)])).join("\n");
    for (old, new, shown) in [
        (ENDPOINT, "endpoint: s3.data:9000", "`s3.data:9000`"),
        (CHECKPOINT, "checkpoint: {uri: s3://lake/a@b//c}", "`s3://lake/a@b//c`"),
        ("", "  stateAction: {type: Discard, token: \"run 7\"}", "`run 7`"),
        ("trigger: {type: Interval, interval: 5s}", "trigger: {type: AvailableNow, runToken: \"run 7\"}", "`run 7`"),
        ("", "  podTemplate: {env: [{name: A-B, value: c}]}", "`A-B`"),
        ("", "  image: \"reg:5000/a b@sha256:00\"", "`reg:5000/a b@sha256:00`"),
    ] {
        assert!(said(old, new).contains(shown), "{new}: {}", said(old, new));
    }
}

/// Columns and expressions with a name such as `token` are no secrets, so advice about them has the corrected line.
#[test]
fn a_name_that_looks_secret_hides_no_advice() {
    let (filter, column) = ("where: price >= 0", "{name: price, type: double, required: true}");
    let columns = "columns: [{name: city, expr: upper(city)}, {name: price}]";
    for (old, new, shown) in [
        (filter, "where: token = 'a: b'", "`where: \"token = 'a: b'\"`"),
        (columns, "columns: [{name: password, expr: coalesce(token, 'a')}]", "`expr: \"coalesce(token, 'a')\"`"),
        (column, "{name: client_secret type: string}", "a comma is missing before `type: `"),
        (&format!("- {column}"), "- name: token\n      type: struct<a: int>", "`type: \"struct<a: int>\"`"),
        ("topics: [rides]", "topicPattern: *secret", "`topicPattern: \"*secret\"`"),
        ("", "  stateAction: {token: @a}", "`token: \"@a\"`"),
        ("", "  stateAction:\n    token: @a", "`token: \"@a\"`"),
        ("", "  podTemplate:\n    env:\n    - {name: A, value: b}\n    labels: {foo: @a}", "`foo: \"@a\"`"),
    ] {
        let said = findings(&with(&[(old, new)])).join("\n");
        assert!(said.contains(shown), "{new}: {said}");
    }
}

/// A document with secrets at each kind of place, in the blocks and braces that people write.
const CARELESS: &str = r#"
apiVersion: weir.dev/v1alpha1
kind: StreamPipeline
metadata: {name: rides-revenue}
spec:
  checkpoint: {uri: "s3://AK:hunter2@lake/checkpoints?sig=hunter2"}
  storage:
  - {uriPrefix: s3://lake/, s3: {endpoint: "http://s3:9000", secretAccessKey: hunter2}}
  connections:
  - name: events
    kafka:
      bootstrapServers: "u:hunter2@kafka:9092"
      sasl:
        mechanism: PLAIN
        username: {value: me}
        passwordSecretRef: hunter2
      tls:
        caSecretRef: |
          -----BEGIN CERTIFICATE-----
          hunter2
          -----END CERTIFICATE-----
  - {name: more, kafka: {bootstrapServers: "k:9092", sasl: {mechanism: PLAIN, password: hunter2}}}
  sources:
  - name: rides
    kafka: {connection: events, topics: [rides]}
    format: {json: {}}
    columns:
    - {name: city, type: string, required: true}
    eventTime: {source: KafkaTimestamp}
  podTemplate:
    env:
    - {name: A, value: "hunter2"}
    - name: B
      value: hunter2, and hunter2
    - C=hunter2
    imagePullSecrets:
    - {name: "hunter2!"}
  sinks:
  - {name: silver, from: rides, delta: {uri: s3://lake/silver}}
"#;

/// Each character is left out, or doubled, or another one comes in its place; and each line is indented otherwise.
#[test]
fn no_slip_of_a_hand_shows_a_secret() {
    let mut slips: Vec<String> = Vec::new();
    for (at, c) in CARELESS.char_indices().filter(|(_, c)| !c.is_ascii_alphanumeric()) {
        let (before, behind) = (&CARELESS[..at], &CARELESS[at + c.len_utf8()..]);
        let instead = ["", " ", "\n", ":", ": ", ",", "@", "\"", "'", "{", "}", "]", "|", "#", "*a", "&a "];
        slips.extend(instead.iter().map(|instead| format!("{before}{instead}{behind}")));
        slips.push(format!("{before}{c}{c}{behind}"));
    }
    let lines: Vec<_> = CARELESS.lines().collect();
    for at in 0..lines.len() {
        let indent = lines[at].len() - lines[at].trim_start().len();
        for other in (0..12).filter(|other| *other != indent) {
            let mut changed = lines.clone();
            let line = format!("{}{}", " ".repeat(other), lines[at].trim_start());
            changed[at] = &line;
            slips.push(changed.join("\n"));
        }
    }
    let mut all = Vec::new();
    for slip in slips {
        for said in findings(&slip).into_iter().filter(|said| said.contains(MARKER)) {
            let differs = slip.lines().zip(CARELESS.lines()).position(|(a, b)| a != b).unwrap_or_default();
            let around: Vec<_> = slip.lines().skip(differs.saturating_sub(1)).take(3).map(str::to_owned).collect();
            all.push((around, said));
        }
    }
    assert!(all.is_empty(), "{} are shown: {:#?}", all.len(), &all[..all.len().min(40)]);
}
