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
    let mut found = load(text, None).err().unwrap_or_default();
    assert!(!found.is_empty(), "nothing is said of\n{text}");
    if value == MARKER {
        found.extend(parse(text).err().into_iter().flatten());
        let over = format!("metadata: {{name: rides-revenue}}\nspec:\n{}", text.split_once("spec:\n").unwrap().1);
        found.extend(load(RIGHT, Some(&over)).err().into_iter().flatten());
        match rewrite(text) {
            Ok(rewritten) => found.extend(rewritten.into_iter().flat_map(|new| new.left)),
            Err(findings) => found.extend(findings),
        }
    }
    if let Ok(document) = serde_yaml::from_str::<serde_json::Value>(text) {
        found.extend(load_value(&document).err().into_iter().flatten());
    }
    for said in found.iter().map(ToString::to_string) {
        assert!(!is_in(&said, value), "shown in {said:?} of\n{text}");
    }
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

#[test]
fn no_message_shows_a_secret_in_a_text_that_is_not_yaml() {
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
    ] {
        assert_hidden(&with(&[("", &format!("  {lines}"))]), MARKER);
    }
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
    ] {
        assert!(said(old, new).contains(shown), "{new}: {}", said(old, new));
    }
}
