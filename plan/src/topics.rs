//! The topics that a source reads, and which of their partitions.

mod glob;

use std::collections::{BTreeMap, BTreeSet};

use regex::RegexBuilder;

use crate::quote::quoted;

/// The most bytes of a compiled pattern. A pattern that needs more is a mistake or an attack.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// The prefix of Kafka's own topics, and of those of tools that belong to it.
const INTERNAL_PREFIX: &str = "__";

/// The topics or partitions that a source reads.
#[derive(Debug, Clone)]
pub enum Topics {
    /// All partitions of these topics, in the document's order.
    Named(Vec<String>),
    /// All partitions of the topics that match, including topics that are created later.
    Matching(TopicPattern),
    /// Certain partitions, by topic.
    Assigned(BTreeMap<String, BTreeSet<i32>>),
}

impl Topics {
    /// Whether the source reads partitions of this topic.
    #[must_use]
    pub fn has(&self, topic: &str) -> bool {
        match self {
            Self::Named(topics) => topics.iter().any(|t| t == topic),
            Self::Matching(pattern) => pattern.matches(topic),
            Self::Assigned(topics) => topics.contains_key(topic),
        }
    }

    /// A topic of which both read a partition, or the pattern that both have. This is what can be known without asking
    /// the brokers: two different patterns may match the same topic, which is not found here.
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

    /// The names of the topics, as far as they are known without asking the brokers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let (named, assigned) = match self {
            Self::Named(topics) => (topics.as_slice(), None),
            Self::Assigned(topics) => (&[][..], Some(topics.keys())),
            Self::Matching(_) => (&[][..], None),
        };
        named.iter().chain(assigned.into_iter().flatten()).map(String::as_str)
    }
}

/// A regular expression (of the `regex` crate) that must match a topic's whole name.
#[derive(Debug, Clone)]
pub struct TopicPattern {
    text: String,
    whole: regex::Regex,
}

impl TopicPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// What is wrong with the expression. A shell's pattern such as `rides-*` is also an error.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(why) = glob::refused(text) {
            return Err(why);
        }
        let compile = |text: &str| RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        let wrong = |e: regex::Error| {
            let said = e.to_string();
            // The parser's message begins with a drawing of the expression; only its last part is shown.
            let reason = said.rsplit("error: ").next().unwrap_or(&said).trim();
            format!("found {}: {reason}: write a regular expression, as in rides-.*", quoted(text))
        };
        // The expression is compiled without the parentheses first: `a)|(b` would be valid only within them.
        compile(text).map_err(wrong)?;
        let whole = compile(&format!(r"\A(?:{text})\z")).map_err(wrong)?;
        Ok(Self { text: text.to_owned(), whole })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The only name that the pattern matches, if it is a plain name.
    #[must_use]
    pub fn only_name(&self) -> Option<&str> {
        let name = self.text.strip_prefix('^').unwrap_or(&self.text);
        let name = name.strip_suffix('$').unwrap_or(name);
        name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).then_some(name)
    }

    /// Whether the pattern matches this topic. It never matches internal topics.
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
    fn a_plain_name_matches_nothing_else() {
        for (pattern, name) in [
            ("rides-", Some("rides-")),
            ("^rides-$", Some("rides-")),
            ("rides-.*", None),
            ("rides.v1", None),
            ("a|b", None),
        ] {
            assert_eq!(TopicPattern::parse(pattern).unwrap().only_name(), name, "{pattern}");
        }
    }

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
