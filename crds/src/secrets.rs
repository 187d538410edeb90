//! What no message shows: values at places for secrets, and the user info of addresses.
//!
//! Authors write passwords where the name of a Secret belongs, and messages end up in logs, conditions and events.
//! Therefore a refused document is judged a second time with such values replaced, and only what is found then is
//! reported: no code that makes a message has to know which values are secret. What concerns a text that could not be
//! read has rules of its own here, since such a text has no values yet.

use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Mapping, Value};

use crate::finding::{FINDINGS_MAX, Finding, Path};
use crate::lower::{check_object, check_secret_key};

/// What stands in a message in place of a secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// The parts of a key that say that its value is a secret. Keys are compared in lower case, letters and digits only.
const SECRET_PARTS: [&str; 11] = [
    "accesskey",
    "apikey",
    "authorization",
    "connectionstring",
    "credential",
    "jaas",
    "passphrase",
    "password",
    "passwd",
    "privatekey",
    "secret",
];
const SECRET_ENDS: [&str; 3] = ["token", "pwd", "sslkey"];
const SECRET_KEYS: [&str; 1] = ["pass"];
/// The ends of keys whose values are addresses, also without a scheme.
const ADDRESS_ENDS: [&str; 7] = ["address", "brokers", "endpoint", "host", "servers", "uri", "url"];
/// The keys that are shown of a reference to a Secret: its fields, and what authors take for them.
const REFERENCE_KEYS: [&str; 8] =
    ["key", "name", "namespace", "optional", "secret", "secretKey", "secretName", "value"];
/// The most characters of a text whose length a message does not show.
const CHARS_SHORT_MAX: usize = 60;
/// The most characters of what stands in the place of a port and was meant to be one.
const PORT_CHARS_MAX: usize = 5;

/// What may be shown at a place of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything but the user info of an address.
    Open,
    /// Also a text that is an address without a scheme.
    Address,
    /// Environment variables: all but their values.
    Environment,
    /// An action that is done once. It has a token, which is no secret.
    Action,
    /// A reference to a Secret: its name and its key.
    Reference,
    SecretName,
    SecretKey,
    /// Nothing.
    Secret,
}

impl Place {
    /// The place of a field in a mapping at this place.
    pub(crate) fn field(self, key: &str) -> Self {
        match (self, key) {
            (Self::Secret, _) => Self::Secret,
            (Self::Reference, "name") => Self::SecretName,
            (Self::Reference, "key") => Self::SecretKey,
            (Self::Reference | Self::SecretName | Self::SecretKey, _) | (Self::Environment, "value") => Self::Secret,
            (Self::Action, "token") | (_, "runToken") => Self::Open,
            (_, "env") => Self::Environment,
            (_, "stateAction") => Self::Action,
            (Self::Open | Self::Address | Self::Environment | Self::Action, _) => Self::of(key),
        }
    }

    fn of(key: &str) -> Self {
        let letters = key.chars().filter(char::is_ascii_alphanumeric);
        let key: String = letters.map(|c| c.to_ascii_lowercase()).collect();
        let is_secret = SECRET_PARTS.iter().any(|part| key.contains(part));
        if is_secret && (key.ends_with("ref") || key == "imagepullsecrets") {
            Self::Reference
        } else if is_secret || SECRET_ENDS.iter().any(|end| key.ends_with(end)) || SECRET_KEYS.contains(&&*key) {
            Self::Secret
        } else if ADDRESS_ENDS.iter().any(|end| key.ends_with(end)) {
            Self::Address
        } else {
            Self::Open
        }
    }

    /// Whether a message may show what was found here.
    pub(crate) fn is_shown(self) -> bool {
        !matches!(self, Self::Reference | Self::SecretName | Self::SecretKey | Self::Secret)
    }

