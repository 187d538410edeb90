//! An error in a document, described to its author: the path to the field, and one sentence that says what was found
//! and what to write instead.

use std::fmt;

use crate::query::Places;

/// The most findings of a document; the rest is left out. An author with that many fixes some and validates again.
pub(crate) const FINDINGS_MAX: usize = 100;

/// One error in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The field's path such as `spec.steps[1].aggregate.columns[0].expr`. Empty if the error is about the text as a
    /// whole.
    pub path: String,
    pub message: String,
}

impl Finding {
    pub(crate) fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.0.clone(), message: message.into() }
    }

    /// Whether the finding is about this place, or a place in it.
    pub(crate) fn is_within(&self, outer: &Path) -> bool {
        Path(self.path.clone()).is_within(outer)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

impl std::error::Error for Finding {}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn field(&self, name: &str) -> Self {
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        match (plain, self.0.is_empty()) {
            (false, _) => Self(format!("{}[{name:?}]", self.0)),
            (true, true) => Self(name.to_owned()),
            (true, false) => Self(format!("{}.{name}", self.0)),
        }
    }

    pub(crate) fn index(&self, i: usize) -> Self {
        Self(format!("{}[{i}]", self.0))
    }

    /// The path without positions in lists: `spec.sources[].format`.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::new();
        for (i, part) in self.0.split('[').enumerate() {
            match part.split_once(']') {
                Some((position, rest)) if i > 0 && position.bytes().all(|b| b.is_ascii_digit()) => {
                    pattern += "[]";
                    pattern += rest;
                }
                _ if i > 0 => {
                    pattern.push('[');
                    pattern += part;
                }
                _ => pattern += part,
            }
        }
        pattern
    }

    /// The name of the last field of the path.
    pub(crate) fn last(&self) -> &str {
        let field = self.0.trim_end_matches(|c: char| c == ']' || c.is_ascii_digit()).trim_end_matches('[');
        field.rsplit('.').next().unwrap_or_default()
    }

    /// Whether this place is an element of a list.
    pub(crate) fn is_element(&self) -> bool {
        self.0.strip_suffix(']').is_some_and(|path| path.ends_with(|c: char| c.is_ascii_digit()))
    }

    /// The position of the element of `list` in which this place lies, and the path within the element.
    pub(crate) fn within_element_of(&self, list: &Self) -> Option<(usize, Self)> {
        let (position, rest) = self.0.strip_prefix(&list.0)?.strip_prefix('[')?.split_once(']')?;
        Some((position.parse().ok()?, Self(rest.strip_prefix('.').unwrap_or(rest).to_owned())))
    }

    /// The place in this block that has the path `inner` within it.
    pub(crate) fn with(&self, inner: &Self) -> Self {
        match inner.0.as_str() {
            "" => self.clone(),
            rest if rest.starts_with('[') => Self(format!("{}{rest}", self.0)),
            rest => Self(format!("{}.{rest}", self.0)),
        }
    }

    /// Whether this place is `outer` or lies in it.
    pub(crate) fn is_within(&self, outer: &Self) -> bool {
        match self.0.strip_prefix(&outer.0) {
            Some(rest) => outer.0.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field that could not be decoded. Errors that only follow from it are not reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) path: Path,
    /// The block that contains the field, or should contain it; `None` if the field says nothing of its block.
    pub(crate) block: Option<Path>,
    /// The field that was probably meant, if this field is unknown.
    pub(crate) meant: Option<Path>,
}

/// Collects findings in the order in which they are found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<Finding>,
    paths: Vec<Path>,
    broken: Vec<Broken>,
    places: Places,
}

impl Findings {
    /// Collects findings, but leaves out those that repeat or follow from the fields known to be broken.
    pub(crate) fn beside(broken: Vec<Broken>) -> Self {
        Self { broken, ..Self::default() }
    }

    /// From here on, paths are those of the document with each query replaced by the steps that it stands for. What is
    /// reported has the places of the author's own document.
    pub(crate) fn expanded(&mut self, places: Places) {
        self.places = places;
    }

    /// The path of a place in the author's own document.
    pub(crate) fn written(&self, path: &Path) -> Path {
        self.places.written(path)
    }

