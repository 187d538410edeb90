//! The document that users write, and how it becomes a [`Plan`].
//!
//! Text → [`document`] (every field, without its meaning) → `lower` → [`Plan`]. Each stage reports all of its errors at
//! once.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests play the clock and draw as they like"))]

mod decode;
pub mod defaults;
pub mod document;
mod editor;
mod explain;
mod finding;
pub mod former;
mod lower;
mod notices;
mod overlay;
pub mod places;
mod query;
mod refused;
pub mod resource;
mod schedule;
mod secrets;
mod status;
mod stored;
mod versions;

pub use document::StreamPipeline;
pub use editor::json_schema;
pub use finding::Finding;
pub use notices::{notices, notices_of_text};
pub use overlay::merge;
pub use schedule::Schedule;

use finding::FINDINGS_MAX;
use former::Translated;
use secrets::{Hidden, Replaced};
use serde_yaml::Value;
use weir_plan::Plan;

/// Reads a document, merges an override into it if there is one, and lowers it.
///
/// # Errors
/// All errors, each with its path. Paths are those of the merged document.
pub fn load(text: &str, override_text: Option<&str>) -> Result<Plan, Vec<Finding>> {
    load_whole(text, override_text).map(|loaded| loaded.plan)
}

/// Like [`load`], with the document, from which [`notices`] are told.
///
/// # Errors
/// Those of [`load`].
pub fn load_whole(text: &str, override_text: Option<&str>) -> Result<Loaded, Vec<Finding>> {
    let loaded = Texts::read(text, override_text)?.judged(loaded);
    loaded.map_err(|mut findings| {
        // What is wrong with an expression may be that a comment cut it off.
        for cut in decode::cut_by_comments(text).into_iter().filter(|cut| !cut.is_open) {
            if findings.iter().any(|found| found.path.ends_with(&format!(".{}", cut.key))) {
                findings.push(Finding { path: String::new(), message: cut.message });
            }
        }
        findings.truncate(FINDINGS_MAX);
        findings
    })
}

/// The document with every default filled in and marked, as YAML that means the same.
///
/// # Errors
/// Those of [`load`].
pub fn explain(text: &str, override_text: Option<&str>) -> Result<String, Vec<Finding>> {
    Texts::read(text, override_text)?.judged(|read, texts| {
        let loaded = loaded(read, texts)?;
        Ok(explain::explained(&read.document, &loaded.document))
    })
}

/// A document that is right, and what it means.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// With what a plan does not have: what is for the operator alone.
    pub document: StreamPipeline,
    pub plan: Plan,
}

/// Like [`load`], for a document that is already a value, as an API server has it.
///
/// # Errors
/// All errors, each with its path.
pub fn load_value(document: &serde_json::Value) -> Result<Loaded, Vec<Finding>> {
    Texts::of_value(document)?.judged(loaded)
}

/// Reads a document and checks its shape, but not its meaning.
///
/// # Errors
/// All errors of the shape, each with its path.
pub fn parse(text: &str) -> Result<StreamPipeline, Vec<Finding>> {
    Texts::read(text, None)?.judged(document_of)
}

/// Like [`parse`], for a document that is already a value. The operator reads fields from it that a plan does not have.
///
/// # Errors
/// All errors of the shape, each with its path.
pub fn parse_value(document: &serde_json::Value) -> Result<StreamPipeline, Vec<Finding>> {
    Texts::of_value(document)?.judged(document_of)
}

fn document_of(read: &Translated, texts: &[&str]) -> Result<StreamPipeline, Vec<Finding>> {
    let decoded = decode::decode(&read.document, texts, |_| Vec::new());
    match decoded.document {
        Some(document) if decoded.findings.is_empty() && read.findings.is_empty() => Ok(document),
        _ => Err(joined(read, decoded.findings)),
    }
}

/// A size in bytes, from a document's text such as `128Mi`.
///
/// # Errors
/// One sentence that says what to write instead.
pub fn bytes(text: &str) -> Result<u64, String> {
    lower::parse_bytes(text)
}

/// A Kubernetes quantity such as `500m` or `1Gi`, in thousandths, so that different spellings can be compared; `None`
/// if the text is not a quantity.
#[must_use]
pub fn amount(text: &str) -> Option<u128> {
    lower::parse_thousandths(text).ok()
}

/// A duration from a document's text such as `1h30m`; `None` if the text is not a duration.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    lower::duration::parse(text).ok()
}

