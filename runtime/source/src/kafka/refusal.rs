//! Brokers that do not let a client in: what librdkafka's texts mean, and what to do about it.

const UNVERIFIED: &str = "certificate verify failed";

/// A text of librdkafka, and what to do about it.
struct Known {
    says: &'static str,
    then: &'static str,
    weight: Weight,
}

/// What a text says about later attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Another attempt may succeed.
    Passing,
    /// The broker refuses this client, unless it has not heard of a new user or password yet.
    Refusal,
    /// The broker refuses this client until somebody changes one of them.
    CertainRefusal,
}

/// The first that fits counts.
const KNOWN: [Known; 8] = [
    Known {
        says: "SASL authentication error",
        then: "the broker does not accept this user; see the user, the password and the mechanism in the connection's \
               `sasl`, and the Secret that they are from",
        weight: Weight::Refusal,
    },
    Known {
        says: "Request not valid in current SASL state",
        then: "this listener has no SASL; leave out `sasl` in the connection, or write the address of a listener with \
               SASL",
        weight: Weight::CertainRefusal,
    },
    Known {
        says: "mechanism handshake failed",
        then: "write one of the broker's mechanisms as `sasl.mechanism`",
        weight: Weight::CertainRefusal,
    },
    Known {
        says: UNVERIFIED,
        then: "the broker's certificate is not trusted; write the authority that signed it as `tls.caSecretRef` in the \
               connection",
        weight: Weight::CertainRefusal,
    },
    Known {
        says: "SSL alert number",
        then: "the broker asks for a client's certificate that it trusts; write `tls.clientSecretRef` in the connection, \
               with a certificate from an authority that the broker knows",
        weight: Weight::CertainRefusal,
    },
    Known { says: "wrong version number", then: NO_TLS, weight: Weight::Passing },
    // A broker that is about to end hangs up too.
    Known { says: "connecting to a PLAINTEXT broker listener", then: NO_TLS, weight: Weight::Passing },
    Known { says: "SSL connection closed by peer", then: NO_TLS, weight: Weight::Passing },
];

const NO_TLS: &str =
    "the broker speaks no TLS at this address; write the address of its TLS listener, or leave out `tls`";

/// Whether this is a refusal, which a longer wait alone does not mend.
pub(super) fn is_one(reason: &str) -> bool {
    known(reason).is_some_and(|known| known.weight != Weight::Passing)
}

/// Whether this is a refusal that another attempt meets too, however soon or late it comes.
pub(super) fn is_certain(reason: &str) -> bool {
    known(reason).is_some_and(|known| known.weight == Weight::CertainRefusal)
}

/// Whether a broker ended the connection and did not say why.
pub(super) fn is_hanging_up(reason: &str) -> bool {
    remedy(reason).is_none()
        && ["Disconnected", "Send failed", "Receive failed"].iter().any(|text| reason.starts_with(text))
}

/// Whether the client refuses the broker's certificate.
pub(super) fn is_of_certificate(reason: &str) -> bool {
    reason.contains(UNVERIFIED)
}

/// What to do about it.
pub(super) fn remedy(reason: &str) -> Option<&'static str> {
    known(reason).map(|known| known.then)
}

/// librdkafka's text, after what to do about it if that is known.
pub fn explained(reason: &str) -> String {
    remedy(reason).map_or_else(|| reason.to_owned(), |remedy| format!("{remedy} ({reason})"))
}

fn known(reason: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| reason.contains(known.says))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of librdkafka 2.x with OpenSSL 3, from brokers of Kafka 4.
    #[test]
    fn each_text_has_its_remedy_and_only_a_refusal_is_final() {
        for (text, part, is_final) in [
            (
                "SASL authentication error: Authentication failed: Invalid username or password",
                "does not accept this user",
                true,
            ),
            (
                "SASL SCRAM-SHA-1 mechanism handshake failed: Broker: Unsupported SASL mechanism",
                "`sasl.mechanism`",
                true,
            ),
            (
                "SASL SCRAM-SHA-512 mechanism handshake failed: Broker: Request not valid in current SASL state",
                "this listener has no SASL; leave out `sasl`",
                true,
            ),
            ("SSL handshake failed: error:0A000086:SSL routines::certificate verify failed", "`tls.caSecretRef`", true),
            (
                "Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42",
                "`tls.clientSecretRef`",
                true,
            ),
            ("SSL handshake failed: error:0A00010B:SSL routines::wrong version number", "speaks no TLS", false),
            ("SSL handshake failed: Disconnected: connecting to a PLAINTEXT broker listener?", "speaks no TLS", false),
        ] {
            assert!(explained(text).contains(part), "{}", explained(text));
            assert_eq!(is_one(text), is_final, "{text}");
            assert_eq!(is_certain(text), is_final && !text.starts_with("SASL authentication"), "{text}");
        }
        for (text, hangs_up) in [
            ("Send failed: SSL transport error: Broken pipe", true),
            ("Disconnected (after 5ms in state UP)", true),
            ("Connect to ipv4#10.0.0.1:1 failed: Connection refused", false),
            ("SASL authentication error: Authentication failed: Invalid username or password", false),
        ] {
            assert_eq!(is_hanging_up(text), hangs_up, "{text}");
        }
        let other = "Connect to ipv4#10.0.0.1:1 failed: Connection refused";
        assert_eq!((explained(other), is_one(other)), (other.to_owned(), false));
    }
}