    /// The text as a message may show it; `None` if as it is.
    fn hidden_text(self, text: &str) -> Option<String> {
        let is_private_key = text.contains("PRIVATE KEY-----");
        // A long text stays as long: what is wrong may be its length.
        let chars = text.chars().count();
        let all = || Some(format!("{HIDDEN:.<0$}", if chars > CHARS_SHORT_MAX { chars } else { 0 }));
        match self {
            Self::Secret | Self::Reference => all(),
            Self::SecretName if check_object(text).is_err() => all(),
            Self::SecretKey if check_secret_key(text).is_err() => all(),
            _ if is_private_key => all(),
            Self::Address if !text.contains("://") => {
                text.rsplit_once('@').map(|(_, address)| format!("{HIDDEN}@{address}"))
            }
            _ => without_user_info(text),
        }
    }
}

/// The text with the user info of the addresses in it and what they ask for (`?…`) replaced; `None` if there is none. A
/// password may contain any character, so everything up to the last `@` is taken for user info.
fn without_user_info(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_named = authority.contains(['@', ':']);
    let is_port = |text: &str| text.len() <= PORT_CHARS_MAX || text.ends_with(']');
    let (before, address) = match rest.rsplit_once('@').filter(|_| is_named) {
        Some((_, address)) => (format!("{HIDDEN}@"), address),
        // The user info alone, if the address is not all there.
        None if authority.rsplit_once(':').is_some_and(|(_, port)| !is_port(port)) => (format!("{HIDDEN}@"), ""),
        None => (String::new(), rest),
    };
    let is_address = !text.contains(char::is_whitespace) && scheme.chars().all(|c| c.is_ascii_alphanumeric());
    let query = address.split_once('?').filter(|(_, query)| is_address && !query.is_empty());
    match query {
        Some((address, _)) => Some(format!("{scheme}://{before}{address}?{HIDDEN}")),
        None if before.is_empty() => None,
        None => Some(format!("{scheme}://{before}{address}")),
    }
}

/// A document without its secrets, and the paths of the values that were replaced; `None` if it has none.
pub(crate) fn hidden(document: &Value) -> Option<(Value, Vec<Path>)> {
    let mut hidden = Vec::new();
    let document = hide(document, Place::Open, &Path::root(), &mut hidden);
    (!hidden.is_empty()).then_some((document, hidden))
}

fn hide(value: &Value, place: Place, path: &Path, hidden: &mut Vec<Path>) -> Value {
    match value {
        Value::String(text) => match place.hidden_text(text) {
            Some(instead) => {
                hidden.push(path.clone());
                Value::String(instead)
            }
            None => value.clone(),
        },
        Value::Number(_) | Value::Bool(_) if !place.is_shown() => {
            hidden.push(path.clone());
            // A tag is what no document has, so this is wrong wherever a number or a truth value would be.
            Value::Tagged(Box::new(TaggedValue { tag: Tag::new(HIDDEN), value: Value::Sequence(Vec::new()) }))
        }
        Value::Sequence(list) => {
            let list = list.iter().enumerate().map(|(i, value)| hide(value, place, &path.index(i), hidden));
            Value::Sequence(list.collect())
        }
        Value::Mapping(mapping) => Value::Mapping(hide_fields(mapping, place, path, hidden)),
        other => other.clone(),
    }
}

fn hide_fields(mapping: &Mapping, place: Place, path: &Path, hidden: &mut Vec<Path>) -> Mapping {
    let mut fields = Mapping::new();
    let mut is_secret = !place.is_shown();
    for (key, value) in mapping {
        let Some(name) = key.as_str() else { continue };
        let before = hidden.len();
        let (name, value) = match hidden_key(name, place) {
            Some(instead) => {
                let path = path.field(&instead);
                hidden.push(path.clone());
                (instead, hide(value, Place::Secret, &path, hidden))
            }
            None => (name.to_owned(), hide(value, place.field(name), &path.field(name), hidden)),
        };
        is_secret |= hidden.len() > before && matches!(value, Value::String(_) | Value::Tagged(_));
        fields.insert(Value::String(name), value);
    }
    // YAML reads the secrets `{hunter2}` and `{password: a, hunter2}` as keys without values. A field without a value
    // counts as left out.
    if is_secret && fields.values().any(Value::is_null) {
        fields.retain(|_, value| !value.is_null());
        hidden.push(path.clone());
    }
    fields
}