fn loaded(read: &Translated, texts: &[&str]) -> Result<Loaded, Vec<Finding>> {
    let decoded = decode::decode(&read.document, texts, refused::fields);
    let lowered =
        decoded.document.map(|document| lower::lower(&document, decoded.broken).map(|plan| Loaded { document, plan }));
    match lowered {
        Some(Ok(loaded)) if read.findings.is_empty() && decoded.findings.is_empty() => Ok(loaded),
        Some(Err(more)) => Err(joined(read, [decoded.findings, more].concat())),
        _ => Err(joined(read, decoded.findings)),
    }
}

/// Findings about the former shape, then `more`. A former place that could not be translated is not reported again as
/// an unknown field, and a value with two readings is reported once.
fn joined(read: &Translated, more: Vec<Finding>) -> Vec<Finding> {
    let is_new = |found: &Finding| !read.findings.iter().any(|old| old.path == found.path);
    read.findings.iter().cloned().chain(more.into_iter().filter(is_new)).take(FINDINGS_MAX).collect()
}

/// The values of a document, and of an override if there is one, each with findings about its text.
struct Texts<'a> {
    texts: Vec<&'a str>,
    base: (Value, Vec<Finding>),
    over: Option<(Value, Vec<Finding>)>,
    /// The values of both that an alias may repeat; `None` without a text.
    anchored: Option<Vec<Value>>,
}

impl<'a> Texts<'a> {
    fn read(text: &'a str, override_text: Option<&'a str>) -> Result<Self, Vec<Finding>> {
        let base = decode::read_yaml(text);
        let over = override_text.map(|over| decode::read_yaml(over).map_err(of_the_override)).transpose();
        match (base, over) {
            (Ok(base), Ok(over)) => {
                let texts: Vec<_> = [Some(text), override_text].into_iter().flatten().collect();
                let anchored = texts.iter().flat_map(|text| decode::anchored(text)).collect();
                Ok(Self { texts, base, over, anchored: Some(anchored) })
            }
            (base, over) => Err([base.err(), over.err()].into_iter().flatten().flatten().collect()),
        }
    }

    fn of_value(document: &serde_json::Value) -> Result<Self, Vec<Finding>> {
        let value = serde_yaml::to_value(document);
        let value = value.map_err(|e| vec![Finding { path: String::new(), message: e.to_string() }])?;
        Ok(Self { texts: Vec::new(), base: (value, Vec::new()), over: None, anchored: None })
    }

    /// What `judge` says of the document, and nothing of its secrets.
    fn judged<T>(self, judge: impl Fn(&Translated, &[&str]) -> Result<T, Vec<Finding>>) -> Result<T, Vec<Finding>> {
        let whole = |texts: &Self| texts.merged().and_then(|read| judge(&read, &texts.texts));
        let found = match whole(&self) {
            Ok(judged) => return Ok(judged),
            Err(found) => found,
        };
        let Some((texts, hidden)) = self.hidden() else { return Err(found) };
        Err(secrets::reported(&found, whole(&texts).err().unwrap_or_default(), hidden))
    }

    /// Both without their secrets, and what was replaced; `None` if neither has any.
    fn hidden(self) -> Option<(Self, Replaced)> {
        let mut all = Replaced::default();
        let anchored = self.anchored.as_deref();
        let mut hidden = |(value, findings): (Value, Vec<Finding>)| match secrets::hidden(&value, anchored) {
            Some(Hidden { document, replaced }) => {
                all.paths.extend(replaced.paths);
                all.findings.extend(replaced.findings);
                (document, findings)
            }
            None => (value, findings),
        };
        let (base, over) = (hidden(self.base), self.over.map(&mut hidden));
        let texts = Self { texts: self.texts, base, over, anchored: None };
        (!all.paths.is_empty()).then_some((texts, all))
    }

    fn merged(&self) -> Result<Translated, Vec<Finding>> {
        let base = translated(&self.base);
        let Some(over) = &self.over else { return Ok(base) };
        let outputs_left = former::outputs_left(&self.base.0, &over.0);
        let mut over = translated(over);
        over.findings.extend(outputs_left);
        let findings = overlay::check_header(&base.document, &over.document);
        if !findings.is_empty() {
            return Err(of_the_override(findings));
        }
        let findings = base.findings.into_iter().chain(of_the_override(over.findings)).collect();
        Ok(Translated { document: merge(base.document, over.document), findings })
    }
}

/// A document in the final shape. Findings about its text come first.
fn translated((document, findings): &(Value, Vec<Finding>)) -> Translated {
    let translated = former::translate(&stored::as_written(document.clone()));
    Translated { findings: [findings.clone(), translated.findings].concat(), ..translated }
}

fn of_the_override(findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(|f| Finding { message: format!("in the override: {}", f.message), ..f }).collect()
}
