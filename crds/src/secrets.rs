//! What no message shows: values at places for secrets, and the user info of addresses.
//!
//! Authors write passwords where the name of a Secret belongs, and messages end up in logs, conditions and events.
//! Therefore a refused document is judged a second time with such values replaced, and only what is found then is
//! reported: no code that makes a message has to know which values are secret. What concerns a text that could not be
//! read has rules of its own here, since such a text has no values yet.

mod address;
mod lines;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Mapping, Value};
use weir_plan::quote::quoted;

use crate::finding::{FINDINGS_MAX, Finding, Path, nearest};
use crate::lower::{check_object, check_secret_key};

/// What stands in a message in place of a secret.
pub(crate) const HIDDEN: &str = "(hidden)";

/// The parts of a key that say that its value is a secret. Keys are compared in lower case, letters and digits only.
const SECRET_PARTS: [&str; 17] = [
    "accesskey",
    "apikey",
    "authorization",
    "bearer",
    "connectionstring",
    "credential",
    "jaas",
    "keystore",
    "passphrase",
    "password",
    "passwd",
    "privatekey",
    "secret",
    "sharedkey",
    "signature",
    "stringdata",
    "truststore",
];
const SECRET_ENDS: [&str; 6] = ["creds", "pwd", "sslkey", "tlskey", "token", "tokens"];
const SECRET_KEYS: [&str; 9] = ["binarydata", "data", "dsn", "jwt", "pass", "pin", "pw", "sas", "sig"];
/// The ends of keys whose values are addresses, also without a scheme; and blocks in whose place an address may stand.
const ADDRESS_ENDS: [&str; 8] = ["address", "brokers", "endpoint", "host", "servers", "uri", "uriprefix", "url"];
const ADDRESS_BLOCKS: [&str; 8] =
    ["checkpoint", "connection", "connections", "delta", "kafka", "s3", "schemaregistry", "storage"];
/// Blocks about who the pipeline is. A text in their place is a secret as likely as not.
const SECURITY_BLOCKS: [&str; 7] = ["auth", "authentication", "http", "oauth", "sasl", "ssl", "tls"];
/// The fields whose values are expressions, types and patterns: their quotes and brackets have a meaning.
const EXPRESSIONS: [&str; 7] = ["at", "expr", "filter", "topicpattern", "type", "when", "where"];
/// Keys that authors take for those of a reference to a Secret.
const REFERENCE_KEYS: [&str; 8] =
    ["accessKeyId", "namespace", "optional", "secretAccessKey", "secretKey", "secretKeyRef", "secretName", "valueFrom"];
/// The most characters of a text whose length a message does not show.
const CHARS_SHORT_MAX: usize = 60;
/// The fewest characters of a key that may be a misspelling: a shorter one is close to too many names.
const MISSPELT_CHARS_MIN: usize = 4;
/// The longest key that is compared with the names of fields, in bytes.
const MISSPELT_BYTES_MAX: usize = 32;

/// The names of the document's fields.
static FIELDS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    fn collect(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(keywords) => {
                let fields = keywords.get("properties").and_then(serde_json::Value::as_object);
                names.extend(fields.into_iter().flat_map(|fields| fields.keys().cloned()));
                keywords.values().for_each(|below| collect(below, names));
            }
            serde_json::Value::Array(list) => list.iter().for_each(|below| collect(below, names)),
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    collect(&crate::json_schema(), &mut names);
    names
});

pub(crate) use address::in_sentence;
pub(crate) use lines::has_secret;

