//! What the operator has seen of a revision's pods, stored as annotations of its ControllerRevision. They outlive the
//! pods and the operator.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The annotation with the best state that was seen.
const GOOD: &str = "weir.dev/good";
/// The annotation with the failure that was seen.
const FAILED: &str = "weir.dev/failed";

/// The marks of a revision. Most revisions have only one of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    pub good: Option<Good>,
    pub failed: Option<Failed>,
}

/// How well a revision did, from worse to better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Good {
    /// A pod claimed the checkpoint and read its topics. If no records arrive, this is the most that can be seen.
    Ready,
    /// A pod committed an epoch.
    Committed,
}

/// Why a revision is no longer run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The reason in a condition: `ConfigError` or `RuntimeBug`.
    pub reason: String,
    /// The runtime's last sentence.
    pub message: String,
    /// The versions of the Secrets that the pod had. With other versions, the revision is tried again.
    pub secrets: String,
}

impl Good {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Committed => "Committed",
        }
    }
}

impl Marks {
    /// The marks in annotations. Other values that a person has written are ignored: removing a mark is how a person
    /// has a revision tried again.
    #[must_use]
    pub fn from_annotations(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let text = |key: &str| annotations.and_then(|a| a.get(key)).map(String::as_str);
        Self {
            good: [Good::Ready, Good::Committed].into_iter().find(|good| text(GOOD) == Some(good.as_str())),
            failed: text(FAILED).and_then(|failed| serde_json::from_str(failed).ok()),
        }
    }

    #[must_use]
    pub fn to_annotations(&self) -> Option<BTreeMap<String, String>> {
        let good = self.good.map(|good| (GOOD.to_owned(), good.as_str().to_owned()));
        let failed =
            self.failed.as_ref().and_then(|failed| Some((FAILED.to_owned(), serde_json::to_string(failed).ok()?)));
        Some(good.into_iter().chain(failed).collect()).filter(|annotations: &BTreeMap<_, _>| !annotations.is_empty())
    }

    /// The failure with these Secrets, if there was one.
    #[must_use]
    pub fn failed_with(&self, secrets: &str) -> Option<&Failed> {
        self.failed.as_ref().filter(|failed| failed.secrets == secrets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_as_they_were_written() {
        let failed = Failed {
            reason: "ConfigError".into(),
            message: "the bucket `a` \"is\" not there".into(),
            secrets: "lake=s1".into(),
        };
        for marks in [
            Marks::default(),
            Marks { good: Some(Good::Ready), failed: Some(failed) },
            Marks { good: Some(Good::Committed), failed: None },
        ] {
            assert_eq!(Marks::from_annotations(marks.to_annotations().as_ref()), marks);
        }
    }
}