/// The key as a message may show it; `None` if as it is. YAML reads `{password:hunter2}` as a key without a value.
fn hidden_key(key: &str, place: Place) -> Option<String> {
    if place == Place::Reference && !REFERENCE_KEYS.contains(&key) {
        return Some(HIDDEN.to_owned());
    }
    let (name, value) = key.split_once(':')?;
    match Place::of(name) {
        Place::Open | Place::Environment | Place::Action => without_user_info(value),
        _ if value.starts_with("//") => without_user_info(key),
        of_name => of_name.hidden_text(value.trim()),
    }
    .map(|value| format!("{name}:{value}"))
}

/// The findings that are reported for a document with secrets: those of the document without them. A value that is
/// wrong only as it is in the document is named without it.
pub(crate) fn reported(found: &[Finding], of_hidden: Vec<Finding>, hidden: &[Path]) -> Vec<Finding> {
    let message = "what is here is wrong, and is not shown, since it may be a secret";
    let is_new = |path: &&Path| {
        let is_at = |finding: &Finding| finding.is_within(path);
        found.iter().any(is_at) && !of_hidden.iter().any(is_at)
    };
    let left: Vec<_> = hidden.iter().filter(is_new).map(|path| Finding::new(path, message)).collect();
    let mut reported = [of_hidden, left].concat();
    if reported.is_empty() {
        reported.push(Finding::new(&Path::root(), format!("a value at a place for secrets is wrong: {message}")));
    }
    reported.truncate(FINDINGS_MAX);
    reported
}

/// A sentence without the user info of an address in it.
pub(crate) fn in_sentence(sentence: String) -> String {
    without_user_info(&sentence).unwrap_or(sentence)
}

/// A sentence about a line of a text that is not YAML (from 1), without what it shows of the line if a secret may stand
/// there. What it shows is in backticks; a sign of one or two characters may stay.
pub(crate) fn of_line(sentence: String, text: &str, number: usize) -> String {
    if !has_secret(text, number) {
        return sentence;
    }
    let mut shown = String::new();
    let mut rest = sentence.as_str();
    while let Some((before, quoted)) = rest.split_once('`') {
        shown += before;
        match quoted.split_once('`') {
            Some((sign, behind)) if sign.chars().count() <= 2 => {
                shown += &format!("`{sign}`");
                rest = behind;
            }
            // The text in backticks may have backticks itself.
            _ => {
                let behind = quoted.rsplit_once('`').map_or("", |(_, behind)| behind);
                return format!("{shown}`{HIDDEN}`{behind}");
            }
        }
    }
    shown + rest
}

/// Whether a line of a text that is not YAML may have a secret in it: it has a key for one or an address with user
/// info, or belongs to a key for one by its indent, or follows such a key and may be the rest of its value.
fn has_secret(text: &str, number: usize) -> bool {
    let lines: Vec<_> = text.lines().take(number).collect();
    let Some((line, before)) = lines.split_last() else { return false };
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    if names_secret(line) || line.contains("://") && line.contains('@') {
        return true;
    }
    let mut outer = indent(line);
    let mut above = before.iter().rev().filter(|line| !line.trim().is_empty()).peekable();
    if above
        .peek()
        .is_some_and(|before| names_secret(before) && (before.trim_end().ends_with(':') || !line.contains(':')))
    {
        return true;
    }
    above.any(|line| {
        let is_around = indent(line) < outer;
        outer = outer.min(indent(line));
        is_around && names_secret(line)
    })
}

/// Whether a line has a word at which [`Place`] shows nothing, with or without the colon behind it.
fn names_secret(line: &str) -> bool {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'));
    // `value` is the value of an environment variable.
    words.filter(|word| !word.is_empty()).any(|word| word == "value" || !Place::Open.field(word).is_shown())
}
