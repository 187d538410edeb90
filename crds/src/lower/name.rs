//! Names of nodes, Kubernetes objects, topics and columns.

use weir_plan::quote::quoted;

/// The most characters of a node's name. Kubernetes allows 63 characters for a label's value; the operator appends to
/// the name.
pub(crate) const NODE_NAME_CHARS_MAX: usize = 50;
const OBJECT_NAME_CHARS_MAX: usize = 253;
const SECRET_KEY_CHARS_MAX: usize = 253;
/// Kafka's `Topic.MAX_NAME_LENGTH`, in characters.
const TOPIC_CHARS_MAX: usize = 249;
const COLUMN_CHARS_MAX: usize = 255;

/// Checks the name of a node: a DNS-1035 label, `[a-z]([-a-z0-9]*[a-z0-9])?`.
pub(super) fn check_node(name: &str) -> Result<(), String> {
    let inner = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if inner
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.len() <= NODE_NAME_CHARS_MAX
    {
        return Ok(());
    }
    Err(format!(
        "found {}: write at most {NODE_NAME_CHARS_MAX} lower-case letters, digits and hyphens, \
         beginning with a letter and not ending with a hyphen",
        quoted(name)
    ))
}

/// Checks a namespace: a DNS-1123 label.
pub(super) fn check_namespace(name: &str) -> Result<(), String> {
    if is_dns_1123_label(name) && name.len() <= 63 {
        return Ok(());
    }
    Err(format!("found {}: write a namespace, at most 63 lower-case letters, digits and hyphens", quoted(name)))
}

fn is_dns_1123_label(label: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    label.starts_with(alphanumeric)
        && label.ends_with(alphanumeric)
        && label.chars().all(|c| alphanumeric(c) || c == '-')
}

/// Checks the name of a Secret or another object: a DNS-1123 subdomain.
pub(crate) fn check_object(name: &str) -> Result<(), String> {
    if name.split('.').all(is_dns_1123_label) && name.len() <= OBJECT_NAME_CHARS_MAX {
        return Ok(());
    }
    Err(format!("found {}: write the name of a Secret, lower-case letters, digits, hyphens and dots", quoted(name)))
}

/// Checks a key of a Secret by Kubernetes' rule. A key is a file's name, so it must not lead out of the folder.
pub(crate) fn check_secret_key(key: &str) -> Result<(), String> {
    let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain && (1..=SECRET_KEY_CHARS_MAX).contains(&key.len()) && !key.starts_with("..") && key != "." {
        return Ok(());
    }
    Err(format!(
        "found {}: write a key of the Secret, 1 to {SECRET_KEY_CHARS_MAX} letters, digits, dots, underscores and hyphens",
        quoted(key)
    ))
}

/// Whether the text is a port. `parse` alone would accept a plus sign.
pub(super) fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Checks the name of a topic by Kafka's rule.
pub(super) fn check_topic(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if plain && (1..=TOPIC_CHARS_MAX).contains(&name.len()) && name != "." && name != ".." {
        return Ok(());
    }
    Err(format!(
        "found {}; a topic's name has 1 to {TOPIC_CHARS_MAX} ASCII letters, digits, dots, underscores and hyphens",
        quoted(name)
    ))
}

/// Checks the name of a column.
pub(super) fn check_column(name: &str) -> Result<(), String> {
    if name == weir_plan::types::EVENT_TIME {
        return Err(format!(
            "{} is the name of the event time, which every row carries anyway; take another name",
            quoted(name)
        ));
    }
    if name.is_empty() || name.chars().count() > COLUMN_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(format!("found {}: write 1 to {COLUMN_CHARS_MAX} characters without line breaks", quoted(name)));
    }
    Ok(())
}

/// Checks a column name for Delta, which refuses some characters (as does Parquet below it) if columns are not mapped.
pub(super) fn check_delta_column(name: &str) -> Result<(), String> {
    match name.chars().find(|c| " ,;{}()\n\t=".contains(*c)) {
        Some(bad) => Err(format!(
            "the column {} has {} in its name, which Delta refuses; rename it in a map step",
            quoted(name),
            quoted(bad)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_by_a_dns_label_of_at_most_fifty_characters() {
        assert!(check_node("a").is_ok() && check_node("rides-2").is_ok() && check_node(&"a".repeat(50)).is_ok());
        for name in ["", "2rides", "rides_agg", "Rides", "rides-", "-rides", "é", &"a".repeat(51)] {
            assert!(check_node(name).is_err(), "{name}");
        }
    }

    #[test]
    fn topics_and_secrets_are_named_by_the_rules_of_their_systems() {
        assert!(check_topic("Rides.v1_2-x").is_ok() && check_object("lake.keys-1").is_ok());
        for name in ["", ".", "..", "a b", "a/b"] {
            assert!(check_topic(name).is_err() && check_object(name).is_err(), "{name}");
        }
        assert!(check_object("Lake").is_err());
    }

    #[test]
    fn a_key_of_a_secret_is_the_name_of_a_file_in_its_folder() {
        assert!(["ca.crt", "a", ".a", "A_b-c"].iter().all(|key| check_secret_key(key).is_ok()));
        assert!(["", ".", "..", "..data", "../a", "a/b", "a b"].iter().all(|key| check_secret_key(key).is_err()));
    }

    #[test]
    fn the_event_time_is_no_column_of_a_document() {
        assert!(check_column("_event_time").is_err() && check_column("").is_err() && check_column("a\nb").is_err());
        assert!(
            check_column("win start").is_ok()
                && check_delta_column("win start").is_err()
                && check_delta_column("win_start").is_ok()
        );
    }
}