/// What may be shown at a place of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Everything but the secrets of an address, and what a name of a secret is set to.
    Open,
    /// Also a text that is an address without a scheme.
    Address,
    /// Everything but the secrets of addresses that are words or texts of their own.
    Expression,
    /// A block with secrets: its fields, but no text in its place.
    Block,
    /// Environment variables: all but their values.
    Environment,
    /// The name of an environment variable.
    Variable,
    /// A user, without a password behind it.
    User,
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
            (Self::Environment, "name") => Self::Variable,
            (Self::User, "value") => Self::User,
            (Self::Reference | Self::SecretName | Self::SecretKey | Self::Environment | Self::Variable, _) => {
                Self::Secret
            }
            (Self::Action, "token") | (_, "runToken") => Self::Open,
            (_, "env") => Self::Environment,
            (_, "stateAction") => Self::Action,
            (Self::Open | Self::Address | Self::Expression | Self::Block | Self::User | Self::Action, _) => {
                Self::of(key)
            }
        }
    }

    fn of(key: &str) -> Self {
        let letters = key.chars().filter(char::is_ascii_alphanumeric);
        let key: &str = &letters.map(|c| c.to_ascii_lowercase()).collect::<String>();
        let is_secret = SECRET_PARTS.iter().any(|part| key.contains(part));
        if is_secret && (key.ends_with("ref") || key == "imagepullsecrets") {
            Self::Reference
        } else if is_secret || SECRET_ENDS.iter().any(|end| key.ends_with(end)) || SECRET_KEYS.contains(&key) {
            Self::Secret
        } else if ADDRESS_ENDS.iter().any(|end| key.ends_with(end)) || ADDRESS_BLOCKS.contains(&key) {
            Self::Address
        } else if SECURITY_BLOCKS.contains(&key) {
            Self::Block
        } else if EXPRESSIONS.contains(&key) {
            Self::Expression
        } else if key == "user" || key == "username" {
            Self::User
        } else {
            Self::Open
        }
    }

    /// Whether a message may show what was found here, but for the secret parts of a text.
    pub(crate) fn is_shown(self) -> bool {
        self.shows_keys() && !matches!(self, Self::Block | Self::Environment)
    }

    /// Whether what stands as a key here is one. At a place for a secret it may be the secret.
    pub(crate) fn shows_keys(self) -> bool {
        !matches!(self, Self::Reference | Self::SecretName | Self::SecretKey | Self::Secret)
    }

    /// The text as a message may show it; `None` if as it is.
    fn hidden_text(self, text: &str) -> Option<String> {
        let is_private_key = text.contains("PRIVATE KEY-----");
        // A long text stays as long: what is wrong may be its length.
        let chars = text.chars().count();
        let all = || Some(format!("{HIDDEN:.<0$}", if chars > CHARS_SHORT_MAX { chars } else { 0 }));
        match self {
            Self::Secret | Self::Reference | Self::Block => all(),
            Self::SecretName if check_object(text).is_err() && !is_nearly_a_name(text) => all(),
            Self::SecretKey if check_secret_key(text).is_err() => all(),
            _ if is_private_key => all(),
            Self::Environment => match text.split_once(['=', ':']).filter(|(name, _)| is_variable(name)) {
                Some((name, _)) => Some(format!("{}{HIDDEN}", &text[..=name.len()])),
                None => all(),
            },
            Self::Variable => {
                let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c))?;
                let is_set = text[end..].starts_with(['=', ':']);
                Some(format!("{}{HIDDEN}", if is_set { &text[..=end] } else { "" }))
            }
            Self::User if text.contains(':') => text.split_once(':').map(|(user, _)| format!("{user}:{HIDDEN}")),
            Self::Expression => address::in_expression(text),
            Self::Address => address::hidden(text, true),
            _ => address::hidden(text, false),
        }
    }
}

