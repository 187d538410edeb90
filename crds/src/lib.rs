//! The document that users write, and how it becomes a [`Plan`].
//!
//! Text → [`document`] (every field, nothing of its meaning) → [`lower`] → [`Plan`]. Each stage says everything that is
//! wrong at once.

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
pub mod resource;
mod schedule;

pub use document::StreamPipeline;
pub use editor::json_schema;
pub use finding::Finding;
pub use lower::lower;
pub use notices::notices;
pub use overlay::merge;
pub use schedule::Schedule;

use finding::FINDINGS_MAX;
use former::Translated;
use serde_yaml::Value;
use weir_plan::Plan;

/// Reads a document, with another one laid over it by names if there is one, and lowers it.
///
/// # Errors
/// Everything that is wrong, with the path to each place. Paths are those of the merged document.
pub fn load(text: &str, override_text: Option<&str>) -> Result<Plan, Vec<Finding>> {
    plan_of(&read(text, override_text)?)
}

/// The document with every default filled in and marked, as YAML that says the same.
///
/// # Errors
/// As [`load`].
pub fn explain(text: &str, override_text: Option<&str>) -> Result<String, Vec<Finding>> {
    let document = read(text, override_text)?;
    plan_of(&document)?;
    Ok(explain::explained(&document.document))
}

/// As [`load`], for a document that is a value already, such as an API server has it.
///
/// # Errors
/// Everything that is wrong.
pub fn load_value(document: &serde_json::Value) -> Result<Plan, Vec<Finding>> {
    plan_of(&in_the_final_shape(yaml_of(document)?))
}

fn yaml_of(document: &serde_json::Value) -> Result<Value, Vec<Finding>> {
    serde_yaml::to_value(document).map_err(|e| vec![Finding { path: String::new(), message: e.to_string() }])
}

/// Reads a document and says whether its shape is right, without asking what it means.
///
/// # Errors
/// Everything that is wrong with its shape.
pub fn parse(text: &str) -> Result<StreamPipeline, Vec<Finding>> {
    document_of(&read(text, None)?)
}

/// The same for a document that is a value already: what the operator reads of it that a plan does not have.
///
/// # Errors
/// Everything that is wrong with its shape.
pub fn parse_value(document: &serde_json::Value) -> Result<StreamPipeline, Vec<Finding>> {
    document_of(&in_the_final_shape(yaml_of(document)?))
}

fn document_of(read: &Translated) -> Result<StreamPipeline, Vec<Finding>> {
    let decoded = decode::decode(&read.document);
    match decoded.document {
        Some(document) if decoded.findings.is_empty() && read.findings.is_empty() => Ok(document),
        _ => Err(joined(read, decoded.findings)),
    }
}

/// A size as documents write it, `128Mi`, in bytes.
///
/// # Errors
/// One sentence that says what to write instead.
pub fn bytes(text: &str) -> Result<u64, String> {
    lower::parse_bytes(text)
}

/// An amount as Kubernetes writes quantities, `500m` or `1Gi`, in thousandths, so that spellings can be compared; none
/// if it is not one.
#[must_use]
pub fn amount(text: &str) -> Option<u128> {
    lower::parse_thousandths(text).ok()
}

/// A duration as documents write it, `1h30m`; none if it is not one.
#[must_use]
pub fn duration(text: &str) -> Option<std::time::Duration> {
    lower::duration::parse(text).ok()
}

fn plan_of(read: &Translated) -> Result<Plan, Vec<Finding>> {
    let decoded = decode::decode(&read.document);
    let lowered = decoded.document.as_ref().map(|document| lower::lower_beside(document, decoded.broken));
    match lowered {
        Some(Ok(plan)) if read.findings.is_empty() && decoded.findings.is_empty() => Ok(plan),
        Some(Err(more)) => Err(joined(read, [decoded.findings, more].concat())),
        _ => Err(joined(read, decoded.findings)),
    }
}

/// What was written otherwise, then what is wrong. An old place that could not be translated is no unknown field, and a
/// value that has two readings is told once.
fn joined(read: &Translated, more: Vec<Finding>) -> Vec<Finding> {
    let is_new = |found: &Finding| !read.findings.iter().any(|old| old.path == found.path);
    read.findings.iter().cloned().chain(more.into_iter().filter(is_new)).take(FINDINGS_MAX).collect()
}

fn read(text: &str, override_text: Option<&str>) -> Result<Translated, Vec<Finding>> {
    let base = decode::read_yaml(text).map(translated);
    let Some(over) = override_text else { return base };
    let (base, over) = match (base, decode::read_yaml(over).map(translated).map_err(of_the_override)) {
        (Ok(base), Ok(over)) => (base, over),
        (base, over) => return Err([base.err(), over.err()].into_iter().flatten().flatten().collect()),
    };
    let findings = overlay::check_header(&base.document, &over.document);
    if !findings.is_empty() {
        return Err(of_the_override(findings));
    }
    let findings = base.findings.into_iter().chain(of_the_override(over.findings)).collect();
    Ok(Translated { document: merge(base.document, over.document), findings })
}

/// A document as it was read, in the final shape, with what was wrong with its text said first.
fn translated((document, mut findings): (Value, Vec<Finding>)) -> Translated {
    let translated = in_the_final_shape(document);
    findings.extend(translated.findings);
    Translated { findings, ..translated }
}

fn in_the_final_shape(document: Value) -> Translated {
    former::translate(&document)
}

fn of_the_override(findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(|f| Finding { message: format!("in the override: {}", f.message), ..f }).collect()
}
