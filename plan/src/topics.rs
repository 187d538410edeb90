//! Which topics a source reads, and which of their partitions.

mod glob;

use std::collections::{BTreeMap, BTreeSet};

use regex::RegexBuilder;

use crate::quote::quoted;

/// Compiled, in bytes. A pattern that needs more is a mistake, or meant to be one.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Kafka's own topics, and those of tools beside it.
const INTERNAL_PREFIX: &str = "__";

/// What a source reads.
#[derive(Debug, Clone)]
pub enum Topics {
    /// All partitions of these, in the document's order.
    Named(Vec<String>),
    /// All partitions of the topics that match, those that appear later included.
    Matching(TopicPattern),
    /// Certain partitions, by topic.
    Assigned(BTreeMap<String, BTreeSet<i32>>),
}

impl Topics {
    /// Whether partitions of this topic are read.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        match self {
            Self::Named(topics) => topics.iter().any(|t| t == topic),
            Self::Matching(pattern) => pattern.matches(topic),
            Self::Assigned(topics) => topics.contains_key(topic),
        }
    }

    /// A topic of which both read a partition, or the pattern that both have; as far as that is known before the
    /// brokers are asked: what two different patterns match is not.
    #[must_use]
    pub fn in_common<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        match (self, other) {
            (Self::Matching(pattern), Self::Matching(of_other)) => {
                (pattern.text == of_other.text).then_some(pattern.as_str())
            }
            (Self::Assigned(topics), Self::Assigned(of_other)) => {
                let meet = |topic: &String, partitions| {
                    of_other.get(topic).is_some_and(|others| !others.is_disjoint(partitions))
                };
                topics.iter().find(|(topic, partitions)| meet(topic, partitions)).map(|(topic, _)| topic.as_str())
            }
            (Self::Matching(_), _) => other.names().find(|topic| self.has(topic)),
            _ => self.names().find(|topic| other.has(topic)),
        }
    }

    /// The names, as far as they are known before the brokers are asked.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (named, assigned) = match self {
            Self::Named(topics) => (topics.as_slice(), None),
            Self::Assigned(topics) => (&[][..], Some(topics.keys())),
            Self::Matching(_) => (&[][..], None),
        };
        named.iter().chain(assigned.into_iter().flatten()).map(String::as_str)
    }
}

/// A regular expression (of the `regex` crate) for whole names of topics.
#[derive(Debug, Clone)]
pub struct TopicPattern {
    text: String,
    whole: regex::Regex,
}

impl TopicPattern {
    /// # Errors
    /// What is wrong with the expression. One that is meant as in a shell, `rides-*`, is wrong too.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(why) = glob::refused(text) {
            return Err(why);
        }
        let compile = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        let wrong = |e: regex::Error| {
            let said = e.to_string();
            // The parser draws a picture first.
            let reason = said.rsplit("error: ").next().unwrap_or(&said).trim();
            format!("found {}: {reason}: write a regular expression, as in rides-.*", quoted(text))
        };
        // By itself first: an expression like `a)|(b` is right only between the parentheses.
        compile(text).map_err(wrong)?;
        let whole = compile(&format!(r"\A(?:{text})\z")).map_err(wrong)?;
        Ok(Self { text: text.to_owned(), whole })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a topic of this name is read. Internal ones never are.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        !topic.starts_with(INTERNAL_PREFIX) && self.whole.is_match(topic)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_pattern_is_of_whole_names_and_passes_over_internal_topics() {
        for (pattern, matching, others) in [
            ("rides-.*", &["rides-", "rides-v2"][..], &["rides", "old-rides-v2", "rides-v2\n"][..]),
            ("a|ab", &["a", "ab"], &["abc", "b"]),
            (".*", &["rides", "_rides"], &["__consumer_offsets", "__"]),
            ("(?i)RIDES", &["rides"], &["ride"]),
        ] {
            let pattern = TopicPattern::parse(pattern).unwrap();
            assert!(matching.iter().all(|t| pattern.matches(t)), "{pattern:?}");
            assert!(!others.iter().any(|t| pattern.matches(t)), "{pattern:?}");
        }
    }

    #[test]
    fn what_two_sources_read_in_common_is_known_but_of_two_patterns() {
        let named = |topics: &[&str]| Topics::Named(topics.iter().map(|t| (*t).to_owned()).collect());
        let matching = |text| Topics::Matching(TopicPattern::parse(text).unwrap());
        let assigned = |topic: &str, partitions: &[i32]| {
            Topics::Assigned([(topic.to_owned(), partitions.iter().copied().collect())].into())
        };
        for (a, b, common) in [
            (named(&["a", "b"]), named(&["b"]), Some("b")),
            (named(&["a"]), named(&["b"]), None),
            (named(&["a", "b"]), matching("[bc]"), Some("b")),
            (named(&["a"]), matching("[bc]"), None),
            (named(&["a", "b"]), assigned("b", &[7]), Some("b")),
            (assigned("b", &[1, 2]), assigned("b", &[2]), Some("b")),
            (assigned("b", &[1, 2]), assigned("b", &[3]), None),
            (assigned("b", &[1]), matching("b"), Some("b")),
            (matching("x.*"), matching("x.*"), Some("x.*")),
            (matching("x.*"), matching(".*x"), None),
        ] {
            assert_eq!((a.in_common(&b), b.in_common(&a)), (common, common), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_pattern_is_said_in_one_line() {
        for (pattern, said) in [
            ("rides-(", "found `rides-(`: unclosed group: write a regular expression, as in rides-.*"),
            (
                "+",
                "found `+`: repetition operator missing expression: write a regular expression, as in \
                 rides-.*",
            ),
            ("a)|(b", "found `a)|(b`: unopened group: write a regular expression, as in rides-.*"),
        ] {
            assert_eq!(TopicPattern::parse(pattern).unwrap_err(), said);
        }
        let huge = TopicPattern::parse(r"(\pL{99}){99}").unwrap_err();
        assert!(huge.contains("size limit") && !huge.contains('\n'), "{huge}");
    }
}
