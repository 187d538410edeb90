//! Random documents in random styles: the rewritten text is the document that was meant, it has every comment, and
//! nothing more in it can be rewritten.
//!
//! A document is generated in both shapes at once, so the expected result does not come from the code under test.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_yaml::{Mapping, Value};
use weir_crds::former::{Style, rewrite};

const DOCUMENTS: u64 = 1_000;

/// A value in the former shape and in the final one.
struct Both {
    old: Value,
    new: Value,
}

fn map(entries: Vec<(&str, Value)>) -> Value {
    Value::Mapping(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

type Make = fn(&mut Maker) -> Both;

struct Maker {
    random: ChaCha8Rng,
}

impl Maker {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn text(&mut self) -> Value {
        let texts =
            ["a", "win start", "it's", "a, b", "x: y", "# no comment", "{}", "é", "on", "7", "two\nlines", "a#b"];
        (*texts.choose(&mut self.random).unwrap()).into()
    }

    fn shuffled(&mut self, entries: &mut Vec<(&'static str, Value)>) -> Value {
        let mut left: Vec<_> = std::mem::take(entries);
        let mut shuffled = Vec::new();
        while !left.is_empty() {
            shuffled.push(left.swap_remove(self.random.random_range(0..left.len())));
        }
        map(shuffled)
    }

    fn list(&mut self, max: usize, mut one: impl FnMut(&mut Self) -> Value) -> Value {
        (0..self.random.random_range(0..=max)).map(|_| one(self)).collect::<Vec<_>>().into()
    }

    /// Adds entries that both shapes have.
    fn others(&mut self, names: &[&'static str]) -> Vec<(&'static str, Value)> {
        let mut others = Vec::new();
        for name in names {
            if self.chance(50) {
                let value = self.text();
                others.push((*name, value));
            }
        }
        others
    }

    fn both(&mut self, mut old: Vec<(&'static str, Value)>, new: Vec<(&'static str, Value)>) -> Both {
        Both { old: self.shuffled(&mut old), new: map(new) }
    }

    fn source(&mut self) -> Both {
        let (mut old, mut new) = (self.others(&["name", "eventTime"]), Vec::new());
        new.extend(old.clone());
        let mut kafka = self.others(&["connection", "topics"]);
        let (has_kafka, has_group) = (self.chance(80), self.chance(60));
        if has_kafka {
            old.push(("kafka", self.shuffled(&mut kafka.clone())));
        }
        if has_group {
            let group = self.text();
            old.push(("groupId", group.clone()));
            kafka = if has_kafka { kafka } else { Vec::new() };
            kafka.push(("groupId", group));
        }
        if has_kafka || has_group {
            new.push(("kafka", map(kafka)));
        }
        let mut json = self.others(&["timestampNumbers"]);
        let new_json = map(json.clone());
        if self.chance(70) {
            let columns = self.list(3, |maker| map(vec![("name", maker.text()), ("type", "string".into())]));
            json.push(("columns", columns.clone()));
            new.push(("columns", columns));
        }
        let json = self.shuffled(&mut json);
        old.push(("format", map(vec![("json", json)])));
        new.push(("format", map(vec![("json", new_json)])));
        self.both(old, new)
    }

    fn step(&mut self) -> Both {
        let (mut old, mut new) = (self.others(&["from"]), Vec::new());
        new.extend(old.clone());
        let columns = self.list(3, Self::text);
        let named = columns.as_sequence().unwrap().iter().map(|name| map(vec![("name", name.clone())]));
        new.push(("groupBy", named.collect::<Vec<_>>().into()));
        old.push(("groupBy", columns));
        let kind = *["tumbling", "sliding", "cumulate", "calendar"].choose(&mut self.random).unwrap();
        let mut of_kind = self.others(&["size", "slide"]);
        let mut window = vec![(kind, map(of_kind.clone()))];
        if self.chance(60) {
            window.push(("offset", "15m".into()));
            of_kind.push(("offset", "15m".into()));
        }
        old.push(("window", self.shuffled(&mut window)));
        new.push(("window", map(vec![(kind, map(of_kind))])));
        let Both { old, new } = self.both(old, new);
        Both { old: map(vec![("aggregate", old)]), new: map(vec![("aggregate", new)]) }
    }

    fn sink(&mut self) -> Both {
        let mut old = self.others(&["name", "mode"]);
        let mut new = old.clone();
        let output = *["", "Main", "Late", "Rejected"].choose(&mut self.random).unwrap();
        old.push(("from", "revenue".into()));
        new.push((
            "from",
            if output.len() > 4 || output == "Late" { format!("revenue.{output}") } else { "revenue".into() }.into(),
        ));
        if !output.is_empty() {
            old.push(("output", output.into()));
        }
        self.both(old, new)
    }

    fn storage(&mut self) -> Both {
        let mut encryption = self.others(&["keyId"]);
        let mut new = encryption.clone();
        encryption.push(("type", "SseKms".into()));
        new.push(("type", "SSEKMS".into()));
        let old = self.shuffled(&mut encryption);
        let wrap = |encryption| map(vec![("s3", map(vec![("encryption", encryption)]))]);
        Both { old: wrap(old), new: wrap(map(new)) }
    }

    fn document(&mut self) -> Both {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let makers: [(&str, Make); 4] =
            [("storage", Self::storage), ("sources", Self::source), ("steps", Self::step), ("sinks", Self::sink)];
        for (name, make) in makers {
            let elements: Vec<_> = (0..self.random.random_range(0..3)).map(|_| make(self)).collect();
            let (old_elements, new_elements): (Vec<_>, Vec<_>) =
                elements.into_iter().map(|both| (both.old, both.new)).unzip();
            old.push((name, Value::from(old_elements)));
            new.push((name, Value::from(new_elements)));
        }
        let Both { old, new } = self.both(old, new);
        Both {
            old: map(vec![("kind", "StreamPipeline".into()), ("spec", old)]),
            new: map(vec![("kind", "StreamPipeline".into()), ("spec", new)]),
        }
    }
}

/// Writes a document in a random style.
struct Writer {
    random: ChaCha8Rng,
    out: String,
    comments: usize,
}

impl Writer {
    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# c{} {{x: [\"", self.comments)
    }

    fn has_comment(&mut self) -> Option<String> {
        if self.chance(15) { Some(self.comment()) } else { None }
    }

    /// Ends a line in a block.
    fn end_line(&mut self) {
        if let Some(comment) = self.has_comment() {
            self.out.push_str(&format!("   {comment}"));
        }
        self.out.push('\n');
        if self.chance(5) {
            self.out.push('\n');
        }
    }

    /// Writes comments on their own lines, where an entry begins or deeper.
    fn lines_between(&mut self, column: usize) {
        while let Some(comment) = self.has_comment() {
            let column = *[column, column, column, column + 1, 0].choose(&mut self.random).unwrap();
            self.out.push_str(&format!("{:column$}{comment}\n", ""));
        }
    }

    fn mapping(&mut self, mapping: &Mapping, column: usize, mut is_first_in_line: bool) {
        for (key, value) in mapping {
            if !is_first_in_line {
                self.lines_between(column);
                self.out.push_str(&" ".repeat(column));
            }
            is_first_in_line = false;
            let key = self.key(key.as_str().unwrap());
            self.out.push_str(&key);
            self.value(value, column, true);
        }
    }

    fn key(&mut self, key: &str) -> String {
        if self.chance(5) { format!("{key:?}:") } else { format!("{key}:") }
    }

    /// Writes what follows a key or, if there is none, a dash, in a block at this column.
    fn value(&mut self, value: &Value, column: usize, is_behind_key: bool) {
        let deeper = column + self.random.random_range(1..=4);
        match value {
            Value::Mapping(entries) if !entries.is_empty() && self.chance(60) => {
                if is_behind_key || self.chance(10) {
                    if self.chance(5) {
                        self.out.push_str(" &block");
                    }
                    self.end_line();
                    self.mapping(entries, deeper, false);
                } else {
                    self.out.push_str(&" ".repeat(deeper - column));
                    self.mapping(entries, deeper + 1, true);
                }
            }
            Value::Sequence(elements) if !elements.is_empty() && self.chance(60) => {
                let column = if self.chance(50) { column } else { deeper };
                self.end_line();
                for element in elements {
                    self.lines_between(column);
                    self.out.push_str(&format!("{:column$}-", ""));
                    self.value(element, column, false);
                }
            }
            Value::String(text) if self.chance(10) && !text.starts_with(' ') => {
                // A comment that is indented by one may follow, and it must not become one of these lines.
                let deeper = deeper + 1;
                let lines = text.replace('\n', &format!("\n{:deeper$}", ""));
                self.out.push_str(&format!(" |-\n{:deeper$}{lines}\n", ""));
            }
            value => {
                self.out.push(' ');
                let is_wide = self.chance(20);
                self.flow(value, deeper, is_wide, false);
                self.end_line();
            }
        }
    }

    /// Writes a value in braces, over several lines if it is wide.
    fn flow(&mut self, value: &Value, column: usize, is_wide: bool, is_in_flow: bool) {
        match value {
            Value::Mapping(entries) => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
                self.flow_entries(&entries, ['{', '}'], column, is_wide);
            }
            Value::Sequence(elements) => {
                let elements: Vec<_> = elements.iter().map(|element| (None, element)).collect();
                self.flow_entries(&elements, ['[', ']'], column, is_wide);
            }
            value => {
                let text = value.as_str().unwrap();
                let written = self.scalar(text, is_in_flow);
                self.out.push_str(&written);
            }
        }
    }

    fn flow_entries(&mut self, entries: &[(Option<&str>, &Value)], braces: [char; 2], column: usize, is_wide: bool) {
        self.out.push(braces[0]);
        let inner = column + 2;
        for (i, (key, value)) in entries.iter().enumerate() {
            if is_wide && self.chance(80) {
                if let Some(comment) = self.has_comment() {
                    self.out.push_str(&format!("  {comment}"));
                }
                self.out.push('\n');
                self.lines_between(inner);
                self.out.push_str(&" ".repeat(inner));
            } else if i > 0 && self.chance(90) {
                self.out.push(' ');
            }
            if let Some(key) = key {
                let key = self.key(key);
                self.out.push_str(&format!("{key} "));
            }
            self.flow(value, inner, is_wide, true);
            let is_last = i + 1 == entries.len();
            if is_wide && self.chance(10) {
                let comment = self.comment();
                self.out.push_str(&format!("   {comment}\n{:inner$}", ""));
            }
            if !is_last || self.chance(10) {
                self.out.push(',');
            }
        }
        if is_wide && self.chance(50) {
            if let Some(comment) = self.has_comment() {
                self.out.push_str(&format!("  {comment}"));
            }
            self.out.push_str(&format!("\n{:column$}", ""));
        }
        self.out.push(braces[1]);
    }

    fn scalar(&mut self, text: &str, is_in_flow: bool) -> String {
        let is_plain = text.chars().all(|c| c.is_alphanumeric() || c == ' ' || (c == ',' && !is_in_flow) || c == '#')
            && !text.starts_with('#')
            && !["on", "7"].contains(&text);
        let anchor = if self.chance(3) { "&anchor " } else { "" };
        let written = match self.random.random_range(0..4) {
            0 | 1 if is_plain => text.to_owned(),
            2 if !text.contains('\n') => format!("'{}'", text.replace('\'', "''")),
            _ => format!("{text:?}"),
        };
        format!("{anchor}{written}")
    }
}

/// A document in both shapes, and the text of its former shape.
fn document(seed: u64) -> (Both, String, usize) {
    let mut maker = Maker { random: ChaCha8Rng::seed_from_u64(seed) };
    let both = maker.document();
    let mut writer = Writer { random: maker.random, out: String::new(), comments: 0 };
    writer.mapping(both.old.as_mapping().unwrap(), 0, false);
    let mut text = writer.out;
    if writer.random.random_ratio(1, 4) {
        text = text.replace('\n', "\r\n");
    }
    if writer.random.random_ratio(1, 4) {
        text.truncate(text.trim_end().len());
    }
    (both, text, writer.comments)
}

#[test]
fn any_document_in_any_style_is_rewritten_with_its_comments() {
    let (mut rewritten_ones, mut comments_kept) = (0, 0);
    for seed in 0..DOCUMENTS {
        let (Both { old, new }, text, comments) = document(seed);
        let parsed: Value = serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
        assert_eq!(parsed, old, "seed {seed}: the text is not the document\n{text}");
        let Some(rewritten) = rewrite(&text).unwrap_or_else(|e| panic!("seed {seed}: {e:?}\n{text}")) else {
            assert_eq!(old, new, "seed {seed}: something is old in\n{text}");
            continue;
        };
        let said = format!("seed {seed}:\n{text}\n--- became\n{}", rewritten.text);
        assert_eq!((rewritten.style, &rewritten.left), (Style::Kept, &vec![]), "{said}");
        assert_eq!(serde_yaml::from_str::<Value>(&rewritten.text).unwrap(), new, "{said}");
        for n in 1..=comments {
            assert_eq!(rewritten.text.matches(&format!("# c{n} {{x: [\"")).count(), 1, "comment {n} of {said}");
        }
        assert_eq!(rewrite(&rewritten.text), Ok(None), "{said}");
        rewritten_ones += 1;
        comments_kept += comments;
    }
    assert!(rewritten_ones > DOCUMENTS / 2 && comments_kept > 1_000, "{rewritten_ones} {comments_kept}");
}
