//! Errors in TLS, in users of connections, and in what guards the HTTP port.

use crate::right::told;

/// What the fields of each case come after.
const ADDRESS: &str = "bootstrapServers: kafka:9092";

#[test]
fn wrong_users_and_certificates() {
    let topic = told(&[
        (
            "a mechanism has what it needs",
            &[
                &[(ADDRESS, "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: SCRAM-SHA-512}")],
                &[(ADDRESS, "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: OAUTHBEARER}")],
                &[(
                    ADDRESS,
                    "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: PLAIN, username: {}, \
                     passwordSecretRef: {name: b, key: c}}",
                )],
            ],
        ),
        (
            "a mechanism has nothing else",
            &[
                &[(
                    ADDRESS,
                    "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: SCRAM-SHA-256, username: \
                     {value: a}, passwordSecretRef: {name: b, key: c}, oauth: {tokenEndpoint: \
                     \"https://a/b\", clientId: c, clientSecretRef: {name: d, key: e}}}",
                )],
                &[(
                    ADDRESS,
                    "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: OAUTHBEARER, username: {value: \
                     a}, passwordSecretRef: {name: b, key: c}, oauth: {tokenEndpoint: \"https://a/b\", \
                     clientId: c, clientSecretRef: {name: d, key: e}}}",
                )],
                &[(
                    ADDRESS,
                    "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: AWS_MSK_IAM, username: {value: \
                     a}, passwordSecretRef: {name: b, key: c}}",
                )],
            ],
        ),
        (
            "what is sent as it is goes through TLS",
            &[
                &[(
                    ADDRESS,
                    "bootstrapServers: kafka:9092, sasl: {mechanism: PLAIN, username: {value: a}, \
                     passwordSecretRef: {name: b, key: c}}",
                )],
                &[(
                    ADDRESS,
                    "bootstrapServers: kafka:9092, sasl: {mechanism: OAUTHBEARER, oauth: {tokenEndpoint: \
                     \"https://a/b\", clientId: c, clientSecretRef: {name: d, key: e}}}",
                )],
                &[(ADDRESS, "bootstrapServers: kafka:9092, sasl: {mechanism: AWS_MSK_IAM}")],
            ],
        ),
        (
            "mechanisms have Kafka's names",
            &[&[(
                ADDRESS,
                "bootstrapServers: kafka:9092, sasl: {mechanism: SCRAM, username: {value: a}, \
                     passwordSecretRef: {name: b, key: c}}",
            )]],
        ),
        (
            "Secrets and their keys have names that Kubernetes takes",
            &[
                &[(ADDRESS, "bootstrapServers: kafka:9092, tls: {caSecretRef: {name: Kafka_CA, key: ca.crt}}")],
                &[(ADDRESS, "bootstrapServers: kafka:9092, tls: {caSecretRef: {name: ca, key: ../../etc/passwd}}")],
                &[(ADDRESS, "bootstrapServers: kafka:9092, tls: {clientSecretRef: {name: \"\"}}")],
            ],
        ),
        (
            "tokens come from an address with https",
            &[&[(
                ADDRESS,
                "bootstrapServers: kafka:9092, tls: {}, sasl: {mechanism: OAUTHBEARER, oauth: \
                     {tokenEndpoint: \"http://a/b\", clientId: \"\", clientSecretRef: {name: d, key: e}}}",
            )]],
        ),
        (
            "a port that asks for a token has TLS",
            &[
                &[("", "  http: {tokenSecretRef: {name: page, key: token}}")],
                &[("", "  http: {tls: {}, tokenSecretRef: {name: page, key: token}}")],
                &[("", "  http: {tls: {secretRef: {name: page-tls}}, tokenSecretRef: {name: page, key: token}}")],
            ],
        ),
        (
            "Secrets of the port have names that Kubernetes takes",
            &[
                &[("", "  http: {tls: {secretRef: {name: Page}}, tokenSecretRef: {name: \"..\", key: a/b}}")],
                &[("", "  http: {tls: {secretRef: {name: page-tls, key: tls.crt}}, tokenSecretRef: {name: page}}")],
            ],
        ),
    ]);
    insta::assert_snapshot!(topic);
}