/// Whether the text is a Secret's name but for the spelling: `my_tls`, `Lake-Keys2`. What an author makes up by chance
/// has digits and capitals among its letters.
fn is_nearly_a_name(text: &str) -> bool {
    let is_word = |part: &str| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit()).as_bytes();
        let Some((first, rest)) = letters.split_first() else { return false };
        let is_lower = rest.iter().all(u8::is_ascii_lowercase);
        first.is_ascii_alphabetic() && (is_lower || letters.iter().all(u8::is_ascii_uppercase))
    };
    text.split(['-', '_', '.']).all(is_word) && check_object(&text.replace('_', "-").to_ascii_lowercase()).is_ok()
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a key is a field's name, or close to one, and not the rest of a secret.
pub(crate) fn is_field(key: &str) -> bool {
    let known = || FIELDS.iter().map(String::as_str).chain(REFERENCE_KEYS);
    let is_near = || {
        let may_be = key.chars().count() >= MISSPELT_CHARS_MIN && key.len() <= MISSPELT_BYTES_MAX;
        may_be && nearest(key, known()).is_some()
    };
    let is_name = || key.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'.' | b'_' | b'-'));
    known().any(|name| name.eq_ignore_ascii_case(key)) || is_near() || is_name() && !Place::of(key).is_shown()
}

/// Whether a path may have this key of a mapping at this place. YAML reads the rest of a secret behind a comma, or in a
/// line that is indented too little, as a key.
pub(crate) fn shows_key(key: &str, place: Place, follows_secret: bool) -> bool {
    place.shows_keys() && !follows_secret || is_field(key)
}

/// A document without its secrets.
pub(crate) struct Hidden {
    pub(crate) document: Value,
    pub(crate) replaced: Replaced,
}

/// The values that were replaced.
#[derive(Default)]
pub(crate) struct Replaced {
    pub(crate) paths: Vec<Path>,
    /// What is wrong with them, as far as it shows nothing.
    pub(crate) findings: Vec<Finding>,
}

/// A document without its secrets; `None` if it has none. `anchored` are the values of its text with an anchor: an
/// alias may repeat a secret anywhere. The fields of a document that has no text have no order.
pub(crate) fn hidden(document: &Value, anchored: Option<&[Value]>) -> Option<Hidden> {
    let has_order = anchored.is_some();
    let anchored = anchored.unwrap_or_default();
    let mut hiding = Hiding { repeated: Vec::new(), has_order, paths: Vec::new(), findings: Vec::new() };
    if !anchored.is_empty() {
        secrets_of(document, Place::Open, &mut hiding.repeated);
        hiding.repeated.retain(|secret| anchored.contains(secret));
    }
    let document = hiding.value(document, Place::Open, &Path::root());
    let Hiding { paths, findings, .. } = hiding;
    (!paths.is_empty()).then_some(Hidden { document, replaced: Replaced { paths, findings } })
}

/// The values at places for secrets.
fn secrets_of(value: &Value, place: Place, found: &mut Vec<Value>) {
    match value {
        Value::Sequence(list) => list.iter().for_each(|value| secrets_of(value, place, found)),
        Value::Mapping(mapping) => mapping.iter().for_each(|(key, value)| {
            secrets_of(value, key.as_str().map_or(place, |key| place.field(key)), found);
        }),
        Value::String(_) | Value::Number(_) if !place.is_shown() => found.push(value.clone()),
        _ => {}
    }
}

struct Hiding {
    /// The secrets that aliases may repeat.
    repeated: Vec<Value>,
    /// Whether the fields of a mapping are in the order of the text.
    has_order: bool,
    paths: Vec<Path>,
    findings: Vec<Finding>,
}

impl Hiding {
    fn value(&mut self, value: &Value, place: Place, path: &Path) -> Value {
        let place = if self.repeated.contains(value) { Place::Secret } else { place };
        match value {
            Value::String(text) => match place.hidden_text(text) {
                Some(instead) => {
                    self.paths.push(path.clone());
                    Value::String(instead)
                }
                None => value.clone(),
            },
            Value::Number(_) | Value::Bool(_) if !place.is_shown() => {
                self.paths.push(path.clone());
                // A tag is what no document has, so this is wrong wherever a number or a truth value would be.
                Value::Tagged(Box::new(TaggedValue { tag: Tag::new(HIDDEN), value: Value::Sequence(Vec::new()) }))
            }
            Value::Sequence(list) => {
                let list = list.iter().enumerate().map(|(i, value)| self.value(value, place, &path.index(i)));
                Value::Sequence(list.collect())
            }
            Value::Mapping(mapping) => Value::Mapping(self.fields(mapping, place, path)),
            other => other.clone(),
        }
    }