    pub(crate) fn add(&mut self, path: &Path, message: impl Into<String>) {
        let (shown, message) = self.places.told(path, message.into());
        let follows = |b: &Broken| {
            let path = &shown;
            path.is_within(&b.path)
                || b.block.as_ref().is_some_and(|block| block.is_within(path))
                || b.meant.as_ref().is_some_and(|m| path.is_within(m) || m.is_within(path))
        };
        let finding = Finding::new(&shown, message);
        if !self.broken.iter().any(follows) && !self.found.contains(&finding) {
            self.found.push(finding);
        }
        self.paths.push(path.clone());
    }

    /// Whether no error is known at `path` or below it.
    pub(crate) fn is_sound(&self, path: &Path) -> bool {
        let written = self.written(path);
        !self.paths.iter().any(|p| p.is_within(path)) && !self.broken.iter().any(|b| b.path.is_within(&written))
    }

    /// Whether the field at `path` could not be decoded, so that nothing is known of what should be in it.
    pub(crate) fn is_broken(&self, path: &Path) -> bool {
        let written = self.written(path);
        self.broken.iter().any(|broken| broken.path == written)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.broken.is_empty()
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}

/// The names as a phrase: `a`, `a or b`, `a, b or c`.
pub(crate) fn one_of<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(AsRef::as_ref).collect();
            format!("{} or {}", first.join(", "), last.as_ref())
        }
    }
}

/// The longest name for which a misspelling is looked for, in bytes: the time grows with the product of two names.
const COMPARED_BYTES_MAX: usize = 256;

/// The candidate that `name` is most likely a misspelling of.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .filter(|c| c.len() <= COMPARED_BYTES_MAX)
        .map(|c| (strsim::damerau_levenshtein(&lower, &c.to_lowercase()), c))
        .filter(|(distance, c)| *distance <= 1 + name.len().min(c.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_slip_away_or_there_is_none() {
        let names = ["watermarkDelay", "expr", "kafkaTimestamp"];
        assert_eq!(nearest("watermarkdelay", names), Some("watermarkDelay"));
        assert_eq!(nearest("exp", names), Some("expr"));
        assert_eq!(nearest("window", names), None);
    }

    #[test]
    fn a_path_lies_within_its_block_and_not_within_a_block_whose_name_begins_alike() {
        let steps = Path::root().field("spec").field("steps");
        assert!(steps.index(1).field("map").is_within(&steps));
        assert!(steps.is_within(&Path::root()));
        assert!(!Path::root().field("spec").field("stepsets").is_within(&steps));
        assert!(!steps.index(10).is_within(&steps.index(1)));
    }

    #[test]
    fn the_last_field_of_a_path_is_that_of_the_list_for_an_element() {
        let topics = Path::root().field("spec").field("topics");
        assert_eq!(
            [topics.last(), topics.index(10).last(), Path::root().field("kind").last()],
            ["topics", "topics", "kind"]
        );
    }

    #[test]
    fn a_place_in_an_element_is_told_from_the_list() {
        let steps = Path::root().field("spec").field("steps");
        let within = |path: &Path| path.within_element_of(&steps).map(|(i, rest)| (i, rest.to_string()));
        let columns = steps.index(12).field("map").field("columns");
        assert_eq!(within(&columns.index(3)), Some((12, "map.columns[3]".to_owned())));
        assert_eq!(within(&steps.index(1)), Some((1, String::new())));
        assert_eq!(within(&steps), None);
        let (i, inner) = columns.within_element_of(&steps).unwrap_or_default();
        assert_eq!(steps.index(i).with(&inner), columns);
    }

    #[test]
    fn a_pattern_is_a_path_without_positions() {
        let steps = Path::root().field("spec").field("steps");
        assert_eq!(
            steps.index(12).field("aggregate").field("columns").index(0).pattern(),
            "spec.steps[].aggregate.columns[]"
        );
        assert_eq!(steps.field("a b[3]").pattern(), "spec.steps[\"a b[]\"]");
    }

    #[test]
    fn what_follows_from_a_broken_field_is_left_out() {
        let block = Path::root().field("spec");
        let broken =
            Broken { path: block.field("sink"), block: Some(block.clone()), meant: Some(block.field("sinks")) };
        let mut findings = Findings::beside(vec![broken]);
        findings.add(&block.field("sinks"), "there is none");
        findings.add(&block.field("steps").index(0), "leads to no sink");
        assert_eq!(findings.into_vec().iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["spec.steps[0]"]);
    }
}
