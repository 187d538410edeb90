//! YAML text to a tree of values, guarded: text from anywhere may come here, the API server's webhook included.
//!
//! Aliases are expanded, so the number of values is bounded, not only the text; depth is bounded; a key that stands twice in one mapping is
//! an error, because whoever reads the document sees one of them and the program may take the other.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_yaml::{Mapping, Value};

use crate::finding::{FINDINGS_MAX, Finding, Path};

/// More than etcd takes for one object.
const TEXT_BYTES_MAX: usize = 1 << 20;
const VALUES_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

/// Reads exactly one YAML document. Empty ones (a `---` at the end) do not count.
pub(crate) fn parse_yaml(text: &str) -> Result<Value, Vec<Finding>> {
    let whole = |message: String| vec![Finding::new(&Path::root(), message)];
    if text.len() > TEXT_BYTES_MAX {
        return Err(whole(format!("the document has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len())));
    }
    let guard = RefCell::new(Guard { values_left: VALUES_MAX, duplicates: Vec::new() });
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let node = Node { path: Path::root(), depth: 0, guard: &guard };
        match node.deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => return Err(whole(format!("this is not YAML that can be read: {error}"))),
        }
    }
    let duplicates = guard.into_inner().duplicates;
    if !duplicates.is_empty() {
        return Err(duplicates);
    }
    match (documents.pop(), documents.len()) {
        (None, _) => Err(whole("the document is empty; a StreamPipeline should be here".to_owned())),
        (Some(only), 0) => Ok(only),
        (Some(_), others) => {
            Err(whole(format!("found {} YAML documents; there should be exactly one, so split the file at `---`", others + 1)))
        }
    }
}

struct Guard {
    values_left: usize,
    duplicates: Vec<Finding>,
}

#[derive(Clone)]
struct Node<'a> {
    path: Path,
    depth: usize,
    guard: &'a RefCell<Guard>,
}

impl Node<'_> {
    fn below(&self, path: Path) -> Self {
        Self { path, depth: self.depth + 1, guard: self.guard }
    }

    /// Called for each list and mapping.
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
                return Err(de::Error::custom(format!("more than {VALUES_MAX} values, those that aliases repeat included")));
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

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.below(self.path.index(values.len())))? {
            values.push(value);
        }
        Ok(Value::Sequence(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.enter()?;
        let mut mapping = Mapping::new();
        while let Some(key) = entries.next_key::<Key>()? {
            let path = self.path.field(&key.0);
            let value = entries.next_value_seed(self.below(path.clone()))?;
            if mapping.insert(Value::String(key.0), value).is_some() {
                let mut guard = self.guard.borrow_mut();
                if guard.duplicates.len() < FINDINGS_MAX {
                    guard.duplicates.push(Finding::new(&path, "this key stands twice in its mapping; keep one"));
                }
            }
        }
        Ok(Value::Mapping(mapping))
    }
}

struct Key(String);

impl<'de> de::Deserialize<'de> for Key {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text as a mapping's key")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Key, E> {
                Ok(Key(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refusals(text: &str) -> Vec<String> {
        parse_yaml(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let said = refusals("spec:\n  sinks: [a, b\n  steps: []\n");
        assert!(said[0].starts_with("this is not YAML that can be read: ") && said[0].contains("line 3"), "{said:?}");
    }

    #[test]
    fn every_key_that_stands_twice_is_named() {
        let said = refusals("a: 1\nb: [{c: 1, c: 2}]\na: 2\n");
        assert_eq!(said, ["b[0].c: this key stands twice in its mapping; keep one", "a: this key stands twice in its mapping; keep one"]);
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
        assert!(refusals(&"[".repeat(40))[0].contains("not YAML"));
        assert!(refusals(&format!("{}{}", "[".repeat(40), "]".repeat(40)))[0].contains("nested more than 32 deep"));
        assert!(refusals(&" ".repeat(TEXT_BYTES_MAX + 1))[0].contains("at most 1048576 are read"));
        assert!(refusals("a: !thing x")[0].contains("without tags"));
        assert!(refusals("1: x")[0].contains("text as a mapping's key"));
    }

    #[test]
    fn exactly_one_document_is_read_and_empty_ones_do_not_count() {
        assert_eq!(parse_yaml("---\na: 1\n---\n").unwrap(), parse_yaml("a: 1").unwrap());
        assert_eq!(refusals("# nothing\n"), ["the document is empty; a StreamPipeline should be here"]);
        assert_eq!(refusals("a: 1\n---\nb: 1\n"), ["found 2 YAML documents; there should be exactly one, so split the file at `---`"]);
    }
}
