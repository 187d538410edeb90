//! Parses YAML text to a tree of values, with limits, since the text may come from anywhere.
//!
//! Aliases are expanded, so the number of values and the depth are bounded, not only the text's length. A key that
//! occurs twice in a mapping is an error, because a reader may see one of them and the program may use the other. A
//! value that kubectl reads differently is an error too.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Mapping, Value};
use weir_plan::quote::quoted;

use super::events::{Events, Kind, ScalarStyle};
use super::syntax::Refusal;
use super::{depth, syntax};
use crate::finding::{FINDINGS_MAX, Finding, Path};
use crate::secrets::{Place, shows_key};
use crate::versions::{NUMBER, other_reading};

/// The most bytes of a text: more than etcd accepts for one object.
const TEXT_BYTES_MAX: usize = 1 << 20;
const VALUES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;
/// The most bytes of a key. Every path of a finding contains the keys down to its place.
const KEY_BYTES_MAX: usize = 512;
/// The fields that are true or false. A word such as `no` means its truth value there, and a name everywhere else.
const TRUTH_VALUES: [&str; 3] = ["forcePathStyle", "required", "suspend"];
/// A mark that some editors put at the beginning of a file. It has no meaning.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads exactly one YAML document. Any finding is an error.
pub(crate) fn parse_yaml(text: &str) -> Result<Value, Vec<Finding>> {
    match read_yaml(text)? {
        (value, findings) if findings.is_empty() => Ok(value),
        (_, findings) => Err(findings),
    }
}

/// Reads exactly one YAML document, and reports values and keys that other readers read differently. Empty documents (a
/// `---` at the end) do not count.
///
/// # Errors
/// Why the text can't be read.
pub(crate) fn read_yaml(text: &str) -> Result<(Value, Vec<Finding>), Vec<Finding>> {
    let whole = |message: String| vec![Finding::new(&Path::root(), message)];
    if text.len() > TEXT_BYTES_MAX {
        return Err(whole(format!("the document has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len())));
    }
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if let Some(line) = depth::line_of_more_than(DEPTH_MAX, text) {
        return Err(whole(format!(
            "lists and mappings are nested more than {DEPTH_MAX} deep at line {line}; no field of a document lies so \
             deep"
        )));
    }
    let guard = RefCell::new(Guard { values_left: VALUES_MAX, findings: Vec::new(), refused: None });
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let node = Node { text, path: Path::root(), place: Place::Open, depth: 0, guard: &guard };
        match node.deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => {
                let refused = guard.borrow_mut().refused.take();
                return Err(whole(syntax::told(text, &error, refused)));
            }
        }
    }
    match (documents.pop(), documents.len()) {
        (None, _) => Err(whole("the document is empty; a StreamPipeline should be here".to_owned())),
        (Some(only), 0) => {
            let mut guard = guard.into_inner();
            for cut in syntax::cut_by_comments(text).into_iter().filter(|cut| cut.is_open) {
                guard.add(&Path::root(), cut.message);
            }
            Ok((only, guard.findings))
        }
        (Some(_), others) => Err(whole(format!(
            "found {} YAML documents; there should be exactly one, so split the file at `---`",
            others + 1
        ))),
    }
}

/// The plain values of a text that an alias may repeat: those with an anchor, and those inside a list or mapping with
/// one.
pub(crate) fn anchored(text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    // Whether each list or mapping that is open has an anchor or lies in one that has.
    let mut open: Vec<bool> = Vec::new();
    for event in Events::of(text).filter(|_| text.contains('&')).into_iter().flatten() {
        let is_anchored = event.anchor.is_some() || open.last().is_some_and(|outer| *outer);
        match event.kind {
            Kind::Scalar { value, style } if is_anchored && values.len() < VALUES_MAX => values.push(match style {
                ScalarStyle::Plain => serde_yaml::from_str(&value).unwrap_or(Value::String(value)),
                ScalarStyle::Quoted | ScalarStyle::Block => Value::String(value),
            }),
            Kind::ListStart { .. } | Kind::MappingStart { .. } => open.push(is_anchored),
            Kind::ListEnd | Kind::MappingEnd => {
                open.pop();
            }
            Kind::Scalar { .. } | Kind::Alias(_) | Kind::Outline => {}
        }
    }
    values
}

struct Guard {
    values_left: usize,
    findings: Vec<Finding>,
    /// What YAML has and documents do not, at which reading ends.
    refused: Option<Refusal>,
}

impl Guard {
    fn add(&mut self, path: &Path, message: String) {
        let finding = Finding::new(path, message);
        if self.findings.len() < FINDINGS_MAX && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Ends the reading with this message.
    fn refuse<E: de::Error>(&mut self, message: String, hidden: String) -> E {
        self.refused = Some(Refusal { message, hidden });
        E::custom("refused")
    }
}

/// Whether `part`, a slice of `text`, has no quotes around it.
fn is_plain(text: &str, part: &str) -> bool {
    let Some(start) = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize) else { return false };
    let before = start.checked_sub(1).and_then(|i| text.as_bytes().get(i));
    start <= text.len() && !matches!(before, Some(b'"' | b'\''))
}

#[derive(Clone)]
struct Node<'a> {
    text: &'a str,
    path: Path,
    place: Place,
    depth: usize,
    guard: &'a RefCell<Guard>,
}