    fn fields(&mut self, mapping: &Mapping, place: Place, path: &Path) -> Mapping {
        let mut fields = Mapping::new();
        // The last field whose text is a secret, and whether a field before this one has or ends with such a text.
        let mut secret: Option<(Path, String)> = None;
        let mut follows_secret = false;
        let mut follows_address = false;
        let any_order = mapping.iter().filter(|_| !self.has_order);
        for (key, value) in any_order.filter_map(|(key, value)| Some((key.as_str()?, value))) {
            let below = place.field(key);
            if is_plain(value) && !below.is_shown() {
                secret = Some((path.field(key), key.to_owned()));
            }
            follows_secret |=
                secret.is_some() || value.is_null() && !below.is_shown() || ends_with_secret(value, below, false);
            follows_address |= below == Place::Address;
        }
        for (key, value) in mapping {
            let Some(name) = key.as_str() else { continue };
            // YAML reads the secrets `{hunter2}` and `{password: a, hunter2}` as keys without values. A field without a
            // value counts as left out.
            if value.is_null() && (secret.is_some() || !place.shows_keys()) {
                self.paths.push(path.clone());
                if let Some((at, cut)) = secret.as_ref().filter(|_| !FIELDS.contains(name)) {
                    let finding = Finding::new(at, rest_behind_comma(cut));
                    self.findings.extend(Some(finding).filter(|finding| !self.findings.contains(finding)));
                }
                continue;
            }
            let of_address = || address::hidden(name, true).filter(|_| value.is_null() && follows_address);
            let instead = self.hidden_key(key, name, place, follows_secret).or_else(of_address);
            let (shown, below) = match instead {
                Some(instead) => {
                    self.paths.push(path.field(&instead));
                    (instead, Place::Secret)
                }
                None => (name.to_owned(), place.field(name)),
            };
            let at = path.field(&shown);
            if is_plain(value) && !below.is_shown() {
                secret = Some((at.clone(), shown.clone()));
            }
            follows_secret |= secret.is_some() || value.is_null() && !below.is_shown();
            follows_secret |= ends_with_secret(value, below, self.has_order);
            follows_address |= below == Place::Address;
            let value = self.value(value, below, &at);
            fields.insert(Value::String(shown), value);
        }
        fields
    }

