//! Writes a tree of values as YAML for people: as blocks, but a list element with a few plain values as one line.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_yaml::{Mapping, Value};

use crate::finding::Path;

/// The most characters of a list element in one line; longer elements are written as blocks.
const LINE_CHARS_MAX: usize = 100;

/// The document as text. `marks` are comments for fields.
pub(super) fn written(document: &Value, marks: &BTreeMap<Path, String>) -> String {
    let mut writer = Writer { out: String::new(), marks };
    if let Value::Mapping(mapping) = document {
        writer.mapping(mapping, &Path::root(), 0, false);
    }
    writer.out
}

struct Writer<'a> {
    out: String,
    marks: &'a BTreeMap<Path, String>,
}

impl Writer<'_> {
    /// Writes a mapping. After a list's dash, its first field continues the line.
    fn mapping(&mut self, mapping: &Mapping, path: &Path, indent: usize, after_dash: bool) {
        let fields = mapping.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
        for (i, (key, value)) in fields.filter(|(_, value)| !value.is_null()).enumerate() {
            let path = path.field(key);
            let indented = if i == 0 && after_dash { 0 } else { indent };
            self.text(&format!("{:indented$}{}:", "", scalar(&Value::String(key.to_owned()), false)));
            self.value(value, &path, indent);
        }
    }

    /// Writes a value behind its key.
    fn value(&mut self, value: &Value, path: &Path, indent: usize) {
        match value {
            Value::Mapping(mapping) if !mapping.is_empty() => {
                self.text("\n");
                self.mapping(mapping, path, indent + 2, false);
            }
            Value::Sequence(list) if !list.iter().all(is_plain) => {
                self.text("\n");
                for (i, element) in list.iter().enumerate() {
                    self.element(element, &path.index(i), indent);
                }
            }
            plain => {
                let mark = self.marks.get(path).map(|mark| format!("  # {mark}")).unwrap_or_default();
                self.text(&format!(" {}{mark}\n", flow(plain)));
            }
        }
    }

    fn element(&mut self, element: &Value, path: &Path, indent: usize) {
        let dash = format!("{:indent$}- ", "");
        match element {
            Value::Mapping(mapping) if mapping.values().all(is_plain) && flow(element).len() <= LINE_CHARS_MAX => {
                let keys = mapping.keys().filter_map(Value::as_str);
                let marked = keys.filter_map(|key| Some((key, self.marks.get(&path.field(key))?)));
                let marked: Vec<_> = marked.collect();
                let keys: Vec<_> = marked.iter().map(|(key, _)| *key).collect();
                let mark = marked.first().map(|(_, mark)| format!("  # {mark}: {}", keys.join(", ")));
                let mark = mark.unwrap_or_default();
                self.text(&format!("{dash}{}{mark}\n", flow(element)));
            }
            Value::Mapping(mapping) => {
                self.text(&dash);
                self.mapping(mapping, path, indent + 2, true);
            }
            other => self.text(&format!("{dash}{}\n", flow(other))),
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }
}

fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Mapping(_) | Value::Sequence(_) | Value::Tagged(_))
}

/// The value in one line.
pub(crate) fn flow(value: &Value) -> String {
    match value {
        Value::Mapping(mapping) => {
            let fields = mapping.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<_> = fields.map(|(key, value)| format!("{}: {}", flow(key), flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Sequence(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        plain => scalar(plain, true),
    }
}

fn scalar(value: &Value, in_flow: bool) -> String {
    let Value::String(text) = value else {
        return serde_yaml::to_string(value).unwrap_or_default().trim_end().to_owned();
    };
    if is_the_same_everywhere(text, in_flow) { text.clone() } else { in_quotes(text) }
}

/// Whether the text can be written without quotes, so that every reader of YAML reads it as the same text.
fn is_the_same_everywhere(text: &str, in_flow: bool) -> bool {
    // An amount such as `10m` or `128Mi`.
    let is_an_amount = text.chars().all(|c| c.is_ascii_alphanumeric()) && text.ends_with(|c: char| c.is_alphabetic());
    let starts_well = is_an_amount || text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '/');
    let is_a_word = |c: char| c.is_alphanumeric() || "_-./ ()+*=<>'\":".contains(c) || !in_flow && ",[]{}".contains(c);
    starts_well
        && !text.ends_with([' ', ':'])
        && text.chars().all(is_a_word)
        && !text.contains(": ")
        && !text.contains(" #")
        && serde_yaml::from_str::<Value>(text).is_ok_and(|read| read.as_str() == Some(text))
        && crate::versions::is_read_alike(text)
}

fn in_quotes(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{85}') => {
                // Writing to a text can't fail.
                let _ = write!(quoted, "\\U{:08x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