impl Node<'_> {
    fn below(&self, path: Path, place: Place) -> Self {
        Self { text: self.text, path, place, depth: self.depth + 1, guard: self.guard }
    }

    /// Reports a plain scalar that other readers read differently. `found` must be a slice of the text to be recognised
    /// as plain; serde_yaml gives such slices for plain and quoted scalars, unless they contain an escape.
    fn check_reading(&self, path: &Path, found: &str, is_key: bool) {
        let Some(other) = other_reading(found).filter(|_| is_plain(self.text, found)) else { return };
        let right = if !is_key && other != NUMBER && TRUTH_VALUES.contains(&path.last()) {
            other.to_owned()
        } else {
            quoted(format_args!("\"{found}\""))
        };
        let means = format!("without quotes is text in YAML 1.2 and {other} to kubectl and Helm");
        let message = if self.place.is_shown() {
            format!("found {}, which {means}: write {right}", quoted(found))
        } else {
            format!("what is here {means}: write it in quotes")
        };
        self.guard.borrow_mut().add(path, message);
    }

    fn too_big(&self, number: &dyn fmt::Display) -> Value {
        let number = if self.place.is_shown() { format!("the number {number}") } else { "a number".to_owned() };
        let message = format!("found {number}, which has more than 64 bits; put it in quotes if it is text");
        self.guard.borrow_mut().add(&self.path, message);
        Value::Null
    }

    /// Checks the depth at each list and mapping: aliases may put deep values into deep places.
    fn enter<E: de::Error>(&self) -> Result<(), E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("nested more than {DEPTH_MAX} deep")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        {
            let mut guard = self.guard.borrow_mut();
            let Some(left) = guard.values_left.checked_sub(1) else {
                return Err(de::Error::custom(format!(
                    "more than {VALUES_MAX} values, those that aliases repeat included"
                )));
            };
            guard.values_left = left;
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value, a list or a mapping, without tags")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        Ok(self.too_big(&value))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        Ok(self.too_big(&value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_borrowed_str<E: de::Error>(self, value: &'de str) -> Result<Value, E> {
        self.check_reading(&self.path, value, false);
        self.visit_str(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        let message = "YAML takes a word that begins with `!` for a tag, and documents have none: leave it out, or \
                       write the value in quotes";
        Err(self.guard.borrow_mut().refuse(message.to_owned(), message.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.below(self.path.index(values.len()), self.place))? {
            values.push(value);
        }
        Ok(Value::Sequence(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut mapping = Mapping::new();
        let mut follows_secret = false;
        loop {
            let key = Key { of: &self, is_shown: self.place.shows_keys() && !follows_secret };
            let Some(key) = entries.next_key_seed(key)? else { break };
            let is_shown = shows_key(&key, self.place, follows_secret);
            let path = if is_shown { self.path.field(&key) } else { self.path.clone() };
            let place = self.place.field(&key);
            let value = entries.next_value_seed(self.below(path.clone(), place))?;
            follows_secret |= !place.is_shown() && !value.is_mapping() && !value.is_null();
            if mapping.insert(Value::String(key), value).is_some() {
                let what = if is_shown { "this key" } else { "a key that is not shown" };
                self.guard.borrow_mut().add(&path, format!("{what} stands twice in its mapping; keep one"));
            }
        }
        Ok(Value::Mapping(mapping))
    }
}

/// Reads a key of the node's mapping. What stands as a key at a place for secrets may be the secret.
struct Key<'p, 'a> {
    of: &'p Node<'a>,
    is_shown: bool,
}

impl Key<'_, '_> {
    fn no_text<E: de::Error>(&self, found: impl fmt::Display) -> E {
        let message =
            |found: &str| format!("found {found} where the name of a field belongs: write the name as text, in quotes");
        let hidden = message("a value");
        let message = if self.is_shown { message(&found.to_string()) } else { hidden.clone() };
        self.of.guard.borrow_mut().refuse(message, hidden)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = String;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text as a mapping's key")
    }

    fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<String, E> {
        if key.len() <= KEY_BYTES_MAX && self.is_shown {
            self.of.check_reading(&self.of.path.field(key), key, true);
        }
        self.visit_str(key)
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Err(self.no_text("nothing"))
    }

    fn visit_bool<E: de::Error>(self, found: bool) -> Result<String, E> {
        Err(self.no_text(format_args!("the truth value {found}")))
    }

    fn visit_i64<E: de::Error>(self, found: i64) -> Result<String, E> {
        Err(self.no_text(format_args!("the number {found}")))
    }

    fn visit_u64<E: de::Error>(self, found: u64) -> Result<String, E> {
        Err(self.no_text(format_args!("the number {found}")))
    }

    fn visit_f64<E: de::Error>(self, found: f64) -> Result<String, E> {
        Err(self.no_text(format_args!("the number {found}")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.no_text("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.no_text("a mapping"))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.no_text("a tag"))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        if key.len() > KEY_BYTES_MAX {
            return Err(E::custom(format!("a key of {} bytes; keys have at most {KEY_BYTES_MAX}", key.len())));
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use super::*;

    fn refusals(text: &str) -> Vec<String> {
        parse_yaml(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let said = refusals("spec:\n  sinks: [a, b\n  steps: []\n");
        assert_eq!(said, ["line 2: `[` is not closed: write `]` where it ends"]);
    }

    #[test]
    fn tabs_and_variables_are_named_where_the_text_can_not_be_read() {
        let said = refusals("spec:\n\ttrigger: x\n\tsteps: []\n");
        assert_eq!(said, ["line 2: the indent has a tab: write spaces"]);
        let said = refusals("a: 1\nb: {uri: s3://${BUCKET}/c}\n");
        assert_eq!(
            said,
            ["line 2: documents know no variables as `${`: write the value, or lay it over with --override"]
        );
    }

    /// Adds the names of the fields that are true or false.
    fn booleans(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
        let is_boolean = |field: &serde_json::Value| match &field["type"] {
            serde_json::Value::Array(types) => types.iter().any(|name| name == "boolean"),
            name => name == "boolean",
        };
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if is_boolean(field) {
                names.insert(name.clone());
            }
        }
        let below: Vec<_> = match schema {
            serde_json::Value::Object(fields) => fields.values().collect(),
            serde_json::Value::Array(elements) => elements.iter().collect(),
            _ => Vec::new(),
        };
        below.into_iter().for_each(|below| booleans(below, names));
    }

    #[test]
    fn the_fields_that_are_true_or_false_are_those_of_the_document() {
        let mut names = BTreeSet::new();
        booleans(&crate::json_schema(), &mut names);
        assert_eq!(names, TRUTH_VALUES.map(str::to_owned).into());
    }

    #[test]
    fn every_key_that_stands_twice_is_named() {
        let said = refusals("a: 1\nb: [{c: 1, c: 2}]\na: 2\n");
        assert_eq!(
            said,
            [
                "b[0].c: this key stands twice in its mapping; keep one",
                "a: this key stands twice in its mapping; keep one"
            ]
        );
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_before_it_goes_off() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..9 {
            let items = vec![format!("*a{}", i - 1); 10].join(", ");
            bomb.push_str(&format!("a{i}: &a{i} [{items}]\n"));
        }
        assert_eq!(refusals(&bomb).len(), 1);
        let wide = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(5_000), "*a, ".repeat(5_000));
        assert!(refusals(&wide)[0].contains("more than 100000 values"), "{:?}", refusals(&wide));
    }

    #[test]
    fn what_is_too_deep_too_long_or_tagged_is_refused() {
        assert!(refusals(&"[".repeat(20))[0].contains("not YAML"));
        assert!(
            refusals(&format!("{}{}", "[".repeat(40), "]".repeat(40)))[0]
                .contains("nested more than 32 deep at line 1;")
        );
        assert!(refusals(&format!("? {}\n: x", "k".repeat(600)))[0].contains("a key of 600 bytes"));
        assert!(refusals(&" ".repeat(TEXT_BYTES_MAX + 1))[0].contains("at most 1048576 are read"));
        assert!(refusals("- !thing x")[0].contains("documents have none"));
        assert_eq!(
            refusals("1: x"),
            ["line 1: found the number 1 where the name of a field belongs: write the name as text, in quotes"]
        );
    }

    #[test]
    fn a_megabyte_takes_no_longer_than_a_second_whatever_is_in_it() {
        let fill = |part: &str| part.repeat(TEXT_BYTES_MAX / part.len());
        let long_key = format!("? {}\n: [{}]", "k".repeat(TEXT_BYTES_MAX / 2), "x, ".repeat(VALUES_MAX));
        for text in [
            fill("{a: "),
            fill("["),
            fill("- "),
            fill("? "),
            fill("a: {b: [c]}\n---\n"),
            fill("{\"}\": "),
            fill("'"),
            fill("a: "),
            fill("{a: (, "),
            long_key,
        ] {
            let began = Instant::now();
            let _ = parse_yaml(&text);
            // Generous for a busy machine; without the limit on depth this takes minutes.
            assert!(began.elapsed() < Duration::from_secs(60), "{:?}: {:?}", &text[..8], began.elapsed());
        }
    }

    #[test]
    fn a_byte_order_mark_says_nothing() {
        assert_eq!(parse_yaml("\u{feff}a: 1").unwrap(), parse_yaml("a: 1").unwrap());
    }

    #[test]
    fn exactly_one_document_is_read_and_empty_ones_do_not_count() {
        assert_eq!(parse_yaml("---\na: 1\n---\n").unwrap(), parse_yaml("a: 1").unwrap());
        assert_eq!(refusals("# nothing\n"), ["the document is empty; a StreamPipeline should be here"]);
        assert_eq!(
            refusals("a: 1\n---\nb: 1\n"),
            ["found 2 YAML documents; there should be exactly one, so split the file at `---`"]
        );
    }
}