    /// The key as a message may show it; `None` if as it is. YAML reads `{password:hunter2}` as a key without a value.
    fn hidden_key(&self, key: &Value, name: &str, place: Place, follows_secret: bool) -> Option<String> {
        if self.repeated.contains(key) || !shows_key(name, place, follows_secret) {
            return Some(HIDDEN.to_owned());
        }
        if place == Place::Environment && name.contains(['=', ':']) {
            return Place::Variable.hidden_text(name);
        }
        // A secret behind its name without a colon.
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.:".contains(c)).unwrap_or(name.len());
        if end < name.len() && !place.field(&name[..end]).is_shown() {
            return Some(format!("{} {HIDDEN}", &name[..end]));
        }
        let Some((before, value)) = name.split_once(':') else { return address::hidden(name, false) };
        match Place::of(before) {
            _ if value.starts_with("//") => address::hidden(name, false),
            Place::Open | Place::Environment | Place::Action => address::hidden(name, false),
            of_name => of_name.hidden_text(value.trim()).map(|value| format!("{before}:{value}")),
        }
    }
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

/// Whether the last text in the value is a secret in a block of lines: a line of it with too small an indent is read as
/// what follows the value. Without an order, any field may be the last one.
fn ends_with_secret(value: &Value, place: Place, has_order: bool) -> bool {
    let ends = |(key, value): (&Value, &Value)| {
        ends_with_secret(value, key.as_str().map_or(place, |key| place.field(key)), has_order)
    };
    match value {
        Value::Mapping(mapping) if has_order => mapping.iter().last().is_some_and(ends),
        Value::Mapping(mapping) => mapping.iter().any(ends),
        Value::Sequence(list) => list.last().is_some_and(|value| ends_with_secret(value, place, has_order)),
        Value::String(text) => text.contains('\n') && !place.is_shown(),
        _ => false,
    }
}

/// What is said of a value at a place for secrets if the rest of it stands behind a comma.
fn rest_behind_comma(field: &str) -> String {
    format!(
        "a comma ends a value inside {{…}}, and what follows it is read as a field of its own: write the whole value in \
         quotes, {}, or the block in several lines",
        quoted(format_args!("{field}: \"…\""))
    )
}

/// The findings that are reported for a document with secrets: those of the document without them. A value that is
/// wrong only as it is in the document is named without it.
pub(crate) fn reported(found: &[Finding], of_hidden: Vec<Finding>, hidden: Replaced) -> Vec<Finding> {
    let message = "what is here is wrong, and is not shown, since it may be a secret";
    let Replaced { paths, findings } = hidden;
    let mut reported = [of_hidden, findings].concat();
    let is_new = |path: &&Path| {
        let is_at = |finding: &Finding| finding.is_within(path);
        found.iter().any(is_at) && !reported.iter().any(is_at)
    };
    let left: Vec<_> = paths.iter().filter(is_new).map(|path| Finding::new(path, message)).collect();
    reported.extend(left);
    if reported.is_empty() {
        reported.push(Finding::new(&Path::root(), format!("a value at a place for secrets is wrong: {message}")));
    }
    reported.truncate(FINDINGS_MAX);
    reported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_the_document_that_are_places_for_secrets_are_known() {
        let of_secrets: Vec<_> = FIELDS.iter().filter(|field| !Place::Open.field(field).is_shown()).collect();
        assert_eq!(
            of_secrets,
            [
                "caSecretRef",
                "clientSecretRef",
                "credentialsSecretRef",
                "env",
                "http",
                "imagePullSecrets",
                "oauth",
                "passwordSecretRef",
                "sasl",
                "secretRef",
                "tls",
                "token",
                "tokenSecretRef",
            ]
        );
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (text, shown) in [
            ("s3://lake/a@b//c", None),
            ("kafka:9092,kafka-2:9092", None),
            ("my-secret:9092", None),
            ("u:p@k:9092", Some("(hidden)@k:9092")),
            ("https://u:p/q@k/x", Some("https://(hidden)@k/x")),
            ("https://k/x?a=b@c", Some("https://k/x?(hidden)")),
            ("k:9092#x", Some("k:9092#(hidden)")),
            ("k:9092;sasl.password=x", Some("k:9092;sasl.password=(hidden)")),
            ("k:9092,password:x", Some("k:9092,password:(hidden)")),
            ("u%3ap%40k:9092", Some("(hidden)@k:9092")),
        ] {
            assert_eq!(address::hidden(text, true).as_deref(), shown, "{text}");
        }
        for (text, shown) in [
            ("reg:5000/weir@sha256:00", None),
            ("u:p@reg/weir@sha256:00", Some("(hidden)@reg/weir@sha256:00")),
            ("who? me", None),
            ("me@example.com", None),
            ("x?a=b", Some("x?(hidden)")),
        ] {
            assert_eq!(address::hidden(text, false).as_deref(), shown, "{text}");
        }
        for (text, shown) in [
            ("split(email, '@', 1)", None),
            ("regexp_like(email, '^[a-z:]+@[a-z]+')", None),
            ("token = 'a: b'", None),
            ("url = 'https://u:p@h/x?y' and a = 'b'", Some("url = 'https://(hidden)@h/x?(hidden)' and a = 'b'")),
        ] {
            assert_eq!(address::in_expression(text).as_deref(), shown, "{text}");
        }
    }
}
